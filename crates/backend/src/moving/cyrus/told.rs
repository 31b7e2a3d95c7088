//! What changed in a mailbox, as a server of Cyrus is told of it: in commands of so many messages, each with the checksums and numbers
//! that the copy must have after it.
//!
//! Cyrus takes messages in the order of UIDs, and none below its LAST_UID that it does not have. So the first commands say of the mailbox
//! what it would be with the messages so far. When the last one did not come, the copy is known by its numbers, and goes on from there.

use protocol::sync::{Crc, Mailbox, Options, Record};
use store::{POP3_NEW_UIDL, Snapshot};

use crate::transit::convert;

/// What Cyrus's copy was at an earlier moment, as it was told.
#[derive(Clone, Copy)]
pub struct Base<'a> {
    pub snapshot: &'a Snapshot,
    pub crc: Crc,
}

/// The mailbox with what changed since the base, in commands of so many messages; and what the copy's checksums are then. None: its name or
/// id is none that one can tell.
pub fn mailbox(
    now: &Snapshot,
    base: Option<Base<'_>>,
    partition: &str,
    most: usize,
) -> Option<(Vec<Mailbox>, Crc)> {
    let whole = convert::mailbox(now, partition, base.is_none())?;
    // What POP3 clients were told here are UIDVALIDITY and UID.
    let options = Options(whole.options.0 | POP3_NEW_UIDL);
    let whole = Mailbox { highestmodseq: modseq(now), options, ..whole };
    let records = match base {
        None => whole.records.clone().unwrap_or_default(),
        Some(base) => changed(now, base.snapshot),
    };
    let mut crc = base.map_or_else(Crc::default, |base| base.crc);
    let (mut last_uid, mut highest) =
        base.map_or((0, 1), |base| (base.snapshot.numbers().last_uid, modseq(base.snapshot)));
    let mut parts = Vec::with_capacity(records.len() / most + 1);
    for some in records.chunks(most.max(1)) {
        for record in some {
            let before =
                base.and_then(|base| Some((base.snapshot, base.snapshot.records().get(record.uid)?)));
            if let Some((then, before)) = before {
                crc.toggle(&convert::record(then, before, false));
            }
            crc.toggle(record);
            (last_uid, highest) = (last_uid.max(record.uid), highest.max(record.modseq));
        }
        parts.push(Mailbox {
            records: Some(some.to_vec()),
            crc: Some(crc),
            last_uid,
            highestmodseq: highest,
            recentuid: whole.recentuid.min(last_uid),
            ..whole.clone()
        });
    }
    match parts.last_mut() {
        Some(last) => {
            let Mailbox { last_uid, highestmodseq, recentuid, .. } = whole;
            (last.last_uid, last.highestmodseq, last.recentuid) = (last_uid, highestmodseq, recentuid);
        }
        None => parts.push(Mailbox { records: Some(Vec::new()), crc: Some(crc), ..whole }),
    }
    Some((parts, crc))
}

/// A mailbox has none of 0 for Cyrus, nor for a client.
fn modseq(snapshot: &Snapshot) -> u64 {
    snapshot.numbers().highestmodseq.max(1)
}

/// Messages that are new, changed or expunged since. One that is kept no longer is told as expunged: Cyrus has no other word for it.
fn changed(now: &Snapshot, then: &Snapshot) -> Vec<Record> {
    let change = now.since(then);
    let live = change.records.iter().map(|record| convert::record(now, record, false));
    let expunged = change.expunged.iter().map(|record| convert::record(now, record, true));
    let numbers = now.numbers();
    let gone = change.gone.iter().filter_map(|uid| {
        let record = convert::record(then, then.records().get(*uid)?, true);
        let run = now.tombstones().iter().find(|run| run.first <= *uid && *uid <= run.last);
        let (modseq, last_updated) =
            run.map_or((numbers.highestmodseq, record.last_updated), |run| (run.modseq, run.time));
        Some(Record { modseq, last_updated, ..record })
    });
    let mut records: Vec<Record> = live.chain(expunged).chain(gone).collect();
    records.sort_by_key(|record| record.uid);
    records
}

/// What proves a copy of Cyrus's to be this mailbox, in one word: the two checksums, LAST_UID, HIGHESTMODSEQ and UIDVALIDITY.
pub fn proof(mailbox: &Mailbox) -> Option<String> {
    let crc = mailbox.crc?;
    let Mailbox { last_uid, highestmodseq, uidvalidity, .. } = mailbox;
    Some(format!("{uidvalidity}-{last_uid}-{highestmodseq}-{:08x}-{:08x}", crc.messages, crc.annotations))
}

/// The same of a mailbox here, with the checksums of its messages.
pub fn own_proof(snapshot: &Snapshot, crc: Crc) -> String {
    let (numbers, uidvalidity) = (snapshot.numbers(), snapshot.header().uidvalidity);
    let (last_uid, highestmodseq) = (numbers.last_uid, modseq(snapshot));
    format!("{uidvalidity}-{last_uid}-{highestmodseq}-{:08x}-{:08x}", crc.messages, crc.annotations)
}

/// Whether a copy was changed after it was proven: its numbers are past those of the proof.
pub fn is_past(mailbox: &Mailbox, proof: &str) -> bool {
    let mut numbers = proof.split('-').skip(1);
    let mut next = || numbers.next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(u64::MAX);
    let (last_uid, highestmodseq) = (next(), next());
    u64::from(mailbox.last_uid) > last_uid || mailbox.highestmodseq > highestmodseq
}
