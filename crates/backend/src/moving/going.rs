//! What is known of a move that goes away.

use std::sync::Arc;

use moves::journal::Record;
use moves::source::Source;
use store::Frozen;
use tokio::time::Instant;

use super::Moving;
use super::cyrus::rounds::Sent as SentToCyrus;
use super::live::Live;
use super::peer::Peer;
use super::queue::Slot;
use super::rounds::Sent;

/// What a move knows of a decision without an answer.
#[derive(Default)]
pub struct Doubt {
    pub(super) since: Option<Instant>,
    pub(super) looks: u32,
}

/// One move that goes away.
pub(super) struct Giving {
    pub(super) moving: Arc<Moving>,
    pub(super) record: Record,
    pub(super) machine: Source,
    pub(super) peer: Option<Peer>,
    pub(super) sent: Sent,
    /// The same of a server of Cyrus.
    pub(super) cyrus: SentToCyrus,
    pub(super) doubt: Doubt,
    pub(super) frozen: Option<Frozen>,
    pub(super) frozen_at: Instant,
    /// Since the destination was told of the move last.
    pub(super) rounds: u32,
    pub(super) live: Arc<Live>,
    /// Until it is decided.
    pub(super) slot: Option<Slot>,
}

impl Giving {
    pub(super) fn new(moving: Arc<Moving>, record: Record, machine: Source, slot: Option<Slot>) -> Giving {
        let (frozen_at, live) = (Instant::now(), moving.live_of(&record));
        Giving {
            moving,
            record,
            machine,
            peer: None,
            sent: Sent::default(),
            cyrus: SentToCyrus::default(),
            doubt: Doubt::default(),
            frozen: None,
            frozen_at,
            rounds: 0,
            live,
            slot,
        }
    }
}
