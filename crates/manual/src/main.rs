//! `manual DIRECTORY`: writes the manual pages and completions; a step of the package's build. `manual --limits FILE`: writes
//! docs/LIMITS.md.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (path, written) = match &arguments[..] {
        [option, file] if option == "--limits" => (file, std::fs::write(file, manual::limits::page())),
        [directory] => (directory, manual::write(Path::new(directory))),
        _ => {
            eprintln!("usage: manual DIRECTORY\n       manual --limits FILE");
            return ExitCode::from(64);
        }
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manual: {}: {error}", Path::new(path).display());
            ExitCode::FAILURE
        }
    }
}
