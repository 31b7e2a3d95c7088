//! Sieve.

pub mod matching;
pub mod message;
