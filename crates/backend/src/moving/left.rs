//! What earlier moves have left at a destination: copies that were given away from there, and what came of moves that were given up. A
//! move that brings the mailbox goes on from it, and sends what changed since.
//!
//! ```text
//! XBEGIN ─► * XHAVE (id, last UID, highest modification sequence, digest) …     per mailbox, of what is here
//!           the source sends what changed since that modification sequence
//! XBEGIN ─► * XHAVE …      once more: a copy that has another digest than the source's was not what it seemed, and comes whole
//! ```

use std::sync::Arc;
use std::time::Duration;

use moves::destination::Phase;
use moves::journal::{Record, Role};
use protocol::sync::moving::{Begin, Digest, Have, Item};
use protocol::sync::{Apply, Code};
use store::{Incoming, StoreError, UserData};
use tokio::time::sleep;
use tracing::{info, warn};

use super::peer::{Fault, Peer};
use super::rounds::{Sent, Sum};
use super::{Moving, now};
use crate::limits::{LEFT_COPY, LEFT_ROOM};
use crate::transit::{Move, Refused};

impl Moving {
    /// What is here of these mailboxes.
    pub(super) async fn left(
        &self,
        of: &Move,
        partition: &str,
        items: &[Item],
    ) -> Result<Vec<Have>, Refused> {
        let mut all = Vec::new();
        for item in items {
            let Some(copy) = self.transit.go_on(&self.store, of, partition, item).await? else { continue };
            let Some(incoming) = copy.incoming() else { continue };
            let numbers = incoming.snapshot().numbers();
            all.push(Have {
                uniqueid: item.uniqueid.clone(),
                last_uid: numbers.last_uid,
                highestmodseq: numbers.highestmodseq,
                digest: Digest(incoming.digest().await?.0),
            });
        }
        Ok(all)
    }

    /// What was sent as the difference to what the destination had is looked at before anybody waits: a copy that is not what it should
    /// be comes whole in the next round.
    pub(super) async fn proven(
        &self,
        peer: &mut Peer,
        sent: &mut Sent,
        begin: Option<Begin>,
        mut sum: Sum,
    ) -> Result<Sum, Fault> {
        let Some(begin) = begin.filter(|_| sent.is_unproven()) else { return Ok(sum) };
        let told = peer.apply(&Apply::Begin(begin)).await?;
        sum.torn |= !sent.prove(told).await;
        Ok(sum)
    }

    /// Refuses where what is here of users is not what the source has.
    pub(super) async fn compare_user(&self, record: &Record, theirs: Digest) -> Result<(), Refused> {
        let root = super::taking::root(record)?;
        let owner = root.is_inbox().then(|| self.store.namespace().owner(&root)).flatten();
        let ids: Vec<String> = record.items.iter().map(|item| item.uniqueid.clone()).collect();
        let mut ours: UserData = self.store.user_data(owner.as_deref(), &ids).await?;
        // Of others something may be left here that the source never had.
        ours.seen.retain(|(user, id), _| self.transit.has_heard_of_seen(id, user));
        if Digest(ours.digest().0) == theirs {
            return Ok(());
        }
        warn!(id = %record.id, root = record.root, "what is known of users is not what the source says");
        Err(Code::SyncChecksum.into())
    }

    /// Whether the copy of a move that was given up stays as base of another: a whole round of it has come, and it is not what fills
    /// the disk.
    pub(super) fn stays(&self, record: &Record, copy: &Incoming) -> bool {
        let is_whole = record.round > 0 && left_for(record).is_some();
        is_whole && self.store.has_room(copy.partition(), LEFT_ROOM)
    }

    /// Removes the copies of a move that was given up when nobody has gone on from them for long.
    pub(super) fn sweep_later(self: &Arc<Self>, record: &Record) {
        let Some(left) = left_for(record).filter(|_| record.round > 0) else { return };
        let (moving, record, stop) = (self.clone(), record.clone(), self.context.shutdown());
        let sweep = async move {
            sleep(left).await;
            if let Err(error) = moving.sweep(&record).await {
                warn!(%error, id = %record.id, root = record.root, "copies of a move that was given up stay");
            }
        };
        self.context.tasks().spawn(async move { stop.run_until_cancelled(sweep).await });
    }

    async fn sweep(&self, record: &Record) -> Result<(), StoreError> {
        let records = self.records();
        for item in &record.items {
            let is_later = |other: &&Record| {
                other.started >= record.started
                    && other.id != record.id
                    && other.items.iter().any(|its| its.uniqueid == item.uniqueid)
            };
            // It is that one's to remove, or it has become a mailbox.
            if records.iter().any(|other| is_later(&other)) {
                continue;
            }
            if let Some(copy) = self.resumed(record, item).await? {
                info!(id = %record.id, mailbox = item.name, "the copy of a move that was given up is removed");
                self.store.forget_incoming(copy).await?;
            }
        }
        Ok(())
    }
}

/// How long the copies of a move that was given up stay; none: no longer.
fn left_for(record: &Record) -> Option<Duration> {
    if !matches!(
        record.role,
        Role::Destination { phase: Phase::Incoming | Phase::Prepared | Phase::Aborted, .. }
    ) {
        return None;
    }
    let until = record.started.checked_add(LEFT_COPY.as_secs())?;
    until.checked_sub(now()).filter(|left| *left > 0).map(Duration::from_secs)
}
