//! Mailboxes move between a real Cyrus backend and one of ours: from Cyrus by its own XFER, to Cyrus by ours.

use std::collections::BTreeSet;

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    lab::Profile,
    within,
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
    // Names with slashes and names with dots: Cyrus 3.6 finds its own annotations by one of them only.
    for profile in [Profile::Classic, Profile::Defaults] {
        let Some(plan) = Plan::mixed(profile, &CAST) else { return };
        comes_from_cyrus(profile, &plan.start());
    }
}

fn comes_from_cyrus(profile: Profile, murder: &Murder) {
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
    let before = shown(murder, "be1", "alice", &mailboxes);

    let told = admin.must(&format!("XFER {} be2.murder.test", murder.external("user.alice"))).unwrap();
    assert!(told.lines.contains(&"* OK USER alice".to_owned()), "{told:?}");
    let list = murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    let of_alice = list.iter().filter(|(name, _)| name.contains("user.alice"));
    let servers: BTreeSet<_> = of_alice.map(|(_, row)| (row.server.as_str(), row.reserved)).collect();
    assert_eq!(servers, [("be2.murder.test", false)].into());
    assert_eq!(shown(murder, "be2", "alice", &mailboxes), before);
    let quota = murder.admin("be2").must(&format!("GETQUOTA {}", murder.external("user.alice"))).unwrap();
    assert!(quota.lines.iter().any(|line| line.ends_with(" 100000)")), "{quota:?}");
    // And mail goes on, where it is now.
    assert_eq!(murder.deliver("fe1", &["alice"], "five")[0].split(' ').next(), Some("250"));
    let mut alice = murder.login("fe1", "alice");
    assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 4 EXISTS".to_owned()));
}

/// Waits until everybody knows that a user's mailboxes are at a node.
pub fn is_at(murder: &Murder, mailbox: &str, node: &str) {
    let list = murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    let of_user = list.iter().filter(|(name, _)| name.contains(mailbox));
    let servers: BTreeSet<_> = of_user.map(|(_, row)| (row.server.as_str(), row.reserved)).collect();
    assert_eq!(servers, [(format!("{node}.murder.test").as_str(), false)].into(), "{list:?}");
}

/// Has a backend move a user's mailboxes to another, and waits until everybody knows.
pub fn xfer(murder: &Murder, from: &str, mailbox: &str, to: &str) {
    let command = format!("XFER {} {to}.murder.test", murder.external(mailbox));
    let told = murder.admin(from).must(&command).expect("it is moved");
    assert!(told.lines.iter().any(|line| line.starts_with("* OK ")), "{told:?}");
    is_at(murder, mailbox, to);
}

/// What somebody else sees of a folder, and has seen in it.
fn seen_by_other(murder: &Murder, node: &str, user: &str, mailbox: &str) -> Vec<String> {
    let mut imap = murder.login(node, user);
    imap.must(&format!("EXAMINE {mailbox}")).unwrap();
    let mut lines = imap.must("UID FETCH 1:* (FLAGS)").unwrap().lines;
    lines.iter_mut().for_each(|line| {
        let told = line.replace("\\Recent", "");
        let mut words: Vec<&str> = told.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        *line = words.join(" ");
    });
    lines
}

/// Makes alice at a backend of ours, with a bit of everything, and gives her mailboxes as she names them.
fn make_alice(murder: &Murder, profile: Profile, node: &str) -> [String; 3] {
    let mut admin = murder.admin(node);
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
    let mut alice = murder.login(node, "alice");
    for command in [
        "SELECT INBOX",
        "STORE 1 +FLAGS (\\Flagged $Work)",
        "STORE 2 +FLAGS (\\Answered $Other)",
        "STORE 3 +FLAGS (\\Deleted)",
        "EXPUNGE",
        &format!("COPY 1:2 {sent}"),
        &format!("SUBSCRIBE {sent}"),
        &format!("SETMETADATA {other} (/private/comment \"mine\" /shared/comment \"ours\")"),
        "SETMETADATA \"\" (/private/comment \"of the server\")",
        "STORE 2 ANNOTATION (/comment (value.priv \"of mine\"))",
    ] {
        alice.must(command).unwrap();
    }
    alice.command("LOGOUT").unwrap();
    ["INBOX".to_owned(), sent, other]
}

const SHARED: &str = "\"Other Users/alice/Sent\"";

/// Moves alice to a Cyrus and back, by `go`, and compares.
fn there_and_back(murder: &Murder, profile: Profile, go: impl Fn(&str, &str)) {
    let mailboxes = make_alice(murder, profile, "be2");
    let mut bob = murder.login("be2", "bob");
    bob.must(&format!("SELECT {SHARED}")).unwrap();
    bob.must("STORE 2 +FLAGS (\\Seen)").unwrap();
    bob.command("LOGOUT").unwrap();
    let before = shown(murder, "be2", "alice", &mailboxes);
    let of_bob = seen_by_other(murder, "be2", "bob", SHARED);
    for (from, to) in [("be2", "be1"), ("be1", "be2"), ("be2", "be1"), ("be1", "be2")] {
        go(from, to);
        assert_eq!(shown(murder, to, "alice", &mailboxes), before, "{from} to {to}");
        // Cyrus leaves behind what others have seen; what ours had of it is here still.
        assert_eq!(seen_by_other(murder, to, "bob", SHARED), of_bob, "{from} to {to}");
        let quota = murder.admin(to).must(&format!("GETQUOTA {}", murder.external("user.alice"))).unwrap();
        assert!(quota.lines.iter().any(|line| line.ends_with(" 100000)")), "{quota:?}");
        let note = murder.login(to, "alice").must("GETMETADATA \"\" (/private/comment)").unwrap();
        assert!(format!("{note:?}").contains("of the server"), "{note:?}");
    }
    // And mail goes on, where it is now.
    assert_eq!(murder.deliver("fe1", &["alice"], "five")[0].split(' ').next(), Some("250"));
    let mut alice = murder.login("fe1", "alice");
    assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 4 EXISTS".to_owned()));
}

#[test]
fn a_user_goes_to_a_cyrus_and_comes_back_twice_and_everything_is_as_it_was() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &CAST) else { return };
    let murder = plan.option("be2", "allowusermoves", "yes").start();
    there_and_back(&murder, Profile::Defaults, |from, to| xfer(&murder, from, "user.alice", to));
    // A shared mailbox goes alone. (Cyrus itself cannot move one: its imapd ends.)
    let mut admin = murder.admin("be2");
    for mailbox in ["shared", "shared.below"] {
        admin.must(&format!("CREATE {}", murder.external(mailbox))).unwrap();
    }
    admin.must(&format!("SETACL {} alice lrswipkxte", murder.external("shared"))).unwrap();
    murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    let told = admin.must(&format!("XFER {} be1.murder.test", murder.external("shared"))).unwrap();
    assert!(told.lines.iter().any(|line| line == "* OK MAILBOX \"shared\""), "{told:?}");
    let list = murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    assert_eq!(list["shared"].server, "be1.murder.test");
    assert_eq!(list["shared.below"].server, "be2.murder.test");
}

#[test]
fn a_cyrus_frontend_moves_users_between_our_backend_and_a_cyrus_one() {
    let cast = [("mupdate", Ours), ("be1", Cyrus), ("be2", Ours), ("fe1", Cyrus)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    let murder = plan.option("be2", "allowusermoves", "yes").start();
    there_and_back(&murder, Profile::Defaults, |_, to| {
        // As cyradm's `renm` does it.
        let alice = murder.external("user.alice");
        murder.admin("fe1").must(&format!("RENAME {alice} {alice} {to}.murder.test!default")).unwrap();
        is_at(&murder, "user.alice", to);
    });
}

#[test]
fn with_a_cyrus_master_users_move_between_our_backend_and_a_cyrus_one() {
    let cast = [("mupdate", Cyrus), ("be1", Cyrus), ("be2", Ours), ("fe1", Ours)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    let murder = plan.option("be2", "allowusermoves", "yes").start();
    there_and_back(&murder, Profile::Defaults, |from, to| xfer(&murder, from, "user.alice", to));
}

#[test]
fn with_a_cyrus_master_users_move_between_our_backends() {
    let cast = [("mupdate", Cyrus), ("be1", Ours), ("be2", Ours), ("fe1", Ours)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    let plan = plan.option("be1", "allowusermoves", "yes").option("be2", "allowusermoves", "yes");
    let murder = plan.start();
    let mailboxes = make_alice(&murder, Profile::Defaults, "be2");
    let before = shown(&murder, "be2", "alice", &mailboxes);
    for (from, to) in [("be2", "be1"), ("be1", "be2")] {
        xfer(&murder, from, "user.alice", to);
        assert_eq!(shown(&murder, to, "alice", &mailboxes), before, "{from} to {to}");
    }
}

#[test]
fn a_user_whose_cyrus_dies_between_its_last_two_words_is_served_all_the_same() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &CAST) else { return };
    let mut murder = plan.start();
    // As a Cyrus leaves it that has removed its own copy and is killed: the master has a reservation of it, and nobody the mailbox.
    let mut master = murder.mupdate("mupdate");
    master.must("ACTIVATE \"user.erin\" \"be1.murder.test!default\" \"erin\tlrswipkxtecdan\t\"");
    master.must("DEACTIVATE \"user.erin\" \"be1.murder.test!default\"");
    let mut cyrus = murder.login("be2", "mailproxy");
    cyrus
        .must(
            "SYNCAPPLY LOCAL_MAILBOX %(UNIQUEID abc123 MBOXNAME user.erin SYNC_CRC 0 SYNC_CRC_ANNOT 12345678 LAST_UID 7 HIGHESTMODSEQ 9 \
             RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 77 PARTITION default \
             ACL \"erin\tlrswipkxtecdan\t\" OPTIONS P RECORD ())",
        )
        .unwrap();
    drop(cyrus);
    // And ours too is started again in just that moment.
    murder.kill("be2", "backend");
    murder.stop("be2");
    murder.start("be2");
    within(120, "the only copy is served", || {
        let list = murder.list("mupdate");
        let row = list.get("user.erin")?;
        (row.server == "be2.murder.test" && !row.reserved).then_some(())
    });
    let status = murder.login("be2", "erin").must("STATUS INBOX (UIDNEXT UIDVALIDITY)").unwrap();
    assert!(format!("{status:?}").contains("UIDNEXT 8 UIDVALIDITY 77"), "{status:?}");
}

#[test]
fn a_user_with_a_calendar_stays_with_his_cyrus() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &CAST) else { return };
    let murder = plan.start();
    let mut admin = murder.admin("be1");
    admin.must("CREATE user/frank").unwrap();
    admin.must("CREATE user/frank/#calendars (TYPE CALENDAR)").unwrap();
    murder.agree(&["mupdate", "be1", "be2", "fe1"]);
    let told = admin.command("XFER user/frank be2.murder.test").unwrap();
    assert!(told.lines.iter().any(|line| line.starts_with("* NO USER frank")), "{told:?}");
    is_at(&murder, "user.frank", "be1");
    murder.login("fe1", "frank").must("SELECT INBOX").unwrap();
    assert_eq!(murder.deliver("fe1", &["frank"], "one")[0].split(' ').next(), Some("250"));
}
