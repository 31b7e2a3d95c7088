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
        let valid = (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
        valid.then_some(Date { year, month, day })
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
        let (y, m, d) = (i64::from(self.year), i64::from(self.month), i64::from(self.day));
        let y = if m <= 2 { y - 1 } else { y };
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The day so many days after 1 January 1970.
    pub fn from_days(days: i64) -> Date {
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let mp = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Date {
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
        }
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

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn month_name(month: u8) -> &'static str {
    MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&"Jan")
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
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

    proptest! {
        #[test]
        fn what_is_printed_parses_again(epoch in 0i64..32_503_680_000, zone in -840i16..840) {
            let moment = DateTime { epoch, zone };
            prop_assert_eq!(date_time(&format!("\"{moment}\"")), Ok(moment));
        }

        #[test]
        fn days_count_both_ways(days in -700_000i64..20_000_000) {
            prop_assume!(Date::from_days(days).year < u16::MAX && days > -700_000);
            prop_assert_eq!(Date::from_days(days).days(), days);
        }
    }
}
