//! A user without an INBOX, from the proof of that to the INBOX.

use std::time::{SystemTime, UNIX_EPOCH};

use config::imapd::Imapd;
use directory::lookup::{Found, Lookup, Stale};
use mailboxes::Entry;
use protocol::name::MailboxName;
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use upstream::Proto;

use crate::Servers;
use crate::limits::{ASKED, RESERVED, SETTLES, YOUNG, rows};

/// A newcomer whose INBOX is to be made where it is missing. Ask for what is [`Arrival::next`], do it, and ask again.
pub struct Arrival<'a> {
    servers: &'a Servers,
    directory: &'a dyn Lookup,
    imapd: &'a Imapd,
    inbox: &'a MailboxName,
    proto: Proto,
    asked: Vec<String>,
    /// One of those answered.
    reached: bool,
}

/// What a newcomer's frontend does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: this is the INBOX.
    Home(Entry),
    /// It has this server make the INBOX, by a login or a recipient there, however that ends.
    Ask(String),
    /// There is no INBOX, and no server that could make one; or enough were asked.
    Nobody,
    /// The name is taken, and has no mailbox.
    Reserved,
    /// What the list says cannot be relied on: nothing is made by a list that may be behind.
    Unsure(Stale),
}

impl<'a> Arrival<'a> {
    /// `proto` is how the backend is to be reached.
    pub fn new(
        servers: &'a Servers,
        directory: &'a dyn Lookup,
        imapd: &'a Imapd,
        inbox: &'a MailboxName,
        proto: Proto,
    ) -> Arrival<'a> {
        Arrival { servers, directory, imapd, inbox, proto, asked: Vec::new(), reached: false }
    }

    /// The server that was to be asked has answered, whatever it said.
    pub fn answered(&mut self) {
        self.reached = true;
    }

    pub async fn next(&mut self) -> Next {
        loop {
            match self.found().await {
                Found::Active(entry) => return Next::Home(entry),
                Found::Reserved => return Next::Reserved,
                Found::Unknown(stale) => return Next::Unsure(stale),
                Found::Missing => {}
            }
            if self.asked.len() < ASKED
                && let Some(server) = self.servers.choose(self.imapd, self.proto, &self.asked).await
            {
                debug!(inbox = %self.inbox, server, "is to be made");
                self.asked.push(server.clone());
                return Next::Ask(server);
            }
            // The master refuses a name from the moment on when somebody else asks for it: a little before he has it.
            if !self.reached || !self.turns_up().await {
                return Next::Nobody;
            }
        }
    }

    /// Whether the list gets this name after all; it is waited for once.
    async fn turns_up(&mut self) -> bool {
        self.reached = false;
        let mut news = self.directory.list().watch();
        let until = Instant::now() + SETTLES;
        while matches!(self.directory.list().get(self.inbox), Ok(None)) {
            if !matches!(timeout_at(until, news.changed()).await, Ok(Ok(()))) {
                rows::SETTLES.met(format_args!(
                    "{}: none of {} made it: is autocreate set there as it is here?",
                    self.inbox,
                    self.asked.join(", ")
                ));
                return false;
            }
        }
        true
    }

    /// What the list has, once it has all that the master has acknowledged. A reservation of a moment ago is somebody's who is
    /// making this INBOX: his end is waited for.
    async fn found(&self) -> Found {
        let until = Instant::now() + RESERVED;
        let mut news = self.directory.list().watch();
        loop {
            let found = self.directory.find(self.inbox).await;
            if found != Found::Reserved || !self.is_being_made() {
                return found;
            }
            while self.is_being_made() {
                match timeout_at(until, news.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return found,
                    Err(_) => {
                        rows::RESERVED.met(format_args!("{}: reserved, and no mailbox came", self.inbox));
                        return found;
                    }
                }
            }
        }
    }

    fn is_being_made(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let young = |entry: &Entry| now.saturating_sub(entry.mtime) < YOUNG.as_secs();
        let entry = self.directory.list().get(self.inbox).ok().flatten();
        entry.is_some_and(|entry| !entry.is_active() && young(&entry))
    }
}

#[cfg(test)]
mod tests;
