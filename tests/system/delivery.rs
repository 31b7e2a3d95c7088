//! Mail comes in at a frontend, and is read at a frontend.

use system_tests::Plan;

#[test]
fn one_transaction_reaches_people_on_two_backends() {
    let murder = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start();
    let replies = murder.deliver("frontend1", &["alice", "nobody", "bob"], "m1");
    let codes: Vec<&str> = replies.iter().map(|r| &r[..3]).collect();
    assert_eq!(codes, ["550", "250", "250"], "the refusal comes at RCPT: {replies:?}");
    for user in ["alice", "bob"] {
        let mut imap = murder.login("frontend1", user);
        assert!(imap.must("SELECT INBOX").unwrap().lines.contains(&"* 1 EXISTS".to_owned()), "{user} has it");
        let fetched = imap.must("FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").unwrap();
        assert_eq!(fetched.literals, [b"Subject: about m1\r\n\r\n".to_vec()]);
        let mut pop3 = murder.pop3("frontend1", user);
        assert!(pop3.retrieve(1).unwrap().ends_with("\r\n\r\nThe text of m1.\r\n"));
    }
}

#[test]
fn a_retry_after_a_lost_reply_makes_no_second_copy() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    for _ in 0..2 {
        assert!(murder.deliver("frontend1", &["alice"], "once")[0].starts_with("250"));
    }
    let status = murder.login("frontend1", "alice").must("STATUS INBOX (MESSAGES)").unwrap();
    assert_eq!(status.lines, ["* STATUS INBOX (MESSAGES 1)"]);
}

#[test]
fn detail_goes_to_a_folder_and_to_the_inbox_where_there_is_none() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut imap = murder.login("frontend1", "alice");
    imap.must("CREATE Lists").unwrap();
    // a folder takes mail by detail only from those who may post to it
    imap.must("SETACL Lists anyone p").unwrap();
    for (recipient, id) in [("alice+Lists", "d1"), ("alice+Nowhere", "d2")] {
        assert!(murder.deliver("frontend1", &[recipient], id)[0].starts_with("250"));
    }
    for mailbox in ["Lists", "INBOX"] {
        let status = imap.must(&format!("STATUS {mailbox} (MESSAGES)")).unwrap();
        assert_eq!(status.lines, [format!("* STATUS {mailbox} (MESSAGES 1)")]);
    }
}

#[test]
fn an_idle_client_hears_of_a_delivery() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let mut imap = murder.login("frontend1", "alice");
    imap.must("SELECT INBOX").unwrap();
    let mut idle = imap.idle().unwrap();
    assert!(murder.deliver("frontend1", &["alice"], "wake")[0].starts_with("250"));
    idle.wait_for("* 1 EXISTS").unwrap();
    assert!(idle.done().unwrap().is_ok());
}

#[test]
fn copy_and_move_between_backends_lose_and_double_nothing() {
    let murder = Plan::nodes(1, 2).user("alice", "backend1").start();
    let mut admin = murder.admin("frontend1");
    admin.must("CREATE archive backend2.demo.test!").unwrap();
    admin.must("SETACL archive alice lrswipkxte").unwrap();
    for id in ["a", "b", "c"] {
        assert!(murder.deliver("frontend1", &["alice"], id)[0].starts_with("250"));
    }
    let mut imap = murder.login("frontend1", "alice");
    imap.must("SELECT INBOX").unwrap();
    imap.must("STORE 2 +FLAGS (\\Flagged $work)").unwrap();
    let copied = imap.must("UID COPY 1:2 \"Shared Folders/archive\"").unwrap();
    let code = copied.result.split(['[', ']']).nth(1).expect("a response code").to_owned();
    let words: Vec<&str> = code.split(' ').collect();
    assert!(matches!(words.as_slice(), ["COPYUID", _, "1:2", "1:2"]), "{code}");
    let moved = imap.must("MOVE 2:3 \"Shared Folders/archive\"").unwrap();
    assert!(format!("{} {}", moved.lines.join(" "), moved.result).contains("COPYUID"));
    let left = imap.must("UID SEARCH ALL").unwrap();
    assert!(left.lines.contains(&"* SEARCH 1".to_owned()), "{left:?}");
    imap.must("SELECT \"Shared Folders/archive\"").unwrap();
    let subjects = imap.must("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").unwrap();
    let texts: Vec<_> =
        subjects.literals.iter().map(|l| String::from_utf8_lossy(l).trim().to_owned()).collect();
    assert_eq!(texts, ["Subject: about a", "Subject: about b", "Subject: about b", "Subject: about c"]);
    assert!(
        subjects.lines.iter().any(|l| l.contains("\\Flagged") && l.contains("$work")),
        "{:?}",
        subjects.lines
    );
}
