//! What changed in a mailbox, as the destination is told of it.

use protocol::imap::UidSet;
use protocol::sync::{Annotation, FormerName, Gone, Mailbox, Ours, Record};
use store::{Setting, Snapshot};

use crate::transit::convert;

/// A state of a mailbox, of which all is known that came later.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    pub last_uid: u32,
    pub modseq: u64,
}

/// Since when the destination is told what changed.
pub enum Since {
    /// It has nothing.
    Ever,
    Snapshot(Snapshot),
    Base(Base),
}

/// The mailbox as it is now, with all its messages, or those that changed since an earlier moment. None: its name or id is none that one
/// can tell.
pub fn mailbox(now: &Snapshot, since: &Since, partition: &str) -> Option<Mailbox> {
    let whole = matches!(since, Since::Ever);
    let mailbox = convert::mailbox(now, partition, whole)?;
    let header = now.header();
    let in_header = header.annotations.iter().flat_map(|(entry, values)| {
        values.iter().map(|(user, value)| Annotation {
            entry: entry.clone(),
            user: user.clone(),
            value: Some(value.clone().into_bytes()),
            modseq: 0,
        })
    });
    let told = match since {
        Since::Ever => 0,
        Since::Snapshot(earlier) => earlier.numbers().highestmodseq,
        Since::Base(base) => base.modseq,
    };
    let gone = now.tombstones().iter().filter(|run| whole || run.modseq > told);
    let mut ours = Ours {
        whole,
        header: in_header.collect(),
        mtime: header.mtime,
        gone: gone
            .map(|run| Gone { first: run.first, last: run.last, modseq: run.modseq, time: run.time })
            .collect(),
        forgotten: Vec::new(),
        history: header.name_history.iter().map(former).collect(),
    };
    let records = match since {
        Since::Ever => mailbox.records.clone().unwrap_or_default(),
        Since::Base(base) => {
            ours.forgotten = forgotten(now, base.last_uid);
            changed(now, base.modseq)
        }
        Since::Snapshot(earlier) => {
            let change = now.since(earlier);
            ours.forgotten = change.gone.iter().copied().collect::<UidSet>().iter().collect();
            let live = change.records.iter().map(|record| convert::record(now, record, false));
            let expunged = change.expunged.iter().map(|record| convert::record(now, record, true));
            let mut records: Vec<Record> = live.chain(expunged).collect();
            records.sort_by_key(|record| record.uid);
            records
        }
    };
    let settings = now.annotations().into_iter();
    let annotations =
        settings.map(|Setting { entry, user, value }| Annotation { entry, user, value, modseq: 0 });
    Some(Mailbox { annotations: annotations.collect(), records: Some(records), ours: Some(ours), ..mailbox })
}

/// Messages that changed after a modification sequence, by UID.
fn changed(now: &Snapshot, modseq: u64) -> Vec<Record> {
    let live = now.records().changed_since(modseq).map(|record| convert::record(now, record, false));
    let expunged = now.expunged().changed_since(modseq).map(|record| convert::record(now, record, true));
    let mut records: Vec<Record> = live.chain(expunged).collect();
    records.sort_by_key(|record| record.uid);
    records
}

/// UIDs of which nothing is kept any more.
fn forgotten(now: &Snapshot, last_uid: u32) -> Vec<(u32, u32)> {
    let mut kept: Vec<u32> =
        now.records().iter().chain(now.expunged().iter()).map(|record| record.uid).collect();
    kept.sort_unstable();
    let (mut gone, mut next) = (Vec::new(), 1);
    for uid in kept.into_iter().take_while(|uid| *uid <= last_uid) {
        if next < uid {
            gone.push((next, uid - 1));
        }
        next = uid.saturating_add(1);
    }
    if next <= last_uid {
        gone.push((next, last_uid));
    }
    gone
}

/// The same in commands of so many messages at most: the first one says what is not there any more.
pub fn in_parts(whole: Mailbox, part: usize) -> Vec<Mailbox> {
    let records = whole.records.clone().unwrap_or_default();
    if records.len() <= part {
        return vec![whole];
    }
    let parts = records.chunks(part).enumerate().map(|(n, records)| {
        let mut mailbox = Mailbox { records: Some(records.to_vec()), ..whole.clone() };
        if n > 0
            && let Some(ours) = &mut mailbox.ours
        {
            ours.whole = false;
        }
        mailbox
    });
    parts.collect()
}

fn former(former: &store::FormerName) -> FormerName {
    FormerName {
        name: former.name.clone(),
        mtime: former.mtime,
        uidvalidity: former.uidvalidity,
        createdmodseq: former.createdmodseq,
        foldermodseq: former.foldermodseq,
        kind: former.mbtype.clone(),
        partition: former.partition.clone(),
    }
}
