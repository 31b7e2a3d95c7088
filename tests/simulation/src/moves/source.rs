//! The source of a move: its machine, with the real code, driven a step at a time. What a step does to a store, and what it asks
//! of another backend, are models; what it says to the master is real.

use directory::client::{Client, Error};
use mailboxes::{AtMaster, Decision, Expect, Fence, Place, Switch};
use moves::{
    destination,
    source::{Gate, Outcome, Phase, Source, Step, Whose},
};
use tokio::time::{Duration, Instant, sleep, timeout, timeout_at};

use super::{
    ACL, Canary, PATIENCE, SITES, USERS, World,
    contents::{Contents, Extent},
    inbox,
    journal::{Journal, Reply, Request, Role},
    place,
};
use crate::chance;

/// A move, as its source drives it.
struct Giving {
    world: World,
    id: u64,
    from: &'static str,
    user: &'static str,
    to: &'static str,
    machine: Source,
    /// What the destination's copy has, and the connection to it.
    copy: Option<(Extent, u64)>,
    rounds: usize,
    fence: Option<Fence>,
    frozen_at: Instant,
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
        let role = Role::Source { phase: Phase::Queued, followed: false };
        let journal = Journal { user: user.into(), peer: to.into(), role, fence: None };
        chance::note(|| format!("move {id}: {user} from {from} to {to}"));
        state.site(from).journals.insert(id, journal);
        drop(state);
        self.drive(id, from, user, to, Source::new(), None);
    }

    /// Goes on with what was not over when the process ended.
    pub fn resume_source(&self, from: &'static str) {
        let journals = self.state().site(from).journals.clone();
        for (id, journal) in journals {
            let user = USERS.into_iter().find(|user| *user == journal.user);
            let to = SITES.into_iter().find(|site| *site == journal.peer);
            if let (Role::Source { phase, followed }, Some(user), Some(to)) = (journal.role, user, to) {
                self.drive(id, from, user, to, Source::resume(phase, followed), journal.fence);
            }
        }
    }

    fn drive(
        &self,
        id: u64,
        from: &'static str,
        user: &'static str,
        to: &'static str,
        machine: Source,
        fence: Option<Fence>,
    ) {
        let (world, frozen_at) = (self.clone(), Instant::now());
        let giving = Giving { world, id, from, user, to, machine, copy: None, rounds: 0, fence, frozen_at };
        self.run(from, giving.drive());
    }
}

impl Giving {
    async fn drive(mut self) {
        loop {
            let step = self.machine.step();
            if step == Step::Rest {
                return;
            }
            if self.machine.attempts() > 0 {
                sleep(chance::millis(20..700)).await;
            }
            if self.machine.gate() == Gate::Closed || step == Step::Hide {
                self.close();
            }
            let outcome = self.step(step).await;
            chance::note(|| format!("move {} of {}: {step:?}: {outcome:?}", self.id, self.user));
            self.machine.told(outcome);
        }
    }

    async fn step(&mut self, step: Step) -> Outcome {
        match step {
            Step::Write(phase) => self.write(phase, false).await,
            Step::Begin => self.begin().await,
            Step::Round => self.round().await,
            Step::Freeze => self.freeze().await,
            Step::Prepare => timeout_at(self.frozen_at + FROZEN, self.prepare()).await.unwrap_or_else(|_| {
                self.copy = None;
                Outcome::Silent
            }),
            Step::Thaw => {
                self.world.state().site(self.from).frozen.remove(self.user);
                Outcome::Done
            }
            Step::Activate => self.at_master(false).await,
            Step::Fence => self.at_master(true).await,
            Step::AskPeer => self.ask_peer().await,
            Step::Withdraw | Step::Dismiss => self.tell(Request::Abort { id: self.id }).await,
            Step::Commit => self.tell(Request::Commit { id: self.id }).await,
            Step::Hide => self.hide(),
            Step::Follow => self.follow().await,
            Step::Settle => {
                let settled = self.write(Phase::Kept, true).await;
                self.world.state().truth.moved += usize::from(settled == Outcome::Done);
                settled
            }
            // Whoever compares the lists tells it. A destination of ours remembers what it took.
            Step::Retell | Step::Return | Step::Rest => Outcome::Done,
        }
    }

    /// What is on disk: a write that fails, and a death before and after each.
    async fn write(&self, phase: Phase, followed: bool) -> Outcome {
        if self.world.is_unlucky(1) {
            return Outcome::Failed("no space".to_owned());
        }
        self.may_die().await;
        self.note(Role::Source { phase, followed });
        self.may_die().await;
        Outcome::Done
    }

    fn note(&self, role: Role) {
        let mut state = self.world.state();
        if let Some(journal) = state.site(self.from).journals.get_mut(&self.id) {
            (journal.role, journal.fence) = (role, self.fence);
        }
    }

    async fn may_die(&self) {
        if self.world.is_unlucky(1) {
            self.world.dies(self.from);
            std::future::pending::<()>().await;
        }
    }

    fn close(&self) {
        let mut state = self.world.state();
        state.site(self.from).frozen.entry(self.user.to_owned()).or_insert_with(Instant::now);
    }

    async fn call(&self, request: Request) -> Option<Reply> {
        self.world.call(self.from, self.to, request).await
    }

    fn contents(&self) -> Contents {
        self.world.state().site(self.from).held.get(self.user).cloned().unwrap_or_default()
    }

    async fn begin(&mut self) -> Outcome {
        (self.copy, self.rounds) = (None, 0);
        let begin = Request::Begin { id: self.id, user: self.user.into(), from: self.from.into() };
        match self.call(begin).await {
            Some(Reply::Has { extent, connection }) => {
                self.copy = Some((extent, connection));
                Outcome::Done
            }
            None => Outcome::Silent,
            Some(_) => match self.ask_peer().await {
                Outcome::Peer(Some(destination::Phase::Incoming | destination::Phase::Prepared) | None) => {
                    Outcome::Failed("the destination does not take it".to_owned())
                }
                other => other,
            },
        }
    }

    async fn round(&mut self) -> Outcome {
        sleep(chance::millis(0..150)).await;
        let Some((extent, connection)) = self.copy else { return Outcome::Silent };
        let contents = self.contents();
        let mut difference = contents.since(extent);
        let changes = difference.changes();
        // What the digest is for: something of a round is not as it was.
        if self.world.is_unlucky(4) && difference.tear() {
            chance::note(|| format!("move {} of {}: a message is lost on its way", self.id, self.user));
        }
        self.rounds += 1;
        match self.call(Request::Round { id: self.id, connection, difference }).await {
            Some(Reply::Yes) => {
                self.copy = Some((contents.extent(), connection));
                if changes < 20 || self.rounds > 10 { Outcome::Enough } else { Outcome::Done }
            }
            other => self.broken(other.is_some()),
        }
    }

    /// What is refused is refused for good; what has no answer may have been done.
    fn broken(&mut self, refused: bool) -> Outcome {
        self.copy = None;
        match refused {
            true => Outcome::Failed("refused".to_owned()),
            false => Outcome::Silent,
        }
    }

    /// The master is asked first: what it says is what the switch expects.
    async fn freeze(&mut self) -> Outcome {
        let root = inbox(self.user);
        let asked = async { self.world.dial(self.from).await?.status_of(&root).await.ok() };
        let Ok(Some(noted)) = timeout(PATIENCE, asked).await else { return Outcome::Silent };
        let is_here =
            noted.entry.as_ref().is_some_and(|entry| entry.is_active() && entry.location == place(self.from));
        let Some(fence) = noted.fence().filter(|_| is_here) else {
            return Outcome::Failed("the master does not have it here".to_owned());
        };
        self.fence = Some(fence);
        self.frozen_at = Instant::now();
        self.close();
        let under_way = || {
            let mut state = self.world.state();
            state.site(self.from).operations.get(self.user).is_some_and(|running| *running > 0)
        };
        while under_way() {
            if self.frozen_at.elapsed() > FREEZE {
                return Outcome::Silent;
            }
            sleep(Duration::from_millis(5)).await;
        }
        Outcome::Done
    }

    /// The last difference; the destination compares, and has it on disk.
    async fn prepare(&mut self) -> Outcome {
        let (Some((extent, connection)), Some(fence)) = (self.copy, self.fence) else {
            return Outcome::Silent;
        };
        let contents = self.contents();
        let (difference, digest) = (contents.since(extent), contents.digest());
        match self.call(Request::Prepare { id: self.id, connection, difference, digest, fence }).await {
            Some(Reply::Yes) => Outcome::Done,
            other => self.broken(other.is_some()),
        }
    }

    /// The decision; `again`: the end of a doubt about it.
    async fn at_master(&self, again: bool) -> Outcome {
        let Some(fence) = self.fence else { return Outcome::Failed("no change was noted".to_owned()) };
        let asked = async {
            let mut master = self.world.dial(self.from).await?;
            Some(match again {
                false => self.decide(fence, &mut master).await,
                true => self.settle(fence, &mut master).await,
            })
        };
        let decided = timeout(ANSWER, asked).await;
        match decided {
            Ok(Some(Ok(Decision::Switched))) => Outcome::At(Whose::Destination),
            Ok(Some(Ok(Decision::Kept))) => Outcome::At(Whose::Source),
            Ok(Some(Ok(Decision::Elsewhere(_)))) => Outcome::At(Whose::Neither),
            Ok(Some(Ok(Decision::Replaced))) => Outcome::OtherList,
            Ok(Some(Err(_)) | None) | Err(_) => Outcome::Silent,
        }
    }

    async fn decide(&self, fence: Fence, master: &mut Client) -> Result<Decision, Error> {
        let (root, from, to) = (inbox(self.user), place(self.from), place(self.to));
        if self.world.canary == Some(Canary::NoNumber) {
            let expect = Expect::Active((&from).into());
            return master.activate_if(&root, &to, ACL, &expect).await.map(|()| Decision::Switched);
        }
        master.decide(&Switch { root: &root, from: &from, to: &to, acl: ACL, fence }).await
    }

    async fn settle(&self, fence: Fence, master: &mut Client) -> Result<Decision, Error> {
        let (root, from, to) = (inbox(self.user), place(self.from), place(self.to));
        let switch = Switch { root: &root, from: &from, to: &to, acl: ACL, fence };
        let read = |now: &AtMaster| switch.read(now);
        match self.world.canary {
            Some(Canary::DoubtByReading) => Ok(read(&master.status_of(&root).await?)),
            Some(Canary::NoNumber) => {
                match master.activate_if(&root, &from, ACL, &Expect::Active((&from).into())).await {
                    Ok(()) => Ok(Decision::Kept),
                    Err(Error::Changed) => Ok(read(&master.status_of(&root).await?)),
                    Err(error) => Err(error),
                }
            }
            _ => master.settle(&switch).await,
        }
    }

    async fn ask_peer(&self) -> Outcome {
        match self.call(Request::State { id: self.id }).await {
            Some(Reply::Is(phase)) => Outcome::Peer(phase),
            _ => Outcome::Silent,
        }
    }

    async fn tell(&self, request: Request) -> Outcome {
        match self.call(request).await {
            Some(Reply::Yes) => Outcome::Done,
            Some(_) => self.ask_peer().await,
            None => Outcome::Silent,
        }
    }

    /// The mailbox leaves the list here; its copy stays.
    fn hide(&self) -> Outcome {
        let mut state = self.world.state();
        let site = state.site(self.from);
        if let Some(contents) = site.held.remove(self.user) {
            site.kept.insert(self.user.to_owned(), contents);
        }
        site.frozen.remove(self.user);
        Outcome::Done
    }

    async fn follow(&self) -> Outcome {
        let root = inbox(self.user);
        let followed = async {
            let mut master = self.world.dial(self.from).await?;
            has_follow(&mut master, &root, self.to, self.from).await.ok()
        };
        match timeout(PATIENCE, followed).await {
            Ok(Some(())) => Outcome::Done,
            _ => Outcome::Silent,
        }
    }
}

/// Has the master say `to` for what it has at `from` still, or not at all.
pub async fn has_follow(
    master: &mut Client,
    root: &protocol::name::MailboxName,
    to: &str,
    from: &str,
) -> Result<(), Error> {
    let now = master.status_of(root).await?;
    let fence = now.fence();
    match now.entry {
        Some(entry) if entry.is_active() && entry.server() == from => {
            let place_there = Place::from(&entry.location);
            let expected = fence.map_or(place_there.clone(), |fence| place_there.fenced(fence));
            master.activate_if(root, &place(to), ACL, &Expect::Active(expected)).await
        }
        None => master.activate_if(root, &place(to), ACL, &Expect::None).await,
        Some(_) => Ok(()),
    }
}

/// What is not decided so long after the freeze is given up.
const FROZEN: Duration = Duration::from_millis(1500);
/// How long what is under way may take to end when a gate closes.
const FREEZE: Duration = Duration::from_millis(500);
/// How long the master's answer is waited for before it is asked again.
const ANSWER: Duration = Duration::from_secs(1);
