//! The wire formats of a murder, without input or output.
//!
//! Everything here is plain data in, plain data out: no sockets, no files, no clock, no randomness. Each protocol is
//! cut into frames by [`frame`], parsed by its own grammar, and driven by a state machine that returns actions.
//! Names, access control lists and locations are types of their own, since every protocol carries them.

pub mod acl;
pub mod dots;
pub mod event;
pub mod flag;
pub mod frame;
pub mod grammar;
pub mod gssapi;
pub mod imap;
pub mod line;
pub mod lmtp;
pub mod location;
pub mod managesieve;
pub mod mupdate;
pub mod mutf7;
pub mod name;
pub mod namespace;
pub mod nntp;
pub mod origin;
pub mod pattern;
pub mod pop3;
pub mod ranges;
pub mod script;
pub mod spoken;
pub mod sync;
pub mod userid;
