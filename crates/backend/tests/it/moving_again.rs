//! Moves that go on from what an earlier one has left.

use moves::journal::{Journals, Role};
use protocol::grammar::{Cursor, Limits};
use protocol::name::MailboxName;
use protocol::sync::moving::{Begin, Digest, Item, Prepare, Round};
use protocol::sync::{Apply, File, Get, Mailbox, Ours, Peer, Seen, Told, UniqueId, Upload};

use crate::master::eventually;
use crate::moving::{Pair, SERVERS, answers, assert_same, fill, login, shown};
use crate::node::{Client, Node};

/// Moves fred, once what the move before has to say is said.
async fn moves(pair: &Pair, from: usize) {
    eventually(async || {
        let mut admin = login(pair.node(from), "cyrus").await;
        let answer = answers(&mut admin, &format!("XFER user/fred {}", SERVERS[1 - from])).await;
        // The move before may have last words to say.
        let last = answer.last().cloned().unwrap_or_default();
        assert!(
            last == "x OK Completed" || last.contains("locked") || last.contains("being moved"),
            "{answer:?}"
        );
        (last == "x OK Completed").then_some(())
    })
    .await;
}

/// How many messages each move from a node has sent, the fewest first: the ids of moves have no order.
fn sent(node: &Node) -> Vec<u64> {
    let records = Journals::read(&node.dir.path().join("murder/backend")).unwrap();
    let sent = |record: &moves::journal::Record| match &record.role {
        Role::Source { messages, .. } => Some(*messages),
        Role::Destination { .. } => None,
    };
    let mut sent: Vec<u64> = records.iter().filter_map(sent).collect();
    sent.sort_unstable();
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_back_sends_only_what_changed_meanwhile() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk("C: a SETMETADATA \"\" (/private/comment \"mine\")\nS: a OK …\nC: b SUBSCRIBE Archive/2024\nS: b OK …").await;
    moves(&pair, 0).await;
    assert_eq!(sent(&pair.be1), [6]);
    let mut fred = login(&pair.be2, "fred").await;
    fred.append("INBOX", "Subject: new\n\nnew\n").await;
    fred.talk(
        "C: a SETMETADATA \"\" (/private/comment NIL)\nS: a OK …
         C: b UNSUBSCRIBE Archive/2024\nS: b OK …
         C: c SELECT INBOX\nS: …\nS: c OK …
         C: d STORE 1 +FLAGS (\\Deleted)\nS: …\nS: d OK …
         C: e STORE 2 +FLAGS (new)\nS: …\nS: e OK …
         C: f EXPUNGE\nS: …\nS: f OK …
         C: g UNSELECT\nS: g OK …
         C: h RENAME Archive/2024 Archive/old\nS: h OK …
         C: i CREATE Archive/2024\nS: i OK …",
    )
    .await;
    fred.append("Archive/2024", "Subject: other\n\nother\n").await;
    // Wilma has seen another message than when she was here.
    let mut wilma = login(&pair.be2, "wilma").await;
    wilma.talk("C: a SELECT \"Other Users/fred/Archive\"\nS: …\nS: a OK …\nC: b UNSELECT\nS: b OK …").await;
    shown(&pair.be2, "fred").await;
    let before = shown(&pair.be2, "fred").await;
    moves(&pair, 1).await;
    assert_same(&shown(&pair.be1, "fred").await, &before);
    assert_eq!(sent(&pair.be2), [2], "two messages are new");
    let mut fred = login(&pair.be1, "fred").await;
    fred.talk(
        "C: a GETMETADATA \"\" (/private/comment)\nS: * METADATA \"\" (\"/private/comment\" NIL)\nS: a OK …",
    )
    .await;
    // And once more, with nothing new.
    moves(&pair, 0).await;
    assert_same(&shown(&pair.be2, "fred").await, &before);
    assert_eq!(sent(&pair.be1), [0, 6]);
}

/// Another backend, played by hand: a user with an INBOX of some messages.
struct Source {
    to: Client,
    mailbox: Mailbox,
    texts: Vec<String>,
}

impl Source {
    /// That copies what a node says of a mailbox.
    async fn of(node: &Node, to: &Node, name: &str, texts: &[&str]) -> Source {
        let mut admin = login(node, "cyrus").await;
        let mut command = Vec::new();
        Get::FullMailbox(MailboxName::parse(name).unwrap()).write("g", &mut command);
        admin.send(&command).await;
        let line = admin.line().await;
        admin.expect("g OK success").await;
        let told = Cursor::new(line.strip_prefix("* ").unwrap().as_bytes(), Limits::NONE).read(Told::parse);
        let Ok(Told::Mailbox(mailbox)) = told else { panic!("{line}") };
        let texts = texts.iter().map(|text| text.replace('\n', "\r\n")).collect();
        Source { to: login(to, "cyrus").await, mailbox: *mailbox, texts }
    }

    fn item(&self) -> Item {
        Item { uniqueid: self.mailbox.uniqueid.clone(), name: self.mailbox.name.clone() }
    }

    async fn begin(&mut self, id: &str) -> Vec<String> {
        let begin = Begin {
            id: UniqueId::new(id).unwrap(),
            from: protocol::location::ServerName::parse("be3").unwrap(),
            root: self.mailbox.name.clone(),
            partition: "default".into(),
            items: vec![self.item()],
            bytes: 0,
        };
        self.apply(Apply::Begin(begin)).await
    }

    async fn round(&mut self, id: &str, round: u32) -> Vec<String> {
        let round = Round { id: UniqueId::new(id).unwrap(), round, items: vec![self.item()] };
        self.apply(Apply::Round(round)).await
    }

    /// All messages, and the mailbox with them.
    async fn copy(&mut self) {
        let mut command = Vec::new();
        Upload::begin("m", &mut command);
        for (at, (record, text)) in self.mailbox.records.iter().flatten().zip(&self.texts).enumerate() {
            let file = File { partition: "default".into(), guid: record.guid, size: text.len() as u64 };
            Upload::put(&file, at == 0, &mut command);
            command.extend_from_slice(text.as_bytes());
        }
        Upload::end(&mut command);
        self.to.send(&command).await;
        self.to.expect("m OK success").await;
        let ours = Ours { whole: true, ..Ours::default() };
        let mailbox = Mailbox { ours: Some(ours), crc: None, ..self.mailbox.clone() };
        assert_eq!(self.apply(Apply::LocalMailbox(Box::new(mailbox))).await, ["p OK success"]);
    }

    async fn apply(&mut self, apply: Apply) -> Vec<String> {
        let mut command = Vec::new();
        apply.write("p", Peer::Ours, &mut command);
        self.to.send(&command).await;
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with("p ")) {
            lines.push(self.to.line().await);
        }
        lines
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_a_move_that_was_given_up_is_where_the_next_one_begins() {
    let pair = Pair::start().await;
    let mut fred = login(&pair.be1, "fred").await;
    fred.append("INBOX", "Subject: 1\n\none\n").await;
    let mut source = Source::of(&pair.be1, &pair.be2, "user.fred", &["Subject: 1\n\none\n"]).await;
    assert_eq!(source.begin("m1").await, ["* XHAVE ()", "p OK success"]);
    source.copy().await;
    source.round("m1", 1).await;
    let abort = Apply::Abort(UniqueId::new("m1").unwrap());
    assert_eq!(source.apply(abort).await, ["p OK success"]);
    let have = |last_uid: u32, modseq: u64| {
        let id = source.mailbox.uniqueid.as_str();
        format!("* XHAVE (%(UNIQUEID {id} LAST_UID {last_uid} HIGHESTMODSEQ {modseq} DIGEST ")
    };
    let have = have(1, source.mailbox.highestmodseq);
    let told = source.begin("m2").await;
    assert!(told[0].starts_with(&have), "{told:?}");
    // And it is no mailbox meanwhile, nor in anybody's way.
    source.apply(Apply::Abort(UniqueId::new("m2").unwrap())).await;
    let mut admin = login(&pair.be2, "cyrus").await;
    admin.talk("C: a SELECT user/fred\nS: a NO [NONEXISTENT] Mailbox does not exist").await;
    // What is there is not what it seems: one message of fred's has another text than its source says now.
    let mut record = source.mailbox.records.clone().unwrap().remove(0);
    record.flags = vec![protocol::imap::Flag::Flagged];
    source.mailbox.records = Some(vec![record]);
    source.begin("m3").await;
    source.copy().await;
    source.round("m3", 1).await;
    source.apply(Apply::Abort(UniqueId::new("m3").unwrap())).await;
    fred.append("INBOX", "Subject: 2\n\ntwo\n").await;
    let before = answers(&mut fred, "STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ)").await;
    moves(&pair, 0).await;
    let mut fred = login(&pair.be2, "fred").await;
    assert_eq!(answers(&mut fred, "STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ)").await, before);
    fred.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b FETCH 1:2 (BODY.PEEK[TEXT])\nS: * 1 FETCH (BODY[TEXT] {5}\nS: one\nS: )\nS: * 2 FETCH (BODY[TEXT] {5}\nS: two\nS: )\nS: b OK …").await;
    fred.talk("C: c SEARCH FLAGGED\nS: * SEARCH\nS: c OK …").await;
    assert_eq!(sent(&pair.be1), [1], "one message was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_whose_copy_of_what_users_have_seen_differs_stays_where_it_is() {
    let pair = Pair::start().await;
    let mut source = Source::of(&pair.be1, &pair.be2, "user.fred", &[]).await;
    source.begin("m1").await;
    source.copy_nothing().await;
    let seen = Seen {
        user: "wilma".into(),
        uniqueid: source.mailbox.uniqueid.clone(),
        lastread: 7,
        lastuid: 3,
        lastchange: 7,
        uids: "1:3".into(),
    };
    assert_eq!(source.apply(Apply::Seen(seen)).await, ["p OK success"]);
    source.round("m1", 1).await;
    let prepare = Prepare {
        id: UniqueId::new("m1").unwrap(),
        user: Some(Digest([7; 32])),
        digests: vec![(source.mailbox.uniqueid.clone(), Digest([7; 32]))],
        fence: Some("00000000000000000000000000000001:1".into()),
    };
    let told = source.apply(Apply::Prepare(prepare)).await;
    assert!(told[0].starts_with("p NO IMAP_SYNC_CHECKSUM"), "{told:?}");
}

impl Source {
    async fn copy_nothing(&mut self) {
        let ours = Ours { whole: true, ..Ours::default() };
        let mailbox = Mailbox { ours: Some(ours), crc: None, ..self.mailbox.clone() };
        assert_eq!(self.apply(Apply::LocalMailbox(Box::new(mailbox))).await, ["p OK success"]);
    }
}
