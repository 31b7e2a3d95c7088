//! A backend: what is on its disk, what its process has in memory, and its agreement with the master's list.

use std::collections::{BTreeMap, BTreeSet};

use directory::client::{Activate, Client, Delete, Error};
use mailboxes::{
    Entry, Expect, Local,
    reconcile::{Activation, Busy, Known, Reconciliation, Rule},
};
use protocol::name::MailboxName;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ACL, Canary, PATIENCE, World, inbox,
    journal::{Contents, Journal, Phase, Reply, Request},
    place,
};
use crate::chance;

#[derive(Default)]
pub struct Site {
    // On its disk.
    /// Its list, with what the mailboxes have.
    pub held: BTreeMap<String, Contents>,
    /// Copies that are not listed, by move.
    pub incoming: BTreeMap<u64, Contents>,
    pub journals: BTreeMap<u64, Journal>,

    // In memory.
    up: bool,
    pub frozen: BTreeSet<String>,
    /// Operations under way, by user.
    pub operations: BTreeMap<String, usize>,
    stop: CancellationToken,
}

impl Site {
    /// Whether it takes a change of a user's INBOX now.
    pub fn accepts(&self, user: &str) -> bool {
        self.up && self.held.contains_key(user) && !self.frozen.contains(user)
    }

    /// Whether a move of the user is not over.
    pub fn moves(&self, user: &str) -> bool {
        self.journals.values().any(|journal| journal.user == user && !journal.phase.is_over())
    }

    pub fn phase(&self, id: u64) -> Option<Phase> {
        self.journals.get(&id).map(|journal| journal.phase)
    }

    pub fn write(&mut self, id: u64, phase: Phase) {
        if let Some(journal) = self.journals.get_mut(&id) {
            chance::note(|| format!("move {id} of {}: {:?}", journal.user, phase));
            journal.phase = phase;
        }
    }

    /// What moves have to do with a name: the latest of them counts.
    fn busy(&self, user: &str) -> Busy {
        if self.moves(user) {
            return Busy::Moving;
        }
        let counts = |journal: &&Journal| journal.user == user && journal.phase != Phase::Aborted;
        match self.journals.values().rfind(counts) {
            Some(Journal { phase: Phase::Kept, peer, .. }) => Busy::Given { to: place(peer) },
            Some(Journal { phase: Phase::Committed, peer, .. }) => Busy::Arrived { from: peer.clone() },
            _ => Busy::Free,
        }
    }
}

impl World {
    pub fn start_site(&self, name: &'static str) {
        let mut state = self.state();
        let site = state.site(name);
        if site.up {
            return;
        }
        chance::note(|| format!("{name}: starts"));
        (site.up, site.stop) = (true, CancellationToken::new());
        let open: Vec<(u64, Journal)> =
            site.journals.iter().map(|(id, journal)| (*id, journal.clone())).collect();
        for (id, journal) in open {
            match journal.phase {
                Phase::Copying => site.write(id, Phase::Aborted),
                Phase::Switching | Phase::Switched => {
                    site.frozen.insert(journal.user.clone());
                }
                _ => {}
            }
        }
        drop(state);
        self.resume_source(name);
        self.resume_target(name);
        self.run(name, self.clone().keep(name));
    }

    pub fn stop_site(&self, name: &str) {
        let mut state = self.state();
        let site = state.site(name);
        if site.up {
            chance::note(|| format!("{name}: dies"));
        }
        site.stop.cancel();
        site.up = false;
        site.frozen.clear();
        site.operations.clear();
        drop(state);
    }

    /// Runs a task of a backend's process.
    pub fn run(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.state().site(name).stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(task).await });
    }

    /// A backend is asked something. None: it is not there.
    pub fn hear(&self, name: &str, request: Request) -> Option<Reply> {
        if !self.state().site(name).up {
            return None;
        }
        Some(match request {
            Request::State { id } => Reply::Is(self.state().site(name).phase(id)),
            other => self.hear_of_target(name, other),
        })
    }

    /// SETACL and its like: the master first. Whether it heard is not always known.
    pub fn set_acl(&self, name: &'static str, user: &'static str) {
        let mut state = self.state();
        let site = state.site(name);
        if !site.accepts(user) {
            return;
        }
        *site.operations.entry(user.to_owned()).or_default() += 1;
        drop(state);
        let world = self.clone();
        self.run(name, async move {
            let done = timeout(chance::millis(100..3000), world.tell_acl(name, user)).await;
            chance::note(|| format!("{name}: an ACL of {user}: {done:?}"));
            let mut state = world.state();
            if let Some(operations) = state.site(name).operations.get_mut(user) {
                *operations -= 1;
            }
        });
    }

    async fn tell_acl(&self, name: &str, user: &str) -> Option<Result<(), Error>> {
        let mut client = self.dial(name).await?;
        let (root, at) = (inbox(user), place(name));
        Some(match self.canary {
            Some(Canary::PlainWords) => client.activate(&root, &at, ACL).await,
            _ => client.activate_if(&root, &at, ACL, &Expect::Ours(name.into())).await,
        })
    }

    /// Keeps the master's list in agreement with this one, as a backend does by itself.
    async fn keep(self, name: &'static str) {
        loop {
            if let Some(mut client) = self.dial(name).await {
                // What is not told now is told the next time.
                let _ = timeout(PATIENCE, self.agree(name, &mut client)).await;
            }
            sleep(chance::millis(300..2500)).await;
        }
    }

    async fn agree(&self, name: &str, master: &mut Client) -> Result<(), Error> {
        let here = master.list(Some(&format!("{name}!"))).await?;
        let here = here.into_iter().map(|(name, entry)| (name, known(&entry))).collect();
        let mut work = {
            let mut state = self.state();
            let site = state.site(name);
            let entry = || Entry::active(place(name), ACL).with_local(Local::default());
            let local: Vec<_> = site.held.keys().map(|user| (inbox(user), entry())).collect();
            let busy = |name: &MailboxName| site.busy(&name.owner().unwrap_or_default());
            Reconciliation::begin(here, local, busy, Rule::Ordinary)
        };
        let questions = work.questions();
        for (name, found) in questions.iter().zip(master.find_all(&questions).await?) {
            work.answer(name, found.as_ref().map(known));
        }
        self.carry_out(name, master, work).await
    }

    async fn carry_out(&self, name: &str, master: &mut Client, work: Reconciliation) -> Result<(), Error> {
        for (wiped, at) in &work.wipes {
            let mut state = self.state();
            // What a move has taken up since the comparison is left to it.
            if state.site(name).busy(&wiped.owner().unwrap_or_default()) == Busy::Free {
                state.truth.wrong(format!("{name} would put {wiped} away, which the master has on {at}"));
            }
        }
        let free = |what: &MailboxName| {
            let busy = self.state().site(name).busy(&what.owner().unwrap_or_default());
            matches!(busy, Busy::Free | Busy::Arrived { .. })
        };
        let doomed: Vec<Delete<'_>> = work
            .removals
            .iter()
            .filter(|(name, _)| free(name))
            .map(|(name, known)| Delete { name, expect: known.expect() })
            .collect();
        master.delete_all(&doomed).await?;
        let held = work.activations.iter().filter(|what| free(&what.name));
        let told: Vec<Activate<'_>> = held.chain(&work.given).map(activate).collect();
        let outcomes = master.activate_all(&told).await?;
        for (what, outcome) in told.iter().zip(outcomes) {
            chance::note(|| format!("{name}: tells that {} is at {}: {outcome:?}", what.name, what.location));
        }
        Ok(())
    }
}

fn activate(what: &Activation) -> Activate<'_> {
    Activate { name: &what.name, location: &what.location, acl: &what.acl, expect: Some(what.expect()) }
}

fn known(entry: &Entry) -> Known {
    Known { active: entry.is_active(), location: entry.location.clone(), acl: entry.acl.clone() }
}
