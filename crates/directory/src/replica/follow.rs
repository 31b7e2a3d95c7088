//! Connecting for ever: one attempt after the other, with a jittered pause that grows to `mupdate_retry_delay`. Where there are
//! several masters, a stream that ends after it has lasted is begun at another one without a pause.

use std::{sync::Arc, time::Duration, time::SystemTime};

use retry::{Backoff, spread};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Shared,
    failure::{Failure, Waiters},
    stream::Stream,
};
use crate::client::masters;
use crate::replica::limits::{ABSURD, FIRST_PAUSE, LASTED, TOLD};

pub(super) async fn run(shared: Arc<Shared>, mut waiters: Waiters, stop: CancellationToken) {
    let following = async {
        // A full list is compared with what is held: that must be in memory first.
        shared.list.loaded().await;
        let (mut broken, mut absurd) = (Backoff::new(FIRST_PAUSE), None);
        let mut diary = Diary::default();
        loop {
            let outcome = attempt(&shared, &mut waiters, &mut diary).await;
            let (longest, chance) = (shared.settings.load().retry_delay, shared.settings.load().chance);
            let was_live = shared.live.set(false);
            // An upstream that takes us and breaks off soon, again and again, is none that works.
            let lasted = diary.live_since.take().map_or(Duration::ZERO, |since| since.elapsed());
            if lasted >= longest {
                broken.reset();
                diary.told.clear();
            }
            let mut pause = broken.pause(longest);
            let others = diary.reached.take().is_some_and(|server| leave(&shared, &server, &outcome));
            // Masters may die one after the other; one that breaks off at once, again and again, is not asked without end.
            let seldom = diary.moved.is_none_or(|at| at.elapsed() >= longest);
            if others && was_live && (seldom || lasted >= LASTED) {
                diary.moved = Some(Instant::now());
                pause = Duration::ZERO;
            }
            match &outcome {
                // Each attempt has it send all of that again.
                Err(Failure::Absurd(_)) => {
                    let rests = absurd.get_or_insert_with(|| Backoff::new(longest.min(ABSURD)));
                    pause = pause.max(rests.pause(ABSURD));
                }
                _ => absurd = None,
            }
            let delay = spread(pause, chance());
            note(&shared, outcome, was_live, delay, &mut diary);
            idle(&shared, &mut waiters, delay).await;
        }
    };
    stop.run_until_cancelled(following).await;
    shared.live.set(false);
}

/// What the log has: each cause once, until the list was followed for some time, and the last line always as it is.
#[derive(Default)]
struct Diary {
    /// Causes.
    told: Vec<String>,
    /// The last line says that the list is followed.
    says_live: bool,
    /// Since when the stream of this attempt is attached.
    live_since: Option<Instant>,
    /// Whom this attempt reached.
    reached: Option<String>,
    /// When another master was last asked without a pause.
    moved: Option<Instant>,
}

/// Has the next attempt begin at another master than the one whose stream has ended. False where there is none.
fn leave(shared: &Shared, server: &str, outcome: &Result<(), Failure>) -> bool {
    let address = shared.address.load();
    let Some(imapd) = address.choice() else { return false };
    let masters = imapd.mupdate_upstreams();
    let why = match outcome {
        Ok(()) => "the stream ended".to_owned(),
        Err(Failure::Broken(why)) => why.clone(),
        Err(Failure::Absurd(why)) => why.to_string(),
    };
    let is_one = masters.iter().any(|master| master.name == server);
    if is_one {
        masters::leave(imapd, server, &why);
    }
    is_one && masters.len() > 1
}

/// Connects, synchronises, and streams until something breaks.
async fn attempt(shared: &Arc<Shared>, waiters: &mut Waiters, diary: &mut Diary) -> Result<(), Failure> {
    let address = shared.address.load_full();
    let held = shared.list.is_complete().then(|| shared.list.position());
    let (link, greeting) = address.dial(held).await.map_err(|e| e.to_string())?;
    let upstream = link.server.clone();
    diary.reached = Some(upstream.clone());
    match diary.says_live {
        true => debug!("successful mupdate connection to {upstream}"),
        false => info!("successful mupdate connection to {upstream}"),
    }
    {
        let mut state = shared.state();
        (state.upstream, state.behind) = (Some(upstream.clone()), None);
    }
    let mut stream = Stream::new(shared, link, &greeting);
    stream.synchronise().await?;
    {
        let mut state = shared.state();
        state.since = SystemTime::now();
        (state.trouble, state.held) = (None, None);
        (state.accept, state.replaced) = (0, None);
    }
    shared.live.set(true);
    diary.live_since = Some(Instant::now());
    if !std::mem::replace(&mut diary.says_live, true) {
        info!(position = %shared.list.position(), "the mailbox list is complete and follows {upstream}");
    }
    stream.follow(waiters).await
}

fn note(shared: &Shared, outcome: Result<(), Failure>, was_live: bool, delay: Duration, diary: &mut Diary) {
    let why = match outcome {
        Ok(()) => "the stream ended".to_owned(),
        Err(Failure::Broken(why)) => why,
        Err(Failure::Absurd(why)) => {
            metrics::counter!("murder_lists_refused_total").increment(1);
            format!("{}: its list is not taken over: {why}", shared.address.load().name())
        }
    };
    let is_new = !diary.told.contains(&why);
    if is_new || (diary.says_live && !was_live) {
        warn!("{why}; retrying connection to mupdate server in {:.1} seconds", delay.as_secs_f64());
        diary.says_live = false;
    } else {
        debug!("{why}; retrying connection to mupdate server in {:.1} seconds", delay.as_secs_f64());
    }
    if is_new {
        if diary.told.len() >= TOLD {
            diary.told.remove(0);
        }
        diary.told.push(why.clone());
    }
    let mut state = shared.state();
    if state.trouble.is_none() {
        state.since = SystemTime::now();
    }
    (state.trouble, state.behind) = (Some(why), None);
}

/// Waits, and meanwhile sends away who asks for a barrier. An accepted plan ends the wait.
async fn idle(shared: &Shared, waiters: &mut Waiters, delay: Duration) {
    let end = Instant::now() + delay;
    loop {
        tokio::select! {
            biased;
            () = sleep_until(end) => return,
            () = shared.again.notified() => return,
            waiter = waiters.recv() => match waiter {
                Some(waiter) => drop(waiter),
                None => return sleep_until(end).await,
            },
        }
    }
}
