//! One POP3 session per mailbox at a time (RFC 1939 section 4), and the pause between logins.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::pop3::limits::REMEMBERED;

/// The maildrops that are open, and when mailboxes were polled. One for the whole process.
#[derive(Debug, Default)]
pub struct Locks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashSet<String>,
    polls: HashMap<String, VecDeque<Instant>>,
}

/// How often a maildrop may be opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// `popminpoll`; zero: as often as one likes.
    pub minimum: Duration,
    /// `poppollpadding`: so many logins within that time are let pass.
    pub padding: u32,
}

/// Why a maildrop is not opened now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    InUse,
    TooSoon,
}

/// A maildrop that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    locks: Arc<Locks>,
    uniqueid: String,
}

impl Locks {
    pub(super) fn take(self: &Arc<Self>, uniqueid: &str, pace: Pace, now: Instant) -> Result<Lock, Locked> {
        let mut state = self.state();
        if state.open.contains(uniqueid) {
            return Err(Locked::InUse);
        }
        if !pace.minimum.is_zero() {
            let polls = state.polls.entry(uniqueid.to_owned()).or_default();
            polls.retain(|poll| now.duration_since(*poll) < pace.minimum);
            if polls.len() >= pace.padding.max(1) as usize {
                return Err(Locked::TooSoon);
            }
            polls.push_back(now);
            if state.polls.len() > REMEMBERED {
                state.polls.retain(|_, polls| {
                    polls.back().is_some_and(|poll| now.duration_since(*poll) < pace.minimum)
                });
            }
        }
        state.open.insert(uniqueid.to_owned());
        Ok(Lock { locks: self.clone(), uniqueid: uniqueid.to_owned() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.state().open.remove(&self.uniqueid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildrop_is_open_once_and_free_again_when_its_session_ends() {
        let (locks, now) = (Arc::new(Locks::default()), Instant::now());
        let pace = Pace { minimum: Duration::ZERO, padding: 1 };
        let first = locks.take("a", pace, now).unwrap();
        assert_eq!(locks.take("a", pace, now).err(), Some(Locked::InUse));
        assert!(locks.take("b", pace, now).is_ok());
        drop(first);
        assert!(locks.take("a", pace, now).is_ok());
    }

    #[test]
    fn logins_come_at_intervals_but_for_the_padding() {
        let (locks, now) = (Arc::new(Locks::default()), Instant::now());
        let pace = Pace { minimum: Duration::from_secs(60), padding: 2 };
        let take = |seconds| locks.take("a", pace, now + Duration::from_secs(seconds)).map(drop);
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(1), Ok(()));
        assert_eq!(take(2), Err(Locked::TooSoon));
        assert_eq!(take(60), Ok(()));
    }
}
