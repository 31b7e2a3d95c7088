//! Which backend holds a mailbox, and who knows of it.

use system_tests::{Plan, eventually};

#[test]
fn a_mailbox_made_through_one_frontend_is_seen_through_another_at_once() {
    let murder = Plan::nodes(2, 2).user("alice", "backend1").start();
    let mut here = murder.login("frontend1", "alice");
    let mut there = murder.login("frontend2", "alice");
    for n in 0..10 {
        here.must(&format!("CREATE Box{n}")).unwrap();
        there.must(&format!("SELECT Box{n}")).unwrap();
        here.must(&format!("DELETE Box{n}")).unwrap();
    }
}

#[test]
fn a_folder_is_placed_beside_its_parent_and_a_top_one_where_the_admin_says() {
    let murder = Plan::nodes(1, 2).user("bob", "backend2").start();
    murder.login("frontend1", "bob").must("CREATE Deep/Er").unwrap();
    let mut admin = murder.admin("frontend1");
    admin.must("CREATE top backend1.demo.test!default").unwrap();
    admin.must("CREATE anywhere").unwrap();
    let dump = murder.tool("mupdate", "ctl_mboxlist", &["-d"]);
    let list: serde_json::Value = serde_json::from_slice(&dump.stdout).expect("JSON");
    let server = |name: &str| list[name]["server"].as_str().unwrap_or("nowhere").to_owned();
    assert_eq!(server("user.bob.Deep.Er"), "backend2.demo.test");
    assert_eq!(server("top"), "backend1.demo.test");
    assert!(server("anywhere").starts_with("backend"), "{}", server("anywhere"));
}

#[test]
fn list_shows_what_a_user_may_see_and_nothing_else() {
    let murder = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start();
    let mut bob = murder.login("frontend1", "bob");
    bob.must("CREATE Private").unwrap();
    bob.must("CREATE Open").unwrap();
    bob.must("SETACL Open alice lr").unwrap();
    let mut admin = murder.admin("frontend1");
    admin.must("CREATE news backend2.demo.test!").unwrap();
    let mut alice = murder.login("frontend1", "alice");
    let names: Vec<String> = alice.must("LIST \"\" *").unwrap().lines;
    let mut last: Vec<&str> = names.iter().filter_map(|l| l.rsplit_once(" \"/\" ")).map(|(_, n)| n).collect();
    last.sort_by_key(|name| name.trim_matches('"'));
    assert_eq!(last, ["INBOX", "\"Other Users/bob/Open\"", "\"Shared Folders/news\""], "{names:?}");
    bob.must("DELETE Private").unwrap();
    let all = admin.must("LIST \"\" *").unwrap().lines.join("\n");
    assert!(!bob.must("LIST \"\" *").unwrap().lines.join("\n").contains("DELETED"));
    assert!(all.contains("user/bob/Open"));
}

#[test]
fn subscriptions_live_with_the_inbox_and_reach_other_backends() {
    let murder = Plan::nodes(1, 2).user("alice", "backend1").start();
    let mut admin = murder.admin("frontend1");
    admin.must("CREATE news backend2.demo.test!").unwrap();
    let mut alice = murder.login("frontend1", "alice");
    alice.must("SUBSCRIBE INBOX").unwrap();
    alice.must("SUBSCRIBE \"Shared Folders/news\"").unwrap();
    assert!(alice.command("SUBSCRIBE \"Shared Folders/nothing\"").unwrap().result.starts_with("NO"));
    let lines = murder.login("frontend1", "alice").must("LSUB \"\" *").unwrap().lines.join("\n");
    assert!(lines.contains("INBOX") && lines.contains("Shared Folders/news"), "{lines}");
    assert!(!lines.contains("oselect"), "both can be selected: {lines}");
}

#[test]
fn master_slave_and_proxies_hold_the_same_list() {
    let murder = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start();
    let mut alice = murder.login("frontend1", "alice");
    for n in 0..20 {
        alice.must(&format!("CREATE f{n}")).unwrap();
    }
    alice.must("RENAME f1 g1").unwrap();
    alice.must("SETACL f2 bob lr").unwrap();
    alice.must("DELETE f3").unwrap();
    let dump = |node: &str| {
        let out = murder.tool(node, "ctl_mboxlist", &["-d"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let mut list: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        for (_, entry) in list.as_object_mut().expect("an object") {
            entry.as_object_mut().expect("an entry").remove("mtime");
        }
        list
    };
    let master = dump("mupdate");
    assert!(master.as_object().expect("an object").len() >= 22, "{master}");
    eventually("the slave's list equals the master's", || (dump("frontend1") == master).then_some(()));
}

#[test]
fn an_administrator_is_told_what_create_misses_on_a_frontend() {
    let mut murder = Plan::nodes(1, 2).user("bob", "backend2").start();
    let mut admin = murder.admin("frontend1");
    // A bare word is a partition, as in Cyrus; one that is a server was meant otherwise.
    for word in ["backend1", "backend1.demo.test"] {
        let refused = admin.command(&format!("CREATE user/carol {word}")).unwrap().result;
        assert_eq!(
            refused,
            format!(
                "NO [CANNOT] {word} is a server, and a bare word is a partition: CREATE user/carol backend1.demo.test!"
            )
        );
    }
    // Without a list of servers there is nothing to choose among.
    let conf = murder.imapd_conf("frontend1");
    let text = std::fs::read_to_string(&conf).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("serverlist:")).collect();
    assert!(kept.len() < text.lines().count(), "{text}");
    std::fs::write(&conf, kept.join("\n") + "\n").unwrap();
    murder.stop("frontend1");
    murder.start("frontend1");
    let mut admin = murder.admin("frontend1");
    let refused = admin.command("CREATE user/carol").unwrap().result;
    assert_eq!(
        refused,
        "NO [UNAVAILABLE] No server to choose: set serverlist (or defaultserver) in imapd.conf of this frontend, or name one: \
         CREATE user/carol SERVER!"
    );
    admin.must("CREATE user/carol backend1.demo.test!").unwrap();
}
