//! Whether one message passes the tests, of which each reads no more of it than those before it have left open.

use std::collections::{HashMap, HashSet};

use work::aside::{Budget, Spent};

use super::plan::{Likeness, NAMES, Name, Needle, Test};
use super::{Facts, Source};
use crate::imap::cmd::fetch::email_id;
use mime::{Address, Fields, Structure, header_text};

/// What was read of a message so far.
pub struct Reading<'r> {
    source: &'r mut dyn Source,
    wanted: &'r HashSet<Vec<u8>>,
    /// By [`Likeness`]; none for the many messages that the index decides on.
    texts: Option<Box<[Texts; Likeness::ALL]>>,
    /// What FUZZY makes of it (RFC 6203), if it made anything of it.
    score: Option<u8>,
}

/// Its texts, decoded and in the form in which they are compared.
#[derive(Default)]
struct Texts {
    envelope: [Option<Vec<String>>; NAMES],
    fields: Option<HashMap<Vec<u8>, Vec<String>>>,
    header: Option<String>,
    body: Option<Vec<String>>,
}

impl Test {
    pub fn holds(
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
            Test::Envelope(name, needle) => {
                let found = needle.is_in_any(reading.envelope(*name, needle.likeness)?);
                reading.scored(found, needle, IN_HEADER)
            }
            Test::Header(name, needle) => {
                let values = reading.fields(needle.likeness)?.get(name);
                let found = values.is_some_and(|values| needle.is_in_any(values));
                reading.scored(found, needle, IN_HEADER)
            }
            Test::Body(needle) => {
                let found = needle.is_in_any(reading.body(needle.likeness)?);
                reading.scored(found, needle, IN_BODY)
            }
            Test::Text(needle) => {
                let found = needle.is_in(reading.header(needle.likeness)?);
                if reading.scored(found, needle, IN_HEADER) {
                    return Some(true);
                }
                let found = needle.is_in_any(reading.body(needle.likeness)?);
                reading.scored(found, needle, IN_BODY)
            }
            _ => false,
        })
    }
}

impl<'r> Reading<'r> {
    pub fn new(source: &'r mut dyn Source, wanted: &'r HashSet<Vec<u8>>) -> Reading<'r> {
        Reading { source, wanted, texts: None, score: None }
    }

    /// Relevancy, 1 to 100: of a message in which FUZZY has found nothing, because it did not need to, the highest.
    pub fn score(&self) -> u8 {
        self.score.unwrap_or(IN_HEADER)
    }

    /// Whether it is found; what is fuzzy is counted by where it stands.
    fn scored(&mut self, found: bool, needle: &Needle, score: u8) -> bool {
        if found && needle.is_fuzzy() {
            self.score = self.score.max(Some(score));
        }
        found
    }

    fn envelope(&mut self, name: Name, likeness: Likeness) -> Option<&[String]> {
        let slot = &mut self.texts.get_or_insert_default()[likeness as usize].envelope[name as usize];
        if slot.is_none() {
            let structure = self.source.structure()?;
            *slot = Some(name.texts(&structure, likeness));
        }
        slot.as_deref()
    }

    /// The values of the fields that are looked into, by name. One pass over the header.
    fn fields(&mut self, likeness: Likeness) -> Option<&HashMap<Vec<u8>, Vec<String>>> {
        let slot = &mut self.texts.get_or_insert_default()[likeness as usize].fields;
        if slot.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(false)?;
            let mut fields: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
            for field in Fields::new(structure.root.header.of(&bytes)) {
                let name = field.name.to_ascii_lowercase();
                if self.wanted.contains(&name) {
                    fields.entry(name).or_default().push(likeness.of(&header_text(field.value)));
                }
            }
            *slot = Some(fields);
        }
        slot.as_ref()
    }

    fn header(&mut self, likeness: Likeness) -> Option<&str> {
        let slot = &mut self.texts.get_or_insert_default()[likeness as usize].header;
        if slot.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(true)?;
            *slot = Some(likeness.of(&structure.header_lines(&bytes)));
        }
        slot.as_deref()
    }

    fn body(&mut self, likeness: Likeness) -> Option<&[String]> {
        let slot = &mut self.texts.get_or_insert_default()[likeness as usize].body;
        if slot.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(true)?;
            let mut texts = structure.body_texts(&bytes);
            texts.iter_mut().for_each(|text| *text = likeness.of(text));
            *slot = Some(texts);
        }
        slot.as_deref()
    }
}

impl Name {
    /// What it holds.
    fn texts(self, structure: &Structure, likeness: Likeness) -> Vec<String> {
        let envelope = &structure.envelope;
        let all = |list: &[Address]| list.iter().map(|address| likeness.of(&address_text(address))).collect();
        let text = |raw: &Option<Box<[u8]>>| -> Vec<String> {
            raw.iter().map(|raw| likeness.of(&header_text(raw))).collect()
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

/// What a message is worth that FUZZY has found in its header, and in its text alone.
const IN_HEADER: u8 = 100;
const IN_BODY: u8 = 50;

/// `Name <mailbox@host>`, decoded.
fn address_text(address: &Address) -> String {
    let part = |raw: &Option<Box<[u8]>>| raw.as_deref().map(header_text).unwrap_or_default();
    format!("{} <{}@{}>", part(&address.name), part(&address.mailbox), part(&address.host))
}
