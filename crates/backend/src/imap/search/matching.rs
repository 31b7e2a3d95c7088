//! Whether one message passes the tests, of which each reads no more of it than those before it have left open.

use std::collections::{HashMap, HashSet};

use work::aside::{Budget, Spent};

use super::plan::{NAMES, Name, Test};
use super::{Facts, Source};
use crate::imap::cmd::fetch::email_id;
use mime::{Address, Fields, Structure, header_text};

/// What was read of a message so far, decoded and in lower case.
pub struct Reading<'r> {
    pub source: &'r mut dyn Source,
    pub wanted: &'r HashSet<Vec<u8>>,
    pub envelope: [Option<Vec<String>>; NAMES],
    pub fields: Option<HashMap<Vec<u8>, Vec<String>>>,
    pub header: Option<String>,
    pub body: Option<Vec<String>>,
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

/// `Name <mailbox@host>`, decoded.
fn address_text(address: &Address) -> String {
    let part = |raw: &Option<Box<[u8]>>| raw.as_deref().map(header_text).unwrap_or_default();
    format!("{} <{}@{}>", part(&address.name), part(&address.mailbox), part(&address.host))
}
