//! Dates: RFC 3501 section 9, `date` (in SEARCH) and `date-time` (INTERNALDATE).

use std::fmt;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, map_opt, value, verify};
use nom::sequence::{delimited, preceded};

use crate::grammar::{self, Cursor, ParseError, Parsed, byte, quoted, run};

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let date = Date { year, month, day };
        date.civil().map(|_| date)
    }

    /// `date = date-text / DQUOTE date-text DQUOTE`
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Date> {
        let date = match at.peek() {
            Some(b'"') => delimited(byte(b'"'), Date::text, byte(b'"')).parse(at),
            _ => Date::text(at),
        };
        date.map_err(|_| ParseError::Invalid("date").into())
    }

    /// `date-text = 1*2DIGIT "-" month "-" 4DIGIT`: `1-Feb-1994`
    fn text(at: Cursor<'_>) -> Parsed<'_, Date> {
        let text = (digits(1, 2), delimited(byte(b'-'), month, byte(b'-')), digits(4, 4));
        map_opt(text, |(day, month, year)| Date::new(year, month, u8::try_from(day).ok()?)).parse(at)
    }

    /// Days since 1 January 1970.
    pub fn days(self) -> i64 {
        let julian = self.civil().map_or(EPOCH, time::Date::to_julian_day);
        i64::from(julian) - i64::from(EPOCH)
    }

    /// The day so many days after 1 January 1970, from year 0 to year 9999: what is before or behind them is their first or
    /// their last day.
    pub fn from_days(days: i64) -> Date {
        let first = Date { year: 0, month: 1, day: 1 };
        let last = Date { year: 9999, month: 12, day: 31 };
        let days = days.clamp(first.days(), last.days());
        let julian = i32::try_from(days).ok().and_then(|days| days.checked_add(EPOCH));
        let civil = julian.and_then(|julian| time::Date::from_julian_day(julian).ok());
        let date = civil.and_then(|civil| {
            let year = u16::try_from(civil.year()).ok()?;
            Some(Date { year, month: civil.month().into(), day: civil.day() })
        });
        date.unwrap_or(first)
    }

    fn civil(self) -> Option<time::Date> {
        let month = time::Month::try_from(self.month).ok()?;
        time::Date::from_calendar_date(self.year.into(), month, self.day).ok()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, month_name(self.month), self.year)
    }
}

/// A moment, with the zone in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Seconds since 1970, UTC.
    pub epoch: i64,
    /// Minutes east of UTC.
    pub zone: i16,
}

impl DateTime {
    /// In UTC.
    pub fn utc(epoch: i64) -> DateTime {
        DateTime { epoch, zone: 0 }
    }

    /// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`:
    /// `"17-Jul-1996 02:44:25 -0700"`
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, DateTime> {
        const INVALID: ParseError = ParseError::Invalid("date-time");
        let (at, text) = quoted(at).map_err(|_| INVALID)?;
        let mut inside = Cursor::new(&text, grammar::Limits::default());
        let moment = inside.read(|at| preceded(run(|b| b == b' '), DateTime::text).parse(at)).ok();
        let moment = moment.filter(|_| inside.at_end()).ok_or(INVALID)?;
        Ok((at, moment))
    }

    /// `1*2DIGIT "-" month "-" 4DIGIT SP 2DIGIT ":" 2DIGIT ":" 2DIGIT SP ("+" / "-") 4DIGIT`
    fn text(at: Cursor<'_>) -> Parsed<'_, DateTime> {
        let two = |max| map(verify(digits(2, 2), move |number| *number <= max), i64::from);
        let (at, date) = Date::text(at)?;
        let (at, hour) = preceded(byte(b' '), two(23)).parse(at)?;
        let (at, minute) = preceded(byte(b':'), two(59)).parse(at)?;
        let (at, second) = preceded(byte(b':'), two(60)).parse(at)?;
        let (at, zone) = preceded(byte(b' '), zone).parse(at)?;
        let local = date.days() * 86_400 + hour * 3600 + minute * 60 + second;
        Ok((at, DateTime { epoch: local - i64::from(zone) * 60, zone }))
    }

    /// The day in its own zone.
    pub fn date(self) -> Date {
        Date::from_days((self.epoch + i64::from(self.zone) * 60).div_euclid(86_400))
    }
}

impl fmt::Display for DateTime {
    /// Without the quotes; the day is padded with a blank.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.epoch + i64::from(self.zone) * 60;
        let (date, time) = (Date::from_days(local.div_euclid(86_400)), local.rem_euclid(86_400));
        let sign = if self.zone < 0 { '-' } else { '+' };
        let zone = self.zone.unsigned_abs();
        write!(
            f,
            "{:2}-{}-{:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            date.day,
            month_name(date.month),
            date.year,
            time / 3600,
            time / 60 % 60,
            time % 60,
            zone / 60,
            zone % 60
        )
    }
}

/// The Julian day of 1 January 1970.
const EPOCH: i32 = 2_440_588;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn month_name(month: u8) -> &'static str {
    MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&"Jan")
}

/// Digits, `min` to `max` of them and no more.
fn digits<'a>(min: usize, max: usize) -> impl Fn(Cursor<'a>) -> Parsed<'a, u16> {
    move |at| match grammar::digits(at)? {
        (rest, digits) if (min..=max).contains(&digits.len()) => {
            let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            Ok((rest, number.ok_or(ParseError::Invalid("number"))?))
        }
        _ => Err(ParseError::Invalid("number").into()),
    }
}

/// `month = "Jan" / "Feb" / … / "Dec"`
fn month(at: Cursor<'_>) -> Parsed<'_, u8> {
    let at_index = |word: &[u8]| MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word));
    map_opt(run(|b| b.is_ascii_alphabetic()), |word| u8::try_from(at_index(word)? + 1).ok()).parse(at)
}

/// `zone = ("+" / "-") 4DIGIT`, in minutes.
fn zone(at: Cursor<'_>) -> Parsed<'_, i16> {
    let sign = alt((value(1, byte(b'+')), value(-1, byte(b'-'))));
    map_opt((sign, digits(4, 4)), |(sign, hhmm)| {
        Some(sign * i16::try_from(hhmm / 100 * 60 + hhmm % 100).ok()?)
    })
    .parse(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Limits;
    use proptest::prelude::*;

    fn date_time(text: &str) -> Result<DateTime, ParseError> {
        Cursor::new(text.as_bytes(), Limits::default()).read(DateTime::parse)
    }

    #[test]
    fn the_example_of_the_rfc() {
        let moment = date_time("\"17-Jul-1996 02:44:25 -0700\"").unwrap();
        assert_eq!(moment, DateTime { epoch: 837_596_665, zone: -420 });
        assert_eq!(moment.to_string(), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(date_time("\" 1-Jan-1970 00:00:00 +0000\"").unwrap().epoch, 0);
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "\"31-Feb-2020 00:00:00 +0000\"",
            "\"1-Foo-2020 00:00:00 +0000\"",
            "\"\"",
            "\"1-Jan-2020 24:00:00 +0000\"",
            "\"1-Jan-2020 00:00:00 0000\"",
            "\"1-Jan-2020 00:00:00 +0000 \"",
            "1-Jan-2020",
        ] {
            assert!(date_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_before_year_0_or_behind_year_9999_is_told_as_the_nearest_day_of_four_digits() {
        let told = |epoch| DateTime::utc(epoch).to_string();
        assert_eq!(told(253_402_300_799), "31-Dec-9999 23:59:59 +0000");
        for (epoch, day) in [
            (253_402_300_800, "31-Dec-9999 "),
            (i64::MAX / 2, "31-Dec-9999 "),
            (i64::MIN / 2, " 1-Jan-0000 "),
        ] {
            assert!(told(epoch).starts_with(day), "{}", told(epoch));
        }
        assert_eq!(Date::new(2000, 2, 29).map(Date::days), Some(11_016));
        assert_eq!(
            (Date::new(1900, 2, 29), Date::new(2023, 13, 1), Date::new(2023, 4, 31)),
            (None, None, None)
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_again(epoch in 0i64..32_503_680_000, zone in -840i16..840) {
            let moment = DateTime { epoch, zone };
            prop_assert_eq!(date_time(&format!("\"{moment}\"")), Ok(moment));
        }

        #[test]
        fn days_count_both_ways(days in -719_528i64..=2_932_896) {
            prop_assert_eq!(Date::from_days(days).days(), days);
        }
    }
}
