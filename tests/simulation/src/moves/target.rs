//! The destination of a move: it takes a copy in, and lists it once its source or the master says that it was switched.

use mailboxes::{Expect, Place};
use tokio::time::{sleep, timeout};

use super::{
    ACL, Canary, PATIENCE, World, inbox,
    journal::{Journal, Phase, Reply, Request},
    place,
};
use crate::chance;

impl World {
    /// What a source asks.
    pub fn hear_of_target(&self, me: &str, request: Request) -> Reply {
        match request {
            Request::Begin { id, user, from } => self.begin(me, id, user, from),
            Request::Prepare { id, contents, fence } => {
                let mut state = self.state();
                let site = state.site(me);
                if site.phase(id) != Some(Phase::Incoming) {
                    return Reply::No;
                }
                site.incoming.insert(id, contents);
                if let Some(journal) = site.journals.get_mut(&id) {
                    journal.fence = Some(fence);
                }
                site.write(id, Phase::Prepared);
                Reply::Done
            }
            Request::Commit { id } => self.commit(me, id),
            Request::Abort { id } => self.give_up(me, id),
            Request::State { .. } => Reply::No,
        }
    }

    /// Goes on with what was not over when the process ended.
    pub fn resume_target(&self, me: &'static str) {
        let journals = self.state().site(me).journals.clone();
        let open = |phase| matches!(phase, Phase::Incoming | Phase::Prepared);
        for (id, _) in journals.iter().filter(|(_, journal)| open(journal.phase)) {
            self.run(me, self.clone().await_decision(me.to_owned(), *id));
        }
    }

    fn begin(&self, me: &str, id: u64, user: String, from: String) -> Reply {
        let mut state = self.state();
        let site = state.site(me);
        // What it has, or has not heard the end of, it does not take in.
        if site.held.contains_key(&user) || site.moves(&user) {
            return Reply::No;
        }
        let journal = Journal { user, peer: from, phase: Phase::Incoming, fence: None };
        site.journals.insert(id, journal);
        drop(state);
        self.run(me, self.clone().await_decision(me.to_owned(), id));
        Reply::Done
    }

    fn commit(&self, me: &str, id: u64) -> Reply {
        let mut state = self.state();
        let site = state.site(me);
        match site.phase(id) {
            Some(Phase::Committed) => Reply::Done,
            Some(Phase::Prepared) => {
                let contents = site.incoming.remove(&id).unwrap_or_default();
                let user = site.journals.get(&id).map(|journal| journal.user.clone()).unwrap_or_default();
                site.write(id, Phase::Committed);
                site.held.insert(user, contents);
                Reply::Done
            }
            _ => Reply::No,
        }
    }

    fn give_up(&self, me: &str, id: u64) -> Reply {
        let mut state = self.state();
        let site = state.site(me);
        match site.phase(id) {
            Some(Phase::Committed) => Reply::No,
            Some(Phase::Incoming | Phase::Prepared) => {
                site.write(id, Phase::Aborted);
                site.incoming.remove(&id);
                Reply::Done
            }
            _ => Reply::Done,
        }
    }

    /// Asks how it went, should nobody say so.
    async fn await_decision(self, me: String, id: u64) {
        loop {
            sleep(chance::millis(200..1500)).await;
            let Some(journal) = self.state().site(&me).journals.get(&id).cloned() else { return };
            if journal.phase.is_over() {
                return;
            }
            let told = self.call(&me, &journal.peer, Request::State { id }).await;
            match told {
                Some(Reply::Is(Some(Phase::Aborted))) => drop(self.give_up(&me, id)),
                Some(Reply::Is(Some(Phase::Switched | Phase::Kept))) => drop(self.commit(&me, id)),
                _ if journal.phase == Phase::Prepared => {
                    let eager = told.is_none() && self.canary == Some(Canary::EagerDestination);
                    let asked = timeout(PATIENCE, self.ask_master(&me, &journal, eager)).await;
                    if asked == Ok(Some(true)) {
                        self.commit(&me, id);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the master has it here, by a change after the one that the source noted, in the same list.
    async fn ask_master(&self, me: &str, journal: &Journal, eager: bool) -> Option<bool> {
        let fence = journal.fence?;
        let mut master = self.dial(me).await?;
        let root = inbox(&journal.user);
        if eager {
            let expect = Expect::Active(Place::from(&place(&journal.peer)).fenced(fence));
            let done = master.activate_if(&root, &place(me), ACL, &expect).await;
            return Some(done.is_ok());
        }
        let now = master.status_of(&root).await.ok()?;
        let entry = now.entry.as_ref().filter(|entry| entry.is_active() && entry.server() == me)?;
        Some(now.position.list == fence.list && entry.seq > fence.seq)
    }
}
