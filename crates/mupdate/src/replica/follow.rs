//! Connecting for ever: one attempt after the other, with a jittered pause that grows to `mupdate_retry_delay`.

use std::{sync::Arc, time::Duration, time::SystemTime};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Shared, stream::Stream};

pub(super) type Waiters = mpsc::Receiver<oneshot::Sender<()>>;

pub(super) async fn run(shared: Arc<Shared>, mut waiters: Waiters, stop: CancellationToken) {
    let following = async {
        // A full list is compared with what is held: that must be in memory first.
        shared.list.loaded().await;
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = attempt(&shared, &mut waiters).await;
            if shared.live.set(false) {
                pause = FIRST_PAUSE;
            }
            let delay = jitter(pause, shared.settings.load().chance);
            note(&shared, outcome, delay);
            idle(&shared, &mut waiters, delay).await;
            pause = (pause * 2).min(shared.settings.load().retry_delay);
        }
    };
    stop.run_until_cancelled(following).await;
    shared.live.set(false);
}

/// Connects, synchronises, and streams until something breaks.
async fn attempt(shared: &Arc<Shared>, waiters: &mut Waiters) -> Result<(), String> {
    let address = shared.address.load_full();
    let (link, greeting) = address.dial().await.map_err(|e| e.to_string())?;
    info!("successful mupdate connection to {}", address.name());
    let mut stream = Stream::new(shared, link, &greeting);
    stream.synchronise().await?;
    {
        let mut state = shared.state();
        state.since = SystemTime::now();
        (state.trouble, state.held) = (None, None);
        (state.accept, state.replaced) = (0, None);
    }
    shared.live.set(true);
    info!(position = %shared.list.position(), "the mailbox list is complete and follows {}", address.name());
    stream.follow(waiters).await
}

fn note(shared: &Shared, outcome: Result<(), String>, delay: Duration) {
    let why = outcome.err().unwrap_or_else(|| "the stream ended".into());
    warn!("{why}; retrying connection to mupdate server in {:.1} seconds", delay.as_secs_f64());
    let mut state = shared.state();
    if state.trouble.is_none() {
        state.since = SystemTime::now();
    }
    state.trouble = Some(why);
}

/// Waits, and meanwhile sends away who asks for a barrier. An accepted plan ends the wait.
async fn idle(shared: &Shared, waiters: &mut Waiters, delay: Duration) {
    let end = Instant::now() + delay;
    loop {
        tokio::select! {
            biased;
            () = sleep_until(end) => return,
            () = shared.accepted.notified() => return,
            waiter = waiters.recv() => match waiter {
                Some(waiter) => drop(waiter),
                None => return sleep_until(end).await,
            },
        }
    }
}

/// Between a half and the whole of it.
fn jitter(pause: Duration, chance: fn() -> u16) -> Duration {
    pause / 2 + pause / 2 * u32::from(chance()) / u32::from(u16::MAX)
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
