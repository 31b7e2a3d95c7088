//! SORT, THREAD and their UID forms: RFC 5256, RFC 5267 (ESORT), RFC 5957 (SORT=DISPLAY).

use std::sync::Arc;

use protocol::imap::command::sort::{Sort, Step, Thread, print_thread};
use protocol::imap::{Refusal, Reply, Tag};
use work::aside::{Budget, Spent};

use super::search::{place, tell};
use crate::imap::aside::Progress;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::search::answer::{Answer, Asked};
use crate::imap::search::scan::{Found, Reach, Scan};
use crate::imap::session::Session;
use crate::imap::sort::keys::{Keys, Kind, NONE, Preparation, Threads};
use crate::imap::sort::{kinds, of_records, order};
use crate::imap::thread::{Mail, thread};
use protocol::imap::command::search::Key;
use store::View;

pub async fn sort(session: &mut Session, tag: &Tag, sort: Sort) -> Outcome {
    let save = sort.returns.is_some_and(|returns| returns.save);
    let modseqs = sort.key.names_modseq();
    let fuzzy = sort.key.is_fuzzy();
    let asked =
        Asked { tag: tag.clone(), uid: sort.uid, returns: sort.returns, modseqs, fuzzy, sorted: true };
    let criteria = sort.criteria;
    let wanted = kinds(&criteria);
    let user = session.user()?.id().to_owned();
    let finish = move |found: &mut Vec<Found>, view: &View, keys: &Keys| {
        order(found, &criteria, view, keys, &user);
        asked.answer(found)
    };
    let found =
        seek(session, tag, Seek { charset: sort.charset, key: sort.key, kinds: wanted }, finish).await;
    tell(session, found, save).await
}

pub async fn threads(session: &mut Session, tag: &Tag, asked: Thread) -> Outcome {
    let Thread { uid, algorithm, charset, key } = asked;
    let finish = move |found: &mut Vec<Found>, view: &View, keys: &Keys| {
        let mut lines = Vec::new();
        let mail = Threaded::of(found, view, keys);
        let numbered = thread(&mail, algorithm).into_iter().map(|step| match step {
            Step::Message(at) => {
                let found = found.get(at as usize);
                Step::Message(found.map_or(0, |found| if uid { found.uid } else { found.sequence }))
            }
            other => other,
        });
        print_thread(&mut lines, numbered);
        Answer { lines, saved: None }
    };
    let wanted = Seek { charset, key, kinds: vec![Kind::Sent, Kind::Threads] };
    let answer = seek(session, tag, wanted, finish).await?;
    session.conn.write_through(&answer.lines).await?;
    Ok(Reply::completed())
}

/// What is searched for, and which keys are needed of it.
struct Seek {
    charset: String,
    key: Key,
    kinds: Vec<Kind>,
}

/// Searches, prepares keys of what was found, and lets `finish` make an answer of both.
async fn seek(
    session: &mut Session,
    tag: &Tag,
    wanted: Seek,
    finish: impl Fn(&mut Vec<Found>, &View, &Keys) -> Answer + Send + 'static,
) -> Result<Answer, Stop> {
    let Seek { charset, key, kinds } = wanted;
    if session.manner().utf8 && !charset.eq_ignore_ascii_case("UTF-8") {
        return Err(Refusal::NoCharset.into());
    }
    let place = place(session, &charset, key.names_modseq())?;
    let shared = session.server.shared.clone();
    let keys = shared.prepared.get(&place.mailbox);
    let mut preparation = Preparation::new(place.mailbox.clone(), kinds.clone(), keys);
    let progress = Arc::<Progress>::default();
    let (mut scan, mut key, told, mailbox) = (None, Some(key), progress.clone(), place.mailbox.clone());
    let work = move |budget: &Budget| -> Result<Option<(Answer, Option<Keys>)>, Spent> {
        if let Some(key) = key.take() {
            scan = Some(Scan::new(place.clone(), key, &charset, Reach::All, told.clone()));
        }
        let Some(scan) = scan.as_mut() else { return Ok(None) };
        if !scan.slice(budget)? {
            return Ok(None);
        }
        let view = place.numbering.view();
        let Some((keys, is_new)) = preparation.slice(&scan.found, view, budget)? else { return Ok(None) };
        let answer = finish(&mut scan.found, view, &keys);
        Ok(Some((answer, is_new.then_some(keys))))
    };
    let (answer, new) = session.scan(tag, &progress, work).await?;
    if let Some(keys) = new {
        shared.prepared.put(&mailbox, &kinds, &keys);
    }
    Ok(answer)
}

/// What was found, as it is threaded.
struct Threaded {
    threads: Arc<Threads>,
    /// Of each message that was found, in the column.
    places: Vec<u32>,
    sent: Vec<i64>,
    arrived: Vec<i64>,
}

impl Threaded {
    fn of(found: &[Found], view: &View, keys: &Keys) -> Threaded {
        let (threads, places) =
            keys.threads(found).unwrap_or_else(|| (Arc::default(), vec![NONE; found.len()]));
        Threaded {
            threads,
            places,
            sent: keys.sent(found).collect(),
            arrived: of_records(found, view, |record| record.internaldate),
        }
    }

    fn place(&self, at: u32) -> usize {
        self.places.get(at as usize).copied().unwrap_or(NONE) as usize
    }
}

impl Mail for Threaded {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn ids(&self) -> usize {
        self.threads.ids()
    }

    fn id(&self, at: u32) -> Option<u32> {
        self.threads.own.get(self.place(at)).copied().filter(|id| *id != NONE)
    }

    fn references(&self, at: u32) -> &[u32] {
        self.threads.references(self.places.get(at as usize).copied().unwrap_or(NONE))
    }

    fn sent(&self, at: u32) -> i64 {
        self.sent.get(at as usize).copied().unwrap_or(0)
    }

    fn arrived(&self, at: u32) -> i64 {
        self.arrived.get(at as usize).copied().unwrap_or(0)
    }

    fn subject(&self, at: u32) -> Option<u64> {
        self.threads.subjects.get(self.place(at)).copied().filter(|subject| *subject != 0)
    }

    fn is_reply(&self, at: u32) -> bool {
        self.threads.replies.get(self.place(at)).copied().unwrap_or(false)
    }
}
