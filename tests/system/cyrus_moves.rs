//! Mailboxes move between a real Cyrus backend and one of ours: from Cyrus by its own XFER, to Cyrus by ours.

use std::collections::BTreeSet;

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    lab::Profile,
};

const CAST: [(&str, system_tests::Who); 4] =
    [("mupdate", Ours), ("be1", Cyrus), ("be2", Ours), ("fe1", Ours)];

/// A folder as its owner names it.
fn own(profile: Profile, folder: &str) -> String {
    match profile {
        Profile::Classic => format!("INBOX.{folder}"),
        Profile::Defaults | Profile::Virtdomains => folder.to_owned(),
    }
}

/// What IMAP shows of a user's mailboxes on a backend: messages and their bytes, UIDs, modification sequences, ids, rights, limits.
/// Words of a line in the order of the alphabet: flags and rights stand in another order elsewhere.
fn shown(murder: &Murder, node: &str, user: &str, mailboxes: &[String]) -> Vec<String> {
    let mut imap = murder.login(node, user);
    let mut all = Vec::new();
    imap.must("ENABLE CONDSTORE").unwrap();
    for mailbox in mailboxes {
        let status = "UIDNEXT UIDVALIDITY HIGHESTMODSEQ MESSAGES UNSEEN";
        let mut replies = vec![imap.must(&format!("STATUS {mailbox} ({status})")).unwrap()];
        // Cyrus 3.6.1 tells no id by STATUS that one could read.
        let mut examined = imap.must(&format!("EXAMINE {mailbox}")).unwrap();
        examined.lines.retain(|line| line.contains("[MAILBOXID "));
        assert_eq!(examined.lines.len(), 1);
        replies.push(examined);
        replies.push(
            imap.must("UID FETCH 1:* (FLAGS INTERNALDATE MODSEQ RFC822.SIZE EMAILID SAVEDATE BODY.PEEK[])")
                .unwrap(),
        );
        replies.push(imap.must(&format!("GETACL {mailbox}")).unwrap());
        replies
            .push(imap.must(&format!("GETMETADATA {mailbox} (/shared/comment /private/comment)")).unwrap());
        for reply in replies {
            let told =
                reply.lines.iter().filter(|line| !line.ends_with(" EXISTS") && !line.ends_with(" RECENT"));
            all.extend(told.map(|line| {
                let line = line.replace("\\Recent", "");
                let mut words: Vec<&str> =
                    line.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
                words.sort_unstable();
                words.join(" ")
            }));
            all.extend(reply.literals.iter().map(|literal| String::from_utf8_lossy(literal).into_owned()));
        }
    }
    all.extend(imap.must("LSUB \"\" *").unwrap().lines);
    all
}

#[test]
fn a_user_of_a_cyrus_moves_to_one_of_our_backends_and_everything_is_as_it_was() {
    let profile = Profile::Defaults;
    let Some(plan) = Plan::mixed(profile, &CAST) else { return };
    let murder = plan.option("be2", "xfer_from_cyrus", "yes").start();
    let mut admin = murder.admin("be1");
    for mailbox in ["user.alice", "user.alice.Sent", "user.alice.a-b"] {
        admin.must(&format!("CREATE {}", murder.external(mailbox))).unwrap();
    }
    admin.must(&format!("SETACL {} bob lrs", murder.external("user.alice.Sent"))).unwrap();
    admin.must(&format!("SETQUOTA {} (STORAGE 100000)", murder.external("user.alice"))).unwrap();
    murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    for id in ["one", "two", "three", "four"] {
        assert_eq!(murder.deliver("fe1", &["alice"], id)[0].split(' ').next(), Some("250"));
    }
    let (sent, other) = (own(profile, "Sent"), own(profile, "a-b"));
    let mut alice = murder.login("be1", "alice");
    for command in [
        "SELECT INBOX",
        "STORE 1 +FLAGS (\\Flagged $Work)",
        "STORE 2 +FLAGS (\\Answered $Other)",
        "STORE 3 +FLAGS (\\Deleted)",
        "EXPUNGE",
        &format!("COPY 1:2 {sent}"),
        &format!("SUBSCRIBE {sent}"),
        &format!("SETMETADATA {other} (/private/comment \"mine\")"),
    ] {
        alice.must(command).unwrap();
    }
    alice.command("LOGOUT").unwrap();
    let mailboxes = ["INBOX".to_owned(), sent, other];
    let before = shown(&murder, "be1", "alice", &mailboxes);

    let told = admin.must(&format!("XFER {} be2.murder.test", murder.external("user.alice"))).unwrap();
    assert!(told.lines.contains(&"* OK USER alice".to_owned()), "{told:?}");
    let list = murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    let of_alice = list.iter().filter(|(name, _)| name.contains("user.alice"));
    let servers: BTreeSet<_> = of_alice.map(|(_, row)| (row.server.as_str(), row.reserved)).collect();
    assert_eq!(servers, [("be2.murder.test", false)].into());
    assert_eq!(shown(&murder, "be2", "alice", &mailboxes), before);
    let quota = murder.admin("be2").must(&format!("GETQUOTA {}", murder.external("user.alice"))).unwrap();
    assert!(quota.lines.iter().any(|line| line.ends_with(" 100000)")), "{quota:?}");
    // And mail goes on, where it is now.
    assert_eq!(murder.deliver("fe1", &["alice"], "five")[0].split(' ').next(), Some("250"));
    let mut alice = murder.login("fe1", "alice");
    assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 4 EXISTS".to_owned()));
}

/// Has a backend move a user's mailboxes to another, and waits until everybody knows.
fn xfer(murder: &Murder, from: &str, mailbox: &str, to: &str) {
    let to = format!("{to}.murder.test");
    let told =
        murder.admin(from).must(&format!("XFER {} {to}", murder.external(mailbox))).expect("it is moved");
    assert!(told.lines.iter().any(|line| line.starts_with("* OK ")), "{told:?}");
    let list = murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    let of_user = list.iter().filter(|(name, _)| name.contains(mailbox));
    let servers: BTreeSet<_> = of_user.map(|(_, row)| (row.server.as_str(), row.reserved)).collect();
    assert_eq!(servers, [(to.as_str(), false)].into(), "{list:?}");
}

/// What somebody else sees of a folder, and has seen in it.
fn seen_by_other(murder: &Murder, node: &str, user: &str, mailbox: &str) -> Vec<String> {
    let mut imap = murder.login(node, user);
    imap.must(&format!("EXAMINE {mailbox}")).unwrap();
    let mut lines = imap.must("UID FETCH 1:* (FLAGS)").unwrap().lines;
    lines.iter_mut().for_each(|line| *line = line.replace(" \\Recent", "").replace("\\Recent ", ""));
    lines
}

#[test]
fn a_user_goes_to_a_cyrus_and_comes_back_twice_and_everything_is_as_it_was() {
    let profile = Profile::Defaults;
    let Some(plan) = Plan::mixed(profile, &CAST) else { return };
    let murder = plan.option("be2", "xfer_from_cyrus", "yes").option("be2", "allowusermoves", "yes").start();
    let mut admin = murder.admin("be2");
    for mailbox in ["user.alice", "user.alice.Sent", "user.alice.a-b", "user.alice.gone"] {
        admin.must(&format!("CREATE {}", murder.external(mailbox))).unwrap();
    }
    admin.must(&format!("SETACL {} bob lrs", murder.external("user.alice.Sent"))).unwrap();
    admin.must(&format!("SETQUOTA {} (STORAGE 100000)", murder.external("user.alice"))).unwrap();
    admin.must(&format!("DELETE {}", murder.external("user.alice.gone"))).unwrap();
    murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    for id in ["one", "two", "three", "four"] {
        assert_eq!(murder.deliver("fe1", &["alice"], id)[0].split(' ').next(), Some("250"));
    }
    let (sent, other) = (own(profile, "Sent"), own(profile, "a-b"));
    let mut alice = murder.login("be2", "alice");
    for command in [
        "SELECT INBOX",
        "STORE 1 +FLAGS (\\Flagged $Work)",
        "STORE 2 +FLAGS (\\Answered $Other)",
        "STORE 3 +FLAGS (\\Deleted)",
        "EXPUNGE",
        &format!("COPY 1:2 {sent}"),
        &format!("SUBSCRIBE {sent}"),
        &format!("SETMETADATA {other} (/private/comment \"mine\" /shared/comment \"ours\")"),
        "STORE 2 ANNOTATION (/comment (value.priv \"of mine\"))",
    ] {
        alice.must(command).unwrap();
    }
    alice.command("LOGOUT").unwrap();
    let shared = "\"Other Users/alice/Sent\"";
    let mut bob = murder.login("be2", "bob");
    bob.must(&format!("SELECT {shared}")).unwrap();
    bob.must("STORE 2 +FLAGS (\\Seen)").unwrap();
    bob.command("LOGOUT").unwrap();
    let mailboxes = ["INBOX".to_owned(), sent, other];
    let before = shown(&murder, "be2", "alice", &mailboxes);
    let of_bob = seen_by_other(&murder, "be2", "bob", shared);
    for way in [("be2", "be1"), ("be1", "be2"), ("be2", "be1"), ("be1", "be2")] {
        xfer(&murder, way.0, "user.alice", way.1);
        assert_eq!(shown(&murder, way.1, "alice", &mailboxes), before, "{way:?}");
        // Cyrus leaves behind what others have seen.
        if way == ("be2", "be1") {
            assert_eq!(seen_by_other(&murder, way.1, "bob", shared), of_bob, "{way:?}");
        }
        let quota = murder.admin(way.1).must(&format!("GETQUOTA {}", murder.external("user.alice"))).unwrap();
        assert!(quota.lines.iter().any(|line| line.ends_with(" 100000)")), "{quota:?}");
    }
    // And mail goes on, where it is now.
    assert_eq!(murder.deliver("fe1", &["alice"], "five")[0].split(' ').next(), Some("250"));
    let mut alice = murder.login("fe1", "alice");
    assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 4 EXISTS".to_owned()));
}
