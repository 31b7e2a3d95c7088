//! How a backend clears a mailbox operation with the MUPDATE master: one connection per operation.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use config::imapd::Imapd;
use directory::client::{Client, Error, masters};
use mailboxes::reconcile::Busy;
use mailboxes::{AtMaster, Decision, Entry, Expect, Place, Switch};
use protocol::location::Location;
use protocol::name::MailboxName;
use service::Context;
use tokio::sync::Notify;

use store::{Answer, Master, MasterError, MasterSession};

/// The master that imapd.conf names, as it stands when an operation begins.
pub struct Clearance {
    /// The settings as they stand.
    imapd: Box<dyn Fn() -> Imapd + Send + Sync>,
    standing: Arc<Standing>,
}

/// How operations and the agreement of the two lists hear of each other.
#[derive(Debug, Default)]
pub struct Standing {
    /// Told when an operation may have left the two lists apart.
    doubt: Notify,
    /// Names that operations under way have reserved, and how many have.
    reserving: Mutex<HashMap<MailboxName, usize>>,
    /// What moves have to do with a name; none: nothing moves here.
    moves: OnceLock<Moves>,
}

/// Says what a move has to do with a name: [`Busy::Free`], [`Busy::Moving`] or [`Busy::Arrived`].
pub struct Moves(pub Box<dyn Fn(&MailboxName) -> Busy + Send + Sync>);

impl fmt::Debug for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moves")
    }
}

impl Standing {
    /// Lets moves be asked before anything is done about a name. To be called before the lists are first compared.
    pub fn ask_moves(&self, moves: Moves) {
        // Set once, at start; a second setting would be a slip without harm.
        let _ = self.moves.set(moves);
    }

    /// What is going on with a name.
    pub fn busy(&self, name: &MailboxName) -> Busy {
        match self.moves.get().map_or(Busy::Free, |moves| moves.0(name)) {
            Busy::Free if self.is_reserving(name) => Busy::Reserving,
            busy => busy,
        }
    }

    /// Returns when an operation has ended whose outcome at the master is unknown. Safe to cancel.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// Has the two lists compared soon.
    pub fn compare(&self) {
        self.doubt.notify_one();
    }

    /// Whether a reservation of this name belongs to an operation under way.
    fn is_reserving(&self, name: &MailboxName) -> bool {
        self.reserving().contains_key(name)
    }

    fn reserving(&self) -> MutexGuard<'_, HashMap<MailboxName, usize>> {
        self.reserving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clearance {
    /// None without `mupdate_server`: the backend stands alone.
    pub fn of(context: &Context, standing: Arc<Standing>) -> Option<Clearance> {
        let context = context.clone();
        context
            .imapd()
            .mupdate_server
            .is_some()
            .then(|| Clearance { imapd: Box::new(move || context.imapd()), standing })
    }

    /// For a tool that opens the store itself.
    pub fn for_tool(imapd: &Imapd) -> Option<Clearance> {
        let imapd = imapd.clone();
        let own = move || imapd.clone();
        let standing = Arc::default();
        own().mupdate_server.is_some().then(|| Clearance { imapd: Box::new(own), standing })
    }
}

impl Master for Clearance {
    fn connect(&self) -> Answer<'_, Result<Box<dyn MasterSession>, MasterError>> {
        Box::pin(async {
            let imapd = (self.imapd)();
            let client = Client::connect(&imapd).await.map_err(|error| {
                tracing::warn!(%error, "the MUPDATE master cannot be asked");
                unavailable(&error)
            })?;
            let (standing, reserved) = (self.standing.clone(), Vec::new());
            let ours = Expect::Ours(Place::from(imapd.servername.as_str()));
            Ok(Box::new(Session { client, imapd, ours, standing, reserved, doubtful: false })
                as Box<dyn MasterSession>)
        })
    }
}

struct Session {
    client: Client,
    /// As it was when the operation began.
    imapd: Imapd,
    /// What an operation relies on: a late word of it must not take back a mailbox that was given away meanwhile.
    ours: Expect,
    standing: Arc<Standing>,
    /// Names that this operation has reserved.
    reserved: Vec<MailboxName>,
    /// The outcome of a change is unknown.
    doubtful: bool,
}

/// A change of one entry: asked for twice, it does what it does once.
enum Change<'a> {
    Reserve(&'a Location),
    Activate(&'a Location, &'a str),
    Delete,
}

impl Change<'_> {
    /// Whether an entry is as the change leaves it.
    fn is_done(&self, found: Option<&Entry>) -> bool {
        match (self, found) {
            (Change::Reserve(at), Some(entry)) => !entry.is_active() && entry.location == **at,
            (Change::Activate(at, acl), Some(entry)) => {
                entry.is_active() && entry.location == **at && *entry.acl == **acl
            }
            (Change::Delete, None) => true,
            (Change::Delete, Some(_)) | (Change::Reserve(_) | Change::Activate(..), None) => false,
        }
    }
}

impl Session {
    /// A change at the master; when its outcome is unknown, the lists are compared again after the operation.
    fn changed(
        &mut self,
        result: Result<(), Error>,
        name: &MailboxName,
        no: MasterError,
    ) -> Result<(), MasterError> {
        self.doubtful |= result.as_ref().is_err_and(|error| !error.is_final());
        refused(result, name, no)
    }

    /// What became of a change that was not answered: another master, or the same one again, is asked for the entry. If it is
    /// not as the change makes it, the change is asked for once more; each of them can be asked for twice.
    async fn settled(
        &mut self,
        done: Result<(), Error>,
        name: &MailboxName,
        change: &Change<'_>,
    ) -> Result<(), Error> {
        let Err(lost @ (Error::Unavailable { .. } | Error::Protocol { .. })) = &done else { return done };
        // Should the first one come late, it is seen when the lists are compared.
        self.doubtful = true;
        tracing::warn!(error = %lost, %name, "the outcome of a change is unknown: the entry is read again");
        masters::leave_after(&self.imapd, lost);
        let Ok(client) = Client::connect(&self.imapd).await else { return done };
        self.client = client;
        match self.client.find(name).await? {
            found if change.is_done(found.as_ref()) => Ok(()),
            _ => self.ask(name, change).await,
        }
    }

    async fn ask(&mut self, name: &MailboxName, change: &Change<'_>) -> Result<(), Error> {
        let fences = self.client.greeting().has("FENCE");
        match (change, fences) {
            (Change::Reserve(at), _) => self.client.reserve(name, at).await,
            (Change::Activate(at, acl), true) => self.client.activate_if(name, at, acl, &self.ours).await,
            (Change::Activate(at, acl), false) => self.client.activate(name, at, acl).await,
            (Change::Delete, true) => self.client.delete_if(name, &self.ours).await,
            (Change::Delete, false) => self.client.delete(name).await,
        }
    }

    /// Asks for a change until it is known what became of it, as far as any master answers.
    async fn change(&mut self, name: &MailboxName, change: Change<'_>) -> Result<(), MasterError> {
        let no = match change {
            Change::Reserve(_) => MasterError::NotReserved,
            Change::Activate(..) | Change::Delete => MasterError::Failed,
        };
        let asked = self.ask(name, &change).await;
        let done = self.settled(asked, name, &change).await;
        self.changed(done, name, no)
    }

    /// From here on the reservation is this operation's.
    fn claim(&mut self, name: &MailboxName) {
        *self.standing.reserving().entry(name.clone()).or_default() += 1;
        self.reserved.push(name.clone());
    }
}

impl Drop for Session {
    /// The operation is over: a reservation that is left is nobody's.
    fn drop(&mut self) {
        let mut reserving = self.standing.reserving();
        for name in self.reserved.drain(..) {
            if let Some(operations) = reserving.get_mut(&name) {
                *operations -= 1;
                if *operations == 0 {
                    reserving.remove(&name);
                }
            }
        }
        drop(reserving);
        if self.doubtful {
            self.standing.doubt.notify_one();
        }
    }
}

impl MasterSession for Session {
    fn reserve<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async {
            self.claim(name);
            self.change(name, Change::Reserve(at)).await
        })
    }

    fn activate<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
        acl: &'a str,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(self.change(name, Change::Activate(at, acl)))
    }

    fn delete<'a>(&'a mut self, name: &'a MailboxName) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(self.change(name, Change::Delete))
    }

    fn status<'a>(&'a mut self, name: &'a MailboxName) -> Answer<'a, Result<AtMaster, MasterError>> {
        Box::pin(async { refused(self.client.status_of(name).await, name, MasterError::Failed) })
    }

    fn is_cordoned<'a>(&'a mut self, server: &'a str) -> Answer<'a, Result<bool, MasterError>> {
        Box::pin(async move {
            let cordons = self.client.cordons().await.map_err(|error| unavailable(&error))?;
            Ok(cordons.keys().any(|cordoned| cordoned.as_str() == server))
        })
    }

    fn activate_expecting<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
        acl: &'a str,
        expect: &'a Expect,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async {
            let done = self.client.activate_expecting(name, at, acl, expect).await;
            self.changed(done, name, MasterError::Failed)
        })
    }

    fn find<'a>(&'a mut self, name: &'a MailboxName) -> Answer<'a, Result<Option<Entry>, MasterError>> {
        Box::pin(async { refused(self.client.find(name).await, name, MasterError::Failed) })
    }

    fn deactivate<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
    ) -> Answer<'a, Result<(), MasterError>> {
        Box::pin(async { refused(self.client.deactivate(name, at).await, name, MasterError::NotReserved) })
    }

    // A decision in doubt is the move's to settle: comparing the lists would be reading.

    fn decide<'a>(&'a mut self, switch: &'a Switch<'a>) -> Answer<'a, Result<Decision, MasterError>> {
        Box::pin(async { refused(self.client.decide(switch).await, switch.root, MasterError::Failed) })
    }

    fn settle<'a>(&'a mut self, switch: &'a Switch<'a>) -> Answer<'a, Result<Decision, MasterError>> {
        Box::pin(async { refused(self.client.settle(switch).await, switch.root, MasterError::Failed) })
    }
}

fn refused<T>(result: Result<T, Error>, name: &MailboxName, no: MasterError) -> Result<T, MasterError> {
    result.map_err(|error| {
        tracing::warn!(%error, %name, "the MUPDATE master did not agree");
        match error {
            Error::Refused(_) => no,
            Error::Changed => MasterError::Changed,
            other => unavailable(&other),
        }
    })
}

fn unavailable(error: &Error) -> MasterError {
    match error {
        Error::Denied { .. }
        | Error::WrongPassword { .. }
        | Error::SlowLogin { .. }
        | Error::NoAdmin { .. }
        | Error::Tls { .. }
        | Error::NoMechanism { .. }
        | Error::Unprotected { .. } => MasterError::Login,
        Error::Protocol { .. } | Error::Absurd { .. } => MasterError::Protocol,
        Error::Refused(_) => MasterError::Failed,
        Error::Changed => MasterError::Changed,
        Error::NoFence { .. } => MasterError::NoFence,
        Error::Unavailable { .. } | Error::NoServer => MasterError::Down,
    }
}
