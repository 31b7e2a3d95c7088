//! The operator's own command: `murder demo`, `murder passwd`, `murder config`, `murder doctor`, `murder status`, `murder who`
//! and the like.
//!
//! Each subcommand is a module with its arguments and a `run`; `main` only dispatches.

pub mod certificate;
pub mod cli;
pub mod clients;
pub mod cluster;
pub mod config;
pub mod cordon;
pub mod demo;
pub mod deny;
pub mod doctor;
pub mod drain;
pub mod explain;
pub mod forget;
mod moving;
mod node;
pub mod passwd;
mod runner;
pub mod sieve_import;
pub mod sieve_test;
pub mod status;
pub mod who;
