//! What changed in a mailbox, as the destination is told of it.

use protocol::imap::UidSet;
use protocol::sync::{Annotation, FormerName, Gone, Mailbox, Ours, Record};
use store::{Setting, Snapshot};

use crate::transit::convert;

/// The mailbox as it is now, with all its messages, or those that changed since an earlier moment. None: its name or id is none that one
/// can tell.
pub fn mailbox(now: &Snapshot, earlier: Option<&Snapshot>, partition: &str) -> Option<Mailbox> {
    let mailbox = convert::mailbox(now, partition, earlier.is_none())?;
    let header = now.header();
    let in_header = header.annotations.iter().flat_map(|(entry, values)| {
        values.iter().map(|(user, value)| Annotation {
            entry: entry.clone(),
            user: user.clone(),
            value: Some(value.clone().into_bytes()),
            modseq: 0,
        })
    });
    let told = earlier.map_or(0, |earlier| earlier.numbers().highestmodseq);
    let gone = now.tombstones().iter().filter(|run| earlier.is_none() || run.modseq > told);
    let mut ours = Ours {
        whole: earlier.is_none(),
        header: in_header.collect(),
        mtime: header.mtime,
        gone: gone
            .map(|run| Gone { first: run.first, last: run.last, modseq: run.modseq, time: run.time })
            .collect(),
        forgotten: Vec::new(),
        history: header.name_history.iter().map(former).collect(),
    };
    let records = match earlier {
        None => mailbox.records.clone().unwrap_or_default(),
        Some(earlier) => {
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
