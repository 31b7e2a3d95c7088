//! The tools as an operator meets them: processes, their output and their exit codes.
#![allow(clippy::unwrap_used)] // A failed helper is a failed test.

mod master;
mod node;
mod sync;
mod tools;
