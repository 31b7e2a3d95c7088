//! When an event of `at=` or `cron=` runs next, in local time.
//!
//! Pure: given the moment and the rule for local time. The local offset is asked for anew for each candidate, so that an event
//! at 04:00 stays at 04:00 by the clock on the wall when summer time begins or ends.

use config::cyrus::{Cron, Moment};
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// The rule for local time: the offset in force at a moment.
pub type LocalOffset<'a> = &'a dyn Fn(OffsetDateTime) -> UtcOffset;

/// The system's rule; UTC where it cannot be told.
pub fn system_offset(at: OffsetDateTime) -> UtcOffset {
    UtcOffset::local_offset_at(at).unwrap_or(UtcOffset::UTC)
}

/// The first time after `now` that the clock on the wall shows this.
pub fn next_at(hour: u8, minute: u8, now: OffsetDateTime, offset: LocalOffset<'_>) -> Option<OffsetDateTime> {
    days(now, offset).take(3).find_map(|day| moment(day, hour, minute, offset).filter(|found| *found > now))
}

/// The first minute after `now` that the five fields admit; none for a date that never comes (30 February).
pub fn next_cron(cron: &Cron, now: OffsetDateTime, offset: LocalOffset<'_>) -> Option<OffsetDateTime> {
    days(now, offset).take(DAYS_SEARCHED).find_map(|day| {
        (0..24 * 60u16)
            .map(|number| ((number / 60) as u8, (number % 60) as u8))
            .filter(|(hour, minute)| cron.matches(fields(day, *hour, *minute)))
            .filter_map(|(hour, minute)| moment(day, hour, minute, offset))
            .find(|found| *found > now)
    })
}

fn fields(day: Date, hour: u8, minute: u8) -> Moment {
    Moment {
        minute: minute.into(),
        hour: hour.into(),
        day: day.day().into(),
        month: u8::from(day.month()).into(),
        weekday: day.weekday().number_days_from_sunday().into(),
    }
}

/// Today and the days that follow, by the local calendar.
fn days(now: OffsetDateTime, offset: LocalOffset<'_>) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(now.to_offset(offset(now)).date()), |day| day.next_day())
}

/// A time by the clock on the wall of a day; none when summer time skips it.
fn moment(day: Date, hour: u8, minute: u8, offset: LocalOffset<'_>) -> Option<OffsetDateTime> {
    let wall = PrimitiveDateTime::new(day, Time::from_hms(hour, minute, 0).ok()?);
    let guess = wall.assume_offset(offset(wall.assume_utc()));
    // The offset that is in force then, seen from either side of a change.
    [guess, guess - Duration::hours(2), guess + Duration::hours(2)]
        .into_iter()
        .map(|near| wall.assume_offset(offset(near)))
        .find(|found| offset(*found) == found.offset())
}

/// The 29th of February may be eight years away.
const DAYS_SEARCHED: usize = 8 * 366 + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::{datetime, offset};

    fn utc(_: OffsetDateTime) -> UtcOffset {
        UtcOffset::UTC
    }

    /// Central Europe around the changes of 2026: 29 March 01:00 UTC, 25 October 01:00 UTC.
    fn europe(moment: OffsetDateTime) -> UtcOffset {
        let summer = moment >= datetime!(2026-03-29 01:00 UTC) && moment < datetime!(2026-10-25 01:00 UTC);
        if summer { offset!(+2) } else { offset!(+1) }
    }

    #[test]
    fn at_is_the_next_such_time_by_the_local_clock() {
        let table = [
            (datetime!(2026-05-01 03:59:59 UTC), datetime!(2026-05-01 04:00 UTC)),
            (datetime!(2026-05-01 04:00 UTC), datetime!(2026-05-02 04:00 UTC)),
        ];
        for (now, expected) in table {
            assert_eq!(next_at(4, 0, now, &utc), Some(expected));
        }
        assert_eq!(
            next_at(4, 0, datetime!(2026-03-28 12:00 UTC), &europe),
            Some(datetime!(2026-03-29 02:00 UTC))
        );
        assert_eq!(
            next_at(4, 0, datetime!(2026-03-27 12:00 UTC), &europe),
            Some(datetime!(2026-03-28 03:00 UTC))
        );
    }

    #[test]
    fn a_time_that_summer_time_skips_waits_for_the_next_day() {
        let evening = datetime!(2026-03-28 23:00 UTC);
        assert_eq!(next_at(2, 30, evening, &europe), Some(datetime!(2026-03-30 00:30 UTC)));
    }

    #[test]
    fn cron_runs_at_the_first_minute_that_fits() {
        let now = datetime!(2026-05-01 00:00 UTC); // a Friday
        let table = [
            ("*/15 * * * *", datetime!(2026-05-01 00:15 UTC)),
            ("0 4 * * *", datetime!(2026-05-01 04:00 UTC)),
            ("30 2 * * sun", datetime!(2026-05-03 02:30 UTC)),
            ("0 0 1 jan *", datetime!(2027-01-01 00:00 UTC)),
            ("0 0 29 2 *", datetime!(2028-02-29 00:00 UTC)),
        ];
        for (text, expected) in table {
            assert_eq!(next_cron(&Cron::parse(text).unwrap(), now, &utc), Some(expected), "{text}");
        }
        assert_eq!(next_cron(&Cron::parse("0 0 30 2 *").unwrap(), now, &utc), None);
    }

    proptest! {
        #[test]
        fn the_next_run_is_always_later(minute in 0u8..60, hour in 0u8..24, seconds in 0i64..400_000_000) {
            let now = datetime!(2025-01-01 00:00 UTC) + Duration::seconds(seconds);
            let cron = Cron::parse(&format!("{minute} {hour} * * *")).unwrap();
            let next = next_cron(&cron, now, &europe).unwrap();
            prop_assert!(next > now && next - now <= Duration::days(2));
            prop_assert_eq!(next_at(hour, minute, now, &europe), Some(next));
        }
    }
}
