//! An authority that several lists propose to. Each of them judges on its own tables, and learns of what happened, its own
//! changes among it, in one way alone: as news.

use std::collections::BTreeMap;
use std::future::Future;

use protocol::{mupdate::position::Position, name::MailboxName};
use tokio::sync::mpsc;

use super::{Authority, Missed};
use crate::{change::News, conflict::Conflict, cordon::Cordons, error::Error, signal::Watch};

/// What several masters share.
///
/// Its calls fail no sooner than a moment after they were made, so that whoever tries again at once keeps no processor busy; and
/// each ends within a bound of its own.
pub trait Shared: Authority + Clone + Sync {
    /// What one group may hold.
    fn room(&self) -> Room;

    /// Passes on what happens after a position, number by number, each as a whole, until that ends; gives the cause.
    fn follow(&self, after: Position, news: mpsc::Sender<News>) -> impl Future<Output = Missed> + Send;

    /// What is kept beside the entries, as it is at the time of the call or later.
    fn beside(&self) -> impl Future<Output = Result<Beside, Error>> + Send;

    /// Whether it can be asked: false once nobody has been able to for some seconds.
    fn live(&self) -> Watch<bool>;
}

/// What one group may hold at most.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub names: usize,
    pub octets: usize,
}

/// What a list has beside its entries.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    pub cordons: Cordons,
    pub conflicts: BTreeMap<MailboxName, Conflict>,
}
