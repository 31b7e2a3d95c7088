//! Clients whose mailbox moves in the middle of what they do.

use crate::master::{Break, eventually};
use crate::moving::{Pair, fill, login};
use crate::node::{Client, Node};

/// A session of fred's through a frontend that goes after what moves.
async fn through_a_frontend(node: &Node) -> Client {
    let mut client = node.client("imap").await;
    client
        .talk(
            "S: * OK …
             C: l AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=\nS: l OK …
             C: o XCLIENT ADDR=192.0.2.1 SESSION=s1 NODE=fe1 ADOPTS=yes\nS: o OK Completed",
        )
        .await;
    client
}

async fn xfer(pair: &Pair) {
    login(&pair.be1, "cyrus")
        .await
        .talk("C: x XFER user/fred be2\nS: * OK USER fred\nS: x OK Completed")
        .await;
}

/// The state that `* OK [XMOVED be2 …]` has.
fn state(line: &str) -> String {
    let rest = line.strip_prefix("* OK [XMOVED be2 ").unwrap_or_else(|| panic!("{line}"));
    rest.split(']').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_sent_while_their_mailbox_moves_are_put_where_it_is_now() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut fred = login(&pair.be1, "fred").await;
    let large = "x".repeat(300_000);
    let one = format!("Subject: one\r\n\r\n{large}\r\n");
    let two = "Subject: two\r\n\r\ntwo\r\n";
    fred.send(
        format!("a APPEND INBOX (\\Flagged sent) \"01-Feb-2026 10:00:00 +0100\" {{{}}}\r\n", one.len())
            .as_bytes(),
    )
    .await;
    fred.expect("+ go ahead").await;
    fred.send(&one.as_bytes()[..1000]).await;
    xfer(&pair).await;
    fred.send(&one.as_bytes()[1000..]).await;
    fred.send(format!(" {{{}+}}\r\n{two}\r\n", two.len()).as_bytes()).await;
    fred.expect("a OK [APPENDUID … 4:5] Completed").await;
    // And one that begins only now.
    fred.send(format!("b APPEND INBOX {{{}+}}\r\n{two}\r\n", two.len()).as_bytes()).await;
    fred.expect("b OK [APPENDUID … 6] Completed").await;
    // What the other server refuses is refused in its words.
    fred.send(format!("c APPEND nowhere {{{}+}}\r\n{two}\r\n", two.len()).as_bytes()).await;
    let refused = fred.until("c ").await;
    assert!(refused.starts_with("c NO"), "{refused}");
    let mut there = login(&pair.be2, "fred").await;
    there
        .talk(&format!(
            "C: a SELECT INBOX\nS: …\nS: a OK …
             C: b FETCH 4 (FLAGS INTERNALDATE RFC822.SIZE)
             S: * 4 FETCH (FLAGS (…\\Flagged…sent…) INTERNALDATE \" 1-Feb-2026 09:00:00 +0000\" RFC822.SIZE {})
             S: b OK …
             C: c FETCH 5:* (UID)
             S: * 5 FETCH (UID 5)
             S: * 6 FETCH (UID 6)
             S: c OK …",
            one.len()
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pop3_client_deletes_what_it_was_told_of_though_its_mailbox_has_moved() {
    let pair = Pair::start().await;
    let mut fred = login(&pair.be1, "fred").await;
    for n in 1..=3 {
        fred.append("INBOX", &format!("Subject: {n}\n\nmessage {n}\n")).await;
    }
    let mut pop = pair.be1.client("pop3").await;
    pop.talk("S: +OK …\nC: USER fred\nS: +OK …\nC: PASS secret\nS: +OK …\nC: DELE 1\nS: +OK …").await;
    xfer(&pair).await;
    let mut there = login(&pair.be2, "fred").await;
    there.append("INBOX", "Subject: 4\n\nmessage 4\n").await;
    // It goes on from the copy that was left.
    pop.talk("C: RETR 2\nS: +OK …\nS: Subject: 2\nS: \nS: message 2\nS: .\nC: DELE 3\nS: +OK …").await;
    pop.talk("C: QUIT\nS: +OK …").await;
    there.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b FETCH 1:* UID\nS: * 1 FETCH (UID 2)\nS: * 2 FETCH (UID 4)\nS: b OK …").await;
    // Whoever breaks off deletes nothing, there neither.
    eventually(async || pair.places().await.contains(&"user.fred be2!default".to_owned()).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_by_number_that_meets_a_move_names_the_same_message_afterwards() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut client = through_a_frontend(&pair.be1).await;
    client.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    // Of this the client has not heard when it copies the third message.
    let mut other = login(&pair.be1, "fred").await;
    other.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b STORE 1 +FLAGS.SILENT (\\Deleted)\nS: b OK …\nC: c EXPUNGE\nS: * 1 EXPUNGE\nS: c OK …\nC: d UNSELECT\nS: d OK …").await;
    // The master hears the decision, and cannot say so: everybody waits.
    pair.cable.break_at(Break::After(0));
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.send(b"x XFER user/fred be2\r\n").await;
    eventually(async || pair.cable.is_broken().then_some(())).await;
    client.send(b"b COPY 3 Archive\r\n").await;
    // It is at the gate before anything goes on: NOOP of another session is answered meanwhile.
    login(&pair.be1, "fred").await.talk("C: a NOOP\nS: a OK …").await;
    pair.cable.mend(pair.master.address());
    let moved = loop {
        let line = client.line().await;
        assert!(!line.contains("EXPUNGE"), "{line}");
        if line.starts_with("* OK [XMOVED") {
            break state(&line);
        }
    };
    client.expect("b NO [XMOVED be2] …").await;
    admin.until("x OK").await;
    let mut there = through_a_frontend(&pair.be2).await;
    there.talk(&format!("C: a XADOPT {moved}\nS: a OK Completed")).await;
    there.send(b"b COPY 3 Archive\r\n").await;
    // The numbers change only when it is done.
    there.talk("S: * 1 EXPUNGE\nS: …\nS: b OK [COPYUID … 3 1] Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_notify_goes_on_where_its_mailbox_has_moved() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let notify = "NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge))";
    let mut client = through_a_frontend(&pair.be1).await;
    client.talk(&format!("C: a SELECT INBOX\nS: …\nS: a OK …\nC: n {notify}\nS: n OK …")).await;
    xfer(&pair).await;
    let moved = state(&client.line().await);
    let mut there = through_a_frontend(&pair.be2).await;
    there.talk(&format!("C: n {notify}\nS: n OK …\nC: a XADOPT {moved}\nS: a OK Completed")).await;
    login(&pair.be2, "fred").await.append("INBOX", "Subject: new\n\nnew\n").await;
    there.talk("S: * 4 EXISTS\nS: …\nS: * 4 FETCH (UID 4)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_knows_may_come_in_as_many_lines_as_it_needs() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut client = through_a_frontend(&pair.be1).await;
    client.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    xfer(&pair).await;
    client.send(b"n FETCH 3 UID\r\n").await;
    let moved = state(&client.until("* OK [XMOVED").await);
    client.expect("n NO [XMOVED be2] …").await;
    let (first, rest) = moved.split_at(9);
    let (second, last) = rest.split_at(20);
    let mut there = through_a_frontend(&pair.be2).await;
    there
        .talk(&format!(
            "C: a XADOPT + {first}\nS: a OK Completed
             C: b XADOPT + {second}\nS: b OK Completed
             C: c XADOPT {last}\nS: c OK Completed
             C: d FETCH 3 UID\nS: * 3 FETCH (UID 3)\nS: d OK Completed"
        ))
        .await;
    // What was begun and not ended is nobody's: not the next session's either.
    let mut other = through_a_frontend(&pair.be2).await;
    other.talk(&format!("C: a XADOPT + {first}\nS: a OK Completed\nC: p XCLIENT ADDR=192.0.2.1 SESSION=s1 NODE=fe1 PARKED=yes\nS: p NO …")).await;
}
