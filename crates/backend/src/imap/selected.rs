//! The open mailbox of a session, and what to tell its client of changes.

use std::collections::HashSet;
use std::sync::Arc;

use protocol::acl::Rights;
use protocol::imap::Flag;
use protocol::name::MailboxName;

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
    /// Messages from this UID on are \Recent in this session.
    recent_from: u32,
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
        let read_only = read_only || !rights.intersects(changes);
        let mut seen = None;
        let view = mailbox.view();
        let mut recent_from = view.recentuid.saturating_add(1);
        if !store.seen_is_shared(&mailbox, user) {
            let mut own = store.seen(user, &mailbox.uniqueid()).await?;
            recent_from = own.recentuid.saturating_add(1);
            if !read_only && rights.contains(Rights::SEEN) && own.recentuid < view.last_uid {
                own.recentuid = view.last_uid;
                store.set_seen(user, &mailbox.uniqueid(), own.clone()).await?;
            }
            seen = Some(own);
        } else if !read_only {
            recent_from = mailbox.claim_recent().await.saturating_add(1);
        }
        let numbering = Numbering::new(mailbox.view());
        let (user, known) = (user.to_owned(), Vec::new());
        Ok(Selected { name, mailbox, user, read_only, rights, numbering, known, recent_from, seen })
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
        let named: HashSet<u32> = uids.iter().copied().collect();
        let view = self.numbering.view();
        let all: Vec<u32> = (view.records().iter())
            .map(|record| record.uid)
            .filter(|uid| if named.contains(uid) { on } else { has(own, *uid) })
            .collect();
        own.uids = ranges(&all);
        own.recentuid = own.recentuid.max(view.last_uid);
        own.lastchange = now();
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

    /// The flags of a message of a view, whose keywords it numbers.
    pub fn flags_in(&self, view: &View, record: &Record) -> Vec<Flag> {
        let seen = self.is_seen(record);
        let others = view.flags_of(record).filter(|flag| *flag != Flag::Seen);
        others.chain(seen.then_some(Flag::Seen)).collect()
    }

    /// Every flag that may be met here, for SELECT.
    pub fn all_flags(&self) -> Vec<Flag> {
        let mut flags: Vec<Flag> = System::ALL.flags().collect();
        flags.extend(self.view().keywords().iter().map(|word| Flag::Keyword(word.to_string())));
        flags
    }

    pub fn is_seen(&self, record: &Record) -> bool {
        match &self.seen {
            Some(seen) => has(seen, record.uid),
            None => record.has(System::SEEN),
        }
    }

    pub fn is_recent(&self, record: &Record) -> bool {
        record.uid >= self.recent_from
    }

    pub fn recent_count(&self) -> u32 {
        let records = self.view().records();
        number(records.len() - records.lower_bound(self.recent_from))
    }

    /// The number of the first message that is not \Seen.
    pub fn first_unseen(&self) -> Option<u32> {
        self.numbering.iter().find(|(_, record)| !self.is_seen(record)).map(|(sequence, _)| sequence)
    }

    /// Writes what changed since the last time.
    pub fn announce(&mut self, announce: Announce, condstore: bool, out: &mut Vec<u8>) {
        let known = std::mem::take(&mut self.known);
        let changes = self.numbering.advance(self.mailbox.view());
        if announce == Announce::All {
            for sequence in self.numbering.bury() {
                out.extend_from_slice(format!("* {sequence} EXPUNGE\r\n").as_bytes());
            }
        }
        if !changes.new.is_empty() {
            let line = format!("* {} EXISTS\r\n* {} RECENT\r\n", self.numbering.count(), self.recent_count());
            out.extend_from_slice(line.as_bytes());
        }
        let view = self.view().clone();
        for uid in changes.changed {
            let Some(record) = view.get(uid) else { continue };
            if known.contains(&(uid, record.modseq)) {
                continue;
            }
            out.extend_from_slice(format!("* {} FETCH (FLAGS ", self.numbering.sequence(uid)).as_bytes());
            write_flags(out, &self.flags_in(&view, record));
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
