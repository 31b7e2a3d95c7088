//! What both tools do before their work: configuration, log, user, runtime.

use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use config::EX_CONFIG;
use config::imapd::Imapd;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::lists::Failure;

/// Runs a tool's work under its configuration. A failure is printed, and gives the exit code 1.
pub fn run<F>(program: &str, conf: &Path, work: impl FnOnce(Imapd) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    let imapd = match Imapd::load(conf, program) {
        Ok(imapd) => imapd,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(EX_CONFIG);
        }
    };
    service::logs::start_tool(program, imapd.debug);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(imapd.umask & 0o777));
    if let Err(error) = become_owner(Path::new(&imapd.configdirectory)) {
        eprintln!("{program}: cannot become the owner of {}: {error}", imapd.configdirectory);
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{program}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work(imapd)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// As root the tools work as whoever owns the node's files, so that the daemons can read what they write. There is one
/// thread yet: the whole process changes.
fn become_owner(configdirectory: &Path) -> std::io::Result<()> {
    let Ok(owner) = std::fs::metadata(configdirectory) else { return Ok(()) };
    if !geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
