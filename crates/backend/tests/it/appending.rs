//! Messages that take another's place (REPLACE), that are made of parts of others (CATENATE), and that hold bytes that no message on
//! disk may hold (literal8).

use crate::node::{Client, Node};

const MAIL: &str = "Subject: x\n\none\n";
const PARTS: &str =
    "Subject: parts\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\nX: y\n\nsecond\n--b--\n";

async fn opened(node: &Node, messages: &[&str]) -> Client {
    let mut fred = node.login("fred").await;
    for message in messages {
        fred.append("INBOX", message).await;
    }
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    fred
}

/// A message of these bytes behind a command, which ends with it.
async fn send(client: &mut Client, command: &str, message: &[u8]) {
    client.send(format!("{command}{{{}+}}\r\n", message.len()).as_bytes()).await;
    client.send(message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_replaced_by_its_next_version_in_one_command() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[MAIL, MAIL]).await;
    fred.talk("C: a REPLACE 1 INBOX (\\Draft \\Seen) {14}\nS: + go ahead").await;
    fred.send(b"A: 1\r\n\r\nnew\r\n\r\n").await;
    fred.talk(
        r"
        S: * OK [APPENDUID … 3] Replacement message ready
        S: * 1 EXPUNGE
        S: * 2 EXISTS
        S: …
        S: a OK Completed
        C: b UID FETCH 1:* FLAGS
        S: * 1 FETCH (UID 2 FLAGS (\Recent))
        S: * 2 FETCH (UID 3 FLAGS (\Recent \Draft \Seen))
        S: b OK Completed
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_replaced_by_one_in_another_mailbox() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[MAIL, MAIL]).await;
    fred.talk("C: a CREATE Sent\nS: a OK …\nC: b ENABLE QRESYNC\nS: …\nS: b OK Completed").await;
    send(&mut fred, "c UID REPLACE 2 Sent ", b"A: 1\r\n\r\n").await;
    fred.send(b"\r\n").await;
    fred.talk(
        r"
        S: * OK [APPENDUID … 1] Replacement message ready
        S: * VANISHED 2
        S: c OK [HIGHESTMODSEQ 4] Completed
        C: d STATUS Sent (MESSAGES)
        S: * STATUS Sent (MESSAGES 1)
        S: d OK Completed
        ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replaced_is_refused_and_the_session_goes_on() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[MAIL]).await;
    let message = "{8+}\r\nA: 1\r\n\r\n\r\n";
    for (command, answer) in [
        ("REPLACE 2 INBOX ", "NO No matching messages"),
        ("UID REPLACE 7 INBOX ", "NO No matching messages"),
        ("REPLACE 1 nowhere ", "NO [TRYCREATE] Mailbox does not exist"),
        ("REPLACE 1:2 INBOX ", "BAD …"),
        ("UID REPLACE * INBOX (\\Nonsense) ", "BAD Invalid system flag in Uid Replace"),
        ("REPLACE 1 INBOX UTF8 ", "BAD …"),
    ] {
        fred.send(format!("a {command}{message}").as_bytes()).await;
        fred.expect(&format!("a {answer}")).await;
    }
    // Two messages are one too many.
    fred.send(b"b REPLACE 1 INBOX {8+}\r\nA: 1\r\n\r\n {8+}\r\nA: 1\r\n\r\n\r\n").await;
    fred.expect("b BAD Unexpected extra arguments to Append").await;
    fred.talk("C: c STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 1)\nS: c OK Completed").await;
    fred.talk("C: d EXAMINE INBOX\nS: …\nS: d OK [READ-ONLY] Completed").await;
    fred.send(format!("e REPLACE 1 INBOX {message}").as_bytes()).await;
    fred.talk("S: e NO [READ-ONLY] Mailbox is read-only\nC: f ENABLE UIDONLY\nS: …\nS: f OK Completed").await;
    fred.talk("C: g SELECT INBOX\nS: …\nS: g OK [READ-WRITE] Completed").await;
    fred.send(format!("h REPLACE 1 INBOX {message}").as_bytes()).await;
    fred.expect("h BAD [UIDREQUIRED] …").await;
    fred.send(format!("i UID REPLACE 1 INBOX {message}").as_bytes()).await;
    fred.talk("S: * OK [APPENDUID … 2] Replacement message ready\nS: * VANISHED 1\nS: …\nS: i OK Completed")
        .await;
    let mut nobody = node.connect().await;
    nobody.send(format!("a UID REPLACE 1 INBOX {message}").as_bytes()).await;
    nobody.talk("S: a BAD Please login first\nC: b NOOP\nS: b OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_replace_takes_the_rights_to_expunge_and_to_insert() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[MAIL]).await;
    let mut wilma = node.login("wilma").await;
    let theirs = "\"Other Users/fred\"";
    for (rights, answer) in [
        ("lrsi", "NO [READ-ONLY] Mailbox is read-only"),
        ("lrwi", "NO [NOPERM] Permission denied"),
        ("lrwie", "NO [NOPERM] Permission denied"),
        ("lrwte", "NO [NOPERM] Permission denied"),
    ] {
        fred.talk(&format!("C: a SETACL INBOX wilma {rights}\nS: a OK Completed")).await;
        wilma.talk(&format!("C: b SELECT {theirs}\nS: …\nS: b OK …")).await;
        wilma.send(format!("c REPLACE 1 {theirs} {{8+}}\r\nA: 1\r\n\r\n\r\n").as_bytes()).await;
        // With `s` alone the mailbox is open for changes, and nothing in it may go.
        let answer = if rights == "lrsi" { "NO …" } else { answer };
        wilma.talk(&format!("S: c {answer}\nC: d NOOP\nS: d OK Completed")).await;
    }
    fred.talk("C: e SETACL INBOX wilma lrite\nS: e OK Completed").await;
    wilma.talk(&format!("C: f SELECT {theirs}\nS: …\nS: f OK …")).await;
    // The flag that she may not set is left out.
    wilma.send(format!("g REPLACE 1 {theirs} (\\Flagged) {{8+}}\r\nA: 1\r\n\r\n\r\n").as_bytes()).await;
    wilma.talk("S: * OK [APPENDUID …\nS: * 1 EXPUNGE\nS: …\nS: g OK Completed").await;
    wilma.talk("C: h FETCH 1 FLAGS\nS: * 1 FETCH (FLAGS (\\Recent))\nS: h OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_replaces_one_of_its_size_however_full_the_quota_is() {
    let node = Node::start().await;
    let large = format!("Subject: x\n\n{}\n", "y".repeat(900));
    let mut fred = opened(&node, &[&large]).await;
    node.login("cyrus")
        .await
        .talk("C: a SETQUOTA user/fred (STORAGE 1 MESSAGE 1)\nS: …\nS: a OK Completed")
        .await;
    let bytes = large.replace('\n', "\r\n");
    send(&mut fred, "a APPEND INBOX ", bytes.as_bytes()).await;
    fred.send(b"\r\n").await;
    fred.expect("a NO [OVERQUOTA] Over quota").await;
    send(&mut fred, "b REPLACE 1 INBOX ", bytes.as_bytes()).await;
    fred.send(b"\r\n").await;
    fred.talk("S: * OK [APPENDUID … 2] Replacement message ready\nS: …\nS: b OK Completed").await;
    fred.talk("C: c REPLACE 1 INBOX {3000}\nS: c NO [OVERQUOTA] Over quota").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_another_session_has_expunged_meanwhile_is_not_replaced_and_nothing_comes() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[MAIL]).await;
    fred.talk("C: a REPLACE 1 INBOX {8}\nS: + go ahead").await;
    let mut other = node.login("fred").await;
    other
        .talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b STORE 1 +FLAGS.SILENT (\\Deleted)\nS: …\nS: b OK …")
        .await;
    other.talk("C: c EXPUNGE\nS: …\nS: c OK …").await;
    fred.send(b"A: 1\r\n\r\n\r\n").await;
    fred.talk("S: * 1 EXPUNGE\nS: a NO [EXPUNGEISSUED] Message no longer exists").await;
    fred.talk("C: b STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 0)\nS: b OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_made_of_texts_and_of_parts_of_others() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[PARTS]).await;
    fred.talk("C: a CREATE b&AOk-\nS: a OK …").await;
    fred.send(
        b"b APPEND \"b&AOk-\" (\\Seen) CATENATE (TEXT {9+}\r\nSubject:  URL \"/INBOX/;UID=1/;SECTION=1/;PARTIAL=0.3\" TEXT {4+}\r\n\r\n\r\n \
          URL ;UID=1/;SECTION=2 URL {14+}\r\n;UID=1/;SECTIO TEXT {2+}\r\n\r\n)\r\n",
    )
    .await;
    fred.expect("b NO [BADURL \";UID=1/;SECTIO\"] Invalid URL").await;
    fred.send(
        b"c APPEND \"b&AOk-\" (\\Seen) CATENATE (TEXT {9+}\r\nSubject:  URL \"/INBOX/;UID=1/;SECTION=1/;PARTIAL=0.3\" TEXT {4+}\r\n\r\n\r\n \
          URL ;UID=1/;SECTION=2 URL {22+}\r\n;UID=1/;SECTION=2.MIME TEXT {2+}\r\n\r\n)\r\n",
    )
    .await;
    fred.expect("c OK [APPENDUID … 1] Completed").await;
    // Of the mailbox that is not open, too, and by a name that is not ASCII.
    fred.send(
        b"d APPEND INBOX CATENATE (URL \"imap://fred@be1/b%C3%A9/;UID=1/;SECTION=HEADER\" URL \"/b%C3%A9/;UID=1/;SECTION=TEXT\") {8+}\r\nA: 2\r\n\r\n CATENATE (URL \"/INBOX/;UID=1\")\r\n",
    )
    .await;
    fred.talk(
        r"
        S: * 4 EXISTS
        S: * 4 RECENT
        S: d OK [APPENDUID … 2:4] Completed
        C: e FETCH 2 BODY.PEEK[]
        S: * 2 FETCH (BODY[] {32}
        S: Subject: fir
        S:
        S: secondX: y
        S:
        S:
        S: )
        S: e OK Completed
        ",
    )
    .await;
    let size = PARTS.replace('\n', "\r\n").len();
    fred.talk(&format!("C: f FETCH 3:4 RFC822.SIZE\nS: * 3 FETCH (RFC822.SIZE 8)\nS: * 4 FETCH (RFC822.SIZE {size})\nS: f OK Completed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_names_nothing_that_the_user_may_read_fails_the_whole_command() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[PARTS]).await;
    let mut wilma = node.login("wilma").await;
    wilma.append("INBOX", MAIL).await;
    for (url, why) in [
        ("/INBOX/;UID=9", "No such message in mailbox"),
        (";UID=9", "No such message in mailbox"),
        ("/INBOX;UIDVALIDITY=1/;UID=1", "The UIDVALIDITY of the mailbox is another"),
        ("/nowhere/;UID=1", "Mailbox does not exist"),
        ("/Other Users/wilma/;UID=1", "Mailbox does not exist"),
        ("/INBOX/;UID=1/;SECTION=7", "The message has no such section"),
        ("imap://be2/INBOX/;UID=1", "The URL names another server or user"),
        ("imap://wilma@be1/INBOX/;UID=1", "The URL names another server or user"),
        ("http://be1/INBOX/;UID=1", "Invalid URL"),
        ("/INBOX/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038", "Invalid URL"),
    ] {
        let shown = url.replace(' ', "%20");
        fred.send(format!("a APPEND INBOX {{8+}}\r\nA: 1\r\n\r\n CATENATE (TEXT {{8+}}\r\nA: 1\r\n\r\n URL \"{url}\" TEXT {{3+}}\r\nabc)\r\n").as_bytes()).await;
        fred.expect(&format!("a NO [BADURL \"{shown}\"] {why}")).await;
    }
    fred.talk("C: b STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 1)\nS: b OK Completed").await;
    wilma
        .talk("C: a APPEND INBOX CATENATE (URL ;UID=1)\nS: a NO [BADURL \";UID=1\"] No mailbox is selected")
        .await;
    wilma
        .talk("C: b APPEND INBOX CATENATE (URL \"/INBOX/;UID=1/;PARTIAL=9999\")\nS: b NO Append aborted")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_count_towards_the_size_of_a_message_and_the_quota_wherever_they_come_from() {
    let node = Node::with("maxmessagesize: 3000").await;
    let large = format!("Subject: x\n\n{}\n", "y".repeat(1500));
    let mut fred = opened(&node, &[&large]).await;
    fred.talk("C: a APPEND INBOX CATENATE (URL ;UID=1 URL ;UID=1)\nS: a NO [TOOBIG] Message size exceeds fixed limit").await;
    fred.talk("C: b APPEND INBOX CATENATE (URL ;UID=1 TEXT {2000}\nS: b NO [TOOBIG] Message size exceeds fixed limit").await;
    node.login("cyrus").await.talk("C: a SETQUOTA user/fred (STORAGE 3)\nS: …\nS: a OK Completed").await;
    fred.talk(
        "C: c APPEND INBOX CATENATE (URL ;UID=1) CATENATE (URL ;UID=1)\nS: c NO [OVERQUOTA] Over quota",
    )
    .await;
    fred.talk("C: d APPEND INBOX CATENATE (URL ;UID=1)\nS: …\nS: d OK [APPENDUID … 2] Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_replaced_by_a_message_made_of_its_own_parts() {
    let node = Node::start().await;
    let mut fred = opened(&node, &[PARTS]).await;
    fred.send(b"a REPLACE * INBOX CATENATE (TEXT {12+}\r\nSubject: z\r\n URL ;UID=1/;SECTION=1 TEXT {2+}\r\n\r\n)\r\n").await;
    fred.talk("S: * OK [APPENDUID … 2] Replacement message ready\nS: * 1 EXPUNGE\nS: * 1 EXISTS\nS: …\nS: a OK Completed").await;
    fred.talk("C: b FETCH 1 RFC822.SIZE\nS: * 1 FETCH (RFC822.SIZE 19)\nS: b OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_part_is_stored_in_base64_and_fetched_as_it_came() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n\
        Content-Type: image/gif\r\nContent-Transfer-Encoding: binary\r\n\r\nGIF\0\n\xff\0\r\n--b--\r\n";
    send(&mut fred, "a APPEND INBOX ~", message).await;
    fred.send(b"\r\n").await;
    fred.expect("a OK [APPENDUID … 1] Completed").await;
    // The same in parts.
    fred.send(b"b APPEND INBOX CATENATE (TEXT ").await;
    send(&mut fred, "~", message).await;
    fred.talk("C: )\nS: b OK [APPENDUID … 2] Completed\nC: c EXAMINE INBOX\nS: …\nS: c OK …").await;
    fred.talk(
        r#"
        C: d FETCH 1:2 (BODYSTRUCTURE BODY.PEEK[2] BINARY.SIZE[2])
        S: * 1 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" …"7BIT" 5 0…)("IMAGE" "GIF" NIL NIL NIL "BASE64" 14 …) "MIXED" …) BODY[2] {14}
        S: R0lGAAr/AA==
        S:  BINARY.SIZE[2] 7)
        S: …
        S: d OK Completed
        "#,
    )
    .await;
    fred.send(b"e FETCH 2 (BINARY.PEEK[2] BINARY.PEEK[2]<3.2>)\r\n").await;
    let answer = b"* 2 FETCH (BINARY[2] ~{7}\r\nGIF\0\n\xff\0 BINARY[2]<3> ~{2}\r\n\0\n)\r\n";
    assert_eq!(fred.bytes(answer.len()).await.escape_ascii().to_string(), answer.escape_ascii().to_string());
    fred.expect("e OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_binary_part_comes_back_to_the_byte() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    let body: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(n) / 7) as u8).collect();
    let mut message = b"Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n".to_vec();
    message.extend_from_slice(&body);
    send(&mut fred, "a APPEND INBOX ~", &message).await;
    fred.send(b"\r\n").await;
    fred.talk("S: a OK [APPENDUID … 1] Completed\nC: c EXAMINE INBOX\nS: …\nS: c OK …").await;
    fred.send(b"e FETCH 1 BINARY.PEEK[1]\r\n").await;
    fred.expect("* 1 FETCH (BINARY[1] ~{300000}").await;
    assert!(fred.bytes(body.len()).await == body);
    fred.talk("S: )\nS: e OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nul_in_what_says_that_it_is_text_has_no_encoding() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for message in [&b"A: 1\r\n\r\nb\0\r\n"[..], b"A: \0\r\nContent-Transfer-Encoding: binary\r\n\r\nb\r\n"] {
        for form in ["", "~"] {
            send(&mut fred, &format!("a APPEND INBOX {form}"), message).await;
            fred.talk("C: \nS: a NO [UNKNOWN-CTE] Message contains NUL characters").await;
        }
    }
    send(&mut fred, "b APPEND INBOX ~", b"A: 1\n\nb\n").await;
    fred.talk("C: \nS: b NO Message contains bare newlines").await;
    // A literal8 needs no NUL.
    send(&mut fred, "c APPEND INBOX ~", b"A: 1\r\n\r\nb\r\n").await;
    fred.talk("C: \nS: c OK [APPENDUID … 1] Completed").await;
}
