//! Real masters over a real etcd, under everything that befalls machines: what their clients saw must be what one list would have shown
//! them.
//!
//! `MURDER_KILLS` says how often something happens, and `MURDER_SEED` with which seed.

mod clients;
mod full;
mod murder;
mod slaves;
mod way;

use std::time::{Duration, Instant};

use murder::{Hard, MASTERS, MEMBERS};

use crate::questions::Chance;

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Misfortune {
    MasterKilled,
    LeaderKilled,
    FollowerKilled,
    MajorityKilled,
    MasterFrozen,
    LeaderFrozen,
    /// Nothing passes between a master and etcd; or in one direction only.
    MasterCutOff,
    MasterNotHeard,
    MasterDeaf,
    /// No member of etcd can call this one.
    MemberCutOff,
    MasterBehindCompaction,
}

impl Misfortune {
    /// Nine in ten are kills. What takes longer than an election comes in long runs alone.
    fn any(chance: &mut Chance, long: bool) -> Misfortune {
        use Misfortune::*;
        match chance.below(if long { 24 } else { 16 }) {
            0..10 => MasterKilled,
            10..12 => LeaderKilled,
            12..14 => FollowerKilled,
            14 => MasterFrozen,
            15 => MasterBehindCompaction,
            16 => MajorityKilled,
            17..19 => LeaderFrozen,
            19 => MasterCutOff,
            20 => MasterNotHeard,
            21 => MasterDeaf,
            22 => MemberCutOff,
            _ => MasterFrozen,
        }
    }
}

impl Hard {
    async fn suffer(&mut self, misfortune: Misfortune, chance: &mut Chance, long: bool) {
        let one = chance.below(MASTERS as u64) as usize;
        let other = 1 + chance.below(MEMBERS as u64 - 1) as usize;
        // As long as it takes until a master that hears nothing says nothing, at times.
        let moment = match long && chance.below(3) == 0 {
            true => Duration::from_secs(7),
            false => Duration::from_millis(200 + chance.below(800)),
        };
        match misfortune {
            Misfortune::MasterKilled => self.masters[one].kill(),
            Misfortune::LeaderKilled => {
                let leader = self.cluster.leader().await;
                self.cluster.kill(leader);
                self.go_on(200, moment).await;
                self.cluster.run(leader);
            }
            Misfortune::FollowerKilled => {
                let follower = (self.cluster.leader().await + other) % MEMBERS;
                self.cluster.kill(follower);
                self.go_on(200, moment).await;
                self.cluster.run(follower);
            }
            Misfortune::MajorityKilled => {
                let lost = [other, (other + 1) % MEMBERS];
                lost.iter().for_each(|&member| self.cluster.kill(member));
                self.go_on(usize::MAX / 2, moment).await;
                lost.iter().for_each(|&member| self.cluster.run(member));
            }
            Misfortune::MasterFrozen => {
                self.masters[one].freeze();
                self.go_on(usize::MAX / 2, moment).await;
                self.masters[one].thaw();
            }
            Misfortune::LeaderFrozen => {
                let leader = self.cluster.leader().await;
                self.cluster.freeze(leader);
                self.go_on(usize::MAX / 2, moment).await;
                self.cluster.thaw(leader);
            }
            Misfortune::MasterCutOff => self.cut(one, false, false, moment).await,
            Misfortune::MasterNotHeard => self.cut(one, false, true, moment).await,
            Misfortune::MasterDeaf => self.cut(one, true, false, moment).await,
            Misfortune::MemberCutOff => {
                self.cut_member(other, false);
                self.go_on(usize::MAX / 2, moment).await;
                self.cut_member(other, true);
            }
            Misfortune::MasterBehindCompaction => {
                self.masters[one].cut(false, false);
                self.go_on(100, moment).await;
                self.cluster.compact().await;
                self.masters[one].cut(true, true);
            }
        }
    }

    async fn cut(&self, master: usize, there: bool, back: bool, moment: Duration) {
        self.masters[master].cut(there, back);
        self.go_on(usize::MAX / 2, moment).await;
        self.masters[master].cut(true, true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_masters_acknowledged_is_true_whoever_of_them_and_of_etcd_is_killed() {
    let number = |variable: &str| std::env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let (kills, long) = (number("MURDER_KILLS").unwrap_or(20), number("MURDER_KILLS").is_some());
    let seed = number("MURDER_SEED").unwrap_or(15);
    let Some(mut hard) = Hard::start(&[]).await else { return };
    let (began, mut chance) = (Instant::now(), Chance(seed));
    hard.begin(CLIENTS, seed);
    for kill in 0..kills {
        let misfortune = Misfortune::any(&mut chance, long);
        hard.suffer(misfortune, &mut chance, long).await;
        let more = 20 + chance.below(if long { 300 } else { 60 }) as usize;
        assert!(
            hard.go_on(more, PATIENCE).await,
            "seed {seed}, {kill}: nothing is answered after {misfortune:?}"
        );
        if long && kill % 50 == 49 {
            let history = &hard.crowd.history;
            println!("{} kills, {} answered, {:?}", kill + 1, history.answered(), began.elapsed());
            if let Some(lie) = history.lie() {
                panic!("seed {seed}, {kill}: {lie}");
            }
        }
    }
    let (answered, lost) = hard.judge().await;
    println!(
        "seed {seed}: {kills} misfortunes, {answered} answered, {lost} without answer, {:?}",
        began.elapsed()
    );
}

const CLIENTS: u64 = 6;
const PATIENCE: Duration = Duration::from_secs(60);
