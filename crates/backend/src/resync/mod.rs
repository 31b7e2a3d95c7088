//! Agreement with the MUPDATE master, kept by the backend itself. The two lists are compared ([`compare`]) when
//!
//! | | |
//! |---|---|
//! | the daemon starts | what `ctl_mboxlist -m` does in START, for when that could not: the master was down |
//! | an operation ended without the master's answer | what became of it there is not known |
//! | the master has another list, or an earlier one | it lost its own, was restored from a dump, or is another machine |
//! | something was left alone | another backend may have put it right meanwhile |
//!
//! To hear of the third, one connection to the master is kept, and its list's identity is asked for at its beginning and
//! every `mupdate_retry_delay`. A master that starts again ends the connection, so that its list is looked at as soon
//! as it answers. A Cyrus master cannot say which list it has: no connection is kept to one.

mod compare;

use std::{convert::Infallible, sync::Arc};

use directory::client::{Client, Error, masters};
use mailboxes::Position;
use retry::{Backoff, chance, part_of, spread};
use service::Context;
use store::Store;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::clearance::Standing;
use crate::limits::{FIRST_PAUSE, LEFT_FIRST, LEFT_LAST, PATIENCE, SETTLE, SPREAD};

/// Why an attempt ended early; the next one begins anew.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Master(#[from] Error),
    #[error("{0}")]
    List(#[from] mailboxes::Error),
    #[error("{0}")]
    Commit(#[from] mailboxes::CommitError),
    #[error("the MUPDATE master does not say where its list stands")]
    Silent,
    #[error("mupdate_server names another master")]
    Moved,
}

/// Keeps the two in agreement until the daemon ends. `standing` tells when they may have come apart.
pub fn start(context: &Context, store: Store, standing: Arc<Standing>) {
    if context.imapd().mupdate_server.is_none() {
        return;
    }
    let context = context.clone();
    context.clone().tasks().spawn(async move {
        let stop = context.shutdown();
        let mut keeper = Keeper {
            context: &context,
            store: &store,
            standing: &standing,
            agreed: None,
            due: Some(Cause::Start),
            again: None,
            patience: Backoff::new(LEFT_FIRST),
            pauses: Backoff::new(FIRST_PAUSE),
            lost: false,
            connected: false,
            told: None,
        };
        stop.run_until_cancelled(keeper.keep()).await;
    });
}

/// Why the lists are to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Start,
    Doubt,
    /// The master's list is not the one that it had.
    Replaced,
    /// Something was left alone the last time.
    Left,
}

struct Keeper<'a> {
    context: &'a Context,
    store: &'a Store,
    standing: &'a Standing,
    /// Where the master's list was seen last, since they were compared; `Some(None)`: it could not say.
    agreed: Option<Option<Position>>,
    due: Option<Cause>,
    /// When what was left alone is looked at again, and how long the next time is waited for that.
    again: Option<Instant>,
    patience: Backoff,
    /// Until the next attempt to connect.
    pauses: Backoff,
    /// The log's last word is that the master is away.
    lost: bool,
    /// This attempt has reached it.
    connected: bool,
    /// Why it was away, as the log has it; until a connection has lasted.
    told: Option<String>,
}

impl Keeper<'_> {
    async fn keep(&mut self) {
        loop {
            let Err(failure) = self.follow().await;
            if let Failure::Master(error) = &failure {
                masters::leave_after(&self.context.imapd(), error);
            }
            let (why, connected) = (failure.to_string(), std::mem::take(&mut self.connected));
            // A master that takes us and breaks off, again and again, is one trouble.
            if self.told.as_ref() != Some(&why) || (!connected && !self.lost) {
                warn!("not in touch with the MUPDATE master: {why}");
                (self.lost, self.told) = (true, Some(why));
            }
            let longest = self.context.imapd().mupdate_retry_delay.max(FIRST_PAUSE);
            sleep(spread(self.pauses.pause(longest), chance())).await;
        }
    }

    /// Compares whenever that is due, until the connection breaks.
    async fn follow(&mut self) -> Result<Infallible, Failure> {
        let imapd = self.context.imapd();
        // Masters that share a list have the same numbers: one of them that is behind is no other list.
        let mut master = Client::connect_holding(&imapd, self.agreed.flatten()).await?;
        match master.speak_for(&imapd.servername).await {
            // It is a replica, say, that takes no changes either: comparing will tell.
            Ok(()) | Err(Error::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            let at = timeout(PATIENCE, master.position()).await.map_err(|_| Failure::Silent)??;
            self.notice(at);
            if let Some(cause) = self.due {
                self.compare(&mut master, cause, at).await?;
            }
            if std::mem::take(&mut self.lost) {
                info!("in touch with the MUPDATE master again");
            }
            self.connected = true;
            if at.is_some() {
                self.listen(Some(&mut master)).await?;
            } else {
                master.logout().await;
                while self.due.is_none() {
                    self.listen(None).await?;
                }
                master = Client::connect(&self.context.imapd()).await?;
            }
            // It lasted.
            self.pauses.reset();
            self.told = None;
            if self.context.imapd().mupdate_server != imapd.mupdate_server {
                return Err(Failure::Moved);
            }
        }
    }

    /// Looks whether the master still has the list that it had. A lower number of the same list is an earlier state.
    fn notice(&mut self, at: Option<Position>) {
        let Some(before) = self.agreed else { return };
        let same = match (before, at) {
            (Some(before), Some(at)) => {
                (before.list, before.term) == (at.list, at.term) && before.seq <= at.seq
            }
            (None, None) => true,
            _ => false,
        };
        match same {
            true => self.agreed = Some(at),
            false => self.due = Some(Cause::Replaced),
        }
    }

    async fn compare(
        &mut self,
        master: &mut Client,
        cause: Cause,
        at: Option<Position>,
    ) -> Result<(), Failure> {
        if cause == Cause::Replaced {
            let which = at.map_or("one without a number".to_owned(), |at| at.to_string());
            warn!("the MUPDATE master has another list than before, {which}: it is told of all mailboxes");
            // The other backends have seen it at the same moment.
            sleep(part_of(SPREAD.min(self.context.imapd().mupdate_retry_delay), chance())).await;
        }
        let may_wipe = cause == Cause::Start;
        let servername = self.context.imapd().servername.clone();
        let parties =
            compare::Parties { store: self.store, standing: self.standing, servername: &servername };
        let done = compare::run(&parties, master, may_wipe).await?;
        if cause == Cause::Replaced {
            warn!("the MUPDATE master was told of all mailboxes: {done}");
        }
        (self.agreed, self.due) = (Some(at), None);
        if cause != Cause::Left || done.left == 0 {
            self.patience.reset();
        }
        let patience = self.patience.pause(LEFT_LAST);
        self.again = (done.left > 0).then(|| Instant::now() + patience);
        Ok(())
    }

    /// Waits until the lists are to be compared again, or the master to be asked where it stands.
    async fn listen(&mut self, master: Option<&mut Client>) -> Result<(), Failure> {
        let ended = async {
            match master {
                Some(master) => master.ended().await,
                None => std::future::pending().await,
            }
        };
        let again = async {
            match self.again {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.standing.doubted() => {
                // Operations like the one that was in doubt come to their ends first.
                sleep(SETTLE).await;
                self.due = Some(Cause::Doubt);
            }
            () = again => self.due = Some(Cause::Left),
            why = ended => return Err(why.into()),
            () = sleep(self.context.imapd().mupdate_retry_delay.max(FIRST_PAUSE)) => {}
        }
        Ok(())
    }
}
