//! The Date field: RFC 5322 section 3.3, with the obsolete zones and two-digit years of section 4.3.

use super::content::skip_comment;

/// When a message says that it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentDate {
    /// Seconds since 1970, UTC.
    pub epoch: i64,
    /// Offset of the sender's zone in minutes east; SENTON and its like compare the sender's own calendar day.
    pub zone_minutes: i16,
}

impl SentDate {
    /// The day in the sender's zone, in days since 1970-01-01: what SENTBEFORE, SENTON and SENTSINCE compare.
    pub fn day(&self) -> i64 {
        (self.epoch + i64::from(self.zone_minutes) * 60).div_euclid(86_400)
    }

    /// Reads `[Mon,] 23 Nov 2026 23:07[:29] +0100`. A time that cannot be read is 00:00, and such a zone is UTC (RFC 5256 section
    /// 2.2); the day stands all the same.
    pub fn parse(value: &[u8]) -> Option<SentDate> {
        SentDate::read(value).map(|(date, _)| date)
    }

    /// The same, of a day that there is, with a time that can be read.
    pub fn parse_exact(value: &[u8]) -> Option<SentDate> {
        SentDate::read(value).filter(|&(_, exact)| exact).map(|(date, _)| date)
    }

    /// The date, and whether it stands there as RFC 5322 has it: day and time are not made up.
    fn read(value: &[u8]) -> Option<(SentDate, bool)> {
        let tokens = tokens(value);
        let mut words = tokens.iter().map(|t| t.as_slice()).peekable();
        if words.peek()?.first().is_some_and(u8::is_ascii_alphabetic) {
            words.next();
        }
        let mut date = [words.next()?, b"", b""];
        let dashed: Vec<&[u8]> = date[0].split(|&byte| byte == b'-').collect();
        match dashed.as_slice() {
            [day, month, year] => date = [*day, *month, *year],
            _ => (date[1], date[2]) = (words.next()?, words.next()?),
        }
        let [day, month_name, year] = date;
        let (day, month) = (number(day)?, month(month_name)?);
        let year = match number(year)? {
            // As Cyrus and others read them, and not as RFC 5322 has it, by which this century ends at 49.
            year @ 0..70 => 2000 + year,
            year @ 70..1000 => 1900 + year,
            year => year,
        };
        if !(1..=31).contains(&day) || year > 9999 {
            return None;
        }
        let time = words.next().and_then(clock);
        let zone_minutes = words.next().map_or(0, zone);
        let local = days_since_1970(year, month, day)? * 86_400 + time.unwrap_or_default();
        let is_day = i32::try_from(year).is_ok_and(|year| day <= i64::from(month.length(year)));
        let date = SentDate { epoch: local - i64::from(zone_minutes) * 60, zone_minutes };
        Some((date, is_day && time.is_some()))
    }
}

/// Seconds of the day at `23:07[:29]`.
fn clock(word: &[u8]) -> Option<i64> {
    let mut parts = word.split(|&byte| matches!(byte, b':' | b'.'));
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let second = parts.next().map_or(Some(0), number)?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Words between blanks, commas and comments; no more than a date has.
fn tokens(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let (mut found, mut word) = (Vec::new(), Vec::new());
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'(' => {
                rest = skip_comment(rest);
                continue;
            }
            b' ' | b'\t' | b',' if !word.is_empty() => found.push(std::mem::take(&mut word)),
            b' ' | b'\t' | b',' => {}
            _ => word.push(byte),
        }
        if found.len() > 8 {
            break;
        }
        rest = tail;
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

fn number(word: &[u8]) -> Option<i64> {
    if word.is_empty() || word.len() > 5 || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(word.iter().fold(0, |n, &b| n * 10 + i64::from(b - b'0')))
}

fn month(word: &[u8]) -> Option<time::Month> {
    let name = word.get(..3)?.to_ascii_lowercase();
    let months =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let at = months.iter().position(|month| month.as_slice() == name)?;
    time::Month::try_from(u8::try_from(at).ok()? + 1).ok()
}

fn zone(word: &[u8]) -> i16 {
    let (sign, digits) = match word.split_first() {
        Some((b'+', digits)) => (1, digits),
        Some((b'-', digits)) => (-1, digits),
        _ => return named_zone(word),
    };
    match number(digits) {
        Some(hhmm @ 0..2400) if digits.len() == 4 => sign * ((hhmm / 100) * 60 + hhmm % 100) as i16,
        _ => 0,
    }
}

fn named_zone(word: &[u8]) -> i16 {
    match word.to_ascii_uppercase().as_slice() {
        b"EDT" => -4 * 60,
        b"EST" | b"CDT" => -5 * 60,
        b"CST" | b"MDT" => -6 * 60,
        b"MST" | b"PDT" => -7 * 60,
        b"PST" => -8 * 60,
        _ => 0,
    }
}

/// Days since 1970-01-01. A day that its month does not have is one of the next month, as senders mean it.
fn days_since_1970(year: i64, month: time::Month, day: i64) -> Option<i64> {
    let first = time::Date::from_calendar_date(i32::try_from(year).ok()?, month, 1).ok()?;
    Some(i64::from(first.to_julian_day()) - 2_440_588 + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_senders_write_them() {
        let read = |text: &str| SentDate::parse(text.as_bytes()).map(|d| (d.epoch, d.zone_minutes));
        assert_eq!(read("Thu, 1 Jan 1970 00:00:00 +0000"), Some((0, 0)));
        assert_eq!(read("Mon, 23 Nov 2026 23:07:29 +0100 (CET)"), Some((1_795_471_649, 60)));
        assert_eq!(read("23 Nov 26 22:07 GMT"), Some((1_795_471_620, 0)));
        assert_eq!(read("Tue,29 Feb 2000 12:00:00 PST"), Some((951_854_400, -480)));
        assert_eq!(read("31 Feb 2001 00:00:00 +0000"), read("3 Mar 2001 00:00:00 +0000"));
        assert_eq!(read("7 Feb 1994 21.52.25 -0800"), read("Mon, 7 Feb 1994 21:52:25 -0800"));
        assert_eq!(read("7-Feb-1994 21:52:25 -0800"), read("Mon, 7 Feb 1994 21:52:25 -0800"));
        for time in ["", " garbage", " 25:00:00", " 12", " 24:00:00"] {
            assert_eq!(read(&format!("Mon, 7 Feb 1994{time}")), read("7 Feb 1994 00:00"), "{time}");
        }
        assert_eq!(read("7 Feb 1994 25:00 -0800"), read("7 Feb 1994 00:00 -0800"));
        assert_eq!(read("1 Jan 69 00:00"), read("1 Jan 2069 00:00"));
        assert_eq!(read("1 Jan 70 00:00"), Some((0, 0)));
        assert_eq!(read("yesterday"), None);
        assert_eq!(read("31 Foo 2000 12:00:00"), None);
        let exact = |text: &str| SentDate::parse_exact(text.as_bytes()).is_some();
        assert!(exact("Tue,29 Feb 2000 12:00:00 PST") && exact("7 Feb 1994 21.52.25"));
        assert!(
            !exact("31 Feb 2001 00:00:00 +0000") && !exact("7 Feb 1994") && !exact("7 Feb 1994 25:00 -0800")
        );
    }

    #[test]
    fn the_day_is_the_senders_own() {
        let late = SentDate::parse(b"1 Jan 1970 23:30:00 -0500").unwrap();
        assert_eq!((late.day(), late.epoch), (0, 86_400 + 4 * 3600 + 1800));
    }
}
