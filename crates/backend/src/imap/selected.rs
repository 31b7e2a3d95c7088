//! The open mailbox of a session, and what to tell its client of changes.

use std::collections::HashSet;
use std::sync::Arc;

use protocol::acl::Rights;
use protocol::imap::Flag;
use protocol::name::MailboxName;

use super::cmd::append::may_set;
use super::cmd::fetch::write_flags;
use super::numbering::{Numbering, number};
use super::reply::Stop;
use crate::store::{Mailbox, Record, Seen, Store, System, View};

/// The mailbox that a session has open.
pub struct Selected {
    pub name: MailboxName,
    pub mailbox: Arc<Mailbox>,
    pub user: String,
    pub read_only: bool,
    pub rights: Rights,
    pub numbering: Numbering,
    /// UIDs and modification sequences of changes that the client made or was told of already.
    known: Vec<(u32, u64)>,
    /// The UIDs, first and last, that are \Recent in this session, ascending.
    recent: Vec<(u32, u32)>,
    /// Up to this UID it is decided whether messages are \Recent here.
    recent_until: u32,
    /// Opened by EXAMINE, which takes \Recent from nobody.
    examined: bool,
    /// Keywords that the client was told of.
    keywords: usize,
    /// What the user has seen, where that is not the index's to say: the UIDs below each end of a range, ascending.
    seen: Option<Seen>,
}

/// What may be told at the end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    All,
    /// Everything but EXPUNGE.
    WithoutExpunge,
    Nothing,
}

impl Selected {
    /// Opens a mailbox for a user.
    pub async fn open(
        store: &Store,
        name: MailboxName,
        mailbox: Arc<Mailbox>,
        user: &str,
        rights: Rights,
        read_only: bool,
    ) -> Result<Selected, Stop> {
        let changes =
            Rights::SEEN | Rights::WRITE | Rights::INSERT | Rights::DELETE_MESSAGES | Rights::EXPUNGE;
        let examined = read_only;
        let read_only = read_only || !rights.intersects(changes);
        let seen = match store.seen_is_shared(&mailbox, user) {
            true => None,
            false => Some(store.seen(user, &mailbox.uniqueid()).await?),
        };
        let numbering = Numbering::new(mailbox.view());
        let keywords = numbering.view().keywords().len();
        let (user, known, recent, recent_until) = (user.to_owned(), Vec::new(), Vec::new(), 0);
        let mut selected = Selected {
            name,
            mailbox,
            user,
            read_only,
            rights,
            numbering,
            known,
            recent,
            recent_until,
            examined,
            keywords,
            seen,
        };
        selected.find_recent();
        Ok(selected)
    }

    /// Decides which of the messages that the client now knows of are \Recent in this session.
    fn find_recent(&mut self) {
        let last = self.numbering.view().last_uid;
        if last <= self.recent_until {
            return;
        }
        let (before, until) = match &mut self.seen {
            Some(own) => {
                let before = own.recentuid;
                own.recentuid = before.max(last);
                (before, last)
            }
            None if self.examined => (self.mailbox.recentuid(), last),
            None => self.mailbox.claim_recent(),
        };
        let first = before.max(self.recent_until).saturating_add(1);
        self.recent_until = until.max(last);
        if first > until {
            return;
        }
        match self.recent.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(first) => *end = until,
            _ => self.recent.push((first, until)),
        }
    }

    /// Ends the use of the mailbox: what was \Recent here is so to nobody again.
    pub async fn leave(self, store: &Store) {
        if self.examined {
            return;
        }
        let Some(own) = self.seen else { return self.mailbox.keep_recent().await };
        let id = self.mailbox.uniqueid();
        let kept = match store.seen(&self.user, &id).await {
            Ok(now) if now.recentuid < own.recentuid => {
                store.set_seen(&self.user, &id, Seen { recentuid: own.recentuid, ..now }).await
            }
            other => other.map(drop),
        };
        if let Err(error) = kept {
            tracing::debug!(%error, "\\Recent is not kept");
        }
    }

    /// Sleeps until the mailbox changes.
    pub fn changes(&self) -> impl Future<Output = ()> + use<> {
        let mut watch = self.mailbox.watch();
        let view = self.view().clone();
        async move {
            // Never ends when the mailbox is dropped: then there is nothing to hear of.
            if watch.wait_for(|now| !Arc::ptr_eq(now, &view)).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether FETCH of a body marks it.
    pub fn may_mark_seen(&self) -> bool {
        !self.read_only && self.rights.contains(Rights::SEEN)
    }

    /// Whether \Seen is kept for this user alone.
    pub fn has_own_seen(&self) -> bool {
        self.seen.is_some()
    }

    /// Marks messages seen or unseen for this user alone.
    pub async fn change_seen(&mut self, store: &Store, uids: &[u32], on: bool) -> Result<(), Stop> {
        let Some(own) = &mut self.seen else { return Ok(()) };
        mark(own, &self.mailbox.view(), uids, on);
        Ok(store.set_seen(&self.user, &self.mailbox.uniqueid(), own.clone()).await?)
    }

    /// What the client was told last.
    pub fn view(&self) -> &Arc<View> {
        self.numbering.view()
    }

    /// The flags of a message, as this user has them.
    pub fn flags(&self, record: &Record) -> Vec<Flag> {
        self.flags_in(&self.mailbox.view(), record)
    }

    fn flags_in(&self, view: &View, record: &Record) -> Vec<Flag> {
        let seen = self.is_seen(record);
        let others = view.flags_of(record).filter(|flag| *flag != Flag::Seen);
        others.chain(seen.then_some(Flag::Seen)).collect()
    }

    /// `(\Recent \Flagged \Seen)`: the flags of a message of a view, whose keywords it numbers.
    pub fn flag_list(&self, view: &View, record: &Record) -> Vec<u8> {
        let mut list = Vec::with_capacity(32);
        write_flags(&mut list, &self.flags_in(view, record));
        if self.is_recent(record) {
            let space: &[u8] = if list.len() > 2 { b"\\Recent " } else { b"\\Recent" };
            list.splice(1..1, space.iter().copied());
        }
        list
    }

    pub fn is_seen(&self, record: &Record) -> bool {
        match &self.seen {
            Some(seen) => has(seen, record.uid),
            None => record.has(System::SEEN),
        }
    }

    pub fn is_recent(&self, record: &Record) -> bool {
        let at = self.recent.partition_point(|(_, last)| *last < record.uid);
        self.recent.get(at).is_some_and(|(first, _)| *first <= record.uid)
    }

    pub fn recent_count(&self) -> u32 {
        let records = self.view().records();
        let after = |last: u32| last.checked_add(1).map_or(records.len(), |next| records.lower_bound(next));
        number(self.recent.iter().map(|(first, last)| after(*last) - records.lower_bound(*first)).sum())
    }

    /// The flags that a client may meet here, and those that it can set: for SELECT, and when a keyword is new
    /// (RFC 3501 section 7.2.6).
    pub fn write_all_flags(&mut self, out: &mut Vec<u8>, view: &View) {
        self.keywords = view.keywords().len();
        let mut flags: Vec<Flag> = System::ALL.flags().collect();
        flags.extend(view.keywords().iter().map(|word| Flag::Keyword(word.to_string())));
        out.extend_from_slice(b"* FLAGS ");
        write_flags(out, &flags);
        let mut permanent: Vec<String> = Vec::new();
        if !self.read_only {
            let may = flags.iter().filter(|flag| may_set(flag, self.rights));
            permanent = may.map(Flag::to_string).collect();
            if self.rights.contains(Rights::WRITE) {
                permanent.push("\\*".to_owned());
            }
        }
        let line = format!("\r\n* OK [PERMANENTFLAGS ({})] Ok\r\n", permanent.join(" "));
        out.extend_from_slice(line.as_bytes());
    }

    /// Tells of keywords that are new to the client.
    pub fn announce_keywords(&mut self, out: &mut Vec<u8>, view: &View) {
        if view.keywords().len() != self.keywords {
            self.write_all_flags(out, view);
        }
    }

    /// The number of the first message that is not \Seen.
    pub fn first_unseen(&self) -> Option<u32> {
        self.numbering.iter().find(|(_, record)| !self.is_seen(record)).map(|(sequence, _)| sequence)
    }

    /// Writes what changed since the last time.
    pub fn announce(&mut self, announce: Announce, condstore: bool, out: &mut Vec<u8>) {
        let known = std::mem::take(&mut self.known);
        let changes = self.numbering.advance(self.mailbox.view());
        self.find_recent();
        let view = self.view().clone();
        self.announce_keywords(out, &view);
        if announce == Announce::All {
            for sequence in self.numbering.bury() {
                out.extend_from_slice(format!("* {sequence} EXPUNGE\r\n").as_bytes());
            }
        }
        if !changes.new.is_empty() {
            let line = format!("* {} EXISTS\r\n* {} RECENT\r\n", self.numbering.count(), self.recent_count());
            out.extend_from_slice(line.as_bytes());
        }
        for uid in changes.changed {
            let Some(record) = view.get(uid) else { continue };
            if known.contains(&(uid, record.modseq)) {
                continue;
            }
            out.extend_from_slice(format!("* {} FETCH (FLAGS ", self.numbering.sequence(uid)).as_bytes());
            out.extend_from_slice(&self.flag_list(&view, record));
            if condstore {
                out.extend_from_slice(format!(" MODSEQ ({})", record.modseq).as_bytes());
            }
            out.extend_from_slice(format!(" UID {uid})\r\n").as_bytes());
        }
    }

    /// The client need not be told of these changes.
    pub fn knows(&mut self, changes: impl IntoIterator<Item = (u32, u64)>) {
        self.known.extend(changes);
    }

    /// The mailbox is deleted.
    pub fn is_gone(&self) -> bool {
        self.mailbox.view().gone
    }
}

/// Whether a user's own seen state has a message.
pub fn has(seen: &Seen, uid: u32) -> bool {
    let at = seen.uids.partition_point(|(_, last)| *last < uid);
    seen.uids.get(at).is_some_and(|(first, _)| *first <= uid)
}

/// Marks messages of a mailbox seen or unseen in a user's own state, which then holds none that are gone.
pub fn mark(own: &mut Seen, view: &View, uids: &[u32], on: bool) {
    let named: HashSet<u32> = uids.iter().copied().collect();
    let all: Vec<u32> = (view.records().iter())
        .map(|record| record.uid)
        .filter(|uid| if named.contains(uid) { on } else { has(own, *uid) })
        .collect();
    own.uids = ranges(&all);
    own.lastchange = now();
}

fn ranges(uids: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &uid in uids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
            _ => ranges.push((uid, uid)),
        }
    }
    ranges
}

/// Epoch seconds.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
