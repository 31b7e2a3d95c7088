//! Whether a message fulfils a search: RFC 3501 section 6.4.4.
//!
//! Keys are put into an order in which the cheap ones decide first: flags, numbers and dates of the index, then the
//! cached structure, then the message's header, then its text. [`Criteria::needs`] says what a search will read, so
//! that one that reads nothing runs on the spot and the others on a blocking thread.

use std::sync::Arc;

use protocol::imap::command::search::Key;
use protocol::imap::set::Ranges;
use protocol::imap::{Date, Flag};

use crate::mime::{Address, Fields, Structure, header_text, to_utf8};

/// A search, made ready for one state of a mailbox.
pub struct Criteria {
    test: Test,
    now: i64,
}

/// What must be read of a message, in rising cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    Index,
    Structure,
    Header,
    Message,
}

/// What the index knows of a message.
pub struct Facts<'m> {
    pub sequence: u32,
    pub uid: u32,
    pub size: u64,
    pub modseq: u64,
    /// Epoch seconds.
    pub internal_date: i64,
    pub save_date: Option<i64>,
    pub recent: bool,
    pub email_id: &'m str,
    pub has_flag: &'m dyn Fn(&Flag) -> bool,
}

/// What can be read of a message. Blocks. `None` where it cannot be read: it then fulfils nothing.
pub trait Source {
    fn structure(&mut self) -> Option<Arc<Structure>>;
    /// All of it, or its beginning as far as the header goes.
    fn bytes(&mut self, whole: bool) -> Option<&[u8]>;
}

enum Test {
    All,
    And(Vec<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
    Flag(Flag),
    Recent,
    New,
    Sequence(Ranges),
    Uid(Ranges),
    /// Days since 1970: first to last, of the internal date.
    Received(i64, i64),
    Sent(i64, i64),
    Saved(i64, i64),
    Older(u32),
    Younger(u32),
    Larger(u64),
    Smaller(u64),
    Modseq(u64),
    /// One of the envelope's fields, and what it must contain.
    Envelope(Name, Needle),
    Header(String, Needle),
    Body(Needle),
    Text(Needle),
    EmailId(String),
}

#[derive(Clone, Copy)]
enum Name {
    From,
    To,
    Cc,
    Bcc,
    Subject,
    MessageId,
    InReplyTo,
}

/// Text to be found whatever its case, in lower case.
struct Needle(String);

impl Needle {
    fn new(text: &[u8], charset: &[u8]) -> Needle {
        Needle(to_utf8(text, charset).to_lowercase())
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.is_empty() || text.to_lowercase().contains(&self.0)
    }
}

impl Criteria {
    /// `last_sequence` and `last_uid` are what `*` means; `now` is for OLDER and YOUNGER, epoch seconds. `charset` is
    /// that of the texts, empty for UTF-8.
    pub fn new(key: Key, charset: &str, last_sequence: u32, last_uid: u32, now: i64) -> Criteria {
        let mut test = Test::of(key, charset.as_bytes(), last_sequence, last_uid);
        test.order();
        Criteria { test, now }
    }

    pub fn needs(&self) -> Needs {
        self.test.needs()
    }

    pub fn fulfils(&self, facts: &Facts<'_>, source: &mut dyn Source) -> bool {
        self.test.holds(facts, source, self.now)
    }
}

impl Test {
    fn of(key: Key, charset: &[u8], last_sequence: u32, last_uid: u32) -> Test {
        let of = |key| Test::of(key, charset, last_sequence, last_uid);
        let header = |name: &str, text: &[u8]| match envelope_name(name) {
            // An empty text asks whether the field is there at all.
            Some(name) if !text.is_empty() => Test::Envelope(name, Needle::new(text, charset)),
            _ => Test::Header(name.to_owned(), Needle::new(text, charset)),
        };
        match key {
            Key::All | Key::SaveDateSupported => Test::All,
            Key::And(keys) => Test::And(keys.into_iter().map(of).collect()),
            Key::Or(a, b) => Test::Or(Box::new(of(*a)), Box::new(of(*b))),
            Key::Not(key) => Test::Not(Box::new(of(*key))),
            Key::Flag(flag) => Test::Flag(flag),
            Key::Recent => Test::Recent,
            Key::New => Test::New,
            Key::Sequence(set) => Test::Sequence(set.resolve(last_sequence)),
            Key::Uid(set) => Test::Uid(set.resolve(last_uid)),
            Key::Before(date) => Test::Received(i64::MIN, before(date)),
            Key::On(date) => Test::Received(date.days(), date.days()),
            Key::Since(date) => Test::Received(date.days(), i64::MAX),
            Key::SentBefore(date) => Test::Sent(i64::MIN, before(date)),
            Key::SentOn(date) => Test::Sent(date.days(), date.days()),
            Key::SentSince(date) => Test::Sent(date.days(), i64::MAX),
            Key::SavedBefore(date) => Test::Saved(i64::MIN, before(date)),
            Key::SavedOn(date) => Test::Saved(date.days(), date.days()),
            Key::SavedSince(date) => Test::Saved(date.days(), i64::MAX),
            Key::Older(seconds) => Test::Older(seconds),
            Key::Younger(seconds) => Test::Younger(seconds),
            Key::Larger(size) => Test::Larger(size),
            Key::Smaller(size) => Test::Smaller(size),
            Key::Modseq(modseq) => Test::Modseq(modseq),
            Key::Header(name, text) => header(&name, &text),
            Key::Body(text) => Test::Body(Needle::new(&text, charset)),
            Key::Text(text) => Test::Text(Needle::new(&text, charset)),
            Key::EmailId(id) => Test::EmailId(id),
        }
    }

    fn order(&mut self) {
        match self {
            Test::And(tests) => {
                tests.iter_mut().for_each(Test::order);
                tests.sort_by_key(Test::needs);
            }
            Test::Or(a, b) => {
                a.order();
                b.order();
                if a.needs() > b.needs() {
                    std::mem::swap(a, b);
                }
            }
            Test::Not(test) => test.order(),
            _ => {}
        }
    }

    fn needs(&self) -> Needs {
        match self {
            Test::And(tests) => tests.iter().map(Test::needs).max().unwrap_or(Needs::Index),
            Test::Or(a, b) => a.needs().max(b.needs()),
            Test::Not(test) => test.needs(),
            Test::Sent(..) | Test::Envelope(..) => Needs::Structure,
            Test::Header(..) => Needs::Header,
            Test::Body(_) | Test::Text(_) => Needs::Message,
            _ => Needs::Index,
        }
    }

    fn holds(&self, facts: &Facts<'_>, source: &mut dyn Source, now: i64) -> bool {
        let on = |epoch: i64, first: i64, last: i64| (first..=last).contains(&epoch.div_euclid(86_400));
        match self {
            Test::All => true,
            Test::And(tests) => tests.iter().all(|test| test.holds(facts, source, now)),
            Test::Or(a, b) => a.holds(facts, source, now) || b.holds(facts, source, now),
            Test::Not(test) => !test.holds(facts, source, now),
            Test::Flag(flag) => (facts.has_flag)(flag),
            Test::Recent => facts.recent,
            Test::New => facts.recent && !(facts.has_flag)(&Flag::Seen),
            Test::Sequence(ranges) => ranges.contains(facts.sequence),
            Test::Uid(ranges) => ranges.contains(facts.uid),
            Test::Received(first, last) => on(facts.internal_date, *first, *last),
            Test::Saved(first, last) => facts.save_date.is_some_and(|date| on(date, *first, *last)),
            Test::Older(seconds) => facts.internal_date <= now - i64::from(*seconds),
            Test::Younger(seconds) => facts.internal_date >= now - i64::from(*seconds),
            Test::Larger(size) => facts.size > *size,
            Test::Smaller(size) => facts.size < *size,
            Test::Modseq(modseq) => facts.modseq >= *modseq,
            Test::EmailId(id) => facts.email_id == id,
            Test::Sent(..) | Test::Envelope(..) | Test::Header(..) | Test::Body(_) | Test::Text(_) => {
                self.holds_for(facts, source).unwrap_or(false)
            }
        }
    }

    /// The tests that read more than the index.
    fn holds_for(&self, facts: &Facts<'_>, source: &mut dyn Source) -> Option<bool> {
        let structure = source.structure()?;
        Some(match self {
            Test::Sent(first, last) => {
                let day =
                    structure.sent.as_ref().map_or(facts.internal_date.div_euclid(86_400), |sent| sent.day());
                (first..=last).contains(&&day)
            }
            Test::Envelope(name, needle) => name.contains(&structure, needle),
            Test::Header(name, needle) => {
                let header = structure.root.header.of(source.bytes(false)?);
                Fields::new(header).any(|field| field.is(name) && needle.is_in(&header_text(field.value)))
            }
            Test::Body(needle) => {
                structure.any_body_text(source.bytes(true)?, &mut |text| needle.is_in(text))
            }
            Test::Text(needle) => structure.any_text(source.bytes(true)?, &mut |text| needle.is_in(text)),
            _ => false,
        })
    }
}

impl Name {
    fn contains(self, structure: &Structure, needle: &Needle) -> bool {
        let envelope = &structure.envelope;
        let any =
            |addresses: &[Address]| addresses.iter().any(|address| needle.is_in(&address_text(address)));
        let text =
            |raw: &Option<Box<[u8]>>| raw.as_deref().is_some_and(|raw| needle.is_in(&header_text(raw)));
        match self {
            Name::From => any(&envelope.from),
            Name::To => any(&envelope.to),
            Name::Cc => any(&envelope.cc),
            Name::Bcc => any(&envelope.bcc),
            Name::Subject => text(&envelope.subject),
            Name::MessageId => text(&envelope.message_id),
            Name::InReplyTo => text(&envelope.in_reply_to),
        }
    }
}

/// `Name <mailbox@host>`, decoded.
fn address_text(address: &Address) -> String {
    let part = |raw: &Option<Box<[u8]>>| raw.as_deref().map(header_text).unwrap_or_default();
    format!("{} <{}@{}>", part(&address.name), part(&address.mailbox), part(&address.host))
}

fn envelope_name(name: &str) -> Option<Name> {
    Some(match name {
        "FROM" => Name::From,
        "TO" => Name::To,
        "CC" => Name::Cc,
        "BCC" => Name::Bcc,
        "SUBJECT" => Name::Subject,
        "MESSAGE-ID" => Name::MessageId,
        "IN-REPLY-TO" => Name::InReplyTo,
        _ => return None,
    })
}

/// The last day that is before a date.
fn before(date: Date) -> i64 {
    date.days() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::imap::{Body, Command, Limits};

    const MESSAGE: &[u8] =
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@b\r\nSubject: Caf\xc3\xa9\r\n\
        Date: Mon, 23 Nov 2026 01:00:00 +0500\r\nX-Spam: no\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n";

    struct Memory(Arc<Structure>, usize);

    impl Source for Memory {
        fn structure(&mut self) -> Option<Arc<Structure>> {
            Some(self.0.clone())
        }

        fn bytes(&mut self, _: bool) -> Option<&[u8]> {
            self.1 += 1;
            Some(MESSAGE)
        }
    }

    fn search(text: &str) -> (bool, usize) {
        let frame = format!("a SEARCH {text}");
        let Body::Search(search) = Command::parse(frame.as_bytes(), Limits::default()).unwrap().body else {
            panic!()
        };
        let criteria =
            Criteria::new(search.key, search.charset.as_deref().unwrap_or_default(), 9, 90, 2_000_000_000);
        let has = |flag: &Flag| matches!(flag, Flag::Seen) || *flag == Flag::Keyword("$x".into());
        let facts = Facts {
            sequence: 3,
            uid: 30,
            size: 100,
            modseq: 7,
            internal_date: 1_795_000_000,
            save_date: None,
            recent: true,
            email_id: "Mabc",
            has_flag: &has,
        };
        let mut source = Memory(Arc::new(Structure::parse(MESSAGE)), 0);
        let holds = criteria.fulfils(&facts, &mut source);
        (holds, source.1)
    }

    #[test]
    fn keys_hold_or_not() {
        for (text, expected) in [
            ("ALL", true),
            ("SEEN UNFLAGGED", true),
            ("NOT SEEN", false),
            ("KEYWORD $x", true),
            ("NEW", false),
            ("RECENT", true),
            ("1:3", true),
            ("*", false),
            ("UID 30", true),
            ("OR LARGER 100 SMALLER 101", true),
            ("MODSEQ 7", true),
            ("MODSEQ 8", false),
            ("FROM \"j\u{fc}rgen <j@example.org>\"", true),
            ("FROM J\u{dc}RGEN", true),
            ("SUBJECT caf\u{e9}", true),
            ("CHARSET ISO-8859-1 SUBJECT {4}\r\ncafe", false),
            ("CHARSET UTF-7 SUBJECT Caf+AOk-", true),
            ("HEADER X-Spam \"\"", true),
            ("HEADER X-Spam yes", false),
            ("HEADER X-Other \"\"", false),
            ("BODY gr\u{fc}\u{df}e", true),
            ("BODY \"x-spam\"", false),
            ("TEXT \"x-spam\"", true),
            ("SENTON 23-Nov-2026", true),
            ("SENTBEFORE 23-Nov-2026", false),
            ("SINCE 1-Jan-2020 BEFORE 1-Jan-2040", true),
            ("YOUNGER 1000", false),
            ("OLDER 1000", true),
            ("EMAILID Mabc", true),
        ] {
            assert_eq!(search(text).0, expected, "{text}");
        }
    }

    #[test]
    fn what_is_cheap_decides_first() {
        assert_eq!(search("BODY xyz NOT SEEN"), (false, 0));
        assert_eq!(search("OR BODY xyz SEEN"), (true, 0));
    }
}
