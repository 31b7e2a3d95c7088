//! What clients ask at random: of few mailboxes at a time, so that they meet, and of each for so long that its history can be searched.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::location::Location;
use protocol::mupdate::state::Write;

use crate::linear::Ask;

/// The same numbers for the same seed (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// How many were asked, by all clients. By it they agree on the mailboxes.
#[derive(Clone, Default)]
pub struct Questions(Arc<AtomicU64>);

impl Questions {
    /// A client's next question, the `n`th of `burst` that it asks at once: each about another name. What is written is nobody else's.
    pub fn next(&self, client: u64, n: u64, burst: u64, chance: &mut Chance) -> (String, Ask) {
        let unique = self.0.fetch_add(1, Ordering::Relaxed);
        let place = Location::parse(&format!("be{client}!p{unique}")).unwrap();
        let name = format!("user.e{}.n{}", unique / ERA, (chance.below(NAMES / burst) * burst + n) % NAMES);
        let ask = match chance.below(10) {
            0..3 => Ask::Write(Write::Reserve(place)),
            3..5 => Ask::Write(Write::Activate(place, format!("u{unique}\tlrs\t").into())),
            5 => Ask::Write(Write::Deactivate(place)),
            6 => Ask::Write(Write::Delete),
            _ => Ask::Find,
        };
        (name, ask)
    }
}

/// Names that are asked for at one time, and questions until there are others.
const NAMES: u64 = 8;
const ERA: u64 = NAMES * 25;
