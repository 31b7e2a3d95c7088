//! REPLACE (RFC 8508) through our frontend before a Cyrus backend: 3.10 and 3.12 have it, and read the message of one that they refuse as
//! commands, or end with it.

use system_tests::{
    Plan,
    Who::{Cyrus, Ours},
    lab::{self, Profile},
};

#[test]
fn a_message_before_a_cyrus_backend_is_replaced_and_the_text_of_a_refused_one_is_no_command() {
    let cast = [("mupdate", Ours), ("be1", Cyrus), ("fe1", Ours)];
    let Some(plan) = Plan::mixed(Profile::Defaults, &cast) else { return };
    if lab::version().is_none_or(|version| version < (3, 10)) {
        return test_host::skip("it needs a Cyrus that has REPLACE: 3.10 or newer (CYRUS_ROOT)");
    }
    let murder = plan.user("fred", "be1").start();
    let mut fred = murder.login("fe1", "fred");
    let message = |id: &str| {
        let text = format!("Subject: {id}\r\nFrom: a@b\r\n\r\nx1 CREATE evil{id}\r\nx2 LOGOUT\r\n");
        format!("{{{}+}}\r\n{text}", text.len())
    };
    for id in ["one", "two"] {
        fred.must(&format!("APPEND INBOX {}", message(id))).unwrap();
    }
    fred.must("SELECT INBOX").unwrap();
    // Each refused, for one reason or another; nothing has come or gone, and nothing was read as a command.
    for what in ["9 INBOX", "1:2 INBOX", "1 nowhere", "1 \"Other Users/nobody\""] {
        let refused = fred.command(&format!("REPLACE {what} {}", message("bad"))).unwrap();
        assert!(!refused.is_ok(), "{what}: {refused:?}");
        let there = fred.must("UID SEARCH ALL").unwrap().lines.join("\n");
        assert_eq!(there, "* SEARCH 1 2", "{what}");
    }
    let refused = fred.command(&format!("UID REPLACE 99 INBOX {}", message("bad"))).unwrap();
    assert!(!refused.is_ok(), "{refused:?}");
    let replaced = fred.must(&format!("REPLACE 1 INBOX (\\Flagged) {}", message("new"))).unwrap();
    assert!(format!("{replaced:?}").contains("APPENDUID"), "{replaced:?}");
    let replaced = fred.must(&format!("UID REPLACE 2 INBOX {}", message("newer"))).unwrap();
    assert!(format!("{replaced:?}").contains("APPENDUID"), "{replaced:?}");
    fred.must("NOOP").unwrap();
    let there = fred.must("UID SEARCH ALL").unwrap().lines.join("\n");
    assert_eq!(there, "* SEARCH 3 4");
    let flagged = fred.must("UID SEARCH FLAGGED SUBJECT new").unwrap().lines.join("\n");
    assert_eq!(flagged, "* SEARCH 3");
    let listed = fred.must("LIST \"\" *").unwrap().lines.join("\n");
    assert!(!listed.contains("evil"), "{listed}");
    // To another mailbox.
    fred.must("CREATE Sent").unwrap();
    fred.must(&format!("UID REPLACE 3 Sent {}", message("sent"))).unwrap();
    fred.must("NOOP").unwrap();
    let there = fred.must("UID SEARCH ALL").unwrap().lines.join("\n");
    assert_eq!(there, "* SEARCH 4");
    let sent = fred.must("STATUS Sent (MESSAGES)").unwrap().lines.join("\n");
    assert!(sent.contains("MESSAGES 1"), "{sent}");
}
