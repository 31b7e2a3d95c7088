//! What one session sees of the messages' flags: \Recent is the session's, and \Seen can be the user's alone.

use std::sync::Arc;

use protocol::imap::Flag;
use protocol::imap::flag::print_list;

use store::{Record, Records, Seen, System, View};

/// The marks of a session in its open mailbox. Cheap to clone, for work on another thread.
#[derive(Debug, Clone)]
pub struct Marks {
    /// The UIDs, first and last, that are \Recent in this session, ascending.
    pub recent: Arc<Vec<(u32, u32)>>,
    /// What the user has seen, where that is not the index's to say: the UIDs below each end of a range, ascending.
    pub seen: Option<Arc<Seen>>,
}

impl Marks {
    pub fn is_seen(&self, record: &Record) -> bool {
        match &self.seen {
            Some(seen) => has(seen, record.uid),
            None => record.has(System::SEEN),
        }
    }

    /// The UID of the first message that is not seen.
    pub fn first_unseen(&self, records: &Records) -> Option<u32> {
        let Some(seen) = &self.seen else { return records.first_unseen().map(|record| record.uid) };
        let mut at = 0;
        for &(first, last) in &seen.uids {
            if records.at(at)?.uid < first {
                break;
            }
            at = last.checked_add(1).map_or(records.len(), |next| records.lower_bound(next));
        }
        records.at(at).map(|record| record.uid)
    }

    pub fn is_recent(&self, record: &Record) -> bool {
        is_in(&self.recent, record.uid)
    }

    /// The system flags of a message, as this user has them.
    pub fn system(&self, record: &Record) -> System {
        let others = record.flags.without(System::SEEN);
        if self.is_seen(record) { others.with(System::SEEN) } else { others }
    }

    /// `(\Recent \Flagged \Seen)`: the flags of a message of a view, whose keywords it numbers.
    pub fn flag_list(&self, view: &View, record: &Record) -> Vec<u8> {
        let seen = self.is_seen(record);
        let others = view.flags_of(record).filter(|flag| *flag != Flag::Seen);
        let flags: Vec<Flag> = others.chain(seen.then_some(Flag::Seen)).collect();
        let mut list = Vec::with_capacity(32);
        print_list(&mut list, &flags);
        if self.is_recent(record) {
            let space: &[u8] = if list.len() > 2 { b"\\Recent " } else { b"\\Recent" };
            list.splice(1..1, space.iter().copied());
        }
        list
    }
}

/// Whether a user's own seen state has a message.
pub fn has(seen: &Seen, uid: u32) -> bool {
    is_in(&seen.uids, uid)
}

fn is_in(ranges: &[(u32, u32)], uid: u32) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < uid);
    ranges.get(at).is_some_and(|(first, _)| *first <= uid)
}

/// Marks messages (UIDs ascending) of a mailbox seen or unseen in a user's own state, which then holds none that are gone.
pub fn mark(own: &mut Seen, records: &Records, uids: &[u32], on: bool, now: i64) {
    let mut named = uids.iter().copied().peekable();
    let mut before = own.uids.iter().copied().peekable();
    let mut marked: Vec<(u32, u32)> = Vec::new();
    for uid in records.iter().map(|record| record.uid) {
        while named.next_if(|named| *named < uid).is_some() {}
        while before.next_if(|(_, last)| *last < uid).is_some() {}
        let is_named = named.peek() == Some(&uid);
        let was_seen = before.peek().is_some_and(|(first, _)| *first <= uid);
        if if is_named { on } else { was_seen } {
            match marked.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
                _ => marked.push((uid, uid)),
            }
        }
    }
    own.uids = marked;
    own.lastchange = now;
}
