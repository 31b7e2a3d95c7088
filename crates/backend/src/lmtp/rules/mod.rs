//! Users' rules at delivery: the active script of a recipient runs, and what it wants is done.
//!
//! ```text
//! active script ─programs─▶ Program ┐
//! message, parsed once for all ─────┼─trial─▶ Outcome ─carry─▶ place: stores, one after the other
//! envelope of this recipient ───────┘  │                       send: mails, when all is stored
//!                                 answers: what the script asks of the store
//! ```
//!
//! A run gets nothing of another recipient's but the message as it came, which nothing changes. Whatever goes wrong, the message is
//! kept where it would go without a script, with the keyword `$SieveFailed` (RFC 5228, section 2.10.6): mail is in two places
//! rather than in none. Reference: Cyrus's lmtpd, and docs/FROM-CYRUS.md where we differ.

mod answers;
mod carry;
mod case;
mod names;
mod place;
mod programs;
mod run;
mod send;
mod shared;
mod trial;

pub(super) use case::{Case, failed_flag};
pub use shared::Rules;
