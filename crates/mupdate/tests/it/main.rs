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
mod hostile;
mod masters;
mod replicas;
mod security;
mod transcript;
mod wire;
mod world;
