//! NOTIFY through a real frontend and two real backends.

use murder::clients::Imap;
use system_tests::{Murder, Plan};

fn murder() -> Murder {
    let plan = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2");
    let murder = plan.option("*", "allowplaintext", "yes").option("*", "client_timeout", "5s").start();
    murder.login("backend2", "bob").must("CREATE s").expect("a mailbox");
    let mut admin = murder.admin("frontend1");
    admin.must("SETACL user/bob/s alice lrswipte").expect("rights");
    murder
}

fn append(imap: &mut Imap, mailbox: &str) {
    imap.must(&format!("APPEND {mailbox} {{6+}}\r\nx: y\r\n")).expect("a message");
}

/// Reads on to what is told so: of a mailbox that was selected a moment ago the backend may speak twice.
fn until(imap: &mut Imap, wanted: &str) {
    let mut others = Vec::new();
    loop {
        let line = told(imap);
        if line == wanted {
            return;
        }
        assert!(line.starts_with("* STATUS ") && others.len() < 5, "{wanted}: {line} after {others:?}");
        others.push(line);
    }
}

/// The next line that is told without being asked for, up to the UIDVALIDITY that nobody knows.
fn told(imap: &mut Imap) -> String {
    let line = imap.unasked().expect("something is told");
    line.split(" UIDVALIDITY").next().unwrap_or_default().to_owned()
}

#[test]
fn a_client_hears_of_mail_names_and_rights_on_two_backends_and_of_a_backend_that_was_away() {
    let mut murder = murder();
    let (mut watches, mut acts) = (murder.login("frontend1", "alice"), murder.login("frontend1", "alice"));
    let mut bob = murder.login("frontend1", "bob");
    let shared = "\"Other Users/bob/s\"";
    let set = "NOTIFY SET STATUS (selected (MessageNew (UID) MessageExpunge)) (personal (MessageNew MessageExpunge MailboxName)) \
         (subtree \"Other Users/bob\" (MessageNew MessageExpunge MailboxName))";
    let mut lines = watches.must(set).expect("NOTIFY").lines;
    lines.sort();
    assert!(lines[0].starts_with(&format!("* STATUS {shared} (MESSAGES 0 UIDNEXT 1")), "{lines:?}");
    assert!(lines[1].starts_with("* STATUS INBOX (MESSAGES 0 UIDNEXT 1"), "{lines:?}");
    append(&mut bob, "s");
    assert_eq!(told(&mut watches), format!("* STATUS {shared} (MESSAGES 1 UIDNEXT 2"));
    append(&mut acts, "INBOX");
    assert_eq!(told(&mut watches), "* STATUS INBOX (MESSAGES 1 UIDNEXT 2");
    // The selected mailbox tells of itself, whichever backend it is on.
    for (mailbox, number) in [("INBOX", 2), (shared, 2)] {
        watches.must(&format!("SELECT {mailbox}")).expect("it is there");
        append(&mut acts, mailbox);
        until(&mut watches, &format!("* {number} EXISTS"));
        assert!(told(&mut watches).ends_with("RECENT"));
        assert_eq!(told(&mut watches), format!("* {number} FETCH (UID {number})"));
    }
    watches.must("UNSELECT").expect("UNSELECT");
    acts.must("CREATE new").expect("CREATE");
    until(&mut watches, "* LIST (\\HasNoChildren) \"/\" new");
    acts.must("RENAME new newer").expect("RENAME");
    assert_eq!(told(&mut watches), "* LIST (\\HasNoChildren) \"/\" newer (\"OLDNAME\" (new))");
    // What bob takes away is gone for alice, and so is all that happens to it.
    bob.must("DELETEACL s alice").expect("DELETEACL");
    assert_eq!(told(&mut watches), format!("* LIST (\\NonExistent \\HasNoChildren) \"/\" {shared}"));
    append(&mut bob, "s");
    assert_eq!(watches.must("NOOP").expect("NOOP").lines, Vec::<String>::new());
    bob.must("SETACL s alice lr").expect("SETACL");
    assert_eq!(told(&mut watches), format!("* LIST (\\HasNoChildren) \"/\" {shared}"));
    // A backend that was away tells how its mailboxes are.
    murder.stop("backend2");
    murder.start("backend2");
    assert_eq!(told(&mut watches), format!("* STATUS {shared} (MESSAGES 3 UIDNEXT 4"));
    assert!(murder.deliver("frontend1", &["alice"], "more")[0].starts_with("250"));
    assert_eq!(told(&mut watches), "* STATUS INBOX (MESSAGES 3 UIDNEXT 4");
    watches.must("NOTIFY NONE").expect("NOTIFY NONE");
    append(&mut acts, "INBOX");
    assert_eq!(watches.must("NOOP").expect("NOOP").lines, Vec::<String>::new());
}
