//! The IMAP proxy over real sockets: a client, the proxy, and backends that answer from a table.
#![allow(clippy::unwrap_used)]

mod appending;
mod copying;
mod corners;
mod crossing;
mod gathering;
mod metadata;
mod notify;
mod parking;
mod placing;
mod routing;
#[path = "../../../transport/tests/it/talk.rs"]
mod talk;
mod unauthenticate;
mod waiting;
mod world;
