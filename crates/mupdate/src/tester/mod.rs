//! `mupdatetest`: logs in to a MUPDATE server and lets one talk to it, printing what passes. The options and the output
//! are those of Cyrus's program, which is imtest under another name.
//!
//! ```text
//! S: * AUTH "PLAIN"                 each line of the server until the login is done
//! C: A01 AUTHENTICATE "PLAIN" {…+}  each line of ours
//! Authenticated.
//! Security strength factor: 0
//! …                                 from here on a pipe in both directions, without prefixes
//! ```

mod login;
mod pipe;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

use login::Tester;

/// Talks to a MUPDATE server
#[derive(Debug, Parser)]
#[command(name = "mupdatetest", version, after_help = AFTER_HELP)]
pub struct Cli {
    /// STARTTLS, with this file's certificate and key if it is not empty
    #[arg(short = 't', value_name = "KEYFILE", value_parser = clap::builder::OsStringValueParser::new())]
    pub tls: Option<std::ffi::OsString>,
    /// Port, or service name
    #[arg(short = 'p', value_name = "PORT", default_value = "mupdate")]
    pub port: String,
    /// The mechanism to use
    #[arg(short = 'm', value_name = "MECH")]
    pub mechanism: Option<String>,
    /// Whose password it is
    #[arg(short = 'a', value_name = "AUTHID")]
    pub authname: Option<String>,
    /// As whom to act
    #[arg(short = 'u', value_name = "AUTHZID")]
    pub username: Option<String>,
    /// The password (asked for when absent)
    #[arg(short = 'w', value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Least security strength
    #[arg(short = 'k', value_name = "SSF", default_value_t = 0)]
    pub minssf: u32,
    /// Greatest security strength
    #[arg(short = 'l', value_name = "SSF", default_value_t = 128)]
    pub maxssf: u32,
    /// SASL realm
    #[arg(short = 'r', value_name = "REALM")]
    pub realm: Option<String>,
    /// Send this file instead of standard input
    #[arg(short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Log in so many times, one connection after the other
    #[arg(short = 'n', value_name = "ATTEMPTS", default_value_t = 1)]
    pub attempts: u32,
    /// COMPRESS DEFLATE after the login
    #[arg(short = 'q')]
    pub compress: bool,
    /// Challenge prompts (accepted and not needed)
    #[arg(short = 'c')]
    pub challenge: bool,
    /// No initial response
    #[arg(short = 'i')]
    pub no_initial: bool,
    /// Show more
    #[arg(short = 'v')]
    pub verbose: bool,
    /// SASL options (accepted and ignored)
    #[arg(short = 'o', value_name = "OPTION=VALUE")]
    pub options: Vec<String>,
    /// Write our process id here
    #[arg(short = 'I', value_name = "FILE")]
    pub pidfile: Option<PathBuf>,
    /// Talk over this Unix socket
    #[arg(short = 'x', value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// As -x
    #[arg(short = 'X', value_name = "SOCKET")]
    pub socket_background: Option<PathBuf>,
    pub host: Option<String>,
}

impl Cli {
    pub fn run(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                service::complain!("mupdatetest: {error}");
                return ExitCode::FAILURE;
            }
        };
        let code = match runtime.block_on(self.talk()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                service::complain!("failure: {error}");
                ExitCode::FAILURE
            }
        };
        // A read of the terminal cannot be interrupted.
        runtime.shutdown_background();
        code
    }

    async fn talk(self) -> Result<(), String> {
        if let Some(path) = &self.pidfile {
            std::fs::write(path, format!("{}\n", std::process::id()))
                .map_err(|e| format!("{}: {e}", path.display()))?;
        }
        for attempt in 1.. {
            let mut tester = Tester::connect(&self).await?;
            tester.log_in().await?;
            if attempt >= self.attempts {
                return pipe::run(tester.into_stream(), self.file.as_deref()).await;
            }
        }
        Ok(())
    }
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   logged in, and the conversation ended
  1   not logged in, or the connection failed

Examples:
  mupdatetest -u backend -a backend -w secret mupdate.example.org
  mupdatetest -t '' -m SCRAM-SHA-256 -a backend mupdate.example.org";
