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

use std::{collections::HashSet, io, sync::atomic::Ordering};

use mailboxes::{Position, signal::Watch};
use protocol::{
    mupdate::reply::{self, Reply},
    name::MailboxName,
};
use tokio::time::{Instant, sleep_until};

use super::{
    Server,
    conversation::{Conversation, Flow},
    query::put_entry,
};
use crate::serve::limits::{CURE, HOLD, LOCAL_LOT, LOT, PAGE};

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

impl Conversation {
    /// UPDATE, as RFC 3656 and Cyrus have it.
    pub(super) async fn update(&mut self, tag: &str, servers: Vec<String>) -> io::Result<Flow> {
        self.complete().await;
        let mut stream = Subscription::new(&self.server, tag, false, servers);
        if !self.listing(&mut stream).await? {
            return Ok(Flow::End);
        }
        self.say(tag, Reply::ok("streaming starts"));
        self.wire.flush().await?;
        stream.hold();
        stream.cure_at = Some(Instant::now() + CURE);
        self.begin(stream);
        Ok(Flow::On)
    }

    /// RESUME: what changed since a position of this list; the full list for any other.
    pub(super) async fn resume(&mut self, tag: &str, since: Option<Position>) -> io::Result<Flow> {
        self.complete().await;
        let resumable = match since {
            Some(at) if self.server.list().can_resume(at) => true,
            Some(at) => {
                if let Err(reply) = self.outdated(at).await {
                    self.say(tag, reply);
                    return Ok(Flow::On);
                }
                self.server.list().can_resume(at)
            }
            None => false,
        };
        let mut stream = Subscription::new(&self.server, tag, true, Vec::new());
        let here = stream.cursor;
        match since.filter(|_| resumable) {
            Some(at) => stream.cursor = at,
            None => {
                let mut out = Vec::new();
                reply::put_full(&mut out, tag);
                self.wire.output().extend_from_slice(&out);
                if !self.listing(&mut stream).await? {
                    return Ok(Flow::End);
                }
            }
        }
        self.begin(stream);
        if self.push().await? == Flow::End {
            return Ok(Flow::End);
        }
        // Also where nothing changed: the position tells the peer where it stands.
        let position = self.stream.as_ref().map_or(here, |stream| stream.cursor);
        let mut out = Vec::new();
        reply::put_position(&mut out, tag, position);
        self.wire.output().extend_from_slice(&out);
        self.say(tag, Reply::ok("streaming starts"));
        Ok(Flow::On)
    }

    /// A peer holds what is not known here. A copy may itself be what is old, after a crash: before it sends its own
    /// list in place of a newer one, it makes sure of having everything. An authority that is asked for what it never
    /// came to has lost changes (its disk was put back to an earlier day, say): its numbers from now on mean others, so
    /// that it takes a new identity, and nobody goes on from before.
    async fn outdated(&self, at: Position) -> Result<(), Reply> {
        let list = self.server.list();
        let here = list.position();
        let unavailable = |why: &dyn std::fmt::Display| Reply::no(format!("[UNAVAILABLE] {why}"));
        if let Some(replica) = self.server.upstream() {
            return replica.barrier().await.map_err(|stale| unavailable(&stale));
        }
        if (at.list, at.term) == (here.list, here.term) && at.seq > here.seq {
            tracing::error!(%at, %here, "a replica is ahead of this list, which has lost changes: all replicas begin anew");
            return list.renew().await.map(drop).map_err(|error| unavailable(&error));
        }
        Ok(())
    }

    /// Sends what changed since the cursor, in its current state.
    pub(super) async fn push(&mut self) -> io::Result<Flow> {
        let Some(mut stream) = self.stream.take() else { return Ok(Flow::On) };
        if stream.held_until.take().is_some_and(|until| until > Instant::now())
            && !stream.changes_pending(&self.server)
        {
            self.stream = Some(stream);
            return Ok(Flow::On);
        }
        if stream.cure_at.is_some_and(|at| at <= Instant::now()) {
            stream.cure_at = None;
            let tag = stream.tag.clone();
            let sent = self
                .send_entries(&tag, |name, entry| at_risk(name) && stream.wants(name, Some(entry.server())));
            if !sent.await? {
                return Ok(Flow::End);
            }
        }
        stream.changes.mark_seen();
        let mut sent = 0;
        loop {
            let here = self.server.list().position();
            let same = (here.list, here.term) == (stream.cursor.list, stream.cursor.term)
                && here.seq >= stream.cursor.seq;
            // Renumbered, gone back, or too far behind: the peer comes back for a new listing.
            if !same {
                return Ok(Flow::End);
            }
            let Ok(changes) = self.server.list().changes_after(stream.cursor.seq, PAGE).await else {
                return Ok(Flow::End);
            };
            if changes.names.is_empty() {
                break;
            }
            sent += changes.names.len();
            if !self.send_changes(&mut stream, &changes.names).await? {
                return Ok(Flow::End);
            }
            stream.cursor.seq = changes.upto;
            if stream.numbered {
                let mut out = Vec::new();
                reply::put_position(&mut out, &stream.tag, stream.cursor);
                self.wire.output().extend_from_slice(&out);
            }
            self.wire.flush().await?;
        }
        self.wire.flush().await?;
        stream.next_lot = match self.session.local {
            true => Some(Instant::now() + LOCAL_LOT),
            false if sent > 1 => Some(Instant::now() + LOT),
            false => None,
        };
        self.stream = Some(stream);
        Ok(Flow::On)
    }

    async fn send_changes(&mut self, stream: &mut Subscription, names: &[MailboxName]) -> io::Result<bool> {
        let mut out = Vec::with_capacity(names.len() * 96);
        for name in names {
            let Ok(entry) = self.server.list().get(name) else { return Ok(false) };
            if !stream.wants(name, entry.as_ref().map(|entry| entry.server())) {
                continue;
            }
            match entry {
                Some(entry) => put_entry(&mut out, &stream.tag, name.as_str(), &entry),
                None => reply::put_delete(&mut out, &stream.tag, name.as_str()),
            }
            self.send_if_much(&mut out).await?;
        }
        self.wire.output().extend_from_slice(&out);
        Ok(true)
    }

    async fn listing(&mut self, stream: &mut Subscription) -> io::Result<bool> {
        let tag = stream.tag.clone();
        self.send_entries(&tag, |name, entry| stream.wants(name, Some(entry.server()))).await
    }

    fn begin(&mut self, stream: Subscription) {
        self.session.streaming = true;
        self.stream = Some(stream);
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
