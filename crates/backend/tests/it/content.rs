//! What messages hold, as FETCH shows it.

use crate::node::{Client, Node};

const HTML: &str = "Subject: x\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
     <html><head><title>no</title></head><body><p>Gr=C3=BC=C3=9Fe,</p><p>Fred &amp; Wilma</p></body></html>\n";
const QUOTED: &str = "Subject: x\n\nYes.\n\n> Do you   come?\n";
const NOTHING: &str = "Subject: x\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_how_a_message_begins() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for message in [HTML, QUOTED, NOTHING] {
        fred.append("INBOX", message).await;
    }
    fred.talk(
        r#"
        C: a EXAMINE INBOX
        S: …
        S: a OK [READ-ONLY] Completed
        C: b FETCH 1 PREVIEW
        S: * 1 FETCH (PREVIEW {21}
        S: Grüße, Fred & Wilma)
        S: b OK Completed
        C: c UID FETCH 2:3 (FLAGS PREVIEW (LAZY) RFC822.SIZE)
        S: * 2 FETCH (UID 2 FLAGS (\Recent) PREVIEW "Yes." RFC822.SIZE …)
        S: * 3 FETCH (UID 3 FLAGS (\Recent) PREVIEW "" RFC822.SIZE …)
        S: c OK Completed
        C: d FETCH 2 (PREVIEW (EAGER))
        S: d BAD …
        C: e CAPABILITY
        S: * CAPABILITY … PREVIEW …
        S: e OK Completed
        "#,
    )
    .await;
}

const PARTS: &str = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n\
     SGVsbG8gd29ybGQh\n--b\nContent-Type: application/x\nContent-Transfer-Encoding: base64\n\nQQBC\n\
     --b\nContent-Transfer-Encoding: x-unheard-of\n\nabc\n--b\nContent-Type: message/rfc822\n\n\n--b--\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_fetched_without_its_encoding_and_in_pieces_of_what_it_decodes_to() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", PARTS).await;
    fred.talk(
        r#"
        C: a EXAMINE INBOX
        S: …
        S: a OK [READ-ONLY] Completed
        C: b FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[1]<2.3> BINARY.PEEK[1]<11.9> BINARY.PEEK[1]<12.9>)
        S: * 1 FETCH (BINARY.SIZE[1] 12 BINARY[1] {12}
        S: Hello world! BINARY[1]<2> {3}
        S: llo BINARY[1]<11> {1}
        S: ! BINARY[1]<12> "")
        S: b OK Completed
        C: c FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2]<0.1> BINARY.PEEK[2]<2.1>)
        S: * 1 FETCH (BINARY.SIZE[2] 3 BINARY[2]<0> {1}
        S: A BINARY[2]<2> {1}
        S: B)
        S: c OK Completed
        "#,
    )
    .await;
    fred.send(b"d FETCH 1 BINARY.PEEK[2]\r\n").await;
    fred.expect("* 1 FETCH (BINARY[2] ~{3}").await;
    fred.expect("A\0B)").await;
    fred.talk(
        r#"
        S: d OK Completed
        C: e FETCH 1 BINARY.PEEK[3]
        S: e NO [UNKNOWN-CTE] …
        C: f FETCH 1 BINARY.SIZE[3]
        S: f NO [UNKNOWN-CTE] …
        C: g FETCH 1 BINARY.PEEK[3.MIME]
        S: g BAD …
        C: g FETCH 1 BINARY.SIZE[1]<0.1>
        S: g BAD Invalid body section in Fetch
        C: h FETCH 1 (BODY.PEEK[3] BODY.PEEK[9] BINARY.PEEK[9])
        S: * 1 FETCH (BODY[3] {3}
        S: abc BODY[9] NIL BINARY[9] NIL)
        S: h OK Completed
        C: i FETCH 1 (BODY.PEEK[4] BODY.PEEK[4.HEADER] BODY.PEEK[4]<5.1> BODY.PEEK[4.1] BODY.PEEK[3.HEADER])
        S: * 1 FETCH (BODY[4] {2}
        S:
        S:  BODY[4.HEADER] {2}
        S:
        S:  BODY[4]<5> "" BODY[4.1] "" BODY[3.HEADER] NIL)
        S: i OK Completed
        "#,
    )
    .await;
}

/// The THREADID of a message.
async fn thread(client: &mut Client, number: u32) -> String {
    client.send(format!("t FETCH {number} THREADID\r\n").as_bytes()).await;
    let line = client.until(&format!("* {number} FETCH")).await;
    client.expect("t OK Completed").await;
    let id =
        line.strip_prefix(&format!("* {number} FETCH (THREADID (")).and_then(|rest| rest.strip_suffix("))"));
    let id = id.unwrap_or_else(|| panic!("{line}")).to_owned();
    assert!(
        id.len() == 17 && id.starts_with('T') && id[1..].bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_back_to_one_message_are_in_one_thread_wherever_they_are_copied() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for header in [
        "Message-ID: <root@x>\n",
        "Message-ID: <a@x>\nIn-Reply-To: <root@x>\n",
        "Message-ID: <b@x>\nReferences: <root@x> <a@x>\nIn-Reply-To: <a@x>\n",
        "Message-ID: <other@x>\n",
        "Subject: none\n",
        "Subject: none at all\n",
    ] {
        fred.append("INBOX", &format!("{header}\ntext\n")).await;
    }
    fred.talk("C: a CREATE b\nS: a OK [MAILBOXID (…)] …\nC: b EXAMINE INBOX\nS: …\nS: b OK …\nC: c COPY 1:6 b\nS: c OK …").await;
    let mut threads = Vec::new();
    for number in 1..=6 {
        threads.push(thread(&mut fred, number).await);
    }
    assert!(threads[0] == threads[1] && threads[0] == threads[2]);
    let others: std::collections::BTreeSet<&String> = threads[2..].iter().collect();
    assert_eq!(others.len(), 4);
    fred.talk(&format!(
        "C: d SEARCH THREADID {}\nS: * SEARCH 1 2 3\nS: d OK Completed\nC: e SEARCH NOT THREADID {}\nS: * SEARCH 1 2 3 4 6\nS: e OK Completed",
        threads[0], threads[4]
    ))
    .await;
    let upper = threads[0].replace('T', "t");
    fred.talk(&format!("C: f SEARCH THREADID {upper}\nS: * SEARCH\nS: f OK Completed")).await;
    fred.talk("C: g SELECT b\nS: …\nS: g OK …").await;
    for (number, known) in (1..).zip(&threads) {
        assert_eq!(thread(&mut fred, number).await, *known);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_has_one_id_wherever_it_is_told() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.send(b"a CREATE b\r\n").await;
    let line = fred.until("a OK [MAILBOXID (").await;
    let id = line.split(['(', ')']).nth(1).unwrap().to_owned();
    assert!(
        !id.is_empty()
            && id.len() < 256
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    );
    fred.talk(&format!("C: b STATUS b (MAILBOXID)\nS: * STATUS b (MAILBOXID ({id}))\nS: b OK Completed"))
        .await;
    fred.talk(&format!("C: c SELECT b\nS: …\nS: * OK [MAILBOXID ({id})] …\nS: …\nS: c OK …")).await;
    fred.talk(&format!("C: d RENAME b c\nS: …\nS: d OK …\nC: e STATUS c (MAILBOXID)\nS: * STATUS c (MAILBOXID ({id}))\nS: e OK Completed")).await;
}
