//! Masters, slaves and proxies' replicas, live: on real sockets, in this process and in processes that are killed.
#![allow(clippy::unwrap_used)]

mod cordons;
mod decisions;
mod durability;
mod hostile;
mod masters;
mod replicas;
mod security;
mod transcript;
mod wire;
mod world;
