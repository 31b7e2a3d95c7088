//! Slowing those who guess passwords, and nobody else.
//!
//! An attempt to log in waits *before* the password is checked, so that guessing on many connections at once is no faster
//! than on one. Failures count twice:
//!
//! | lane | who shares it | failures without a pause | checked at once |
//! | --- | --- | --- | --- |
//! | [`PAIR`] | attempts for one user from one address | 0 | 1 |
//! | [`ADDRESS`] | all attempts from one address, for any user | 10 | 8 |
//! | [`KNOWN`], in place of both | a user who logged in rightly from there lately; another node (`proxyservers`; on MUPDATE `admins`, `mupdate_readers`) | 32 | 32 |
//!
//! The pause is `failedloginpause`, doubled with each failure up to [`LONGEST`] times. A pair counts to its address with its
//! first [`CHARGED`] failures only: one telephone with an old password does not slow a whole office.
//!
//! The address does not count where many users share it (`failedlogin_shared_addresses`: a webmail server, a proxy). IPv6
//! addresses count by their first 64 bits. Through a frontend the client's own address counts: there the passwords are
//! checked.
//!
//! A good login takes off what it was charged itself, and nothing that others' failures left on the address: who has an
//! account cannot wash himself clean with it. What must be forgotten for room is what failed least.
//!
//! Another node does not wait as long as a stranger: it would take the silence for a network that fails. It hears in time that its
//! login is not checked ([`NODES_PATIENCE`]).
//!
//! The wait ends when the client goes away, and the pause is still to be waited by the next attempt.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::limits::{
    ADDRESS_FREE, ADDRESS_TOGETHER, CHARGED, HEAVY, KNOWN_FOR, KNOWN_FREE, KNOWN_TOGETHER, LANES, LONGEST,
    LOOK_AGAIN, MEMORY, NODES_PATIENCE, PAIR_FREE, PAIR_TOGETHER, PAIRS, PATIENCE, WAITING, rows,
};

/// Failures, shared by all listeners of a process.
#[derive(Clone, Default)]
pub struct Pace {
    table: Arc<Mutex<Table>>,
}

/// One attempt to log in.
pub(super) struct Attempt<'a> {
    /// `None`: a UNIX socket.
    pub address: Option<IpAddr>,
    /// In its canonical form, so that no other spelling is another user. `None`: it has no name yet (a ticket), and its address alone
    /// counts.
    pub user: Option<&'a str>,
    /// Many users come from there: the address does not count.
    pub shared: bool,
    /// Another node's name: all users' sessions come as this one.
    pub node: bool,
    /// `failedloginpause`; zero: nobody is slowed.
    pub pause: Duration,
    /// Cancelled when the client went away.
    pub gone: &'a CancellationToken,
}

#[derive(Default)]
struct Table {
    /// With a key of this process: nobody can make two users share a lane.
    hasher: RandomState,
    lanes: HashMap<u64, Arc<Lane>>,
    /// Pairs that logged in rightly, and when last.
    known: HashMap<u64, Instant>,
}

/// Attempts that are slowed together.
struct Lane {
    /// As many are checked at once.
    gate: Arc<Semaphore>,
    record: Mutex<Record>,
}

/// What a lane allows.
#[derive(Clone, Copy)]
struct Kind {
    /// Passwords that are checked at once. No more than `free`, where there is any: what is being checked counts as failed.
    together: usize,
    /// Failures that cost no pause.
    free: u32,
}

struct Record {
    free: u32,
    /// Checks that are under way are counted as failures until they succeed.
    failures: u32,
    last: Instant,
    not_before: Instant,
    waiting: u32,
}

/// The right to check one password. Dropped without a verdict, it stays counted as a failure.
pub(super) struct Permit(Option<Held>);

struct Held {
    pace: Pace,
    key: u64,
    pair: Turn,
    address: Option<Turn>,
}

/// A place in a lane.
struct Turn {
    key: u64,
    lane: Arc<Lane>,
    _open: OwnedSemaphorePermit,
    charged: bool,
}

impl Pace {
    /// Waits until the password may be checked.
    ///
    /// # Errors
    /// The client went away, or too many wait already ([`PATIENCE`], [`WAITING`]): the password was not looked at.
    pub(super) async fn admit(&self, attempt: Attempt<'_>) -> Result<Permit, Failure> {
        let nobody = attempt.user.is_none() && (attempt.shared || attempt.address.is_none());
        if attempt.pause.is_zero() || nobody {
            return Ok(Permit(None));
        }
        let patience = if attempt.node { NODES_PATIENCE } else { PATIENCE };
        let admitted = tokio::select! {
            biased;
            admitted = timeout(patience, self.queue(&attempt)) => admitted.ok().flatten(),
            () = attempt.gone.cancelled() => return Err(Failure::Cancelled),
        };
        let Some(held) = admitted else {
            metrics::counter!("murder_logins_unchecked_total").increment(1);
            let from = attempt.address.map_or_else(|| "unix socket".to_owned(), |ip| ip.to_string());
            rows::WAITING.met(format_args!(
                "logins from {from} refused unchecked: too many failed, and too many wait for their turn"
            ));
            return Err(Failure::Temporary("too many failed logins: try again later".to_owned()));
        };
        Ok(Permit(Some(held)))
    }

    /// None: the queue is full.
    async fn queue(&self, attempt: &Attempt<'_>) -> Option<Held> {
        let address = attempt.address.map(network);
        let (key, known) = {
            let table = self.lock();
            let key = table.hasher.hash_one((address, attempt.user));
            (key, attempt.node || table.known.get(&key).is_some_and(|last| last.elapsed() < KNOWN_FOR))
        };
        if attempt.user.is_none() {
            let pair = self.lane(key, ADDRESS).turn(key, attempt.pause, true).await?;
            return Some(Held { pace: self.clone(), key, pair, address: None });
        }
        // The pair first: whoever waits for one user's turn keeps nobody else's place.
        let pair = self.lane(key, if known { KNOWN } else { PAIR }).turn(key, attempt.pause, true).await?;
        let address = match address.filter(|_| !known && !attempt.shared) {
            None => None,
            Some(address) => {
                let key = self.lock().hasher.hash_one((Some(address), None::<&str>));
                let charged = pair.lane.lock().failures <= CHARGED;
                match self.lane(key, ADDRESS).turn(key, attempt.pause, charged).await {
                    Some(turn) => Some(turn),
                    None => {
                        pair.lane.refund();
                        return None;
                    }
                }
            }
        };
        Some(Held { pace: self.clone(), key, pair, address })
    }

    fn lane(&self, key: u64, kind: Kind) -> Arc<Lane> {
        let mut table = self.lock();
        if table.lanes.len() >= LANES && !table.lanes.contains_key(&key) {
            rows::LANES.met("logins failed for so many users and addresses that the lightest are forgotten");
            table.make_room();
        }
        let new = || {
            let now = Instant::now();
            let record = Record { free: kind.free, failures: 0, last: now, not_before: now, waiting: 0 };
            Arc::new(Lane { gate: Arc::new(Semaphore::new(kind.together)), record: Mutex::new(record) })
        };
        table.lanes.entry(key).or_insert_with(new).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Forgets what is over, then what failed least, until there is room for some more: a table filled on purpose, with one
    /// failure each from many addresses, does not push out who failed often.
    fn make_room(&mut self) {
        let in_use = |lane: &Arc<Lane>| Arc::strong_count(lane) > 1;
        self.lanes.retain(|_, lane| in_use(lane) || lane.lock().last.elapsed() < MEMORY);
        for least in 0..=HEAVY {
            if self.lanes.len() <= LANES - LANES / 8 {
                return;
            }
            self.lanes.retain(|_, lane| in_use(lane) || lane.lock().failures > least);
        }
        self.lanes.retain(|_, lane| in_use(lane));
    }

    fn learn(&mut self, key: u64) {
        if self.known.len() >= PAIRS && !self.known.contains_key(&key) {
            let mut ages: Vec<Instant> = self.known.values().copied().collect();
            let (_, eighth, _) = ages.select_nth_unstable(PAIRS / 8);
            let eighth = *eighth;
            self.known.retain(|_, last| *last > eighth);
        }
        self.known.insert(key, Instant::now());
    }

    /// Drops a lane that holds nothing any longer; `ours`: the caller's own handles.
    fn settle(&mut self, turn: Turn) {
        let Turn { key, lane, .. } = turn;
        if Arc::strong_count(&lane) <= 2 && lane.lock().failures == 0 {
            self.lanes.remove(&key);
        }
    }
}

impl Lane {
    /// Waits for a place and then for the pause to be over, counting this attempt (where `charged`) as a failure until it
    /// proves to be none. None: too many wait.
    async fn turn(self: Arc<Self>, key: u64, pause: Duration, charged: bool) -> Option<Turn> {
        let waiter = Waiter::enter(&self)?;
        let open = self.gate.clone().acquire_owned().await.ok()?;
        let mut delayed = false;
        // Of those who waited for one moment, one begins; the others see the next one.
        while let Some(not_before) = self.begin(pause, charged) {
            if !std::mem::replace(&mut delayed, true) {
                metrics::counter!("murder_logins_delayed_total").increment(1);
            }
            // A check that was under way may have been right, and the pause be over.
            sleep_until(not_before.min(Instant::now() + LOOK_AGAIN)).await;
        }
        drop(waiter);
        Some(Turn { key, lane: self, _open: open, charged })
    }

    /// Begins an attempt; or when it is to try again. Whoever goes away before that has not moved the moment.
    fn begin(&self, pause: Duration, charged: bool) -> Option<Instant> {
        self.lock().begin(pause, charged).err()
    }

    /// An attempt was no failure.
    fn refund(&self) {
        self.lock().refund(1);
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn begin(&mut self, pause: Duration, charged: bool) -> Result<(), Instant> {
        let now = Instant::now();
        if now.duration_since(self.last) >= MEMORY {
            self.failures = 0;
        }
        if self.not_before > now {
            return Err(self.not_before);
        }
        if charged {
            self.failures = self.failures.saturating_add(1);
            self.last = now;
        }
        if self.failures > self.free {
            let doubled = 1u32.checked_shl(self.failures - self.free - 1).unwrap_or(LONGEST);
            self.not_before = now + (pause * doubled.min(LONGEST)).min(PATIENCE.max(pause));
        }
        Ok(())
    }

    fn refund(&mut self, failures: u32) {
        self.failures = self.failures.saturating_sub(failures);
        if self.failures <= self.free {
            self.not_before = Instant::now();
        }
    }
}

/// One of those who wait in a lane.
struct Waiter<'a>(&'a Lane);

impl Waiter<'_> {
    fn enter(lane: &Lane) -> Option<Waiter<'_>> {
        let mut record = lane.lock();
        if record.waiting >= WAITING {
            return None;
        }
        record.waiting += 1;
        Some(Waiter(lane))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut record = self.0.lock();
        record.waiting = record.waiting.saturating_sub(1);
    }
}

impl Permit {
    /// What came of the check, whether or not the client is still there to hear it.
    pub(super) fn judge<T>(self, checked: &Result<T, Failure>) {
        match checked {
            // The password was right.
            Ok(_) | Err(Failure::NotAuthorized { .. } | Failure::Denied { .. }) => self.succeeded(),
            // Nobody knows.
            Err(Failure::Temporary(_)) => self.settle(false),
            Err(
                Failure::BadCredentials
                | Failure::BadTicket(_)
                | Failure::NoMechanism(_)
                | Failure::PlaintextRefused
                | Failure::Malformed(_)
                | Failure::Cancelled,
            ) => {}
        }
    }

    pub(super) fn succeeded(self) {
        self.settle(true);
    }

    fn settle(self, right: bool) {
        let Some(Held { pace, key, pair, address }) = self.0 else { return };
        {
            let mut record = pair.lane.lock();
            // Whoever is new and right had mistyped. Beside one who is known somebody else may be guessing.
            let all = right && record.free == PAIR.free;
            record.refund(if all { u32::MAX } else { 1 });
        }
        if let Some(address) = address.as_ref().filter(|turn| turn.charged) {
            address.lane.refund();
        }
        let mut table = pace.lock();
        if right {
            table.learn(key);
        }
        [Some(pair), address].into_iter().flatten().for_each(|turn| table.settle(turn));
    }
}

/// What counts as one address: who has an IPv6 network has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// One user from one address.
const PAIR: Kind = Kind { together: PAIR_TOGETHER, free: PAIR_FREE };
/// An address, whatever the user: an office mistypes, too.
const ADDRESS: Kind = Kind { together: ADDRESS_TOGETHER, free: ADDRESS_FREE };
/// One user who is known there. A mail program opens some connections at once, a frontend many.
const KNOWN: Kind = Kind { together: KNOWN_TOGETHER, free: KNOWN_FREE };

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(3);

    struct World {
        pace: Pace,
        gone: CancellationToken,
    }

    impl World {
        fn new() -> World {
            World { pace: Pace::default(), gone: CancellationToken::new() }
        }

        async fn admit(&self, from: &str, user: &str) -> Result<Permit, Failure> {
            self.admit_shared(from, user, false).await
        }

        async fn admit_shared(&self, from: &str, user: &str, shared: bool) -> Result<Permit, Failure> {
            let address = Some(from.parse().unwrap());
            self.pace
                .admit(Attempt {
                    address,
                    user: Some(user),
                    shared,
                    node: user == "proxy",
                    pause: PAUSE,
                    gone: &self.gone,
                })
                .await
        }

        /// Seconds that a wrong guess waits before it is looked at.
        async fn fail(&self, from: &str, user: &str) -> u64 {
            let began = Instant::now();
            drop(self.admit(from, user).await.unwrap());
            began.elapsed().as_secs()
        }

        async fn succeed(&self, from: &str, user: &str) -> u64 {
            let began = Instant::now();
            self.admit(from, user).await.unwrap().succeeded();
            began.elapsed().as_secs()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_no_name_yet_pays_as_its_address_and_not_where_many_share_it() {
        let world = World::new();
        let fail = async |from: &str, shared| {
            let began = Instant::now();
            let address = Some(from.parse().unwrap());
            let attempt =
                Attempt { address, user: None, shared, node: false, pause: PAUSE, gone: &world.gone };
            drop(world.pace.admit(attempt).await.unwrap());
            began.elapsed().as_secs()
        };
        for _ in 0..ADDRESS_FREE + 1 {
            assert_eq!(fail("192.0.2.7", false).await, 0);
        }
        assert_eq!(fail("192.0.2.7", false).await, 3);
        assert_eq!(world.fail("192.0.2.7", "fred").await, 6, "guesses of passwords from there wait, too");
        assert_eq!(fail("192.0.2.8", false).await, 0);
        for _ in 0..2 * ADDRESS_FREE {
            assert_eq!(fail("192.0.2.9", true).await, 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_doubles_the_wait_of_the_next_guess_and_a_success_ends_it() {
        let world = World::new();
        let mut waits = Vec::new();
        for _ in 0..7 {
            waits.push(world.fail("192.0.2.7", "fred").await);
        }
        assert_eq!(waits, [0, 3, 6, 12, 24, 24, 24]);
        assert_eq!(world.succeed("192.0.2.7", "fred").await, 24);
        assert_eq!(world.succeed("192.0.2.7", "fred").await, 0);
        // Nobody else has waited for him.
        assert_eq!(world.succeed("192.0.2.8", "fred").await, 0);
        assert_eq!(world.succeed("192.0.2.7", "jane").await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_connections_guess_no_faster_than_one() {
        let world = Arc::new(World::new());
        let mut guesses = tokio::task::JoinSet::new();
        for n in 0..1000 {
            let world = world.clone();
            // For one user, and for many.
            let user = if n % 2 == 0 { "fred".to_owned() } else { format!("user{n}") };
            guesses.spawn(async move { world.admit("192.0.2.7", &user).await.is_ok() });
        }
        let began = Instant::now();
        let looked_at = guesses.join_all().await.into_iter().filter(|admitted| *admitted).count();
        assert!(
            looked_at <= ADDRESS.free as usize + ADDRESS.together + 8,
            "{looked_at} guesses in half a minute"
        );
        assert!(began.elapsed() <= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_logged_in_rightly_from_there_lately_is_not_held_up() {
        let world = World::new();
        world.succeed("192.0.2.7", "jane").await;
        for n in 0..20 {
            world.fail("192.0.2.7", &format!("user{n}")).await;
        }
        assert_eq!(world.succeed("192.0.2.7", "jane").await, 0);
        assert_eq!(world.fail("192.0.2.7", "stranger").await, 24);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frontend_logs_in_for_many_users_at_once() {
        let world = World::new();
        for known in [true, false] {
            let user = if known { "jane" } else { "proxy" };
            world.succeed("192.0.2.7", "jane").await;
            let began = Instant::now();
            let mut under_way = Vec::new();
            for _ in 0..KNOWN.together {
                under_way.push(world.admit("192.0.2.7", user).await.unwrap());
            }
            under_way.into_iter().for_each(Permit::succeeded);
            assert_eq!(began.elapsed().as_secs(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_with_a_wrong_password_hears_of_it_before_it_blames_the_network() {
        let world = World::new();
        let mut refused = 0;
        for _ in 0..200 {
            let began = Instant::now();
            match world.admit("192.0.2.7", "proxy").await {
                Ok(guess) => drop(guess),
                Err(failure) => {
                    assert!(matches!(failure, Failure::Temporary(_)), "{failure:?}");
                    refused += 1;
                }
            }
            assert!(began.elapsed() <= NODES_PATIENCE);
        }
        assert!(refused > 100, "and does not guess any faster: {refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_known_may_mistype_often_and_guess_slowly() {
        let world = World::new();
        world.succeed("192.0.2.7", "jane").await;
        for _ in 0..KNOWN.free {
            assert_eq!(world.fail("192.0.2.7", "jane").await, 0);
        }
        assert_eq!(world.succeed("192.0.2.7", "jane").await, 0);
        let mut waited = Vec::new();
        for _ in 0..5 {
            world.succeed("192.0.2.7", "jane").await;
            waited.push(world.fail("192.0.2.7", "jane").await);
        }
        assert!(waited[4] > 0, "who is known does not wash away what is guessed beside him: {waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_of_ones_own_does_not_wash_an_address_clean() {
        let world = World::new();
        for n in 0..20 {
            world.fail("192.0.2.7", &format!("user{n}")).await;
            world.succeed("192.0.2.7", "mallory").await;
        }
        assert_eq!(world.fail("192.0.2.7", "next").await, 24);
        // Nor does another address of the same IPv6 network.
        for n in 0..20 {
            world.fail(&format!("2001:db8::{n}"), &format!("user{n}")).await;
        }
        assert_eq!(world.fail("2001:db8::ffff:1", "next").await, 24);
        assert_eq!(world.fail("2001:db8:0:1::1", "next").await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_telephone_with_an_old_password_does_not_slow_the_office() {
        let world = World::new();
        for _ in 0..50 {
            world.fail("192.0.2.7", "fred").await;
        }
        assert_eq!(world.succeed("192.0.2.7", "jane").await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn behind_a_webmail_server_users_count_apart() {
        let world = World::new();
        for n in 0..50 {
            drop(world.admit_shared("192.0.2.7", &format!("user{n}"), true).await.unwrap());
        }
        let began = Instant::now();
        drop(world.admit_shared("192.0.2.7", "jane", true).await.unwrap());
        assert_eq!(began.elapsed().as_secs(), 0);
        drop(world.admit_shared("192.0.2.7", "user1", true).await.unwrap());
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_office_may_come_at_once() {
        let world = Arc::new(World::new());
        let began = Instant::now();
        let mut logins = tokio::task::JoinSet::new();
        for n in 0..400 {
            let world = world.clone();
            logins.spawn(async move { world.succeed("192.0.2.7", &format!("user{n}")).await });
        }
        logins.join_all().await;
        assert_eq!(began.elapsed().as_secs(), 0);
        assert!(world.pace.lock().lanes.is_empty(), "what did not fail is not remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_with_the_client_and_the_next_one_waits_all_the_same() {
        let world = World::new();
        for _ in 0..5 {
            world.fail("192.0.2.7", "fred").await;
        }
        let began = Instant::now();
        world.gone.cancel();
        assert_eq!(world.admit("192.0.2.7", "fred").await.err(), Some(Failure::Cancelled));
        assert_eq!(began.elapsed().as_secs(), 0, "no descriptor is kept for a client that is gone");
        let world = World { pace: world.pace, gone: CancellationToken::new() };
        assert!(world.fail("192.0.2.7", "fred").await >= 24);
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_could_not_be_checked_counts_for_nothing() {
        let world = World::new();
        for _ in 0..20 {
            let unknown: Result<(), _> = Err(Failure::Temporary("saslauthd is down".to_owned()));
            world.admit("192.0.2.7", "fred").await.unwrap().judge(&unknown);
        }
        assert_eq!(world.fail("192.0.2.7", "fred").await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_addresses_does_not_make_a_guesser_forgotten() {
        let world = World::new();
        for _ in 0..8 {
            world.fail("192.0.2.7", "fred").await;
        }
        for n in 0..u32::try_from(LANES).unwrap() {
            let from = IpAddr::V4(n.into());
            let attempt = Attempt {
                address: Some(from),
                user: Some("x"),
                shared: true,
                node: false,
                pause: PAUSE,
                gone: &world.gone,
            };
            drop(world.pace.admit(attempt).await.unwrap());
        }
        assert!(world.pace.lock().lanes.len() <= LANES);
        assert_eq!(world.fail("192.0.2.7", "fred").await, 24);
        tokio::time::advance(MEMORY * 2).await;
        assert_eq!(world.fail("192.0.2.7", "fred").await, 0, "and after a while all is forgotten");
    }
}
