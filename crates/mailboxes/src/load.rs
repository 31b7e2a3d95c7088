//! Fills a list's tables from its disk, beside everything else.
//!
//! The loader reads a page of entries and puts them into the tables under their lock, if nothing was published meanwhile;
//! else it reads them again, at last with the lock held. The writer publishes under the same lock after its batch is in
//! the store, so whichever comes second has the newer state: nothing is missed, nothing goes back. Look-ups wait for a
//! page at most.

use std::sync::{Arc, RwLockWriteGuard, Weak};

use protocol::name::MailboxName;

use crate::limits::TRIES;
use crate::{
    disk::Stored,
    error::{Error, OpenError},
    publish::{Published, Tables},
    store::StoreError,
};

/// Starts the loader.
pub(crate) fn start(published: &Arc<Published>) -> Result<(), OpenError> {
    let spawn = published.options.spawn;
    let published = Arc::downgrade(published);
    let task = async move {
        if let Err(error) = fill(&published).await
            && let Some(published) = published.upgrade()
        {
            published.fail(&format!("cannot load the mailbox list: {error}"), error.is_damage());
        }
    };
    spawn("list-load", Box::pin(task))
        .map_err(|e| StoreError::Io { doing: "start the loader", why: e.to_string() })?;
    Ok(())
}

async fn fill(published: &Weak<Published>) -> Result<(), Error> {
    let mut from = Vec::new();
    // Nobody holds the list any more: the loader does not keep it alive.
    let Some(held) = published.upgrade() else { return Ok(()) };
    let mut recent = {
        let tables = held.read();
        tables.window.recent(tables.history.floor)
    };
    let (since, upto) = recent.span();
    let read = held.disk.deletions(since, upto, |seq, key| recent.see(seq, key));
    read.map_err(|error| held.noted(error))?;
    drop(held);
    loop {
        let Some(published) = published.upgrade() else { return Ok(()) };
        published.disk.store.pace().await;
        let (mut tables, stored) = page(&published, &from)?;
        for (key, entry) in &stored.entries {
            let Ok(name) = MailboxName::from_key(key) else { continue };
            tables.table.put(&name, entry);
            recent.see(entry.seq, key);
        }
        match stored.next {
            Some(next) => from = next,
            None => {
                tables.window.precede(recent);
                tables.loaded = true;
                published.disk.set_loaded();
                drop(tables);
                published.loaded.set(true);
                return Ok(());
            }
        }
    }
}

/// A page of what readers may see, with the lock under which it is still true. The store is read without it.
fn page<'a>(published: &'a Published, from: &[u8]) -> Result<(RwLockWriteGuard<'a, Tables>, Stored), Error> {
    let size = published.options.bounds.page;
    for _ in 0..TRIES {
        let before = published.read().published;
        let mut stored = published.disk.written(from, size)?;
        let tables = published.write();
        if tables.published == before {
            published.disk.take_back(from, &mut stored);
            return Ok((tables, stored));
        }
    }
    let tables = published.write();
    let stored = published.disk.page(from, size)?;
    Ok((tables, stored))
}
