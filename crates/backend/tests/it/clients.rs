//! What common clients rely on, as transcripts: \Recent, keywords, names, rights, charsets.

use crate::node::Node;

const MAIL: &str = "From: Joe <joe@example.org>\nSubject: Caf\u{e9}\n\nTwelve?\n";

#[tokio::test(flavor = "multi_thread")]
async fn new_mail_is_recent_to_the_first_session_that_hears_of_it() {
    let node = Node::start().await;
    let (mut one, mut two) = (node.login("fred").await, node.login("fred").await);
    one.append("INBOX", MAIL).await;
    one.talk(
        r"
        C: a SELECT INBOX
        S: …
        S: * 1 RECENT
        S: …
        S: a OK [READ-WRITE] Completed
        C: b FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS (\Recent))
        S: b OK Completed
        ",
    )
    .await;
    two.talk(
        r"
        C: a SELECT INBOX
        S: …
        S: * 0 RECENT
        S: …
        S: a OK [READ-WRITE] Completed
        C: b FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: b OK Completed
        ",
    )
    .await;
    node.login("fred").await.append("INBOX", MAIL).await;
    two.talk("C: c NOOP\nS: * 2 EXISTS\nS: * 1 RECENT\nS: c OK Completed").await;
    one.talk(
        r"
        C: c NOOP
        S: * 2 EXISTS
        S: * 1 RECENT
        S: c OK Completed
        C: d FETCH 1:2 FLAGS
        S: * 1 FETCH (FLAGS (\Recent))
        S: * 2 FETCH (FLAGS ())
        S: d OK Completed
        C: e STORE 1 +FLAGS (\Flagged)
        S: * 1 FETCH (FLAGS (\Recent \Flagged))
        S: e OK Completed
        C: f SELECT INBOX
        S: …
        S: * 0 RECENT
        S: …
        S: f OK [READ-WRITE] Completed
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_keyword_is_told_before_it_is_used() {
    let node = Node::start().await;
    let (mut one, mut two) = (node.login("fred").await, node.login("fred").await);
    one.append("INBOX", MAIL).await;
    for session in [&mut one, &mut two] {
        session.talk("C: a EXAMINE INBOX\nS: …\nS: a OK [READ-ONLY] Completed").await;
    }
    one.talk(
        r"
        C: b SELECT INBOX
        S: …
        S: b OK [READ-WRITE] Completed
        C: c STORE 1 FLAGS ($Junk)
        S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen $Junk)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Draft \Deleted \Seen $Junk \*)] Ok
        S: * 1 FETCH (FLAGS (\Recent $Junk))
        S: c OK Completed
        C: d STORE 1 -FLAGS ($Junk)
        S: * 1 FETCH (FLAGS (\Recent))
        S: d OK Completed
        ",
    )
    .await;
    two.talk(
        r"
        C: b NOOP
        S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen $Junk)
        S: * OK [PERMANENTFLAGS ()] Ok
        S: * 1 FETCH (FLAGS (\Recent) UID 1)
        S: b OK Completed
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_seen_in_anothers_mailbox_is_seen_by_nobody_else() {
    let node = Node::start().await;
    let (mut fred, mut wilma) = (node.login("fred").await, node.login("wilma").await);
    fred.talk("C: a CREATE shared\nS: a OK …\nC: b SETACL shared wilma lrswi\nS: b OK Completed").await;
    let there = "{23+}\r\nOther Users/fred/shared";
    wilma.send(b"a APPEND INBOX (\\Seen) {8+}\r\nA: 1\r\n\r\n\r\n").await;
    wilma.send(format!("b APPEND {there} (\\Seen) {{8+}}\r\nA: 2\r\n\r\n\r\n").as_bytes()).await;
    wilma.talk("S: a OK …\nS: b OK …").await;
    wilma
        .talk(
            r"
        C: c SELECT INBOX
        S: …
        S: c OK [READ-WRITE] Completed
        C: d COPY 1 {23+}
        C: Other Users/fred/shared
        S: d OK …
        C: e SELECT {23+}
        C: Other Users/fred/shared
        S: …
        S: e OK [READ-WRITE] Completed
        C: f FETCH 1:2 FLAGS
        S: * 1 FETCH (FLAGS (\Recent \Seen))
        S: * 2 FETCH (FLAGS (\Recent \Seen))
        S: f OK Completed
        ",
        )
        .await;
    fred.talk(
        r"
        C: c SELECT shared
        S: …
        S: c OK [READ-WRITE] Completed
        C: d SEARCH UNSEEN
        S: * SEARCH 1 2
        S: d OK Completed
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inbox_has_folders_below_it_too() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a CREATE inbox/Lists
        S: a OK …
        C: b LIST "" *
        S: * LIST (\HasChildren) "/" INBOX
        S: * LIST (\HasNoChildren) "/" INBOX/Lists
        S: b OK Completed
        C: c SELECT INBOX
        S: …
        S: c OK [READ-WRITE] Completed
        C: d MOVE 1 INBOX/Lists
        S: * OK [COPYUID … 1 1] Completed
        S: * 1 EXPUNGE
        S: d OK Completed
        C: e SUBSCRIBE INBOX/Lists
        S: e OK Completed
        C: f LSUB "" %
        S: * LSUB (\Noselect \HasChildren) "/" INBOX
        S: f OK Completed
        C: g SUBSCRIBE INBOX
        S: g OK Completed
        C: h LSUB "" *
        S: * LSUB (\HasChildren) "/" INBOX
        S: * LSUB () "/" INBOX/Lists
        S: h OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_cannot_give_away_the_right_to_administer() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a CREATE x
        S: a OK …
        C: b SETACL x fred lr
        S: b NO [NOPERM] Permission denied
        C: c SETACL x fred -w
        S: c OK Completed
        C: d DELETEACL x fred
        S: d NO [NOPERM] Permission denied
        C: e MYRIGHTS x
        S: * MYRIGHTS x lrsipkxtecdan
        S: e OK Completed
        C: f LISTRIGHTS x fred
        S: * LISTRIGHTS x fred lkxcan r s w i p t e d 0 1 2 3 4 5 6 7 8 9
        S: f OK Completed
        C: g LISTRIGHTS INBOX wilma
        S: * LISTRIGHTS INBOX wilma p l r s w i k x t e c d a n 0 1 2 3 4 5 6 7 8 9
        S: g OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_may_use_other_charsets() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk("C: a SELECT INBOX\nS: …\nS: a OK [READ-WRITE] Completed").await;
    fred.send(b"b SEARCH CHARSET ISO-8859-1 SUBJECT {4+}\r\ncaf\xe9\r\n").await;
    fred.talk("S: * SEARCH 1\nS: b OK Completed").await;
    fred.talk(
        "
        C: c SEARCH CHARSET X-UNKNOWN SUBJECT x
        S: c NO [BADCHARSET (US-ASCII UTF-8)] Unsupported character set
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_mime_is_still_grammatical() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", "Content-Type: multipart/mixed\n\nno boundary\n").await;
    fred.append("INBOX", "Content-Type: multipart/mixed; boundary=x\n\nno parts\n").await;
    fred.append("INBOX", "Content-Type: a/b\nContent-Transfer-Encoding: x-odd\n\nodd\n").await;
    fred.talk(
        r#"
        C: a EXAMINE INBOX
        S: …
        S: a OK [READ-ONLY] Completed
        C: b FETCH 1 BODYSTRUCTURE
        S: * 1 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 0 0 NIL NIL NIL NIL) "MIXED" NIL NIL NIL NIL))
        S: b OK Completed
        C: c FETCH 2 (BODYSTRUCTURE BODY[1])
        S: * 2 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 0 0 NIL NIL NIL NIL) "MIXED" ("BOUNDARY" "x") NIL NIL NIL) BODY[1] "")
        S: c OK Completed
        C: d FETCH 3 BINARY[1]
        S: d NO [UNKNOWN-CTE] The part's transfer encoding is not known
        C: e STORE 9 FLAGS (\Seen)
        S: e NO [READ-ONLY] Mailbox is read-only
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cyradm_learns_everything_before_it_logs_in() {
    let node = Node::start().await;
    let mut client = node.connect().await;
    client
        .talk("C: a CAPABILITY\nS: * CAPABILITY IMAP4rev1 …ACL … CREATE-SPECIAL-USE …\nS: a OK Completed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cyrus_frontend_reads_what_it_copies_to_another_backend() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r"
        C: a Select INBOX
        S: …
        S: a OK [READ-WRITE] Completed
        C: PROXY0 Uid Fetch 1 (Rfc822.peek)
        S: * 1 FETCH (UID 1 RFC822 {56}
        S: From: Joe <joe@example.org>
        S: …
        S: PROXY0 OK Completed
        C: b SEARCH SEEN
        S: * SEARCH
        S: b OK Completed
        ",
    )
    .await;
}
