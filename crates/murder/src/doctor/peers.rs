//! The other nodes: logged in to as the daemons do it, asked for their clock, and for the options that all nodes must share.
//!
//! Our own nodes tell their options. Of a Cyrus node only what NAMESPACE shows is known: the separator and altnamespace.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use config::imapd::{Imapd, Role, Upstream as Master};
use directory::client::{Client, Error as MupdateError};
use serde_json::Value;
use upstream::{Error, Objection, Upstream};

use super::report::place;
use super::{Node, Report};
use crate::node::other_servers;

pub(super) async fn check(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    let mut servers = other_servers(imapd).await;
    for which in imapd.mupdate_upstreams() {
        master(imapd, &which, &mut servers, report).await;
    }
    if servers.is_empty() {
        return;
    }
    let has_password =
        |server: &String| imapd.proxy_password.is_some() || imapd.of_host(server, "password").is_some();
    let upstream = Upstream::new(imapd);
    for server in &servers {
        match has_password(server) {
            true => backend(imapd, &upstream, server, report).await,
            false => report.warn(
                "logins",
                server,
                "not tried: there is no password for it",
                place(imapd, "proxy_password"),
            ),
        }
    }
}

async fn master(
    imapd: &Imapd,
    which: &Master,
    servers: &mut std::collections::BTreeSet<String>,
    report: &mut Report,
) {
    let name = which.name.clone();
    let mut client = match Client::connect_to(imapd, which.clone()).await {
        Ok(client) => client,
        Err(error) => return refused_by_master(imapd, &name, &error, report),
    };
    if imapd.allowplaintext
        && let Err(MupdateError::NoMechanism { withheld: true, offered, .. }) =
            Client::connect_to(&imapd.without_plaintext(), which.clone()).await
    {
        let what =
            format!("mupdate_password is sent to it in the clear: without TLS it offers only {offered}");
        report.warn("logins", &name, what, told_change(&name));
    }
    if !client.greeting().has("STATUS") {
        report.pass(format!("{name} lets us in as {}", mupdate_user(imapd)));
        return;
    }
    match client.status().await {
        Ok(status) => {
            report.pass(format!("{name} lets us in as {}", mupdate_user(imapd)));
            servers.extend(status["servers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
            servers.remove(&imapd.servername);
            clock(&name, &status["time"], report);
            if status["writes"] == false && imapd.role() == Role::Backend {
                let what = "takes no changes: no mailbox can be made, renamed or deleted here through it";
                report.error("logins", &name, what, place(imapd, "mupdate_server"));
            }
            super::moves::cordons(&status, report);
            // A master that nobody logs in to as a user may have others.
            compare(imapd, &name, &status["options"], &["defaultdomain"], report);
        }
        Err(error) => refused_by_master(imapd, &name, &error, report),
    }
}

fn refused_by_master(imapd: &Imapd, name: &str, error: &MupdateError, report: &mut Report) {
    let user = mupdate_user(imapd);
    let change = match error {
        MupdateError::NoAdmin { .. } => {
            format!("on {name}, in imapd.conf: admins: … {user}")
        }
        MupdateError::Unprotected { .. } => {
            format!("on {name}: tls_server_cert and tls_server_key\nor here: mupdate_tls: no")
        }
        MupdateError::NoMechanism { .. } => format!(
            "on {name}: tls_server_cert and tls_server_key, or allowplaintext: yes, or sasl_mech_list with SCRAM-SHA-256\nhere: {}",
            place(imapd, "force_sasl_client_mech")
        ),
        MupdateError::Tls { .. } => {
            format!(
                "on {name}: tls_server_cert and tls_server_key\nhere: {}",
                place(imapd, "tls_server_ca_file")
            )
        }
        MupdateError::WrongPassword { .. } | MupdateError::SlowLogin { .. } => format!(
            "here: {} and mupdate_password must be those of an account there\non {name}: murder passwd {user}",
            place(imapd, "mupdate_authname")
        ),
        MupdateError::Denied { .. } | MupdateError::Refused(_) => format!(
            "here: {} and mupdate_password\non {name}: murder passwd {user}, and admins: … {user}",
            place(imapd, "mupdate_authname")
        ),
        _ => format!(
            "{}\non {name}: mupdate -m must run, with its listen= reachable from here",
            place(imapd, "mupdate_server")
        ),
    };
    report.error("logins", name, error.to_string(), change);
}

fn mupdate_user(imapd: &Imapd) -> &str {
    imapd.mupdate_authname.as_deref().unwrap_or(&imapd.mupdate_username)
}

async fn backend(imapd: &Imapd, upstream: &Upstream, server: &str, report: &mut Report) {
    if let Err(error) = upstream.imap(server, None).await {
        return refused(imapd, server, "IMAP", &error, report);
    }
    // As an admin, for whom no INBOX is ever made.
    if let Some(admin) = imapd.admins.iter().find(|admin| !admin.starts_with("group:"))
        && *admin != imapd.proxy_authname
        && let Err(error) = upstream.imap(server, Some(admin)).await
    {
        let user = &imapd.proxy_authname;
        return report.error(
            "logins",
            server,
            format!("{user} may not act for others: {error}"),
            format!("on {server}, in imapd.conf: proxyservers: … {user}"),
        );
    }
    report.pass(format!("{server} lets {} act for others by IMAP", imapd.proxy_authname));
    told_password(imapd, server, report).await;
    match upstream.lmtp(server).await {
        Ok(_) => report.pass(format!("{server} takes mail from {}", imapd.proxy_authname)),
        Err(error) => refused(imapd, server, "LMTP", &error, report),
    }
    options(imapd, upstream, server, report).await;
    if imapd.role() == Role::Backend {
        super::moves::check(imapd, server, report).await;
    }
}

/// Whether the password goes to a backend in the clear: whether a login is impossible without.
async fn told_password(imapd: &Imapd, server: &str, report: &mut Report) {
    if !imapd.allowplaintext {
        return;
    }
    let strict = Upstream::new(&imapd.without_plaintext());
    if let Err(Error::NoMechanism { withheld: true, offered, .. }) = strict.imap(server, None).await {
        let own = format!("{}_password", config::imapd::shorthost(server));
        let option = if imapd.of_host(server, "password").is_some() { &own } else { "proxy_password" };
        report.warn(
            "logins",
            server,
            format!("{option} is sent to it in the clear: without TLS it offers only {offered}"),
            told_change(server),
        );
    }
}

fn told_change(server: &str) -> String {
    format!(
        "on {server}, in imapd.conf: tls_server_cert and tls_server_key, or sasl_mech_list with SCRAM-SHA-256\nhere: allowplaintext: no"
    )
}

fn refused(imapd: &Imapd, server: &str, protocol: &str, error: &Error, report: &mut Report) {
    let user = &imapd.proxy_authname;
    let there = |option: &str| format!("on {server}, in imapd.conf: {option}");
    let change = match error {
        Error::Denied { objection: Objection::Rights, .. } if protocol == "LMTP" => {
            there(&format!("lmtp_admins: … {user}"))
        }
        Error::WrongPassword { .. } if protocol != "LMTP" => format!(
            "here: {} and proxy_password (or {}_password) must be those of an account there\non {server}: murder passwd {user}",
            place(imapd, "proxy_authname"),
            config::imapd::shorthost(server)
        ),
        Error::Denied { .. } | Error::WrongPassword { .. } => format!(
            "here: {} and proxy_password (or {}_password)\non {server}: murder passwd {user}\n{}",
            place(imapd, "proxy_authname"),
            config::imapd::shorthost(server),
            there(&format!("{}: … {user}", if protocol == "LMTP" { "lmtp_admins" } else { "proxyservers" })),
        ),
        Error::NoMechanism { .. } => format!(
            "{}\nhere: {}",
            there(
                "tls_server_cert and tls_server_key, or allowplaintext: yes, or sasl_mech_list with SCRAM-SHA-256"
            ),
            place(imapd, "force_sasl_client_mech")
        ),
        Error::Unprotected { .. } => format!(
            "{}\nor here: {}_tls: no",
            there("tls_server_cert, tls_server_key"),
            config::imapd::shorthost(server)
        ),
        Error::Tls { .. } => format!(
            "{}\nhere: {}",
            there("tls_server_cert, tls_server_key"),
            place(imapd, "tls_server_ca_file")
        ),
        _ => format!(
            "is its master running, and may this host connect? Other ports: {}_ports: {}=…",
            config::imapd::shorthost(server),
            protocol.to_lowercase()
        ),
    };
    report.error("logins", server, format!("{protocol}: {error}"), change);
}

async fn options(imapd: &Imapd, upstream: &Upstream, server: &str, report: &mut Report) {
    let told = upstream.server_entry(server, "/shared/vendor/murder/options").await;
    let told = told.ok().flatten().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    match told {
        Some(told) => {
            clock(server, &told["time"], report);
            compare(imapd, server, &told["options"], &[], report);
        }
        None => match upstream.ask(server, "NAMESPACE").await {
            Ok(answer) => {
                let line = answer.lines.iter().find(|line| line.starts_with("* NAMESPACE"));
                let seen = line.map(|line| of_namespace(line)).unwrap_or_default();
                let seen = serde_json::to_value(seen).unwrap_or_default();
                compare(imapd, server, &seen, &[], report);
            }
            Err(error) => report.warn("options", server, format!("cannot be asked: {error}"), ""),
        },
    }
}

/// What a NAMESPACE line of an ordinary user gives away: `* NAMESPACE (("INBOX." ".")) (("user." ".")) (("" "."))`.
fn of_namespace(line: &str) -> BTreeMap<&'static str, String> {
    let mut seen = BTreeMap::new();
    let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    let pairs: Vec<(&str, &str)> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let Some((_, separator)) = pairs.first() else { return seen };
    seen.insert("unixhierarchysep", if *separator == "/" { "yes" } else { "no" }.to_owned());
    let alternative = !pairs.iter().any(|(prefix, separator)| *prefix == format!("user{separator}"));
    seen.insert("altnamespace", if alternative { "yes" } else { "no" }.to_owned());
    seen
}

fn compare(imapd: &Imapd, server: &str, told: &Value, only: &[&str], report: &mut Report) {
    let Some(told) = told.as_object() else { return };
    let mut same = true;
    for (option, here) in imapd.shared_options() {
        let Some(there) = told.get(option).and_then(Value::as_str) else { continue };
        if *there != *here && (only.is_empty() || only.contains(&option)) {
            same = false;
            report.error(
                "options",
                server,
                format!("{option} is '{there}' there and '{here}' here: names would not mean the same"),
                format!("{}\nor on {server}, in imapd.conf: {option}: {here}", place(imapd, option)),
            );
        }
    }
    if same {
        report.pass(format!("{server} has the same options for names"));
    }
}

fn clock(server: &str, there: &Value, report: &mut Report) {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let Some(apart) = there.as_u64().map(|there| there.abs_diff(here)) else { return };
    if apart > CLOCK {
        let message = format!("its clock and ours are {apart} s apart");
        report.warn(
            "clock",
            server,
            message,
            "run a time daemon on both: systemctl enable --now systemd-timesyncd",
        );
    }
}

/// Seconds that two clocks may be apart, what asking takes included.
const CLOCK: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_line_shows_separator_and_altnamespace() {
        let seen = of_namespace(r#"* NAMESPACE (("INBOX." ".")) (("user." ".")) (("" "."))"#);
        assert_eq!((seen["unixhierarchysep"].as_str(), seen["altnamespace"].as_str()), ("no", "no"));
        let seen = of_namespace(r#"* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))"#);
        assert_eq!((seen["unixhierarchysep"].as_str(), seen["altnamespace"].as_str()), ("yes", "yes"));
        assert!(of_namespace("* NAMESPACE NIL NIL NIL").is_empty());
    }
}
