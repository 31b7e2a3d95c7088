use super::cursor::{Cursor, Limits, ParseError};
use crate::imap::{Date, DateTime, Flag, SequenceSet};

type Bound = Option<u32>;
const MAX_RANGES: usize = 50_000;
const MAX: usize = 256;
const KEYWORD_MAX: usize = 255;
const SYSTEM: [(&str, Flag); 5] = [
    ("Answered", Flag::Answered),
    ("Flagged", Flag::Flagged),
    ("Deleted", Flag::Deleted),
    ("Seen", Flag::Seen),
    ("Draft", Flag::Draft),
];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub fn sequence_set(cursor: &mut Cursor<'_>) -> Result<SequenceSet, ParseError> {
    let mut ranges = Vec::new();
    loop {
        let first = bound(cursor)?;
        let last = if cursor.eat(b':') { bound(cursor)? } else { first };
        ranges.push((first, last));
        if ranges.len() > MAX_RANGES {
            return Err(ParseError::Invalid("sequence, too long,"));
        }
        if !cursor.eat(b',') {
            return Ok(SequenceSet(ranges));
        }
    }
}
fn bound(cursor: &mut Cursor<'_>) -> Result<Bound, ParseError> {
    if cursor.eat(b'*') {
        return Ok(None);
    }
    match cursor.number() {
        Ok(0) => Err(ParseError::Invalid("sequence")),
        Ok(n) => Ok(Some(n)),
        Err(ParseError::Missing) => Err(ParseError::Missing),
        Err(_) => Err(ParseError::Invalid("sequence")),
    }
}
pub fn flag(cursor: &mut Cursor<'_>) -> Result<Flag, ParseError> {
    if !cursor.eat(b'\\') {
        let word = cursor.atom()?;
        if word.len() > KEYWORD_MAX {
            return Err(ParseError::Invalid("flag, too long,"));
        }
        return Ok(Flag::Keyword(word.to_owned()));
    }
    let word = cursor.atom()?;
    (SYSTEM.iter())
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, flag)| flag.clone())
        .ok_or(ParseError::Invalid("system flag"))
}
pub fn flag_list(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, ParseError> {
    let flags = cursor.list(MAX, |cursor| {
        if cursor.rest().len() >= 7 && cursor.rest()[..7].eq_ignore_ascii_case(b"\\Recent") {
            cursor.eat(b'\\');
            return cursor.atom().map(|_| None);
        }
        flag(cursor).map(Some)
    })?;
    Ok(flags.into_iter().flatten().collect())
}
pub fn date(cursor: &mut Cursor<'_>) -> Result<Date, ParseError> {
    let quoted = cursor.eat(b'"');
    let date = date_read(cursor).ok_or(ParseError::Invalid("date"))?;
    if quoted && !cursor.eat(b'"') {
        return Err(ParseError::Invalid("date"));
    }
    Ok(date)
}
fn date_read(cursor: &mut Cursor<'_>) -> Option<Date> {
    let day = digits(cursor, 1, 2)?;
    let month = month(cursor)?;
    let year = digits(cursor, 4, 4)?;
    Date::new(year, month, u8::try_from(day).ok()?)
}
pub fn date_time(cursor: &mut Cursor<'_>) -> Result<DateTime, ParseError> {
    let text = cursor.quoted().map_err(|_| ParseError::Invalid("date-time"))?;
    let mut inner = Cursor::new(&text, Limits::default());
    date_time_read(&mut inner).filter(|_| inner.at_end()).ok_or(ParseError::Invalid("date-time"))
}
fn date_time_read(cursor: &mut Cursor<'_>) -> Option<DateTime> {
    cursor.take_while(|b| b == b' ');
    let date = date_read(cursor)?;
    let mut number = |before: u8, max: u16| -> Option<i64> {
        (before == 0 || cursor.eat(before)).then_some(())?;
        digits(cursor, 2, 2).filter(|&n| n <= max).map(i64::from)
    };
    let (hour, minute, second) = (number(b' ', 23)?, number(b':', 59)?, number(b':', 60)?);
    cursor.eat(b' ').then_some(())?;
    let sign = match (cursor.eat(b'+'), cursor.eat(b'-')) {
        (true, _) => 1,
        (_, true) => -1,
        _ => return None,
    };
    let hhmm = digits(cursor, 4, 4)?;
    let zone = sign * i16::try_from(hhmm / 100 * 60 + hhmm % 100).ok()?;
    let local = date.days() * 86_400 + hour * 3600 + minute * 60 + second;
    Some(DateTime { epoch: local - i64::from(zone) * 60, zone })
}
fn digits(cursor: &mut Cursor<'_>, min: usize, max: usize) -> Option<u16> {
    let digits = cursor.take_while(|b| b.is_ascii_digit());
    (digits.len() >= min && digits.len() <= max).then_some(())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
fn month(cursor: &mut Cursor<'_>) -> Option<u8> {
    cursor.eat(b'-').then_some(())?;
    let word = cursor.take_while(|b| b.is_ascii_alphabetic());
    let at = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word))?;
    cursor.eat(b'-').then_some(())?;
    u8::try_from(at + 1).ok()
}
