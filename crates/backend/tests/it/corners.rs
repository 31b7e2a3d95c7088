//! What Cyrus's own tests of IMAP hold: keywords, STORE, quotas of what is renamed and deleted.

use crate::node::{Client, Node};

const MAIL: &str = "Subject: corners\n\nx\n";

/// `k1 k2 …`
fn words(from: usize, to: usize) -> String {
    (from..=to).map(|n| format!("k{n}")).collect::<Vec<_>>().join(" ")
}

async fn open(node: &Node, mailbox: &str) -> Client {
    let mut fred = node.login("fred").await;
    fred.talk(&format!("C: o SELECT {mailbox}\nS: …\nS: o OK …")).await;
    fred
}

#[tokio::test(flavor = "multi_thread")]
async fn the_129th_keyword_is_refused_whole_and_comes_free_when_no_message_has_another() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.append("INBOX", MAIL).await;
    let mut fred = open(&node, "INBOX").await;
    fred.talk(&format!("C: a STORE 1 +FLAGS.SILENT ({})\nS: …\nS: a OK …", words(1, 128))).await;
    fred.talk("C: b STORE 2 +FLAGS (\\Flagged k129)\nS: b NO [LIMIT] …").await;
    fred.talk("C: c FETCH 2 FLAGS\nS: * 2 FETCH (FLAGS (\\Recent))\nS: c OK …").await;
    fred.talk("C: d STORE 2 FLAGS (k1 k129 k130)\nS: d NO [LIMIT] …").await;
    fred.talk("C: e STORE 2 +FLAGS (K128)\nS: * 2 FETCH (FLAGS (\\Recent k128))\nS: e OK …").await;
    fred.send(b"f APPEND INBOX (k129) {5+}\r\n\r\nx\r\n\r\n").await;
    fred.talk("S: f NO [LIMIT] …\nC: g CREATE Other\nS: g OK …").await;
    fred.send(b"h APPEND Other (k200) {5+}\r\n\r\nx\r\n\r\n").await;
    fred.talk("S: h OK …\nC: i SELECT Other\nS: …\nS: i OK …\nC: j COPY 1 INBOX\nS: j NO [LIMIT] …\nC: k STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 2)\nS: k OK …").await;
    fred.talk("C: l SELECT INBOX\nS: …\nS: l OK …\nC: m STORE 1 -FLAGS.SILENT (k7)\nS: m OK …\nC: n STORE 2 +FLAGS (k129)\nS: …\nS: * 2 FETCH (FLAGS (…k129…))\nS: n OK …").await;
    fred.talk("C: o STORE 2 +FLAGS (k7)\nS: o NO [LIMIT] …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_so_already_is_not_told_and_changes_nothing_and_of_several_flags_those_are_set_that_may_be() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    let mut fred = open(&node, "INBOX (CONDSTORE)").await;
    fred.talk(
        r#"
        C: a STORE 1 +FLAGS (\Seen)
        S: * 1 FETCH (FLAGS (\Recent \Seen) MODSEQ (3))
        S: a OK Completed
        C: b STORE 1 +FLAGS (\Seen)
        S: b OK Completed
        C: c STORE 1 -FLAGS (\Flagged nothing)
        S: c OK Completed
        C: d STORE 1 FLAGS (\Seen)
        S: d OK Completed
        C: e STORE 1 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\Seen)
        S: e OK Completed
        C: f SETACL INBOX wilma lrs
        S: f OK Completed
        "#,
    )
    .await;
    let mut wilma = node.login("wilma").await;
    wilma
        .talk(
            r#"
            C: a SELECT "Other Users/fred"
            S: …
            S: a OK …
            C: b STORE 1 +FLAGS (\Seen \Flagged \Deleted $Work)
            S: * 1 FETCH (FLAGS (\Recent \Seen))
            S: b OK Completed
            C: c STORE 1 FLAGS (\Flagged)
            S: c NO [NOPERM] Permission denied
            C: d STORE 1 -FLAGS (\Deleted)
            S: d NO [NOPERM] Permission denied
            C: e STORE 1 FLAGS (\Flagged \Seen)
            S: e OK Completed
            "#,
        )
        .await;
    fred.talk("C: g NOOP\nS: g OK …\nC: h FETCH 1 FLAGS\nS: * 1 FETCH (FLAGS (\\Recent \\Seen))\nS: h OK …")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_store_tells_what_changed_what_is_gone_and_does_the_rest() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for _ in 0..4 {
        fred.append("INBOX", MAIL).await;
    }
    let (mut one, mut two) = (open(&node, "INBOX (CONDSTORE)").await, open(&node, "INBOX").await);
    two.talk("C: a STORE 1 +FLAGS (\\Flagged)\nS: …\nS: a OK …\nC: b STORE 2 +FLAGS (\\Deleted)\nS: …\nS: b OK …\nC: c EXPUNGE\nS: …\nS: c OK …").await;
    one.talk(
        r#"
        C: a STORE 1:4 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Answered)
        S: …
        S: a NO [MODIFIED 1] …
        C: b UID FETCH 1:* FLAGS
        S: …
        S: b OK …
        C: c UID STORE 1:9 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Draft)
        S: …
        S: c OK [MODIFIED 1,3:4] …
        "#,
    )
    .await;
    two.talk("C: d NOOP\nS: …\nS: d OK …\nC: e FETCH 1:3 FLAGS\nS: * 1 FETCH (FLAGS (\\Flagged…))\nS: * 2 FETCH (FLAGS (\\Answered…))\nS: * 3 FETCH (FLAGS (\\Answered…))\nS: e OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_of_a_quota_follows_copies_names_and_delayed_deletes() {
    let node = Node::with("delete_mode: delayed\nexpunge_mode: delayed").await;
    let mut admin = node.login("cyrus").await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a CREATE A\nS: a OK …\nC: b CREATE A/B\nS: b OK …\nC: c CREATE C\nS: c OK …").await;
    admin.talk("C: a SETQUOTA user/fred (STORAGE 1000 ANNOTATION-STORAGE 1000)\nS: …\nS: a OK …\nC: b SETQUOTA user/fred/A (STORAGE 500 MESSAGE 10 ANNOTATION-STORAGE 100)\nS: …\nS: b OK …").await;
    let body = "y".repeat(4000);
    fred.append("A/B", &format!("Subject: big\n\n{body}\n")).await;
    let value = "z".repeat(2048);
    fred.talk(&format!("C: d SELECT A/B\nS: …\nS: d OK …\nC: e STORE 1 ANNOTATION (/comment (value.shared \"{value}\"))\nS: e OK …")).await;
    // Usage is in whole KiB; a copy takes its annotations along.
    fred.talk(
        r#"
        C: f GETQUOTAROOT A/B
        S: * QUOTAROOT A/B A…
        S: * QUOTA A (STORAGE 3 500 MESSAGE 1 10 ANNOTATION-STORAGE 2 100)
        S: …
        S: f OK …
        C: g COPY 1 C
        S: g OK …
        C: h COPY 1 A
        S: h OK …
        C: i GETQUOTAROOT C
        S: * QUOTAROOT C INBOX
        S: * QUOTA INBOX (STORAGE 3 1000 ANNOTATION-STORAGE 2 1000)
        S: i OK …
        C: j GETQUOTAROOT A
        S: * QUOTAROOT A A…
        S: * QUOTA A (STORAGE 7 500 MESSAGE 2 10 ANNOTATION-STORAGE 4 100)
        S: …
        S: j OK …
        C: k STORE 1 +FLAGS.SILENT (\Deleted)
        S: k OK …
        C: l STATUS A/B (DELETED DELETED-STORAGE)
        S: * STATUS A/B (DELETED 1 DELETED-STORAGE …)
        S: l OK …
        C: m UNSELECT
        S: m OK …
        C: n RENAME A Z
        S: n OK …
        C: o GETQUOTAROOT Z/B
        S: * QUOTAROOT Z/B Z…
        S: * QUOTA Z (STORAGE 7 500 MESSAGE 2 10 ANNOTATION-STORAGE 4 100)
        S: …
        S: o OK …
        C: p STATUS Z/B (DELETED DELETED-STORAGE)
        S: * STATUS Z/B (DELETED 1 DELETED-STORAGE …)
        S: p OK …
        C: q DELETE Z/B
        S: q OK …
        C: r GETQUOTAROOT Z
        S: * QUOTAROOT Z Z…
        S: * QUOTA Z (STORAGE 3 500 MESSAGE 1 10 ANNOTATION-STORAGE 2 100)
        S: …
        S: r OK …
        C: s SELECT Z
        S: …
        S: s OK …
        C: t STORE 1 +FLAGS.SILENT (\Deleted)
        S: t OK …
        C: u EXPUNGE
        S: …
        S: u OK …
        C: v GETQUOTAROOT Z
        S: * QUOTAROOT Z Z…
        S: * QUOTA Z (STORAGE 0 500 MESSAGE 0 10 ANNOTATION-STORAGE 0 100)
        S: …
        S: v OK …
        "#,
    )
    .await;
    admin.talk("C: c GETQUOTA user/fred/A\nS: c NO …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_nests_too_deep_is_refused_and_the_session_goes_on() {
    let node = Node::start().await;
    let mut fred = open(&node, "INBOX").await;
    let (deep, nots) = ("(".repeat(10_000), "NOT ".repeat(10_000));
    let (ors, fuzzy) = ("OR ".repeat(10_000), "FUZZY ".repeat(10_000));
    for key in [
        format!("{deep}ALL{}", ")".repeat(10_000)),
        format!("{nots}ALL"),
        format!("{ors}{}ALL", "ALL ".repeat(10_000)),
        format!("{fuzzy}ALL"),
        "ALL ".repeat(20_000) + "ALL",
    ] {
        for command in [
            format!("SEARCH {key}"),
            format!("SORT (DATE) UTF-8 {key}"),
            format!("ESEARCH IN (INBOXES) {key}"),
        ] {
            fred.send(format!("a {command}\r\n").as_bytes()).await;
            fred.talk("S: a BAD …\nC: b NOOP\nS: b OK Completed").await;
            fred = open(&node, "INBOX").await;
        }
    }
    let some = format!("{}ALL{}", "(".repeat(50), ")".repeat(50));
    fred.talk(&format!("C: c SEARCH NOT NOT NOT {some}\nS: * SEARCH\nS: c OK …")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_to_create_what_it_may_create_and_nothing_else() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", "A: 1\n\nx\n").await;
    fred.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    let (told, not) = ("NO [TRYCREATE] Mailbox does not exist", "NO [NONEXISTENT] Mailbox does not exist");
    for (mailbox, answer) in [
        ("new", told),
        ("new/deep/er", told),
        ("\"Other Users/wilma\"", not),
        ("\"Other Users/wilma/new\"", not),
        ("\"Other Users/nobody\"", not),
        ("\"Shared Folders/other\"", not),
        ("\"new%\"", not),
    ] {
        for command in ["COPY 1", "UID MOVE 1"] {
            fred.talk(&format!("C: b {command} {mailbox}\nS: b {answer}")).await;
        }
        fred.talk(&format!("C: c APPEND {mailbox} {{3+}}\nC: abc\nS: c {answer}")).await;
    }
    let mut admin = node.login("cyrus").await;
    for (mailbox, answer) in
        [("user/wilma/new", told), ("user/nobody", told), ("user/nobody/new", not), ("other", told)]
    {
        admin.talk(&format!("C: c APPEND {mailbox} {{3+}}\nC: abc\nS: c {answer}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_of_a_quota_is_told_in_whole_units_and_counted_in_bytes() {
    let node = Node::start().await;
    let (mut admin, mut fred) = (node.login("cyrus").await, node.login("fred").await);
    admin
        .talk("C: a SETQUOTA user/fred (STORAGE 2)\nS: * QUOTA user/fred (STORAGE 0 2)\nS: a OK Completed")
        .await;
    for (bytes, used) in [(1023, 0), (1, 1), (1023, 1)] {
        let body = "x".repeat(bytes);
        fred.send(format!("a APPEND INBOX {{{bytes}+}}\r\n{body}\r\n").as_bytes()).await;
        fred.expect("a OK [APPENDUID …] Completed").await;
        fred.talk(&format!(
            "C: b GETQUOTAROOT INBOX\nS: * QUOTAROOT INBOX INBOX\nS: * QUOTA INBOX (STORAGE {used} 2)\nS: b OK Completed"
        ))
        .await;
    }
    fred.send(b"a APPEND INBOX {2+}\r\nxx\r\n").await;
    fred.expect("a NO [OVERQUOTA] Over quota").await;
    fred.send(b"a APPEND INBOX {1+}\r\nx\r\n").await;
    fred.expect("a OK [APPENDUID …] Completed").await;
    fred.talk("C: b GETQUOTAROOT INBOX\nS: …\nS: * QUOTA INBOX (STORAGE 2 2)\nS: b OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_uid_is_told_what_it_lacks() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for open in ["", "C: a SELECT INBOX\nS: …\nS: a OK …"] {
        fred.talk(open).await;
        fred.talk("C: b UID\nS: b BAD Missing required argument to Uid").await;
        fred.talk("C: b UID NONSENSE 1\nS: b BAD Unrecognized UID subcommand").await;
    }
}
