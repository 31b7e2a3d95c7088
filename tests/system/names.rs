//! What clients call mailboxes, in both settings of `altnamespace` and `unixhierarchysep`.

use system_tests::{Murder, Plan};

fn started(alt: &str, unix: &str) -> Murder {
    let sep = if unix == "yes" { "/" } else { "." };
    let murder = Plan::nodes(1, 1)
        .password("alice")
        .option("*", "altnamespace", alt)
        .option("*", "unixhierarchysep", unix)
        .start();
    murder.admin("frontend1").must(&format!("CREATE user{sep}alice")).unwrap();
    murder
}

/// Creates, lists and selects a folder by the names of one setting, at the frontend and at the backend.
fn folder_round_trip(alt: &str, unix: &str, folder: &str, shown: &str, namespace: &str) {
    let murder = started(alt, unix);
    for node in ["frontend1", "backend1"] {
        let mut alice = murder.login(node, "alice");
        let said = alice.must("NAMESPACE").unwrap().lines;
        assert_eq!(said, [format!("* NAMESPACE {namespace}")], "{node}");
        alice.command(&format!("CREATE \"{folder}\"")).unwrap();
        let listed = alice.must("LIST \"\" \"*\"").unwrap().lines.join("\n");
        assert!(listed.contains(shown), "{node}: {listed}");
        alice.must(&format!("SELECT \"{folder}\"")).unwrap();
        alice.must("UNSELECT").unwrap();
    }
}

#[test]
fn altnamespace_with_slashes() {
    let namespace = r#"(("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))"#;
    folder_round_trip("yes", "yes", "Work/v1.2", "\"/\" Work/v1.2", namespace);
}

#[test]
fn altnamespace_with_dots() {
    let namespace = r#"(("" ".")) (("Other Users." ".")) (("Shared Folders." "."))"#;
    folder_round_trip("yes", "no", "Work.Sub", "\".\" Work.Sub", namespace);
}

#[test]
fn the_old_namespace_with_slashes() {
    let namespace = r#"(("INBOX/" "/")) (("user/" "/")) (("" "/"))"#;
    folder_round_trip("no", "yes", "INBOX/v1.2", "\"/\" INBOX/v1.2", namespace);
}

#[test]
fn the_old_namespace_with_dots() {
    let namespace = r#"(("INBOX." ".")) (("user." ".")) (("" "."))"#;
    folder_round_trip("no", "no", "INBOX.Entw&APw-rfe", "\".\" INBOX.Entw&APw-rfe", namespace);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut alice = murder.login("frontend1", "alice");
    for bad in ["a//b", "a%b", "a^b", "a;b", "&Jjo"] {
        let reply = alice.command(&format!("CREATE \"{bad}\"")).unwrap();
        assert!(reply.result.starts_with("NO"), "{bad}: {}", reply.result);
    }
    // As in Cyrus, a folder below INBOX can be, and one that INBOX would hide cannot.
    alice.must("CREATE INBOX/x").unwrap();
    assert_eq!(alice.must("LIST \"\" INBOX/%").unwrap().lines.len(), 1);
    let hidden = alice.command("CREATE INBOX").unwrap();
    assert!(hidden.result.starts_with("NO"), "{}", hidden.result);
}

#[test]
fn deleted_and_reserved_trees_are_hidden_from_clients_and_from_lmtp() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut alice = murder.login("frontend1", "alice");
    alice.must("CREATE Gone").unwrap();
    alice.must("DELETE Gone").unwrap();
    assert!(!alice.must("LIST \"\" *").unwrap().lines.join("").contains("DELETED"));
    let admin = murder.admin("frontend1").must("LIST \"\" *").unwrap().lines.join("");
    assert!(!admin.contains("Gone") || admin.contains("DELETED/user/alice/Gone/"), "{admin}");
    let reply = &murder.deliver("frontend1", &["+DELETED.user.alice.Gone"], "x")[0];
    assert!(reply.starts_with('5'), "{reply}");
}

#[test]
fn a_prefix_with_a_quotation_mark_reaches_clients_as_a_string_that_they_can_read() {
    let plan = Plan::nodes(1, 1).user("alice", "backend1");
    let plan = plan.option("*", "userprefix", r#"The "others"#).option("*", "sharedprefix", r"Back\slash");
    let system = plan.start();
    for node in ["frontend1", "backend1"] {
        let mut alice = system.login(node, "alice");
        let told = alice.must("NAMESPACE").unwrap().lines;
        assert_eq!(
            told,
            [r#"* NAMESPACE (("" "/")) (("The \"others/" "/")) (("Back\\slash/" "/"))"#],
            "{node}"
        );
    }
}
