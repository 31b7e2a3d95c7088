//! `master`: see the library.

use std::process::ExitCode;

use clap::Parser;
use master::boot;
use master::options::Options;

fn main() -> ExitCode {
    let options = match Options::parse().settled() {
        Ok(options) => options,
        Err(error) => {
            boot::put(&mut std::io::stderr(), &format_args!("master: {error}"));
            return ExitCode::from(71);
        }
    };
    if options.check {
        return boot::check(&options);
    }
    boot::run(&options)
}
