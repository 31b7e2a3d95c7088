//! A backend: what is on its disk, what its process has in memory, and its agreement with the master's list.

use std::collections::BTreeMap;

use directory::client::{Activate, Client, Delete, Error};
use mailboxes::{
    Entry, Expect, Local,
    reconcile::{Activation, Busy, Known, Reconciliation, Rule},
};
use moves::{
    destination::{self, Event, Word},
    source::{Gate, Source, Step},
};
use protocol::name::MailboxName;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ACL, Canary, PATIENCE, SITES, World,
    contents::Contents,
    inbox,
    journal::{Journal, Reply, Request, Role},
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
    /// Copies of what was given away, by user: a move back begins with them.
    pub kept: BTreeMap<String, Contents>,
    pub journals: BTreeMap<u64, Journal>,

    // In memory.
    up: bool,
    life: u64,
    /// Closed gates, since when.
    pub frozen: BTreeMap<String, Instant>,
    /// Copies as they grow, and on which connection.
    pub coming: BTreeMap<u64, (u64, Contents)>,
    /// Operations under way, by user.
    pub operations: BTreeMap<String, usize>,
    stop: CancellationToken,
}

impl Site {
    /// Whether it takes a change of a user's INBOX now.
    pub fn accepts(&self, user: &str) -> bool {
        self.serves(user) && !self.frozen.contains_key(user)
    }

    /// Whether it has a user's INBOX, be its gate open or closed.
    pub fn serves(&self, user: &str) -> bool {
        self.up && self.held.contains_key(user)
    }

    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Which of its processes runs.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// Whether a move of the user is not over.
    pub fn moves(&self, user: &str) -> bool {
        self.journals.values().any(|journal| journal.user == user && !journal.is_over())
    }

    /// Whether a copy of the user's INBOX waits here for the decision.
    pub fn is_promised(&self, user: &str) -> bool {
        let promised = |journal: &Journal| journal.arrives() == Some(destination::Phase::Prepared);
        self.journals.values().any(|journal| journal.user == user && promised(journal))
    }

    /// Whether a move of the user waits for the word that decides, or for its own disk after that.
    pub fn is_deciding(&self, user: &str) -> bool {
        use moves::source::Phase::{Aborted, Copying, Kept, Queued, Switched, Switching};
        let decides = |journal: &Journal| match journal.role {
            Role::Source { phase, .. } => match phase {
                Switching | Switched | Kept => true,
                Queued | Copying | Aborted => false,
            },
            Role::Destination { .. } => false,
        };
        self.journals.values().any(|journal| journal.user == user && !journal.is_over() && decides(journal))
    }

    /// To where a user went who was here.
    pub fn given_to(&self, user: &str) -> Option<String> {
        let journal = self.journals.values().rfind(|journal| journal.user == user)?;
        let went = matches!(journal.role, Role::Source { .. }) && !self.held.contains_key(user);
        went.then(|| journal.peer.clone())
    }

    /// What a source says of its move.
    fn word(&self, id: u64) -> Word {
        use moves::source::Phase::{Aborted, Copying, Kept, Queued, Switched, Switching};
        match self.journals.get(&id).map(|journal| journal.role) {
            Some(Role::Source { phase, .. }) => match phase {
                Queued | Copying | Switching => Word::Underway,
                Switched | Kept => Word::Switched,
                Aborted => Word::Aborted,
            },
            Some(Role::Destination { .. }) | None => Word::KnowsNothing,
        }
    }

    /// What moves have to do with a name: the latest of them counts.
    fn busy(&self, user: &str) -> Busy {
        use moves::{destination::Phase::Done, source::Phase::Kept};
        if self.moves(user) {
            return Busy::Moving;
        }
        let is_aborted = |journal: &Journal| match journal.role {
            Role::Source { phase, .. } => phase == moves::source::Phase::Aborted,
            Role::Destination { phase, .. } => phase == destination::Phase::Aborted,
        };
        let latest = self.journals.values().rfind(|journal| journal.user == user && !is_aborted(journal));
        match latest.map(|journal| (journal.role, &journal.peer)) {
            Some((Role::Source { phase: Kept, .. }, peer)) => Busy::Given { to: place(peer) },
            Some((Role::Destination { phase: Done, .. }, peer)) => Busy::Arrived { from: peer.clone() },
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
        (site.up, site.life, site.stop) = (true, site.life + 1, CancellationToken::new());
        let giving = site.journals.values().filter_map(|journal| match journal.role {
            Role::Source { phase, followed } => Some((journal.user.clone(), Source::resume(phase, followed))),
            Role::Destination { .. } => None,
        });
        // Before anybody is let in: nobody knows yet whose the mailboxes are.
        let closed =
            giving.filter(|(_, machine)| machine.gate() == Gate::Closed || machine.step() == Step::Hide);
        let closed: Vec<_> = closed.map(|(user, _)| (user, Instant::now())).collect();
        site.frozen.extend(closed);
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
        site.coming.clear();
        site.operations.clear();
        drop(state);
    }

    /// Runs a task of a backend's process.
    pub fn run(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.state().site(name).stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(task).await });
    }

    /// A backend is asked something. None: it is not there, or dies of it.
    pub fn hear(&self, name: &str, request: Request) -> Option<Reply> {
        let mut state = self.state();
        let site = state.site(name);
        if !site.up {
            return None;
        }
        match &request {
            Request::State { id } => match site.journals.get(id).map(Journal::arrives) {
                Some(None) => Some(Reply::Word(site.word(*id))),
                known => Some(Reply::Is(known.flatten())),
            },
            Request::Lists { user } => {
                Some(if site.held.contains_key(user) { Reply::Yes } else { Reply::No })
            }
            Request::Begin { .. } | Request::Round { .. } | Request::Prepare { .. } => {
                drop(state);
                self.hear_of_target(name, request)
            }
            Request::Commit { id } => {
                drop(state);
                self.carries_out(name, *id, Event::Commit)
            }
            Request::Abort { id } => {
                drop(state);
                self.carries_out(name, *id, Event::Abort)
            }
        }
    }

    /// A process dies in the middle of something, and comes back.
    pub fn dies(&self, name: &str) {
        if let Some(name) = SITES.into_iter().find(|site| *site == name) {
            self.kill_site(name);
        }
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
            if chance::odds(10) {
                let _ = timeout(PATIENCE, self.purge(name)).await;
            }
            sleep(chance::millis(300..2500)).await;
        }
    }

    /// Removes a copy of what was given away, with proof: the master has it elsewhere, and whoever has it says so.
    async fn purge(&self, name: &str) -> Option<()> {
        let users: Vec<String> = self.state().site(name).kept.keys().cloned().collect();
        let user = chance::pick(&users)?.clone();
        let at = self.dial(name).await?.status_of(&inbox(&user)).await.ok()?;
        let there = at.entry.filter(|entry| entry.is_active() && entry.server() != name)?.server().to_owned();
        let lists = self.call(name, &there, Request::Lists { user: user.clone() }).await;
        let mut state = self.state();
        if lists == Some(Reply::Yes) && !state.site(name).moves(&user) {
            chance::note(|| format!("{name}: the copy of {user} is removed"));
            state.site(name).kept.remove(&user);
            if !state.sites.values().any(|site| site.held.contains_key(&user)) {
                state.truth.wrong(format!("{name} removes its copy of {user}, whom no backend lists"));
            }
        }
        Some(())
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
