//! The backend as its clients see it: a live daemon on sockets of its own.

#![allow(clippy::unwrap_used)]

mod agreement;
mod bystanders;
mod clients;
mod content;
mod field;
mod hostile;
mod imap;
mod mail;
mod master;
mod node;
mod options;
mod parked;
mod searching;
