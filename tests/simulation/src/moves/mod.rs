//! Moves of mailboxes between backends: a master with its real code, the real machines of a move's two sides ([`moves::source`],
//! [`moves::destination`]), the real words that a source says to the master, and backends whose stores, journals and talk with each
//! other are models.
//!
//! For half a minute of simulated time users are moved there and back, changed, and given other ACLs, and clients copy and move
//! messages between them (`clients`), while nodes die, before and after they write, connections stall and break, a round loses a
//! message, the master's disk is slow, and its list is lost or put back. Then everything is mended.
//!
//! All the time, what `truth` says must hold: one backend at a time accepts changes of a mailbox, it is the one that the master
//! names, and it has all that was ever acknowledged, with the same UIDs and mod-sequences; while the master answers, changes wait
//! two seconds at most; a client that hears OK hears the right UIDs; a copy is removed only while another backend lists the
//! mailbox. In the end every move is over, each mailbox is listed on one backend, and at the master there, and each message is as
//! often there as clients were told.

mod clients;
mod contents;
mod journal;
mod site;
mod source;
mod target;
mod truth;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use directory::client::{Address, Client};
use mailboxes::Entry;
use protocol::{location::Location, name::MailboxName};
use tokio::time::{Duration, Instant, sleep, timeout};

use self::{
    contents::{Change, Contents},
    journal::{Reply, Request},
    site::Site,
    truth::Truth,
};
use crate::{
    Report, chance,
    disk::Faults,
    network::{Dialer, Network},
    node::{Kind, Node, undump},
};

/// A fault in how a move is decided, to see that the simulation would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// A destination that hears nothing of its source tells the master itself.
    EagerDestination,
    /// A source that had no answer looks what the master has, and believes it.
    DoubtByReading,
    /// The master is asked for the place only, not for the change that the source knows of.
    NoNumber,
    /// A backend's own operations tell the master whatever it has.
    PlainWords,
    /// A destination believes that its copy is whole.
    DigestsNotCompared,
    /// A frozen user's subscriptions and seen states change on.
    GateForgetsLog,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct World {
    network: Network,
    master: Arc<Mutex<Node>>,
    state: Arc<Mutex<State>>,
    canary: Option<Canary>,
}

#[derive(Default)]
struct State {
    sites: BTreeMap<String, Site>,
    truth: Truth,
    moves: u64,
    /// Connections between backends, and messages, that there ever were.
    connections: u64,
    messages: u64,
    /// How often things happened that a run must not do without.
    counts: BTreeMap<&'static str, usize>,
    ended: bool,
}

/// Runs one seed, on a runtime whose clock is paused.
pub async fn run(seed: u64, canary: Option<Canary>) -> Report {
    chance::begin(seed);
    let world = World::new(canary);
    world.populate().await;
    for name in SITES {
        world.start_site(name);
    }
    tokio::spawn(changes(world.clone()));
    tokio::spawn(wishes(world.clone()));
    (0..CLIENTS).for_each(|_| drop(tokio::spawn(clients::run(world.clone()))));
    world.misfortunes().await;
    world.state().ended = true;
    world.mend();
    world.settle().await;
    world.state().check_contents();
    let (truth, counts) = {
        let mut state = world.state();
        (std::mem::take(&mut state.truth), std::mem::take(&mut state.counts))
    };
    SITES.iter().for_each(|name| world.stop_site(name));
    world.master().crash(&world.network);
    Report { violations: truth.violations, acknowledged: truth.moved, counts, trace: chance::end() }
}

impl World {
    fn new(canary: Option<Canary>) -> World {
        let network = Network::default();
        let mut master = Node::new("master", Kind::Master);
        master.start(&network);
        let sites = SITES.iter().map(|name| ((*name).to_owned(), Site::default())).collect();
        let state = State { sites, ..State::default() };
        World { network, master: Arc::new(Mutex::new(master)), state: Arc::new(Mutex::new(state)), canary }
    }

    /// Each user has an INBOX somewhere, and the master knows it.
    async fn populate(&self) {
        for (at, user) in USERS.iter().enumerate() {
            let site = SITES[at % SITES.len()];
            let mut client = self.dial(site).await.expect("everything works yet");
            let told = client.activate(&inbox(user), &place(site), ACL).await;
            told.expect("everything works yet");
            self.state().site(site).held.insert((*user).to_owned(), Contents::default());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn master(&self) -> MutexGuard<'_, Node> {
        self.master.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of a backend's to the master; none in a second or two.
    async fn dial(&self, site: &str) -> Option<Client> {
        let dialer = Dialer::new(&self.network, site, &["master".into()], false);
        let dialed = timeout(PATIENCE, Client::dial(&Address::Through(Arc::new(dialer)))).await;
        if !self.state().ended && chance::odds(15) {
            // Some words come late, whatever is said meanwhile on another connection.
            let (from, time) = (site.to_owned(), chance::millis(200..9000));
            match chance::odds(50) {
                true => self.network.stall_newest(&from, time),
                false => {
                    self.later(chance::millis(0..120), move |world| world.network.stall_newest(&from, time))
                }
            }
        }
        dialed.ok()?.ok()
    }

    /// Asks another backend. None: no answer, and whether it was heard, or will be, is not known.
    async fn call(&self, from: &str, to: &str, request: Request) -> Option<Reply> {
        let way = async {
            sleep(chance::millis(1..15)).await;
            self.network.open(from, to).await;
            if self.is_unlucky(3) {
                let (to, request) = (to.to_owned(), request.clone());
                // It may lie in a buffer.
                if chance::odds(50) {
                    self.later(chance::millis(1000..9000), move |world| _ = world.hear(&to, request));
                }
                std::future::pending::<()>().await;
            }
        };
        timeout(PATIENCE, way).await.ok()?;
        let reply = self.hear(to, request.clone())?;
        let back = async {
            sleep(chance::millis(1..15)).await;
            if self.is_unlucky(3) {
                std::future::pending::<()>().await;
            }
        };
        timeout(PATIENCE, back).await.ok()?;
        Some(reply)
    }

    /// True so many times in a hundred, until everything is mended.
    fn is_unlucky(&self, percent: usize) -> bool {
        !self.state().ended && chance::odds(percent)
    }

    fn count(&self, what: &'static str) {
        *self.state().counts.entry(what).or_default() += 1;
    }

    /// What the master's list has, as far as its process runs.
    fn entries(&self) -> Option<BTreeMap<String, Entry>> {
        self.master().entries()
    }

    async fn misfortunes(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        let mut dump = None;
        while Instant::now() < end {
            sleep(chance::millis(50..1500)).await;
            let site = chance::pick(&SITES).copied().unwrap_or("be0");
            match chance::below(24) {
                0..7 => self.kill_site(site),
                7..9 => self.kill_master(chance::millis(10..4000)),
                9..14 => self.network.cut_one(),
                14..18 => self.partition(site),
                18..21 => self.slow_master(),
                21 => dump = self.entries().or(dump),
                22 => {
                    if let Some(dump) = dump.take() {
                        self.replace_list(dump).await;
                    }
                }
                _ if chance::odds(40) => self.replace_list(BTreeMap::new()).await,
                _ => {}
            }
        }
    }

    fn kill_site(&self, name: &'static str) {
        self.stop_site(name);
        self.later(chance::millis(10..5000), move |world| world.start_site(name));
    }

    fn kill_master(&self, back: Duration) {
        self.master().crash(&self.network);
        self.later(back, World::start_master);
    }

    fn start_master(&self) {
        let mut master = self.master();
        if master.running.is_none() && !master.stopping {
            master.start(&self.network);
        }
    }

    fn partition(&self, site: &'static str) {
        let others = ["master", "be0", "be1", "be2"];
        let other = chance::pick(&others).copied().unwrap_or("master");
        chance::note(|| format!("network: nothing gets from {site} to {other}"));
        self.network.block(site, other, true);
        self.later(chance::millis(100..8000), move |world| world.network.block(site, other, false));
    }

    fn slow_master(&self) {
        chance::note(|| "master: its disk is slow".into());
        self.master().disk.set(Faults { slow: true, ..Faults::default() });
        self.later(chance::millis(500..6000), |world| world.master().disk.set(Faults::default()));
    }

    /// The master's disk is replaced, by an empty one or by what a dump tells.
    async fn replace_list(&self, dump: BTreeMap<String, Entry>) {
        chance::note(|| format!("master: its list is replaced by one of {} entries", dump.len()));
        let (disk, options) = {
            let mut master = self.master();
            master.crash(&self.network);
            master.stopping = true;
            master.disk.set(Faults::default());
            (master.disk.clone(), master.options())
        };
        self.state().truth.agreed = None;
        undump(&disk, options, dump).await;
        disk.crash();
        self.master().stopping = false;
        self.start_master();
    }

    fn later(&self, after: Duration, act: impl FnOnce(&World) + Send + 'static) {
        let world = self.clone();
        tokio::spawn(async move {
            sleep(after).await;
            act(&world);
        });
    }

    fn mend(&self) {
        chance::note(|| "everything is mended".into());
        self.network.heal();
        self.master().disk.set(Faults::default());
        self.start_master();
        SITES.iter().for_each(|name| self.start_site(name));
    }

    /// Waits until all moves are over, and the master has what is true.
    async fn settle(&self) {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            sleep(Duration::from_millis(500)).await;
            // What was to come up later may still have died before.
            self.start_master();
            SITES.iter().for_each(|name| self.start_site(name));
            let entries = self.entries().unwrap_or_default();
            let mut state = self.state();
            let open = state.unsettled(&entries);
            if open.is_empty() {
                return;
            }
            if Instant::now() > end {
                return state.truth.wrong(format!("in the end: {}", open.join("; ")));
            }
        }
    }
}

impl State {
    fn site(&mut self, name: &str) -> &mut Site {
        self.sites.entry(name.to_owned()).or_default()
    }

    /// What waits longer than changes may wait, and not for the master's word.
    fn note_pauses(&mut self) {
        let mut long = Vec::new();
        for (name, site) in &self.sites {
            for (user, since) in &site.frozen {
                if since.elapsed() > PAUSE && site.is_up() && !site.is_deciding(user) {
                    long.push(format!("{name}: changes of {user} wait for {:?}", since.elapsed()));
                }
            }
        }
        long.into_iter().for_each(|what| self.truth.wrong(what));
    }

    /// What is not yet as it must be in the end.
    fn unsettled(&self, entries: &BTreeMap<String, Entry>) -> Vec<String> {
        let mut open = Vec::new();
        for (name, site) in &self.sites {
            let moves = site.journals.iter().filter(|(_, journal)| !journal.is_over());
            open.extend(moves.map(|(id, journal)| format!("{name}: move {id} is {:?}", journal.role)));
            open.extend(site.incoming.keys().map(|id| format!("{name}: a copy of move {id} is left")));
        }
        for user in USERS {
            let has = self.sites.iter().filter(|(_, site)| site.held.contains_key(user));
            let has: Vec<&str> = has.map(|(name, _)| name.as_str()).collect();
            let entry = entries.get(inbox(user).as_str()).filter(|entry| entry.is_active());
            let listed = entry.map(|entry| entry.server().to_owned());
            if has.len() != 1 || listed.as_deref() != has.first().copied() {
                open.push(format!("{user} is on {has:?}, and by the master on {listed:?}"));
            }
        }
        open
    }
}

/// Mail, and whatever else changes a mailbox: offered to all backends at once, of which one may take it.
async fn changes(world: World) {
    loop {
        sleep(chance::millis(2..40)).await;
        let user = chance::pick(&USERS).copied().unwrap_or("u0");
        let change = world.some_change(user);
        let listed = world.listed(user);
        let list = listed.as_ref().map(|(list, _)| *list);
        {
            let mut state = world.state();
            let taken = state.offer(user, &change, &listed, world.canary);
            if let (Some(_), Change::Append(ids)) = (taken, &change) {
                ids.iter().for_each(|id| state.truth.counts(*id, 1, 1));
            }
            state.note_pauses();
        }
        if let (Some(list), Some(entries)) = (list, world.entries()) {
            world.state().note_agreement(list, &entries);
        }
    }
}

impl World {
    fn some_change(&self, user: &str) -> Change {
        let number = self.new_message();
        let uids: Vec<u32> = {
            let state = self.state();
            let contents = state.truth.contents.get(user);
            contents.map(|contents| contents.mail.keys().copied().collect()).unwrap_or_default()
        };
        match (chance::below(10), chance::pick(&uids)) {
            (0..2, Some(uid)) => Change::Flag(*uid),
            (2, Some(uid)) => Change::Expunge(*uid),
            (3..5, _) => Change::Note(number),
            _ => Change::Append(vec![number]),
        }
    }
}

impl World {
    /// Which list the master has, and where it has a user's INBOX, if its process runs.
    fn listed(&self, user: &str) -> truth::Listed {
        let master = self.master();
        let list = &master.running.as_ref()?.list;
        let entry = list.get(&inbox(user)).ok()?;
        Some((list.position().list, entry))
    }
}

/// An operator, or many: users are to be moved, and change who may read what.
async fn wishes(world: World) {
    loop {
        sleep(chance::millis(30..900)).await;
        if world.state().ended {
            return;
        }
        let user = chance::pick(&USERS).copied().unwrap_or("u0");
        let had = SITES.into_iter().find(|name| world.state().site(name).kept.contains_key(user));
        let to = match had {
            Some(had) if chance::odds(40) => had,
            _ => chance::pick(&SITES).copied().unwrap_or("be0"),
        };
        let has = SITES.into_iter().find(|name| world.state().site(name).held.contains_key(user));
        match has {
            Some(from) if chance::odds(25) => world.set_acl(from, user),
            Some(from) if from != to => world.ask_move(from, user, to),
            _ => {}
        }
    }
}

fn inbox(user: &str) -> MailboxName {
    MailboxName::parse(&format!("user.{user}")).expect("a name of this simulation")
}

fn place(site: &str) -> Location {
    Location::parse(&format!("{site}!default")).expect("a server and a partition")
}

const SITES: [&str; 3] = ["be0", "be1", "be2"];
const USERS: [&str; 3] = ["u0", "u1", "u2"];
/// Who copy and move messages.
const CLIENTS: usize = 3;
/// How long changes wait at most while the master answers.
const PAUSE: Duration = Duration::from_secs(2);
const ACL: &str = "anyone\tlrs\t";
/// How long a word to another node is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
