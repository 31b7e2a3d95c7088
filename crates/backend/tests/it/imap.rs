//! IMAP sessions, as transcripts.

use crate::node::Node;

const MAIL: &str = "From: Joe <joe@example.org>\nTo: fred@example.org\nSubject: Lunch\nDate: Mon, 23 Nov 2026 12:00:00 \
    +0100\nMessage-ID: <1@example.org>\n\nTwelve?\n";

const MULTIPART: &str = "From: a@b\nSubject: parts\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
    preamble\n--x\nContent-Type: text/plain\n\nhello\n--x\nContent-Type: application/octet-stream\n\
    Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=a.bin\n\naGVsbG8=\n--x--\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_appended_fetched_flagged_and_expunged() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a SELECT INBOX
        S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Draft \Deleted \Seen \*)] Ok
        S: * 1 EXISTS
        S: * 1 RECENT
        S: * OK [UNSEEN 1] Ok
        S: * OK [UIDVALIDITY …] Ok
        S: * OK [UIDNEXT 2] Ok
        S: * OK [HIGHESTMODSEQ …] Ok
        S: * OK [MAILBOXID (…)] Ok
        S: * OK [ANNOTATIONS 65536] Ok
        S: a OK [READ-WRITE] Completed
        C: b FETCH 1 (UID FLAGS RFC822.SIZE ENVELOPE)
        S: * 1 FETCH (UID 1 FLAGS (\Recent) RFC822.SIZE 146 ENVELOPE ("Mon, 23 Nov 2026 12:00:00 +0100" "Lunch" (("Joe" NIL "joe" "example.org")) (("Joe" NIL "joe" "example.org")) (("Joe" NIL "joe" "example.org")) ((NIL NIL "fred" "example.org")) NIL NIL NIL "<1@example.org>"))
        S: b OK Completed
        C: c FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]
        S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {18}
        S: Subject: Lunch
        S:
        S: )
        S: c OK Completed
        C: d UID FETCH 1 BODY[TEXT]
        S: * 1 FETCH (UID 1 BODY[TEXT] {9}
        S: Twelve?
        S:  FLAGS (\Recent \Seen))
        S: d OK Completed
        C: e FETCH 1 BODY[TEXT]<2.3>
        S: * 1 FETCH (BODY[TEXT]<2> {3}
        S: elv)
        S: e OK Completed
        C: f STORE 1 +FLAGS (\Deleted $Work)
        S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen $Work)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Draft \Deleted \Seen $Work \*)] Ok
        S: * 1 FETCH (FLAGS (\Recent \Deleted $Work \Seen))
        S: f OK Completed
        C: g SEARCH DELETED KEYWORD $work
        S: * SEARCH 1
        S: g OK Completed
        C: h EXPUNGE
        S: * 1 EXPUNGE
        S: h OK Completed
        C: i FETCH 1 FLAGS
        S: i NO No matching messages
        C: j LOGOUT
        S: * BYE LOGOUT received
        S: j OK Completed
        S: <end>
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn structure_and_parts_of_a_multipart_message() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MULTIPART).await;
    fred.talk(
        r#"
        C: a EXAMINE INBOX
        S: …
        S: a OK [READ-ONLY] Completed
        C: b FETCH 1 BODY
        S: * 1 FETCH (BODY (("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 0)("APPLICATION" "OCTET-STREAM" NIL NIL NIL "BASE64" 8) "MIXED"))
        S: b OK Completed
        C: c FETCH 1 (BODY[1] BODY[2.MIME] BODY[3])
        S: * 1 FETCH (BODY[1] {5}
        S: hello BODY[2.MIME] {…}
        S: Content-Type: application/octet-stream
        S: Content-Transfer-Encoding: base64
        S: Content-Disposition: attachment; filename=a.bin
        S:
        S:  BODY[3] NIL)
        S: c OK Completed
        C: d FETCH 1 (BINARY[2] BINARY.SIZE[2])
        S: * 1 FETCH (BINARY[2] {5}
        S: hello BINARY.SIZE[2] 5)
        S: d OK Completed
        C: e STORE 1 FLAGS \Seen
        S: e NO [READ-ONLY] Mailbox is read-only
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_messages_are_appended_at_once_or_not_at_all() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a APPEND INBOX (\Seen) "17-Jul-1996 02:44:25 -0700" {9}
        S: + go ahead
        C: A: five
        C: x
        S: a BAD …
        C: b NOOP
        S: b OK Completed
        "#,
    )
    .await;
    let mut fred = node.login("fred").await;
    fred.send(b"a APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {8+}\r\nA: 1\r\n\r\n (\\Flagged) {8+}\r\nA: 2\r\n\r\n\r\n")
        .await;
    fred.talk(
        r#"
        S: a OK [APPENDUID … 1:2] Completed
        C: b SELECT INBOX
        S: …
        S: b OK [READ-WRITE] Completed
        C: c FETCH 1:2 (FLAGS INTERNALDATE)
        S: * 1 FETCH (FLAGS (\Recent \Seen) INTERNALDATE "17-Jul-1996 09:44:25 +0000")
        S: * 2 FETCH (FLAGS (\Recent \Flagged) INTERNALDATE "…")
        S: c OK Completed
        "#,
    )
    .await;
    fred.send(b"d APPEND nowhere {3}\r\n").await;
    fred.talk("S: d NO [TRYCREATE] Mailbox does not exist").await;
    fred.send(b"e APPEND INBOX {4+}\r\na\nbc\r\n").await;
    fred.talk("S: e NO Message contains bare newlines").await;
    fred.send(b"f APPEND INBOX {4+}\r\na\0bc\r\ng NOOP\r\n").await;
    fred.talk("S: f NO [UNKNOWN-CTE] Message contains NUL characters\nS: g OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_hears_of_what_another_does() {
    let node = Node::start().await;
    let mut idler = node.login("fred").await;
    idler.talk("C: a SELECT INBOX\nS: …\nS: a OK [READ-WRITE] Completed\nC: b IDLE\nS: + idling").await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    idler.talk("S: * 1 EXISTS\nS: * …RECENT").await;
    fred.append("INBOX", MAIL).await;
    idler.talk("S: * 2 EXISTS\nS: * …RECENT").await;
    fred.talk(
        r#"
        C: a SELECT INBOX
        S: …
        S: a OK [READ-WRITE] Completed
        C: b UID STORE 1 +FLAGS.SILENT \Deleted
        S: b OK Completed
        "#,
    )
    .await;
    idler.talk("S: * 1 FETCH (FLAGS (\\Recent \\Deleted) UID 1)\nC: DONE\nS: b OK Completed").await;
    fred.talk("C: c EXPUNGE\nS: * 1 EXPUNGE\nS: c OK Completed").await;
    // No EXPUNGE while numbers are in use; the number of the one that is gone names nothing.
    idler
        .talk(
            r#"
            C: c FETCH 1:2 UID
            S: * 2 FETCH (UID 2)
            S: c OK Completed
            C: d NOOP
            S: * 1 EXPUNGE
            S: d OK Completed
            C: e FETCH 1:* UID
            S: * 1 FETCH (UID 2)
            S: e OK Completed
            "#,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_are_made_listed_renamed_and_deleted() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: a OK Completed
        C: b CREATE Work/2026
        S: b OK [MAILBOXID (…)] Completed
        C: c CREATE Sent (USE (\Sent))
        S: c OK [MAILBOXID (…)] Completed
        C: d CREATE Sent
        S: d NO [ALREADYEXISTS] Mailbox already exists
        C: e LIST "" *
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasChildren) "/" Work
        S: * LIST (\HasNoChildren) "/" Work/2026
        S: e OK Completed
        C: f LIST "" %
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasChildren) "/" Work
        S: f OK Completed
        C: g LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: g OK Completed
        C: h SUBSCRIBE Work/2026
        S: h OK Completed
        C: i LSUB "" *
        S: * LSUB () "/" Work/2026
        S: i OK Completed
        C: j LSUB "" %
        S: * LSUB (\Noselect \HasChildren) "/" Work
        S: j OK Completed
        C: k LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (CHILDREN)
        S: * LIST (\HasChildren) "/" Work ("CHILDINFO" ("SUBSCRIBED"))
        S: k OK Completed
        C: l LIST (SUBSCRIBED) "" *
        S: * LIST (\Subscribed \HasNoChildren) "/" Work/2026
        S: l OK Completed
        C: m LIST (SPECIAL-USE) "" *
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: m OK Completed
        C: n LIST "" Sent RETURN (STATUS (MESSAGES UIDNEXT) MYRIGHTS)
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * STATUS Sent (MESSAGES 0 UIDNEXT 1)
        S: * MYRIGHTS Sent lrswipkxtecdan
        S: n OK Completed
        C: o RENAME Work Play
        S: o OK Completed
        C: p LIST "" Play*
        S: * LIST (\HasChildren) "/" Play
        S: * LIST (\HasNoChildren) "/" Play/2026
        S: p OK Completed
        C: q DELETE Play/2026
        S: q OK Completed
        C: r SELECT Play/2026
        S: r NO [NONEXISTENT] Mailbox does not exist
        C: s UNSUBSCRIBE Work/2026
        S: s OK Completed
        C: t DELETE INBOX
        S: t NO Operation is not supported on mailbox
        "#,
    )
    .await;
    let mut admin = node.login("cyrus").await;
    admin
        .talk(
            r#"
            C: a LIST "" user/fred*
            S: * LIST (\HasChildren) "/" user/fred
            S: * LIST (\HasNoChildren) "/" user/fred/Play
            S: * LIST (\HasNoChildren) "/" user/fred/Sent
            S: a OK Completed
            C: b LIST "" DELETED/*
            S: * LIST (\HasNoChildren) "/" DELETED/user/fred/Play/2026/…
            S: b OK Completed
            "#,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_decide_what_others_see_and_do() {
    let node = Node::start().await;
    let (mut fred, mut wilma) = (node.login("fred").await, node.login("wilma").await);
    fred.append("INBOX", MAIL).await;
    wilma.talk("C: a SELECT \"Other Users/fred\"\nS: a NO [NONEXISTENT] Mailbox does not exist").await;
    fred.talk(
        r#"
        C: a SETACL INBOX wilma lrs
        S: a OK Completed
        C: b GETACL INBOX
        S: * ACL INBOX fred lrswipkxtecdan wilma lrs
        S: b OK Completed
        C: c MYRIGHTS INBOX
        S: * MYRIGHTS INBOX lrswipkxtecdan
        S: c OK Completed
        C: d LISTRIGHTS INBOX fred
        S: * LISTRIGHTS INBOX fred lkxcan r s w i p t e d 0 1 2 3 4 5 6 7 8 9
        S: d OK Completed
        C: e SETACL INBOX wilma +Q
        S: e BAD The Q right is not supported
        "#,
    )
    .await;
    wilma
        .talk(
            r#"
            C: a LIST "" *
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * LIST (\HasNoChildren) "/" "Other Users/fred"
            S: a OK Completed
            C: b SELECT "Other Users/fred"
            S: …
            S: * 1 EXISTS
            S: …
            S: b OK [READ-WRITE] Completed
            C: c STORE 1 +FLAGS \Seen
            S: * 1 FETCH (FLAGS (\Recent \Seen))
            S: c OK Completed
            C: d STORE 1 +FLAGS \Deleted
            S: d NO [NOPERM] Permission denied
            C: e EXPUNGE
            S: e NO [NOPERM] Permission denied
            C: f COPY 1 INBOX
            S: f OK [COPYUID … 1 1] Completed
            C: g MOVE 1 INBOX
            S: g NO [NOPERM] Permission denied
            C: h GETACL "Other Users/fred"
            S: h NO [NOPERM] Permission denied
            "#,
        )
        .await;
    // What one has seen, the other has not.
    fred.talk("C: a STATUS INBOX (UNSEEN)\nS: * STATUS INBOX (UNSEEN 1)\nS: a OK Completed").await;
    fred.talk("C: b DELETEACL INBOX wilma\nS: b OK Completed").await;
    // The session that has it open must not hear of it any more.
    wilma.talk("C: i NOOP\nS: * BYE [NOPERM] Permission to read the mailbox was taken away\nS: <end>").await;
    let mut wilma = node.login("wilma").await;
    wilma
        .talk("C: i STATUS \"Other Users/fred\" (UNSEEN)\nS: i NO [NONEXISTENT] Mailbox does not exist")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_taken_away_are_gone_at_the_next_command_of_an_open_session() {
    let node = Node::start().await;
    let (mut fred, mut wilma) = (node.login("fred").await, node.login("wilma").await);
    fred.append("INBOX", MAIL).await;
    fred.talk("C: a SETACL INBOX wilma lrswted\nS: a OK Completed").await;
    wilma
        .talk(
            r#"
            C: a SELECT "Other Users/fred"
            S: …
            S: a OK [READ-WRITE] Completed
            C: b STORE 1 +FLAGS (\Flagged)
            S: * 1 FETCH (FLAGS (\Recent \Flagged))
            S: b OK Completed
            "#,
        )
        .await;
    fred.talk("C: b SETACL INBOX wilma lrs\nS: b OK Completed").await;
    wilma
        .talk(
            r#"
            C: c STORE 1 -FLAGS (\Flagged)
            S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen)
            S: * OK [PERMANENTFLAGS (\Seen)] Ok
            S: c NO [NOPERM] Permission denied
            C: d STORE 1 +FLAGS (\Seen)
            S: * 1 FETCH (FLAGS (\Recent \Flagged \Seen))
            S: d OK Completed
            C: e EXPUNGE
            S: e NO [NOPERM] Permission denied
            "#,
        )
        .await;
    fred.talk("C: c SETACL INBOX wilma lr\nS: c OK Completed").await;
    wilma
        .talk(
            r#"
            C: f STORE 1 -FLAGS (\Seen)
            S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen)
            S: * OK [PERMANENTFLAGS ()] Ok
            S: f NO [READ-ONLY] Mailbox is read-only
            C: g FETCH 1 (FLAGS)
            S: * 1 FETCH (FLAGS (\Recent \Flagged \Seen))
            S: g OK Completed
            C: h IDLE
            S: + idling
            "#,
        )
        .await;
    // Nor does one that sleeps hear of a message that comes afterwards.
    fred.talk("C: d DELETEACL INBOX wilma\nS: d OK Completed").await;
    fred.append("INBOX", MAIL).await;
    wilma.talk("S: * BYE [NOPERM] Permission to read the mailbox was taken away\nS: <end>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_copied_moved_and_searched() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for _ in 0..3 {
        fred.append("INBOX", MAIL).await;
    }
    fred.talk(
        r#"
        C: a CREATE Archive
        S: a OK …
        C: b SELECT INBOX
        S: …
        S: b OK [READ-WRITE] Completed
        C: c COPY 1:2 Archive
        S: c OK [COPYUID … 1:2 1:2] Completed
        C: d UID MOVE 2:3 Archive
        S: * OK [COPYUID … 2:3 3:4] Completed
        S: * 2 EXPUNGE
        S: * 2 EXPUNGE
        S: d OK Completed
        C: e COPY 1 Nowhere
        S: e NO [TRYCREATE] Mailbox does not exist
        C: f UID COPY 99 Archive
        S: f OK Completed
        C: g STATUS Archive (MESSAGES RECENT UIDNEXT UNSEEN SIZE DELETED)
        S: * STATUS Archive (MESSAGES 4 RECENT 4 UIDNEXT 5 UNSEEN 4 SIZE 584 DELETED 0)
        S: g OK Completed
        C: h SEARCH RETURN (MIN MAX COUNT ALL) SUBJECT lunch
        S: * ESEARCH (TAG "h") COUNT 1 MIN 1 MAX 1 ALL 1
        S: h OK Completed
        C: i UID SEARCH CHARSET UTF-8 BODY twelve
        S: * SEARCH 1
        S: i OK Completed
        C: j SEARCH CHARSET KLINGON BODY x
        S: j NO [BADCHARSET (US-ASCII UTF-8)] Unsupported character set
        C: k SEARCH RETURN () TEXT nothing
        S: * ESEARCH (TAG "k")
        S: k OK Completed
        C: l SEARCH FROM joe SINCE 1-Jan-2020 NOT SEEN
        S: * SEARCH 1
        S: l OK Completed
        C: m CLOSE
        S: m OK Completed
        C: n CLOSE
        S: n BAD Please select a mailbox first
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_numbered_and_conditional() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a ENABLE CONDSTORE X-OTHER
        S: * ENABLED CONDSTORE
        S: a OK Completed
        C: b SELECT INBOX
        S: …
        S: b OK [READ-WRITE] Completed
        C: c STORE 2 (UNCHANGEDSINCE 1) +FLAGS.SILENT \Seen
        S: c OK [MODIFIED 2] Conditional STORE failed
        C: d STORE 1 (UNCHANGEDSINCE 999999) +FLAGS.SILENT \Seen
        S: * 1 FETCH (MODSEQ (…))
        S: d OK Completed
        C: e FETCH 1:* (FLAGS) (CHANGEDSINCE 999999)
        S: e OK Completed
        C: f UID SEARCH MODSEQ 1
        S: * SEARCH 1 2 (MODSEQ …)
        S: f OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_set_told_and_kept() {
    let node = Node::start().await;
    let (mut admin, mut fred) = (node.login("cyrus").await, node.login("fred").await);
    admin
        .talk(
            r#"
            C: a SETQUOTA user/fred (STORAGE 1)
            S: * QUOTA user/fred (STORAGE 0 1)
            S: a OK Completed
            C: b GETQUOTA user/fred
            S: * QUOTA user/fred (STORAGE 0 1)
            S: b OK Completed
            "#,
        )
        .await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX INBOX
        S: * QUOTA INBOX (STORAGE 0 1)
        S: a OK Completed
        C: b GETQUOTA INBOX
        S: b NO [NOPERM] Permission denied
        C: c APPEND INBOX {2000}
        S: c NO [OVERQUOTA] Over quota
        "#,
    )
    .await;
    // A listener with -q, as a site has for moving users.
    let mut beyond = node.client("noquota").await;
    beyond.talk("S: * OK …\nC: l LOGIN fred secret\nS: l OK …").await;
    beyond.append("INBOX", &MAIL.repeat(20)).await;
    beyond.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b COPY 1:2 INBOX\nS: …\nS: b OK …").await;
    fred.talk("C: d SELECT INBOX\nS: …\nS: d OK …\nC: e COPY 1 INBOX\nS: e NO [OVERQUOTA] Over quota").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frontends_ask_for_room_append_and_act_for_users() {
    let node = Node::start().await;
    let mut proxy = node.connect().await;
    // authzid fred, authcid proxy
    proxy
        .talk(
            r#"
            C: a AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=
            S: a OK [CAPABILITY …UNAUTHENTICATE…] User logged in (no protection) SESSIONID=<…>
            C: b GETMETADATA "" ("/shared/vendor/cmu/cyrus-imapd/freespace/total")
            S: * METADATA "" ("/shared/vendor/cmu/cyrus-imapd/freespace/total" "…;…")
            S: b OK Completed
            C: c GETANNOTATION "" "/vendor/cmu/cyrus-imapd/freespace/percent/most" ("value.shared")
            S: * ANNOTATION "" "/vendor/cmu/cyrus-imapd/freespace/percent/most" ("value.shared" "…;…")
            S: c OK Completed
            C: d GETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/partition /shared/vendor/cmu/cyrus-imapd/server)
            S: * METADATA INBOX ("/shared/vendor/cmu/cyrus-imapd/partition" "default" "/shared/vendor/cmu/cyrus-imapd/server" "be1")
            S: d OK Completed
            C: e XFER user/fred be2
            S: e NO [NOPERM] Permission denied
            C: f UNAUTHENTICATE
            S: f OK [CAPABILITY …AUTH=PLAIN…] Completed
            C: g SELECT INBOX
            S: g BAD Please login first
            C: h LOGIN wilma secret
            S: h OK …
            "#,
        )
        .await;
    let mut fred = node.login("fred").await;
    fred.send(b"a LOCALAPPEND {5+}\r\nINBOX \"\" (\\Seen) {8+}\r\nA: 1\r\n\r\n\r\n").await;
    fred.talk("S: a OK [APPENDUID … 1] Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_session_goes_on() {
    let node = Node::with("maxlogins_per_user: 1").await;
    let mut fred = node.login("fred").await;
    let mut second = node.connect().await;
    second.talk("C: a LOGIN fred secret\nS: a NO [LIMIT] Too many open connections (1 of 1 for fred)").await;
    fred.talk("C: a COMPRESS GZIP\nS: a NO Unsupported compression mechanism").await;
    fred.talk("C: b COMPRESS DEFLATE\nS: b OK DEFLATE active").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let mut node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a CREATE Work
        S: a OK …
        C: b SELECT INBOX
        S: …
        S: b OK [READ-WRITE] Completed
        C: c STORE 1 +FLAGS (\Flagged $Kept)
        S: …
        S: * 1 FETCH (FLAGS (\Recent \Flagged $Kept))
        S: c OK Completed
        C: d COPY 1 Work
        S: d OK …
        C: e LOGOUT
        S: …
        S: <end>
        "#,
    )
    .await;
    node.restart("").await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a EXAMINE INBOX
        S: …
        S: a OK [READ-ONLY] Completed
        C: b UID FETCH 1:* (FLAGS BODY.PEEK[TEXT])
        S: * 1 FETCH (UID 1 FLAGS (\Flagged $Kept) BODY[TEXT] {9}
        S: Twelve?
        S: )
        S: b OK Completed
        C: c STATUS Work (MESSAGES)
        S: * STATUS Work (MESSAGES 1)
        S: c OK Completed
        "#,
    )
    .await;
}
