//! What every daemon shares.
pub mod auth;
mod deflate;
pub mod passwords;
pub mod peer;
pub mod stream;
pub mod tls;
