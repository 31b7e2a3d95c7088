//! The arithmetic: what each candidate weighs, and which one is taken.
//!
//! Percents and weights are doubles throughout: with whole percents a server that is 99.9 % free ties with one that is 99.5 %
//! free, and one below 1 % is as good as full.

use config::imapd::SelectMode;

/// What a candidate has, KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Of the file system: two partitions of one file system are one. Servers have one each.
    pub id: u64,
    pub available: u64,
    /// 0: it is not known.
    pub total: u64,
}

/// Candidates with their weights, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// How the choice is made: by lot, where the figures are of no use.
    pub mode: SelectMode,
    pub weights: Vec<f64>,
}

/// Gives each candidate its weight. What is fuller than `soft_limit` percent weighs nothing, as long as something else is not.
///
/// | mode | weight |
/// | --- | --- |
/// | random | the same for all; figures are not looked at |
/// | freespace-most, freespace-percent-most | percent free; 0 for the second partition of a file system |
/// | …-weighted | percent free, by the sum of all |
/// | …-weighted-delta | percent free above that of the fullest, and a half, by the sum of all |
pub fn weigh(mode: SelectMode, soft_limit: u32, spaces: &[Space]) -> Weighed {
    let by_lot = || Weighed { mode: SelectMode::Random, weights: vec![50.0; spaces.len()] };
    if mode == SelectMode::Random {
        return by_lot();
    }
    let one_of_a_kind = matches!(mode, SelectMode::FreespaceMost | SelectMode::FreespacePercentMost);
    let soft = 100.0 - f64::from(soft_limit);
    let (mut least, mut least_fit, mut any_fit) = (100.0f64, 100.0f64, false);
    let mut weights: Vec<f64> = Vec::with_capacity(spaces.len());
    for (at, space) in spaces.iter().enumerate() {
        let before = spaces.get(..at).unwrap_or_default();
        if one_of_a_kind && before.iter().any(|other| other.id == space.id) {
            weights.push(0.0);
            continue;
        }
        let percent = match space.total {
            0 => -1.0,
            total => space.available as f64 * 100.0 / total as f64,
        };
        if !(0.0..=100.0).contains(&percent) {
            return by_lot();
        }
        weights.push(percent);
        least = least.min(percent);
        if percent > soft {
            any_fit = true;
            least_fit = least_fit.min(percent);
        }
    }
    let least = if any_fit { least_fit } else { least };
    for weight in &mut weights {
        if any_fit && *weight <= soft {
            *weight = 0.0;
        } else if mode == SelectMode::FreespacePercentWeightedDelta {
            *weight = (*weight - least + 0.5).max(0.0);
        }
    }
    if !one_of_a_kind {
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().filter(|_| sum > 0.0).for_each(|weight| *weight = *weight * 100.0 / sum);
    }
    Weighed { mode, weights }
}

/// Takes one; `dice` is uniform in 0..100. Of equals it is the first. What weighs nothing is never taken.
pub fn pick(weighed: &Weighed, spaces: &[Space], dice: f64) -> Option<usize> {
    let all = weighed.weights.iter().copied().enumerate().zip(spaces);
    let open: Vec<(usize, f64, &Space)> =
        all.map(|((at, weight), space)| (at, weight, space)).filter(|(_, weight, _)| *weight > 0.0).collect();
    match weighed.mode {
        SelectMode::Random => {
            let at = (dice / 100.0 * open.len() as f64) as usize;
            open.get(at.min(open.len().saturating_sub(1))).map(|(at, ..)| *at)
        }
        SelectMode::FreespaceMost => {
            let most = open.iter().map(|(_, _, space)| space.available).max()?;
            open.iter().find(|(_, _, space)| space.available == most).map(|(at, ..)| *at)
        }
        SelectMode::FreespacePercentMost => {
            let most = open.iter().map(|(_, weight, _)| *weight).fold(f64::MIN, f64::max);
            open.iter().find(|(_, weight, _)| *weight >= most).map(|(at, ..)| *at)
        }
        SelectMode::FreespacePercentWeighted | SelectMode::FreespacePercentWeightedDelta => {
            let mut sum = 0.0;
            let hit = open.iter().find(|(_, weight, _)| {
                sum += weight;
                dice < sum
            });
            // The sum may be a little short of 100.
            hit.or(open.last()).map(|(at, ..)| *at)
        }
    }
}

#[cfg(test)]
mod tests;
