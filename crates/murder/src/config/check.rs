//! `murder config check`: all that is wrong or doubtful in the files of a node.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::config::cyrus::CyrusConf;
use ::config::imapd::{Imapd, Role};
use ::config::{EX_CONFIG, Problem};

/// Checks imapd.conf and cyrus.conf
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf
    #[arg(short = 'C', long = "config", value_name = "FILE", default_value = "/etc/imapd.conf")]
    imapd: PathBuf,
    /// Check this too, and the two against each other
    #[arg(short = 'M', long = "master", value_name = "FILE")]
    cyrus: Option<PathBuf>,
    /// Tell also which options have no effect here, and why
    #[arg(short, long)]
    verbose: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let (imapd, wrong) = Imapd::examine(&args.imapd, "murder");
    let (cyrus, wrong_lines) = args.cyrus.as_deref().map(CyrusConf::examine).unzip();
    let mut is_wrong = false;
    for problems in [Some(wrong), wrong_lines].into_iter().flatten().filter(|problems| !problems.is_empty()) {
        is_wrong = true;
        service::complain!("{problems}");
    }
    let mut warnings: Vec<Problem> = imapd.warnings().to_vec();
    warnings.extend(missing_files(&imapd));
    if args.verbose {
        warnings.extend_from_slice(imapd.notes());
    }
    if let Some(cyrus) = &cyrus {
        warnings.extend_from_slice(&cyrus.warnings);
        warnings.extend(doubts(&imapd, cyrus));
    }
    warnings.iter().for_each(|warning| service::say!("{warning}"));
    if is_wrong {
        return ExitCode::from(EX_CONFIG);
    }
    service::say!("{}: {}, {} doubts", args.imapd.display(), role(&imapd), warnings.len());
    ExitCode::SUCCESS
}

pub(crate) fn role(imapd: &Imapd) -> &'static str {
    match imapd.role() {
        Role::Frontend => "a frontend",
        Role::Backend => "a backend",
        Role::Alone => "a MUPDATE master, or a server by itself",
    }
}

/// Files that options name and that cannot be found.
pub(crate) fn missing_files(imapd: &Imapd) -> Vec<Problem> {
    let names = [
        ("tls_server_cert", &imapd.tls_server_cert),
        ("tls_server_key", &imapd.tls_server_key),
        ("tls_client_ca_file", &imapd.tls_client_ca_file),
        ("tls_client_cert", &imapd.tls_client_cert),
        ("tls_client_key", &imapd.tls_client_key),
        ("tls_server_ca_file", &imapd.tls_server_ca_file),
        ("tls_crl_file", &imapd.tls_crl_file),
    ];
    let mut found = Vec::new();
    for (option, value) in names {
        let (Some(value), Some(at)) = (value, imapd.written(option)) else { continue };
        for file in
            value.split(',').map(str::trim).filter(|file| *file != "disabled" && !Path::new(file).exists())
        {
            found.push(Problem::new(&at.file, at.line, option, format!("there is no file {file}")));
        }
    }
    found
}

/// What is doubtful of the two together.
pub(crate) fn doubts(imapd: &Imapd, cyrus: &CyrusConf) -> Vec<Problem> {
    let services = cyrus.services.iter().filter_map(|service| service.doubt(imapd));
    unused_overrides(imapd, cyrus).into_iter().chain(services).collect()
}

/// Settings for entries that cyrus.conf does not have.
fn unused_overrides(imapd: &Imapd, cyrus: &CyrusConf) -> Vec<Problem> {
    let mut entries: Vec<&str> = cyrus.services.iter().map(|service| service.name.as_str()).collect();
    entries.extend(cyrus.daemons.iter().map(|daemon| daemon.name.as_str()));
    // Tools go by their own names.
    entries.extend([
        "master",
        "murder",
        "ctl_mboxlist",
        "ctl_cyrusdb",
        "cyr_expire",
        "reconstruct",
        "squatter",
    ]);
    imapd
        .overrides()
        .filter(|(entry, ..)| !entries.iter().any(|name| name.eq_ignore_ascii_case(entry)))
        .map(|(entry, _, at)| {
            let message = format!("no effect: {} has no entry named {entry}", cyrus.path.display());
            Problem::new(&at.file, at.line, &at.key, message)
        })
        .collect()
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   no mistakes; there may be warnings
  78  a file is wrong, or cannot be read

Examples:
  murder config check
  murder config check -C /etc/imapd.conf -M /etc/cyrus.conf --verbose";
