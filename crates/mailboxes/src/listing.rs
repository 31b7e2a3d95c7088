//! A full list as an upstream sent it, held compactly until it is whole, and what it changes here.
//!
//! Names are matched by key, never by the order in which they came: a peer may sort differently.

use std::collections::BTreeMap;

use protocol::name::MailboxName;

use crate::limits::LIST_PAGE;
use crate::{entry::Entry, error::Error, guard::Loss, publish::Published, table::Table};

#[derive(Debug, Default)]
pub struct Listing {
    table: Table,
}

/// What makes the list equal to a listing.
#[derive(Debug, Default)]
pub struct Difference {
    /// Entries that are new or differ.
    pub upserts: Vec<(MailboxName, Option<Entry>)>,
    /// Names that the listing does not have.
    pub removals: Vec<MailboxName>,
    /// Entries held before.
    pub held: usize,
    /// The removals by server.
    pub losses: Vec<Loss>,
}

impl Listing {
    pub fn put(&mut self, name: &MailboxName, entry: &Entry) {
        self.table.put(name, entry);
    }

    pub fn remove(&mut self, name: &MailboxName) {
        self.table.remove(name);
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Compares with a list: [`List::difference`](crate::List::difference) does it beside the reactor's threads.
    pub(crate) fn difference(&self, list: &Published) -> Result<Difference, Error> {
        let mut difference = Difference::default();
        let mut after: Option<MailboxName> = None;
        let mut same = 0usize;
        let mut removed: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let page = list.scan(after.as_ref(), LIST_PAGE)?;
            difference.held += page.entries.len();
            after = page.entries.last().map(|(name, _)| name.clone()).or(after);
            for (name, entry) in page.entries {
                match self.table.get(&name) {
                    Some(wanted) if wanted.same_on_wire(&entry) => same += 1,
                    Some(wanted) => difference.upserts.push((name, Some(wanted))),
                    None => {
                        match removed.get_mut(entry.server()) {
                            Some(removed) => *removed += 1,
                            None => drop(removed.insert(entry.server().to_owned(), 1)),
                        }
                        difference.removals.push(name);
                    }
                }
            }
            if !page.more {
                break;
            }
        }
        if same + difference.upserts.len() < self.table.len() {
            let mut failed = None;
            self.table.scan(&[], |_, name, entry| {
                match list.get(&name) {
                    Ok(None) => difference.upserts.push((name, Some(entry))),
                    Ok(Some(_)) => {}
                    Err(error) => failed = Some(error),
                }
                failed.is_none()
            });
            if let Some(error) = failed {
                return Err(error);
            }
        }
        difference.losses = losses(list, removed)?;
        Ok(difference)
    }
}

/// Counts what the servers that lose something have: seldom any does.
fn losses(list: &Published, removed: BTreeMap<String, usize>) -> Result<Vec<Loss>, Error> {
    let mut losses: BTreeMap<String, Loss> = BTreeMap::new();
    for (server, removed) in removed {
        losses.insert(server.clone(), Loss { server, held: 0, removed });
    }
    let mut after: Option<MailboxName> = None;
    while !losses.is_empty() {
        let page = list.scan(after.as_ref(), LIST_PAGE)?;
        for (_, entry) in &page.entries {
            if let Some(loss) = losses.get_mut(entry.server()) {
                loss.held += 1;
            }
        }
        after = page.entries.last().map(|(name, _)| name.clone()).or(after);
        if !page.more {
            break;
        }
    }
    Ok(losses.into_values().collect())
}
