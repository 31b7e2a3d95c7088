//! LMTP: RFC 2033, with the enhanced codes of RFC 3463 as Cyrus uses them.
//!
//! - [`command`] lines → commands, one file per command that has arguments;
//! - [`session`] which command may come when: commands in, actions out;
//! - [`recipient`] what mailbox an address means;
//! - [`intake`] the message from the wire: dots undone, checked, trace fields added ([`crate::dots`] is the way back);
//! - [`reply`] all replies of a server, and how replies of a server are read;
//! - [`refusal`] why a recipient does not get a message: the one table from cause to reply, and from a backend's reply
//!   to a cause.

pub mod command;
pub mod intake;
pub mod recipient;
pub mod refusal;
pub mod reply;
pub mod session;
