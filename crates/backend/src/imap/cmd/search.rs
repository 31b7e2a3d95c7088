//! SEARCH and UID SEARCH, with ESEARCH's answer (RFC 4731): see [`crate::imap::search`] for the keys.

use std::sync::Arc;

use bytes::Bytes;
use protocol::imap::command::search::{Returns, Search};
use protocol::imap::{Flag, Tag, UidSet};

use super::fetch::email_id;
use crate::imap::numbering::Target;
use crate::imap::reply::{Outcome, Reply, Stop};
use crate::imap::search::{Criteria, Facts, Needs, Source};
use crate::imap::selected::now;
use crate::imap::session::Session;
use crate::mime::{Structure, knows_charset};
use crate::store::Mailbox;

pub async fn run(session: &mut Session, tag: &Tag, search: Search) -> Outcome {
    let charset = search.charset.as_deref().unwrap_or_default();
    if !knows_charset(charset.as_bytes()) {
        return Ok(Reply::no("Unsupported character set").code("BADCHARSET (US-ASCII UTF-8)"));
    }
    let modseqs = search.key.names_modseq();
    session.condstore |= modseqs;
    let selected = session.selected()?;
    let criteria =
        Criteria::new(search.key, charset, selected.numbering.count(), selected.numbering.last_uid(), now());
    let judged: Vec<Judged> = (selected.numbering.all().into_iter())
        .map(|target| Judged {
            recent: selected.is_recent(&target.record),
            flags: selected.flags(&target.record),
            target,
        })
        .collect();
    let mailbox = selected.mailbox.clone();
    let found = if criteria.needs() == Needs::Index {
        evaluate(&criteria, judged, &mailbox)
    } else {
        let work = move || evaluate(&criteria, judged, &mailbox);
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "search failed");
            Stop::from(Reply::no("Internal error").code("SERVERBUG"))
        })?
    };
    let number = |target: &Target| if search.uid { target.record.uid } else { target.sequence };
    let highest = found.iter().map(|target| target.record.modseq).max().filter(|_| modseqs);
    match search.returns {
        Some(returns) => esearch(session, tag, search.uid, returns, &found, modseqs),
        None => {
            let out = session.conn.out();
            out.extend_from_slice(b"* SEARCH");
            for target in &found {
                out.extend_from_slice(format!(" {}", number(target)).as_bytes());
            }
            if let Some(modseq) = highest {
                out.extend_from_slice(format!(" (MODSEQ {modseq})").as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(Reply::completed())
}

fn esearch(session: &mut Session, tag: &Tag, uid: bool, returns: Returns, found: &[Target], modseqs: bool) {
    let number = |target: &Target| if uid { target.record.uid } else { target.sequence };
    let mut line = format!("* ESEARCH (TAG \"{tag}\")");
    if uid {
        line.push_str(" UID");
    }
    if let (Some(first), Some(last)) = (found.first(), found.last()) {
        if returns.min {
            line.push_str(&format!(" MIN {}", number(first)));
        }
        if returns.max {
            line.push_str(&format!(" MAX {}", number(last)));
        }
        if returns.all {
            line.push_str(&format!(" ALL {}", found.iter().map(number).collect::<UidSet>()));
        }
    }
    if returns.count {
        line.push_str(&format!(" COUNT {}", found.len()));
    }
    // RFC 4731 section 3.2: of what is returned; with MIN or MAX alone, of those messages.
    let all = returns.all || returns.count;
    let told = found
        .iter()
        .enumerate()
        .filter(|(at, _)| all || (returns.min && *at == 0) || (returns.max && *at + 1 == found.len()));
    if let Some(modseq) = told.map(|(_, target)| target.record.modseq).max().filter(|_| modseqs) {
        line.push_str(&format!(" MODSEQ {modseq}"));
    }
    session.conn.put_line(line);
}

struct Judged {
    target: Target,
    flags: Vec<Flag>,
    recent: bool,
}

fn evaluate(criteria: &Criteria, judged: Vec<Judged>, mailbox: &Arc<Mailbox>) -> Vec<Target> {
    let fulfils = |judged: &Judged| {
        let record = &judged.target.record;
        let has = |flag: &Flag| match flag {
            Flag::Keyword(word) => judged
                .flags
                .iter()
                .any(|flag| matches!(flag, Flag::Keyword(own) if own.eq_ignore_ascii_case(word))),
            system => judged.flags.contains(system),
        };
        let facts = Facts {
            sequence: judged.target.sequence,
            uid: record.uid,
            size: record.size,
            modseq: record.modseq,
            internal_date: record.internaldate,
            save_date: Some(record.savedate),
            recent: judged.recent,
            email_id: &email_id(record),
            has_flag: &has,
        };
        let mut stored =
            Stored { mailbox, target: &judged.target, structure: None, bytes: Bytes::new(), whole: false };
        criteria.fulfils(&facts, &mut stored)
    };
    judged.into_iter().filter(fulfils).map(|judged| judged.target).collect()
}

/// A message in the store, read as far as a search needs it.
struct Stored<'m> {
    mailbox: &'m Arc<Mailbox>,
    target: &'m Target,
    structure: Option<Arc<Structure>>,
    bytes: Bytes,
    whole: bool,
}

impl Source for Stored<'_> {
    fn structure(&mut self) -> Option<Arc<Structure>> {
        if self.structure.is_none() {
            self.structure = self.mailbox.structure_blocking(self.target.record.uid).ok();
        }
        self.structure.clone()
    }

    fn bytes(&mut self, whole: bool) -> Option<&[u8]> {
        if self.bytes.is_empty() || (whole && !self.whole) {
            let structure = self.structure()?;
            let size = if whole { structure.size } else { structure.header_size() };
            let range = 0..u64::from(size);
            (self.bytes, self.whole) =
                (self.mailbox.read_blocking(self.target.record.uid, range).ok()?, whole);
        }
        Some(&self.bytes)
    }
}
