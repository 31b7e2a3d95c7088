//! A murder under simulation: its nodes, what befalls them, and what must hold.
//!
//! 1. A master, slaves, proxies and backends start, and work for half a minute of simulated time, while nodes crash, disks
//!    fail, the network breaks and clocks are set.
//! 2. Then everything is mended and the backends stop. All replicas must come to hold what the master holds, at its
//!    position, and what it holds must be what was acknowledged. A master that lost its list has been told of every mailbox
//!    by then; what replicas still hold back an operator accepts.
//! 3. Everything loses power at once, starts again, and the same must be true.
//!
//! All the time each replica is watched: it never goes back to an older state, and no proxy says for good that a mailbox
//! does not exist when it does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use directory::lookup::Found;
use mailboxes::{Entry, Options, Position};
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{self, mailbox},
    chance,
    disk::{Disk, Faults},
    network::Network,
    node::{Kind, Node, undump},
    truth::{Seen, Truth},
};

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct World {
    pub network: Network,
    nodes: Arc<Mutex<BTreeMap<String, Node>>>,
    truth: Arc<Mutex<Truth>>,
}

/// A fault that no murder can bear, to see that the simulation would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// The master's disk says that it synced, and did not: acknowledged changes are lost.
    LyingDisk,
    /// A proxy's disk now and then keeps what it was told to change: a replica differs.
    ForgetfulDisk,
    /// A frontend takes what its list lacks for what does not exist.
    HastyProxy,
}

/// How a run went.
#[derive(Debug)]
pub struct Report {
    pub violations: Vec<String>,
    pub acknowledged: usize,
    /// How often things happened that a run must not do without.
    pub counts: BTreeMap<&'static str, usize>,
    pub trace: Vec<String>,
}

/// Runs one seed, on a runtime whose clock is paused.
pub async fn run(seed: u64, canary: Option<Canary>) -> Report {
    chance::begin(seed);
    let world = World::default();
    world.build(canary);
    let stop = CancellationToken::new();
    let shared: Vec<String> = (0..3).map(|n| format!("shared.x{n}")).collect();
    for number in 0..3 {
        let mine: Vec<String> = (0..6).map(|n| format!("user.b{number}.m{n}")).collect();
        mine.iter().for_each(|name| world.truth().add(name));
        let (world, shared, stop) = (world.clone(), shared.clone(), stop.clone());
        tokio::spawn(backend::run(world, format!("be{number}"), mine, shared, stop));
    }
    for name in world.followers() {
        let hasty = canary == Some(Canary::HastyProxy);
        tokio::spawn(watch(world.clone(), name, hasty));
    }
    world.misfortunes().await;
    stop.cancel();
    world.mend();
    world.settle("after the misfortunes").await;
    for name in world.names() {
        world.crash(&name);
    }
    world.mend();
    world.settle("after a power failure").await;
    let truth = std::mem::take(&mut *world.truth());
    for name in world.names() {
        world.crash(&name);
    }
    Report {
        violations: truth.violations,
        acknowledged: truth.acknowledged,
        counts: BTreeMap::new(),
        trace: chance::end(),
    }
}

impl World {
    fn build(&self, canary: Option<Canary>) {
        let follower = |of: &[&str], plain, tables| Kind::Follower {
            of: of.iter().map(|name| (*name).to_owned()).collect(),
            plain,
            tables,
        };
        let nodes = [
            ("master", Kind::Master),
            ("slave1", follower(&["master"], false, true)),
            ("slave2", follower(&["master"], chance::odds(40), true)),
            ("proxy1", follower(&["slave1", "master"], false, true)),
            ("proxy2", follower(&["slave2"], false, true)),
            ("proxy3", follower(&["slave1"], false, false)),
            ("proxy4", follower(&["master"], false, false)),
        ];
        for (name, kind) in nodes {
            let mut node = Node::new(name, kind);
            node.disk.set(Faults {
                lies: canary == Some(Canary::LyingDisk) && name == "master",
                forgets: canary == Some(Canary::ForgetfulDisk) && name == "proxy4",
                ..Faults::default()
            });
            node.start(&self.network);
            self.nodes().insert(name.into(), node);
        }
    }

    pub fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> Vec<String> {
        self.nodes().keys().cloned().collect()
    }

    fn followers(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name != "master").collect()
    }

    /// Half a minute in which everything happens.
    async fn misfortunes(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        let mut dump: Option<BTreeMap<String, Entry>> = None;
        while Instant::now() < end {
            sleep(chance::millis(50..3000)).await;
            let name = chance::pick(&self.names()).cloned().unwrap_or_default();
            match chance::below(27) {
                0..5 => self.crash_and_return(name),
                5..7 => self.crash_and_return("master".into()),
                7..9 => self.restart(name),
                9..13 => self.network.cut_one(),
                13..16 => self.partition(name),
                16..20 => self.bad_disk(name),
                20 => self.set_clock(),
                21 => dump = self.entries_of("master"),
                22 => {
                    if let Some(dump) = dump.take() {
                        self.restore(dump).await;
                    }
                }
                23 => self.crash_together(),
                24 => self.lose_list().await,
                _ => self.stumble(),
            }
        }
    }

    fn start(&self, name: &str) {
        if let Some(node) = self.nodes().get_mut(name)
            && node.running.is_none()
            && !node.stopping
        {
            node.start(&self.network);
        }
    }

    fn crash(&self, name: &str) {
        if let Some(node) = self.nodes().get_mut(name) {
            node.crash(&self.network);
        }
    }

    fn crash_and_return(&self, name: String) {
        self.crash(&name);
        self.later(chance::millis(10..6000), move |world| world.start(&name));
    }

    /// A frontend's host: its slave and its proxies at once.
    fn crash_together(&self) {
        for name in ["slave1", "proxy1", "proxy3"] {
            self.crash_and_return(name.into());
        }
    }

    /// A master that comes back on a slow disk, and dies again while it still reads its list.
    fn stumble(&self) {
        self.crash("master");
        self.set_disk("master", Faults { slow: true, ..Faults::default() });
        self.start("master");
        self.later(chance::millis(600..4000), |world| {
            world.crash("master");
            world.mend_disk("master");
        });
    }

    fn restart(&self, name: String) {
        let running = self.nodes().get_mut(&name).and_then(|node| {
            node.stopping = node.running.is_some();
            node.running.take()
        });
        let Some(running) = running else { return };
        chance::note(|| format!("{name}: stops"));
        let world = self.clone();
        tokio::spawn(async move {
            running.stop().await;
            world.network.remove(&name);
            sleep(chance::millis(10..500)).await;
            if let Some(node) = world.nodes().get_mut(&name) {
                node.stopping = false;
            }
            world.start(&name);
        });
    }

    fn partition(&self, name: String) {
        let all = [self.names(), (0..3).map(|n| format!("be{n}")).collect()].concat();
        let other = chance::pick(&all).cloned().unwrap_or_default();
        chance::note(|| format!("network: nothing gets from {name} to {other}"));
        self.network.block(&name, &other, true);
        self.later(chance::millis(100..30_000), move |world| {
            chance::note(|| format!("network: {name} and {other} see each other again"));
            world.network.block(&name, &other, false);
        });
    }

    fn bad_disk(&self, name: String) {
        let mut faults = Faults::default();
        match chance::below(4) {
            0 => faults.write_fails = true,
            1 => faults.sync_fails = true,
            _ => faults.slow = true,
        }
        chance::note(|| format!("{name}: {faults:?}"));
        self.set_disk(&name, faults);
        self.later(chance::millis(100..5000), move |world| world.mend_disk(&name));
    }

    fn set_disk(&self, name: &str, faults: Faults) {
        if let Some(node) = self.nodes().get_mut(name) {
            node.disk.set(faults);
        }
    }

    /// The disk works again; a list that it failed does so after a restart.
    fn mend_disk(&self, name: &str) {
        self.set_disk(name, Faults::default());
        let failed = self.nodes().get(name).is_some_and(|node| {
            node.running.as_ref().is_some_and(|running| running.list.failure().is_some())
        });
        if failed {
            self.crash(name);
        }
        self.start(name);
    }

    fn set_clock(&self) {
        let seconds = [-86_400, -60, 3, 120, 86_400 * 30][chance::below(5)];
        chance::note(|| format!("the clocks are set by {seconds} s"));
        chance::step_clock(seconds);
    }

    /// The master's disk is replaced by what a dump tells.
    async fn restore(&self, dump: BTreeMap<String, Entry>) {
        let Some((disk, options)) = self.take_master_down().await else { return };
        undump(&disk, options, dump.clone()).await;
        self.truth().restore(&dump);
        disk.crash();
        self.bring_master_up();
    }

    /// The master's disk is replaced by an empty one.
    async fn lose_list(&self) {
        let Some((disk, _)) = self.take_master_down().await else { return };
        chance::note(|| "master: its list is gone".into());
        disk.replace();
        self.truth().lose_all();
        self.bring_master_up();
    }

    /// Its disk, once nothing that backends told is on its way any more; nobody starts it meanwhile.
    async fn take_master_down(&self) -> Option<(Disk, Options)> {
        // A process that is just ending would take the next one off the network.
        while self.nodes().get("master").is_some_and(|node| node.stopping) {
            sleep(Duration::from_millis(10)).await;
        }
        self.crash("master");
        // What was on its way to the backends is lost with it.
        sleep(Duration::from_millis(20)).await;
        self.crash("master");
        let mut nodes = self.nodes();
        let node = nodes.get_mut("master")?;
        node.stopping = true;
        node.disk.set(Faults::default());
        Some((node.disk.clone(), node.options()))
    }

    fn bring_master_up(&self) {
        if let Some(node) = self.nodes().get_mut("master") {
            node.stopping = false;
        }
        self.start("master");
    }

    fn later(&self, after: Duration, act: impl FnOnce(&World) + Send + 'static) {
        let world = self.clone();
        tokio::spawn(async move {
            sleep(after).await;
            act(&world);
        });
    }

    /// Everything works again.
    fn mend(&self) {
        chance::note(|| "everything is mended".into());
        self.network.heal();
        self.names().iter().for_each(|name| self.mend_disk(name));
    }

    fn entries_of(&self, name: &str) -> Option<BTreeMap<String, Entry>> {
        self.nodes().get(name)?.entries()
    }

    fn position_of(&self, name: &str) -> Option<Position> {
        Some(self.nodes().get(name)?.running.as_ref()?.list.position())
    }

    /// Waits until all replicas hold what the master holds.
    async fn settle(&self, when: &str) {
        let end = Instant::now() + Duration::from_secs(240);
        loop {
            sleep(Duration::from_millis(500)).await;
            let behind = self.behind();
            if behind.is_empty() {
                break;
            }
            self.accept();
            if Instant::now() > end {
                return self.truth().wrong(format!("{when}: not like the master: {}", behind.join("; ")));
            }
        }
        if let Some(entries) = self.entries_of("master") {
            self.truth().check_all(&format!("the master {when}"), &entries);
        }
    }

    /// Whatever a replica holds back is what somebody wants, once the backends have told everything.
    fn accept(&self) {
        if !self.untold().is_empty() {
            return;
        }
        for (name, node) in self.nodes().iter() {
            if let Some(replica) = node.running.as_ref().and_then(|running| running.replica.as_ref())
                && replica.accept()
            {
                chance::note(|| format!("{name}: an operator accepts what it holds back"));
            }
        }
    }

    fn untold(&self) -> Vec<String> {
        let truth = self.truth();
        truth.untold(&truth.names())
    }

    /// Who does not hold what the master holds, and what it has.
    fn behind(&self) -> Vec<String> {
        let Some(wanted) = self.entries_of("master") else { return vec!["the master is down".into()] };
        let untold = self.untold();
        if !untold.is_empty() {
            return vec![format!("the master was not told again of {}", untold.join(" "))];
        }
        let position = self.position_of("master");
        let numbered = self.position_of("slave2").map(|at| at.list) == position.map(|at| at.list);
        let mut behind = Vec::new();
        for name in self.followers() {
            let entries = self.entries_of(&name).unwrap_or_default();
            let alike = entries.len() == wanted.len()
                && entries.iter().zip(&wanted).all(|(a, b)| a.0 == b.0 && a.1.same_on_wire(b.1));
            // Who follows a server without our extensions counts by itself.
            let own = matches!(name.as_str(), "slave2" | "proxy2") && !numbered;
            let there = own || self.position_of(&name) == position;
            if !alike || !there {
                let differs = entries
                    .iter()
                    .find(|(name, entry)| wanted.get(*name).is_none_or(|wanted| !wanted.same_on_wire(entry)));
                let missing = wanted.keys().find(|name| !entries.contains_key(*name));
                let at = self.position_of(&name);
                behind.push(format!("{name} at {at:?}, wrong {differs:?}, missing {missing:?}"));
            }
        }
        behind
    }
}

/// Watches one replica, through all its processes.
async fn watch(world: World, name: String, hasty: bool) {
    let mut seen = Seen::default();
    let mut life = 0;
    let names = world.truth().names();
    loop {
        sleep(chance::millis(50..900)).await;
        let process = world.nodes().get(&name).and_then(|node| {
            let running = node.running.as_ref()?;
            Some((node.life, running.list.clone(), running.directory()?))
        });
        let Some((now, list, directory)) = process else { continue };
        if life != now {
            (life, seen) = (now, Seen::default());
        }
        // Only a list in memory goes from one state to the next at once.
        if list.is_loaded() {
            let get = |name: &str| list.get(&mailbox(name)).ok().flatten();
            seen.look(&name, &mut world.truth(), list.position(), get);
        }
        let Some(wanted) = chance::pick(&names) else { continue };
        let since = Instant::now();
        let found = match list.get(&mailbox(wanted)) {
            Ok(None) if hasty => Found::Missing,
            _ => directory.find(&mailbox(wanted)).await,
        };
        let same = world.nodes().get(&name).is_some_and(|node| node.life == life && node.running.is_some());
        if same && matches!(found, Found::Missing) {
            world.truth().check_missing(&name, wanted, since);
        }
    }
}
