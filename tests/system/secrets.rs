//! A secret between nodes is changed while users are on, by the steps of docs/SECURITY.md.

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;
use system_tests::{Murder, Plan, eventually};

/// `murder passwd` on a node.
fn passwd(system: &Murder, node: &str, words: &[&str], password: &str) {
    let mut command = system.program("murder");
    command.arg("passwd").arg("-C").arg(system.node(node).imapd_conf()).args(words);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    assert!(child.wait().unwrap().success());
}

/// Sets options of a node and has it reload them.
fn reload(system: &Murder, node: &str, options: &[(&str, &str)]) {
    let reloads = || {
        let log = std::fs::read_to_string(system.node(node).log()).unwrap_or_default();
        log.matches("settings reloaded from").count()
    };
    let before = reloads();
    options.iter().for_each(|(key, value)| system.set_option(node, key, value));
    system.node(node).signal(Signal::HUP);
    eventually("the settings are reloaded", || (reloads() > before).then_some(()));
}

/// As whom the frontend has logged in to the backend for the newest session there.
fn by(system: &Murder) -> String {
    let mut command = system.program("murder");
    command.arg("who").arg("-C").arg(system.node("backend1").imapd_conf()).args(["--here", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let names = rows.as_array().unwrap().iter().filter_map(|row| row["parts"][0]["authenticated"].as_str());
    names.max().unwrap_or_default().to_owned()
}

#[test]
fn the_frontends_password_is_changed_and_nobody_notices() {
    let mut system = Plan::nodes(1, 1).user("alice", "backend1").prepare();
    system.cluster.start().unwrap();
    system.create_inboxes();
    let mut before = system.login("frontend1", "alice");
    before.must("SELECT INBOX").unwrap();
    assert_eq!(by(&system), "proxy");

    passwd(&system, "backend1", &["proxy2"], "a new secret");
    let both = [("proxyservers", "proxy proxy2"), ("lmtp_admins", "cyrus proxy proxy2")];
    reload(&system, "backend1", &both);
    system.login("frontend1", "alice").must("SELECT INBOX").unwrap();

    reload(&system, "frontend1", &[("proxy_authname", "proxy2"), ("proxy_password", "a new secret")]);
    let mut between = eventually("the frontend has the new name", || {
        let mut alice = system.login("frontend1", "alice");
        alice.must("SELECT INBOX").unwrap();
        (by(&system) == "proxy2").then_some(alice)
    });
    reload(&system, "backend1", &[("proxy_authname", "proxy2"), ("proxy_password", "a new secret")]);

    reload(&system, "backend1", &[("proxyservers", "proxy2"), ("lmtp_admins", "cyrus proxy2")]);
    passwd(&system, "backend1", &["-d", "proxy"], "");
    for session in [&mut before, &mut between, &mut system.login("frontend1", "alice")] {
        session.must("STATUS INBOX (MESSAGES)").unwrap();
    }
    assert!(system.deliver("frontend1", &["alice"], "new")[0].starts_with("250"));
    // The old name opens nothing.
    let old = system.cluster.secrets.password("proxy").to_owned();
    assert!(system.imap("backend1").login("proxy", &old).is_err());
}
