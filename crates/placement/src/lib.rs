//! Where a new mailbox goes, of several places that could take it: a backend chooses among its partitions, a frontend among
//! its backends, both with Cyrus's arithmetic (imap/partlist.c there).
//!
//! 1. A [`Chooser`] says when it needs the figures read ([`Chooser::is_due`]), and is given them ([`Chooser::read`]).
//! 2. [`Chooser::choose`] weighs those that can be chosen now ([`weigh`]) and takes one ([`pick`]).
//!
//! [`has_inbox_made`] says which users get an INBOX without anybody creating it. No input or output in here, and no clock: the
//! caller reads, and hands in the time.

mod chooser;
pub mod limits;
mod newcomer;
mod weight;

pub use chooser::{Candidate, Chooser, Rules, dice};
pub use newcomer::has_inbox_made;
pub use weight::{Space, Weighed, pick, weigh};
