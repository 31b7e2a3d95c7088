//! The types of options: how the text of a value is read, and what becomes of it.
//!
//! [`Kind::read`] checks one value's text and gives a [`Value`]; [`Field`] turns that into the plain Rust type of
//! the settings' field. Defaults are written as text too, and go the same way.

use std::fmt;
use std::time::Duration;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// By prefix, lower case: `1 y on t` and `0 n of f`.
    Switch,
    /// C's strtol with base 0 (decimal, 0x…, leading 0 octal), 32 bits, within the bounds.
    Int { min: i64, max: i64 },
    /// Anything.
    Text,
    /// Words separated by blanks.
    List,
    /// Words separated by blanks, commas, or both.
    Items,
    /// One of the words; in one with `on` and `off` also the words of a switch.
    Choice(&'static [&'static str]),
    /// Some of the words, which replace the default wholly.
    Words(&'static [&'static str]),
    /// A sum of `<n>[dhms]`; a last number without a unit has the given one. A value below `floor` is raised to it.
    Duration { unit: char, floor: i64, min: i64 },
    /// A number with optional K, M or G (1024-based), Ki and so on, and B; the given unit where none is written.
    Bytes { unit: u64, min: i64 },
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Switch(bool),
    Int(i64),
    Text(String),
    List(Vec<String>),
    /// Seconds.
    Duration(i64),
    Bytes(i64),
}

impl Kind {
    pub const INT: Kind = Kind::Int { min: i32::MIN as i64, max: i32::MAX as i64 };
    pub const COUNT: Kind = Kind::Int { min: 0, max: i32::MAX as i64 };
    pub const PERCENT: Kind = Kind::Int { min: 0, max: 100 };
    pub const PORT: Kind = Kind::Int { min: 1, max: 65535 };
    pub const SECONDS: Kind = Kind::Duration { unit: 's', floor: 0, min: 0 };
    pub const MINUTES: Kind = Kind::Duration { unit: 'm', floor: 0, min: 0 };
    pub const DAYS: Kind = Kind::Duration { unit: 'd', floor: 0, min: 0 };
    pub const BYTES: Kind = Kind::Bytes { unit: 1, min: 0 };
    pub const KBYTES: Kind = Kind::Bytes { unit: 1024, min: 0 };

    /// Reads one value. The second part is a warning: the value is taken, but not as written.
    ///
    /// # Errors
    /// What is wrong, as a clause to stand after `key: `.
    pub fn read(&self, text: &str) -> Result<(Value, Option<String>), String> {
        let plain = |value| Ok((value, None));
        match *self {
            Kind::Switch => plain(Value::Switch(read_switch(text)?)),
            Kind::Int { min, max } => plain(Value::Int(read_int(text, min, max)?)),
            Kind::Text => plain(Value::Text(text.to_owned())),
            Kind::List => plain(Value::List(words(text))),
            Kind::Items => plain(Value::List(items(text))),
            Kind::Choice(all) => plain(Value::Text(read_choice(text, all)?)),
            Kind::Words(all) => plain(Value::List(read_words(text, all)?)),
            Kind::Duration { unit, floor, min } => read_duration(text, unit, floor, min),
            Kind::Bytes { unit, min } => plain(Value::Bytes(read_bytes(text, unit, min)?)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Switch => f.write_str("switch"),
            Kind::Int { min, max } if *min == i64::from(i32::MIN) && *max == i64::from(i32::MAX) => {
                f.write_str("number")
            }
            Kind::Int { min, max } if *max == i64::from(i32::MAX) => write!(f, "number, at least {min}"),
            Kind::Int { min, max } => write!(f, "number from {min} to {max}"),
            Kind::Text => f.write_str("text"),
            Kind::List => f.write_str("list of words"),
            Kind::Items => f.write_str("list of words, also with commas between them"),
            Kind::Choice(all) => write!(f, "one of: {}", all.join(", ")),
            Kind::Words(all) => write!(f, "any of: {}", all.join(", ")),
            Kind::Duration { unit, floor, .. } => {
                let name = match unit {
                    'd' => "days",
                    'h' => "hours",
                    'm' => "minutes",
                    _ => "seconds",
                };
                write!(f, "duration, in {name} where no unit is written")?;
                if *floor > 0 { write!(f, ", at least {}", show_duration(*floor)) } else { Ok(()) }
            }
            Kind::Bytes { unit: 1, .. } => f.write_str("size, in bytes where no unit is written"),
            Kind::Bytes { .. } => f.write_str("size, in KiB where no unit is written"),
        }
    }
}

/// A plain type that a field of the settings may have.
pub trait Field: Sized {
    /// `None` stands for an option that is unset and has no default.
    fn from_value(value: Option<Value>) -> Self;
}

impl Field for bool {
    fn from_value(value: Option<Value>) -> bool {
        matches!(value, Some(Value::Switch(true)))
    }
}

impl Field for Option<bool> {
    fn from_value(value: Option<Value>) -> Option<bool> {
        value.map(|value| value == Value::Switch(true))
    }
}

impl Field for i64 {
    fn from_value(value: Option<Value>) -> i64 {
        match value {
            Some(Value::Int(n) | Value::Bytes(n) | Value::Duration(n)) => n,
            _ => 0,
        }
    }
}

impl Field for u32 {
    fn from_value(value: Option<Value>) -> u32 {
        u32::try_from(i64::from_value(value)).unwrap_or(0)
    }
}

impl Field for u16 {
    fn from_value(value: Option<Value>) -> u16 {
        u16::try_from(i64::from_value(value)).unwrap_or(0)
    }
}

impl Field for u64 {
    fn from_value(value: Option<Value>) -> u64 {
        u64::try_from(i64::from_value(value)).unwrap_or(0)
    }
}

/// A negative size is "none".
impl Field for Option<u64> {
    fn from_value(value: Option<Value>) -> Option<u64> {
        value.and_then(|value| u64::try_from(i64::from_value(Some(value))).ok())
    }
}

impl Field for Duration {
    fn from_value(value: Option<Value>) -> Duration {
        Duration::from_secs(u64::from_value(value))
    }
}

/// A negative duration is "none".
impl Field for Option<Duration> {
    fn from_value(value: Option<Value>) -> Option<Duration> {
        Option::<u64>::from_value(value).map(Duration::from_secs)
    }
}

impl Field for String {
    fn from_value(value: Option<Value>) -> String {
        match value {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        }
    }
}

impl Field for Option<String> {
    fn from_value(value: Option<Value>) -> Option<String> {
        value.map(|value| String::from_value(Some(value))).filter(|text| !text.is_empty())
    }
}

impl Field for Vec<String> {
    fn from_value(value: Option<Value>) -> Vec<String> {
        match value {
            Some(Value::List(list)) => list,
            _ => Vec::new(),
        }
    }
}

fn items(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

pub(super) fn read_switch(text: &str) -> Result<bool, String> {
    for (prefixes, value) in [(["1", "y", "on", "t"], true), (["0", "n", "of", "f"], false)] {
        if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            return Ok(value);
        }
    }
    Err(format!("'{text}' is neither yes nor no (1, yes, on, true or 0, no, off, false, in lower case)"))
}

fn read_int(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..).unwrap_or("")),
        [b'0', _, ..] => (8, digits.get(1..).unwrap_or("")),
        _ => (10, digits),
    };
    let what = if radix == 8 { " (a leading 0 means octal)" } else { "" };
    if digits.starts_with(['+', '-']) {
        return Err(format!("'{text}' is not a number"));
    }
    let number = i64::from_str_radix(digits, radix).map_err(|_| format!("'{text}' is not a number{what}"))?;
    let number = if negative { -number } else { number };
    if i32::try_from(number).is_err() {
        return Err(format!("{text} does not fit into 32 bits"));
    }
    if number < min {
        return Err(format!("{number} is too small: the least is {min}"));
    }
    if number > max {
        return Err(format!("{number} is too large: the most is {max}"));
    }
    Ok(number)
}

fn read_choice(text: &str, all: &[&str]) -> Result<String, String> {
    if all.contains(&text) {
        return Ok(text.to_owned());
    }
    let alias = match text {
        "1" | "yes" | "t" | "true" => "on",
        "0" | "no" | "f" | "false" => "off",
        _ => "",
    };
    if all.contains(&alias) {
        return Ok(alias.to_owned());
    }
    Err(format!("'{text}' is not one of: {}", all.join(", ")))
}

fn read_words(text: &str, all: &[&str]) -> Result<Vec<String>, String> {
    let found = words(text);
    let strange: Vec<&str> = found.iter().map(String::as_str).filter(|word| !all.contains(word)).collect();
    if strange.is_empty() {
        return Ok(found);
    }
    Err(format!("'{}' is not among: {}", strange.join("', '"), all.join(", ")))
}

fn unit_seconds(unit: char) -> Option<i64> {
    match unit {
        'd' => Some(86400),
        'h' => Some(3600),
        'm' => Some(60),
        's' => Some(1),
        _ => None,
    }
}

/// A duration as options have it, in seconds; `unit`: that of a number without one. None for anything else, negative ones among
/// that. For durations that are kept elsewhere: the `expire` annotation.
pub fn duration(text: &str, unit: char) -> Option<u64> {
    match read_duration(text, unit, i64::MIN, i64::MIN) {
        Ok((Value::Duration(seconds), _)) => u64::try_from(seconds).ok(),
        _ => None,
    }
}

fn read_duration(text: &str, unit: char, floor: i64, min: i64) -> Result<(Value, Option<String>), String> {
    let wrong = || format!("'{text}' is not a duration (such as 90s, 32m, 1d12h)");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut total: i64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(end);
        let number: i64 = digits.parse().map_err(|_| wrong())?;
        let mut tail = tail.chars();
        let factor = match tail.next() {
            Some(c) => unit_seconds(c).ok_or_else(wrong)?,
            None => unit_seconds(unit).ok_or_else(wrong)?,
        };
        let part = number.checked_mul(factor).filter(|n| i32::try_from(*n).is_ok());
        total =
            part.and_then(|part| total.checked_add(part)).ok_or_else(|| format!("'{text}' is too long"))?;
        rest = tail.as_str();
    }
    let total = if negative { -total } else { total };
    if i32::try_from(total).is_err() {
        return Err(format!("'{text}' is too long"));
    }
    if total < min {
        return Err(format!("'{text}' is too short: the least is {}", show_duration(min)));
    }
    if total < floor {
        let warning = format!("'{text}' is too short, {} is used", show_duration(floor));
        return Ok((Value::Duration(floor), Some(warning)));
    }
    Ok((Value::Duration(total), None))
}

fn read_bytes(text: &str, unit: u64, min: i64) -> Result<i64, String> {
    let wrong = || format!("'{text}' is not a size (such as 65536, 64K, 10M, 1G)");
    let start = usize::from(text.starts_with(['-', '+']));
    let end =
        text.char_indices().skip(start).find(|(_, c)| !c.is_ascii_digit()).map_or(text.len(), |(i, _)| i);
    let (digits, suffix) = text.split_at(end);
    let number: i64 = digits.parse().map_err(|_| wrong())?;
    let factor = match suffix.trim().to_ascii_lowercase().as_str() {
        "" => i64::try_from(unit).map_err(|_| wrong())?,
        "b" => 1,
        "k" | "ki" | "kb" | "kib" => 1 << 10,
        "m" | "mi" | "mb" | "mib" => 1 << 20,
        "g" | "gi" | "gb" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    // A negative number is a word ("none", "no limit"), not a size.
    let factor = if number < 0 { 1 } else { factor };
    let bytes = number.checked_mul(factor).ok_or_else(|| format!("'{text}' is too large"))?;
    if bytes < min {
        return Err(format!("{text} is too small: the least is {min}"));
    }
    Ok(bytes)
}

/// A duration as this file writes it, in its largest units: `1d12h`, `32m`, `0s`.
pub fn show_duration(seconds: i64) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if seconds < 0 {
        out.push('-');
    }
    let mut rest = seconds.unsigned_abs();
    for (size, unit) in [(86400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')] {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}
