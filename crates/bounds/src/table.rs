//! The rows of a table, and what is told when one of them is met.

use std::fmt;
use std::time::Duration;

use tracing::warn;

use crate::Seldom;

/// The limits and timers of one kind of session.
#[derive(Debug)]
pub struct Table {
    pub title: &'static str,
    pub rows: &'static [&'static Limit],
}

/// One limit or timer.
#[derive(Debug)]
pub struct Limit {
    /// The table's short name and the constant's, or the option's: `imap.ASIDE`. A log line and the metric have it.
    pub name: &'static str,
    pub what: &'static str,
    pub value: Value,
    /// The option that sets it. Where there is a value too, it is the least: a smaller value of the option is raised to it.
    pub option: Option<&'static str>,
    /// Where the number comes from.
    pub source: &'static str,
    seldom: Seldom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Time(Duration),
    Bytes(u64),
    Count(u64),
    /// As the option has it.
    Option,
}

impl Limit {
    /// For [`table!`](macro@crate::table).
    pub const fn new(
        name: &'static str,
        what: &'static str,
        value: Value,
        option: Option<&'static str>,
        source: &'static str,
    ) -> Limit {
        Limit { name, what, value, option, source, seldom: Seldom::each_minute() }
    }

    /// Somebody ran into it. Counts that, and logs it at most once a minute. `happened`: to whom, and what follows.
    pub fn met(&self, happened: impl fmt::Display) {
        metrics::counter!("murder_limits_met_total", "limit" => self.name).increment(1);
        if let Some(times) = self.seldom.met() {
            warn!(limit = self.name, times, "{happened}");
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Time(time) => show_time(time, f),
            Value::Bytes(bytes) => show_bytes(bytes, f),
            Value::Count(count) => show_count(count, f),
            Value::Option => f.write_str("as set"),
        }
    }
}

fn show_time(time: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let seconds = time.as_secs();
    match (time.subsec_millis(), seconds) {
        (0, 0) => f.write_str("0"),
        (0, s) if s % 86_400 == 0 => write!(f, "{} d", s / 86_400),
        (0, s) if s % 3600 == 0 => write!(f, "{} h", s / 3600),
        (0, s) if s % 60 == 0 => write!(f, "{} min", s / 60),
        (0, s) => write!(f, "{s} s"),
        _ => write!(f, "{} ms", time.as_millis()),
    }
}

fn show_bytes(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return write!(f, "{} {unit}", bytes >> shift);
        }
    }
    show_count(bytes, f)?;
    f.write_str(" bytes")
}

/// With a comma before each three digits.
fn show_count(count: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digits = count.to_string();
    for (at, digit) in digits.char_indices() {
        let comma = if at > 0 && (digits.len() - at).is_multiple_of(3) { "," } else { "" };
        write!(f, "{comma}{digit}")?;
    }
    Ok(())
}

/// One table of limits, and the constants that the code uses.
///
/// ```
/// mod limits {
///     use std::time::Duration;
///
///     bounds::table! {
///         "pop3", "A POP3 session";
///         options {
///             /// How long a client may be silent.
///             poptimeout, "RFC 1939 section 3";
///         }
///         /// Bytes of a command with its end.
///         pub LINE: usize = 16 * 1024, Bytes, "RFC 2449 has 255 bytes; an AUTH response may be long";
///         /// How long a client may take to log in.
///         pub LOGIN: Duration = Duration::from_secs(180), Time, "our own";
///         /// How long an answer of a backend is waited for.
///         pub ANSWER: Duration = Duration::from_secs(1), Time Least "client_timeout", "our own";
///     }
/// }
///
/// assert_eq!(limits::LINE, 16_384);
/// assert_eq!(limits::TABLE.rows.len(), 4);
/// limits::rows::LINE.met("a client sends an endless line: it is disconnected");
/// ```
#[macro_export]
macro_rules! table {
    (
        $name:literal, $title:literal;
        $(options { $( $(#[doc = $of:literal])+ $option:ident, $origin:literal; )* })?
        $( $(#[doc = $what:literal])+
            $vis:vis $row:ident: $type:ty = $value:expr, $unit:ident $(Least $set:literal)?, $source:literal; )*
    ) => {
        $( $(#[doc = $what])+ $vis const $row: $type = $value; )*

        pub static TABLE: $crate::Table = $crate::Table {
            title: $title,
            rows: &[ $($( &rows::$option, )*)? $( &rows::$row, )* ],
        };

        /// What is met, by the name of its constant or option.
        #[allow(non_upper_case_globals)]
        pub mod rows {
            $($(
                pub static $option: $crate::Limit = $crate::Limit::new(
                    concat!($name, ".", stringify!($option)),
                    concat!($($of),+),
                    $crate::Value::Option,
                    Some(stringify!($option)),
                    $origin,
                );
            )*)?
            $(
                pub static $row: $crate::Limit = $crate::Limit::new(
                    concat!($name, ".", stringify!($row)),
                    concat!($($what),+),
                    $crate::value!($unit super::$row),
                    $crate::table!(@option $($set)?),
                    $source,
                );
            )*
        }
    };
    (@option) => { None };
    (@option $set:literal) => { Some($set) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! value {
    (Time $value:expr) => {
        $crate::Value::Time($value)
    };
    ($unit:ident $value:expr) => {
        $crate::Value::$unit($value as u64)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_with_the_unit_that_an_admin_would_use() {
        for (value, shown) in [
            (Value::Time(Duration::from_secs(180)), "3 min"),
            (Value::Time(Duration::from_secs(90)), "90 s"),
            (Value::Time(Duration::from_secs(30 * 86_400)), "30 d"),
            (Value::Time(Duration::from_millis(1500)), "1500 ms"),
            (Value::Bytes(8 << 20), "8 MiB"),
            (Value::Bytes(21_848), "21,848 bytes"),
            (Value::Count(1_000_000), "1,000,000"),
            (Value::Count(100), "100"),
        ] {
            assert_eq!(value.to_string(), shown);
        }
    }
}
