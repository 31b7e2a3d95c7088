//! A MUPDATE client: what backends and tools ask of a master, or of the daemon that owns a list.

mod choice;
pub(crate) mod cordons;
mod dial;
pub mod limits;
mod link;
mod login;
mod many;
pub mod masters;
mod refused;
mod standing;
mod tools;
mod watch;

use std::{io, path::Path, sync::Arc};

use config::imapd::{Imapd, Upstream};
use identity::demand::Refusal;
use mailboxes::{Entry, Expect, ListId, Position};
use protocol::{location::Location, mupdate::response::Body, name::MailboxName};

pub use dial::{Address, Connect};
pub use link::Link;
pub use login::Greeting;
pub use many::{Activate, Deactivate, Delete};

use crate::client::limits::{GOOD_BYE, PATIENCE, PIPELINED};
use crate::meter::Meter;
pub use crate::meter::{Absurd, Measure};

/// A logged-in connection. After an error other than [`Error::Refused`] and [`Error::Changed`] it is of no more use.
pub struct Client {
    link: Link,
    greeting: Greeting,
    measure: Measure,
}

/// Why a question has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The server said NO or BAD: it will say so again.
    #[error("{0}")]
    Refused(String),
    /// The entry is not in the state that was expected.
    #[error("mailbox changed meanwhile")]
    Changed,
    /// No connection, or it broke: whether a change was done is unknown.
    #[error("MUPDATE server {server}: {why}")]
    Unavailable { server: String, why: Why },
    /// It said something that is not MUPDATE.
    #[error("MUPDATE server {server}: {why}")]
    Protocol { server: String, why: String },
    /// Its list of `admins` (and `mupdate_readers`) does not have us.
    #[error("MUPDATE server {server}: login: {why}")]
    NoAdmin { server: String, why: String },
    /// TLS cannot be set up, or its handshake failed.
    #[error("MUPDATE server {server}: TLS: {why}")]
    Tls { server: String, why: String },
    /// It does not let us in, or not safely.
    #[error("MUPDATE server {server}: login: {why}")]
    Denied { server: String, why: String },
    /// It does not take our password. `why` is its answer.
    #[error("MUPDATE server {server}: wrong password for our login as {authname}: {why}")]
    WrongPassword { server: String, authname: String, why: String },
    /// It did not answer the login in time: it may be slowing logins, as after wrong passwords.
    #[error(
        "MUPDATE server {server}: login as {authname}: no answer in time; it slows logins after wrong passwords"
    )]
    SlowLogin { server: String, authname: String },
    /// None of the mechanisms that it offers may be used; `withheld`: one that tells the password would do, and there is no TLS.
    #[error("MUPDATE server {server}: login: no mechanism may be used of those offered: {offered}{}", if *withheld { WITHHELD } else { "" })]
    NoMechanism { server: String, offered: String, withheld: bool },
    /// It must not be used without TLS, and gives none.
    #[error("MUPDATE server {server}: {refusal}")]
    Unprotected { server: String, refusal: Refusal },
    /// Its list is beyond measure.
    #[error("MUPDATE server {server}: {why}")]
    Absurd { server: String, why: Absurd },
    /// It cannot tell a change of an entry from another: nothing was asked of it.
    #[error("MUPDATE server {server}: it does not announce FENCE")]
    NoFence { server: String },
    #[error("mupdate_server is not set")]
    NoServer,
}

/// Why a connection is of no use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Why {
    /// What the system said of the connection.
    #[error("{0}")]
    Io(Arc<io::Error>),
    #[error("the connection was closed")]
    Closed,
    /// The server said so (BYE, UNAVAILABLE), or what it said makes no sense.
    #[error("{0}")]
    Said(String),
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Why {
        Why::Io(Arc::new(error))
    }
}

impl From<String> for Why {
    fn from(text: String) -> Why {
        Why::Said(text)
    }
}

impl From<&str> for Why {
    fn from(text: &str) -> Why {
        Why::Said(text.to_owned())
    }
}

impl Error {
    /// Whether the master answered, and its answer is final.
    pub fn is_final(&self) -> bool {
        matches!(self, Error::Refused(_) | Error::Changed)
    }
}

impl Client {
    /// Connects to one of `mupdate_server` as `mupdate_authname`. Bounded by `client_timeout` per step.
    pub async fn connect(imapd: &Imapd) -> Result<Client, Error> {
        Self::connect_holding(imapd, None).await
    }

    /// The same, to one whose list goes at least up to `held`, if there are several.
    pub async fn connect_holding(imapd: &Imapd, held: Option<Position>) -> Result<Client, Error> {
        Self::dial_holding(&Address::Server(imapd.clone()), held).await
    }

    /// The same, to this master and to no other.
    pub async fn connect_to(imapd: &Imapd, master: Upstream) -> Result<Client, Error> {
        let (link, greeting) = choice::dial_one(imapd, master).await?;
        Ok(Client { link, greeting, measure: Measure::new(imapd) })
    }

    /// Connects to the socket beside a daemon's list: `<configdirectory>/murder/<program>/socket`.
    pub async fn local(socket: &Path) -> Result<Client, Error> {
        Self::dial(&Address::Socket(socket.into())).await
    }

    pub async fn dial(address: &Address) -> Result<Client, Error> {
        Self::dial_holding(address, None).await
    }

    async fn dial_holding(address: &Address, held: Option<Position>) -> Result<Client, Error> {
        let (link, greeting) = address.dial(held).await?;
        Ok(Client { link, greeting, measure: address.measure() })
    }

    /// The server that is talked to, as imapd.conf names it.
    pub fn server(&self) -> &str {
        &self.link.server
    }

    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    pub async fn find(&mut self, name: &MailboxName) -> Result<Option<Entry>, Error> {
        let mut found = None;
        self.ask("FIND", &[name.as_str()], |body| {
            found = entry_of(&body).map(|(_, entry)| entry);
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The same of many names, pipelined; the answers are in their order.
    pub async fn find_all(&mut self, names: &[MailboxName]) -> Result<Vec<Option<Entry>>, Error> {
        let mut all = Vec::with_capacity(names.len());
        for some in names.chunks(PIPELINED) {
            some.iter().for_each(|name| drop(self.link.say("FIND", &[name.as_str()])));
            self.link.flush().await?;
            for _ in some {
                let mut found = None;
                self.answer(|body| {
                    found = entry_of(&body).map(|(_, entry)| entry);
                    Ok(())
                })
                .await?;
                all.push(found);
            }
        }
        Ok(all)
    }

    /// All entries whose location begins with `prefix` (`server!`), or all, in the server's order.
    pub async fn list(&mut self, prefix: Option<&str>) -> Result<Vec<(MailboxName, Entry)>, Error> {
        let mut all = Vec::new();
        let (mut meter, server) = (Meter::new(self.measure), self.link.server.clone());
        self.ask("LIST", prefix.as_slice(), |body| {
            let found = entry_of(&body);
            let counted =
                meter.count(found.as_ref().map(|(name, _)| name), found.as_ref().map(|(_, entry)| entry));
            counted.map_err(|why| Error::Absurd { server: server.clone(), why })?;
            all.extend(found);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    pub async fn reserve(&mut self, name: &MailboxName, at: &Location) -> Result<(), Error> {
        self.ask("RESERVE", &[name.as_str(), at.as_str()], unasked).await
    }

    pub async fn activate(&mut self, name: &MailboxName, at: &Location, acl: &str) -> Result<(), Error> {
        self.ask("ACTIVATE", &[name.as_str(), at.as_str(), acl], unasked).await
    }

    pub async fn deactivate(&mut self, name: &MailboxName, at: &Location) -> Result<(), Error> {
        self.ask("DEACTIVATE", &[name.as_str(), at.as_str()], unasked).await
    }

    pub async fn delete(&mut self, name: &MailboxName) -> Result<(), Error> {
        self.ask("DELETE", &[name.as_str()], unasked).await
    }

    /// ACTIVATE if the entry is in the state expected. A Cyrus master cannot check that: there it is asked with FIND
    /// first, which leaves a gap.
    pub async fn activate_if(
        &mut self,
        name: &MailboxName,
        at: &Location,
        acl: &str,
        expect: &Expect,
    ) -> Result<(), Error> {
        self.can_judge(Some(expect))?;
        if self.greeting.has("EXPECT") {
            return self
                .ask("ACTIVATE", &[name.as_str(), at.as_str(), acl, &expect.to_string()], unasked)
                .await;
        }
        self.expect(name, expect).await?;
        self.activate(name, at, acl).await
    }

    /// DELETE if the entry is in the state expected, as [`Client::activate_if`].
    pub async fn delete_if(&mut self, name: &MailboxName, expect: &Expect) -> Result<(), Error> {
        self.can_judge(Some(expect))?;
        if self.greeting.has("EXPECT") {
            return self.ask("DELETE", &[name.as_str(), &expect.to_string()], unasked).await;
        }
        self.expect(name, expect).await?;
        self.delete(name).await
    }

    pub async fn noop(&mut self) -> Result<(), Error> {
        self.ask("NOOP", &[], unasked).await
    }

    /// The state of a server of ours, as JSON: `serve::status` has its shape.
    pub async fn status(&mut self) -> Result<serde_json::Value, Error> {
        self.status_with(None).await
    }

    /// The same, with what the server knows of a mailbox under `mailbox`.
    pub async fn status_with(&mut self, mailbox: Option<&MailboxName>) -> Result<serde_json::Value, Error> {
        let mut status = serde_json::Value::Null;
        let server = self.link.server.clone();
        let words: Vec<&str> = mailbox.map(MailboxName::as_str).into_iter().collect();
        self.ask("STATUS", &words, |body| {
            if let Body::Status(json) = body {
                status = serde_json::from_str(&json)
                    .map_err(|e| Error::Protocol { server: server.clone(), why: e.to_string() })?;
            }
            Ok(())
        })
        .await?;
        Ok(status)
    }

    /// Lets a replica carry out the deletions that it holds back.
    pub async fn accept(&mut self) -> Result<(), Error> {
        self.ask("ACCEPT", &[], unasked).await
    }

    /// Ends the showing of a conflict.
    pub async fn resolve(&mut self, name: &MailboxName) -> Result<(), Error> {
        self.ask("RESOLVE", &[name.as_str()], unasked).await
    }

    /// Says goodbye; the connection is closed whatever comes.
    pub async fn logout(mut self) {
        self.link.say_tagged("Q01", "LOGOUT", &[]);
        if self.link.flush().await.is_ok() {
            let _ = self.link.response(GOOD_BYE).await;
        }
        let _ = self.link.wire().close().await;
    }

    pub fn into_parts(self) -> (Link, Greeting) {
        (self.link, self.greeting)
    }

    async fn expect(&mut self, name: &MailboxName, expect: &Expect) -> Result<(), Error> {
        let found = self.find(name).await?;
        // It relies on no change of this list: that was asked before.
        if expect.holds(found.as_ref(), ListId::default()) { Ok(()) } else { Err(Error::Changed) }
    }

    /// One command, its data lines, its end. Tags are ignored, as Cyrus's clients do: answers come in order.
    async fn ask(
        &mut self,
        verb: &str,
        strings: &[&str],
        each: impl FnMut(Body) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.link.say(verb, strings);
        self.link.flush().await?;
        self.answer(each).await
    }

    /// The answer to the oldest command that has none yet.
    async fn answer(&mut self, mut each: impl FnMut(Body) -> Result<(), Error>) -> Result<(), Error> {
        loop {
            match self.link.response(PATIENCE).await?.body {
                Body::Ok(_) => return Ok(()),
                Body::No(text) | Body::Bad(text) if text.starts_with("[CHANGED]") => {
                    return Err(Error::Changed);
                }
                Body::No(text) if text.starts_with("[UNAVAILABLE]") => return Err(self.link.lost(text)),
                Body::No(text) | Body::Bad(text) => return Err(Error::Refused(text)),
                Body::Bye(text) => return Err(self.link.lost(text)),
                body => each(body)?,
            }
        }
    }
}

fn unasked(_: Body) -> Result<(), Error> {
    Ok(())
}

/// The entry of a data line; names and places that cannot be are skipped.
pub(crate) fn entry_of(body: &Body) -> Option<(MailboxName, Entry)> {
    let (name, location, acl) = match body {
        Body::Mailbox { name, location, acl } => (name, location, Some(acl.as_str())),
        Body::Reserve { name, location } => (name, location, None),
        _ => return None,
    };
    let (name, location) = (MailboxName::parse(name).ok()?, Location::parse(location).ok()?);
    let entry = match acl {
        Some(acl) => Entry::active(location, acl),
        None => Entry::reserved(location),
    };
    Some((name, entry))
}

const WITHHELD: &str = " (the password is not sent without TLS: set allowplaintext: yes to allow it)";
