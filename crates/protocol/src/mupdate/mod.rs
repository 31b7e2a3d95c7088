//! MUPDATE (RFC 3656) as Cyrus 3.6 to 3.12 speaks it.
//!
//! ```text
//! bytes ─frame::Collector─▶ whole command ─command─▶ Command ─session─▶ admitted, or the reply that refuses it
//!                                                                └─ state: what a write makes of an entry
//! entries ─reply─▶ data lines ─▶ client: response ─▶ Response
//! ```
//!
//! The state machine of an entry is [`state`]; whether a command may be given at all is [`session`].

pub mod command;
pub mod lex;
pub mod position;
pub mod reply;
pub mod response;
pub mod session;
pub mod state;
