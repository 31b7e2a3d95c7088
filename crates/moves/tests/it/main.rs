//! What is kept of moves, and every way that a move can go.

mod deaths;
mod destination;
mod journal;
mod model;
mod names;
mod world;
