//! Certificates: there, readable, fitting, in date, for this name, and trusted by the authorities that the nodes share.

use std::path::{Path, PathBuf};

use transport::settings;
use transport::tls::{Inspected, ServerTls, inspect};

use super::report::place;
use super::{Node, Report};
use crate::runner::Runner;
use crate::who::now;

pub(super) fn check(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    let Some(options) = settings::server_tls(imapd) else {
        if imapd.allowplaintext {
            report.warn(
                "certificates",
                "TLS",
                "there is none, and passwords may be sent in the clear",
                place(imapd, "tls_server_cert"),
            );
        } else {
            report.error(
                "certificates",
                "TLS",
                "there is none, and allowplaintext is off: only SCRAM logins are possible",
                format!("{}\n{}", place(imapd, "tls_server_cert"), place(imapd, "tls_server_key")),
            );
        }
        return;
    };
    let runner = Runner::of(imapd);
    let files = options.certificates.iter().map(|file| ("tls_server_cert", file));
    let files = files.chain(options.keys.iter().map(|file| ("tls_server_key", file)));
    let files = files.chain(options.client_ca_file.iter().map(|file| ("tls_client_ca_file", file)));
    let mut readable = true;
    for (option, file) in files {
        if let Some(Err(why)) = runner.as_ref().map(|runner| runner.may(file, 4)) {
            readable = false;
            report.error("certificates", file.display().to_string(), why, place(imapd, option));
        }
    }
    if !readable {
        return;
    }
    if let Err(why) = ServerTls::new(&options) {
        report.error(
            "certificates",
            "TLS",
            why.to_string(),
            format!("{}\n{}", place(imapd, "tls_server_cert"), place(imapd, "tls_server_key")),
        );
        return;
    }
    let (ca_file, ca_dir) =
        (path(imapd.tls_server_ca_file.as_deref()), path(imapd.tls_server_ca_dir.as_deref()));
    for file in &options.certificates {
        match inspect(file, &imapd.servername, ca_file.as_deref(), ca_dir.as_deref(), now()) {
            Ok(inspected) => certificate(node, file, &inspected, report),
            Err(why) => report.error(
                "certificates",
                file.display().to_string(),
                why.to_string(),
                place(imapd, "tls_server_cert"),
            ),
        }
    }
    if ca_file.is_none() && ca_dir.is_none() && imapd.mupdate_server.is_some() {
        report.warn(
            "certificates",
            "other servers",
            "any certificate is taken of the MUPDATE master and of backends",
            place(imapd, "tls_server_ca_file"),
        );
    }
}

fn certificate(node: &Node, file: &Path, inspected: &Inspected, report: &mut Report) {
    let imapd = &node.imapd;
    let shown = file.display().to_string();
    let renew = format!("renew it and reload master (SIGHUP)\n{}", place(imapd, "tls_server_cert"));
    let mut good = true;
    if let Err(why) = &inspected.covers {
        good = false;
        let names = inspected.names.join(", ");
        report.error(
            "certificates",
            &shown,
            format!("is not for {}, but for: {names} ({why})", imapd.servername),
            format!("have one made for that name, or change {}", place(imapd, "servername")),
        );
    }
    let days = inspected.valid.map(|(_, end)| end as i64 / 86_400 - now() as i64 / 86_400);
    match (inspected.valid, days) {
        (Some((begin, _)), _) if begin > now() => {
            good = false;
            report.error("certificates", &shown, "is not valid yet: is this host's clock right?", "");
        }
        (_, Some(days)) if days < 0 => {
            good = false;
            report.error("certificates", &shown, format!("expired {} days ago", -days), &renew);
        }
        (_, Some(days)) if days < SOON => {
            good = false;
            report.warn("certificates", &shown, format!("expires in {days} days"), &renew);
        }
        _ => {}
    }
    if let Some(Err(why)) = &inspected.trusted
        && good
    {
        good = false;
        report.error(
            "certificates",
            &shown,
            format!("is not trusted by the authorities with which this node verifies others, and they most likely with it: {why}"),
            format!("{}\nput the intermediate certificates behind the certificate: {}", place(imapd, "tls_server_ca_file"), place(imapd, "tls_server_cert")),
        );
    }
    if good {
        let until = days.map(|days| format!(", for {days} days")).unwrap_or_default();
        report.pass(format!("{shown}: fits {}{until}", imapd.servername));
    }
}

fn path(text: Option<&str>) -> Option<PathBuf> {
    text.filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// Days before the end at which a renewal should have happened.
const SOON: i64 = 14;
