//! What happens, revision by revision: a watch on all keys of the list.
//!
//! A revision may come in pieces. It is whole with its `head`, which each change of the list writes last; what others write
//! (leases, tokens) has none, and is nobody's news.

use etcd_client::{Client, Event, EventType, WatchOptions, WatchStream};
use mailboxes::{News, Position, Pruned, authority::Missed};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Inner, barrier,
    keys::{self, About},
    limits::{BEAT, CALL, MESSAGE, PAUSE, SILENT},
    snapshot::unreadable,
    trouble::Trouble,
};

/// Whether one can go on from a position of a list that stands there.
pub(crate) fn check(after: Position, here: Position) -> Result<(), Pruned> {
    let is_of = (after.list, after.term) == (here.list, here.term) && after.seq <= here.seq;
    is_of.then_some(()).ok_or(Pruned)
}

/// Passes news on until that ends.
pub(crate) async fn run(inner: &Inner, after: Position, news: mpsc::Sender<News>) -> Missed {
    let mut at = after;
    match watch(inner, &mut at, &news).await {
        Trouble::Compacted => Pruned.into(),
        trouble => {
            inner.link.turn();
            sleep(PAUSE).await;
            Missed::Unreadable(trouble.into())
        }
    }
}

async fn watch(inner: &Inner, at: &mut Position, news: &mpsc::Sender<News>) -> Trouble {
    let mut stream = match begin(inner, at.seq).await {
        Ok(stream) => stream,
        Err(trouble) => return trouble,
    };
    let (mut pending, mut heard) = (Pending::default(), Instant::now());
    loop {
        let message = match timeout(BEAT, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return Trouble::Unreachable("the watch ended".into()),
            Ok(Err(error)) => return Trouble::of(&error),
            Err(_) if inner.pulse.seen() <= at.seq => {
                heard = Instant::now();
                continue;
            }
            Err(_) if heard.elapsed() < SILENT => continue,
            Err(_) => return Trouble::Unreachable("the watch does not bring what has happened".into()),
        };
        if message.compact_revision() > 0 {
            return Trouble::Compacted;
        }
        if message.canceled() {
            return Trouble::Unreachable(format!("the watch was ended: {}", message.cancel_reason()));
        }
        for event in message.events() {
            match pending.take(inner, event) {
                Ok(None) => {}
                Ok(Some(one)) if one.position.seq <= at.seq => {}
                Ok(Some(one)) => {
                    (*at, heard) = (one.position, Instant::now());
                    if news.send(one).await.is_err() {
                        return Trouble::Unreachable("nobody listens".into());
                    }
                }
                Err(trouble) => return trouble,
            }
        }
    }
}

async fn begin(inner: &Inner, after: u64) -> Result<WatchStream, Trouble> {
    // Another list may stand there by now.
    barrier::run(inner).await?;
    let from = keys::revision(after).saturating_add(1);
    let options = WatchOptions::new().with_prefix().with_start_revision(from).with_fragment();
    let prefix = inner.keys.all().to_vec();
    let client: Client = inner.link.any().await?;
    let mut watcher = client.watch_client().max_decoding_message_size(MESSAGE);
    match timeout(CALL, watcher.watch(prefix, Some(options))).await {
        Ok(stream) => stream.map_err(|error| Trouble::of(&error)),
        Err(_) => Err(Trouble::Unreachable("no watch within the time".into())),
    }
}

/// A revision that is not whole yet.
#[derive(Default)]
struct Pending {
    revision: i64,
    news: Option<News>,
}

impl Pending {
    /// Takes an event; gives what is whole with it.
    fn take(&mut self, inner: &Inner, event: &Event) -> Result<Option<News>, Trouble> {
        let Some(one) = event.kv() else { return Ok(None) };
        let revision = one.mod_revision();
        if revision != self.revision {
            (self.revision, self.news) = (revision, None);
        }
        let put = event.event_type() == EventType::Put;
        let position = inner.identity().position(keys::number(revision));
        let fresh = || News { position, changes: vec![], cordons: vec![], conflicts: vec![], whole: false };
        match inner.keys.about(one.key()) {
            // What was opened is not what is there.
            About::Id => return Err(Trouble::Compacted),
            About::Head => return Ok(Some(self.news.take().unwrap_or_else(fresh))),
            About::Name(name) => {
                let entry = put.then(|| keys::entry_of(one.value(), revision)).transpose();
                let entry = entry.map_err(|why| unreadable(one, &why))?;
                self.news.get_or_insert_with(fresh).changes.push((name, entry));
            }
            About::Conflict(name) => {
                let conflict = put.then(|| keys::conflict_of(name.clone(), one.value())).transpose();
                let conflict = conflict.map_err(|why| unreadable(one, &why))?;
                self.news.get_or_insert_with(fresh).conflicts.push((name, conflict));
            }
            About::Cordon(server) => {
                let since = put.then(|| keys::cordon_of(one.value())).transpose();
                let since = since.map_err(|why| unreadable(one, &why))?;
                self.news.get_or_insert_with(fresh).cordons.push((server, since));
            }
            About::Else => {}
        }
        Ok(None)
    }
}
