//! Ours and Cyrus's nodes log in with tickets at each other, and with nothing else.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use system_tests::{
    Murder, Plan,
    Who::{self, Cyrus, Ours},
    lab::{Lab, Profile},
};
use test_host::kdc::{self, Kdc};

/// A murder of both, in which a node takes and uses tickets. None: this process has had its part, or there is no Cyrus here.
fn site(test: &str, cast: &[(&str, Who)]) -> Option<(PathBuf, Murder)> {
    let Some(dir) = kdc::inside() else {
        if Lab::is_here() && super::has_clients() {
            super::realm(&format!("cyrus::{test}"));
        }
        return None;
    };
    let plan = Plan::mixed(Profile::Defaults, cast)?;
    let plan = plan.option("*", "force_sasl_client_mech", "GSSAPI");
    let plan = plan.option("*", "sasl_mech_list", "GSSAPI SCRAM-SHA-256 PLAIN");
    let mut murder = plan.prepare();
    let mut services = vec!["mupdate/mupdate.murder.test".to_owned()];
    for host in ["be1", "be2"] {
        services.extend(["imap", "pop", "lmtp"].map(|service| format!("{service}/{host}.murder.test")));
    }
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    Kdc::of_parent(&dir.join("realm")).keytab(&dir.join("keys"), &services);
    fs::set_permissions(dir.join("keys"), fs::Permissions::from_mode(0o644)).unwrap();
    for (node, _) in cast.iter().filter(|(_, who)| *who == Cyrus) {
        murder.set_option(node, "sasl_mech_list", "GSSAPI PLAIN LOGIN");
        murder.set_option(node, "force_sasl_client_mech", "GSSAPI");
    }
    for (node, _) in cast {
        murder.start(node);
    }
    Some((dir, murder))
}

/// Mail comes in, and is read, on both backends through the frontend; what the KDC was asked for meanwhile is this.
fn mail_passes_and_nodes_use_tickets(dir: &Path, murder: &Murder, asked: &[&str]) {
    for (node, user) in [("be1", "alice"), ("be2", "bob")] {
        murder.admin(node).must(&format!("CREATE user/{user}")).unwrap();
    }
    murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    let replies = murder.deliver("fe1", &["alice", "bob"], "through");
    assert!(replies.iter().all(|reply| reply.starts_with("250")), "{replies:?}");
    for user in ["alice", "bob"] {
        let mut reader = murder.login("fe1", user);
        assert!(reader.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()), "{user}");
        assert!(murder.pop3("fe1", user).retrieve(1).unwrap().contains("The text of through."), "{user}");
    }
    let log = fs::read_to_string(dir.join("realm/kdc.log")).unwrap();
    for service in asked {
        let line = format!("mailproxy@MURDER.TEST for {service}.murder.test@MURDER.TEST");
        assert!(log.contains(&line), "no ticket for {service}");
    }
}

const ASKED: [&str; 7] =
    ["mupdate/mupdate", "imap/be1", "imap/be2", "pop/be1", "pop/be2", "lmtp/be1", "lmtp/be2"];

#[test]
fn a_cyrus_frontend_and_backend_use_tickets_at_our_backend_and_master() {
    let cast = [("mupdate", Ours), ("be1", Ours), ("be2", Cyrus), ("fe1", Cyrus)];
    let test = "a_cyrus_frontend_and_backend_use_tickets_at_our_backend_and_master";
    let Some((dir, murder)) = site(test, &cast) else { return };
    mail_passes_and_nodes_use_tickets(&dir, &murder, &ASKED);
}

#[test]
fn our_frontend_and_backend_use_tickets_at_a_cyrus_backend_and_master() {
    let cast = [("mupdate", Cyrus), ("be1", Ours), ("be2", Cyrus), ("fe1", Ours)];
    let test = "our_frontend_and_backend_use_tickets_at_a_cyrus_backend_and_master";
    let Some((dir, murder)) = site(test, &cast) else { return };
    mail_passes_and_nodes_use_tickets(&dir, &murder, &ASKED);
}
