//! On which backend a new top-level mailbox is made: `defaultserver`, else a choice among `serverlist` by what the
//! backends say of their free space.
//!
//! Cyrus's arithmetic (lib/util.c there), but for two of its faults: a server that is down is left out instead of
//! turning the choice into a lottery that it takes part in, and `defaultserver` acts as its manual says.

use std::sync::{Mutex, PoisonError};

use config::imapd::SelectMode;

/// Free space as it was read last, and how many choices it has served.
#[derive(Default)]
pub struct Placement {
    read: Mutex<Option<Read>>,
}

struct Read {
    servers: Vec<Space>,
    choices: u32,
}

/// What one server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub server: String,
    /// KiB.
    pub available: u64,
    pub total: u64,
}

impl Placement {
    /// What was read, while it may be used: for ever with `reinit` 0, as in Cyrus, else for so many choices.
    pub fn known(&self, reinit: u32) -> Option<Vec<Space>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let held = read.as_mut()?;
        held.choices = held.choices.saturating_add(1);
        if reinit > 0 && held.choices >= reinit {
            *read = None;
            return None;
        }
        Some(held.servers.clone())
    }

    pub fn note(&self, servers: &[Space]) {
        if !servers.is_empty() {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            *read = Some(Read { servers: servers.to_vec(), choices: 0 });
        }
    }
}

/// The choice. `chance` is uniform in [0, 1).
pub fn select(mode: SelectMode, soft_limit: u32, servers: &[Space], chance: f64) -> Option<&str> {
    let percent = |space: &Space| match space.total {
        0 => None,
        total => Some(space.available.saturating_mul(100) / total).filter(|percent| *percent <= 100),
    };
    let percents: Option<Vec<u64>> = servers.iter().map(percent).collect();
    let name = |at: usize| servers.get(at).map(|space| space.server.as_str());
    let anyone = || name((chance * servers.len() as f64) as usize);
    let Some(percents) = percents.filter(|_| mode != SelectMode::Random) else { return anyone() };
    let soft = u64::from(100 - soft_limit.min(100));
    let fits = percents.iter().any(|percent| *percent > soft);
    let least =
        percents.iter().filter(|percent| !fits || **percent > soft).min().copied().unwrap_or(0) as f64;
    let weight = |percent: &u64| match mode {
        _ if fits && *percent <= soft => 0.0,
        SelectMode::FreespacePercentWeightedDelta => (*percent as f64 - least + 0.5).max(0.0),
        _ => *percent as f64,
    };
    let weights: Vec<f64> = percents.iter().map(weight).collect();
    match mode {
        SelectMode::Random => anyone(),
        SelectMode::FreespaceMost => {
            let room = |at: usize| servers.get(at).map_or(0, |space| space.available) as f64;
            name(first_max(&weights, room)?)
        }
        SelectMode::FreespacePercentMost => {
            name(first_max(&weights, |at| weights.get(at).copied().unwrap_or(0.0))?)
        }
        SelectMode::FreespacePercentWeighted | SelectMode::FreespacePercentWeightedDelta => {
            let sum: f64 = weights.iter().sum();
            let mut left = chance * sum;
            let hit = weights.iter().position(|weight| {
                left -= weight;
                *weight > 0.0 && left < 0.0
            });
            name(hit.or_else(|| weights.iter().rposition(|weight| *weight > 0.0))?)
        }
    }
}

/// The first of the largest, among those with a weight.
fn first_max(weights: &[f64], value: impl Fn(usize) -> f64) -> Option<usize> {
    let mut best: Option<usize> = None;
    for at in (0..weights.len()).filter(|&at| weights.get(at).is_some_and(|weight| *weight > 0.0)) {
        if best.is_none_or(|best| value(at) > value(best)) {
            best = Some(at);
        }
    }
    best
}

/// From 0 to below 1; 0 where the system has no randomness.
pub fn chance() -> f64 {
    let mut bytes = [0; 8];
    let number = getrandom::fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes));
    (number >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use SelectMode::*;

    fn servers(spaces: &[(u64, u64)]) -> Vec<Space> {
        let space = |(at, &(available, total)): (usize, &(u64, u64))| Space {
            server: format!("be{at}"),
            available,
            total,
        };
        spaces.iter().enumerate().map(space).collect()
    }

    #[test]
    fn each_mode_chooses_by_its_own_measure() {
        let all = servers(&[(500, 10_000), (400, 1000), (90, 100)]);
        assert_eq!(select(FreespaceMost, 0, &all, 0.0), Some("be0"));
        assert_eq!(select(FreespacePercentMost, 0, &all, 0.0), Some("be2"));
        // Weights 5, 40, 90.
        assert_eq!(select(FreespacePercentWeighted, 0, &all, 0.03), Some("be0"));
        assert_eq!(select(FreespacePercentWeighted, 0, &all, 0.3), Some("be1"));
        assert_eq!(select(FreespacePercentWeighted, 0, &all, 0.99), Some("be2"));
        // Weights 0.5, 35.5, 85.5.
        assert_eq!(select(FreespacePercentWeightedDelta, 0, &all, 0.003), Some("be0"));
        assert_eq!(select(FreespacePercentWeightedDelta, 0, &all, 0.01), Some("be1"));
        assert_eq!(select(Random, 0, &all, 0.5), Some("be1"));
    }

    #[test]
    fn full_servers_are_skipped_unless_all_are() {
        let all = servers(&[(500, 10_000), (400, 1000), (90, 100)]);
        // Fuller than 50%: less than 50% free.
        assert_eq!(select(FreespaceMost, 50, &all, 0.0), Some("be2"));
        assert_eq!(select(FreespaceMost, 5, &all, 0.0), Some("be0"), "none is below: no limit");
        assert_eq!(select(FreespaceMost, 0, &[], 0.0), None);
        assert_eq!(select(FreespaceMost, 0, &servers(&[(0, 100)]), 0.0), None, "nothing is free");
    }

    #[test]
    fn who_does_not_know_its_space_makes_it_a_lottery() {
        let all = servers(&[(0, 0), (400, 1000)]);
        assert_eq!(select(FreespaceMost, 0, &all, 0.1), Some("be0"));
        assert_eq!(select(FreespaceMost, 0, &all, 0.6), Some("be1"));
    }
}
