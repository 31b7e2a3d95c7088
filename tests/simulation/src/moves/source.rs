//! The source of a move: it copies, freezes, has the master decide, and gives the mailbox away or keeps it.

use directory::client::{Client, Error};
use mailboxes::{AtMaster, Decision, Expect, Fence, Switch};
use tokio::time::{Duration, Instant, sleep, timeout, timeout_at};

use super::{
    ACL, Canary, PATIENCE, World, inbox,
    journal::{Journal, Phase, Reply, Request},
    place,
};
use crate::chance;

/// A move, as its source drives it.
#[derive(Clone, Copy)]
struct Move {
    id: u64,
    from: &'static str,
    user: &'static str,
    to: &'static str,
}

impl World {
    /// An operator asks for a move. What moves already, or is not there any more, does not.
    pub fn ask_move(&self, from: &'static str, user: &'static str, to: &'static str) {
        let mut state = self.state();
        if !state.site(from).accepts(user) || state.site(from).moves(user) {
            return;
        }
        state.moves += 1;
        let id = state.moves;
        let journal = Journal { user: user.into(), peer: to.into(), phase: Phase::Copying, fence: None };
        chance::note(|| format!("move {id}: {user} from {from} to {to}"));
        state.site(from).journals.insert(id, journal);
        drop(state);
        self.run(from, self.clone().copy(Move { id, from, user, to }));
    }

    /// Goes on with what was not over when the process ended.
    pub fn resume_source(&self, from: &'static str) {
        let journals = self.state().site(from).journals.clone();
        for (id, journal) in journals {
            let known = |names: &[&'static str], name: &str| names.iter().copied().find(|one| *one == name);
            let (Some(user), Some(to)) =
                (known(&super::USERS, &journal.user), known(&super::SITES, &journal.peer))
            else {
                continue;
            };
            let what = Move { id, from, user, to };
            match (journal.phase, journal.fence) {
                (Phase::Switching, Some(fence)) => self.run(from, self.clone().settle_doubt(what, fence)),
                (Phase::Switched, _) => self.run(from, self.clone().give_away(what)),
                _ => {}
            }
        }
    }

    async fn copy(self, what: Move) {
        let Move { id, from, user, to } = what;
        let begin = Request::Begin { id, user: user.into(), from: from.into() };
        let begun = self.call(from, to, begin).await == Some(Reply::Done);
        // The rounds, while mail flows.
        sleep(chance::millis(0..400)).await;
        match self.freeze(what).await {
            Some((fence, master)) if begun && self.prepare(what, fence).await => {
                self.write(what, Phase::Switching);
                sleep(chance::millis(0..5)).await;
                self.decide(what, fence, master).await;
            }
            _ => self.abort(what).await,
        }
    }

    /// What the master has is noted once nothing of this backend's is on its way there any more.
    async fn freeze(&self, what: Move) -> Option<(Fence, Client)> {
        let Move { from, user, .. } = what;
        let mut master = self.dial(from).await?;
        self.state().site(from).frozen.insert(user.to_owned());
        let until = Instant::now() + FROZEN;
        while self.state().site(from).operations.get(user).is_some_and(|running| *running > 0) {
            if Instant::now() >= until {
                return None;
            }
            sleep(Duration::from_millis(5)).await;
        }
        let root = inbox(user);
        let noted = timeout_at(until, master.status_of(&root)).await.ok()?.ok()?;
        let entry = noted.entry.as_ref()?;
        let here = entry.is_active() && entry.location == place(from);
        noted.fence().filter(|_| here).map(|fence| (fence, master))
    }

    /// The last difference; the destination has it on disk.
    async fn prepare(&self, what: Move, fence: Fence) -> bool {
        let Move { id, from, user, to } = what;
        let contents = {
            let mut state = self.state();
            let site = state.site(from);
            if let Some(journal) = site.journals.get_mut(&id) {
                journal.fence = Some(fence);
            }
            site.held.get(user).cloned().unwrap_or_default()
        };
        let prepare = self.call(from, to, Request::Prepare { id, contents, fence });
        timeout(FROZEN, prepare).await == Ok(Some(Reply::Done))
    }

    async fn decide(self, what: Move, fence: Fence, mut master: Client) {
        let (root, at, to) = (inbox(what.user), place(what.from), place(what.to));
        let switch = Switch { root: &root, from: &at, to: &to, acl: ACL, fence };
        let decided = match self.canary {
            Some(Canary::NoNumber) => {
                let expect = Expect::Active((&at).into());
                let done = timeout(ANSWER, master.activate_if(&root, &to, ACL, &expect)).await;
                done.map(|done| done.map(|()| Decision::Switched))
            }
            _ => timeout(ANSWER, master.decide(&switch)).await,
        };
        drop(master);
        chance::note(|| format!("move {}: {decided:?}", what.id));
        match decided {
            Ok(Ok(decision)) => self.follow(what, decision).await,
            _ => self.settle_doubt(what, fence).await,
        }
    }

    async fn settle_doubt(self, what: Move, fence: Fence) {
        let decision = self.settled(what, fence).await;
        self.follow(what, decision).await;
    }

    async fn settled(&self, what: Move, fence: Fence) -> Decision {
        loop {
            sleep(chance::millis(1..500)).await;
            let Some(mut master) = self.dial(what.from).await else { continue };
            let settled = timeout(PATIENCE, self.ask_again(what, fence, &mut master)).await;
            chance::note(|| format!("move {}: asked again: {settled:?}", what.id));
            if let Ok(Ok(decision)) = settled {
                return decision;
            }
        }
    }

    async fn ask_again(&self, what: Move, fence: Fence, master: &mut Client) -> Result<Decision, Error> {
        let (root, at, to) = (inbox(what.user), place(what.from), place(what.to));
        let switch = Switch { root: &root, from: &at, to: &to, acl: ACL, fence };
        let read = |now: &AtMaster| switch.read(now);
        match self.canary {
            Some(Canary::DoubtByReading) => Ok(read(&master.status_of(&root).await?)),
            Some(Canary::NoNumber) => {
                match master.activate_if(&root, &at, ACL, &Expect::Active((&at).into())).await {
                    Ok(()) => Ok(Decision::Kept),
                    Err(Error::Changed) => Ok(read(&master.status_of(&root).await?)),
                    Err(error) => Err(error),
                }
            }
            _ => master.settle(&switch).await,
        }
    }

    async fn follow(self, what: Move, decision: Decision) {
        match decision {
            Decision::Switched => {
                self.write(what, Phase::Switched);
                self.give_away(what).await;
            }
            Decision::Kept => self.abort(what).await,
            Decision::Replaced | Decision::Elsewhere(_) => self.ask_destination(what).await,
        }
    }

    /// The master's word proves nothing, or the destination has moved it on already: whatever the destination has done is what happened, and what it has not done it
    /// does no more.
    async fn ask_destination(self, what: Move) {
        let Move { id, from, to, .. } = what;
        loop {
            match self.call(from, to, Request::State { id }).await {
                Some(Reply::Is(Some(Phase::Committed))) => {
                    self.write(what, Phase::Switched);
                    return self.give_away(what).await;
                }
                Some(Reply::Is(_))
                    if self.call(from, to, Request::Abort { id }).await == Some(Reply::Done) =>
                {
                    return self.abort(what).await;
                }
                _ => {}
            }
            sleep(chance::millis(50..700)).await;
        }
    }

    async fn give_away(self, what: Move) {
        let Move { id, from, user, to } = what;
        while self.call(from, to, Request::Commit { id }).await != Some(Reply::Done) {
            sleep(chance::millis(20..700)).await;
        }
        self.write(what, Phase::Kept);
        let mut state = self.state();
        let site = state.site(from);
        site.held.remove(user);
        site.frozen.remove(user);
        state.truth.moved += 1;
    }

    async fn abort(&self, what: Move) {
        let Move { id, from, user, to } = what;
        self.write(what, Phase::Aborted);
        self.state().site(from).frozen.remove(user);
        // It asks, if it does not hear this.
        let _ = self.call(from, to, Request::Abort { id }).await;
    }

    fn write(&self, what: Move, phase: Phase) {
        self.state().site(what.from).write(what.id, phase);
    }
}

/// What is not decided so long after the freeze is given up.
const FROZEN: Duration = Duration::from_millis(1500);
/// How long the master's answer is waited for before it is asked again.
const ANSWER: Duration = Duration::from_secs(1);
