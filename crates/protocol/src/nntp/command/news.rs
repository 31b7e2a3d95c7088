//! NEWGROUPS, NEWNEWS (RFC 3977 sections 7.3, 7.4): what has come since a moment.
//!
//! ```text
//! "NEWGROUPS" WS date WS time [WS "GMT"]              "NEWNEWS" WS wildmat WS date WS time [WS "GMT"]
//! date = 6DIGIT / 8DIGIT                              ; [yy]yymmdd
//! time = 6DIGIT                                       ; hhmmss
//! ```
//!
//! A year of two digits is the one closest to now, hence `now` of [`Since::epoch`]. Without GMT the time is the server's, which is
//! GMT here, too.

use std::fmt;

use time::{Date, Month, PrimitiveDateTime, Time};

use super::Command;
use super::arguments::{of, optional};
use crate::grammar::{Cursor, Parsed};
use crate::nntp::wildmat::Wildmat;

/// A moment as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// Four digits, or two of them.
    year: u16,
    has_century: bool,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Since {
    fn parse(date: &str, time: &str) -> Option<Since> {
        let has_century = match date.len() {
            6 => false,
            8 => true,
            _ => return None,
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if time.len() != 6 || !digits(date) || !digits(time) {
            return None;
        }
        let (year, day) = date.split_at(date.len() - 4);
        let part = |text: &str, from: usize| text.get(from..from + 2)?.parse().ok();
        let since = Since {
            year: year.parse().ok()?,
            has_century,
            month: part(day, 0)?,
            day: part(day, 2)?,
            hour: part(time, 0)?,
            minute: part(time, 2)?,
            // A leap second is the one before it.
            second: part(time, 4).map(|second: u8| if second == 60 { 59 } else { second })?,
        };
        // The day is checked in a leap year of each century: 29 February of another year is the last of it.
        since.in_year(2000).map(|_| since)
    }

    /// Seconds since 1970. `now`: the same of the present.
    pub fn epoch(&self, now: i64) -> i64 {
        let year = i32::from(self.year);
        if self.has_century {
            return self.in_year(year).unwrap_or(now);
        }
        let this = time::OffsetDateTime::from_unix_timestamp(now).map_or(2000, |now| now.year());
        let century = this - this.rem_euclid(100);
        // RFC 3977 section 7.3.2: this century if the year is not later than this one, else the last.
        let year = if century + year <= this { century + year } else { century + year - 100 };
        self.in_year(year).unwrap_or(now)
    }

    fn in_year(&self, year: i32) -> Option<i64> {
        let month = Month::try_from(self.month).ok()?;
        let date = Date::from_calendar_date(year, month, self.day)
            .or_else(|_| Date::from_calendar_date(year, month, self.day.min(28)))
            .ok()
            .filter(|_| (1..=31).contains(&self.day))?;
        let time = Time::from_hms(self.hour, self.minute, self.second).ok()?;
        Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.has_century { 4 } else { 2 };
        write!(f, "{:0width$}{:02}{:02} ", self.year, self.month, self.day)?;
        write!(f, "{:02}{:02}{:02} GMT", self.hour, self.minute, self.second)
    }
}

pub(super) fn new_groups(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, since) = since(at)?;
    Ok((at, Command::NewGroups(since)))
}

pub(super) fn new_news(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, groups) = of(|text| Wildmat::parse(text).ok())(at)?;
    let (at, since) = since(at)?;
    Ok((at, Command::NewNews { groups, since }))
}

fn since(at: Cursor<'_>) -> Parsed<'_, Since> {
    let (at, date) = of(|text| Some(text.to_owned()))(at)?;
    let (at, since) = of(|time| Since::parse(&date, time))(at)?;
    let (at, _) = optional(of(|text| text.eq_ignore_ascii_case("GMT").then_some(())))(at)?;
    Ok((at, since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_two_digits_is_not_in_the_future() {
        let now = 1_800_000_000; // January 2027
        let epoch = |date, time| Since::parse(date, time).map(|since| since.epoch(now));
        assert_eq!(epoch("19700101", "000001"), Some(1));
        assert_eq!(epoch("261231", "235959"), epoch("20261231", "235959"));
        assert_eq!(epoch("281231", "235959"), epoch("19281231", "235959"));
        assert_eq!(epoch("20260101", "000060"), epoch("20260101", "000059"));
        assert_eq!(epoch("20270229", "000000"), epoch("20270228", "000000"));
        for (date, time) in [
            ("1701", "000000"),
            ("20261301", "000000"),
            ("20260100", "000000"),
            ("20260101", "240000"),
            ("2026010a", "000000"),
        ] {
            assert_eq!(epoch(date, time), None, "{date} {time}");
        }
    }
}
