//! POP3: RFC 1939, with CAPA (2449), STLS (2595), AUTH (5034), response codes (2449, 3206).
//!
//! - [`capability`] what CAPA lists;
//! - [`command`] lines → commands;
//! - [`maildrop`] the messages of a session: STAT, LIST, UIDL, DELE, RSET, all answered from memory;
//! - [`session`] which command may come when: commands in, actions out;
//! - [`reply`] everything that a server says, in one table;
//! - [`unopenable`] why a maildrop cannot be opened;
//! - [`top`] where TOP ends in a message.

pub mod capability;
pub mod command;
pub mod kpop;
pub mod maildrop;
pub mod reply;
pub mod session;
pub mod top;
pub mod unopenable;
