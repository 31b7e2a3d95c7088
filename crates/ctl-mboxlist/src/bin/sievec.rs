//! `sievec`: checks a Sieve script.

use std::process::ExitCode;

use clap::Parser;
use ctl_mboxlist::sievec;

fn main() -> ExitCode {
    sievec::check(&sievec::Options::parse())
}
