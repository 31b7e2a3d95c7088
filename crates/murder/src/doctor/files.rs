//! The two configuration files, by themselves and against each other.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ::config::cyrus::CyrusConf;
use ::config::imapd::{Imapd, Role};
use ::config::{Problem, Problems};

use super::report::place;
use super::{Node, Report};
use crate::config::check;
use crate::runner::Runner;

/// Loads both; nothing else can be checked without the first.
pub(super) fn load(imapd: &Path, cyrus: &Path, report: &mut Report) -> Option<Node> {
    let cyrus = match CyrusConf::load(cyrus) {
        Ok(conf) => Some(conf),
        Err(problems) => {
            errors(&problems, report);
            None
        }
    };
    let (imapd, wrong) = Imapd::examine(imapd, "murder");
    errors(&wrong, report);
    warnings(imapd.warnings(), report);
    if !wrong.is_empty() {
        return None;
    }
    let node = Node { imapd, cyrus };
    warnings(&check::missing_files(&node.imapd), report);
    if let Some(cyrus) = &node.cyrus {
        warnings(&cyrus.warnings, report);
        warnings(&check::doubts(&node.imapd, cyrus), report);
    }
    roles(&node, report);
    secrets(&node, report);
    Some(node)
}

fn errors(problems: &Problems, report: &mut Report) {
    for problem in &problems.0 {
        report.error("files", at(problem), problem.message.clone(), "");
    }
}

fn warnings(problems: &[Problem], report: &mut Report) {
    for problem in problems {
        report.warn("files", at(problem), problem.message.clone(), "");
    }
}

fn at(problem: &Problem) -> String {
    let key = if problem.key.is_empty() { String::new() } else { format!(": {}", problem.key) };
    match problem.line {
        0 => format!("{}{key}", problem.file.display()),
        line => format!("{}:{line}{key}", problem.file.display()),
    }
}

/// What the role needs, by Cyrus's rule for roles.
fn roles(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    let file = imapd.path().display().to_string();
    let runs = |program: &str| {
        let services = node.cyrus.iter().flat_map(|cyrus| &cyrus.services);
        services.flat_map(|service| service.cmd.first()).any(|cmd| cmd.rsplit('/').next() == Some(program))
    };
    match imapd.role() {
        Role::Frontend if !imapd.partitions().is_empty() && runs("imapd") => report.warn(
            "roles",
            &file,
            "partitions are set, but the node is a frontend: mupdate_server is set and proxyservers is not, so that imapd is the proxy",
            "for a backend, set proxyservers: to the frontends' proxy_authname; for a frontend, remove the partition- lines",
        ),
        Role::Frontend if imapd.serverlist.is_empty() => report.warn(
            "roles",
            &file,
            "serverlist is not set: no new user can be placed",
            format!("{}: serverlist: the backends that take new users", imapd.path().display()),
        ),
        Role::Backend if imapd.partitions().is_empty() => report.error(
            "roles",
            &file,
            "a backend needs a partition",
            format!("{}: partition-default: /var/spool/cyrus", imapd.path().display()),
        ),
        _ => report.pass(format!("{file}: {}", check::role(imapd))),
    }
    if imapd.mupdate_server.is_some() && imapd.mupdate_authname.is_none() && imapd.mupdate_username.is_empty()
    {
        report.error(
            "roles",
            &file,
            "nobody is named to log in to the MUPDATE master as",
            place(imapd, "mupdate_authname"),
        );
    }
}

/// A file with passwords is nobody else's to read.
fn secrets(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    let holds = imapd.mupdate_password.is_some()
        || imapd.proxy_password.is_some()
        || imapd.overflows().any(|(key, _)| key.ends_with("_password"));
    let Ok(meta) = std::fs::metadata(imapd.path()) else { return };
    let file = imapd.path().display();
    let runner = Runner::of(imapd);
    let group = runner.as_ref().map_or("cyrus", |runner| runner.group.as_str());
    if let Some(Err(why)) = runner.as_ref().map(|runner| runner.may(imapd.path(), 4)) {
        report.error("files", file.to_string(), why, format!("chgrp {group} {file}; chmod g+r {file}"));
    }
    if holds && meta.mode() & 0o004 != 0 {
        report.warn(
            "files",
            file.to_string(),
            format!("holds passwords and can be read by everyone (mode {:o})", meta.mode() & 0o777),
            format!("chown root:{group} {file}; chmod 640 {file}"),
        );
    }
}
