//! The host of the daemons over real sockets, certificates and files.

#![allow(clippy::unwrap_used)]

mod admission;
#[path = "../../../transport/tests/it/certificates.rs"]
mod certificates;
mod process;
mod serve;
