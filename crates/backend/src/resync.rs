//! Agreement with the MUPDATE master, by the backend itself: what `ctl_mboxlist -m` does in START, done again when that
//! could not (the master was down), and after an operation whose outcome at the master is unknown.
//!
//! It runs in the background while mail is served. Every change it makes at the master names the state it relies on,
//! so that an operation that overtakes it wins; reservations are left to the operations that made them. What would
//! remove much ([`mailboxes::guard`]) is held, and said, until an operator runs `ctl_mboxlist -m`.

use std::sync::Arc;
use std::time::Duration;

use mailboxes::reconcile::{Activation, Known, Reconciliation, Rule, Step};
use mailboxes::{Change, Entry};
use mupdate::client::{Activate, Client, Error};
use protocol::name::MailboxName;
use service::Context;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::store::Store;

/// Why an attempt ended early; the next one begins anew.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Master(#[from] Error),
    #[error("{0}")]
    List(#[from] mailboxes::Error),
    #[error("{0}")]
    Commit(#[from] mailboxes::CommitError),
}

/// Keeps the two in agreement until the daemon ends. `doubt` is notified when they may have come apart.
pub fn start(context: &Context, store: Store, doubt: Arc<Notify>) {
    if context.imapd().mupdate_server.is_none() {
        return;
    }
    let context = context.clone();
    context.clone().tasks().spawn(async move {
        let stop = context.shutdown();
        stop.run_until_cancelled(keep(&context, &store, &doubt)).await;
    });
}

async fn keep(context: &Context, store: &Store, doubt: &Notify) {
    let mut wait = FIRST_WAIT;
    loop {
        match once(context, store).await {
            Ok(()) => {
                wait = FIRST_WAIT;
                doubt.notified().await;
                // The operation that was in doubt, and others like it, come to their ends first.
                tokio::time::sleep(SETTLE).await;
            }
            Err(failure) => {
                warn!("not yet in agreement with the MUPDATE master: {failure}");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(context.imapd().mupdate_retry_delay.max(FIRST_WAIT));
            }
        }
    }
}

async fn once(context: &Context, store: &Store) -> Result<(), Failure> {
    let imapd = context.imapd();
    let mut master = Client::connect(&imapd).await?;
    let here = master.list(Some(&format!("{}!", imapd.servername))).await?;
    let here = here.into_iter().map(|(name, entry)| (name, known(&entry))).collect();
    let mut work = Reconciliation::begin(here, local(store)?, |_| true, Rule::Ordinary);
    let questions = work.questions();
    for (name, found) in questions.iter().zip(master.find_all(&questions).await?) {
        work.answer(name, found.as_ref().map(known));
    }
    if let Some(plan) = work.plans().iter().find(|plan| !plan.is_safe()) {
        warn!("held until ctl_mboxlist -m is run by hand: {plan}");
    } else {
        carry_out(store, &mut master, &work).await?;
    }
    master.logout().await;
    Ok(())
}

async fn carry_out(store: &Store, master: &mut Client, work: &Reconciliation) -> Result<(), Failure> {
    for (name, known) in &work.removals {
        // A mailbox that was made meanwhile is no longer one to remove.
        if store.list().get(name)?.is_none() && accepted(master.delete_if(name, &known.expect()).await)? {
            info!("{}", Step::Remove(name));
        }
    }
    for some in work.activations.chunks(AT_ONCE) {
        activate(store, master, some).await?;
    }
    for activation in &work.unflags {
        unflag(store, activation).await?;
        activate(store, master, std::slice::from_ref(activation)).await?;
    }
    for (name, at) in &work.wipes {
        match store.put_away(name).await {
            Ok(()) => info!("{}: it is on {at}", Step::Wipe(name)),
            Err(error) => warn!("couldn't delete defunct mailbox {name}: {error}"),
        }
    }
    for (name, at) in &work.doubtful {
        warn!("{name}: reserved at the master for {at}: left alone");
    }
    Ok(())
}

/// Tells the master of mailboxes, but not of one that changed here since the plan was made: its own operation told of
/// that.
async fn activate(store: &Store, master: &mut Client, some: &[Activation]) -> Result<(), Failure> {
    let mut all = Vec::with_capacity(some.len());
    for what in some {
        let current = store.list().get(&what.name)?;
        if current.is_some_and(|entry| entry.location == what.location && entry.acl == what.acl) {
            let (location, acl) = (&what.location, &*what.acl);
            all.push(Activate { name: &what.name, location, acl, expect: Some(what.expect()) });
        }
    }
    let told = master.activate_all(&all).await?;
    for (what, _) in all.iter().zip(told).filter(|(_, outcome)| outcome.is_ok()) {
        info!("{}", Step::Activate(what.name));
    }
    Ok(())
}

/// Forgets that a mailbox was being moved.
async fn unflag(store: &Store, what: &Activation) -> Result<(), Failure> {
    let Some(mut entry) = store.list().get(&what.name)? else { return Ok(()) };
    entry.moving = None;
    store.list().commit(vec![Change::put(what.name.clone(), entry)]).await?;
    info!("{}", Step::Unflag(&what.name));
    Ok(())
}

/// A NO is an answer: somebody was faster. Anything else ends the attempt.
fn accepted(outcome: Result<(), Error>) -> Result<bool, Failure> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.is_final() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The whole list of this backend.
fn local(store: &Store) -> Result<Vec<(MailboxName, Entry)>, Failure> {
    let mut all: Vec<(MailboxName, Entry)> = Vec::new();
    loop {
        let page = store.list().scan(all.last().map(|(name, _)| name), PAGE)?;
        all.extend(page.entries);
        if !page.more {
            return Ok(all);
        }
    }
}

fn known(entry: &Entry) -> Known {
    Known { active: entry.is_active(), location: entry.location.clone(), acl: entry.acl.clone() }
}

const PAGE: usize = 1000;
/// Mailboxes told of together: few, so that little changes between the look and the telling.
const AT_ONCE: usize = 100;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_secs(2);
