//! Annotations of mailboxes and of the server, as transcripts: RFC 5464, RFC 9590, and what Cyrus's tools ask.

use crate::node::{Client, Node};

const EXPIRE: &str = "/shared/vendor/cmu/cyrus-imapd/expire";

async fn share(node: &Node) -> Client {
    let mut admin = node.login("cyrus").await;
    admin
        .talk(
            "C: a CREATE shared\nS: a OK …\nC: b SETACL shared fred lrswipkxtecda\nS: b OK …\n\
             C: c SETACL shared wilma lr\nS: c OK …\nC: d SETACL shared anyone \"\"\nS: d OK …",
        )
        .await;
    admin
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_are_set_read_and_removed() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a GETMETADATA INBOX /shared/comment
        S: * METADATA INBOX ("/shared/comment" NIL)
        S: a OK Completed
        C: b SETMETADATA INBOX (/shared/comment "for all" /private/COMMENT "for me")
        S: b OK Completed
        C: c GETMETADATA INBOX (/shared/comment /private/comment /private/vendor/x)
        S: * METADATA INBOX ("/shared/comment" "for all" "/private/comment" "for me" "/private/vendor/x" NIL)
        S: c OK Completed
        C: d SETMETADATA INBOX (/shared/comment NIL)
        S: d OK Completed
        C: e GETMETADATA INBOX (/shared/comment)
        S: * METADATA INBOX ("/shared/comment" NIL)
        S: e OK Completed
        C: f SETMETADATA INBOX (/private/devicetoken {5+}
        C: a"b\c /private/empty "")
        S: f OK Completed
        C: g GETMETADATA INBOX (DEPTH infinity) (/private)
        S: * METADATA INBOX ("/private/comment" "for me" "/private/devicetoken" "a\"b\\c" "/private/empty" "")
        S: g OK Completed
        C: h SETMETADATA INBOX (/shared/x "1" /shared/vendor/cmu/cyrus-imapd/server "be9")
        S: h NO [NOPERM] Permission denied
        C: i GETMETADATA INBOX /shared/x
        S: * METADATA INBOX ("/shared/x" NIL)
        S: i OK Completed
        "#,
    )
    .await;
    for wrong in ["/comment", "/shared/x*", "/shared//x", "/private/x/", "/shared"] {
        fred.talk(&format!(
            "C: w SETMETADATA INBOX ({wrong} \"x\")\nS: w BAD Invalid metadata entry in Setmetadata"
        ))
        .await;
    }
    fred.talk("C: x SETMETADATA INBOX ()\nS: x BAD …\nC: y GETMETADATA INBOX\nS: y BAD …\nC: z NOOP\nS: z OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_may_hold_any_byte_and_comes_back_as_it_went_in() {
    let mut node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.send(
        b"a SETMETADATA INBOX (/private/vendor/x ~{4+}\r\n\0\xff\r\n /private/vendor/y {2+}\r\n\xc3\xa4)\r\n",
    )
    .await;
    fred.talk("S: a OK Completed").await;
    fred.send(b"b SETMETADATA INBOX (/private/vendor/x {1+}\r\n\0)\r\n").await;
    fred.talk("S: b BAD Invalid NUL byte in Setmetadata").await;
    node.restart("").await;
    let mut fred = node.login("fred").await;
    fred.send(b"c GETMETADATA INBOX (/private/vendor/x /private/vendor/y)\r\n").await;
    let expected = b"* METADATA INBOX (\"/private/vendor/x\" ~{4}\r\n\0\xff\r\n \"/private/vendor/y\" {2}\r\n\xc3\xa4)\r\n";
    assert_eq!(fred.bytes(expected.len()).await, expected);
    fred.talk("S: c OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_and_size_are_as_asked_for() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a SETMETADATA INBOX (/private/v "1" /private/v/a "22" /private/v/a/b "333" /private/vx "4444")
        S: a OK Completed
        C: b GETMETADATA (DEPTH 0) INBOX /private/v
        S: * METADATA INBOX ("/private/v" "1")
        S: b OK Completed
        C: c GETMETADATA (DEPTH 1) INBOX /private/v
        S: * METADATA INBOX ("/private/v" "1" "/private/v/a" "22")
        S: c OK Completed
        C: d GETMETADATA INBOX (DEPTH infinity) /private/v
        S: * METADATA INBOX ("/private/v" "1" "/private/v/a" "22" "/private/v/a/b" "333")
        S: d OK Completed
        C: e GETMETADATA (DEPTH 1) INBOX /private/nothing
        S: e OK Completed
        C: f GETMETADATA (MAXSIZE 3) INBOX (/private/v/a/b /private/vx)
        S: * METADATA INBOX ("/private/v/a/b" "333")
        S: f OK [METADATA LONGENTRIES 4] Completed
        C: g GETMETADATA (MAXSIZE 2 DEPTH infinity) INBOX /private/v
        S: * METADATA INBOX ("/private/v" "1" "/private/v/a" "22")
        S: g OK [METADATA LONGENTRIES 3] Completed
        C: h GETMETADATA INBOX "/private/v*"
        S: * METADATA INBOX ("/private/v" "1" "/private/v/a" "22" "/private/v/a/b" "333" "/private/vx" "4444")
        S: h OK Completed
        C: i GETMETADATA INBOX (/private/v/%)
        S: * METADATA INBOX ("/private/v/a" "22")
        S: i OK Completed
        C: j GETMETADATA (DEPTH 7) INBOX /private/v
        S: j BAD …
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_by_their_codes_and_nothing_is_set_beyond_them() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    let set = |size: usize| {
        format!("a SETMETADATA INBOX (/private/a \"1\" /private/b {{{size}+}}\r\n{})\r\n", "x".repeat(size))
    };
    fred.send(set(65_537).as_bytes()).await;
    fred.talk("S: a NO [METADATA MAXSIZE 65536] Annotation value too large").await;
    fred.talk(
        "C: b GETMETADATA INBOX /private/a\nS: * METADATA INBOX (\"/private/a\" NIL)\nS: b OK Completed",
    )
    .await;
    fred.send(set(65_536).as_bytes()).await;
    fred.talk("S: a OK Completed").await;
    for run in 0..10 {
        let entries: Vec<String> = (0..100).map(|n| format!("/private/n/{run}/{n} \"x\"")).collect();
        let answer = if run < 9 { "c OK Completed" } else { "c NO [METADATA TOOMANY] Too many annotations" };
        fred.talk(&format!("C: c SETMETADATA INBOX ({})\nS: {answer}", entries.join(" "))).await;
    }
    fred.talk("C: d SETMETADATA INBOX (/shared/a \"1\")\nS: d OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_decide_who_reads_and_who_sets() {
    let node = Node::start().await;
    let mut admin = share(&node).await;
    let (mut fred, mut wilma) = (node.login("fred").await, node.login("wilma").await);
    let shared = "\"Shared Folders/shared\"";
    fred.talk(&format!(
        "C: a SETMETADATA {shared} (/shared/comment \"staff\" /private/comment \"fred's\" {EXPIRE} (7d))\nS: a BAD …\n\
         C: b SETMETADATA {shared} (/shared/comment \"staff\" /private/comment \"fred's\" {EXPIRE} \"7d\")\nS: b OK Completed\n\
         C: c SETMETADATA {shared} ({EXPIRE} \"soon\")\nS: c NO [CANNOT] Invalid annotation value"
    ))
    .await;
    // Wilma may read, and keep private ones; what fred has for himself is not hers to see.
    wilma
        .talk(&format!(
            "C: a GETMETADATA {shared} (/shared/comment /private/comment)\n\
         S: * METADATA {shared} (\"/shared/comment\" \"staff\" \"/private/comment\" NIL)\nS: a OK Completed\n\
         C: b SETMETADATA {shared} (/shared/comment \"mine\")\nS: b NO [NOPERM] Permission denied\n\
         C: c SETMETADATA {shared} (/private/comment \"wilma's\")\nS: c OK Completed\n\
         C: d GETMETADATA {shared} (/private/*)\n\
         S: * METADATA {shared} (\"/private/comment\" \"wilma's\")\nS: d OK Completed\n\
         C: e GETMETADATA \"Other Users/fred\" /shared/comment\nS: e NO [NONEXISTENT] Mailbox does not exist"
        ))
        .await;
    admin.talk("C: a SETACL shared wilma l\nS: a OK …").await;
    wilma
        .talk(&format!("C: f GETMETADATA {shared} /shared/comment\nS: f NO [NOPERM] Permission denied"))
        .await;
    // Without `a` no expiry; an admin of the server may do all.
    admin.talk(&format!("C: b SETACL shared wilma lrw\nS: b OK …\nC: c SETMETADATA user/fred ({EXPIRE} \"30\")\nS: c OK Completed")).await;
    wilma
        .talk(&format!(
            "C: g SETMETADATA {shared} ({EXPIRE} \"1d\")\nS: g NO [NOPERM] Permission denied\n\
         C: h SETMETADATA {shared} (/shared/comment \"hers\")\nS: h OK Completed"
        ))
        .await;
    admin.talk("C: d GETMETADATA shared (/shared/comment /private/comment)\nS: * METADATA shared (\"/shared/comment\" \"hers\" \"/private/comment\" NIL)\nS: d OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_raises_highestmodseq_and_goes_with_the_mailbox() {
    let node = Node::with("delete_mode: immediate").await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a CREATE Work
        S: a OK …
        C: b STATUS Work (HIGHESTMODSEQ)
        S: * STATUS Work (HIGHESTMODSEQ 1)
        S: b OK Completed
        C: c SETMETADATA Work (/private/vendor/x "1")
        S: c OK Completed
        C: d STATUS Work (HIGHESTMODSEQ)
        S: * STATUS Work (HIGHESTMODSEQ 2)
        S: d OK Completed
        C: e RENAME Work Play
        S: e OK Completed
        C: f GETMETADATA Play (/private/vendor/x)
        S: * METADATA Play ("/private/vendor/x" "1")
        S: f OK Completed
        C: g DELETE Play
        S: g OK Completed
        C: h CREATE Play
        S: h OK …
        C: i GETMETADATA Play (/private/vendor/x)
        S: * METADATA Play ("/private/vendor/x" NIL)
        S: i OK Completed
        C: j SETMETADATA INBOX (/private/vendor/x "inbox")
        S: j OK Completed
        C: k RENAME INBOX Old
        S: k OK Completed
        C: l GETMETADATA (Old INBOX) (/private/vendor/x)
        S: * METADATA Old ("/private/vendor/x" "inbox")
        S: * METADATA INBOX ("/private/vendor/x" "inbox")
        S: l OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_knows_of_a_mailbox_is_read_only() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin
        .talk(
            r#"
            C: a SETQUOTA user/fred (STORAGE 100)
            S: * QUOTA user/fred (STORAGE 0 100)
            S: a OK Completed
            C: b GETMETADATA user/fred "/shared/vendor/cmu/cyrus-imapd/*"
            S: * METADATA user/fred ("/shared/vendor/cmu/cyrus-imapd/annotsize" "0" "/shared/vendor/cmu/cyrus-imapd/duplicatedeliver" "false" "/shared/vendor/cmu/cyrus-imapd/foldermodseq" "1" "/shared/vendor/cmu/cyrus-imapd/lastupdate" "…" "/shared/vendor/cmu/cyrus-imapd/partition" "default" "/shared/vendor/cmu/cyrus-imapd/pop3newuidl" "false" "/shared/vendor/cmu/cyrus-imapd/server" "be1" "/shared/vendor/cmu/cyrus-imapd/sharedseen" "false" "/shared/vendor/cmu/cyrus-imapd/size" "0" "/shared/vendor/cmu/cyrus-imapd/uniqueid" "…-…" "/shared/vendor/cmu/cyrus-imapd/userrawquota" "(STORAGE 0 100)")
            S: b OK Completed
            C: c SETMETADATA user/fred (/shared/vendor/cmu/cyrus-imapd/uniqueid "x")
            S: c NO [NOPERM] Permission denied
            C: d SETMETADATA user/fred (/shared/vendor/cmu/cyrus-imapd/nonsense "x")
            S: d NO [NOPERM] Permission denied
            C: e SETMETADATA user/fred (/shared/vendor/cmu/cyrus-imapd/sharedseen "on")
            S: e OK Completed
            C: f GETMETADATA user/fred (/shared/vendor/cmu/cyrus-imapd/sharedseen)
            S: * METADATA user/fred ("/shared/vendor/cmu/cyrus-imapd/sharedseen" "true")
            S: f OK Completed
            C: g SETMETADATA user/fred (/private/specialuse "\\Sent")
            S: g NO [NOPERM] Permission denied
            "#,
        )
        .await;
}

/// `sharedseen`: one flag for all, and not one for each.
#[tokio::test(flavor = "multi_thread")]
async fn seen_is_everybodys_where_the_mailbox_says_so() {
    let node = Node::start().await;
    let mut admin = share(&node).await;
    admin.talk("C: a SETACL shared wilma lrs\nS: a OK …").await;
    let shared = "\"Shared Folders/shared\"";
    let mut fred = node.login("fred").await;
    fred.append(shared, "Subject: x\n\nx\n").await;
    fred.talk(&format!(
        "C: a SETMETADATA {shared} (/shared/vendor/cmu/cyrus-imapd/sharedseen \"true\")\nS: a OK Completed\n\
         C: b SELECT {shared}\nS: …\nS: b OK …\nC: c STORE 1 +FLAGS (\\Seen)\nS: …\nS: c OK …"
    ))
    .await;
    let mut wilma = node.login("wilma").await;
    wilma
        .talk(&format!("C: a STATUS {shared} (UNSEEN)\nS: * STATUS {shared} (UNSEEN 0)\nS: a OK Completed"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_special_use_set_as_an_annotation_shows_in_list() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a CREATE Out
        S: a OK …
        C: b CREATE Deep/er
        S: b OK …
        C: c SETMETADATA Out (/private/specialuse "\\sent")
        S: c OK Completed
        C: d LIST "" Out
        S: * LIST (\HasNoChildren \Sent) "/" Out
        S: d OK Completed
        C: e SETMETADATA Deep (/private/specialuse "\\Sent")
        S: e NO [USEATTR] Special use is taken by another mailbox
        C: f SETMETADATA Deep/er (/private/specialuse "\\Junk")
        S: f NO [USEATTR] Special use only for top-level mailboxes
        C: g SETMETADATA Out (/private/specialuse "\\Sent \\Drafts")
        S: g OK Completed
        C: h GETMETADATA Out /private/specialuse
        S: * METADATA Out ("/private/specialuse" "\\Sent \\Drafts")
        S: h OK Completed
        C: i DELETE Out
        S: i NO [NOPERM] Mailbox is protected by its special use
        C: j RENAME Out Sent
        S: j OK Completed
        C: k RENAME Sent Deep/Sent
        S: k NO [NOPERM] Mailbox is protected by its special use
        C: l SETMETADATA Sent (/private/specialuse NIL)
        S: l OK Completed
        C: m LIST (SPECIAL-USE) "" *
        S: m OK Completed
        C: n SETMETADATA Deep (/private/specialuse "\\Snoozed")
        S: n OK Completed
        C: o CREATE Deep/below
        S: o NO [NOPERM] Mailbox is protected by its special use
        C: p DELETE Sent
        S: p OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn special_uses_lie_deeper_where_the_site_lets_them() {
    let node = Node::with("allowspecialusesubfolder: yes").await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a CREATE a/b (USE (\\Junk))\nS: a OK …\nC: b LIST \"\" a/b\nS: * LIST (\\HasNoChildren \\Junk) \"/\" a/b\nS: b OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_has_annotations_and_notices() {
    let node = Node::start().await;
    let (mut admin, mut fred) = (node.login("cyrus").await, node.login("fred").await);
    fred.talk(
        r#"
        C: a SETMETADATA "" (/private/vendor/token "fred's")
        S: a OK Completed
        C: b SETMETADATA "" (/shared/comment "no")
        S: b NO [NOPERM] Permission denied
        C: c GETMETADATA "" (/private/vendor/token /shared/comment)
        S: * METADATA "" ("/private/vendor/token" "fred's" "/shared/comment" NIL)
        S: c OK Completed
        "#,
    )
    .await;
    admin
        .talk(
            r#"
            C: a SETMETADATA "" (/shared/comment "ours" /shared/admin "mailto:a@example.org" /shared/motd "Hello")
            S: a OK Completed
            C: b GETMETADATA "" (/private/vendor/token /shared/comment /shared/admin /shared/motd)
            S: * METADATA "" ("/private/vendor/token" NIL "/shared/comment" "ours" "/shared/admin" "mailto:a@example.org" "/shared/motd" "Hello")
            S: b OK Completed
            C: c GETMETADATA "" "/shared/vendor/cmu/cyrus-imapd/freespace"
            S: * METADATA "" ("/shared/vendor/cmu/cyrus-imapd/freespace" "…")
            S: c OK Completed
            C: d SETMETADATA "" (/shared/vendor/cmu/cyrus-imapd/freespace "1")
            S: d NO [NOPERM] Permission denied
            "#,
        )
        .await;
    let mut other = node.client("imap").await;
    other.talk("S: * OK [CAPABILITY …\nS: * OK [ALERT] Hello").await;
    admin.talk("C: e SETMETADATA \"\" (/shared/vendor/cmu/cyrus-imapd/shutdown \"Back at noon\")\nS: e OK Completed").await;
    fred.talk("C: d NOOP\nS: * BYE [ALERT] Back at noon").await;
    admin.talk("C: f SETMETADATA \"\" (/shared/vendor/cmu/cyrus-imapd/shutdown NIL /shared/motd NIL)\nS: f OK Completed").await;
    node.login("fred").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_says_which_annotations_there_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("definitions");
    std::fs::write(&file, "/vendor/acme/colour,mailbox,string,backend,value.shared,a\n/vendor/acme/count,mailbox,uint,backend,value,\n").unwrap();
    let lines = format!("annotation_allow_undefined: no\nannotation_definitions: {}", file.display());
    let node = Node::with(&lines).await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a SETMETADATA INBOX (/private/vendor/x "1")
        S: a NO [NOPERM] Permission denied
        C: b SETMETADATA INBOX (/private/comment "1" /shared/vendor/acme/colour "red" /private/vendor/acme/count "3")
        S: b OK Completed
        C: c SETMETADATA INBOX (/private/vendor/acme/colour "red")
        S: c NO [NOPERM] Permission denied
        C: d SETMETADATA INBOX (/private/vendor/acme/count "many")
        S: d NO [CANNOT] Invalid annotation value
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_before_metadata_are_refused_and_the_session_goes_on() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a GETANNOTATION INBOX "/comment" "value.shared"
        S: a NO [NOPERM] Permission denied
        C: b SETANNOTATION INBOX "/comment" ("value.shared" {3+}
        C: abc)
        S: b NO [NOPERM] Permission denied
        C: c NOOP
        S: c OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn list_returns_annotations_behind_status_and_rights() {
    let node = Node::start().await;
    let mut admin = share(&node).await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a CREATE Work
        S: a OK …
        C: b SETMETADATA Work (/private/vendor/x "long one" /shared/comment "c")
        S: b OK Completed
        C: c LIST "" (INBOX Work) RETURN (METADATA (/private/vendor/x) MYRIGHTS STATUS (MESSAGES))
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (MESSAGES 0)
        S: * MYRIGHTS INBOX lrswipkxtecdan
        S: * METADATA INBOX ("/private/vendor/x" NIL)
        S: * LIST (\HasNoChildren) "/" Work
        S: * STATUS Work (MESSAGES 0)
        S: * MYRIGHTS Work lrswipkxtecdan
        S: * METADATA Work ("/private/vendor/x" "long one")
        S: c OK Completed
        C: d LIST (METADATA (DEPTH infinity MAXSIZE 2)) "" Work RETURN (METADATA (/private /shared/comment))
        S: * LIST (\HasNoChildren) "/" Work
        S: * METADATA Work ("/shared/comment" "c")
        S: d OK [METADATA LONGENTRIES 8] Completed
        C: e LIST "" % RETURN (METADATA (comment))
        S: e BAD …
        "#,
    )
    .await;
    // Without the right to read there is neither STATUS nor METADATA, and the mailbox cannot be selected.
    admin.talk("C: a SETACL shared wilma l\nS: a OK …").await;
    let mut wilma = node.login("wilma").await;
    wilma
        .talk(
            "C: a LIST \"\" *shared RETURN (STATUS (MESSAGES) METADATA (/shared/comment))\n\
             S: * LIST (\\Noselect \\HasNoChildren) \"/\" \"Shared Folders/shared\"\nS: a OK Completed",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_what_an_expunge_would_free_and_what_may_be_appended() {
    let node = Node::with("maxmessagesize: 5000").await;
    let mut fred = node.login("fred").await;
    for text in ["Subject: one\n\n1\n", "Subject: two\n\n22\n", "Subject: three\n\n333\n"] {
        fred.append("INBOX", text).await;
    }
    fred.talk(
        r#"
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b STORE 1,3 +FLAGS.SILENT (\Deleted)
        S: b OK Completed
        C: c STATUS INBOX (DELETED DELETED-STORAGE SIZE APPENDLIMIT)
        S: * STATUS INBOX (DELETED 2 DELETED-STORAGE 42 SIZE 62 APPENDLIMIT 5000)
        S: c OK Completed
        C: d STORE 1 -FLAGS.SILENT (\Deleted)
        S: d OK Completed
        C: e EXPUNGE
        S: * 3 EXPUNGE
        S: e OK Completed
        C: f STATUS INBOX (DELETED DELETED-STORAGE)
        S: * STATUS INBOX (DELETED 0 DELETED-STORAGE 0)
        S: f OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_annotations_is_told_and_kept() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin
        .talk(
            "C: a SETQUOTA user/fred (ANNOTATION-STORAGE 1 STORAGE 100)\n\
             S: * QUOTA user/fred (STORAGE 0 100 ANNOTATION-STORAGE 0 1)\nS: a OK Completed",
        )
        .await;
    let mut fred = node.login("fred").await;
    let value = "x".repeat(1024);
    fred.talk(&format!("C: a SETMETADATA INBOX (/private/vendor/x \"{value}\")\nS: a OK Completed")).await;
    fred.talk(&format!(
        "C: b SETMETADATA INBOX (/shared/vendor/x \"{value}\")\nS: b NO [OVERQUOTA] Over quota"
    ))
    .await;
    fred.talk(
        "C: c GETQUOTAROOT INBOX\nS: * QUOTAROOT INBOX INBOX\n\
         S: * QUOTA INBOX (STORAGE 0 100 ANNOTATION-STORAGE 1 1)\nS: c OK Completed\n\
         C: d SETMETADATA INBOX (/private/vendor/x NIL)\nS: d OK Completed",
    )
    .await;
    admin
        .talk("C: b GETQUOTA user/fred\nS: * QUOTA user/fred (STORAGE 0 100 ANNOTATION-STORAGE 0 1)\nS: b OK Completed")
        .await;
}

/// The frontend has put the entries of its client's GETMETADATA into the older command, and hands the answer on as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_cyrus_frontend_gets_the_annotations_that_its_client_asks_for() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        "C: a SETMETADATA INBOX (/shared/comment \"ours\" /private/comment \"mine\" /shared/vendor/x \"x\")\nS: a OK …\n\
         C: b GETANNOTATION \"INBOX\" (/shared/comment)\nS: b NO [NOPERM] Permission denied",
    )
    .await;
    let mut proxy = node.connect().await;
    // authzid fred, authcid proxy
    proxy
        .talk(
            r#"
            C: a AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=
            S: a OK …
            C: b GETANNOTATION "INBOX" (/shared/comment)
            S: * METADATA INBOX ("/shared/comment" "ours")
            S: b OK Completed
            C: c GETANNOTATION "INBOX" (/shared/comment/private/comment /shared/vendor/x /private/vendor/x)
            S: * METADATA INBOX ("/shared/comment" "ours" "/private/comment" "mine" "/shared/vendor/x" "x" "/private/vendor/x" NIL)
            S: c OK Completed
            C: d GETANNOTATION "INB%" (/private/*)
            S: * METADATA INBOX ("/private/comment" "mine")
            S: d OK Completed
            C: g SETMETADATA "INBOX" (/shared/comment theirs /private/comment NIL)
            S: g OK Completed
            C: h GETMETADATA "INBOX" (/private/comment/shared/comment /private/comment /shared/comment)
            S: * METADATA INBOX ("/private/comment" NIL "/shared/comment" "theirs")
            S: h OK Completed
            C: e GETANNOTATION "nowhere" (/shared/comment)
            S: e NO [NONEXISTENT] Mailbox does not exist
            "#,
        )
        .await;
}
