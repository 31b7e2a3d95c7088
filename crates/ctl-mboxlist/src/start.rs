//! What both tools do before their work: configuration, log, user, runtime.

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use crate::lists::Failure;
use config::EX_CONFIG;
use config::imapd::Imapd;

/// Runs a tool's work under its configuration. A failure is printed, and gives the exit code 1.
pub fn run<F>(program: &str, conf: &Path, work: impl FnOnce(Imapd) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    let imapd = match Imapd::load(conf, program) {
        Ok(imapd) => imapd,
        Err(problems) => {
            service::complain!("{problems}");
            return ExitCode::from(EX_CONFIG);
        }
    };
    logs::start_tool(program, imapd.debug);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(imapd.umask & 0o777));
    // The daemons must be able to read what the tools write. There is one thread yet.
    if let Err(error) = files::become_owner(Path::new(&imapd.configdirectory)) {
        service::complain!("{program}: {error}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            service::complain!("{program}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work(imapd)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            service::complain!("{failure}");
            ExitCode::FAILURE
        }
    }
}
