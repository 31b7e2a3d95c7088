//! SEARCH and UID SEARCH, with ESEARCH's answer (RFC 4731): see [`crate::imap::search`] for the keys.

use std::sync::Arc;

use bytes::Bytes;
use protocol::imap::command::search::{ESearch, Returns, Search, print_search};
use protocol::imap::{Refusal, Reply, Tag};
use work::aside::{Budget, Spent};

use crate::imap::marks::Marks;
use crate::imap::numbering::Numbering;
use crate::imap::reply::Outcome;
use crate::imap::search::{Criteria, Facts, Ground, Source};
use crate::imap::selected::now;
use crate::imap::session::Session;
use mime::{Structure, knows_charset};
use store::Mailbox;

pub async fn run(session: &mut Session, tag: &Tag, search: Search) -> Outcome {
    let charset = search.charset.as_deref().unwrap_or_default();
    if !knows_charset(charset.as_bytes()) {
        return Err(Refusal::BadCharset.into());
    }
    if search.charset.is_some() && session.manner().utf8 {
        return Err(Refusal::NoCharset.into());
    }
    // To IMAP4rev2 SEARCH is what RETURN (ALL) is to others.
    let implied = session.manner().esearch.then(|| Returns { all: true, ..Returns::default() });
    let asked = Asked {
        tag: tag.clone(),
        uid: search.uid,
        returns: search.returns.or(implied),
        modseqs: search.key.names_modseq(),
    };
    if asked.modseqs {
        session.enable_condstore();
    }
    let selected = session.selected()?;
    let mailbox = selected.mailbox.clone();
    let (numbering, marks) = (selected.numbering.clone(), selected.marks.clone());
    let work = move |budget: &Budget| {
        let view = mailbox.view();
        let ground = Ground {
            charset: search.charset.as_deref().unwrap_or_default(),
            last_sequence: numbering.count(),
            last_uid: numbering.last_uid(),
            now: now(),
            keyword: &|word| view.keyword_bit(word),
        };
        let criteria = Criteria::new(search.key, &ground);
        Ok(asked.answer(&evaluate(&criteria, &numbering, &marks, &mailbox, budget)?))
    };
    let answer = session.aside(work).await?;
    session.conn.write_through(&answer).await?;
    Ok(Reply::completed())
}

/// What the answer has to say.
struct Asked {
    tag: Tag,
    uid: bool,
    returns: Option<Returns>,
    modseqs: bool,
}

/// A message that was found.
struct Found {
    sequence: u32,
    uid: u32,
    modseq: u64,
}

impl Asked {
    /// The untagged line.
    fn answer(&self, found: &[Found]) -> Vec<u8> {
        let mut out = Vec::new();
        match self.returns {
            Some(returns) => self.esearch(returns, found).print(&mut out),
            None => {
                let modseq = found.iter().map(|found| found.modseq).max().filter(|_| self.modseqs);
                print_search(&mut out, found.iter().map(|found| self.number(found)), modseq);
            }
        }
        out
    }

    fn number(&self, found: &Found) -> u32 {
        if self.uid { found.uid } else { found.sequence }
    }

    fn esearch(&self, returns: Returns, found: &[Found]) -> ESearch<'_> {
        // RFC 4731 section 3.2: of what is returned; with MIN or MAX alone, of those messages.
        let all = returns.all || returns.count;
        let told = found
            .iter()
            .enumerate()
            .filter(|(at, _)| all || (returns.min && *at == 0) || (returns.max && *at + 1 == found.len()));
        let number = |found: &Found| self.number(found);
        ESearch {
            tag: &self.tag,
            uid: self.uid,
            min: found.first().filter(|_| returns.min).map(number),
            max: found.last().filter(|_| returns.max).map(number),
            all: (returns.all && !found.is_empty()).then(|| found.iter().map(number).collect()),
            count: returns.count.then_some(found.len()),
            modseq: told.map(|(_, found)| found.modseq).max().filter(|_| self.modseqs),
        }
    }
}

fn evaluate(
    criteria: &Criteria,
    numbering: &Numbering,
    marks: &Marks,
    mailbox: &Arc<Mailbox>,
    budget: &Budget,
) -> Result<Vec<Found>, Spent> {
    let mut found = Vec::new();
    for (sequence, record) in numbering.iter() {
        budget.check()?;
        let facts = Facts { sequence, record, system: marks.system(record), recent: marks.is_recent(record) };
        let mut stored =
            Stored { mailbox, uid: record.uid, structure: None, bytes: Bytes::new(), whole: false };
        if criteria.fulfils(&facts, &mut stored, budget)? {
            found.push(Found { sequence, uid: record.uid, modseq: record.modseq });
        }
    }
    Ok(found)
}

/// A message in the store, read as far as a search needs it.
struct Stored<'m> {
    mailbox: &'m Arc<Mailbox>,
    uid: u32,
    structure: Option<Arc<Structure>>,
    bytes: Bytes,
    whole: bool,
}

impl Source for Stored<'_> {
    fn structure(&mut self) -> Option<Arc<Structure>> {
        if self.structure.is_none() {
            self.structure = self.mailbox.structure_blocking(self.uid).ok();
        }
        self.structure.clone()
    }

    fn bytes(&mut self, whole: bool) -> Option<Bytes> {
        if self.bytes.is_empty() || (whole && !self.whole) {
            let structure = self.structure()?;
            let size = if whole { structure.size } else { structure.header_size() };
            let range = 0..u64::from(size);
            (self.bytes, self.whole) = (self.mailbox.read_blocking(self.uid, range).ok()?, whole);
        }
        Some(self.bytes.clone())
    }
}
