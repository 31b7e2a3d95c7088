//! `murder doctor`: what an admin gets wrong, found before it hurts, each finding with the line to change.
//!
//! A check looks at one thing and adds to the [`Report`]. Those that concern this host alone come first; then the nodes that
//! this one talks to are logged in to, exactly as the daemons do it, and asked what their options say.

mod certificates;
mod directories;
mod files;
mod kerberos;
mod limits;
mod logins;
mod moves;
mod names;
mod peers;
mod ports;
mod report;
mod scripts;

use std::path::PathBuf;
use std::process::ExitCode;

use ::config::cyrus::CyrusConf;
use ::config::imapd::Imapd;

use crate::who::age;

pub use report::{Finding, Report, Severity};

/// Checks what a node needs of its host and of the other nodes, and says which line to change
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    imapd: PathBuf,
    /// The node's cyrus.conf
    #[arg(short = 'M', value_name = "FILE", default_value = "/etc/cyrus.conf")]
    cyrus: PathBuf,
    /// Do not connect to other nodes
    #[arg(long)]
    here: bool,
    /// Print JSON: an array of findings
    #[arg(long)]
    json: bool,
}

/// What is looked at.
pub(crate) struct Node {
    pub imapd: Imapd,
    /// Unless it cannot be read, which is a finding of its own.
    pub cyrus: Option<CyrusConf>,
}

/// 0 without errors, 1 with some.
pub fn run(args: &Args) -> ExitCode {
    let report = examine(args);
    match args.json {
        true => service::say!("{}", report.json()),
        false => service::say_part!("{}", report.text()),
    }
    if report.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn examine(args: &Args) -> Report {
    let mut report = Report::default();
    let Some(node) = files::load(&args.imapd, &args.cyrus, &mut report) else { return report };
    if let Some(seconds) = crate::node::draining(&node.imapd) {
        let message = format!("is drained for {}: load balancers send no new clients here", age(seconds));
        report.warn("drain", "this node", message, "murder drain --end");
    }
    directories::check(&node, &mut report);
    limits::check(&node, &mut report);
    ports::check(&node, &mut report);
    certificates::check(&node, &mut report);
    logins::check(&node, &mut report);
    kerberos::check(&node, &mut report);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            names::check(&node, &mut report).await;
            scripts::check(&node, !args.here, &mut report).await;
            if !args.here {
                peers::check(&node, &mut report).await;
            }
        }),
        Err(error) => report.error("names", "this host", format!("cannot be checked: {error}"), ""),
    }
    report
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   no errors; there may be warnings
  1   errors

Examples:
  murder doctor
  murder doctor --here                 connects to no other node
  murder doctor -C /etc/imapd-be.conf -M /etc/cyrus-be.conf
  murder doctor --json | jq '.[] | select(.severity == \"error\")'";
