//! A search as it is asked of each message: its keys in an order in which the cheap ones decide first.

use std::collections::HashSet;

use protocol::imap::command::annotate::Wanted;
use protocol::imap::command::search::Key;
use protocol::imap::set::Ranges;
use protocol::imap::{Date, Flag};

use super::Ground;
use mime::{SearchField, searched, to_utf8};
use store::{Sought, System};

use crate::imap::limits::PROOFS;

/// What must be read of a message, in rising cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    Index,
    /// Of the index too, but there may be many.
    Annotations,
    Structure,
    Header,
    Message,
}

pub enum Test {
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
    Envelope(SearchField, Needle),
    Header(Vec<u8>, Needle),
    Body(Needle),
    Text(Needle),
    Annotation(Note),
    EmailId(String),
    ThreadId(u64),
}

/// Flags that a message must have, and those that it must not.
#[derive(Clone, Copy, Default)]
pub struct Flags {
    on: (System, u128),
    off: (System, u128),
}

/// Text to be found.
pub struct Needle {
    /// As the texts are in which it is looked for ([`mime::searched`]): neither case nor accents nor blanks matter.
    text: String,
    /// By FUZZY (RFC 6203): it is told where it was found, too.
    pub is_fuzzy: bool,
    /// Its number among those of which an index of texts is asked.
    pub asked: Option<usize>,
}

impl Needle {
    fn new(text: &[u8], charset: &[u8], is_fuzzy: bool) -> Needle {
        Needle { text: searched(&to_utf8(text, charset)), is_fuzzy, asked: None }
    }

    /// Has an index asked of it, too, unless that can say nothing of it or is asked of many already.
    fn ask(&mut self, sought: &mut Vec<Sought>) {
        if sought.len() < PROOFS
            && let Some(trigrams) = Sought::new(&self.text)
        {
            self.asked = Some(sought.len());
            sought.push(trigrams);
        }
    }

    pub fn is_in(&self, text: &str) -> bool {
        self.text.is_empty() || text.contains(&self.text)
    }

    pub fn is_in_any(&self, texts: &[String]) -> bool {
        texts.iter().any(|text| self.is_in(text))
    }
}

/// An annotation to be found (RFC 5257 section 4.5).
pub struct Note {
    pub wanted: Wanted,
    /// As values are in which it is looked for ([`folded`]).
    text: Option<String>,
}

impl Note {
    /// Text in another charset is looked for as UTF-8; without one it is bytes.
    fn new(wanted: Wanted, charset: &str) -> Note {
        let text = wanted.text.as_deref().map(|text| match charset.is_empty() {
            true => folded(text),
            false => folded(to_utf8(text, charset.as_bytes()).as_bytes()),
        });
        Note { wanted, text }
    }

    /// Whether a value has the text in it, in any case (RFC 3501 section 6.4.4). As in Cyrus an empty text means an empty value.
    pub fn fits(&self, value: &[u8]) -> bool {
        match self.text.as_deref() {
            None => false,
            Some("") => value.is_empty(),
            Some(text) => folded(value).contains(text),
        }
    }
}

/// Bytes, one character for each, in lower case where they are letters of ASCII: found in time of their length alone.
fn folded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

impl Flags {
    pub fn hold(self, system: System, keywords: u128) -> bool {
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

impl Test {
    pub fn of(key: Key, ground: &Ground<'_>) -> Test {
        Test::like(key, ground, false)
    }

    fn like(key: Key, ground: &Ground<'_>, is_fuzzy: bool) -> Test {
        let of = |key| Test::like(key, ground, is_fuzzy);
        let needle = |text: &[u8]| Needle::new(text, ground.charset.as_bytes(), is_fuzzy);
        let header = |name: &str, text: &[u8]| match SearchField::of_name(name) {
            // An empty text asks whether the field is there at all.
            Some(field) if !text.is_empty() => Test::Envelope(field, needle(text)),
            _ => Test::Header(name.to_ascii_lowercase().into_bytes(), needle(text)),
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
            Key::Fuzzy(key) => Test::like(*key, ground, true),
            Key::Sequence(set) | Key::Uid(set) if set.is_saved() => Test::Uid(ground.saved.clone()),
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
            Key::Body(text) => Test::Body(needle(&text)),
            Key::Text(text) => Test::Text(needle(&text)),
            Key::Annotation(wanted) => Test::Annotation(Note::new(wanted, ground.charset)),
            Key::EmailId(id) => Test::EmailId(id),
            Key::ThreadId(id) => thread(&id).map_or(Test::Nothing, Test::ThreadId),
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

    pub fn order(&mut self) {
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
            Test::Annotation(_) => Needs::Annotations,
            Test::Sent(..) | Test::Envelope(..) | Test::ThreadId(_) => Needs::Structure,
            Test::Header(..) => Needs::Header,
            Test::Body(_) | Test::Text(_) => Needs::Message,
            _ => Needs::Index,
        }
    }

    /// The header fields that it looks into.
    pub fn fields(&self, fields: &mut HashSet<Vec<u8>>) {
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
            Test::Envelope(field, _) => {
                fields.insert(field.name().as_bytes().to_vec());
            }
            _ => {}
        }
    }
}

impl Test {
    /// Numbers the texts of which an index can prove that a message has them nowhere.
    pub fn ask(&mut self, sought: &mut Vec<Sought>) {
        match self {
            Test::And(tests) => tests.iter_mut().for_each(|test| test.ask(sought)),
            Test::Or(a, b) => {
                a.ask(sought);
                b.ask(sought);
            }
            Test::Not(test) => test.ask(sought),
            Test::Envelope(_, needle) | Test::Header(_, needle) | Test::Body(needle) | Test::Text(needle) => {
                needle.ask(sought)
            }
            _ => {}
        }
    }
}

/// What FETCH prints as `T` and 16 digits. An id is told in one way only.
fn thread(id: &str) -> Option<u64> {
    let thread = u64::from_str_radix(id.strip_prefix('T')?, 16).ok()?;
    (id == format!("T{thread:016x}")).then_some(thread)
}

/// The last day that is before a date.
fn before(date: Date) -> i64 {
    date.days() - 1
}
