//! The operator's command as a process of its own.
#![allow(clippy::unwrap_used)]

mod as_root;
