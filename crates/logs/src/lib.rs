//! Logs of every program: how a line is made and where it goes.

pub mod limits;
mod lines;

#[cfg(any(test, feature = "capture"))]
pub use lines::logged;
pub use lines::{LOGIN_TARGET, Verbosity, chat, start, start_tool};
