//! Limits and timers as data: what each kind of session bounds stands in one table beside its driver, and nowhere else.
//!
//! A table is a `limits.rs` of its crate, written with [`table!`]. A row gives a constant, which the code uses, and a
//! [`Limit`], from which docs/LIMITS.md is made and by which a limit that is met is counted and logged.

mod seldom;
mod table;

pub use seldom::Seldom;
pub use table::{Limit, Table, Value};
