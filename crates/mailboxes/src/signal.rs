//! A value that others wait for, as `tokio::sync::watch` has one. That wakes its waiters in an order of its own chance,
//! and no simulation could be run twice; here they wake in the order in which they began to wait.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// Holds the value. When it is dropped, nobody waits any longer.
#[derive(Debug)]
pub struct Signal<T> {
    shared: Arc<Shared<T>>,
}

/// Sees the value, and what has become of it.
#[derive(Debug, Clone)]
pub struct Watch<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The value will not change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was watched is gone")]
pub struct Gone;

#[derive(Debug)]
struct Shared<T> {
    /// Counts the changes.
    state: Mutex<(u64, T)>,
    changed: Notify,
    gone: AtomicBool,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, (u64, T)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Signal<T> {
    pub fn new(value: T) -> Self {
        let (state, changed, gone) = (Mutex::new((0, value)), Notify::new(), AtomicBool::new(false));
        Signal { shared: Arc::new(Shared { state, changed, gone }) }
    }

    pub fn get(&self) -> T {
        self.shared.state().1.clone()
    }

    /// Gives the value before.
    pub fn set(&self, value: T) -> T {
        let before = {
            let mut state = self.shared.state();
            state.0 += 1;
            std::mem::replace(&mut state.1, value)
        };
        self.shared.changed.notify_waiters();
        before
    }

    /// Lets `change` say whether it changed anything.
    pub fn update(&self, change: impl FnOnce(&mut T) -> bool) {
        let mut state = self.shared.state();
        if change(&mut state.1) {
            state.0 += 1;
            drop(state);
            self.shared.changed.notify_waiters();
        }
    }

    /// Sees the value as it is now.
    pub fn watch(&self) -> Watch<T> {
        Watch { shared: self.shared.clone(), seen: self.shared.state().0 }
    }
}

impl<T> Drop for Signal<T> {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        self.shared.changed.notify_waiters();
    }
}

impl<T: Clone> Watch<T> {
    pub fn get(&self) -> T {
        self.shared.state().1.clone()
    }

    /// What it is now is known.
    pub fn mark_seen(&mut self) {
        self.seen = self.shared.state().0;
    }

    /// Returns when it changed since it was last seen. Safe to cancel.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        self.pending().await?;
        self.mark_seen();
        Ok(())
    }

    /// Returns when there is a change to be seen, and leaves it to be seen.
    pub async fn pending(&self) -> Result<(), Gone> {
        loop {
            // Before looking, so that no change falls between.
            let changed = self.shared.changed.notified();
            if self.shared.state().0 != self.seen {
                return Ok(());
            }
            if self.shared.gone.load(Ordering::Acquire) {
                return Err(Gone);
            }
            changed.await;
        }
    }

    /// Returns when it is as wanted; at once if it is already.
    pub async fn wait_for(&mut self, wanted: impl Fn(&T) -> bool) -> Result<T, Gone> {
        loop {
            let value = {
                let state = self.shared.state();
                self.seen = state.0;
                state.1.clone()
            };
            if wanted(&value) {
                return Ok(value);
            }
            self.changed().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_seen_once_and_an_end_ends_the_wait() {
        let signal = Signal::new(1);
        let mut watch = signal.watch();
        signal.set(2);
        watch.changed().await.unwrap();
        assert_eq!(watch.get(), 2);
        let waiting = tokio::spawn(async move {
            let found = watch.wait_for(|value| *value == 4).await;
            (found, watch.changed().await)
        });
        tokio::task::yield_now().await;
        signal.set(3);
        signal.update(|value| std::mem::replace(value, 4) != 4);
        tokio::task::yield_now().await;
        drop(signal);
        assert_eq!(waiting.await.unwrap(), (Ok(4), Err(Gone)));
    }
}
