//! When each backend was last heard of by its master: before an operator has the entries of a dead one forgotten, somebody
//! must know that it is dead.
//!
//! A backend of ours says on the connection that it keeps which server it is (`HERE`), and asks something on it every
//! `mupdate_retry_delay`. One of Cyrus's is heard of when it reserves or activates a mailbox. The times outlive the daemon in
//! `seen.json` beside the list, which is at most a minute behind.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use protocol::location::ServerName;
use service::Context;
use tokio::time::MissedTickBehavior;

use super::Server;
use crate::serve::limits::{SEEN_EVERY, SERVERS, rows};

/// The times, by server, in seconds since the epoch.
#[derive(Debug)]
pub(super) struct Seen {
    times: Mutex<BTreeMap<String, u64>>,
    changed: AtomicBool,
    since: Instant,
}

impl Default for Seen {
    fn default() -> Self {
        Seen { times: Mutex::default(), changed: AtomicBool::new(false), since: Instant::now() }
    }
}

impl Seen {
    /// The server is there now. What is no name of a server is nobody's.
    pub fn note(&self, server: &str) {
        let mut times = self.times();
        match times.get_mut(server) {
            Some(time) => *time = now(),
            None if ServerName::parse(server).is_err() => return,
            None => {
                if times.len() >= SERVERS {
                    rows::SERVERS.met("so many servers were heard of that the oldest is forgotten");
                    // Whoever lives is heard of again soon; a table full of names that nobody has must not keep a new server out.
                    let oldest = times.iter().min_by_key(|(_, time)| **time).map(|(name, _)| name.clone());
                    oldest.map(|name| times.remove(&name));
                }
                times.insert(server.to_owned(), now());
            }
        }
        self.changed.store(true, Ordering::Relaxed);
    }

    pub fn all(&self) -> BTreeMap<String, u64> {
        self.times().clone()
    }

    /// Since when somebody listens here.
    pub fn watching(&self) -> Duration {
        self.since.elapsed()
    }

    /// Takes over what an earlier instance knew. A file that cannot be read is as none: the times are then not known.
    fn load(&self, path: &Path) {
        let Ok(text) = std::fs::read(path) else { return };
        let Ok(old) = serde_json::from_slice::<BTreeMap<String, u64>>(&text) else { return };
        let mut times = self.times();
        for (server, time) in old.into_iter().take(SERVERS) {
            let known = times.entry(server).or_default();
            *known = (*known).max(time);
        }
    }

    fn save(&self, path: &Path) {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let text = serde_json::to_vec_pretty(&self.all()).unwrap_or_default();
        if let Err(why) = files::replace(path, 0o600, &text) {
            tracing::warn!("{}: {why}", path.display());
        }
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a master's times beside its list until the daemon ends.
pub(super) fn keep(context: &Context, server: Server) {
    if !server.is_master() {
        return;
    }
    let path = context.file("seen.json");
    server.shared.seen.load(&path);
    let stop = context.shutdown();
    context.tasks().spawn(async move {
        let mut tick = tokio::time::interval(SEEN_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut on = true;
        while on {
            on = stop.run_until_cancelled(tick.tick()).await.is_some();
            let (server, path) = (server.clone(), path.clone());
            let saved = tokio::task::spawn_blocking(move || server.shared.seen.save(&path));
            if let Err(why) = saved.await {
                tracing::warn!("seen.json: {why}");
            }
        }
    });
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_server_is_remembered_however_many_names_were_told() {
        let seen = Seen::default();
        (0..SERVERS).for_each(|n| seen.note(&format!("fill{n}")));
        seen.note("new.example.org");
        assert!(seen.all().contains_key("new.example.org"));
        assert_eq!(seen.all().len(), SERVERS);
    }

    #[test]
    fn what_was_seen_outlives_the_master_and_a_broken_file_is_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen.json");
        let before = Seen::default();
        before.note("be1.example.org");
        before.save(&path);
        let after = Seen::default();
        after.load(&path);
        assert_eq!(after.all(), before.all());
        assert!(after.all()["be1.example.org"] > 1_600_000_000);
        std::fs::write(&path, "nonsense").unwrap();
        let other = Seen::default();
        other.load(&path);
        assert!(other.all().is_empty());
        // What is older than is known already changes nothing.
        std::fs::write(&path, "{\"be1.example.org\": 5, \"be2\": 7}").unwrap();
        after.load(&path);
        assert_eq!(after.all()["be2"], 7);
        assert!(after.all()["be1.example.org"] > 1_600_000_000);
    }
}
