//! Connections over real sockets and certificates.

#![allow(clippy::unwrap_used)]

mod certificates;
mod tls;
