//! A list that opens, and of which one record in the middle cannot be read: it shows only while a daemon loads it. The checks
//! of START are left out, which would find it first.

use std::fs;

use system_tests::{Murder, Plan, eventually};

/// A murder whose nodes check nothing before their daemons start.
fn unchecked() -> Murder {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").prepare();
    for node in ["mupdate", "frontend1", "backend1"] {
        let path = murder.node(node).cyrus_conf();
        let text = fs::read_to_string(&path).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("recover")).collect();
        assert!(kept.len() < text.lines().count());
        fs::write(&path, kept.join("\n")).unwrap();
    }
    murder.cluster.start().unwrap();
    murder.create_inboxes();
    let mut alice = murder.login("frontend1", "alice");
    (0..30).for_each(|n| drop(alice.must(&format!("CREATE f{n}")).unwrap()));
    assert!(murder.deliver("frontend1", &["alice"], "kept")[0].starts_with("250"));
    murder.agree(&["mupdate", "frontend1", "backend1"]);
    murder
}

/// Makes one entry in the middle of a stopped node's list unreadable.
fn damage(murder: &Murder, node: &str, program: &str) {
    let path = murder.node(node).conf_dir().join("murder").join(program).join("list.sled");
    let db = sled::open(&path).unwrap();
    let rows: Vec<_> = db.scan_prefix(b"n").keys().map(|key| key.unwrap()).collect();
    db.insert(&rows[rows.len() / 2], b"\x01").unwrap();
    db.flush().unwrap();
}

fn log(murder: &Murder, node: &str) -> String {
    fs::read_to_string(murder.node(node).log()).unwrap()
}

fn all_is_well(murder: &Murder) {
    eventually("alice has all her folders, and can make one more", || {
        let mut alice = murder.try_imap("frontend1")?;
        alice.login("alice", &murder.password("alice")).ok()?;
        let listed = alice.command("LIST \"\" f%").ok()?.lines.len();
        let selected = alice.command("SELECT INBOX").ok()?.lines.iter().any(|line| line.ends_with(" EXISTS"));
        (listed == 30 && selected && alice.command("CREATE new").ok()?.is_ok()).then_some(())
    });
    let list = murder.agree(&["mupdate", "frontend1", "backend1"]);
    assert_eq!(list.len(), 32, "{list:?}");
}

#[test]
fn a_slave_and_a_proxy_fetch_their_lists_anew() {
    let mut murder = unchecked();
    murder.stop("frontend1");
    damage(&murder, "frontend1", "mupdate");
    damage(&murder, "frontend1", "imapproxy");
    murder.start("frontend1");
    all_is_well(&murder);
    let log = log(&murder, "frontend1");
    assert_eq!(log.matches("list.sled.damaged and fetched anew").count(), 2, "{log}");
}

#[test]
fn a_backend_makes_its_list_from_the_spool() {
    let mut murder = unchecked();
    murder.stop("backend1");
    damage(&murder, "backend1", "backend");
    murder.start("backend1");
    all_is_well(&murder);
    let log = log(&murder, "backend1");
    assert_eq!(
        log.matches("the mailbox list is set aside, and made anew from the spool").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_master_ends_and_says_what_to_do_and_its_backends_fill_the_list_that_is_moved_away() {
    let mut murder = unchecked();
    murder.stop("mupdate");
    damage(&murder, "mupdate", "mupdate");
    murder.cluster.node_mut("mupdate").unwrap().spawn().unwrap();
    let path = murder.node("mupdate").conf_dir().join("murder/mupdate/list.sled");
    let said = format!("{}: cannot load the mailbox list: ", path.display());
    eventually("the master ends, again and again", || {
        let log = log(&murder, "mupdate");
        let lines =
            log.lines().filter(|line| line.contains(&said) && line.contains("the master ends; move it away"));
        (lines.count() >= 2).then_some(())
    });
    // Nobody has heard anything wrong of it.
    assert!(murder.deliver("frontend1", &["alice"], "meanwhile")[0].starts_with("250"));
    let mut alice = murder.login("frontend1", "alice");
    assert_eq!(alice.must("LIST \"\" f%").unwrap().lines.len(), 30);
    assert!(alice.command("CREATE new").unwrap().result.starts_with("NO"));
    murder.stop("mupdate");
    fs::rename(&path, path.with_extension("away")).unwrap();
    murder.start("mupdate");
    all_is_well(&murder);
}

#[test]
fn a_backend_that_is_rebuilt_from_its_spool_alone_says_that_subscriptions_are_lost() {
    let mut system = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut alice = system.login("frontend1", "alice");
    alice.must("CREATE Work").unwrap();
    alice.must("SUBSCRIBE Work").unwrap();
    system.stop("backend1");
    let kept = system.node("backend1").conf_dir().join("murder/backend");
    fs::remove_dir_all(&kept).unwrap();
    system.start("backend1");
    let log = fs::read_to_string(system.node("backend1").log()).unwrap();
    assert!(log.contains("users without subscriptions and seen states"), "{log}");
    let mut alice = system.login("backend1", "alice");
    let folders = alice.must("LIST \"\" *").unwrap().lines.concat();
    assert!(folders.contains("Work") && folders.contains("INBOX"), "{folders}");
    assert_eq!(alice.must("LSUB \"\" *").unwrap().lines, Vec::<String>::new());
}
