//! Whether etcd answers: asked all the time, so that a master that is cut off knows it before its clients do.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mailboxes::signal::{Signal, Watch};
use tokio::time::{Instant, sleep};

use crate::{
    Inner, barrier,
    limits::{BEAT, DEAD, rows},
};

pub(crate) struct Pulse {
    live: Signal<bool>,
    left: Signal<bool>,
    /// The last change that is known to have happened.
    seen: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { live: Signal::new(true), left: Signal::new(false), seen: AtomicU64::new(0) }
    }
}

impl Pulse {
    pub fn live(&self) -> Watch<bool> {
        self.live.watch()
    }

    pub fn left(&self) -> Watch<bool> {
        self.left.watch()
    }

    pub fn set_left(&self, now: bool) {
        self.left.update(|left| std::mem::replace(left, now) != now);
    }

    pub fn saw(&self, number: u64) {
        self.seen.fetch_max(number, Ordering::Relaxed);
    }

    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    fn set(&self, now: bool) {
        self.live.update(|live| std::mem::replace(live, now) != now);
    }
}

/// Asks as long as a handle lives.
pub(crate) fn start(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    let watch = async move {
        let mut heard = Instant::now();
        while let Some(inner) = weak.upgrade() {
            // The answer may take as long as it is still worth something.
            let left = DEAD.saturating_sub(heard.elapsed()).max(BEAT);
            match tokio::time::timeout(left, barrier::run(&inner)).await {
                Ok(Ok(_)) => {
                    heard = Instant::now();
                    if !inner.pulse.live.get() {
                        tracing::info!("etcd answers again");
                    }
                    inner.pulse.set(true);
                }
                Ok(Err(trouble)) => tracing::debug!(%trouble, "etcd"),
                Err(_) => {}
            }
            if heard.elapsed() >= DEAD && inner.pulse.live.get() {
                rows::DEAD.met("etcd does not answer: this master says nothing more until it does");
                inner.pulse.set(false);
            }
            drop(inner);
            sleep(BEAT).await;
        }
    };
    inner.runtime.spawn(watch);
}
