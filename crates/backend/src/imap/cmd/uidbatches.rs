//! UIDBATCHES: the UIDs of the selected mailbox in ranges of so many messages each, so that a client can fetch a large mailbox
//! piece by piece.

use protocol::imap::command::multisearch::{UidBatches, print_batches};
use protocol::imap::{Refusal, Reply, Tag};

use crate::imap::reply::Outcome;
use crate::imap::session::Session;
use store::Records;

pub fn run(session: &mut Session, tag: &Tag, asked: UidBatches) -> Outcome {
    let (least, most) =
        (session.server.imapd.uidbatches_min_batch, session.server.imapd.uidbatches_max_messages);
    if asked.size < least {
        return Err(Refusal::BatchTooSmall(least).into());
    }
    let view = session.selected()?.view().clone();
    let batches = view.exists().div_ceil(asked.size as usize);
    let window = asked.batches.map_or(0..batches, |wanted| wanted.window(batches));
    let messages = window.len().saturating_mul(asked.size as usize).min(view.exists());
    if messages > most as usize {
        return Err(Refusal::TooManyToBatch(most).into());
    }
    let batches: Vec<(u32, u32)> = window.map(|at| batch(view.records(), asked.size as usize, at)).collect();
    print_batches(session.conn.out(), tag.as_str(), &batches);
    Ok(Reply::completed())
}

/// The highest and the lowest UID of a batch, counted from the newest. No UID lies between two batches, and the last ends at 1.
fn batch(records: &Records, size: usize, at: usize) -> (u32, u32) {
    let lowest = |at: usize| {
        let first = records.len().checked_sub((at + 1).saturating_mul(size)).filter(|first| *first > 0);
        first.and_then(|first| records.at(first)).map_or(1, |record| record.uid)
    };
    let highest = match at.checked_sub(1) {
        Some(newer) => lowest(newer).saturating_sub(1),
        None => records.last().map_or(1, |record| record.uid),
    };
    (highest, lowest(at))
}
