//! Look-ups by Message-ID, and what has to be known first.

use std::{collections::HashMap, sync::Arc};

use mailboxes::LIST_PAGE;
use mime::Cached;
use protocol::name::MailboxName;
use tracing::{info, warn};

use super::{Articles, rows::At};
use crate::{
    Store, blocking, duplicate,
    error::StoreError,
    limits::{ARTICLES, SWEPT, TURN},
    lock,
    mailbox::Mailbox,
    message::{Depth, Extent, Wanted},
    record::Record,
    view::View,
};

/// An article in one of its groups.
#[derive(Clone)]
pub struct Found {
    pub name: MailboxName,
    pub mailbox: Arc<Mailbox>,
    pub uid: u32,
}

impl Store {
    /// From now on knows the articles of those mailboxes that are groups. What they have already is read in the background;
    /// look-ups wait for it. Only the first call counts.
    pub async fn serve_articles(
        &self,
        is_group: impl Fn(&MailboxName) -> bool + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let articles = &self.inner.shared.articles;
        if articles.serves.set(Box::new(is_group)).is_err() {
            return Ok(());
        }
        lock(&articles.behind).seq = self.inner.list.position().seq;
        let store = self.clone();
        blocking(move || store.all_are_behind()).await?;
        let store = self.clone();
        tokio::spawn(async move {
            match store.catch_up().await {
                Ok(()) => info!("news: all articles are known by their Message-ID"),
                Err(error) => warn!(%error, "news: look-ups by Message-ID take longer at first"),
            }
        });
        Ok(())
    }

    /// Where the article of a Message-ID is, with or without its brackets: in groups of this server, whoever may read them.
    ///
    /// # Errors
    /// [`StoreError::Busy`]: not all articles are known yet.
    pub async fn find_article(&self, id: &str) -> Result<Vec<Found>, StoreError> {
        self.catch_up().await?;
        let (bare, articles) = (bare(id).into_bytes(), self.inner.shared.articles.clone());
        let mut found = Vec::new();
        for (name, at) in articles.rows.find(&bare)? {
            let mailbox = match self.mailbox(&name).await {
                Ok(mailbox) if articles.is_group(&name) => mailbox,
                Ok(_) | Err(StoreError::NoMailbox | StoreError::Moved(_) | StoreError::Elsewhere(_)) => {
                    articles.rows.forget(&bare, &name, at)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match is_there(&mailbox.view(), at) {
                true => found.push(Found { name, mailbox, uid: at.uid }),
                false => articles.rows.forget(&bare, &name, at)?,
            }
        }
        Ok(found)
    }

    /// Returns when all articles are known that had come before.
    pub async fn know_articles(&self) -> Result<(), StoreError> {
        self.catch_up().await
    }

    /// Where an article was when it was last heard of, for whoever shows it: mailboxes and UIDs, none of them looked at. Reads
    /// the database; call [`Store::know_articles`] first.
    pub fn crossposts(&self, id: &str) -> Vec<(MailboxName, u32)> {
        let found = self.inner.shared.articles.rows.find(bare(id).as_bytes()).unwrap_or_default();
        found.into_iter().map(|(name, at)| (name, at.uid)).collect()
    }

    /// Whether an article that somebody offers is wanted: not if it is in a group, or was within the last days. One that a
    /// crash kept from some of its groups is.
    pub async fn wants_article(&self, id: &str) -> Result<bool, StoreError> {
        let (bare, now) = (bare(id), self.now());
        if self.inner.duplicates.has(&duplicate::key(&bare, COMPLETE, ""), now)? {
            return Ok(false);
        }
        if self.inner.duplicates.has(&duplicate::key(&bare, BEGUN, ""), now)? {
            return Ok(true);
        }
        Ok(self.find_article(id).await?.is_empty())
    }

    /// Forgets articles that are gone: for `cyr_expire`. How many.
    pub(crate) async fn sweep_articles(&self) -> Result<usize, StoreError> {
        let articles = self.inner.shared.articles.clone();
        let (mut after, mut gone) = (Vec::new(), 0);
        let mut views: HashMap<MailboxName, Option<Arc<View>>> = HashMap::new();
        loop {
            let page = articles.rows.page(&after, SWEPT)?;
            for (key, name, at) in &page {
                if !views.contains_key(name) {
                    let view = match self.mailbox(name).await {
                        Ok(mailbox) => Some(mailbox.view()),
                        Err(StoreError::NoMailbox | StoreError::Moved(_) | StoreError::Elsewhere(_)) => None,
                        // It may be there again.
                        Err(_) => continue,
                    };
                    views.insert(name.clone(), view);
                }
                if views.get(name).is_some_and(|view| view.as_ref().is_none_or(|view| !is_there(view, *at))) {
                    articles.rows.forget_row(key, *at)?;
                    gone += 1;
                }
            }
            let Some((last, ..)) = page.last() else { return Ok(gone) };
            after.clone_from(last);
        }
    }

    /// All groups of the list.
    fn all_are_behind(&self) -> Result<(), StoreError> {
        let mut after: Option<MailboxName> = None;
        loop {
            let page = self.inner.list.scan(after.as_ref(), LIST_PAGE)?;
            for (name, entry) in &page.entries {
                if entry.local.is_some() {
                    self.inner.shared.articles.add(name.clone());
                }
            }
            after = page.entries.last().map(|(name, _)| name.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Has the rows know all that has come.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let articles = self.inner.shared.articles.clone();
        let turn = tokio::time::timeout(TURN, articles.turn.lock());
        let _turn = turn.await.map_err(|_| StoreError::Busy)?;
        self.note_new_names().await?;
        while let Some((name, number)) = articles.next() {
            match self.index_articles(&name).await {
                Ok(()) => articles.done(&name, number),
                Err(error @ (StoreError::Closed | StoreError::List(_))) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, mailbox = %name, "news: a group's articles are not known");
                    articles.done(&name, number);
                }
            }
        }
        Ok(())
    }

    /// Mailboxes that came by another way than a message: renamed, or moved from another server.
    async fn note_new_names(&self) -> Result<(), StoreError> {
        let articles = &self.inner.shared.articles;
        let now = self.inner.list.position().seq;
        loop {
            let seq = lock(&articles.behind).seq;
            if seq >= now {
                return Ok(());
            }
            match self.inner.list.changes_after(seq, LIST_PAGE).await {
                Ok(changes) => {
                    lock(&articles.behind).seq = changes.upto.max(seq + 1);
                    changes.names.into_iter().for_each(|name| articles.add(name));
                }
                Err(_) => {
                    lock(&articles.behind).seq = now;
                    let store = self.clone();
                    blocking(move || store.all_are_behind()).await?;
                }
            }
        }
    }

    /// Reads what a group has that the rows do not know.
    async fn index_articles(&self, name: &MailboxName) -> Result<(), StoreError> {
        let mailbox = self.mailbox(name).await?;
        let (articles, name) = (self.inner.shared.articles.clone(), name.clone());
        blocking(move || articles.index(&name, &mailbox)).await
    }
}

impl Articles {
    fn index(&self, name: &MailboxName, mailbox: &Mailbox) -> Result<(), StoreError> {
        let view = mailbox.view();
        let known = self.rows.known(name)?.filter(|known| known.uidvalidity == view.uidvalidity);
        let known = known.map_or(0, |known| known.uid);
        let first = view.records().lower_bound(known.saturating_add(1));
        let mut records: Vec<Record> = Vec::new();
        let count = view.records().len();
        for at in first..count {
            records.extend(view.records().at(at).cloned());
            if records.len() == ARTICLES || at + 1 == count {
                self.take(name, mailbox, view.uidvalidity, &records)?;
                records.clear();
            }
        }
        Ok(())
    }

    fn take(
        &self,
        name: &MailboxName,
        mailbox: &Mailbox,
        uidvalidity: u32,
        mut left: &[Record],
    ) -> Result<(), StoreError> {
        let wanted = Wanted { structure: Depth::Shown, bytes: Extent::Nothing };
        while !left.is_empty() {
            let run = mailbox.read_run(left, wanted);
            let (these, rest) = left.split_at(run.len().clamp(1, left.len()));
            let mut ids = Vec::new();
            for (record, read) in these.iter().zip(&run) {
                if let Ok(read) = read
                    && let Some(id) = read.cached.as_ref().and_then(message_id)
                {
                    ids.push((id, record.uid));
                }
            }
            let uid = these.last().map_or(0, |record| record.uid);
            self.rows.note(
                name,
                ids.iter().map(|(id, uid)| (id.as_slice(), *uid)),
                At { uidvalidity, uid },
            )?;
            left = rest;
        }
        Ok(())
    }
}

/// The Message-ID of a message, without its brackets.
fn message_id(cached: &Cached) -> Option<Vec<u8>> {
    match cached.thread_keys() {
        Some(keys) => keys.message_id.map(<[u8]>::to_vec),
        None => mime::message_ids(cached.structure().ok()?.envelope.message_id.as_deref()?).next(),
    }
}

fn is_there(view: &View, at: At) -> bool {
    view.uidvalidity == at.uidvalidity && view.get(at.uid).is_some()
}

/// A message-id without its brackets, as the cache has it.
pub(super) fn bare(id: &str) -> String {
    let normal = mime::message_ids(id.as_bytes()).next().map(|id| String::from_utf8_lossy(&id).into_owned());
    normal.unwrap_or_else(|| id.trim_matches(['<', '>']).to_owned())
}

/// What stands for a mailbox in the note that an article is in all of its groups, or that it is on the way into several.
pub(super) const COMPLETE: &str = "news: complete";
pub(super) const BEGUN: &str = "news: begun";
