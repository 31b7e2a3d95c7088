//! The libraries' calls read files, take locks and ask KDCs, and nothing ends one that hangs. So each has a thread, of which there are
//! few, and whoever waits for it waits no longer than its deadline. The thread keeps its place until the call is over.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Why a call has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::auth) enum Late {
    #[error("too many calls of the Kerberos library hang")]
    Busy,
    #[error("the Kerberos library does not answer in time")]
    Hangs,
}

/// Has `work` done on a thread of its own, once `gate` has a place for it.
pub(in crate::auth) async fn aside<T: Send + 'static>(
    gate: &'static Semaphore,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Late> {
    let deadline = Instant::now() + patience;
    let place = timeout_at(deadline, gate.acquire()).await;
    let place = place.ok().and_then(Result::ok).ok_or(Late::Busy)?;
    let call = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    timeout_at(deadline, call).await.ok().and_then(Result::ok).ok_or(Late::Hangs)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_keeps_its_place_and_nobody_waits_for_it_beyond_the_deadline() {
        static GATE: Semaphore = Semaphore::const_new(1);
        let (end, waits) = mpsc::channel::<()>();
        let soon = Duration::from_millis(5);
        let hanging = aside(&GATE, soon, move || waits.recv().is_err()).await;
        assert_eq!(hanging, Err(Late::Hangs));
        assert_eq!(aside(&GATE, soon, || true).await, Err(Late::Busy));
        drop(end);
        assert_eq!(aside(&GATE, Duration::from_secs(20), || true).await, Ok(true));
    }
}
