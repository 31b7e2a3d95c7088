//! Clients of a frontend who copy and move messages from one user's mailbox to another's, while both move between backends.
//!
//! As `imapproxy/src/cmd/copy.rs` does: the messages are read at the source, appended at the target, all or none, and a MOVE takes
//! them out of the source only then. What somebody else took meanwhile is taken back at the target. A backend that has given the
//! mailbox away says to where, and is followed twice. Whatever is lost on the way, a message is never in no place, and a client
//! that hears OK hears the right UIDs.

use tokio::time::{Duration, sleep, timeout};

use super::{SITES, USERS, World, contents::Change};
use crate::chance;

/// What a backend says to a command.
enum Answer {
    /// It is done; the UIDs of what is new.
    Done(Vec<u32>),
    /// Not done: the mailbox is there.
    Moved(String),
    /// Not done: the mailbox is not to be had now.
    Unavailable,
}

/// What a frontend knows of a command that it sent.
#[derive(Debug)]
enum Told {
    Done(Vec<u32>),
    NotDone,
    /// Its connection broke.
    Unknown,
}

/// What a client has copied.
struct Copied {
    from: &'static str,
    to: &'static str,
    /// UIDs at the source, and which messages these are.
    read: Vec<(u32, u64)>,
    /// At the target.
    ids: Vec<u64>,
    uids: Vec<u32>,
}

/// One client, who goes on and on.
pub async fn run(world: World) {
    loop {
        sleep(chance::millis(20..400)).await;
        if world.state().ended {
            return;
        }
        let at = chance::below(USERS.len());
        let (from, to) = (USERS[at], USERS[(at + 1 + chance::below(USERS.len() - 1)) % USERS.len()]);
        world.copy(from, to, chance::odds(50)).await;
    }
}

impl World {
    /// COPY of a few messages, or MOVE.
    async fn copy(&self, from: &'static str, to: &'static str, moves: bool) {
        let read = self.survey(from).await;
        if read.is_empty() {
            return;
        }
        let ids: Vec<u64> = match moves {
            true => read.iter().map(|(_, id)| *id).collect(),
            // A copy is counted as a message of its own.
            false => read.iter().map(|_| self.new_message()).collect(),
        };
        let appended = self.command(to, &Change::Append(ids.clone())).await;
        chance::note(|| format!("a client: {} {read:?} of {from} to {to}: {appended:?}", verb(moves)));
        let uids = match appended {
            Told::Done(uids) => uids,
            Told::NotDone => return,
            Told::Unknown => return ids.iter().for_each(|id| self.state().truth.counts(*id, 0, 1)),
        };
        ids.iter().for_each(|id| self.state().truth.counts(*id, 1, 1));
        let copied = Copied { from, to, read, ids, uids };
        match moves {
            true => self.take(copied).await,
            false => self.tell(copied.to, copied.uids.iter().copied().zip(copied.ids)),
        }
    }

    /// The second half of a MOVE, a message at a time: those that somebody else was faster to take are taken back.
    async fn take(&self, copied: Copied) {
        let Copied { from, to, read, ids, uids } = copied;
        let mut told = Vec::new();
        for (((uid, id), copy), new) in read.into_iter().zip(ids).zip(uids) {
            debug_assert_eq!(id, copy);
            match self.take_one(from, uid).await {
                // The original is gone by this client's hand.
                Some(true) => {
                    self.state().truth.taken(id);
                    told.push((new, id));
                }
                Some(false) => match self.command(to, &Change::Take(new)).await {
                    // Somebody has expunged the copy as well.
                    Told::Done(back) if back.is_empty() => {}
                    Told::Done(_) => self.state().truth.taken(id),
                    Told::NotDone | Told::Unknown => self.state().truth.maybe_taken(id),
                },
                // The client hears that it may be in both.
                None => self.state().truth.maybe_taken(id),
            }
        }
        self.tell(to, told.into_iter());
    }

    /// Whether the message was there, and is not any more. None: nobody knows.
    async fn take_one(&self, user: &'static str, uid: u32) -> Option<bool> {
        match self.command(user, &Change::Take(uid)).await {
            Told::Done(taken) => Some(!taken.is_empty()),
            Told::NotDone => Some(false),
            Told::Unknown => None,
        }
    }

    fn tell(&self, user: &str, copies: impl Iterator<Item = (u32, u64)>) {
        let mut state = self.state();
        for (uid, id) in copies {
            *state.counts.entry("copies told of").or_default() += 1;
            state.truth.check_told(user, uid, id);
        }
    }

    /// A message that was nowhere yet.
    pub fn new_message(&self) -> u64 {
        let mut state = self.state();
        state.messages += 1;
        state.messages
    }

    /// Some messages of a mailbox, read where it is now.
    async fn survey(&self, user: &str) -> Vec<(u32, u64)> {
        sleep(chance::millis(1..30)).await;
        let state = self.state();
        let Some(contents) =
            state.sites.values().find_map(|site| site.held.get(user).filter(|_| site.is_up()))
        else {
            return Vec::new();
        };
        let all: Vec<(u32, u64)> = contents.mail.iter().map(|(uid, message)| (*uid, message.id)).collect();
        let first = chance::below(all.len());
        all.into_iter().skip(first).take(1 + chance::below(3)).collect()
    }

    /// A command to whichever backend has the mailbox by the frontend's list, or by a backend that gave it away.
    async fn command(&self, user: &str, change: &Change) -> Told {
        let entry = self.entries().and_then(|entries| entries.get(&format!("user.{user}")).cloned());
        let mut site = match entry {
            Some(entry) => entry.server().to_owned(),
            None => chance::pick(&SITES).copied().unwrap_or("be0").to_owned(),
        };
        for _ in 0..=MOVED {
            match timeout(PATIENCE, self.ask(&site, user, change)).await.ok().flatten() {
                Some(Answer::Done(uids)) => return Told::Done(uids),
                Some(Answer::Moved(to)) => {
                    self.count("commands sent on");
                    site = to;
                }
                Some(Answer::Unavailable) => return Told::NotDone,
                None => return Told::Unknown,
            }
        }
        Told::NotDone
    }

    /// A command to one backend. None: its connection broke.
    async fn ask(&self, site: &str, user: &str, change: &Change) -> Option<Answer> {
        sleep(chance::millis(1..20)).await;
        if self.is_unlucky(1) {
            return None;
        }
        let answer = self.at_gate(site, user, change).await?;
        sleep(chance::millis(1..20)).await;
        (!self.is_unlucky(1)).then_some(answer)
    }

    /// Waits at a gate that is closed, as long as the process lives.
    async fn at_gate(&self, name: &str, user: &str, change: &Change) -> Option<Answer> {
        let life = self.state().site(name).life();
        let mut waited = Duration::ZERO;
        loop {
            match self.try_gate(name, life, user, change, waited)? {
                Some(answer) => return Some(answer),
                None => sleep(STEP).await,
            }
            waited += STEP;
        }
    }

    /// None: the process is gone. Some(None): it waits.
    fn try_gate(
        &self,
        name: &str,
        life: u64,
        user: &str,
        change: &Change,
        waited: Duration,
    ) -> Option<Option<Answer>> {
        let listed = self.listed(user);
        let mut state = self.state();
        let site = state.site(name);
        if !site.is_up() || site.life() != life {
            return None;
        }
        if site.accepts(user) {
            let done = state.offer(user, change, &listed, self.canary);
            return Some(Some(done.map_or(Answer::Unavailable, Answer::Done)));
        }
        // Whoever waits for what has come, or is to go, waits for the decision.
        if site.serves(user) || site.is_promised(user) && waited < HELD {
            return Some(None);
        }
        Some(Some(site.given_to(user).map_or(Answer::Unavailable, Answer::Moved)))
    }
}

fn verb(moves: bool) -> &'static str {
    if moves { "MOVE" } else { "COPY" }
}

/// How often a backend that gave a mailbox away is followed for one command.
const MOVED: usize = 2;
/// How long a frontend waits for a backend's answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long names are held that come.
const HELD: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(10);
