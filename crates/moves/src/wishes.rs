//! What an operator wants of a move besides that it happens.

use serde::{Deserialize, Serialize};

use crate::limits::PLAN;

/// What was said when a move was asked for, and since. None: as the settings have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Bytes in a second at most; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// When it may go on; none: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Seconds for which the copy at the source stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
    /// What it is a part of: a name that an operator's command gave to all of its moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// A shared mailbox takes those below it along.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tree: bool,
    /// It waits until an operator has it go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

/// A part of each day: minutes after midnight, UTC. The end is not in it; one that is not after the begin is of the day after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    pub from: u16,
    pub until: u16,
}

impl Wishes {
    /// Why such wishes cannot be had; none: they can.
    pub fn fault(&self) -> Option<&'static str> {
        let plan = |plan: &String| {
            plan.is_empty() || plan.len() > PLAN || plan.chars().any(|c| c.is_control() || c == '"')
        };
        match &self.hours {
            _ if self.plan.as_ref().is_some_and(plan) => Some("such a name of a plan cannot be kept"),
            Some(hours) if hours.from >= DAY || hours.until >= DAY => Some("a day has 1440 minutes"),
            _ => None,
        }
    }

    /// Seconds until the move may go on, at an epoch second; 0: now.
    pub fn wait(&self, now: u64) -> u64 {
        self.hours.map_or(0, |hours| hours.wait(now))
    }
}

impl Wishes {
    /// For how many seconds it may go on, at an epoch second when it may; none: without end.
    pub fn open_for(&self, now: u64) -> Option<u64> {
        self.hours.filter(|hours| hours.from != hours.until).map(|hours| {
            let (day, until) = (u64::from(DAY) * 60, u64::from(hours.until) * 60);
            match (until + day - now % day) % day {
                0 => day,
                left => left,
            }
        })
    }
}

impl Hours {
    /// Whether an epoch second is in it.
    pub fn has(self, now: u64) -> bool {
        let minute = (now / 60 % u64::from(DAY)) as u16;
        match self.from < self.until {
            true => (self.from..self.until).contains(&minute),
            false => minute >= self.from || minute < self.until,
        }
    }

    fn wait(self, now: u64) -> u64 {
        if self.has(now) {
            return 0;
        }
        let (day, from) = (u64::from(DAY) * 60, u64::from(self.from) * 60);
        (from + day - now % day) % day
    }
}

const DAY: u16 = 24 * 60;
