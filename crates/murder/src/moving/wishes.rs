//! How an operator writes what is wanted of moves.

use config::imapd::kind::{Kind, Value};
use moves::wishes::{Hours, Wishes};

/// What is wanted of moves besides that they happen
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "wishes")]
pub struct Args {
    /// Bytes in a second at most, of each move; K, M and G are understood
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    rate: Option<u64>,
    /// Only in these hours of a day, by the clock of this host
    #[arg(long, value_name = "HH:MM-HH:MM", value_parser = hours)]
    at: Option<Hours>,
    /// How long the copy stays where the mailbox was: 7d, 12h
    #[arg(long, value_name = "TIME", value_parser = keep)]
    keep: Option<u64>,
}

impl Args {
    pub fn wishes(&self) -> Wishes {
        Wishes { rate: self.rate, hours: self.at, keep: self.keep, ..Wishes::default() }
    }

    /// A move with such wishes is nothing that one waits for.
    pub fn waits(&self) -> bool {
        self.at.is_some()
    }

    /// Nothing is wanted that only a queue of ours can do.
    pub fn is_empty(&self) -> bool {
        self.wishes() == Wishes::default()
    }
}

fn rate(text: &str) -> Result<u64, String> {
    number(Kind::BYTES, text)
}

fn keep(text: &str) -> Result<u64, String> {
    number(Kind::DAYS, text)
}

fn number(kind: Kind, text: &str) -> Result<u64, String> {
    match kind.read(text)?.0 {
        Value::Bytes(n) | Value::Duration(n) => u64::try_from(n).map_err(|error| error.to_string()),
        _ => Err("is no number".to_owned()),
    }
}

/// Sent in UTC: a backend need not know where its operator is.
fn hours(text: &str) -> Result<Hours, String> {
    let offset = time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC);
    hours_at(text, offset.whole_minutes())
}

fn hours_at(text: &str, offset: i16) -> Result<Hours, String> {
    let bad = || format!("'{text}' is no part of a day: 22:00-06:00");
    let (from, until) = text.split_once('-').ok_or_else(bad)?;
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute) = (hour.parse::<i16>().ok()?, minute.parse::<i16>().ok()?);
        let fits = (0..24).contains(&hour) && (0..60).contains(&minute);
        u16::try_from((hour * 60 + minute - offset).rem_euclid(24 * 60)).ok().filter(|_| fits)
    };
    match (minute(from), minute(until)) {
        (Some(from), Some(until)) if from != until => Ok(Hours { from, until }),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_operator_s_clock() {
        assert_eq!(hours_at("22:00-06:00", 120), Ok(Hours { from: 20 * 60, until: 4 * 60 }));
        assert_eq!(hours_at("01:30-06:00", 120), Ok(Hours { from: 23 * 60 + 30, until: 4 * 60 }));
        assert_eq!(hours_at("0:00-0:01", -90), Ok(Hours { from: 90, until: 91 }));
        for wrong in ["", "22-06", "22:00", "24:00-06:00", "22:00-06:60", "06:00-06:00", "-1:00-2:00"] {
            assert!(hours_at(wrong, 0).is_err(), "{wrong}");
        }
        let at = |minute: u64| Hours { from: 1320, until: 360 }.has(minute * 60);
        assert!(at(1320) && at(1439) && at(0) && at(359) && !at(360) && !at(1319));
    }

    #[test]
    fn rates_and_times_are_written_as_in_imapd_conf() {
        assert_eq!(
            (rate("50M"), keep("7d"), keep("12h"), keep("3")),
            (Ok(50 << 20), Ok(604_800), Ok(43_200), Ok(259_200))
        );
        assert!(rate("fast").is_err() && keep("soon").is_err());
    }
}
