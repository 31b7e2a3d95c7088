//! Where log lines go: the file of `-L`; with `-D` standard error; else as of every program of ours (`logs`). In the background
//! standard error is `/dev/null`, which means syslog.

use std::fs::{File, OpenOptions};
use std::io;

use config::imapd::{Imapd, LogTarget};
use logs::Verbosity;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::options::Options;

/// Points the standard descriptors where they belong, and starts logging.
///
/// There is no configuration to follow where it has a mistake.
pub fn start(options: &Options, imapd: Option<&Imapd>) -> io::Result<Verbosity> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    if let Some(path) = &options.log_file {
        let named = |cause: io::Error| io::Error::new(cause.kind(), format!("{}: {cause}", path.display()));
        redirect(&files::append(path, 0o640).map_err(named)?)?;
    } else if options.background {
        redirect(&null)?;
    }
    let asked = (options.log_file.is_some() || options.debug).then_some(LogTarget::Stderr);
    Ok(logs::start("master", imapd, asked, options.debug || options.verbose > 0))
}

fn redirect(file: &File) -> io::Result<()> {
    dup2_stdout(file)?;
    dup2_stderr(file)?;
    Ok(())
}
