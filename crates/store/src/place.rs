//! Which partition a new mailbox goes to: `defaultpartition`, or a choice by `partition_select_mode`, in Cyrus's own
//! arithmetic.

use std::sync::Mutex;

use config::imapd::{Imapd, SelectMode};

use super::{disk, lock};

/// Chooses among the configured partitions.
pub struct Chooser {
    mode: SelectMode,
    /// Choices that use one reading of the free space; 0: all of them.
    reinit: u32,
    soft_limit: u32,
    candidates: Vec<config::imapd::Partition>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    weights: Option<Vec<Weighed>>,
    forced_random: bool,
    uses: u32,
}

/// A candidate as its file system shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Space {
    /// Of the file system: two candidates of one are one.
    pub id: u64,
    /// KiB.
    pub available: u64,
    /// KiB.
    pub total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Weighed {
    space: Space,
    weight: f64,
}

impl Chooser {
    pub fn new(imapd: &Imapd) -> Chooser {
        let excluded =
            |name: &str| imapd.partition_select_exclude.iter().any(|e| e.eq_ignore_ascii_case(name));
        Chooser {
            mode: imapd.partition_select_mode,
            reinit: imapd.partition_select_usage_reinit,
            soft_limit: imapd.partition_select_soft_usage_limit,
            candidates: imapd.partitions().iter().filter(|p| !excluded(&p.name)).cloned().collect(),
            state: Mutex::new(State::default()),
        }
    }

    /// The partition for a new mailbox, if any can take it. Blocks briefly.
    pub fn choose(&self) -> Option<String> {
        let mut state = lock(&self.state);
        if self.reinit > 0 && state.uses >= self.reinit {
            *state = State::default();
        }
        if state.weights.is_none() {
            let spaces = self.candidates.iter().map(|p| match disk::space(&p.path) {
                Ok((available, total, id)) => Space { id, available, total },
                Err(_) => Space::default(),
            });
            let (weights, forced) = weigh(self.mode, self.soft_limit, &spaces.collect::<Vec<_>>());
            (state.weights, state.forced_random) = (Some(weights), forced);
        }
        state.uses += 1;
        let mode = if state.forced_random { SelectMode::Random } else { self.mode };
        let at = select(mode, state.weights.as_deref().unwrap_or_default(), random_percent())?;
        self.candidates.get(at).map(|p| p.name.clone())
    }
}

/// Gives each candidate its weight. The second: the figures are useless, and the choice is random.
fn weigh(mode: SelectMode, soft_limit: u32, spaces: &[Space]) -> (Vec<Weighed>, bool) {
    let flat = |space: &Space| Weighed { space: *space, weight: 50.0 };
    if mode == SelectMode::Random {
        return (spaces.iter().map(flat).collect(), false);
    }
    let most = matches!(mode, SelectMode::FreespaceMost | SelectMode::FreespacePercentMost);
    let soft = 100.0 - f64::from(soft_limit);
    let (mut least, mut least_fit, mut any_fit) = (100.0f64, 100.0f64, false);
    let mut weighed: Vec<Weighed> = Vec::with_capacity(spaces.len());
    for space in spaces {
        if most && weighed.iter().any(|w| w.space.id == space.id) {
            weighed.push(Weighed { space: *space, weight: 0.0 });
            continue;
        }
        let percent = match space.total {
            0 => -1.0,
            total => space.available as f64 * 100.0 / total as f64,
        };
        if !(0.0..=100.0).contains(&percent) {
            return (spaces.iter().map(flat).collect(), true);
        }
        weighed.push(Weighed { space: *space, weight: percent });
        least = least.min(percent);
        if percent > soft {
            any_fit = true;
            least_fit = least_fit.min(percent);
        }
    }
    if any_fit {
        least = least_fit;
    }
    for w in &mut weighed {
        if any_fit && w.weight <= soft {
            w.weight = 0.0;
        } else if mode == SelectMode::FreespacePercentWeightedDelta {
            w.weight = (w.weight - least + 0.5).max(0.0);
        }
    }
    if matches!(mode, SelectMode::FreespacePercentWeighted | SelectMode::FreespacePercentWeightedDelta) {
        let sum: f64 = weighed.iter().map(|w| w.weight).sum();
        weighed.iter_mut().filter(|_| sum > 0.0).for_each(|w| w.weight *= 100.0 / sum);
    }
    (weighed, false)
}

/// Chooses; `dice` is uniform in 0..100. What has no weight is never chosen.
fn select(mode: SelectMode, weighed: &[Weighed], dice: f64) -> Option<usize> {
    let open: Vec<(usize, &Weighed)> = weighed.iter().enumerate().filter(|(_, w)| w.weight > 0.0).collect();
    let first_best = |value: &dyn Fn(&Weighed) -> f64| {
        let best = open.iter().map(|(_, w)| value(w)).fold(f64::MIN, f64::max);
        open.iter().find(|(_, w)| value(w) >= best).map(|(at, _)| *at)
    };
    match mode {
        SelectMode::Random => {
            let at = (dice / 100.0 * open.len() as f64) as usize;
            open.get(at.min(open.len().saturating_sub(1))).map(|(at, _)| *at)
        }
        SelectMode::FreespaceMost => first_best(&|w| w.space.available as f64),
        SelectMode::FreespacePercentMost => first_best(&|w| w.weight),
        SelectMode::FreespacePercentWeighted | SelectMode::FreespacePercentWeightedDelta => {
            let mut sum = 0.0;
            let hit = open.iter().find(|(_, w)| {
                sum += w.weight;
                sum > dice
            });
            hit.or(open.last()).map(|(at, _)| *at)
        }
    }
}

fn random_percent() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the choice is still a valid one.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(id: u64, available: u64, total: u64) -> Space {
        Space { id, available, total }
    }

    #[test]
    fn most_free_space_wins_and_one_file_system_counts_once() {
        let spaces = [space(1, 100, 1000), space(1, 100, 1000), space(2, 50, 60)];
        let (weighed, forced) = weigh(SelectMode::FreespaceMost, 0, &spaces);
        assert!(!forced);
        assert_eq!(select(SelectMode::FreespaceMost, &weighed, 0.0), Some(0));
        assert_eq!(select(SelectMode::FreespacePercentMost, &weighed, 0.0), Some(2));
        assert_eq!(weighed[1].weight, 0.0);
    }

    #[test]
    fn those_over_the_soft_limit_are_chosen_only_when_all_are() {
        let mode = SelectMode::FreespacePercentWeighted;
        let (weighed, _) = weigh(mode, 80, &[space(1, 10, 100), space(2, 30, 100)]);
        assert_eq!(weighed[0].weight, 0.0);
        assert_eq!(select(mode, &weighed, 0.0), Some(1));
        let (weighed, _) = weigh(mode, 80, &[space(1, 10, 100), space(2, 15, 100)]);
        assert!(weighed.iter().all(|w| w.weight > 0.0));
    }

    #[test]
    fn weights_share_the_dice() {
        let mode = SelectMode::FreespacePercentWeighted;
        let (weighed, _) = weigh(mode, 0, &[space(1, 20, 100), space(2, 60, 100)]);
        assert_eq!(select(mode, &weighed, 24.9), Some(0));
        assert_eq!(select(mode, &weighed, 25.1), Some(1));
        let (delta, _) =
            weigh(SelectMode::FreespacePercentWeightedDelta, 0, &[space(1, 20, 100), space(2, 60, 100)]);
        assert!(delta[0].weight < 2.0 && delta[1].weight > 98.0);
    }

    #[test]
    fn a_file_system_that_tells_nothing_makes_the_choice_random() {
        let (weighed, forced) = weigh(SelectMode::FreespaceMost, 0, &[space(1, 5, 10), space(0, 0, 0)]);
        assert!(forced);
        assert_eq!(select(SelectMode::Random, &weighed, 99.9), Some(1));
    }
}
