//! Messages made of parts on two backends (CATENATE), and messages that take the place of others there (REPLACE), through a frontend.

use murder::clients::Imap;
use system_tests::Plan;

/// Anna's INBOX is on the one backend, Berta's, in which she may do what she likes, on the other; each with a message.
fn two_backends() -> (system_tests::Murder, Imap) {
    let murder = Plan::nodes(1, 2).user("anna", "backend1").user("berta", "backend2").start();
    let mut berta = murder.login("backend2", "berta");
    berta.must("SETACL INBOX anna lrswipte").unwrap();
    append(&mut berta, "INBOX", &theirs());
    let mut anna = murder.login("frontend1", "anna");
    append(&mut anna, "INBOX", "Subject: mine\r\n\r\nHello\r\n");
    (murder, anna)
}

/// Longer than all buffers on its way.
fn theirs() -> String {
    let body: String = (0..20_000).map(|line| format!("line {line} of theirs\r\n")).collect();
    format!("Subject: theirs\r\nX-Note: some\r\n\r\n{body}")
}

fn append(imap: &mut Imap, mailbox: &str, message: &str) {
    imap.must(&format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len())).unwrap();
}

fn body(imap: &mut Imap, command: &str) -> String {
    let reply = imap.must(command).unwrap();
    String::from_utf8(reply.literals.into_iter().next().expect("a body")).unwrap()
}

const THEIRS: &str = "\"Other Users/berta\"";

#[test]
fn a_message_is_made_of_parts_on_two_backends_to_the_byte() {
    let (_murder, mut anna) = two_backends();
    anna.must("SELECT INBOX").unwrap();
    let parts = "CATENATE (TEXT {12+}\r\nSubject: x\r\n URL \"/Other%20Users/berta/;UID=1/;SECTION=HEADER.FIELDS%20(X-NOTE)\" \
                 URL ;UID=1/;SECTION=TEXT URL \"/Other%20Users/berta/;UID=1/;SECTION=TEXT\" \
                 URL \"/Other%20Users/berta/;UID=1/;SECTION=TEXT/;PARTIAL=5.4\" TEXT {2+}\r\n\r\n)";
    let theirs = theirs();
    let text = theirs.split_once("\r\n\r\n").unwrap().1;
    let expected = format!("Subject: x\r\nX-Note: some\r\n\r\nHello\r\n{text}{}\r\n", &text[5..9]);
    // On either backend: each has some of the parts, and fetches none of its own.
    for (mailbox, uid) in [("INBOX", 2), (THEIRS, 2)] {
        anna.must(&format!("APPEND {mailbox} (\\Seen) {parts}")).unwrap();
        anna.must(&format!("EXAMINE {mailbox}")).unwrap();
        let made = body(&mut anna, &format!("UID FETCH {uid} BODY.PEEK[]"));
        assert!(made == expected, "{mailbox}: {} of {} bytes", made.len(), expected.len());
        anna.must("SELECT INBOX").unwrap();
    }
    let refused =
        anna.command("APPEND INBOX CATENATE (URL \"/Other%20Users/berta/;UID=9\" TEXT {3+}\r\nabc)").unwrap();
    assert!(refused.result.starts_with("NO [BADURL \"/Other%20Users/berta/;UID=9\"]"), "{}", refused.result);
    let status = anna.must("STATUS INBOX (MESSAGES)").unwrap();
    assert_eq!(status.lines, ["* STATUS INBOX (MESSAGES 2)"]);
}

#[test]
fn a_message_goes_from_one_backend_as_another_comes_to_the_other() {
    let (_murder, mut anna) = two_backends();
    anna.must("ENABLE QRESYNC UIDONLY").unwrap();
    anna.must("SELECT INBOX").unwrap();
    let numbered = anna.command(&format!("REPLACE 1 {THEIRS} {{8+}}\r\nA: 1\r\n\r\n")).unwrap();
    assert!(numbered.result.starts_with("BAD [UIDREQUIRED]"), "{}", numbered.result);
    let done =
        anna.must(&format!("UID REPLACE 1 {THEIRS} (\\Draft) CATENATE (URL ;UID=1 TEXT {{4+}}\r\nand\n)"));
    // A bare line feed: nothing has changed.
    assert!(done.is_err());
    let done = anna
        .must(&format!("UID REPLACE 1 {THEIRS} (\\Draft) CATENATE (URL ;UID=1 TEXT {{5+}}\r\nand\r\n)"))
        .unwrap();
    assert!(
        done.lines[0].starts_with("* OK [APPENDUID ")
            && done.lines[0].ends_with(" 2] Replacement message ready"),
        "{:?}",
        done.lines
    );
    assert!(done.lines.contains(&"* VANISHED 1".to_owned()), "{:?}", done.lines);
    assert!(done.result.starts_with("OK [HIGHESTMODSEQ "), "{}", done.result);
    assert_eq!(anna.must("STATUS INBOX (MESSAGES)").unwrap().lines, ["* STATUS INBOX (MESSAGES 0)"]);
    anna.must(&format!("EXAMINE {THEIRS}")).unwrap();
    assert_eq!(body(&mut anna, "UID FETCH 2 BODY.PEEK[]"), "Subject: mine\r\n\r\nHello\r\nand\r\n");
    let gone = anna.command(&format!("UID REPLACE 1 {THEIRS} {{8+}}\r\nA: 1\r\n\r\n")).unwrap();
    assert!(gone.result.starts_with("NO [READ-ONLY]"), "{}", gone.result);
}
