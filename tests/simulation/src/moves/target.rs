//! The destination of a move: the real table of what it does when something is asked or heard ([`moves::destination::plan`]), over a
//! model of its store.

use mailboxes::{Expect, Place};
use moves::destination::{Event, Phase, Reply as Answer, Step, Word, plan};
use tokio::time::{sleep, timeout};

use super::{
    ACL, Canary, PATIENCE, World, inbox,
    journal::{Journal, Reply, Request, Role},
    place,
    source::has_follow,
};
use crate::chance;

impl World {
    /// What a source sends. None: its connection is broken.
    pub fn hear_of_target(&self, me: &str, request: Request) -> Option<Reply> {
        match request {
            Request::Begin { id, user, from } => self.begin(me, id, user, from),
            Request::Round { id, connection, difference } => {
                let mut state = self.state();
                let (on, copy) = state.site(me).coming.get_mut(&id)?;
                if *on != connection {
                    return None;
                }
                copy.take(&difference);
                drop(state);
                self.carries_out(me, id, Event::Round)
            }
            Request::Prepare { id, connection, difference, digest, fence } => {
                let mut state = self.state();
                let site = state.site(me);
                let (on, copy) = site.coming.get_mut(&id)?;
                if *on != connection {
                    return None;
                }
                copy.take(&difference);
                let journal = site.journals.get_mut(&id)?;
                journal.fence = Some(fence);
                if let Role::Destination { digest: promised, .. } = &mut journal.role {
                    *promised = Some(digest);
                }
                drop(state);
                self.carries_out(me, id, Event::Prepare)
            }
            Request::Commit { .. }
            | Request::Abort { .. }
            | Request::State { .. }
            | Request::Lists { .. } => None,
        }
    }

    /// Goes on with what was not over when the process ended.
    pub fn resume_target(&self, me: &'static str) {
        let journals = self.state().site(me).journals.clone();
        // One that is given up may still have its copy.
        for (id, journal) in journals.iter().filter(|(_, journal)| journal.arrives().is_some()) {
            // One that dies of its start starts anew.
            if self.carries_out(me, *id, Event::Start).is_none() {
                return;
            }
            if !journal.is_over() {
                self.run(me, self.clone().watch(me.to_owned(), *id));
            }
        }
    }

    fn begin(&self, me: &str, id: u64, user: String, from: String) -> Option<Reply> {
        let mut state = self.state();
        let site = state.site(me);
        let is_new = !site.journals.contains_key(&id);
        if is_new {
            // What it has, or has not heard the end of, it does not take in.
            if site.held.contains_key(&user) || site.moves(&user) {
                return Some(Reply::No);
            }
            let base = site.kept.get(&user).cloned();
            if base.is_some() {
                *state.counts.entry("moves back").or_default() += 1;
            }
            state.site(me).incoming.insert(id, base.unwrap_or_default());
            let role = Role::Destination { phase: Phase::Incoming, digest: None };
            state.site(me).journals.insert(id, Journal { user, peer: from, role, fence: None });
        }
        drop(state);
        let begun = match is_new {
            true => Some(Reply::Yes),
            false => self.carries_out(me, id, Event::Begin),
        };
        if begun != Some(Reply::Yes) {
            return begun;
        }
        if is_new {
            self.run(me, self.clone().watch(me.to_owned(), id));
        }
        let mut state = self.state();
        state.connections += 1;
        let connection = state.connections;
        let site = state.site(me);
        let copy = site.incoming.get(&id).cloned().unwrap_or_default();
        let extent = copy.extent();
        site.coming.insert(id, (connection, copy));
        Some(Reply::Has { extent, connection })
    }

    /// Does what the table says. None: it died in the middle of it.
    pub fn carries_out(&self, me: &str, id: u64, event: Event) -> Option<Reply> {
        let phase = self.state().site(me).journals.get(&id).and_then(Journal::arrives);
        let (steps, answer) = plan(phase, event);
        for step in steps {
            if self.is_unlucky(1) {
                self.dies(me);
                return None;
            }
            if !self.does(me, id, *step) {
                return Some(Reply::No);
            }
        }
        Some(match answer {
            Answer::Yes | Answer::Nothing => Reply::Yes,
            Answer::No => Reply::No,
        })
    }

    /// Whether it could be done.
    fn does(&self, me: &str, id: u64, step: Step) -> bool {
        let is_blind = self.canary == Some(Canary::DigestsNotCompared);
        let mut state = self.state();
        let site = state.site(me);
        match step {
            Step::Write(phase) => {
                let Some(journal) = site.journals.get_mut(&id) else { return false };
                chance::note(|| format!("{me}: move {id} of {}: {phase:?}", journal.user));
                if let Role::Destination { phase: on_disk, .. } = &mut journal.role {
                    *on_disk = phase;
                }
            }
            Step::Sync => {
                if let Some((_, copy)) = site.coming.get(&id) {
                    site.incoming.insert(id, copy.clone());
                }
            }
            Step::Compare => {
                let promised = site.journals.get(&id).and_then(|journal| match journal.role {
                    Role::Destination { digest, .. } => digest,
                    Role::Source { .. } => None,
                });
                let is_equal = promised.is_some()
                    && (is_blind || site.incoming.get(&id).map(|copy| copy.digest()) == promised);
                if !is_equal {
                    chance::note(|| format!("{me}: the copy of move {id} differs"));
                    *state.counts.entry("copies that differed").or_default() += 1;
                    return false;
                }
            }
            Step::Adopt => {
                site.coming.remove(&id);
                if let (Some(copy), Some(journal)) = (site.incoming.remove(&id), site.journals.get(&id)) {
                    site.kept.remove(&journal.user);
                    site.held.insert(journal.user.clone(), copy);
                }
            }
            Step::Release => {
                site.coming.remove(&id);
                site.incoming.remove(&id);
            }
            // Names of what is prepared are held anyway; whoever watches asks around, and follows.
            Step::Hold | Step::AskAround | Step::Follow => {}
        }
        true
    }

    /// Asks how it went, until that is known; then has the master follow.
    async fn watch(self, me: String, id: u64) {
        loop {
            sleep(chance::millis(200..1500)).await;
            let Some(journal) = self.state().site(&me).journals.get(&id).cloned() else { return };
            let event = match journal.arrives() {
                Some(Phase::Incoming | Phase::Prepared) => self.ask_around(&me, id, &journal).await,
                Some(Phase::Committed) => self.follows(&me, &journal).await,
                Some(Phase::Done | Phase::Aborted) | None => return,
            };
            if let Some(event) = event {
                // What dies or fails here is done after the next start, or at the next turn.
                let _ = self.carries_out(&me, id, event);
            }
        }
    }

    async fn ask_around(&self, me: &str, id: u64, journal: &Journal) -> Option<Event> {
        if timeout(PATIENCE, self.is_decided(me, journal)).await == Ok(Some(true)) {
            return Some(Event::Decided);
        }
        match self.call(me, &journal.peer, Request::State { id }).await {
            Some(Reply::Word(word)) => Some(Event::Heard(word)),
            Some(Reply::Is(None)) => {
                let lists = Request::Lists { user: journal.user.clone() };
                match self.call(me, &journal.peer, lists).await? {
                    Reply::Yes => Some(Event::Heard(Word::ListsItself)),
                    _ => Some(Event::Heard(Word::KnowsNothing)),
                }
            }
            None if self.canary == Some(Canary::EagerDestination) => {
                let done = timeout(PATIENCE, self.seizes(me, journal)).await;
                (done == Ok(Some(true))).then_some(Event::Decided)
            }
            _ => None,
        }
    }

    /// Whether the master has it here, by a change after the one that the source noted, in the same list.
    async fn is_decided(&self, me: &str, journal: &Journal) -> Option<bool> {
        let fence = journal.fence?;
        let now = self.dial(me).await?.status_of(&inbox(&journal.user)).await.ok()?;
        let entry = now.entry.as_ref().filter(|entry| entry.is_active() && entry.server() == me)?;
        Some(now.position.list == fence.list && entry.seq > fence.seq)
    }

    /// What no destination may do: it has the master decide.
    async fn seizes(&self, me: &str, journal: &Journal) -> Option<bool> {
        let fence = journal.fence.filter(|_| journal.arrives() == Some(Phase::Prepared))?;
        let mut master = self.dial(me).await?;
        let expect = Expect::Active(Place::from(&place(&journal.peer)).fenced(fence));
        Some(master.activate_if(&inbox(&journal.user), &place(me), ACL, &expect).await.is_ok())
    }

    async fn follows(&self, me: &str, journal: &Journal) -> Option<Event> {
        let root = inbox(&journal.user);
        let told = async {
            let mut master = self.dial(me).await?;
            has_follow(&mut master, &root, me, &journal.peer).await.ok()
        };
        timeout(PATIENCE, told).await.ok()??;
        Some(Event::Followed)
    }
}
