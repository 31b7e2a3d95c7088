//! What another user puts in root's way.
#![allow(clippy::unwrap_used)]

mod planted;
mod ways;
