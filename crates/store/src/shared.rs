//! What every open mailbox and user's log needs of the store.

use std::sync::Arc;

use config::imapd::ExpungeMode;
use mailboxes::hub::Hub;

use super::{
    articles::Articles, commit::Commit, gates::Gates, quota::Quotas, replay::Replay, text::desk::Desk,
};

/// What every open mailbox needs of the store.
pub(crate) struct Shared {
    pub commit: Commit,
    /// What a crash left to be done before a log is opened.
    pub replay: Arc<Replay>,
    pub quotas: Arc<Quotas>,
    /// What a move keeps from being changed, or has taken away.
    pub gates: Gates,
    /// Who is told of changes.
    pub hub: Hub,
    /// Who makes text indexes.
    pub texts: Desk,
    /// What a news server knows of its groups.
    pub articles: Arc<Articles>,
    pub expunge_mode: ExpungeMode,
    /// How long it is remembered which messages are gone, in seconds.
    pub history: i64,
    /// Epoch seconds.
    pub clock: fn() -> i64,
}

impl Shared {
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Whether an expunge removes files at once, and forgets the records.
    pub fn expunge_mode(&self) -> (bool, bool) {
        match self.expunge_mode {
            ExpungeMode::Immediate => (true, true),
            ExpungeMode::Semidelayed => (true, false),
            ExpungeMode::Delayed | ExpungeMode::Default => (false, false),
        }
    }
}
