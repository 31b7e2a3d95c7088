//! What clients cause a server to do, within bounds.
//!
//! - [`aside`] work whose size a client decides, away from the threads that serve all clients;
//! - [`seldom`] a log line for a limit that is met, once in a while.

pub mod aside;
pub mod seldom;
