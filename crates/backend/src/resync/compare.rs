//! One comparison with the master, while mail is served.
//!
//! Every change that it makes at the master names the state it relies on, so that an operation that overtakes it wins. A
//! reservation that no operation under way has made is taken back. Nothing is taken from other backends. What would
//! remove much ([`mailboxes::guard`]) is held, and said, until an operator runs `ctl_mboxlist -m`; what is missing at the
//! master is told all the same. A copy here that the master has elsewhere is put away only where `ctl_mboxlist -m` would
//! have done it in START; a list that has just replaced another may well be wrong, and is contradicted by nobody but us.

use std::fmt;

use directory::client::{Activate, Client, Delete};
use mailboxes::reconcile::{Activation, Busy, Known, Reconciliation, Rule, Step};
use mailboxes::{Change, Entry, LIST_PAGE};
use protocol::{location::Location, name::MailboxName};
use store::Store;
use tracing::{info, warn};

use super::Failure;
use crate::clearance::Standing;
use crate::limits::AT_ONCE;

/// Whose lists are compared with the master's.
pub struct Parties<'a> {
    pub store: &'a Store,
    pub standing: &'a Standing,
    pub servername: &'a str,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Done {
    /// Mailboxes that the master was told of, and those that it forgot.
    pub told: usize,
    pub removed: usize,
    /// Mailboxes that somebody else may have.
    pub left: usize,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} were new to it, {} it has no more, {} left alone", self.told, self.removed, self.left)
    }
}

/// Compares, and makes the master's list say what is true of this server.
pub async fn run(parties: &Parties<'_>, master: &mut Client, may_wipe: bool) -> Result<Done, Failure> {
    let here = master.list(Some(&format!("{}!", parties.servername))).await?;
    let here = here.into_iter().map(|(name, entry)| (name, known(&entry))).collect();
    let busy = |name: &MailboxName| parties.standing.busy(name);
    let mut work = Reconciliation::begin(here, local(parties.store)?, busy, Rule::Ordinary);
    let questions = work.questions();
    for (name, found) in questions.iter().zip(master.find_all(&questions).await?) {
        work.answer(name, found.as_ref().map(known));
    }
    let mut done = Done::default();
    match work.plans().iter().find(|plan| !plan.is_safe()) {
        Some(plan) => warn!("held until ctl_mboxlist -m is run by hand: {plan}"),
        None => {
            done.removed = parties.remove(master, &work.removals).await?;
            parties.clear_up(&work.wipes, may_wipe, &mut done).await;
        }
    }
    for some in work.activations.chunks(AT_ONCE) {
        let current = parties.as_planned(some)?;
        parties.activate(master, &current, &mut done).await?;
    }
    for some in work.given.chunks(AT_ONCE) {
        parties.activate(master, &some.iter().collect::<Vec<_>>(), &mut done).await?;
    }
    for activation in &work.unflags {
        parties.unflag(activation).await?;
        let current = parties.as_planned(std::slice::from_ref(activation))?;
        parties.activate(master, &current, &mut done).await?;
    }
    for (name, at) in &work.doubtful {
        warn!("{name}: reserved at the master for {at}: left alone");
    }
    done.left += work.doubtful.len();
    Ok(done)
}

impl Parties<'_> {
    /// Has the master forget what is not here. A NO is an answer: somebody was faster.
    async fn remove(&self, master: &mut Client, all: &[(MailboxName, Known)]) -> Result<usize, Failure> {
        let mut removed = 0;
        for some in all.chunks(AT_ONCE) {
            let mut doomed = Vec::with_capacity(some.len());
            for (name, known) in some {
                // A mailbox that was made meanwhile, or is being made, is no longer one to remove.
                let free = matches!(self.standing.busy(name), Busy::Free | Busy::Arrived { .. });
                if self.store.list().get(name)?.is_none() && free {
                    doomed.push(Delete { name, expect: known.expect() });
                }
            }
            let outcomes = master.delete_all(&doomed).await?;
            for (what, _) in doomed.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok()) {
                info!("{}", Step::Remove(what.name));
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Mailboxes that are here, and by the master's list elsewhere.
    async fn clear_up(&self, all: &[(MailboxName, Location)], may_wipe: bool, done: &mut Done) {
        for (name, at) in all {
            if !matches!(self.standing.busy(name), Busy::Free | Busy::Reserving) {
                // A move has taken it up meanwhile.
                done.left += 1;
                continue;
            }
            if !may_wipe {
                warn!(
                    "{name} is here, and by the MUPDATE master's list on {at}: left alone; ctl_mboxlist -m puts it \
                     away, ctl_mboxlist -m -a tells the master that it is here"
                );
                done.left += 1;
                continue;
            }
            match self.store.put_away(name).await {
                Ok(()) => info!("{}: it is on {at}", Step::Wipe(name)),
                Err(error) => warn!("couldn't delete defunct mailbox {name}: {error}"),
            }
        }
    }

    /// Those that have not changed here since the plan was made, and that no move has taken up: its own operation tells of
    /// a change.
    fn as_planned<'a>(&self, some: &'a [Activation]) -> Result<Vec<&'a Activation>, Failure> {
        let mut current = Vec::with_capacity(some.len());
        for what in some {
            let entry = self.store.list().get(&what.name)?;
            let same = entry.is_some_and(|entry| entry.location == what.location && entry.acl == what.acl);
            if same && !matches!(self.standing.busy(&what.name), Busy::Moving | Busy::Given { .. }) {
                current.push(what);
            }
        }
        Ok(current)
    }

    /// Tells the master of mailboxes. Who was faster at the master keeps the name, and is met the next time.
    async fn activate(
        &self,
        master: &mut Client,
        some: &[&Activation],
        done: &mut Done,
    ) -> Result<(), Failure> {
        let all: Vec<Activate<'_>> = some
            .iter()
            .map(|what| Activate {
                name: &what.name,
                location: &what.location,
                acl: &what.acl,
                expect: Some(what.expect()),
            })
            .collect();
        let told = master.activate_all(&all).await?;
        for (what, outcome) in all.iter().zip(told) {
            match outcome {
                Ok(()) => {
                    info!("{}", Step::Activate(what.name));
                    done.told += 1;
                }
                Err(why) => {
                    warn!("{}: the MUPDATE master was not told: {why}", what.name);
                    done.left += 1;
                }
            }
        }
        Ok(())
    }

    /// Forgets that a mailbox was being moved.
    async fn unflag(&self, what: &Activation) -> Result<(), Failure> {
        let Some(mut entry) = self.store.list().get(&what.name)? else { return Ok(()) };
        entry.moving = None;
        self.store.list().commit(vec![Change::put(what.name.clone(), entry)]).await?;
        info!("{}", Step::Unflag(&what.name));
        Ok(())
    }
}

/// The whole list of this backend.
fn local(store: &Store) -> Result<Vec<(MailboxName, Entry)>, Failure> {
    let mut all: Vec<(MailboxName, Entry)> = Vec::new();
    loop {
        let page = store.list().scan(all.last().map(|(name, _)| name), LIST_PAGE)?;
        all.extend(page.entries);
        if !page.more {
            return Ok(all);
        }
    }
}

fn known(entry: &Entry) -> Known {
    Known { active: entry.is_active(), location: entry.location.clone(), acl: entry.acl.clone() }
}
