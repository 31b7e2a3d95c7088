//! `master` as a whole: the real binary, with small programs in the place of a node's daemons.
#![allow(clippy::unwrap_used)]

mod as_root;
mod boot;
mod daemons;
mod faults;
mod foreign;
mod groups;
mod node;
mod page;
mod reload;
mod scenarios;
mod stand_in;
