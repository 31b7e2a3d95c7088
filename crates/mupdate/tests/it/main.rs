//! Masters, slaves and proxies' replicas, live: on real sockets, in this process and in processes that are killed.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "etcd")]
#[path = "../../../authority-etcd/tests/it/cluster.rs"]
mod cluster;
mod cordons;
mod decisions;
mod durability;
#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "etcd")]
mod hard;
mod hostile;
#[cfg(feature = "etcd")]
#[path = "../../../mailboxes/tests/it/linear.rs"]
mod linear;
mod masters;
mod process;
#[cfg(feature = "etcd")]
#[path = "../../../mailboxes/tests/it/questions.rs"]
mod questions;
mod replicas;
mod security;
mod transcript;
mod wire;
mod world;
