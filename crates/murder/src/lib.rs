//! The operator's own command: `murder demo`, `murder passwd`, `murder config`, `murder status`.
//!
//! Each subcommand is a module with its arguments and a `run`; `main` only dispatches.

pub mod clients;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod passwd;
pub mod status;
