//! What clients see while a part is down, full or behind.

use system_tests::{Plan, eventually};

#[test]
fn a_backend_that_is_down_costs_only_its_own_mailboxes() {
    let mut murder = Plan::nodes(1, 2)
        .user("alice", "backend1")
        .user("bob", "backend2")
        .option("*", "client_timeout", "2s")
        .start();
    murder.stop("backend2");
    let mut bob = murder.login("frontend1", "bob");
    for command in ["SELECT INBOX", "STATUS INBOX (MESSAGES)", "LSUB \"\" *"] {
        let reply = bob.command(command).unwrap();
        assert!(reply.result.starts_with("NO [UNAVAILABLE]"), "{command}: {}", reply.result);
    }
    // its mailboxes are still listed, from the frontend's own list
    assert!(bob.must("LIST \"\" *").unwrap().lines.join("").contains("INBOX"));
    murder.login("frontend1", "alice").must("SELECT INBOX").unwrap();
    let replies = murder.deliver("frontend1", &["alice", "bob"], "m");
    let temporary = replies.iter().filter(|r| r.starts_with("451 4.4.3")).count();
    assert_eq!((temporary, replies.iter().filter(|r| r.starts_with("250")).count()), (1, 1), "{replies:?}");
    murder.start("backend2");
    eventually("bob's mailbox is back", || bob.command("SELECT INBOX").unwrap().is_ok().then_some(()));
    eventually("mail for bob goes through", || {
        murder.deliver("frontend1", &["bob"], "n")[0].starts_with("250").then_some(())
    });
}

#[test]
fn without_the_mupdate_master_mail_is_read_and_delivered_and_create_is_refused() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    murder.stop("mupdate");
    let mut alice = murder.login("frontend1", "alice");
    let refused = alice.command("CREATE New").unwrap();
    assert!(refused.result.starts_with("NO"), "{}", refused.result);
    assert!(murder.deliver("frontend1", &["alice"], "m")[0].starts_with("250"));
    assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()));
    // whether nobody has no mailbox cannot be proven now
    let reply = &murder.deliver("frontend1", &["nobody"], "m")[0];
    assert!(reply.starts_with("451"), "{reply}");
    murder.start("mupdate");
    eventually("CREATE works again", || alice.command("CREATE New").unwrap().is_ok().then_some(()));
    eventually("an unknown user is refused for good again", || {
        murder.deliver("frontend1", &["nobody"], "m")[0].starts_with("550 5.1.1").then_some(())
    });
}

#[test]
fn a_replica_that_never_synchronised_gives_temporary_answers_only() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").prepare();
    murder.start("frontend1");
    let reply = &murder.deliver("frontend1", &["alice"], "m")[0];
    assert!(reply.starts_with("451"), "{reply}");
    let mut alice = murder.login("frontend1", "alice");
    for command in ["SELECT INBOX", "STATUS INBOX (MESSAGES)", "CREATE x"] {
        let reply = alice.command(command).unwrap();
        assert!(reply.result.starts_with("NO [UNAVAILABLE]"), "{command}: {}", reply.result);
    }
    murder.start("mupdate");
    murder.start("backend1");
    murder.create_inboxes_when_possible();
    eventually("mail goes through", || {
        murder.deliver("frontend1", &["alice"], "m")[0].starts_with("250").then_some(())
    });
}

#[test]
fn a_backend_started_without_its_master_serves_mail_and_resynchronises_by_itself() {
    let mut murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    murder.stop("backend1");
    murder.stop("mupdate");
    murder.start("backend1");
    let mut alice = murder.login("backend1", "alice");
    alice.must("SELECT INBOX").unwrap();
    assert!(alice.command("CREATE New").unwrap().result.starts_with("NO"));
    // a master that lost its list learns it from the backend
    std::fs::remove_dir_all(murder.node("mupdate").conf_dir().join("murder/mupdate")).unwrap();
    murder.start("mupdate");
    eventually("the master knows the mailbox again", || {
        let dump = murder.tool("mupdate", "ctl_mboxlist", &["-d"]);
        String::from_utf8_lossy(&dump.stdout).contains("\"user.alice\"").then_some(())
    });
    alice.must("CREATE New").unwrap();
}

#[test]
fn over_quota_is_said_at_once_and_ends_when_there_is_room() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut admin = murder.admin("frontend1");
    admin.must("SETQUOTA user/alice (STORAGE 1)").unwrap();
    let big = format!("{}{}", system_tests::message("big"), "0123456789abcdef\r\n".repeat(200));
    // the first message passes any quota that is not yet full
    let first = &murder.lmtp("frontend1").deliver("s@example.org", &["alice"], &big).unwrap()[0];
    assert!(first.starts_with("250"), "{first}");
    let second = &murder.deliver("frontend1", &["alice"], "small")[0];
    assert!(second.starts_with("452 4.2.2"), "{second}");
    let mut alice = murder.login("frontend1", "alice");
    let refused = alice.command("APPEND INBOX {5+}\r\nA: b\n").unwrap();
    assert!(refused.result.starts_with("NO [OVERQUOTA]"), "{}", refused.result);
    alice.must("SELECT INBOX").unwrap();
    alice.must("STORE 1 +FLAGS.SILENT \\Deleted").unwrap();
    alice.must("EXPUNGE").unwrap();
    assert!(murder.deliver("frontend1", &["alice"], "small")[0].starts_with("250"));
}

#[test]
fn wrong_passwords_and_unknown_users_get_one_answer() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").option("*", "failedloginpause", "0").start();
    let mut answers = Vec::new();
    for (user, password) in [("alice", "wrong"), ("nobody", "wrong")] {
        answers.push(murder.imap("frontend1").command(&format!("LOGIN {user} {password}")).unwrap().result);
    }
    assert!(answers[0].starts_with("NO"), "{answers:?}");
    assert_eq!(answers[0], answers[1]);
}
