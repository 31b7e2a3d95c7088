//! Annotations of messages, and subscriptions to mailboxes of others, through a real frontend and two real backends.

use system_tests::{Murder, Plan};

use crate::answers::{ask, told};

fn murder() -> Murder {
    let plan = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2");
    let murder = plan.option("*", "allowplaintext", "yes").option("*", "allowallsubscribe", "no").start();
    let mut admin = murder.admin("frontend1");
    for command in [
        "SETACL user/bob alice lrswipkxtecdan",
        "CREATE shared backend2.demo.test!",
        "SETACL shared alice lrswipkxtecdan",
        "CREATE common backend1.demo.test!",
        "SETACL common anyone lrs",
        "CREATE hidden backend2.demo.test!",
        "SETACL hidden anyone \"\"",
    ] {
        admin.must(command).expect(command);
    }
    murder
}

#[test]
fn annotations_of_messages_are_the_same_directly_and_through_a_frontend_and_go_along_between_backends() {
    let murder = murder();
    let mut through = murder.login("frontend1", "alice");
    assert!(through.must("CAPABILITY").unwrap().lines.concat().contains(" ANNOTATE-EXPERIMENT-1 "));
    for (text, value) in [("one", "agreed"), ("two", "Breeds"), ("three", "deirdre")] {
        let message = format!("Subject: {text}\r\n\r\nx\r\n");
        let command = format!(
            "APPEND INBOX () ANNOTATION (/comment (value.priv \"{value}\" value.shared {{6+}}\r\nshared)) {{{}+}}\r\n{message}",
            message.len()
        );
        through.must(&command).expect("appended");
    }
    let mut direct = murder.login("backend1", "alice");
    for command in ["SELECT INBOX (ANNOTATE)", "NOOP"] {
        through.must(command).expect(command);
        direct.must(command).expect(command);
    }
    for command in [
        "FETCH 1:* (UID ANNOTATION (/comment (value size)))",
        "SEARCH ANNOTATION /comment value \"EED\"",
        "UID SEARCH RETURN (ALL COUNT) NOT ANNOTATION /comment value.priv \"eed\"",
        "SEARCH ANNOTATION /* value.priv NIL",
        "SORT (REVERSE ANNOTATION /comment value.priv) UTF-8 ALL",
        "UID SORT RETURN (MIN MAX) (ANNOTATION /comment value.shared REVERSE UID) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ANNOTATION /comment value.priv breeds",
        "SEARCH ANNOTATION /comment size 3",
        "STORE 1 ANNOTATION (/comment (value \"x\"))",
        "STORE 1 ANNOTATION (/flags/x (value.priv \"x\"))",
        "STORE 2 ANNOTATION (/altsubject (value.priv NIL))",
        "STORE 9 ANNOTATION (/altsubject (value.priv NIL))",
    ] {
        assert_eq!(ask(&mut direct, command), ask(&mut through, command), "{command}");
    }
    through.must("STORE 3 ANNOTATION (/altsubject (value.priv \"x\"))").unwrap();
    let heard = told(&mut direct, "NOOP").concat();
    assert!(heard.contains("ANNOTATION (/altsubject)"), "{heard}");
    // Across backends, as a copy and as a move; the mailbox there is alice's to annotate.
    through.must("COPY 1 \"Other Users/bob\"").expect("copied");
    through.must("MOVE 2 \"Shared Folders/shared\"").expect("moved");
    let found = told(
        &mut through,
        "ESEARCH IN (MAILBOXES (INBOX \"Other Users/bob\" \"Shared Folders/shared\")) RETURN (COUNT) ANNOTATION /comment value.priv \"eed\"",
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|line| line.ends_with(" UID COUNT 1")), "{found:?}");
    for (mailbox, value) in [("\"Other Users/bob\"", "agreed"), ("\"Shared Folders/shared\"", "Breeds")] {
        through.must(&format!("SELECT {mailbox}")).unwrap();
        assert_eq!(
            told(&mut through, "FETCH 1 (ANNOTATION (/comment value))"),
            [format!("* 1 FETCH (ANNOTATION (/comment (value.priv \"{value}\" value.shared \"shared\")))")]
        );
    }
    let mut bob = murder.login("frontend1", "bob");
    bob.must("SELECT INBOX").unwrap();
    assert_eq!(
        told(&mut bob, "FETCH 1 (ANNOTATION (/comment value))"),
        ["* 1 FETCH (ANNOTATION (/comment (value.priv NIL value.shared \"shared\")))"]
    );
}

#[test]
fn subscriptions_to_mailboxes_of_others_are_told_wherever_these_are() {
    let murder = murder();
    let mut alice = murder.login("frontend1", "alice");
    for command in [
        "CREATE Work",
        "SUBSCRIBE INBOX",
        "SUBSCRIBE Work",
        "SUBSCRIBE \"Other Users/bob\"",
        "SUBSCRIBE \"Shared Folders/shared\"",
        "SUBSCRIBE \"Shared Folders/common\"",
    ] {
        alice.must(command).expect(command);
    }
    for command in [
        "SUBSCRIBE \"Shared Folders/hidden\"",
        "SUBSCRIBE \"Shared Folders/nothing\"",
        "SUBSCRIBE \"Other Users/nobody\"",
    ] {
        assert_eq!(ask(&mut alice, command), ["NO [NONEXISTENT] Mailbox does not exist"], "{command}");
    }
    assert_eq!(
        told(&mut alice, "LSUB \"\" *"),
        [
            "* LSUB () \"/\" INBOX",
            "* LSUB () \"/\" \"Other Users/bob\"",
            "* LSUB () \"/\" \"Shared Folders/common\"",
            "* LSUB () \"/\" \"Shared Folders/shared\"",
            "* LSUB () \"/\" Work",
        ]
    );
    assert_eq!(told(&mut alice, "LSUB \"\" \"Other Users/%\""), ["* LSUB () \"/\" \"Other Users/bob\""]);
    assert_eq!(
        told(&mut alice, "LSUB \"\" %"),
        [
            "* LSUB () \"/\" INBOX",
            "* LSUB (\\Noselect \\HasChildren) \"/\" \"Other Users\"",
            "* LSUB (\\Noselect \\HasChildren) \"/\" \"Shared Folders\"",
            "* LSUB () \"/\" Work",
        ]
    );
    assert_eq!(
        told(&mut alice, "LIST (SUBSCRIBED) \"\" *"),
        [
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" INBOX",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" Work",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Other Users/bob\"",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Shared Folders/common\"",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Shared Folders/shared\"",
        ]
    );
    assert_eq!(
        told(&mut alice, "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %"),
        [
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" INBOX",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" Work",
            "* LIST (\\NonExistent \\HasChildren) \"/\" \"Other Users\" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "* LIST (\\NonExistent \\HasChildren) \"/\" \"Shared Folders\" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
        ]
    );
    // What goes away stays subscribed, and what was never there can be given up.
    murder.admin("frontend1").must("DELETE shared").unwrap();
    let gone = told(&mut alice, "LIST (SUBSCRIBED) \"\" \"Shared Folders/s*\"");
    assert_eq!(gone, ["* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" \"Shared Folders/shared\""]);
    for command in ["UNSUBSCRIBE \"Shared Folders/shared\"", "UNSUBSCRIBE \"Other Users/bob\""] {
        alice.must(command).expect(command);
    }
    assert_eq!(
        told(&mut alice, "LSUB \"\" *"),
        ["* LSUB () \"/\" INBOX", "* LSUB () \"/\" \"Shared Folders/common\"", "* LSUB () \"/\" Work"]
    );
}
