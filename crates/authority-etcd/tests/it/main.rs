//! The list in a real etcd.

#![allow(clippy::unwrap_used)]

#[path = "../../../mailboxes/tests/it/clauses.rs"]
mod clauses;
mod cluster;
mod contract;
mod masters;
