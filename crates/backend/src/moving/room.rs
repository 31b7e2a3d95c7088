//! Whether a server takes mailboxes of this one: what it says of its room and of other moves, and what this one says.

use std::collections::HashMap;
use std::sync::Arc;

use moves::MoveId;
use moves::journal::{Item, Record, Role};
use protocol::sync::{Apply, UniqueId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::info;

use super::peer::{Fault, Peer};
use super::{Moving, lock};
use crate::limits::ROOM_KEPT;

/// What a backend says of moves to it, among its options.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Welcome {
    pub parallel: usize,
    /// Moves that come in.
    pub incoming: usize,
    /// Free KiB.
    pub partitions: HashMap<String, u64>,
    /// Where it puts what has no place.
    #[serde(default)]
    pub default: Option<String>,
    /// It is Cyrus's, and says nothing.
    #[serde(skip)]
    pub cyrus: bool,
}

/// Why a move does not begin.
#[derive(Debug, Clone)]
pub enum No {
    /// It may begin later.
    Now(String),
    Never(String),
}

impl Moving {
    /// Whether a server can be moved to: it answers, bears that name, and takes this one as an admin. What it says of its room.
    pub(super) async fn takes(&self, to: &str) -> Result<Arc<Welcome>, No> {
        if let Some((at, welcome)) = lock(&self.welcomes).get(to)
            && at.elapsed() < ROOM_KEPT
        {
            return Ok(welcome.clone());
        }
        let unavailable = |why: &dyn std::fmt::Display| {
            info!(to, %why, "a move cannot begin");
            No::Now("Server(s) unavailable to complete operation".to_owned())
        };
        let upstream = self.upstream();
        let entry = "/shared/vendor/murder/options";
        let told = match upstream.imapd().move_authname {
            // It acts for nobody.
            Some(_) => upstream.server_entry_as(to, None, entry).await,
            None => upstream.server_entry(to, entry).await,
        };
        let told = told.map_err(|error| unavailable(&error))?.unwrap_or_default();
        let mut told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        match told["server"].as_str() {
            Some(name) if name == to => {}
            // What the master notes must be what the server itself says of its mailboxes.
            Some(name) => return Err(No::Never(format!("{to} calls itself {name}: use that name"))),
            None => return self.welcome_at_cyrus(to).await,
        }
        let mut peer = Peer::connect(upstream, to).await.map_err(|fault| unavailable(&fault))?;
        let id = MoveId::new().map_err(|error| No::Never(error.to_string()))?;
        match peer.apply(&Apply::State(id.wire())).await {
            Ok(_) => {}
            Err(Fault::Refused(_)) => {
                let own = &upstream.imapd().proxy_authname;
                return Err(No::Never(format!("{to} does not take {own} as an admin: add it to its admins")));
            }
            Err(fault) => return Err(unavailable(&fault)),
        }
        // One of an earlier build says nothing, and takes what comes.
        let welcome: Welcome = serde_json::from_value(told["moves"].take()).unwrap_or_default();
        let welcome = Arc::new(welcome);
        lock(&self.welcomes).insert(to.to_owned(), (Instant::now(), welcome.clone()));
        Ok(welcome)
    }

    /// The same of a server of Cyrus.
    async fn welcome_at_cyrus(&self, to: &str) -> Result<Arc<Welcome>, No> {
        self.cyrus_takes(to).await.map_err(|why| match why.starts_with("Server(s) unavailable") {
            true => No::Now(why),
            false => No::Never(why),
        })?;
        let welcome = Arc::new(Welcome { cyrus: true, ..Welcome::default() });
        lock(&self.welcomes).insert(to.to_owned(), (Instant::now(), welcome.clone()));
        Ok(welcome)
    }

    /// Whether a server takes these mailboxes now.
    pub(super) async fn may_begin(&self, to: &str, partition: &str, items: &[Item]) -> Result<(), No> {
        if self.is_cordoned(to).await {
            return Err(No::Now(format!("{to} gets no mailboxes: murder uncordon {to}")));
        }
        let welcome = self.takes(to).await?;
        let Some(free) = welcome.partitions.get(partition) else {
            if welcome.partitions.is_empty() {
                return Ok(());
            }
            let mut has: Vec<&str> = welcome.partitions.keys().map(String::as_str).collect();
            has.sort_unstable();
            return Err(No::Never(format!("{to} has no partition {partition} (it has {})", has.join(", "))));
        };
        let ids: Vec<String> = items.iter().map(|item| item.uniqueid.clone()).collect();
        let needed = self.store.usage_of_all(&ids).storage;
        match fits(free.saturating_mul(1024), needed) {
            true => Ok(()),
            false => Err(No::Now(no_room(to, partition, free.saturating_mul(1024), needed))),
        }
    }

    /// Whether the master says that a server gets no mailboxes. One that does not answer says it when it is needed.
    pub(super) async fn is_cordoned(&self, server: &str) -> bool {
        let Ok(mut master) = self.master.connect().await else { return false };
        master.is_cordoned(server).await.unwrap_or(false)
    }

    /// Where nothing else is said: the partition of the same name, as in Cyrus, or else the destination's own.
    pub(super) async fn place_at(&self, to: &str, here: &str) -> String {
        match self.takes(to).await {
            Ok(welcome) if !welcome.cyrus && !welcome.partitions.contains_key(here) => {
                welcome.default.clone().unwrap_or_else(|| here.to_owned())
            }
            _ => here.to_owned(),
        }
    }

    /// What other backends hear who ask about moves to this one.
    pub fn welcome(&self) -> Welcome {
        let imapd = self.context.imapd();
        let partitions = imapd.partitions().iter().map(|partition| {
            let free = self.store.space_of(&partition.name).map_or(0, |(free, _)| free);
            (partition.name.clone(), free)
        });
        Welcome {
            parallel: usize::try_from(imapd.move_parallel).unwrap_or(usize::MAX),
            incoming: self.incoming(),
            partitions: partitions.collect(),
            default: imapd.defaultpartition.clone(),
            cyrus: false,
        }
    }

    /// Moves that come in, over connections that are open.
    fn incoming(&self) -> usize {
        use moves::destination::Phase::{Incoming, Prepared};
        let (records, coming) = (lock(&self.records), lock(&self.coming));
        let comes = |record: &&Record| {
            let open = coming.contains_key(&record.id);
            open && matches!(record.role, Role::Destination { phase: Incoming | Prepared, .. })
        };
        records.values().filter(comes).count()
    }

    /// A connection brings a move.
    pub fn comes(self: &Arc<Self>, id: &UniqueId) -> Option<Comes> {
        let id = MoveId::parse(id.as_str()).ok()?;
        *lock(&self.coming).entry(id.clone()).or_default() += 1;
        Some(Comes { moving: self.clone(), id })
    }
}

/// A move that a connection brings, until it is dropped.
pub struct Comes {
    moving: Arc<Moving>,
    id: MoveId,
}

impl Drop for Comes {
    fn drop(&mut self) {
        let mut coming = lock(&self.moving.coming);
        if let Some(count) = coming.get_mut(&self.id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                coming.remove(&self.id);
            }
        }
    }
}

/// Whether so many bytes can come, and something is left.
pub(super) fn fits(free: u64, needed: u64) -> bool {
    needed.saturating_add(needed / 20) <= free
}

pub(super) fn no_room(server: &str, partition: &str, free: u64, needed: u64) -> String {
    let gb = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    format!("{server} has {} free on {partition}, {} are needed", gb(free), gb(needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_without_room_says_how_much_it_has_and_how_much_is_needed() {
        assert!(fits(1050, 1000) && !fits(1000, 1000));
        assert_eq!(
            no_room("be2", "default", 3_100_000_000, 4_000_000_000),
            "be2 has 3.1 GB free on default, 4.0 GB are needed"
        );
    }
}
