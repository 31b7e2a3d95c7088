//! Whether one message passes the tests, of which each reads no more of it than those before it have left open.

use std::collections::{HashMap, HashSet};

use work::aside::{Budget, Spent};

use super::plan::{Needle, Note, Test};
use super::{Facts, Source};
use crate::imap::cmd::fetch::email_id;
use mime::{Cached, Fields, SearchField, field_text, searched};
use store::{Record, SHARED};

/// What was read of a message so far.
pub struct Reading<'r> {
    source: &'r mut dyn Source,
    wanted: &'r HashSet<Vec<u8>>,
    /// None for the many messages that the index decides on.
    texts: Option<Box<Texts>>,
    /// What FUZZY makes of it (RFC 6203), if it made anything of it.
    score: Option<u8>,
}

/// Its texts, decoded and in the form in which they are compared.
#[derive(Default)]
struct Texts {
    /// What the cache keeps of it, once it was asked.
    cached: Option<Option<Cached>>,
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
            Test::Annotation(note) => annotated(record, facts.user, note, budget)?,
            Test::Sent(..)
            | Test::Envelope(..)
            | Test::Header(..)
            | Test::Body(_)
            | Test::Text(_)
            | Test::ThreadId(_) => {
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
            Test::ThreadId(thread) => reading.thread(facts.record)? == *thread,
            // A needle in a field is one in the header, which is what the index knows.
            Test::Envelope(_, needle) | Test::Header(_, needle) | Test::Body(needle) | Test::Text(needle)
                if reading.lacks(needle) =>
            {
                false
            }
            Test::Envelope(field, needle) => {
                let found = reading.field_has(*field, needle)?;
                reading.scored(found, needle, IN_HEADER)
            }
            Test::Header(name, needle) => {
                let values = reading.fields()?.get(name);
                let found = values.is_some_and(|values| needle.is_in_any(values));
                reading.scored(found, needle, IN_HEADER)
            }
            Test::Body(needle) => {
                let found = needle.is_in_any(reading.body()?);
                reading.scored(found, needle, IN_BODY)
            }
            Test::Text(needle) => {
                let found = needle.is_in(reading.header()?);
                if reading.scored(found, needle, IN_HEADER) {
                    return Some(true);
                }
                let found = needle.is_in_any(reading.body()?);
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
        if found && needle.is_fuzzy {
            self.score = self.score.max(Some(score));
        }
        found
    }

    /// Whether it is proven, without a look at the message, that a text is nowhere in it.
    fn lacks(&mut self, needle: &Needle) -> bool {
        needle.asked.is_some_and(|which| self.source.lacks(which))
    }

    /// The thread that the message is in, by the cache where that has its keys.
    fn thread(&mut self, record: &Record) -> Option<u64> {
        let cached = &mut self.texts.get_or_insert_default().cached;
        let cached = cached.get_or_insert_with(|| self.source.cached());
        if let Some(keys) = cached.as_ref().and_then(Cached::thread_keys) {
            return Some(record.thread(Some(keys)));
        }
        let (structure, bytes) = (self.source.structure()?, self.source.bytes(false)?);
        let whole = Cached::new(&structure, &bytes);
        Some(record.thread(whole.thread_keys()))
    }

    /// Whether a text is in a field, by the cache where that has it.
    fn field_has(&mut self, field: SearchField, needle: &Needle) -> Option<bool> {
        let cached = &mut self.texts.get_or_insert_default().cached;
        let cached = cached.get_or_insert_with(|| self.source.cached());
        if let Some(text) = cached.as_ref().and_then(|cached| cached.searched(field)) {
            return Some(needle.is_in(text));
        }
        let Some(values) = self.fields()?.get(field.name().as_bytes()) else { return Some(false) };
        Some(match field.last_counts() {
            true => values.last().is_some_and(|value| needle.is_in(value)),
            false => needle.is_in_any(values),
        })
    }

    /// The values of the fields that are looked into, by name. One pass over the header.
    fn fields(&mut self) -> Option<&HashMap<Vec<u8>, Vec<String>>> {
        let slot = &mut self.texts.get_or_insert_default().fields;
        if slot.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(false)?;
            let mut fields: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
            for field in Fields::new(structure.root.header.of(&bytes)) {
                let name = field.name.to_ascii_lowercase();
                if self.wanted.contains(&name) {
                    fields.entry(name).or_default().push(searched(&field_text(field.value)));
                }
            }
            *slot = Some(fields);
        }
        slot.as_ref()
    }

    fn header(&mut self) -> Option<&str> {
        let slot = &mut self.texts.get_or_insert_default().header;
        if slot.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(true)?;
            *slot = Some(searched(&structure.header_lines(&bytes)));
        }
        slot.as_deref()
    }

    fn body(&mut self) -> Option<&[String]> {
        let slot = &mut self.texts.get_or_insert_default().body;
        if slot.is_none() {
            let structure = self.source.structure()?;
            let bytes = self.source.bytes(true)?;
            let mut texts = structure.body_texts(&bytes);
            texts.iter_mut().for_each(|text| *text = searched(text));
            *slot = Some(texts);
        }
        slot.as_deref()
    }
}

/// Whether a message has an annotation that is searched for, or, where none is, no annotation of that name.
fn annotated(record: &Record, user: &str, note: &Note, budget: &Budget) -> Result<bool, Spent> {
    let wanted = &note.wanted;
    for annotation in record.annotations.iter().flat_map(|all| all.iter()) {
        budget.check()?;
        let private = annotation.user != SHARED;
        if (private && annotation.user != user) || !wanted.means(&annotation.entry, private) {
            continue;
        }
        if wanted.text.is_none() {
            return Ok(false);
        }
        if note.fits(&annotation.value) {
            return Ok(true);
        }
    }
    Ok(wanted.text.is_none())
}

/// What a message is worth that FUZZY has found in its header, and in its text alone.
const IN_HEADER: u8 = 100;
const IN_BODY: u8 = 50;
