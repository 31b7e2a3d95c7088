//! The source: its machine, driven a step at a time.

use std::sync::Arc;
use std::time::Duration;

use mailboxes::{Decision, Entry, Fence, ListId, Switch};
use moves::destination;
use moves::journal::{Expected, Record, Role};
use moves::source::{Gate, Outcome, Phase, Source, Step, Whose};
use protocol::location::Location;
use protocol::name::MailboxName;
use protocol::sync::moving::{Begin, Digest, Phase as Told, Prepare};
use protocol::sync::{self, Apply, UniqueId};
use retry::{chance, spread};
use store::{MasterError, StoreError};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::going::Giving;
use super::live::Wish;
use super::peer::{Fault, Peer};
use super::queue::Slot;
use super::rounds::{Sent, Sum, item};
use super::unfenced;
use super::{Moving, cyrus, lock, now};
use crate::limits::{
    AGAIN_FIRST, AGAIN_LAST, FREEZE, MASTER_QUICK, ROUND_CHANGES, ROUND_CHANGES_LATE, ROUND_TIME, ROUNDS,
    ROUNDS_SHORT, rows,
};
use work::aside::weighed;

impl Moving {
    pub(super) async fn resume_giving(self: &Arc<Self>, record: Record) {
        let Role::Source { phase, followed, .. } = record.role else { return };
        let machine = Source::resume(phase, followed);
        if phase == Phase::Queued || machine.step() == Step::Rest {
            return;
        }
        info!(id = %record.id, root = record.root, ?phase, "a move goes on");
        let slot = (!machine.is_decided()).then(|| self.slot(&record.id));
        let mut giving = Giving::new(self.clone(), record, machine, slot);
        // Before anybody is let in: nobody knows yet whose the mailboxes are.
        giving.close_gates().await;
        self.spawn(giving);
    }

    pub(super) fn run(self: &Arc<Self>, record: Record, machine: Source, slot: Slot) {
        self.spawn(Giving::new(self.clone(), record, machine, Some(slot)));
    }

    fn spawn(&self, giving: Giving) {
        let stop = self.context.shutdown();
        self.context.tasks().spawn(async move { stop.run_until_cancelled(giving.drive()).await });
    }
}

impl Giving {
    async fn drive(mut self) {
        loop {
            if self.machine.is_decided() {
                self.decided();
            }
            let step = self.machine.step();
            if step == Step::Rest {
                info!(id = %self.record.id, root = self.record.root, gate = ?self.machine.gate(), "a move is over");
                return;
            }
            let outcome = match self.may_wait(step) {
                false => self.paused_step(step).await,
                true => {
                    let (live, hours) = (self.live.clone(), self.record.wishes.open_for(now()));
                    let over = async {
                        match hours {
                            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        biased;
                        () = live.interrupted() => match live.wanted() {
                            Wish::GiveUp => Outcome::Failed("given up by an operator".to_owned()),
                            Wish::Go | Wish::Wait => return self.wait_in_queue().await,
                        },
                        outcome = self.paused_step(step) => outcome,
                        () = over => return self.wait_in_queue().await,
                    }
                }
            };
            match &outcome {
                Outcome::Failed(why) => {
                    warn!(id = %self.record.id, root = self.record.root, ?step, why, "a step of a move failed");
                    self.record.why = Some(why.clone());
                }
                Outcome::Silent => {}
                _ => self.record.why = None,
            }
            self.machine.told(outcome);
            self.moving.waits_for(&self.record.id, self.record.why.clone());
        }
    }

    /// Nothing is lost when such a step is broken off.
    fn may_wait(&self, step: Step) -> bool {
        let copies = matches!(step, Step::Write(Phase::Copying) | Step::Begin | Step::Round);
        copies && self.machine.gate() == Gate::Open
    }

    async fn paused_step(&mut self, step: Step) -> Outcome {
        if self.machine.attempts() > 0 {
            let doubled = AGAIN_FIRST.saturating_mul(1 << self.machine.attempts().min(10));
            sleep(spread(doubled.min(AGAIN_LAST), chance())).await;
        }
        self.close_gates().await;
        if let Some(peer) = &mut self.peer {
            // While everybody waits, nothing else does.
            peer.pace = (step == Step::Round).then(|| self.live.clone());
        }
        self.step(step).await
    }

    /// Whoever waits hears how it ended, and the next one may begin.
    fn decided(&mut self) {
        if lock(&self.moving.lives).remove(&self.record.id).is_some() {
            let done = match self.machine.gate() {
                Gate::Moved => Ok(()),
                Gate::Open | Gate::Closed => {
                    Err(self.machine.why().unwrap_or("the move was given up").to_owned())
                }
            };
            self.live.end(done);
        }
        self.slot = None;
    }

    /// What has come to the destination stays there, and is what the move begins with when it goes on.
    async fn wait_in_queue(mut self) {
        if self.live.wanted() == Wish::Wait {
            // Noted with the phase: the place that is free in a moment would be given to this move again.
            self.record.wishes.stopped = true;
        }
        self.live.wish(Wish::Go);
        if let Outcome::Failed(error) = self.write(Phase::Queued).await {
            warn!(error, id = %self.record.id, "a move that waits is not noted as such: a restart has it go on");
        }
    }

    /// Where nobody may change the mailboxes, the gates are closed, whatever became of them before.
    async fn close_gates(&mut self) {
        let is_closed = |machine: &Source| machine.gate() == Gate::Closed || machine.step() == Step::Hide;
        while is_closed(&self.machine) && self.frozen.is_none() {
            let ids: Vec<String> = self.record.items.iter().map(|item| item.uniqueid.clone()).collect();
            let Ok(root) = MailboxName::parse(&self.record.root) else { return };
            match self.moving.store.freeze(&root, &ids).await {
                Ok(frozen) => self.frozen = Some(frozen),
                Err(error) => {
                    warn!(%error, root = self.record.root, "mailboxes of a move cannot be frozen yet");
                    sleep(AGAIN_FIRST).await;
                }
            }
        }
    }

    async fn step(&mut self, step: Step) -> Outcome {
        if cyrus::is_with(&self.record)
            && let Some(outcome) = self.step_with_cyrus(step).await
        {
            return outcome;
        }
        match step {
            Step::Write(phase) => self.write(phase).await,
            Step::Begin => self.begin().await,
            Step::Round => self.round().await,
            Step::Freeze => self.freeze().await,
            Step::Prepare => {
                let most = frozen(self.moving.context.imapd().move_freeze);
                match timeout_at(self.frozen_at + most, self.prepare()).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        rows::move_freeze
                            .met(format_args!("{}: goes on here, and is tried again", self.record.root));
                        self.record.why = Some(format!("not ready after {most:?}: tried again"));
                        self.peer = None;
                        Outcome::Silent
                    }
                }
            }
            Step::Thaw => {
                self.frozen = None;
                Outcome::Done
            }
            Step::Activate => self.at_master(false).await,
            Step::Fence => self.at_master(true).await,
            Step::AskPeer => self.ask_peer().await,
            Step::Withdraw => self.tell(Apply::Abort(self.record.id.wire())).await,
            Step::Commit => self.tell(Apply::Commit(self.record.id.wire())).await,
            Step::Hide => self.hide().await,
            Step::Follow => self.follow().await,
            Step::Settle => {
                let until = self.moving.keep_from_now(&self.record);
                if let Role::Source { followed, keep_until, .. } = &mut self.record.role {
                    (*followed, *keep_until) = (true, Some(until));
                }
                self.noted().await
            }
            // Whoever compares the lists tells it, now that the names are free.
            Step::Retell => {
                self.moving.standing.compare();
                Outcome::Done
            }
            Step::Dismiss => {
                let told = self.tell(Apply::Abort(self.record.id.wire()));
                // It asks when it is told nothing.
                let _ = told.await;
                // What was left to the move meanwhile is nobody's now.
                self.moving.standing.compare();
                Outcome::Done
            }
            // A destination of ours remembers what it took.
            Step::Return | Step::Rest => Outcome::Done,
        }
    }

    async fn write(&mut self, next: Phase) -> Outcome {
        if let Role::Source { phase, .. } = &mut self.record.role {
            *phase = next;
        }
        self.noted().await
    }

    async fn noted(&self) -> Outcome {
        match self.moving.write(self.record.clone()).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        }
    }

    pub(super) fn to(&self) -> String {
        match &self.record.role {
            Role::Source { to, .. } => to.clone(),
            Role::Destination { from, .. } => from.clone(),
        }
    }

    /// The connection to the destination; a new one where there is none.
    async fn peer(&mut self) -> Result<&mut Peer, Fault> {
        if self.peer.is_none() {
            self.peer = Some(Peer::connect(self.moving.upstream(), &self.to()).await?);
        }
        self.peer.as_mut().ok_or_else(|| Fault::Away("no connection".to_owned()))
    }

    async fn begin(&mut self) -> Outcome {
        // Whatever was sent on another connection may not have come.
        (self.peer, self.sent, self.rounds) = (None, Sent::default(), 0);
        let Some(begin) = self.announced() else {
            return Outcome::Failed("a mailbox has a name or an id that cannot be moved".to_owned());
        };
        let begun = match self.peer().await {
            Ok(peer) => peer.apply(&Apply::Begin(begin)).await,
            Err(fault) => Err(fault),
        };
        match begun {
            Ok(told) => {
                self.sent.is_there(told);
                let rate = self.record.wishes.rate;
                self.live.begin(rate.unwrap_or_else(|| self.moving.context.imapd().move_rate));
                Outcome::Done
            }
            Err(Fault::Away(why)) => {
                self.record.why = Some(why);
                Outcome::Silent
            }
            Err(Fault::Refused(text)) => match self.ask_peer().await {
                Outcome::Peer(Some(destination::Phase::Incoming | destination::Phase::Prepared) | None) => {
                    Outcome::Failed(text)
                }
                other => other,
            },
        }
    }

    async fn send_round(&mut self, peer: &mut Peer) -> Result<Sum, Fault> {
        match cyrus::is_with(&self.record) {
            true => self.round_to_cyrus(peer).await,
            false => self.moving.send_round(peer, &mut self.record, &mut self.sent).await,
        }
    }

    fn announced(&self) -> Option<Begin> {
        Some(Begin {
            id: self.record.id.wire(),
            from: self.moving.server.clone(),
            root: MailboxName::parse(&self.record.root).ok()?,
            partition: self.record.items.first()?.to_partition.clone(),
            items: self.record.items.iter().map(item).collect::<Option<_>>()?,
            bytes: self.live.shown().total_bytes,
        })
    }

    async fn round(&mut self) -> Outcome {
        let began = Instant::now();
        self.rounds += 1;
        self.live.round(self.rounds);
        if self.rounds > ROUNDS {
            return Outcome::Failed("changes come faster than they can be moved".to_owned());
        }
        let Some(mut peer) = self.peer.take() else { return Outcome::Silent };
        let sum = self.send_round(&mut peer).await;
        let begin = self.announced();
        let sum = match sum {
            Ok(sum) => self.moving.proven(&mut peer, &mut self.sent, begin, sum).await,
            Err(fault) => Err(fault),
        };
        match sum {
            Ok(sum) => {
                self.peer = Some(peer);
                if let Role::Source { messages, bytes, .. } = &mut self.record.role {
                    (*messages, *bytes) = (*messages + sum.messages, *bytes + sum.bytes);
                }
                let enough = match self.rounds > ROUNDS_SHORT {
                    true => sum.changes < ROUND_CHANGES_LATE,
                    false => sum.changes < ROUND_CHANGES && began.elapsed() < ROUND_TIME,
                };
                let enough = enough && !sum.torn;
                info!(id = %self.record.id, changes = sum.changes, took = ?began.elapsed(), "a round of a move");
                if enough { Outcome::Enough } else { Outcome::Done }
            }
            Err(fault) => self.fault(fault),
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Outcome {
        self.peer = None;
        match fault {
            Fault::Refused(text) => Outcome::Failed(text),
            Fault::Away(why) => {
                info!(id = %self.record.id, why, "a move waits for the other backend");
                self.record.why = Some(why);
                Outcome::Silent
            }
        }
    }

    /// The master is asked first: what it says is what the switch expects, and a slow one would make everybody wait.
    async fn freeze(&mut self) -> Outcome {
        let Ok(root) = MailboxName::parse(&self.record.root) else {
            return Outcome::Failed("Invalid mailbox name".to_owned());
        };
        let began = Instant::now();
        let at = async {
            let mut master = self.moving.master.connect().await?;
            let asked = Instant::now();
            unfenced::standing(master.as_mut(), &root).await.map(|at| (at, asked.elapsed()))
        };
        let ((entry, fence), took) = match at.await {
            Ok(found) => found,
            Err(error @ MasterError::Login) => return Outcome::Failed(error.to_string()),
            Err(_) => return Outcome::Silent,
        };
        if took > MASTER_QUICK {
            let took = began.elapsed().as_millis();
            self.record.why = Some(format!("not frozen: the MUPDATE master took {took} ms to answer"));
            return Outcome::Silent;
        }
        let is_here = |entry: &Entry| entry.is_active() && entry.server() == self.moving.server.as_str();
        if !entry.as_ref().is_some_and(is_here) {
            return Outcome::Failed("the MUPDATE master does not have the mailbox here".to_owned());
        }
        // None: the master is Cyrus's, and compares nothing.
        self.record.expected = fence.map(|fence| Expected { list: fence.list.to_string(), n: fence.seq });
        let ids: Vec<String> = self.record.items.iter().map(|item| item.uniqueid.clone()).collect();
        self.frozen_at = Instant::now();
        match timeout(FREEZE, self.moving.store.freeze(&root, &ids)).await {
            Ok(Ok(frozen)) => self.frozen = Some(frozen),
            Ok(Err(error)) if !error.is_temporary() => return Outcome::Failed(error.to_string()),
            Ok(Err(_)) | Err(_) => return Outcome::Silent,
        }
        if let Role::Source { frozen_at, .. } = &mut self.record.role {
            *frozen_at = Some(now());
        }
        Outcome::Done
    }

    /// The last difference, and the digests that the destination compares.
    async fn prepare(&mut self) -> Outcome {
        let frozen: Vec<String> = self.record.items.iter().map(|item| item.uniqueid.clone()).collect();
        let Some(mut peer) = self.peer.take() else { return Outcome::Silent };
        let sum = match self.send_round(&mut peer).await {
            Ok(sum) => sum,
            Err(fault) => return self.fault(fault),
        };
        // A mailbox that came just before is not frozen with the others: once more.
        if sum.torn
            || self.sent.is_unproven()
            || !self.record.items.iter().all(|item| frozen.contains(&item.uniqueid))
        {
            return Outcome::Silent;
        }
        if cyrus::is_with(&self.record) {
            return self.prepare_with_cyrus(peer).await;
        }
        let mut digests = Vec::with_capacity(self.record.items.len());
        for item in &mut self.record.items {
            let Some(snapshot) = self.sent.snapshot(&item.uniqueid).cloned() else { return Outcome::Silent };
            let digest = weighed(snapshot.records().len(), move || snapshot.digest()).await;
            item.digest = Some(digest.to_string());
            let Some(id) = UniqueId::new(&item.uniqueid) else {
                return Outcome::Failed("a mailbox has an id that cannot be moved".to_owned());
            };
            digests.push((id, Digest(digest.0)));
        }
        let fence = self.record.expected.as_ref().map(|expected| format!("{}:{}", expected.list, expected.n));
        let user = self.sent.user().map(|user| Digest(user.digest().0));
        let prepare = Prepare { id: self.record.id.wire(), user, digests, fence };
        match peer.apply(&Apply::Prepare(prepare)).await {
            Ok(_) => {
                self.peer = Some(peer);
                Outcome::Done
            }
            Err(Fault::Refused(text)) if text.starts_with("IMAP_SYNC_CHECKSUM") => {
                let (to, here) = (self.to(), &self.moving.server);
                Outcome::Failed(format!("the copy on {to} differs in {}: stays on {here}", self.record.root))
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// The decision; `fence`: the end of a doubt about it.
    async fn at_master(&mut self, fence: bool) -> Outcome {
        if self.record.expected.is_none() {
            return self.at_unfenced_master(fence).await;
        }
        let Some((root, from, to, acl, noted)) = self.switch() else {
            return Outcome::Failed("the move's journal lacks what the master said".to_owned());
        };
        let switch = Switch { root: &root, from: &from, to: &to, acl: &acl, fence: noted };
        let asked = async {
            let mut master = self.moving.master.connect().await?;
            match fence {
                true => master.settle(&switch).await,
                false => master.decide(&switch).await,
            }
        };
        match asked.await {
            Ok(Decision::Switched) => Outcome::At(Whose::Destination),
            Ok(Decision::Kept) => Outcome::At(Whose::Source),
            Ok(Decision::Elsewhere(at)) => {
                warn!(?at, %root, "the master has the mailbox of a move elsewhere");
                Outcome::At(Whose::Neither)
            }
            Ok(Decision::Replaced) => Outcome::OtherList,
            Err(error) => {
                warn!(%error, %root, "waiting for the MUPDATE master's word: changes wait");
                let since = self.frozen_at.elapsed().as_secs();
                self.record.why = Some(format!(
                    "waiting for the MUPDATE master's word for {since} s: changes to {root} wait"
                ));
                Outcome::Silent
            }
        }
    }

    #[allow(clippy::type_complexity)]
    fn switch(&self) -> Option<(MailboxName, Location, Location, String, Fence)> {
        let (root, from, to, acl) = self.places()?;
        let expected = self.record.expected.as_ref()?;
        let fence = Fence { list: ListId::parse(&expected.list)?, seq: expected.n };
        Some((root, from, to, acl, fence))
    }

    /// The root, where the master has it, where it is to have it, and with which ACL.
    pub(super) fn places(&self) -> Option<(MailboxName, Location, Location, String)> {
        let root = MailboxName::parse(&self.record.root).ok()?;
        let item = self.record.items.iter().find(|item| item.name == self.record.root)?;
        let to = Location::parse(&format!("{}!{}", self.to(), item.to_partition)).ok()?;
        Some((root, self.moving.here(&item.partition), to, item.acl.clone()))
    }

    async fn ask_peer(&mut self) -> Outcome {
        let state = Apply::State(self.record.id.wire());
        let told = match self.peer().await {
            Ok(peer) => peer.apply(&state).await,
            Err(fault) => Err(fault),
        };
        let told = match told {
            Ok(told) => told,
            Err(Fault::Refused(text)) => return Outcome::Failed(text),
            Err(fault) => return self.fault(fault),
        };
        let phase = told.into_iter().find_map(|told| match told {
            sync::Told::State(state) => Some(state.phase),
            _ => None,
        });
        match phase {
            None => Outcome::Silent,
            Some(Told::Unknown) => Outcome::Peer(None),
            Some(Told::Incoming) => Outcome::Peer(Some(destination::Phase::Incoming)),
            Some(Told::Prepared) => Outcome::Peer(Some(destination::Phase::Prepared)),
            Some(Told::Committed) => Outcome::Peer(Some(destination::Phase::Committed)),
            Some(Told::Done) => Outcome::Peer(Some(destination::Phase::Done)),
            Some(Told::Aborted) => Outcome::Peer(Some(destination::Phase::Aborted)),
        }
    }

    async fn tell(&mut self, apply: Apply) -> Outcome {
        let told = match self.peer().await {
            Ok(peer) => peer.apply(&apply).await,
            Err(fault) => Err(fault),
        };
        match told {
            Ok(_) => Outcome::Done,
            Err(Fault::Refused(_)) => self.ask_peer().await,
            Err(fault) => self.fault(fault),
        }
    }

    async fn hide(&mut self) -> Outcome {
        let Some(frozen) = &self.frozen else { return Outcome::Silent };
        let items = self.record.items.iter().map(|item| {
            Ok(store::Item {
                name: MailboxName::parse(&item.name)?,
                uniqueid: item.uniqueid.clone(),
                partition: item.partition.clone(),
            })
        });
        let given = match items.collect::<Result<Vec<_>, StoreError>>() {
            Ok(items) => {
                self.moving.store.give_away(frozen, &items, &self.to(), self.record.id.as_str()).await
            }
            Err(error) => Err(error),
        };
        match given {
            Ok(()) => {
                // Whoever waited hears where the mailboxes are.
                self.frozen = None;
                let waited = u64::try_from(self.frozen_at.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.record.pause.get_or_insert(waited);
                Outcome::Done
            }
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    pub(super) async fn follow(&mut self) -> Outcome {
        self.moving.have_followed(&self.record, &self.to()).await
    }
}

/// How long changes wait for a move to be ready, of what they may wait: the rest is the decision's.
fn frozen(all: Duration) -> Duration {
    all / 4 * 3
}
