//! How a backend clears a mailbox operation with the MUPDATE master: one connection per operation.

use std::sync::Arc;

use config::imapd::Imapd;
use mupdate::client::{Client, Error};
use protocol::location::Location;
use protocol::name::MailboxName;
use service::Context;
use tokio::sync::Notify;

use crate::store::{Answer, Held, Master, MasterError, MasterSession};

/// The master that imapd.conf names, as it stands when an operation begins.
pub struct Clearance {
    /// The settings as they stand.
    imapd: Box<dyn Fn() -> Imapd + Send + Sync>,
    /// Told when an operation may have left the two lists apart.
    doubt: Arc<Notify>,
}

impl Clearance {
    /// None without `mupdate_server`: the backend stands alone.
    pub fn of(context: &Context, doubt: Arc<Notify>) -> Option<Clearance> {
        let context = context.clone();
        context
            .imapd()
            .mupdate_server
            .is_some()
            .then(|| Clearance { imapd: Box::new(move || context.imapd()), doubt })
    }

    /// For a tool that opens the store itself.
    pub fn for_tool(imapd: &Imapd) -> Option<Clearance> {
        let imapd = imapd.clone();
        let own = move || imapd.clone();
        own().mupdate_server.is_some().then(|| Clearance { imapd: Box::new(own), doubt: Arc::default() })
    }
}

impl Master for Clearance {
    fn connect(&self) -> Answer<'_, Result<Box<dyn MasterSession>, MasterError>> {
        Box::pin(async {
            let client = Client::connect(&(self.imapd)()).await.map_err(|error| {
                tracing::warn!(%error, "the MUPDATE master cannot be asked");
                unavailable(&error)
            })?;
            Ok(Box::new(Session { client, doubt: self.doubt.clone() }) as Box<dyn MasterSession>)
        })
    }
}

struct Session {
    client: Client,
    doubt: Arc<Notify>,
}

impl Session {
    /// A change at the master; when its outcome is unknown, the lists are compared again later.
    fn changed(
        &self,
        result: Result<(), Error>,
        name: &MailboxName,
        no: MasterError,
    ) -> Result<(), MasterError> {
        if result.as_ref().is_err_and(|error| !error.is_final()) {
            self.doubt.notify_one();
        }
        refused(result, name, no)
    }
}

impl MasterSession for Session {
    fn reserve<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async {
            let done = self.client.reserve(name, at).await;
            self.changed(done, name, MasterError::NotReserved)
        })
    }

    fn activate<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
        acl: &'a str,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async {
            let done = self.client.activate(name, at, acl).await;
            self.changed(done, name, MasterError::Failed)
        })
    }

    fn delete<'a>(&'a mut self, name: &'a MailboxName) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async {
            let done = self.client.delete(name).await;
            self.changed(done, name, MasterError::Failed)
        })
    }

    fn find<'a>(&'a mut self, name: &'a MailboxName) -> Answer<'a, Result<Option<Held>, MasterError>> {
        Box::pin(async {
            let found = refused(self.client.find(name).await, name, MasterError::Failed)?;
            Ok(found.map(held))
        })
    }

    fn held_by<'a>(
        &'a mut self,
        server: &'a str,
    ) -> Answer<'a, Result<Vec<(MailboxName, Held)>, MasterError>> {
        Box::pin(async move {
            let all = self.client.list(Some(&format!("{server}!"))).await.map_err(|e| unavailable(&e))?;
            Ok(all.into_iter().map(|(name, entry)| (name, held(entry))).collect())
        })
    }
}

fn held(entry: mailboxes::Entry) -> Held {
    Held { active: entry.is_active(), location: entry.location, acl: entry.acl.to_string() }
}

fn refused<T>(result: Result<T, Error>, name: &MailboxName, no: MasterError) -> Result<T, MasterError> {
    result.map_err(|error| {
        tracing::warn!(%error, %name, "the MUPDATE master did not agree");
        if error.is_final() { no } else { unavailable(&error) }
    })
}

fn unavailable(error: &Error) -> MasterError {
    match error {
        Error::Denied { .. } => MasterError::Login,
        Error::Protocol { .. } => MasterError::Protocol,
        Error::Refused(_) | Error::Changed => MasterError::Failed,
        Error::Unavailable { .. } | Error::NoServer => MasterError::Down,
    }
}
