//! Commands whose work has no bound but a budget: SEARCH, SORT, THREAD, LIST, LSUB. It is done on blocking threads, for so many
//! commands of one user at a time, and ends with the client's connection. What goes through messages is cut into slices, so
//! that all such commands of all users share a few threads, and tells its client now and then how far it is (RFC 9585).

mod command;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::imap::{Code, Refusal, Reply, Tag};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::{ASIDE, ASIDE_PATIENCE, SCANS, rows};

/// Whose commands are under way.
pub struct Aside {
    users: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// Of slices of all users.
    gate: Arc<Semaphore>,
}

impl Default for Aside {
    fn default() -> Aside {
        Aside { users: Mutex::default(), gate: Arc::new(Semaphore::new(SCANS)) }
    }
}

/// How far a command is: messages of so many in all.
#[derive(Debug, Default)]
pub struct Progress {
    pub done: AtomicUsize,
    pub total: AtomicUsize,
}

impl Progress {
    /// The untagged line that tells of it.
    pub fn line(&self, tag: &Tag) -> Vec<u8> {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        // A code ends with its bracket.
        let tag = Some(tag.as_str().to_owned()).filter(|tag| !tag.contains(']'));
        let code = Code::InProgress { tag, done: done.min(total), total };
        Reply::ok("Still working").code(code).line(None)
    }
}

/// The right to have one more command under way.
struct Turn<'a> {
    all: &'a Aside,
    user: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Aside {
    /// Waits until the user's other commands have ended.
    async fn turn(&self, user: &str) -> Result<Turn<'_>, Refusal> {
        let semaphore = {
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.entry(user.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(ASIDE))).clone()
        };
        let mut turn = Turn { all: self, user: user.to_owned(), permit: None };
        turn.permit = timeout(ASIDE_PATIENCE, semaphore.acquire_owned()).await.ok().and_then(Result::ok);
        if turn.permit.is_none() {
            rows::ASIDE.met(format_args!("{user}: too many searches at the same time: one more is refused"));
            return Err(Refusal::TooManySearches);
        }
        Ok(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut users = self.all.users.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map holds it: nobody works, nobody waits.
        if users.get(&self.user).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            users.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_more_search_of_a_user_waits_for_another_to_end_and_is_refused_in_the_end() {
        let all = Aside::default();
        let mut turns = Vec::new();
        for _ in 0..ASIDE {
            turns.push(all.turn("fred").await.unwrap());
        }
        assert!(all.turn("wilma").await.is_ok());
        assert!(all.turn("fred").await.is_err());
        turns.pop();
        assert!(all.turn("fred").await.is_ok());
        turns.clear();
        assert!(all.users.lock().unwrap().is_empty());
    }
}
