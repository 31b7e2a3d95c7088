//! The shared parts of the daemons over real sockets, certificates and files.

#![allow(clippy::unwrap_used)]

mod admission;
mod auth;
mod certificates;
mod passwords;
mod process;
mod serve;
mod tls;
