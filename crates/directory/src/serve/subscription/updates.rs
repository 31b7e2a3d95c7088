//! What a conversation does for its subscriber.

use std::io;

use mailboxes::Position;
use protocol::{
    mupdate::reply::{self, Reply},
    name::MailboxName,
};
use tokio::time::Instant;

use super::{Subscription, at_risk};
use crate::serve::{
    conversation::{Conversation, Flow},
    limits::{CURE, LOCAL_LOT, LOT, PAGE},
    query::put_entry,
};

impl Conversation {
    /// UPDATE, as RFC 3656 and Cyrus have it.
    pub(in crate::serve) async fn update(&mut self, tag: &str, servers: Vec<String>) -> io::Result<Flow> {
        if !self.proven(tag, false).await? {
            return Ok(Flow::On);
        }
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
    pub(in crate::serve) async fn resume(&mut self, tag: &str, since: Option<Position>) -> io::Result<Flow> {
        if !self.proven(tag, true).await? {
            return Ok(Flow::On);
        }
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
            if list.is_shared() {
                return Err(unavailable(&"this master is behind"));
            }
            tracing::error!(%at, %here, "a replica is ahead of this list, which has lost changes: all replicas begin anew");
            return list.renew().await.map(drop).map_err(|error| unavailable(&error));
        }
        Ok(())
    }

    /// Sends what changed since the cursor, in its current state.
    pub(in crate::serve) async fn push(&mut self) -> io::Result<Flow> {
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
        // A peer takes over what came before a position.
        let mut owed = stream.numbered && self.send_cordons(&stream.tag);
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
                // Numbers that no mailbox has got.
                owed |= stream.numbered && here.seq > stream.cursor.seq;
                stream.cursor.seq = here.seq;
                break;
            }
            owed = false;
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
        if owed {
            let mut out = Vec::new();
            reply::put_position(&mut out, &stream.tag, stream.cursor);
            self.wire.output().extend_from_slice(&out);
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
