//! How a stream of the upstream's ends, and who waits for it meanwhile.

use tokio::sync::{mpsc, oneshot};

use crate::meter::Absurd;

/// Those who wait until all that the upstream had is here.
pub(super) type Waiters = mpsc::Receiver<oneshot::Sender<()>>;

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be reached, broke, or what it says cannot be taken over now.
    Broken(String),
    /// What it says is beyond measure, and will be so in a moment.
    Absurd(Absurd),
}

impl Failure {
    pub fn broken(why: &str) -> Failure {
        Failure::Broken(why.to_owned())
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Broken(why)
    }
}

impl From<Absurd> for Failure {
    fn from(why: Absurd) -> Failure {
        Failure::Absurd(why)
    }
}
