//! The real directory: this daemon's replica of the list of mailboxes.

use mailboxes::{Entry, List};
use mupdate::replica::{self, Replica};
use protocol::name::MailboxName;

use crate::directory::{Directory, Found};

impl Directory for Replica {
    async fn find(&self, name: &MailboxName) -> Found {
        match Replica::find(self, name).await {
            replica::Found::Entry(entry) => Found::Mailbox(entry),
            replica::Found::Missing => Found::Missing,
            replica::Found::Unknown(stale) => {
                tracing::warn!(mailbox = %name, "{stale}");
                Found::Unknown
            }
        }
    }

    async fn find_alike(&self, name: &MailboxName) -> Option<(MailboxName, Entry)> {
        let (list, name) = (self.list().clone(), name.clone());
        tokio::task::spawn_blocking(move || closest(&list, &name)).await.ok().flatten()
    }
}

/// The shared mailbox that is `name`, or an ancestor of it, but for case and for `-`, `_`, blank: the deepest one.
/// Walks the list, within a bound: names are compared as no index has them.
fn closest(list: &List, name: &MailboxName) -> Option<(MailboxName, Entry)> {
    let wanted: Vec<String> =
        std::iter::successors(Some(name.clone()), |name: &MailboxName| name.parent()).map(plain).collect();
    let (mut best, mut after) = (None, None);
    for _ in 0..PAGES {
        let page = list.scan(after.as_ref(), PAGE).ok()?;
        after = page.entries.last().map(|(last, _)| last.clone());
        for (candidate, entry) in page.entries {
            if !entry.is_active() || candidate.owner().is_some() {
                continue;
            }
            let rank = wanted.iter().position(|wanted| *wanted == plain(candidate.clone()));
            if let Some(rank) = rank
                && best.as_ref().is_none_or(|(known, _)| rank < *known)
            {
                best = Some((rank, (candidate, entry)));
            }
        }
        if !page.more {
            return best.map(|(_, found)| found);
        }
    }
    tracing::warn!("lmtp_fuzzy_mailbox_match: more mailboxes than are compared");
    best.map(|(_, found)| found)
}

fn plain(name: MailboxName) -> String {
    name.as_str().to_lowercase().replace(['-', '_'], " ")
}

/// Names that one fuzzy look-up compares, by pages.
const PAGE: usize = 1000;
const PAGES: usize = 1000;
