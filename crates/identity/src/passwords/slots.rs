//! Slow hashes, a few at a time: one core stays free for everything else, however many clients log in.
//!
//! | bound | value |
//! | --- | --- |
//! | hashes at once | the number of cores less one, one at least |
//! | threads that wait for a slot | [`HASH_WAITING`] |
//! | how long one waits | [`HASH_PATIENCE`] |

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use super::PasswordError;
use crate::limits::{HASH_PATIENCE, HASH_WAITING, rows};

/// The slots of this process.
pub(super) static HASHING: LazyLock<Slots> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    Slots::new(cores.saturating_sub(1).max(1))
});

pub(super) struct Slots {
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    taken: usize,
    waiting: usize,
}

/// One slot; given back when dropped.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    fn new(most: usize) -> Slots {
        Slots { most, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits for a slot. Blocks.
    ///
    /// # Errors
    /// [`PasswordError::Busy`]: too many wait, or it took too long.
    pub(super) fn take(&self) -> Result<Slot<'_>, PasswordError> {
        let mut state = self.lock();
        if state.taken >= self.most {
            if state.waiting >= HASH_WAITING {
                rows::HASH_WAITING
                    .met("a login is refused for now: as many wait as may for a password to be hashed");
                return Err(PasswordError::Busy);
            }
            state.waiting += 1;
            let all_taken = |state: &mut State| state.taken >= self.most;
            let waited = self.freed.wait_timeout_while(state, HASH_PATIENCE, all_taken);
            let (mut waited, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            waited.waiting -= 1;
            if timeout.timed_out() {
                rows::HASH_PATIENCE
                    .met("a login is refused for now: it waited too long for its password to be hashed");
                return Err(PasswordError::Busy);
            }
            state = waited;
        }
        state.taken += 1;
        Ok(Slot(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_hash_at_once_so_many_wait_and_the_rest_is_refused() {
        let slots = Slots::new(2);
        let held = (slots.take().unwrap(), slots.take().unwrap());
        std::thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..HASH_WAITING).map(|_| scope.spawn(|| slots.take().map(drop).is_ok())).collect();
            while slots.lock().waiting < HASH_WAITING {
                std::thread::yield_now();
            }
            assert!(matches!(slots.take(), Err(PasswordError::Busy)));
            drop(held);
            assert!(waiting.into_iter().all(|waiter| waiter.join().unwrap()));
        });
        let state = slots.lock();
        assert_eq!((state.taken, state.waiting), (0, 0));
    }
}
