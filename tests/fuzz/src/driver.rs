//! Inputs from samples and a seed: the same seed makes the same inputs, so that a failure is a number.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is run, and what it is made for.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As the fuzz target is called.
    pub name: &'static str,
    /// Panics where something is wrong.
    pub run: fn(&[u8]),
    /// Where its inputs begin.
    pub samples: &'static [&'static [u8]],
}

/// What made a target panic.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub input: Vec<u8>,
}

impl Target {
    /// Runs it with every sample and then with one input for each of `seeds`; stops at the first failure, whose panic is on
    /// standard error.
    pub fn try_all(&self, seeds: std::ops::Range<u64>) -> Result<(), Failure> {
        for sample in self.samples {
            self.try_one(u64::MAX, sample.to_vec())?;
        }
        seeds.into_iter().try_for_each(|seed| self.try_one(seed, self.input(seed)))
    }

    fn try_one(&self, seed: u64, input: Vec<u8>) -> Result<(), Failure> {
        let run = AssertUnwindSafe(|| (self.run)(&input));
        catch_unwind(run).map_err(|_| Failure { seed, input })
    }

    /// A sample that was changed in some places, or bytes without any sense.
    pub fn input(&self, seed: u64) -> Vec<u8> {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6d75_7264_6572);
        if chance.below(8) == 0 {
            return (0..chance.below(300)).map(|_| chance.byte()).collect();
        }
        let mut input = chance.of(self.samples).unwrap_or_default().to_vec();
        for _ in 0..=chance.below(6) {
            self.change(&mut input, &mut chance);
        }
        input
    }

    fn change(&self, input: &mut Vec<u8>, chance: &mut Chance) {
        let at = chance.below(input.len() + 1);
        let upto = (at + chance.below(20)).min(input.len());
        match chance.below(6) {
            0 => drop(input.drain(at..upto)),
            1 => input.truncate(at),
            2 => {
                let again = input.get(at..upto).unwrap_or_default().to_vec();
                drop(input.splice(at..at, again));
            }
            3 => drop(input.splice(at..at, chance.of(WORDS).unwrap_or_default().iter().copied())),
            4 => {
                // A piece of another sample.
                let other = chance.of(self.samples).unwrap_or_default();
                let piece = other.get(chance.below(other.len() + 1)..).unwrap_or_default();
                let length = chance.below(piece.len() + 1);
                drop(input.splice(at..at, piece.iter().take(length).copied()));
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = chance.byte();
                }
            }
        }
    }
}

/// Numbers that look like chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, or 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.below(all.len())).copied()
    }
}

/// What parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"((((((((((((((((",
    b"{0}\r\n",
    b"{10+}\r\n",
    b"{18446744073709551616}\r\n",
    b"~{3}\r\n",
    b"4294967296",
    b"-1",
    b"*",
    b"%",
    b":",
    b"NIL",
    b"=?utf-8?b?",
    b"&-",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xf0\x9f\x92\xa9",
];
