//! The list in a real etcd.

#![allow(clippy::unwrap_used)]

#[path = "../../../mailboxes/tests/it/clauses.rs"]
mod clauses;
mod cluster;
mod contract;
#[path = "../../../mailboxes/tests/it/linear.rs"]
mod linear;
mod masters;
#[path = "../../../mailboxes/tests/it/questions.rs"]
mod questions;
mod secured;
#[path = "../../../mailboxes/tests/it/several.rs"]
mod several;
