//! Whether a message fulfils a search: RFC 3501 section 6.4.4.
//!
//! Keys are put into an order in which the cheap ones decide first: flags, numbers and dates of the index, then the
//! cached structure, then the message's header, then its text. All flags that must hold together are one comparison of
//! bits, and what is read of a message is decoded once, however many keys look into it. What is left, keys times text,
//! is bounded by the [`Budget`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use protocol::imap::command::search::Key;
use protocol::imap::set::Ranges;
use protocol::imap::{Date, Flag};
use work::aside::{Budget, Spent};

use super::cmd::fetch::email_id;
use mime::{Address, Fields, Structure, header_text, to_utf8};
use store::{Record, System};

/// A search, made ready for one state of a mailbox.
pub struct Criteria {
    test: Test,
    now: i64,
    /// Names of the header fields that are looked into, lower case.
    fields: HashSet<Vec<u8>>,
}

/// What a search is asked against.
pub struct Ground<'k> {
    /// That of the texts, empty for UTF-8.
    pub charset: &'k str,
    /// What `*` means.
    pub last_sequence: u32,
    pub last_uid: u32,
    /// Epoch seconds, for OLDER and YOUNGER.
    pub now: i64,
    /// The bit of a keyword in the mailbox; none where no message has it.
    pub keyword: &'k dyn Fn(&str) -> Option<u128>,
}

/// What must be read of a message, in rising cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Index,
    Structure,
    Header,
    Message,
}

/// What the index knows of a message.
pub struct Facts<'m> {
    pub sequence: u32,
    pub record: &'m Record,
    /// As the user has them.
    pub system: System,
    pub recent: bool,
}

/// What can be read of a message. Blocks. `None` where it cannot be read: it then fulfils nothing.
pub trait Source {
    fn structure(&mut self) -> Option<Arc<Structure>>;
    /// All of it, or its beginning as far as the header goes.
    fn bytes(&mut self, whole: bool) -> Option<Bytes>;
}

enum Test {
    All,
    Nothing,
    And(Vec<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
    Flags(Flags),
    Recent,
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
    Header(Vec<u8>, Needle),
    Body(Needle),
    Text(Needle),
    EmailId(String),
}

/// Flags that a message must have, and those that it must not.
#[derive(Clone, Copy, Default)]
struct Flags {
    on: (System, u128),
    off: (System, u128),
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

/// What was read of a message so far, decoded and in lower case.
struct Reading<'r> {
    source: &'r mut dyn Source,
    wanted: &'r HashSet<Vec<u8>>,
    envelope: [Option<Vec<String>>; NAMES],
    fields: Option<HashMap<Vec<u8>, Vec<String>>>,
    header: Option<String>,
    body: Option<Vec<String>>,
}

impl Needle {
    fn new(text: &[u8], charset: &[u8]) -> Needle {
        Needle(to_utf8(text, charset).to_lowercase())
    }

    fn is_in(&self, lower: &str) -> bool {
        self.0.is_empty() || lower.contains(&self.0)
    }

    fn is_in_any(&self, lower: &[String]) -> bool {
        lower.iter().any(|text| self.is_in(text))
    }
}

impl Flags {
    fn hold(self, system: System, keywords: u128) -> bool {
        system.0 & self.on.0.0 == self.on.0.0
            && keywords & self.on.1 == self.on.1
            && system.0 & self.off.0.0 == 0
            && keywords & self.off.1 == 0
    }

    fn with(self, other: Flags) -> Flags {
        Flags {
            on: (self.on.0.with(other.on.0), self.on.1 | other.on.1),
            off: (self.off.0.with(other.off.0), self.off.1 | other.off.1),
        }
    }
}

impl Criteria {
    pub fn new(key: Key, ground: &Ground<'_>) -> Criteria {
        let mut test = Test::of(key, ground);
        test.order();
        let mut fields = HashSet::new();
        test.fields(&mut fields);
        Criteria { test, now: ground.now, fields }
    }

    pub fn fulfils(
        &self,
        facts: &Facts<'_>,
        source: &mut dyn Source,
        budget: &Budget,
    ) -> Result<bool, Spent> {
        let mut reading = Reading {
            source,
            wanted: &self.fields,
            envelope: Default::default(),
            fields: None,
            header: None,
            body: None,
        };
        self.test.holds(facts, &mut reading, self.now, budget)
    }
}

impl Test {
    fn of(key: Key, ground: &Ground<'_>) -> Test {
        let charset = ground.charset.as_bytes();
        let of = |key| Test::of(key, ground);
        let header = |name: &str, text: &[u8]| match envelope_name(name) {
            // An empty text asks whether the field is there at all.
            Some(name) if !text.is_empty() => Test::Envelope(name, Needle::new(text, charset)),
            _ => Test::Header(name.to_ascii_lowercase().into_bytes(), Needle::new(text, charset)),
        };
        match key {
            Key::All | Key::SaveDateSupported => Test::All,
            Key::And(keys) => Test::all_of(keys.into_iter().map(of)),
            Key::Or(a, b) => Test::Or(Box::new(of(*a)), Box::new(of(*b))),
            Key::Not(key) => match of(*key) {
                Test::Flags(Flags { on, off }) if on.0.0.count_ones() + on.1.count_ones() == 1 => {
                    Test::Flags(Flags { on: off, off: on })
                }
                test => Test::Not(Box::new(test)),
            },
            Key::Flag(Flag::Keyword(word)) => match (ground.keyword)(&word) {
                Some(bit) => Test::Flags(Flags { on: (System::NONE, bit), ..Flags::default() }),
                None => Test::Nothing,
            },
            Key::Flag(flag) => match System::of(&flag) {
                Some(flag) => Test::Flags(Flags { on: (flag, 0), ..Flags::default() }),
                None => Test::Nothing,
            },
            Key::Recent => Test::Recent,
            Key::New => {
                let unseen = Flags { off: (System::SEEN, 0), ..Flags::default() };
                Test::And(vec![Test::Recent, Test::Flags(unseen)])
            }
            Key::Sequence(set) => Test::Sequence(set.resolve(ground.last_sequence)),
            Key::Uid(set) => Test::Uid(set.resolve(ground.last_uid)),
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
            // No message is in a thread: FETCH says THREADID NIL.
            Key::ThreadId(_) => Test::Nothing,
        }
    }

    /// The flags among them are one test.
    fn all_of(tests: impl Iterator<Item = Test>) -> Test {
        let (mut flags, mut all) = (None::<Flags>, Vec::new());
        for test in tests {
            match test {
                Test::Flags(more) => flags = Some(flags.unwrap_or_default().with(more)),
                test => all.push(test),
            }
        }
        all.extend(flags.map(Test::Flags));
        Test::And(all)
    }

    fn order(&mut self) {
        match self {
            Test::And(tests) => {
                tests.iter_mut().for_each(Test::order);
                tests.sort_by_cached_key(Test::needs);
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

    /// The header fields that it looks into.
    fn fields(&self, fields: &mut HashSet<Vec<u8>>) {
        match self {
            Test::And(tests) => tests.iter().for_each(|test| test.fields(fields)),
            Test::Or(a, b) => {
                a.fields(fields);
                b.fields(fields);
            }
            Test::Not(test) => test.fields(fields),
            Test::Header(name, _) => {
                fields.insert(name.clone());
            }
            _ => {}
        }
    }

    fn holds(
        &self,
        facts: &Facts<'_>,
        reading: &mut Reading<'_>,
        now: i64,
        budget: &Budget,
    ) -> Result<bool, Spent> {
        let on = |epoch: i64, first: i64, last: i64| (first..=last).contains(&epoch.div_euclid(86_400));
        let record = facts.record;
        Ok(match self {
            Test::All => true,
            Test::Nothing => false,
            Test::And(tests) => {
                for test in tests {
                    if !test.holds(facts, reading, now, budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            Test::Or(a, b) => {
                a.holds(facts, reading, now, budget)? || b.holds(facts, reading, now, budget)?
            }
            Test::Not(test) => !test.holds(facts, reading, now, budget)?,
            Test::Flags(flags) => flags.hold(facts.system, record.keywords),
            Test::Recent => facts.recent,
            Test::Sequence(ranges) => ranges.contains(facts.sequence),
            Test::Uid(ranges) => ranges.contains(record.uid),
            Test::Received(first, last) => on(record.internaldate, *first, *last),
            Test::Saved(first, last) => on(record.savedate, *first, *last),
            Test::Older(seconds) => record.internaldate <= now - i64::from(*seconds),
            Test::Younger(seconds) => record.internaldate >= now - i64::from(*seconds),
            Test::Larger(size) => record.size > *size,
            Test::Smaller(size) => record.size < *size,
            Test::Modseq(modseq) => record.modseq >= *modseq,
            Test::EmailId(id) => email_id(record) == *id,
            Test::Sent(..) | Test::Envelope(..) | Test::Header(..) | Test::Body(_) | Test::Text(_) => {
                budget.check()?;
                self.holds_for(facts, reading).unwrap_or(false)
            }
        })
    }

    /// The tests that read more than the index.
    fn holds_for(&self, facts: &Facts<'_>, reading: &mut Reading<'_>) -> Option<bool> {
        Some(match self {
            Test::Sent(first, last) => {
                let structure = reading.source.structure()?;
                let received = || facts.record.internaldate.div_euclid(86_400);
                let day = structure.sent.as_ref().map_or_else(received, |sent| sent.day());
                (first..=last).contains(&&day)
            }
            Test::Envelope(name, needle) => needle.is_in_any(reading.envelope(*name)?),
            Test::Header(name, needle) => {
                reading.fields()?.get(name).is_some_and(|values| needle.is_in_any(values))
            }
            Test::Body(needle) => needle.is_in_any(reading.body()?),
            Test::Text(needle) => needle.is_in(reading.header()?) || needle.is_in_any(reading.body()?),
            _ => false,
        })
    }
}

impl Reading<'_> {
    fn envelope(&mut self, name: Name) -> Option<&[String]> {
        let slot = &mut self.envelope[name as usize];
        if slot.is_none() {
            let structure = self.source.structure()?;
            *slot = Some(name.texts(&structure));
        }
        slot.as_deref()
    }

    /// The values of the fields that are looked into, by name. One pass over the header.
    fn fields(&mut self) -> Option<&HashMap<Vec<u8>, Vec<String>>> {
        if self.fields.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(false)?;
            let mut fields: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
            for field in Fields::new(structure.root.header.of(&bytes)) {
                let name = field.name.to_ascii_lowercase();
                if self.wanted.contains(&name) {
                    fields.entry(name).or_default().push(header_text(field.value).to_lowercase());
                }
            }
            self.fields = Some(fields);
        }
        self.fields.as_ref()
    }

    fn header(&mut self) -> Option<&str> {
        if self.header.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(true)?;
            self.header = Some(structure.header_lines(&bytes).to_lowercase());
        }
        self.header.as_deref()
    }

    fn body(&mut self) -> Option<&[String]> {
        if self.body.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(true)?;
            let mut texts = structure.body_texts(&bytes);
            texts.iter_mut().for_each(|text| *text = text.to_lowercase());
            self.body = Some(texts);
        }
        self.body.as_deref()
    }
}

impl Name {
    /// What it holds, in lower case.
    fn texts(self, structure: &Structure) -> Vec<String> {
        let envelope = &structure.envelope;
        let all =
            |list: &[Address]| list.iter().map(|address| address_text(address).to_lowercase()).collect();
        let text = |raw: &Option<Box<[u8]>>| -> Vec<String> {
            raw.iter().map(|raw| header_text(raw).to_lowercase()).collect()
        };
        match self {
            Name::From => all(&envelope.from),
            Name::To => all(&envelope.to),
            Name::Cc => all(&envelope.cc),
            Name::Bcc => all(&envelope.bcc),
            Name::Subject => text(&envelope.subject),
            Name::MessageId => text(&envelope.message_id),
            Name::InReplyTo => text(&envelope.in_reply_to),
        }
    }
}

/// Names in [`Name`].
const NAMES: usize = 7;

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
    use std::time::Duration;
    use work::aside::aside;

    const MESSAGE: &[u8] =
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@b\r\nSubject: Caf\xc3\xa9\r\n\
        Date: Mon, 23 Nov 2026 01:00:00 +0500\r\nX-Spam: no\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n";

    /// A message in memory: how often its structure and its bytes were asked for.
    struct Memory(Arc<Structure>, usize, usize);

    impl Source for Memory {
        fn structure(&mut self) -> Option<Arc<Structure>> {
            self.1 += 1;
            Some(self.0.clone())
        }

        fn bytes(&mut self, _: bool) -> Option<Bytes> {
            self.2 += 1;
            Some(Bytes::from_static(MESSAGE))
        }
    }

    fn criteria(text: &str) -> Criteria {
        let frame = format!("a SEARCH {text}");
        let Body::Search(search) = Command::parse(frame.as_bytes(), Limits::default()).unwrap().body else {
            panic!()
        };
        let keyword = |word: &str| word.eq_ignore_ascii_case("$x").then_some(4);
        let ground = Ground {
            charset: search.charset.as_deref().unwrap_or_default(),
            last_sequence: 9,
            last_uid: 90,
            now: 2_000_000_000,
            keyword: &keyword,
        };
        Criteria::new(search.key, &ground)
    }

    /// Whether the message fulfils it, and how often bytes were read.
    async fn search(text: &str) -> (bool, usize) {
        let criteria = criteria(text);
        let record = Record {
            uid: 30,
            modseq: 7,
            createdmodseq: 1,
            internaldate: 1_795_000_000,
            savedate: 1_795_000_000,
            last_updated: 0,
            size: 100,
            header_size: 0,
            guid: [0xab; 20],
            flags: System::SEEN,
            keywords: 4,
            cache: 0,
            annotations: None,
        };
        aside(Duration::ZERO, move |budget| {
            let facts = Facts { sequence: 3, record: &record, system: record.flags, recent: true };
            let mut source = Memory(Arc::new(Structure::parse(MESSAGE)), 0, 0);
            Ok((criteria.fulfils(&facts, &mut source, budget)?, source.2))
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn keys_hold_or_not() {
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
            ("EMAILID Mabababababababababababab", true),
            ("EMAILID Mabc", false),
            ("THREADID Tabc", false),
            ("NOT THREADID Tabc", true),
            ("UNKEYWORD $x", false),
            ("KEYWORD $none", false),
            ("UNKEYWORD $none", true),
            ("NOT (SEEN KEYWORD $x)", false),
            ("NOT (SEEN FLAGGED)", true),
            ("NOT (SEEN UNFLAGGED)", false),
            ("NOT NOT SEEN", true),
            ("SEEN UNSEEN", false),
        ] {
            assert_eq!(search(text).await.0, expected, "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_cheap_decides_first() {
        assert_eq!(search("BODY xyz NOT SEEN").await, (false, 0));
        assert_eq!(search("OR BODY xyz SEEN").await, (true, 0));
    }

    #[tokio::test]
    async fn a_message_is_decoded_once_however_many_keys_look_into_it() {
        let keys: Vec<String> =
            (0..1000).map(|n| format!("NOT BODY none{n} NOT HEADER X-Spam none{n}")).collect();
        assert_eq!(search(&keys.join(" ")).await, (true, 2));
    }

    #[test]
    fn thousands_of_flags_are_one_test() {
        let Test::And(tests) = criteria("SEEN UNFLAGGED KEYWORD $x ".repeat(1600).trim_end()).test else {
            panic!()
        };
        assert_eq!(tests.len(), 1);
    }
}
