//! A source, a destination and a master, as much of them as a move touches; every step with every way that it can go wrong.

use moves::{
    destination::{self, Event, Reply, Word},
    source::{Gate, Outcome, Phase, Source, Step, Whose},
};

/// Everything, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub s: SourceNode,
    pub d: DestinationNode,
    pub m: Master,
    /// Requests that the sender gave up, and that may still arrive.
    late: Vec<Late>,
    /// Changes that clients may still make, and things that may still go wrong.
    pub changes: u8,
    pub misfortunes: u8,
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceNode {
    pub disk: Phase,
    pub followed: bool,
    /// Its own list has the mailbox.
    pub lists: bool,
    /// How many changes its copy has.
    pub copy: u8,
    /// None while it is dead.
    pub run: Option<Source>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DestinationNode {
    pub up: bool,
    pub disk: Option<destination::Phase>,
    pub lists: bool,
    pub copy: u8,
    /// What the source said that the copy has, and the master's list and number, as of PREPARE.
    promised: Option<(u8, u8, u8)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Master {
    pub up: bool,
    list: u8,
    pub at: Option<Whose>,
    n: u8,
    /// Whom the item below the root is with.
    pub below: Whose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Late {
    Activate,
    Fence,
    Begin,
}

/// Something that is built in wrong: a test must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    None,
    /// A doubt is resolved by reading the entry.
    DoubtByReading,
    /// The destination takes over when it does not hear from the source.
    DestinationDecides,
    /// Expectations have no number.
    NoNumber,
    /// SWITCHING comes to the disk after the write at the master.
    WrittenAfterwards,
    /// The last difference is sent without a freeze.
    NoFreeze,
    /// The master's word counts though it has another list.
    AnyList,
}

/// How an exchange goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    /// The request never arrives.
    Lost,
    /// It is done, and the answer is lost.
    Unheard,
    /// The request arrives some time later.
    Later,
    /// The destination dies after so many steps of what it is asked.
    Dies(usize),
}

/// The master's number of the root when the move began, and its list.
const N: u8 = 1;
const LIST: u8 = 1;
/// Changes that clients make: one before the decision, say, and one after it.
const CHANGES: u8 = 2;

impl World {
    pub fn new(fault: Fault, misfortunes: u8) -> World {
        World {
            s: SourceNode {
                disk: Phase::Queued,
                followed: false,
                lists: true,
                copy: 0,
                run: Some(Source::new()),
            },
            d: DestinationNode { up: true, disk: None, lists: false, copy: 0, promised: None },
            m: Master { up: true, list: LIST, at: Some(Whose::Source), n: N, below: Whose::Source },
            late: Vec::new(),
            changes: CHANGES,
            misfortunes,
            fault,
        }
    }

    /// Everything that can happen next, with its name.
    pub fn successors(&self) -> Vec<(String, World)> {
        let mut found = Vec::new();
        self.source_steps(&mut found);
        self.destination_steps(&mut found);
        self.clients(&mut found);
        self.deaths(&mut found);
        for (at, late) in self.late.iter().enumerate() {
            let mut world = self.clone();
            world.late.remove(at);
            world.arrives(*late);
            found.push((format!("{late:?} arrives late"), world));
        }
        // A third attempt is as the second one was.
        let is_new = |world: &World| world.s.run.as_ref().is_none_or(|run| run.attempts() <= 2);
        found.retain(|(_, world)| world != self && is_new(world));
        found
    }

    /// What must hold at every moment.
    pub fn check(&self) -> Result<(), String> {
        if self.source_accepts() && self.destination_accepts() {
            return Err("both accept changes".to_owned());
        }
        let acknowledged = CHANGES - self.changes;
        if self.source_accepts() && self.s.copy != acknowledged {
            return Err(format!("the source lacks changes: {} of {acknowledged}", self.s.copy));
        }
        if self.destination_accepts() && self.d.copy != acknowledged {
            return Err(format!("the destination lacks changes: {} of {acknowledged}", self.d.copy));
        }
        Ok(())
    }

    /// Goes on without misfortunes until nothing happens any more.
    pub fn heal(mut self) -> World {
        self.misfortunes = 0;
        for _ in 0..100 {
            let before = self.clone();
            self.m.up = true;
            self.revive();
            self.d_start();
            while let Some(late) = self.late.pop() {
                self.arrives(late);
            }
            if let Some(next) = self.source_step(Luck::Good) {
                self = next;
            }
            let mut found = Vec::new();
            self.destination_steps(&mut found);
            self.agreement(&mut found);
            if let Some((_, next)) = found.into_iter().find(|(_, world)| *world != self) {
                self = next;
            }
            if self == before {
                break;
            }
        }
        self
    }

    /// What must hold when all is over.
    pub fn check_settled(&self) -> Result<(), String> {
        use destination::Phase::{Aborted, Done};
        let kept = self.s.disk == Phase::Kept
            && self.s.followed
            && self.d.disk == Some(Done)
            && self.m.at == Some(Whose::Destination)
            && self.m.below == Whose::Destination
            && !self.s.lists
            && self.destination_accepts();
        let aborted = self.s.disk == Phase::Aborted
            && matches!(self.d.disk, None | Some(Aborted))
            && self.m.at == Some(Whose::Source)
            && self.m.below == Whose::Source
            && !self.d.lists
            && self.source_accepts();
        match kept || aborted {
            true => self.check(),
            false => Err("the move neither ended nor was given up".to_owned()),
        }
    }

    /// The source takes one step, if it is alive, and all goes well.
    pub fn go(&mut self) {
        if let Some(next) = self.source_step(Luck::Good) {
            *self = next;
        }
    }

    pub fn kill_source(&mut self) {
        self.s.run = None;
    }

    pub fn kill_destination(&mut self) {
        self.d.up = false;
    }

    /// The source starts again, from its disk.
    pub fn revive(&mut self) {
        if self.s.run.is_none() {
            self.s.run = Some(Source::resume(self.s.disk, self.s.followed));
        }
    }

    /// The destination starts again.
    pub fn d_start(&mut self) {
        if !self.d.up {
            self.d.up = true;
            self.handle(Event::Start, usize::MAX);
        }
    }

    pub fn lose_list(&mut self) {
        (self.m.list, self.m.at, self.m.n) = (self.m.list + 1, None, N);
        self.late.retain(|late| *late == Late::Begin);
    }

    /// The source asks the master nothing and gets no answer for its step: the master is gone.
    pub fn unheard_at_master(&mut self, done: bool) {
        let luck = if done { Luck::Unheard } else { Luck::Lost };
        if let Some(next) = self.source_step(luck) {
            *self = next;
        }
    }

    /// All that the destination can do by itself, once.
    pub fn destination_goes(&mut self) {
        let mut found = Vec::new();
        self.destination_steps(&mut found);
        if let Some((_, next)) = found.into_iter().find(|(_, world)| world != self) {
            *self = next;
        }
    }

    pub fn step(&self) -> Option<Step> {
        self.s.run.as_ref().map(Source::step)
    }

    pub fn source_accepts(&self) -> bool {
        let open =
            |run: &Source| run.gate() == Gate::Open || self.fault == Fault::NoFreeze && !run.is_decided();
        self.s.lists && self.s.run.as_ref().is_some_and(open)
    }

    pub fn destination_accepts(&self) -> bool {
        self.d.up && self.d.lists
    }

    fn clients(&self, found: &mut Vec<(String, World)>) {
        if self.changes == 0 {
            return;
        }
        if self.source_accepts() {
            let mut world = self.clone();
            (world.s.copy, world.changes) = (self.s.copy + 1, self.changes - 1);
            found.push(("a change at the source".to_owned(), world));
        }
        if self.destination_accepts() {
            let mut world = self.clone();
            (world.d.copy, world.changes) = (self.d.copy + 1, self.changes - 1);
            found.push(("a change at the destination".to_owned(), world));
        }
    }

    fn deaths(&self, found: &mut Vec<(String, World)>) {
        let mut with = |name: &str, costs: u8, change: &dyn Fn(&mut World)| {
            if self.misfortunes >= costs {
                let mut world = self.clone();
                world.misfortunes -= costs;
                change(&mut world);
                found.push((name.to_owned(), world));
            }
        };
        match self.s.run {
            Some(_) => with("the source dies", 1, &|world| world.s.run = None),
            None => with("the source starts", 0, &World::revive),
        }
        match self.d.up {
            true => with("the destination dies", 1, &|world| world.d.up = false),
            false => with("the destination starts", 0, &World::d_start),
        }
        match self.m.up {
            true => with("the master dies", 1, &|world| world.m.up = false),
            false => with("the master starts", 0, &|world| world.m.up = true),
        }
        with("the master loses its list", 1, &World::lose_list);
    }

    fn source_steps(&self, found: &mut Vec<(String, World)>) {
        let Some(step) = self.step() else { return };
        let mut with = |luck: Luck, costs: u8| {
            if self.misfortunes >= costs {
                let mut from = self.clone();
                from.misfortunes -= costs;
                found.extend(from.source_step(luck).map(|next| (format!("{step:?} {luck:?}"), next)));
            }
        };
        with(Luck::Good, 0);
        if !matches!(step, Step::Thaw | Step::Rest | Step::Freeze) {
            with(Luck::Lost, 1);
        }
        if matches!(step, Step::Activate | Step::Fence | Step::Begin) {
            with(Luck::Later, 1);
        }
        if !matches!(step, Step::Write(_) | Step::Hide | Step::Thaw | Step::Rest | Step::Freeze) {
            with(Luck::Unheard, 1);
        }
        if matches!(
            step,
            Step::Begin | Step::Round | Step::Prepare | Step::Commit | Step::Withdraw | Step::Dismiss
        ) {
            (0..=4).for_each(|at| with(Luck::Dies(at), 1));
        }
    }

    /// The source's step. None: nothing is to be done.
    fn source_step(&self, luck: Luck) -> Option<World> {
        let mut world = self.clone();
        let mut run = world.s.run.take()?;
        let step = run.step();
        let outcome = match step {
            Step::Rest => return None,
            Step::Write(_) | Step::Hide if luck == Luck::Lost => Outcome::Failed("no space".to_owned()),
            Step::Write(phase) => {
                if !(self.fault == Fault::WrittenAfterwards && phase == Phase::Switching) {
                    world.s.disk = phase;
                }
                Outcome::Done
            }
            // What a destination of ours never asks for.
            Step::Freeze | Step::Thaw | Step::Return => Outcome::Done,
            Step::Hide => {
                world.s.lists = false;
                Outcome::Done
            }
            Step::Settle => {
                world.s.followed = true;
                Outcome::Done
            }
            Step::Begin | Step::Round | Step::Prepare | Step::AskPeer => world.at_peer(step, luck),
            Step::Withdraw | Step::Commit | Step::Dismiss => world.at_peer(step, luck),
            Step::Activate | Step::Fence | Step::Follow | Step::Retell => world.at_master(step, luck),
        };
        run.told(outcome);
        world.s.run = Some(run);
        Some(world)
    }

    fn at_peer(&mut self, step: Step, luck: Luck) -> Outcome {
        if luck == Luck::Later {
            self.late.push(Late::Begin);
        }
        if !self.d.up || matches!(luck, Luck::Lost | Luck::Later) {
            return Outcome::Silent;
        }
        if step == Step::AskPeer {
            return if luck == Luck::Unheard { Outcome::Silent } else { Outcome::Peer(self.d.disk) };
        }
        if matches!(step, Step::Round | Step::Prepare) && self.d.disk == Some(destination::Phase::Incoming) {
            self.d.copy = self.s.copy;
        }
        if step == Step::Prepare && self.d.disk == Some(destination::Phase::Incoming) {
            self.d.promised = Some((self.s.copy, LIST, N));
        }
        let event = match step {
            Step::Begin => Event::Begin,
            Step::Round => Event::Round,
            Step::Prepare => Event::Prepare,
            Step::Commit => Event::Commit,
            _ => Event::Abort,
        };
        let reply = match luck {
            Luck::Dies(at) => {
                self.handle(event, at);
                self.d.up = false;
                return Outcome::Silent;
            }
            _ => self.handle(event, usize::MAX),
        };
        match (reply, luck, step) {
            (_, Luck::Unheard, _) => Outcome::Silent,
            (Reply::Yes, _, Step::Round) => Outcome::Enough,
            (Reply::Yes, _, _) => Outcome::Done,
            (_, _, Step::Round | Step::Prepare) => Outcome::Silent,
            _ => Outcome::Peer(self.d.disk),
        }
    }

    fn at_master(&mut self, step: Step, luck: Luck) -> Outcome {
        if luck == Luck::Later {
            self.late.push(if step == Step::Activate { Late::Activate } else { Late::Fence });
        }
        if !self.m.up || matches!(luck, Luck::Lost | Luck::Later) {
            return Outcome::Silent;
        }
        let unheard = luck == Luck::Unheard;
        let outcome = match step {
            Step::Activate => match self.conditional(Whose::Destination) {
                true => Outcome::Done,
                false => self.read(),
            },
            Step::Fence => {
                if self.fault != Fault::DoubtByReading {
                    self.conditional(Whose::Source);
                }
                self.read()
            }
            Step::Follow => {
                self.m.below = Whose::Destination;
                Outcome::Done
            }
            _ => {
                (self.m.at, self.m.n) = (Some(Whose::Source), self.m.n + 1);
                Outcome::Done
            }
        };
        if unheard { Outcome::Silent } else { outcome }
    }

    /// The master's conditional write: expecting the source, with the list and the number that it had.
    fn conditional(&mut self, whose: Whose) -> bool {
        let list = self.m.list == LIST || self.fault == Fault::AnyList;
        let numbered = self.m.n == N || self.fault == Fault::NoNumber;
        let holds = list && numbered && self.m.at == Some(Whose::Source);
        if holds {
            (self.m.at, self.m.n) = (Some(whose), self.m.n + 1);
        }
        holds
    }

    fn read(&self) -> Outcome {
        match self.m.list == LIST || self.fault == Fault::AnyList {
            true => Outcome::At(self.m.at.unwrap_or(Whose::Neither)),
            false => Outcome::OtherList,
        }
    }

    fn arrives(&mut self, late: Late) {
        match late {
            Late::Activate if self.m.up => _ = self.conditional(Whose::Destination),
            Late::Fence if self.m.up => _ = self.conditional(Whose::Source),
            Late::Begin if self.d.up => _ = self.handle(Event::Begin, usize::MAX),
            Late::Activate | Late::Fence | Late::Begin => {}
        }
    }

    /// What the destination does by itself: it asks, it follows.
    fn destination_steps(&self, found: &mut Vec<(String, World)>) {
        if !self.d.up {
            return;
        }
        let mut with = |name: &str, event: Event| {
            let mut world = self.clone();
            world.handle(event, usize::MAX);
            found.push((name.to_owned(), world));
        };
        if matches!(self.d.disk, Some(destination::Phase::Incoming | destination::Phase::Prepared)) {
            if self.s.run.is_some() {
                with("the destination asks the source", Event::Heard(self.word()));
            }
            if self.fault == Fault::DestinationDecides && self.s.run.is_none() {
                with("the destination decides", Event::Decided);
            }
            if self.decided() {
                with("the destination asks the master", Event::Decided);
            }
        }
        if self.d.disk == Some(destination::Phase::Committed) && self.m.up {
            let mut world = self.clone();
            if world.m.at.is_none() {
                (world.m.at, world.m.n) = (Some(Whose::Destination), world.m.n + 1);
            }
            world.m.below = Whose::Destination;
            world.handle(Event::Followed, usize::MAX);
            found.push(("the master follows the destination".to_owned(), world));
        }
        self.agreement(found);
    }

    /// Who lists the mailbox and has no move under way tells a master that lost its list.
    fn agreement(&self, found: &mut Vec<(String, World)>) {
        if !self.m.up || self.m.at.is_some() {
            return;
        }
        let mut with = |whose: Whose| {
            let mut world = self.clone();
            (world.m.at, world.m.n, world.m.below) = (Some(whose), self.m.n + 1, whose);
            found.push((format!("{whose:?} tells the master"), world));
        };
        if self.destination_accepts() && self.d.disk == Some(destination::Phase::Done) {
            with(Whose::Destination);
        }
        if self.source_accepts() && self.s.disk == Phase::Aborted {
            with(Whose::Source);
        }
    }

    fn decided(&self) -> bool {
        let Some((_, list, n)) = self.d.promised else { return false };
        let same = self.m.list == list || self.fault == Fault::AnyList;
        self.m.up && same && self.m.at == Some(Whose::Destination) && self.m.n > n
    }

    fn word(&self) -> Word {
        match self.s.disk {
            Phase::Queued | Phase::Copying | Phase::Switching => Word::Underway,
            Phase::Switched | Phase::Kept => Word::Switched,
            Phase::Aborted => Word::Aborted,
        }
    }

    /// The destination does what its table says, or the first steps of it.
    fn handle(&mut self, event: Event, steps: usize) -> Reply {
        let (plan, reply) = destination::plan(self.d.disk, event);
        for step in plan.iter().take(steps) {
            match step {
                destination::Step::Write(phase) => self.d.disk = Some(*phase),
                destination::Step::Compare => {
                    let whole = self.d.promised.is_some_and(|(copy, ..)| copy == self.d.copy);
                    if !whole {
                        return Reply::No;
                    }
                }
                destination::Step::Adopt => self.d.lists = true,
                destination::Step::Release => self.d.copy = 0,
                destination::Step::Sync
                | destination::Step::Hold
                | destination::Step::AskAround
                | destination::Step::Follow => {}
            }
        }
        reply
    }
}
