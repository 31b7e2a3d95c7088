//! SEARCH with the index of texts and without it: what is found is the same.

use std::path::PathBuf;

use backend::control::{self, Answer, Request};
use store::Which;

use crate::node::{Client, Node};

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn of<'a>(&mut self, some: &[&'a str]) -> &'a str {
        some[self.roll(some.len())]
    }

    /// Some words, which have letters of many kinds, and blanks of some kinds between them.
    fn words(&mut self, count: usize) -> String {
        let mut text = String::new();
        for _ in 0..count {
            for _ in 0..=self.roll(3) {
                text.push_str(self.of(PARTS));
            }
            text.push_str(self.of(&[" ", " ", " ", "  ", "\u{a0}", " - "]));
        }
        text.trim().to_owned()
    }
}

const PARTS: &[&str] = &[
    "lor", "em", "ip", "sum", "Grü", "ße", "caf", "é", "e\u{301}", "ÅNG", "strö", "m", "тест", "ТЕ", "テス",
    "ト", "ﬁ", "²", "ſ", "İ", "x", "7", "<b>", "&amp;", "=", "_",
];

fn latin1_quoted(text: &str) -> String {
    let byte = |char: char| match u8::try_from(char as u32) {
        Ok(b'=' | b'?' | b'_' | 0x80..) => format!("={:02X}", char as u32),
        Ok(_) => char.to_string(),
        Err(_) => "=3F".to_owned(),
    };
    text.chars().map(byte).collect()
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for some in text.as_bytes().chunks(3) {
        let bits =
            some.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - some.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize] as char;
            out.push(if at <= some.len() { digit } else { '=' });
        }
    }
    out
}

/// A message of one of many kinds, its subject and text.
fn message(dice: &mut Dice, n: usize) -> String {
    let (subject, own, text) = (dice.words(3), dice.words(2), dice.words(12));
    let header = format!(
        "From: Some One <{n}@example.org>\nMessage-ID: <{n}.texts@example.org>\nSubject: {}\nX-Own: {}\n",
        match dice.roll(4) {
            0 => format!("=?utf-8?b?{}?=", base64(&subject)),
            1 => format!("=?iso-8859-1?q?{}?=", latin1_quoted(&subject).replace(' ', "_")),
            2 => subject.replacen(' ', "\n  ", 1),
            _ => subject,
        },
        own,
    );
    let html = format!("<p class=\"{}\">{text}</p>", dice.words(1).replace('"', ""));
    let body = match dice.roll(8) {
        0 => format!("Content-Type: text/plain; charset=utf-8\n\n{}", text.replacen(' ', "\n", 2)),
        1 => format!(
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n{}",
            latin1_quoted(&text)
        ),
        2 => format!(
            "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{}",
            base64(&html)
        ),
        3 => format!(
            "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/html; charset=utf-8\n\n{html}\n--b\n\
             Content-Type: application/octet-stream\nContent-Description: described {own}\n\n{text}\n--b--\n"
        ),
        4 => format!(
            "Content-Type: message/rfc822\n\nSubject: inner {own}\nContent-Type: text/plain; charset=utf-8\n\n{text}"
        ),
        5 => format!("Content-Type: text/plain; charset=x-unheard-of\n\n{text}"),
        6 => format!(
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: x-unheard-of\n\n{text}"
        ),
        _ => format!("\n{text}"),
    };
    format!("{header}{body}\n")
}

/// SEARCHes for pieces of what may be there, in all places.
fn searches(dice: &mut Dice) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..60 {
        let text: Vec<char> = dice.words(2).chars().collect();
        let from = dice.roll(text.len());
        let piece: String = text[from..].iter().take(1 + dice.roll(9)).collect();
        let piece = if dice.roll(2) == 0 { piece.to_uppercase() } else { piece };
        // As a literal: it may hold anything.
        let piece = format!("{{{}+}}\r\n{piece}", piece.len());
        let other = dice.of(&[
            "TEXT inner",
            "BODY described",
            "TEXT \"<b>\"",
            "BODY cafe",
            "HEADER X-Own \"\"",
            "SUBJECT \"  \"",
        ]);
        let place = dice.of(&[
            "TEXT",
            "BODY",
            "SUBJECT",
            "HEADER X-Own",
            "HEADER Subject",
            "FROM",
            "HEADER Message-ID",
            "FUZZY TEXT",
        ]);
        all.push(match dice.roll(5) {
            0 => format!("NOT {place} {piece}"),
            1 => format!("OR {place} {piece} {other}"),
            2 => format!("{place} {piece} NOT {other}"),
            _ => format!("{place} {piece}"),
        });
    }
    all.push("HEADER Message-ID \"17.texts@\"".to_owned());
    all.push("TEXT \"nowhere at all\"".to_owned());
    all.push("NOT TEXT \"nowhere at all\"".to_owned());
    all
}

async fn answers(fred: &mut Client, searches: &[String]) -> Vec<String> {
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK …").await;
    let mut all = Vec::new();
    for search in searches {
        fred.send(format!("a UID SEARCH RETURN (ALL RELEVANCY) CHARSET UTF-8 {search}\r\n").as_bytes()).await;
        let line = fred.until("* ESEARCH").await;
        fred.expect("a OK Completed").await;
        all.push(line);
    }
    all
}

/// The files of the index of one mailbox; there is one.
fn files(node: &Node) -> Vec<PathBuf> {
    let below = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|item| item.path());
    let mailboxes = below(node.dir.path().join("spool")).flat_map(below);
    mailboxes.flat_map(|mailbox| below(mailbox.join("text"))).collect()
}

/// `mailboxes`: how many there are to be indexed.
async fn index(node: &Node, mailboxes: u64) {
    let answer = control::ask(&node.context.imapd(), Request::Index(Which::default())).await.unwrap();
    let Answer::Indexed(done) = answer else { panic!("{answer:?}") };
    assert_eq!((done.mailboxes, done.failed), (mailboxes, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_the_same_with_the_index_of_texts_and_without_it() {
    const NONE: &str = "search_engine: none";
    let mut node = Node::with(NONE).await;
    let mut dice = Dice(7);
    let searches = searches(&mut dice);
    let mut fred = node.login("fred").await;
    for n in 0..150 {
        fred.append("INBOX", &message(&mut dice, n)).await;
    }
    let without = answers(&mut fred, &searches).await;
    let hits = |answers: &[String]| answers.iter().filter(|line| line.contains(" ALL ")).count();
    assert!((20..searches.len() - 1).contains(&hits(&without)), "{}", hits(&without));
    index(&node, 0).await;
    assert_eq!(files(&node).len(), 0);
    node.restart("").await;
    index(&node, 2).await;
    assert_eq!(files(&node).len(), 1);
    let mut fred = node.login("fred").await;
    assert_eq!(answers(&mut fred, &searches).await, without);
    // Some go, some come that the index does not know.
    for n in 150..170 {
        fred.append("INBOX", &message(&mut dice, n)).await;
    }
    fred.talk(
        "C: b UID STORE 20:60 +FLAGS.SILENT (\\Deleted)\nS: …\nS: b OK …\nC: c EXPUNGE\nS: …\nS: c OK …",
    )
    .await;
    let with = answers(&mut fred, &searches).await;
    node.restart(NONE).await;
    let mut fred = node.login("fred").await;
    assert_eq!(answers(&mut fred, &searches).await, with);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_which_the_index_proves_that_it_has_not_the_word_is_not_read() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for n in 0..100 {
        fred.append("INBOX", &format!("Subject: {n}\n\nText of number {n}, without a word.\n")).await;
    }
    index(&node, 2).await;
    // What nobody reads may be anything: here it is the word itself.
    let index = files(&node).remove(0);
    let mailbox = index.parent().unwrap().parent().unwrap();
    for uid in 1..100 {
        let path = mailbox.join(format!("{uid}."));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("without a word").count(), 1);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, text.replace("without a word", "xylophone word")).unwrap();
    }
    fred.talk(
        r#"
        C: s SELECT INBOX
        S: …
        S: s OK …
        C: a SEARCH TEXT xylophone
        S: * SEARCH
        S: a OK Completed
        C: b SEARCH BODY "number 99, with"
        S: * SEARCH 100
        S: b OK Completed
        "#,
    )
    .await;
    std::fs::remove_file(&index).unwrap();
    fred.talk(
        "C: c SEARCH RETURN (COUNT) TEXT xylophone\nS: * ESEARCH (TAG \"c\") COUNT 99\nS: c OK Completed",
    )
    .await;
}
