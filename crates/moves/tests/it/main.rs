//! What is kept of moves, and every way that a move can go.

#![allow(clippy::unwrap_used)] // a test says what must hold

mod deaths;
mod destination;
mod journal;
mod model;
mod names;
mod world;
