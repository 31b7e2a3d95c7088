//! The backend as its clients see it: a live daemon on sockets of its own.

#![allow(clippy::unwrap_used)]

mod clients;
mod hostile;
mod imap;
mod mail;
mod node;
mod options;
