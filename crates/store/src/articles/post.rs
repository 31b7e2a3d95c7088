//! An article into all of its groups.

use std::sync::Arc;

use protocol::name::MailboxName;
use tokio::task::JoinSet;

use super::find::{BEGUN, COMPLETE, bare};
use crate::{
    Store,
    commit::Note,
    duplicate,
    error::StoreError,
    mailbox::{Mailbox, NewMessage},
    stage::Staged,
};

/// An article, and the groups that take it.
#[derive(Clone)]
pub struct Posting {
    pub mailboxes: Vec<MailboxName>,
    pub staged: Arc<Staged>,
    pub message_id: String,
}

/// Where it is now that it was not before; nowhere: it was in all of its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posted {
    pub stored: Vec<MailboxName>,
}

impl Store {
    /// Puts an article into each of its groups that does not have it. On return it is on disk in all of them. After an error or a
    /// crash it may be in some: the same article again goes into the others alone, however it comes. Runs to its end though
    /// whoever asked goes away.
    ///
    /// The first changes of several bear a note that the article has begun to come, and the last one that it is complete: so an
    /// offer of it is taken again in between ([`Store::wants_article`]).
    pub async fn post_article(&self, posting: Posting) -> Result<Posted, StoreError> {
        let store = self.clone();
        self.to_the_end(async move { store.post(posting).await }).await
    }

    async fn post(&self, posting: Posting) -> Result<Posted, StoreError> {
        let id = bare(&posting.message_id);
        // The same article from two sides: the second finds what the first has done.
        let _turn = self.inner.turns.take(&format!("article {id}")).await?;
        let (there, now) = (self.find_article(&id).await?, self.now());
        let note = |about: &str| Note { key: duplicate::key(&id, about, ""), time: now };
        let mut todo: Vec<(Arc<Mailbox>, MailboxName)> = Vec::new();
        for name in posting.mailboxes {
            let mailbox = self.mailbox(&name).await?;
            let has = there.iter().any(|found| found.name == name)
                || self.inner.duplicates.has(&note(&mailbox.id).key, now)?;
            if !has && todo.iter().all(|(_, other)| *other != name) {
                todo.push((mailbox, name));
            }
        }
        let Some(((last, _), others)) = todo.split_last() else { return Ok(Posted::default()) };
        let message = NewMessage {
            staged: posting.staged,
            flags: Vec::new(),
            internaldate: None,
            annotations: Vec::new(),
        };
        let mut under_way = JoinSet::new();
        for (mailbox, _) in others {
            let notes = vec![note(&mailbox.id), note(BEGUN)];
            let (mailbox, message) = (mailbox.clone(), message.clone());
            under_way.spawn(async move { mailbox.append_noted(vec![message], notes, false).await });
        }
        let mut failed = None;
        while let Some(done) = under_way.join_next().await {
            if let Err(error) = done.unwrap_or(Err(StoreError::Closed)) {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        last.append_noted(vec![message], vec![note(&last.id), note(COMPLETE)], false).await?;
        Ok(Posted { stored: todo.into_iter().map(|(_, name)| name).collect() })
    }
}
