//! Annotations of messages (RFC 5257), as transcripts.

use crate::node::Node;

const MAIL: &str = "Subject: noted\n\nx\n";

#[tokio::test(flavor = "multi_thread")]
async fn each_user_has_private_annotations_beside_the_shared_ones() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin
        .talk("C: a CREATE shared\nS: a OK …\nC: b SETACL shared fred lrswipkxtecdan\nS: b OK …\nC: c SETACL shared wilma lrs\nS: c OK …")
        .await;
    let shared = "\"Shared Folders/shared\"";
    let (mut fred, mut wilma) = (node.login("fred").await, node.login("wilma").await);
    fred.append(shared, MAIL).await;
    fred.talk(&format!("C: a SELECT {shared}\nS: …\nS: a OK …")).await;
    wilma.talk(&format!("C: a SELECT {shared}\nS: …\nS: a OK …")).await;
    fred.talk(
        r#"
        C: b STORE 1 ANNOTATION (/comment (value.priv "fred's" value.shared "for all"))
        S: b OK Completed
        C: c FETCH 1 (ANNOTATION (/Comment (value size)))
        S: * 1 FETCH (ANNOTATION (/comment (value.priv "fred's" value.shared "for all" size.priv "6" size.shared "7")))
        S: c OK Completed
        "#,
    )
    .await;
    wilma
        .talk(
            r#"
            C: b STORE 1 ANNOTATION (/comment (value.shared "no"))
            S: …
            S: b NO [NOPERM] Permission denied
            C: c STORE 1 ANNOTATION (/comment (value.priv "wilma's") /altsubject (value.priv "x"))
            S: c OK Completed
            C: d UID FETCH 1 (ANNOTATION (/* value))
            S: * 1 FETCH (UID 1 ANNOTATION (/altsubject (value.priv "x" value.shared NIL) /comment (value.priv "wilma's" value.shared "for all")))
            S: d OK Completed
            "#,
        )
        .await;
    fred.talk(
        r#"
        C: d STORE 1 ANNOTATION (/comment (value.priv NIL))
        S: * 1 FETCH (FLAGS (\Recent) UID 1)
        S: d OK Completed
        C: e FETCH 1 (ANNOTATION ((/* /nothing) value.priv))
        S: * 1 FETCH (ANNOTATION (/comment (value.priv NIL) /nothing (value.priv NIL)))
        S: e OK Completed
        C: f STORE 1 ANNOTATION (/vendor/cmu/cyrus-imapd/x (value.priv "1"))
        S: f NO [NOPERM] Permission denied
        C: g STORE 1 ANNOTATION (/flags/x (value.priv "1"))
        S: g BAD Invalid annotation entry in Store
        C: h STORE 1 ANNOTATION (/comment (value "1"))
        S: h BAD Invalid annotation attribute in Store
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_raises_the_modification_sequence_of_its_message() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a SELECT INBOX (CONDSTORE)
        S: …
        S: a OK …
        C: b FETCH 1 MODSEQ
        S: * 1 FETCH (MODSEQ (2))
        S: b OK Completed
        C: c STORE 1 ANNOTATION (/comment (value.shared "x"))
        S: * 1 FETCH (MODSEQ (3))
        S: c OK Completed
        C: d STORE 1 (UNCHANGEDSINCE 2) ANNOTATION (/comment (value.shared "y"))
        S: d OK [MODIFIED 1] Conditional STORE failed
        C: e FETCH 1 (ANNOTATION (/comment value.shared))
        S: * 1 FETCH (ANNOTATION (/comment (value.shared "x")))
        S: e OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_with_annotations_and_take_them_along() {
    let mut node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a CREATE Work\nS: a OK …").await;
    // Two messages in one APPEND, with values that are literals, before either.
    fred.send(
        b"b APPEND INBOX (\\Seen) ANNOTATION (/comment (value.priv {5+}\r\nfirst)) {8+}\r\nA: 1\r\n\r\n \
          ANNOTATION (/comment (value.shared ~{4+}\r\n\0sec)) {8+}\r\nA: 2\r\n\r\n\r\n",
    )
    .await;
    fred.talk("S: b OK [APPENDUID … 1:2] Completed\nC: c SELECT INBOX\nS: …\nS: c OK …").await;
    fred.talk("C: d COPY 1:2 Work\nS: d OK …\nC: e MOVE 1 Work\nS: …\nS: e OK …").await;
    node.restart("").await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a SELECT Work\nS: …\nS: a OK …").await;
    fred.send(b"b FETCH 1:* (ANNOTATION (/comment value))\r\n").await;
    fred.talk("S: * 1 FETCH (ANNOTATION (/comment (value.priv \"first\" value.shared NIL)))").await;
    let second = b"* 2 FETCH (ANNOTATION (/comment (value.priv NIL value.shared ~{4}\r\n\0sec)))\r\n";
    assert_eq!(fred.bytes(second.len()).await, second);
    fred.talk(
        "S: * 3 FETCH (ANNOTATION (/comment (value.priv \"first\" value.shared NIL)))\nS: b OK Completed",
    )
    .await;
    fred.talk("C: c APPEND INBOX ANNOTATION (/comment (value.shared \"x\")\nS: c BAD …\nC: d NOOP\nS: d OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_messages_have_their_limits() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    let store = |size: usize| {
        format!("b STORE 1 ANNOTATION (/comment (value.priv {{{size}+}}\r\n{}))\r\n", "x".repeat(size))
    };
    fred.send(store(65_537).as_bytes()).await;
    fred.talk("S: b NO [ANNOTATE TOOBIG] Annotation value too large").await;
    fred.send(store(65_536).as_bytes()).await;
    fred.talk("S: b OK Completed").await;
    admin.talk("C: a SETQUOTA user/fred (ANNOTATION-STORAGE 65)\nS: * QUOTA user/fred (ANNOTATION-STORAGE 64 65)\nS: a OK …").await;
    let value = "y".repeat(1025);
    fred.talk(&format!("C: c STORE 1 ANNOTATION (/altsubject (value.shared {{1025+}}\nC: {value}))\nS: c NO [OVERQUOTA] Over quota")).await;
    for at in 0..10 {
        let entry = |n: usize| format!("/vendor/acme/{}{at}{n} (value.priv \"x\")", "a".repeat(900));
        let entries: Vec<String> = (0..10).map(entry).collect();
        fred.send(format!("g STORE 1 ANNOTATION ({})\r\n", entries.join(" ")).as_bytes()).await;
        fred.talk("S: g OK …").await;
    }
    let late = format!("/vendor/acme/{}b", "a*".repeat(300));
    fred.send(format!("h FETCH 1 (ANNOTATION (({late} {late}) value))\r\n").as_bytes()).await;
    fred.talk("S: h NO [LIMIT] Too many patterns for so many annotations").await;
    fred.talk("C: d STORE 1 +FLAGS (\\Deleted)\nS: …\nS: d OK …\nC: e EXPUNGE\nS: …\nS: e OK …").await;
    admin
        .talk("C: b GETQUOTA user/fred\nS: * QUOTA user/fred (ANNOTATION-STORAGE 0 65)\nS: b OK Completed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_and_sorted_by_what_is_noted_on_them() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a CREATE shared\nS: a OK …\nC: b SETACL shared fred lrswipkxtecdan\nS: b OK …\nC: c SETACL shared wilma lrn\nS: c OK …").await;
    let shared = "\"Shared Folders/shared\"";
    let (mut fred, mut wilma) = (node.login("fred").await, node.login("wilma").await);
    for _ in 0..4 {
        fred.append(shared, MAIL).await;
    }
    fred.append("INBOX", MAIL).await;
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK …\nC: t STORE 1 ANNOTATION (/comment (value.priv \"agreed\"))\nS: t OK …").await;
    // Who may change no flag may annotate all the same.
    wilma.talk(&format!("C: a SELECT {shared}\nS: …\nS: * OK [ANNOTATIONS 65536] Ok\nS: …\nS: a OK …")).await;
    wilma.talk("C: b STORE 1 ANNOTATION (/comment (value.priv \"wilma agreed\" value.shared \"Breeds\"))\nS: b OK Completed").await;
    fred.talk(&format!("C: a SELECT {shared}\nS: …\nS: a OK …")).await;
    fred.talk(
        r#"
        C: b STORE 2 ANNOTATION (/comment (value.priv "decreed"))
        S: b OK Completed
        C: c STORE 3 ANNOTATION (/comment (value.priv "agreed" value.shared "AGREED too") /1/comment (value.priv "part"))
        S: c OK Completed
        C: d SEARCH ANNOTATION /comment value "EED"
        S: * SEARCH 1 2 3
        S: d OK Completed
        C: e UID SEARCH ANNOTATION /comment value.priv "eed" NOT 2
        S: * SEARCH 3
        S: e OK Completed
        C: f SEARCH ANNOTATION /comment value.priv wilma
        S: * SEARCH
        S: f OK Completed
        C: g SEARCH RETURN (COUNT) ANNOTATION /comment value NIL
        S: * ESEARCH (TAG "g") COUNT 1
        S: g OK Completed
        C: h SEARCH ANNOTATION /% value.priv part
        S: * SEARCH
        S: h OK Completed
        C: i SEARCH ANNOTATION /%/comment value.priv part
        S: * SEARCH 3
        S: i OK Completed
        C: j SEARCH ANNOTATION /comment size "1"
        S: j BAD Invalid annotation attribute in Search
        C: k SORT (ANNOTATION /comment value.priv) UTF-8 ALL
        S: * SORT 1 4 3 2
        S: k OK Completed
        C: l SORT (REVERSE ANNOTATION /comment value.shared REVERSE ARRIVAL) UTF-8 1:3
        S: * SORT 1 3 2
        S: l OK Completed
        C: m UID SORT RETURN (ALL) (ANNOTATION /comment value.priv) UTF-8 ANNOTATION /* value.priv eed
        S: * ESEARCH (TAG "m") UID ALL 3,2
        S: m OK Completed
        C: n SORT (ANNOTATION /comment value) UTF-8 ALL
        S: n BAD Invalid annotation attribute in Sort
        C: o THREAD ORDEREDSUBJECT UTF-8 ANNOTATION /comment value.shared breeds
        S: * THREAD (1)
        S: o OK Completed
        C: p ESEARCH IN (MAILBOXES ("Shared Folders/shared" INBOX)) RETURN (COUNT) ANNOTATION /comment value.priv agreed
        S: * ESEARCH (TAG "p" MAILBOX "Shared Folders/shared" UIDVALIDITY …) UID COUNT 1
        S: * ESEARCH (TAG "p" MAILBOX INBOX UIDVALIDITY …) UID COUNT 1
        S: p OK Completed
        "#,
    )
    .await;
    fred.send(b"q SEARCH ANNOTATION /comment value.shared ~{6+}\r\nBREEDS\r\n").await;
    fred.talk("S: * SEARCH 1\nS: q OK Completed").await;
    wilma.talk("C: c SORT (ANNOTATION /comment value.priv) UTF-8 ANNOTATION /comment value.priv wilma\nS: …\nS: * SORT 1\nS: c OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_it_is_told_which_annotations_others_change() {
    let node = Node::start().await;
    let (mut told, mut quiet, mut changes) =
        (node.login("fred").await, node.login("fred").await, node.login("fred").await);
    changes.append("INBOX", MAIL).await;
    told.talk("C: a SELECT INBOX (CONDSTORE ANNOTATE)\nS: …\nS: a OK …").await;
    quiet.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    changes.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b STORE 1 ANNOTATION (/comment (value.priv \"x\") /1/comment (value.shared \"y\"))\nS: b OK …").await;
    told.talk(
        "C: b NOOP\nS: * 1 FETCH (FLAGS (…) MODSEQ (3) UID 1 ANNOTATION (/1/comment /comment))\nS: b OK …",
    )
    .await;
    quiet.talk("C: b NOOP\nS: * 1 FETCH (FLAGS (…) UID 1)\nS: b OK …").await;
    changes.talk("C: c STORE 1 +FLAGS (\\Seen)\nS: …\nS: c OK …").await;
    told.talk("C: c NOOP\nS: * 1 FETCH (FLAGS (…\\Seen) MODSEQ (4) UID 1)\nS: c OK …").await;
    changes.talk("C: d STORE 1 ANNOTATION (/comment (value.priv NIL))\nS: d OK …").await;
    told.talk("C: d NOOP\nS: * 1 FETCH (FLAGS (…\\Seen) MODSEQ (5) UID 1 ANNOTATION (/comment))\nS: d OK …")
        .await;
    // What it does itself it knows.
    told.talk("C: e STORE 1 ANNOTATION (/comment (value.priv \"z\"))\nS: * 1 FETCH (MODSEQ (6))\nS: e OK …\nC: f NOOP\nS: f OK …").await;
    told.talk("C: g EXAMINE INBOX (ANNOTATE)\nS: …\nS: * OK [ANNOTATIONS READ-ONLY] Ok\nS: …\nS: g OK …\nC: h STORE 1 ANNOTATION (/comment (value.priv \"z\"))\nS: h NO …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_messages_follow_a_mailbox_and_a_user_who_is_renamed() {
    let node = Node::with("allowusermoves: yes").await;
    let mut admin = node.login("cyrus").await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a CREATE Old\nS: a OK …").await;
    fred.append("Old", MAIL).await;
    fred.append("INBOX", MAIL).await;
    for mailbox in ["INBOX", "Old"] {
        fred.talk(&format!("C: b SELECT {mailbox}\nS: …\nS: b OK …\nC: c STORE 1 ANNOTATION (/comment (value.priv \"mine\" value.shared \"all\"))\nS: c OK …")).await;
    }
    fred.talk("C: d UNSELECT\nS: d OK …\nC: e RENAME Old New\nS: e OK …\nC: f LOGOUT\nS: …\nS: f OK …").await;
    admin.talk("C: a SETQUOTA user/fred (ANNOTATION-STORAGE 100)\nS: …\nS: a OK …\nC: b RENAME user/fred user/barney\nS: b OK …").await;
    node.context.passwords().set("barney", "secret").unwrap();
    let mut barney = node.login("barney").await;
    for mailbox in ["INBOX", "New"] {
        barney.talk(&format!("C: b SELECT {mailbox}\nS: …\nS: b OK …\nC: c FETCH 1 (ANNOTATION (/comment value))\nS: * 1 FETCH (ANNOTATION (/comment (value.priv \"mine\" value.shared \"all\")))\nS: c OK …")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_private_annotations_along_where_shared_ones_may_not_be_set() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a CREATE shared\nS: a OK …\nC: b SETACL shared fred lrswipkxtecda\nS: b OK …").await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b STORE 1 ANNOTATION (/comment (value.priv "mine" value.shared "ours"))
        S: b OK Completed
        C: c COPY 1 "Shared Folders/shared"
        S: c OK …
        C: d MOVE 1 "Shared Folders/shared"
        S: …
        S: d OK …
        C: e SELECT "Shared Folders/shared"
        S: …
        S: e OK …
        C: f FETCH 1:* (ANNOTATION (/comment value))
        S: * 1 FETCH (ANNOTATION (/comment (value.priv "mine" value.shared NIL)))
        S: * 2 FETCH (ANNOTATION (/comment (value.priv "mine" value.shared NIL)))
        S: f OK Completed
        "#,
    )
    .await;
}
