//! `sieved`: prints a Sieve script.

use std::process::ExitCode;

use clap::Parser;
use ctl_mboxlist::sievec;

fn main() -> ExitCode {
    sievec::print(&sievec::PrintOptions::parse())
}
