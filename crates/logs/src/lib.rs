//! Logs of every program: how a line is made and where it goes, and the limit that is logged once in a while.

mod lines;
mod seldom;

#[cfg(any(test, feature = "capture"))]
pub use lines::logged;
pub use lines::{LOGIN_TARGET, Verbosity, chat, start, start_tool};
pub use seldom::Seldom;
