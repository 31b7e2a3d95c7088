//! A frontend for news before backends that do as they are told: real sockets, real logins on both sides.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod backend;
mod hostile;
mod posting;
mod reading;
mod world;
