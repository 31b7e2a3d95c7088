//! NOOP, FIND, LIST, STATUS, ACCEPT, RESOLVE.

use std::io;

use mailboxes::{Entry, State};
use protocol::{
    mupdate::reply::{self, Reply},
    name::MailboxName,
};

use super::{
    conversation::{Conversation, Flow},
    status,
};
use crate::serve::limits::{OUTPUT, QUERY_PAGE};

impl Conversation {
    /// On a stream: everything acknowledged before is sent before the OK. A replica asks its own upstream first.
    pub(super) async fn noop(&mut self, tag: &str) -> io::Result<Flow> {
        if let Some(numbered) = self.stream.as_ref().map(|stream| stream.numbered()) {
            if let Some(replica) = self.server.upstream().cloned()
                && let Err(stale) = replica.barrier().await
                && numbered
            {
                // To a Cyrus slave a NO would be the end of the stream; it only wants its keepalive.
                self.say(tag, Reply::no(format!("[UNAVAILABLE] {stale}")));
                return Ok(Flow::On);
            }
            if !self.proven(tag, numbered).await? {
                return Ok(Flow::On);
            }
            if self.push().await? == Flow::End {
                return Ok(Flow::End);
            }
            self.say(tag, Reply::ok("Noop done"));
            self.wire.flush().await?;
            if let Some(stream) = &mut self.stream {
                stream.hold();
            }
            return Ok(Flow::On);
        }
        if !self.proven(tag, false).await? {
            return Ok(Flow::On);
        }
        self.say(tag, Reply::ok("Noop done"));
        Ok(Flow::On)
    }

    pub(super) async fn find(&mut self, tag: &str, asked: &str) -> io::Result<Flow> {
        if !self.proven(tag, false).await? {
            return Ok(Flow::On);
        }
        let found = self.server.canonical(asked).map(|name| self.server.list().get(&name)).transpose();
        match found {
            Ok(found) => {
                if let Some(entry) = found.flatten() {
                    let mut out = Vec::new();
                    // The name is echoed as it was asked for.
                    put_entry(&mut out, tag, asked, &entry);
                    self.wire.output().extend_from_slice(&out);
                }
                self.say(tag, Reply::ok("Search completed"));
            }
            Err(error) => {
                tracing::error!(%error, "FIND");
                self.say(tag, Reply::no("[UNAVAILABLE] the mailbox list cannot be read"));
            }
        }
        Ok(Flow::On)
    }

    pub(super) async fn list(&mut self, tag: &str, prefix: Option<&str>) -> io::Result<Flow> {
        if !self.proven(tag, false).await? {
            return Ok(Flow::On);
        }
        let all =
            self.send_entries(tag, |_, entry| prefix.is_none_or(|p| entry.location.as_str().starts_with(p)));
        match all.await? {
            true => self.say(tag, Reply::ok("list complete")),
            // A NO in the middle would look like an end.
            false => return Ok(Flow::End),
        }
        Ok(Flow::On)
    }

    /// Sends the entries that `wanted` admits, page by page, in key order. False: reading failed.
    pub(super) async fn send_entries(
        &mut self,
        tag: &str,
        mut wanted: impl FnMut(&MailboxName, &Entry) -> bool,
    ) -> io::Result<bool> {
        let put = |out: &mut Vec<u8>, name: &MailboxName, entry: &Entry| {
            if wanted(name, entry) {
                put_entry(out, tag, name.as_str(), entry);
            }
        };
        self.send_pages(put).await
    }

    /// Sends what `put` writes of each entry. False: reading failed.
    pub(super) async fn send_pages(
        &mut self,
        mut put: impl FnMut(&mut Vec<u8>, &MailboxName, &Entry),
    ) -> io::Result<bool> {
        let mut after = None;
        self.listing = true;
        loop {
            let page = match self.server.list().scan(after.as_ref(), QUERY_PAGE) {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "listing");
                    return Ok(false);
                }
            };
            let mut out = Vec::with_capacity(page.entries.len() * 96);
            for (name, entry) in &page.entries {
                put(&mut out, name, entry);
                self.send_if_much(&mut out).await?;
            }
            self.wire.output().extend_from_slice(&out);
            if self.wire.output().len() >= OUTPUT {
                self.wire.flush().await?;
            }
            if !page.more {
                return Ok(true);
            }
            after = page.entries.last().map(|(name, _)| name.clone());
            // A long listing lets others have the thread.
            tokio::task::yield_now().await;
        }
    }

    /// Sends what is gathered, if it is much: a page of long entries is not held twice.
    pub(super) async fn send_if_much(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if out.len() >= OUTPUT {
            self.wire.output().extend_from_slice(out);
            out.clear();
            self.wire.flush().await?;
        }
        Ok(())
    }

    /// A replica answers once it has been synchronised for the first time.
    pub(super) async fn complete(&self) {
        if let Some(replica) = self.server.upstream() {
            replica.complete().await;
        }
    }

    pub(super) async fn status(&mut self, tag: &str, asked: Option<&str>) -> io::Result<Flow> {
        let mut status = status::of(&self.server);
        if let Some(name) = asked.and_then(|asked| self.server.canonical(asked)) {
            if !self.proven(tag, true).await? {
                return Ok(Flow::On);
            }
            match self.server.list().get(&name) {
                Ok(entry) => {
                    status["mailbox"] =
                        entry.map_or(serde_json::Value::Null, |entry| status::entry(&self.server, &entry))
                }
                Err(error) => {
                    tracing::error!(%error, "STATUS");
                    self.say(tag, Reply::no("[UNAVAILABLE] the mailbox list cannot be read"));
                    return Ok(Flow::On);
                }
            }
        }
        let json = status.to_string();
        let mut out = Vec::with_capacity(json.len() + 32);
        reply::put_status(&mut out, tag, &json);
        self.wire.output().extend_from_slice(&out);
        self.say(tag, Reply::ok("Status completed"));
        Ok(Flow::On)
    }

    pub(super) fn accept(&mut self, tag: &str) -> io::Result<Flow> {
        let accepted = self.server.upstream().is_some_and(|replica| replica.accept());
        self.say(tag, if accepted { Reply::ok("accepted") } else { Reply::no("nothing is held back") });
        Ok(Flow::On)
    }

    pub(super) async fn resolve(&mut self, tag: &str, name: &str) -> io::Result<Flow> {
        let reply = match self.server.canonical(name) {
            None => Reply::no("Invalid mailbox name"),
            Some(name) => match self.server.list().resolve(name).await {
                Ok(_) => Reply::ok("done"),
                Err(error) => super::write::refusal(&error)?,
            },
        };
        self.say(tag, reply);
        Ok(Flow::On)
    }
}

pub(super) fn put_entry(out: &mut Vec<u8>, tag: &str, name: &str, entry: &Entry) {
    match entry.state {
        State::Active => reply::put_mailbox(out, tag, name, entry.location.as_str(), &entry.acl),
        State::Reserved => reply::put_reserve(out, tag, name, entry.location.as_str()),
    }
}
