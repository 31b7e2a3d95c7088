//! What messages hold, as FETCH shows it.

use crate::node::Node;

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
