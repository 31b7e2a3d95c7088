//! When the figures are read, and whom they speak of.

use std::time::Instant;

use config::imapd::{Imapd, SelectMode};

use crate::limits::READING;
use crate::weight::{Space, pick, weigh};

/// How one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub mode: SelectMode,
    /// Percent; what is fuller is chosen only when all are. 0: no limit.
    pub soft_limit: u32,
    /// Choices that use one reading of the figures; 0: all, until the reading is too old.
    pub reinit: u32,
}

/// One that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    pub space: Space,
}

/// Chooses among candidates.
#[derive(Debug)]
pub struct Chooser {
    rules: Rules,
    reading: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    candidates: Vec<Candidate>,
    since: Instant,
    choices: u32,
}

impl Rules {
    /// `partition_select_…`
    pub fn of_partitions(imapd: &Imapd) -> Rules {
        Rules {
            mode: imapd.partition_select_mode,
            soft_limit: imapd.partition_select_soft_usage_limit,
            reinit: imapd.partition_select_usage_reinit,
        }
    }

    /// `serverlist_select_…`
    pub fn of_servers(imapd: &Imapd) -> Rules {
        Rules {
            mode: imapd.serverlist_select_mode,
            soft_limit: imapd.serverlist_select_soft_usage_limit,
            reinit: imapd.serverlist_select_usage_reinit,
        }
    }

    /// Whether figures matter.
    pub fn needs_figures(self) -> bool {
        self.mode != SelectMode::Random
    }
}

impl Chooser {
    pub fn new(rules: Rules) -> Chooser {
        Chooser { rules, reading: None }
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Whether the candidates are to be read before the next choice: the first time, for the choice that follows `reinit` others,
    /// and when the reading is old.
    pub fn is_due(&self, now: Instant) -> bool {
        self.reading.as_ref().is_none_or(|reading| {
            let used_up = self.rules.reinit > 0 && reading.choices >= self.rules.reinit;
            used_up || now.saturating_duration_since(reading.since) >= READING
        })
    }

    /// Takes a reading, in the order of the configuration.
    pub fn read(&mut self, candidates: Vec<Candidate>, now: Instant) {
        self.reading = Some(Reading { candidates, since: now, choices: 0 });
    }

    /// Whether the last reading has one of this name.
    pub fn has_read(&self, name: &str) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.candidates.iter().any(|one| one.name == name))
    }

    /// Chooses among those that `can_take` a mailbox now; `dice` is uniform in 0..100. None if nobody is left, or has room.
    pub fn choose(&mut self, dice: f64, can_take: impl Fn(&str) -> bool) -> Option<String> {
        let reading = self.reading.as_mut()?;
        reading.choices = reading.choices.saturating_add(1);
        let open: Vec<&Candidate> = reading.candidates.iter().filter(|one| can_take(&one.name)).collect();
        let spaces: Vec<Space> = open.iter().map(|one| one.space).collect();
        let weighed = weigh(self.rules.mode, self.rules.soft_limit, &spaces);
        open.get(pick(&weighed, &spaces, dice)?).map(|one| one.name.clone())
    }
}

/// From 0 to below 100; 0 where the system has no randomness, which makes a valid choice too.
pub fn dice() -> f64 {
    let mut bytes = [0; 8];
    let number = getrandom::fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes));
    (number >> 11) as f64 / (1u64 << 53) as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use SelectMode::*;

    use super::*;

    fn candidates(free: &[(u64, u64)]) -> Vec<Candidate> {
        let one = |(at, &(available, total)): (usize, &(u64, u64))| Candidate {
            name: format!("be{}", at + 1),
            space: Space { id: at as u64, available, total },
        };
        free.iter().enumerate().map(one).collect()
    }

    fn chooser(mode: SelectMode, reinit: u32) -> Chooser {
        Chooser::new(Rules { mode, soft_limit: 0, reinit })
    }

    #[test]
    fn after_so_many_choices_as_configured_the_next_one_reads_again() {
        let now = Instant::now();
        for mode in [Random, FreespaceMost, FreespacePercentMost, FreespacePercentWeighted] {
            for (reinit, expected) in
                [(0, "r........"), (1, "rrrrrrrrr"), (2, "r.r.r.r.r"), (3, "r..r..r.."), (100, "r........")]
            {
                let mut chooser = chooser(mode, reinit);
                let seen: String = (0..9)
                    .map(|_| {
                        let due = chooser.is_due(now);
                        if due {
                            chooser.read(candidates(&[(1, 2)]), now);
                        }
                        assert_eq!(chooser.choose(0.0, |_| true).as_deref(), Some("be1"));
                        if due { 'r' } else { '.' }
                    })
                    .collect();
                assert_eq!(seen, expected, "{mode:?}, reinit {reinit}");
            }
        }
    }

    #[test]
    fn an_old_reading_is_not_used_whatever_the_option_says() {
        let now = Instant::now();
        for reinit in [0, 1000] {
            let mut chooser = chooser(FreespaceMost, reinit);
            chooser.read(candidates(&[(1, 2)]), now);
            assert!(!chooser.is_due(now + READING / 2));
            assert!(chooser.is_due(now + READING));
        }
    }

    #[test]
    fn choices_without_a_result_count_too() {
        let now = Instant::now();
        let mut chooser = chooser(FreespaceMost, 2);
        chooser.read(candidates(&[(0, 10)]), now);
        assert_eq!(chooser.choose(0.0, |_| true), None);
        assert_eq!(chooser.choose(0.0, |_| true), None);
        assert!(chooser.is_due(now));
    }

    #[test]
    fn who_cannot_take_a_mailbox_now_is_weighed_as_if_it_were_not_listed() {
        let now = Instant::now();
        let mut chooser = Chooser::new(Rules { mode: FreespacePercentMost, soft_limit: 50, reinit: 0 });
        chooser.read(candidates(&[(90, 100), (20, 100), (30, 100)]), now);
        assert_eq!(chooser.choose(0.0, |_| true).as_deref(), Some("be1"));
        assert_eq!(
            chooser.choose(0.0, |name| name != "be1").as_deref(),
            Some("be3"),
            "all are over the limit"
        );
        assert_eq!(chooser.choose(0.0, |_| false), None);
        assert!(chooser.has_read("be3") && !chooser.has_read("be4"));
    }

    #[test]
    fn a_roll_of_the_dice_is_in_range() {
        assert!((0..1000).all(|_| (0.0..100.0).contains(&dice())));
    }
}
