//! Sieve (RFC 5228) without input or output, clock or chance: what a user's script makes of a message, as values.
//!
//! ```text
//! bytes ─lex─▶ tokens ─grammar─▶ tree, which knows no command ─check─▶ Program ─Run─▶ Outcome: effects, keep, error, log
//!                                              │                          │
//!                                 tables of words (registry)    Message, Envelope, Env
//! ```
//!
//! - [`compile`] checks a script, and gives all its mistakes at once, or a [`Program`] that many runs share;
//! - [`Run`] goes through it for one recipient of one message, step by step within a budget; it asks its [`Env`], and changes nothing;
//! - [`Outcome`] has what the caller is to do: [`Effect`]s, the implicit keep, an error, lines for the log.
//!
//! A command or test is one file, in `base` or `further`: what it takes, and what it does. It stands as a row in the table beside it.
//! What a script may cost is bounded by the table of `limits`, and scripts are hostile: no depth, length or pattern of one is without
//! bound, and a run that meets a bound ends with an error, which keeps the message.

mod base;
mod check;
mod compile;
mod extension;
mod further;
mod grammar;
mod lex;
pub mod limits;
mod matching;
mod message;
mod problem;
mod program;
mod registry;
mod run;
mod tree;

pub use check::Included;
pub use compile::{Compiled, compile, plain};
pub use extension::{Extension, Extensions};
pub use further::Mailto;
pub use message::{Address, Edits, Field, Mail, Message};
pub use problem::Problem;
pub use program::Program;
pub use program::effect::{
    DeliverBy, Effect, MarkDuplicate, Notify, Outcome, Redirect, Reject, Store, Target, Traced, Vacation,
};
pub use program::env::{Env, Envelope, Location};
pub use program::error::RunError;
pub use program::state::Limits;
pub use run::Run;
