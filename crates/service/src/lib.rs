//! What every daemon shares.
mod deflate;
pub mod peer;
pub mod stream;
pub mod tls;
