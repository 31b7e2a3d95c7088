use SelectMode::{
    FreespaceMost, FreespacePercentMost, FreespacePercentWeighted, FreespacePercentWeightedDelta, Random,
};
use proptest::prelude::*;

use super::*;

/// id, KiB available, KiB in all
type Place = (u64, u64, u64);

const FOUR: &[Place] = &[(1, 500, 10_000), (2, 400, 1000), (3, 90, 100), (4, 90, 100)];
/// 99.9, 99.5 and 0.4 percent free: whole percents would tie the first two, and shut the third out.
const FINE: &[Place] = &[(1, 9990, 10_000), (2, 9950, 10_000), (3, 40, 10_000)];
/// The first two are of one file system.
const SHARED: &[Place] = &[(1, 100, 1000), (1, 100, 1000), (2, 50, 60)];
const EMPTY: &[Place] = &[(1, 100, 100), (2, 50, 100)];
const FULL: &[Place] = &[(1, 0, 100), (2, 0, 100)];
const SILENT: &[Place] = &[(1, 90, 100), (2, 0, 0)];
const WRONG: &[Place] = &[(1, 90, 100), (2, 101, 100)];

fn spaces(places: &[Place]) -> Vec<Space> {
    places.iter().map(|&(id, available, total)| Space { id, available, total }).collect()
}

/// Places, soft limits, mode, weights, and which is taken at which throw of the dice.
type Case = (&'static [Place], &'static [u32], SelectMode, &'static [f64], &'static [(f64, Option<usize>)]);

/// The arithmetic of imap/partlist.c, done by hand.
#[rustfmt::skip]
const TABLE: &[Case] = &[
    (FOUR, &[0, 20, 97, 100], Random, &[50.0, 50.0, 50.0, 50.0],
        &[(0.0, Some(0)), (24.9, Some(0)), (25.1, Some(1)), (60.0, Some(2)), (99.9, Some(3))]),
    // A limit that all are over is none; one of 0 is over-run by all that are not empty.
    (FOUR, &[0, 10, 97, 100], FreespaceMost, &[5.0, 40.0, 90.0, 90.0], &[(0.0, Some(0)), (99.9, Some(0))]),
    (FOUR, &[20, 60], FreespaceMost, &[0.0, 0.0, 90.0, 90.0], &[(0.0, Some(2)), (99.9, Some(2))]),
    (FOUR, &[61, 90, 94], FreespaceMost, &[0.0, 40.0, 90.0, 90.0], &[(0.0, Some(1))]),
    (FOUR, &[95], FreespaceMost, &[0.0, 40.0, 90.0, 90.0], &[(0.0, Some(1))]),
    (FOUR, &[96], FreespaceMost, &[5.0, 40.0, 90.0, 90.0], &[(0.0, Some(0))]),
    // 90 % free is 10 % used: at a limit of 10 it is over.
    (FOUR, &[0, 10, 97, 100], FreespacePercentMost, &[5.0, 40.0, 90.0, 90.0], &[(0.0, Some(2)), (99.9, Some(2))]),
    (FOUR, &[11, 20, 60], FreespacePercentMost, &[0.0, 0.0, 90.0, 90.0], &[(0.0, Some(2))]),
    (FOUR, &[0, 10, 97, 100], FreespacePercentWeighted, &[2.2222, 17.7778, 40.0, 40.0],
        &[(0.0, Some(0)), (2.2, Some(0)), (2.3, Some(1)), (19.9, Some(1)), (20.1, Some(2)), (59.9, Some(2)), (60.1, Some(3)), (99.9, Some(3))]),
    (FOUR, &[20, 60], FreespacePercentWeighted, &[0.0, 0.0, 50.0, 50.0],
        &[(0.0, Some(2)), (49.9, Some(2)), (50.1, Some(3))]),
    (FOUR, &[0, 10, 97, 100], FreespacePercentWeightedDelta, &[0.2415, 17.1498, 41.3043, 41.3043],
        &[(0.2, Some(0)), (0.3, Some(1)), (17.5, Some(2)), (58.6, Some(2)), (58.8, Some(3))]),
    (FOUR, &[20, 60], FreespacePercentWeightedDelta, &[0.0, 0.0, 50.0, 50.0], &[(49.9, Some(2)), (50.1, Some(3))]),
    (FINE, &[0, 100], FreespaceMost, &[99.9, 99.5, 0.4], &[(0.0, Some(0))]),
    (FINE, &[10, 97], FreespacePercentMost, &[99.9, 99.5, 0.0], &[(0.0, Some(0))]),
    (FINE, &[0, 100], FreespacePercentWeighted, &[50.0, 49.7998, 0.2002],
        &[(49.9, Some(0)), (50.1, Some(1)), (99.7, Some(1)), (99.9, Some(2))]),
    (FINE, &[10, 60], FreespacePercentWeighted, &[50.1003, 49.8997, 0.0], &[(99.9, Some(1))]),
    (FINE, &[0, 100], FreespacePercentWeightedDelta, &[49.975, 49.7751, 0.2499], &[(99.9, Some(2))]),
    // Above 99.5, the fullest of those that fit: 0.4 and 0, and a half to each.
    (FINE, &[10, 60], FreespacePercentWeightedDelta, &[64.2857, 35.7143, 0.0],
        &[(64.2, Some(0)), (64.3, Some(1)), (99.9, Some(1))]),
    (SHARED, &[0, 10, 97], FreespaceMost, &[10.0, 0.0, 83.3333], &[(0.0, Some(0))]),
    (SHARED, &[0, 10, 97], FreespacePercentMost, &[10.0, 0.0, 83.3333], &[(0.0, Some(2))]),
    (SHARED, &[20], FreespaceMost, &[0.0, 0.0, 83.3333], &[(0.0, Some(2))]),
    // By weight each partition counts.
    (SHARED, &[0, 10, 97], FreespacePercentWeighted, &[9.6774, 9.6774, 80.6452], &[(9.6, Some(0)), (9.7, Some(1)), (19.4, Some(2))]),
    (SHARED, &[0, 10, 97], FreespacePercentWeightedDelta, &[0.6682, 0.6682, 98.6637], &[(0.6, Some(0)), (1.3, Some(1)), (1.4, Some(2))]),
    // 100 % is more than 100 less a limit of 1, and not more than 100 less one of 0.
    (EMPTY, &[0, 60], FreespacePercentWeighted, &[66.6667, 33.3333], &[(66.6, Some(0)), (66.7, Some(1))]),
    (EMPTY, &[1, 10, 50], FreespacePercentWeighted, &[100.0, 0.0], &[(99.9, Some(0))]),
    (EMPTY, &[0, 60], FreespacePercentWeightedDelta, &[99.0196, 0.9804], &[(99.0, Some(0)), (99.1, Some(1))]),
    // Nothing has room: only the half that keeps the fullest from starving is left.
    (FULL, &[0, 50, 100], FreespaceMost, &[0.0, 0.0], &[(0.0, None), (99.9, None)]),
    (FULL, &[0, 50, 100], FreespacePercentMost, &[0.0, 0.0], &[(0.0, None)]),
    (FULL, &[0, 50, 100], FreespacePercentWeighted, &[0.0, 0.0], &[(0.0, None)]),
    (FULL, &[0, 50, 100], FreespacePercentWeightedDelta, &[50.0, 50.0], &[(49.9, Some(0)), (50.1, Some(1))]),
    (FULL, &[0], Random, &[50.0, 50.0], &[(49.9, Some(0)), (50.1, Some(1))]),
    // Figures that say nothing, or nonsense, make it a lot for all.
    (SILENT, &[0, 50], FreespaceMost, &[50.0, 50.0], &[(49.9, Some(0)), (50.1, Some(1))]),
    (SILENT, &[0, 50], FreespacePercentWeightedDelta, &[50.0, 50.0], &[(50.1, Some(1))]),
    (WRONG, &[0, 50], FreespacePercentMost, &[50.0, 50.0], &[(50.1, Some(1))]),
    (&[], &[0], FreespaceMost, &[], &[(0.0, None)]),
    (&[], &[0], Random, &[], &[(50.0, None)]),
    (&[], &[0], FreespacePercentWeighted, &[], &[(50.0, None)]),
];

#[test]
fn each_mode_weighs_and_takes_what_cyrus_would_under_every_soft_limit() {
    for (places, limits, mode, expected, throws) in TABLE {
        let spaces = spaces(places);
        for limit in *limits {
            let weighed = weigh(*mode, *limit, &spaces);
            let near = |a: &f64, b: &f64| (a - b).abs() < 0.0001;
            let alike = weighed.weights.len() == expected.len()
                && weighed.weights.iter().zip(*expected).all(|(a, b)| near(a, b));
            assert!(alike, "{mode:?}, limit {limit}, of {places:?}: {:?}, not {expected:?}", weighed.weights);
            for (dice, taken) in *throws {
                let picked = pick(&weighed, &spaces, *dice);
                assert_eq!(picked, *taken, "{mode:?}, limit {limit}, dice {dice}, of {places:?}");
            }
        }
    }
}

fn modes() -> impl Strategy<Value = SelectMode> {
    prop::sample::select(vec![
        Random,
        FreespaceMost,
        FreespacePercentMost,
        FreespacePercentWeighted,
        FreespacePercentWeightedDelta,
    ])
}

/// Some of one file system, some full, some silent.
fn places() -> impl Strategy<Value = Vec<Space>> {
    let one = (0..6u64, 0..1000u64, 0..1000u64).prop_map(|(id, available, more)| Space {
        id,
        available,
        total: available + more,
    });
    prop::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn whoever_is_taken_weighs_something_and_nobody_else_would_have_been_better(
        mode in modes(), limit in 0..=100u32, spaces in places(), dice in 0.0..100.0f64
    ) {
        let weighed = weigh(mode, limit, &spaces);
        prop_assert_eq!(weighed.weights.len(), spaces.len());
        prop_assert!(weighed.weights.iter().all(|weight| (0.0..=100.0001).contains(weight)));
        let Some(at) = pick(&weighed, &spaces, dice) else {
            prop_assert!(weighed.weights.iter().all(|weight| *weight == 0.0));
            return Ok(());
        };
        prop_assert!(weighed.weights[at] > 0.0);
        let open = |other: &usize| weighed.weights[*other] > 0.0;
        match weighed.mode {
            FreespaceMost => for other in (0..spaces.len()).filter(open) {
                let more = spaces[other].available.cmp(&spaces[at].available);
                prop_assert!(more.is_lt() || more.is_eq() && other >= at);
            },
            FreespacePercentMost => for other in (0..spaces.len()).filter(open) {
                let (theirs, own) = (weighed.weights[other], weighed.weights[at]);
                prop_assert!(theirs < own || theirs == own && other >= at);
            },
            Random | FreespacePercentWeighted | FreespacePercentWeightedDelta => {}
        }
    }

    #[test]
    fn over_the_soft_limit_nobody_is_taken_while_somebody_is_below(
        mode in modes(), limit in 0..=100u32, spaces in places(), dice in 0.0..100.0f64
    ) {
        let weighed = weigh(mode, limit, &spaces);
        prop_assume!(weighed.mode != Random);
        // By these two modes a file system is what its first partition says.
        let once = matches!(mode, FreespaceMost | FreespacePercentMost);
        let is_first = |at: usize| spaces[..at].iter().all(|other| other.id != spaces[at].id);
        let looked_at: Vec<Space> =
            (0..spaces.len()).filter(|at| !once || is_first(*at)).map(|at| spaces[at]).collect();
        let fits = |space: &Space| space.available as f64 * 100.0 / space.total as f64 > 100.0 - f64::from(limit);
        if let Some(at) = pick(&weighed, &spaces, dice) {
            prop_assert!(fits(&spaces[at]) || !looked_at.iter().any(fits));
        }
    }

    #[test]
    fn the_dice_take_each_as_often_as_it_weighs(
        delta in any::<bool>(), limit in 0..=100u32, spaces in places()
    ) {
        let mode = if delta { FreespacePercentWeightedDelta } else { FreespacePercentWeighted };
        let weighed = weigh(mode, limit, &spaces);
        let sum: f64 = weighed.weights.iter().sum();
        prop_assume!(weighed.mode != Random && sum > 0.0);
        prop_assert!((sum - 100.0).abs() < 0.0001);
        const THROWS: usize = 2000;
        let mut taken = vec![0usize; spaces.len()];
        for throw in 0..THROWS {
            let dice = throw as f64 * 100.0 / THROWS as f64;
            taken[pick(&weighed, &spaces, dice).expect("one of them")] += 1;
        }
        for (times, weight) in taken.iter().zip(&weighed.weights) {
            prop_assert!((*times as f64 * 100.0 / THROWS as f64 - weight).abs() < 0.2, "{taken:?} {:?}", weighed.weights);
        }
    }
}
