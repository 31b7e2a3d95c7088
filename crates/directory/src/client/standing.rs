//! What the master has of a name, to the very change; and the one write that decides a move.
//!
//! ```text
//! ask:     ACTIVATE root "D!part" acl  expecting active@S!part#n
//!            OK ─▶ Switched        [CHANGED] ─▶ read        no answer ─▶ in doubt
//! settle:  ACTIVATE root "S!part" acl  expecting active@S!part#n          on a new connection
//!            OK ─▶ Kept            [CHANGED] ─▶ read        no answer ─▶ still in doubt
//! ```
//!
//! A doubt is not resolved by reading: the write without an answer may lie in a buffer of the master's still. The write
//! of [`Client::settle`] gives the entry another number, after which the late one fails; only then does reading say what
//! is true for good.

use mailboxes::{AtMaster, Decision, Entry, Expect, Place, Switch};
use protocol::{location::Location, name::MailboxName};
use serde_json::Value;

use super::{Client, Error};

impl Client {
    /// What the master has of a name, with the number of its last change. A server that does not announce `FENCE` is not
    /// asked ([`Error::NoFence`]).
    pub async fn status_of(&mut self, name: &MailboxName) -> Result<AtMaster, Error> {
        self.has_fence()?;
        let status = self.status_with(Some(name)).await?;
        let read = || {
            let position = super::watch::position(&status["position"])?;
            let entry = match &status["mailbox"] {
                Value::Null => None,
                told => Some(entry(told)?),
            };
            Some(AtMaster { position, entry })
        };
        let why = || format!("a status that does not tell of the mailbox: {}", status["mailbox"]);
        read().ok_or_else(|| Error::Protocol { server: self.link.server.clone(), why: why() })
    }

    /// ACTIVATE if the entry is in the state expected. Nothing is sent to a master that cannot check that itself: to none
    /// of Cyrus's, and with a change expected to none without `FENCE`.
    pub async fn activate_expecting(
        &mut self,
        name: &MailboxName,
        at: &Location,
        acl: &str,
        expect: &Expect,
    ) -> Result<(), Error> {
        if !self.greeting.has("EXPECT") {
            return Err(self.no_fence());
        }
        self.activate_if(name, at, acl, expect).await
    }

    /// The decision of a move. After an error that is not final ([`Error::is_final`]) it is in doubt: [`Client::settle`]
    /// on another connection.
    pub async fn decide(&mut self, switch: &Switch<'_>) -> Result<Decision, Error> {
        match self.claim(switch, switch.to).await {
            Ok(()) => Ok(Decision::Switched),
            Err(Error::Changed) => self.read(switch).await,
            Err(error) => Err(error),
        }
    }

    /// Ends the doubt about a decision that had no answer: what has not happened by now does not happen any more. To be
    /// asked again, on another connection, after any error.
    pub async fn settle(&mut self, switch: &Switch<'_>) -> Result<Decision, Error> {
        match self.claim(switch, switch.from).await {
            Ok(()) => Ok(Decision::Kept),
            Err(Error::Changed) => self.read(switch).await,
            Err(error) => Err(error),
        }
    }

    async fn claim(&mut self, switch: &Switch<'_>, at: &Location) -> Result<(), Error> {
        let expect = Expect::Active(Place::from(switch.from).fenced(switch.fence));
        self.activate_expecting(switch.root, at, switch.acl, &expect).await
    }

    /// Only once the entry has another number than the switch expects.
    async fn read(&mut self, switch: &Switch<'_>) -> Result<Decision, Error> {
        Ok(switch.read(&self.status_of(switch.root).await?))
    }

    /// Whether the server understands what is expected.
    pub(super) fn can_judge(&self, expect: Option<&Expect>) -> Result<(), Error> {
        if expect.is_some_and(Expect::needs_fence) { self.has_fence() } else { Ok(()) }
    }

    fn has_fence(&self) -> Result<(), Error> {
        if self.greeting.has("FENCE") { Ok(()) } else { Err(self.no_fence()) }
    }

    fn no_fence(&self) -> Error {
        Error::NoFence { server: self.link.server.clone() }
    }
}

/// `mailbox` of a status.
fn entry(told: &Value) -> Option<Entry> {
    let location = Location::parse(told["location"].as_str()?).ok()?;
    let entry = match told["state"].as_str()? {
        "active" => Entry::active(location, told["acl"].as_str()?),
        "reserved" => Entry::reserved(location),
        _ => return None,
    };
    Some(Entry { mtime: told["since"].as_u64()?, seq: told["seq"].as_u64()?, ..entry })
}
