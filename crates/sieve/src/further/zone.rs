//! Time zones as `:zone` names them: `+0130`, or a name of the IANA database, which is part of the program.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A zone.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    /// Seconds east of UTC.
    Fixed(i32),
    Named(TimeZone),
}

impl Zone {
    /// None: there is no such zone.
    pub(super) fn parse(name: &str) -> Option<Zone> {
        match name.as_bytes() {
            [sign @ (b'+' | b'-'), digits @ ..] => offset(*sign, digits).map(Zone::Fixed),
            _ => TimeZoneDatabase::bundled().get(name).ok().map(Zone::Named),
        }
    }

    /// Seconds east of UTC at that time.
    pub(super) fn offset(&self, at: i64) -> i32 {
        match self {
            Zone::Fixed(offset) => *offset,
            Zone::Named(zone) => {
                let time = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
                zone.to_offset(time).seconds()
            }
        }
    }
}

/// `0130`.
fn offset(sign: u8, digits: &[u8]) -> Option<i32> {
    let [a, b, c, d] = digits else { return None };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    let (hours, minutes) = (digit(a)? * 10 + digit(b)?, digit(c)? * 10 + digit(d)?);
    let seconds = (hours * 60 + minutes) * 60;
    Some(if sign == b'-' { -seconds } else { seconds })
}
