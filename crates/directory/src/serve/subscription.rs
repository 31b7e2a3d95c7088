//! UPDATE and RESUME: a subscriber is a cursor into the list's changes.
//!
//! The listing is read page by page while the list moves on; what changed meanwhile is sent after it, so that both
//! together are the state at the end. For a peer of ours that is before the OK, with the position; for Cyrus after it.
//!
//! Three habits of Cyrus's slaves are met here. They do not look into their buffer after an OK, so that what shares a
//! read with it waits up to 20 s: after an OK nothing is sent for 50 ms. Their merge of a listing can drop names with a
//! byte between blank and `-`: those are sent again a second later. And BYE, NO or BAD within a listing would be taken
//! for its end, and all names not yet sent be deleted: if it cannot go on, the connection is dropped without a word.
//!
//! A single change is sent at once. Where several came together more will follow, and the next ones are gathered for a
//! moment: each lot wakes a process. The proxies beside a slave hear of all changes in lots; one that must know more
//! asks with NOOP, which sends at once what waits.

mod updates;

use std::{collections::HashSet, sync::atomic::Ordering};

use mailboxes::{Position, signal::Watch};
use protocol::name::MailboxName;
use tokio::time::{Instant, sleep_until};

use super::Server;
use crate::serve::limits::HOLD;

/// An update stream.
pub(super) struct Subscription {
    tag: String,
    /// Everything up to here has been sent, or is in the listing.
    cursor: Position,
    /// The peer is ours: it wants positions.
    numbered: bool,
    /// Only entries of these servers; empty: all.
    servers: Vec<String>,
    /// Of a partial stream: the names that the peer has, so that it learns of their leaving.
    known: HashSet<MailboxName>,
    changes: Watch<Position>,
    held_until: Option<Instant>,
    cure_at: Option<Instant>,
    /// When the next lot may go.
    next_lot: Option<Instant>,
    _counted: Counted,
}

impl Subscription {
    fn new(server: &Server, tag: &str, numbered: bool, servers: Vec<String>) -> Self {
        server.shared.streams.fetch_add(1, Ordering::Relaxed);
        Subscription {
            tag: tag.to_owned(),
            cursor: server.list().position(),
            numbered,
            servers,
            known: HashSet::new(),
            changes: server.list().watch(),
            held_until: None,
            cure_at: None,
            next_lot: None,
            _counted: Counted(server.clone()),
        }
    }

    pub fn numbered(&self) -> bool {
        self.numbered
    }

    /// An OK was sent: a Cyrus slave is given time to go back to its socket.
    pub fn hold(&mut self) {
        if !self.numbered {
            self.held_until = Some(Instant::now() + HOLD);
        }
    }

    /// When something is due whether or not the list changes.
    pub fn wake(&self) -> Option<Instant> {
        self.held_until.or(self.cure_at)
    }

    /// Returns when there is something to send.
    pub async fn due(stream: Option<&mut Subscription>, wake: Option<Option<Instant>>) {
        let Some(stream) = stream else { return };
        let held = stream.held_until.is_some();
        let news = async {
            // The list lives as long as its server, which this conversation holds.
            let _ = stream.changes.pending().await;
            if let Some(at) = stream.next_lot {
                sleep_until(at).await;
            }
        };
        let timer = async {
            match wake.flatten() {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = timer => {}
            () = news, if !held => {}
        }
    }

    fn wants(&mut self, name: &MailboxName, server: Option<&str>) -> bool {
        if self.servers.is_empty() {
            return true;
        }
        match server.is_some_and(|server| self.servers.iter().any(|s| s == server)) {
            true => {
                self.known.insert(name.clone());
                true
            }
            // It was there, and is now elsewhere or gone: told once.
            false => self.known.remove(name),
        }
    }
}

impl Subscription {
    fn changes_pending(&self, server: &Server) -> bool {
        server.list().position() != self.cursor
    }
}

/// Whether Cyrus's merge, which compares texts though both lists are in key order, may lose the name.
fn at_risk(name: &MailboxName) -> bool {
    name.as_str().bytes().any(|b| (0x20..=0x2d).contains(&b))
}

/// One of the streams of a server.
struct Counted(Server);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.shared.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
