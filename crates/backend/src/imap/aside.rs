//! Commands whose work has no bound but a budget: SEARCH, LIST, LSUB. It is done on a blocking thread, for so many commands
//! of one user at a time, and ends with the client's connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::imap::Refusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use work::aside::{Budget, Spent, aside};

use super::limits::{ASIDE, ASIDE_PATIENCE, rows};
use super::reply::Stop;
use super::session::Session;

/// Whose commands are under way.
#[derive(Default)]
pub struct Aside {
    users: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to have one more command under way.
struct Turn<'a> {
    all: &'a Aside,
    user: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Aside {
    /// None: the user's other commands did not end in time.
    async fn turn(&self, user: &str) -> Option<Turn<'_>> {
        let semaphore = {
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.entry(user.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(ASIDE))).clone()
        };
        let mut turn = Turn { all: self, user: user.to_owned(), permit: None };
        turn.permit = timeout(ASIDE_PATIENCE, semaphore.acquire_owned()).await.ok()?.ok();
        turn.permit.is_some().then_some(turn)
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

impl Session {
    /// Does work on a blocking thread, until it is done, its time is spent or the client goes.
    pub async fn aside<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Budget) -> Result<T, Spent> + Send + 'static,
    ) -> Result<T, Stop> {
        let server = self.server.clone();
        let user = self.user()?.id().to_owned();
        let limit = server.imapd.search_maxtime;
        let done = async {
            let Some(_turn) = server.shared.aside.turn(&user).await else {
                rows::ASIDE_PATIENCE
                    .met(format_args!("{user}: too many searches at the same time: one more is refused"));
                return Err(Refusal::TooManySearches.into());
            };
            aside(limit, work).await.map_err(|_| {
                rows::search_maxtime.met(format_args!(
                    "{user}: a command took more than {limit:?} and was ended (search_maxtime)"
                ));
                Stop::Refused(Refusal::TakesTooLong)
            })
        };
        tokio::select! {
            biased;
            done = done => done,
            gone = self.conn.gone() => Err(gone.into()),
            () = server.stop.cancelled() => Err(Refusal::Ending.into()),
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
        assert!(all.turn("wilma").await.is_some());
        assert!(all.turn("fred").await.is_none());
        turns.pop();
        assert!(all.turn("fred").await.is_some());
        turns.clear();
        assert!(all.users.lock().unwrap().is_empty());
    }
}
