//! A time in a zone, and the parts of it that `date` compares: RFC 5260 section 4.2.

/// A time, with the clock of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 1970-01-01, by that clock.
    days: i64,
    /// Seconds of the day.
    second: i64,
    /// Seconds east of UTC.
    offset: i32,
}

/// What of a time is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DatePart {
    Year,
    Month,
    Day,
    Date,
    /// The Modified Julian Day.
    Julian,
    Hour,
    Minute,
    Second,
    Time,
    Iso8601,
    Std11,
    Zone,
    /// 0 is Sunday.
    Weekday,
}

impl DatePart {
    pub(super) fn parse(name: &str) -> Option<DatePart> {
        let (_, part) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(*part)
    }
}

impl Moment {
    /// `epoch`: seconds since 1970, UTC. None: no calendar has it.
    pub(super) fn new(epoch: i64, offset: i32) -> Option<Moment> {
        let local = epoch.checked_add(i64::from(offset))?;
        let days = local.div_euclid(86_400);
        (days.abs() < 4_000_000).then(|| Moment { days, second: local.rem_euclid(86_400), offset })
    }

    pub(super) fn part(&self, part: DatePart) -> String {
        let (year, month, day) = self.civil();
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        let name = |names: &[&'static str], at: i64| {
            usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default()
        };
        match part {
            DatePart::Year => format!("{year:04}"),
            DatePart::Month => format!("{month:02}"),
            DatePart::Day => format!("{day:02}"),
            DatePart::Date => format!("{year:04}-{month:02}-{day:02}"),
            DatePart::Julian => (self.days + JULIAN_1970).to_string(),
            DatePart::Hour => format!("{hour:02}"),
            DatePart::Minute => format!("{minute:02}"),
            DatePart::Second => format!("{second:02}"),
            DatePart::Time => format!("{hour:02}:{minute:02}:{second:02}"),
            DatePart::Iso8601 => {
                // As others write it: RFC 3339 leaves the choice.
                let zone = if self.offset == 0 { "Z".to_owned() } else { self.zone(":") };
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
            }
            DatePart::Std11 => {
                let (weekday, month, zone) =
                    (name(&WEEKDAYS, self.weekday()), name(&MONTHS, month - 1), self.zone(""));
                format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} {zone}")
            }
            DatePart::Zone => self.zone(""),
            DatePart::Weekday => self.weekday().to_string(),
        }
    }

    fn weekday(&self) -> i64 {
        // 1970-01-01 was a Thursday.
        (self.days + 4).rem_euclid(7)
    }

    fn zone(&self, between: &str) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs() / 60;
        format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
    }

    /// Year, month and day of the Gregorian calendar. Years begin in March here, so that the leap day is the last one.
    fn civil(&self) -> (i64, i64, i64) {
        let days = self.days + DAYS_TO_1970;
        let (era, day_of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        (era * 400 + year_of_era + i64::from(month <= 2), month, day)
    }
}

const NAMES: [(&str, DatePart); 13] = [
    ("year", DatePart::Year),
    ("month", DatePart::Month),
    ("day", DatePart::Day),
    ("date", DatePart::Date),
    ("julian", DatePart::Julian),
    ("hour", DatePart::Hour),
    ("minute", DatePart::Minute),
    ("second", DatePart::Second),
    ("time", DatePart::Time),
    ("iso8601", DatePart::Iso8601),
    ("std11", DatePart::Std11),
    ("zone", DatePart::Zone),
    ("weekday", DatePart::Weekday),
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The Modified Julian Day of 1970-01-01.
const JULIAN_1970: i64 = 40_587;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
/// 400 years.
const DAYS_OF_ERA: i64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_date_is_as_rfc_5260_writes_it() {
        use DatePart::*;
        // 2026-11-23T23:07:29+01:00
        let moment = Moment::new(1_795_471_649, 3600).unwrap();
        for (part, text) in [
            (Year, "2026"),
            (Month, "11"),
            (Day, "23"),
            (Date, "2026-11-23"),
            (Julian, "61367"),
            (Hour, "23"),
            (Minute, "07"),
            (Second, "29"),
            (Time, "23:07:29"),
            (Iso8601, "2026-11-23T23:07:29+01:00"),
            (Std11, "Mon, 23 Nov 2026 23:07:29 +0100"),
            (Zone, "+0100"),
            (Weekday, "1"),
        ] {
            assert_eq!(moment.part(part), text);
        }
        assert_eq!(NAMES.map(|(name, part)| DatePart::parse(&name.to_uppercase()) == Some(part)), [true; 13]);
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let part = |epoch, offset, part| Moment::new(epoch, offset).unwrap().part(part);
        assert_eq!(part(0, -1800, DatePart::Iso8601), "1969-12-31T23:30:00-00:30");
        assert_eq!(part(951_782_400, 0, DatePart::Date), "2000-02-29");
        assert_eq!(part(951_868_800, 0, DatePart::Date), "2000-03-01");
        assert_eq!(part(-62_135_596_800, 0, DatePart::Iso8601), "0001-01-01T00:00:00Z");
        // The day that RFC 5260 begins its count with.
        assert_eq!(part(-3_506_716_800, 0, DatePart::Julian), "0");
        assert_eq!(part(-3_506_716_800, 0, DatePart::Date), "1858-11-17");
        assert_eq!(Moment::new(i64::MAX, 3600), None);
        assert_eq!(Moment::new(i64::MIN, 0), None);
    }
}
