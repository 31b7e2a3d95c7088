//! The backend as its clients see it: a live daemon on sockets of its own.

#![allow(clippy::unwrap_used)]

mod agreement;
mod annotate;
mod appending;
mod bystanders;
mod clients;
mod content;
mod control;
mod corners;
mod denied;
mod field;
mod hostile;
mod imap;
mod mail;
mod master;
mod metadata;
mod moved;
mod moving;
mod moving_again;
mod moving_clients;
mod moving_many;
mod news;
mod news_hard;
mod node;
mod notify;
mod operator;
mod options;
mod parked;
mod resync;
mod scripts;
mod searching;
mod sieve;
mod states;
mod sync;
#[path = "../../../transport/tests/it/talk.rs"]
mod talk;
mod texts;
mod to_cyrus;
mod unauthenticate;
