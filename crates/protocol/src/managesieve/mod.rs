//! ManageSieve (RFC 5804), without input or output: what a client says ([`Command`]), when it may say it ([`Session`]), and what a
//! server says ([`Reply`], [`Capabilities`]). [`response`] reads a server's lines, for a proxy.

mod capability;
mod command;
mod reply;
pub mod response;
mod session;
mod words;

pub use crate::script::{BadScriptName, ScriptName};
pub use capability::Capabilities;
pub use command::{Command, CommandError};
pub use reply::{Code, Condition, Reply, write_string};
pub use session::{MAX_ERRORS, Session, Tls, Verdict};
