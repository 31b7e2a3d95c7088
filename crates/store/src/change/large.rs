//! Changes that are more than a moment's work: of many messages, and of the whole index. They are made on a blocking thread, while
//! other changes of the mailbox wait and nothing else does; the commit thread gets a few bytes of them ([`Ahead`]).

use std::{os::unix::fs::FileExt, sync::Arc};

use super::{
    Base, Change,
    making::{Held, Size},
};
use crate::{
    blocking,
    commit::Ahead,
    error::StoreError,
    index,
    limits::{KEYWORDS, MANY},
    lock,
    mailbox::Mailbox,
};

impl Mailbox {
    /// As [`Mailbox::change`], of `messages` messages.
    pub(crate) async fn change_of<R: Send + 'static>(
        self: &Arc<Self>,
        messages: usize,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        if self.weight(messages) <= MANY {
            return self.change(build).await;
        }
        let turn = self.turn().await?;
        self.shared.commit.settle().await;
        let permit = self.shared.commit.permit().await?;
        let mailbox = self.clone();
        let begun = blocking(move || {
            let _turn = turn;
            mailbox.begin(build, permit, Size::Large)
        });
        let (result, held) = begun.await?;
        self.hold(held).await?;
        Ok(result)
    }

    /// Messages that a change of so many looks at: all of them where a new keyword must find out which of the others are used.
    fn weight(&self, messages: usize) -> usize {
        let view = self.view();
        if view.keywords().len() < KEYWORDS { messages } else { messages.max(view.exists()) }
    }

    /// Changes two mailboxes in one commit: after a crash both changes are there, or none. `ours` is the change of this mailbox,
    /// `theirs` that of the other, which is another one.
    pub(crate) async fn change_both<R: Send + 'static>(
        self: &Arc<Self>,
        other: &Arc<Self>,
        messages: usize,
        build: impl FnOnce(&mut Change, &mut Change) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        // Always in the same order, so that two who go opposite ways do not wait for each other.
        let (first, second) = if self.id < other.id { (self, other) } else { (other, self) };
        let turns = Mailbox::turns(first, second).await?;
        let (result, [held, others]) = if self.weight(messages).max(other.weight(messages)) <= MANY {
            let permit = self.shared.commit.permit().await?;
            let _turns = turns;
            self.begin_both(other, build, permit, Size::Small)?
        } else {
            self.shared.commit.settle().await;
            let permit = self.shared.commit.permit().await?;
            let (ours, theirs) = (self.clone(), other.clone());
            let begin = move || -> Result<(R, [Held; 2]), StoreError> {
                let _turns = turns;
                ours.begin_both(&theirs, build, permit, Size::Large)
            };
            blocking(begin).await?
        };
        self.hold(held).await?;
        other.hold(others).await?;
        Ok(result)
    }

    /// Writes a change to its place, unsealed. Its index has the newest format.
    pub(super) fn write_ahead(
        &self,
        change: &Change,
        base: &Base,
        frame: &[u8],
    ) -> Result<Ahead, StoreError> {
        let home = self.home();
        if let Err(error) = home.cache.write_all_at(&change.cache, base.cache_end) {
            tracing::warn!(%error, mailbox = self.id, "structures are not cached");
        }
        Ahead::write(&home.log, (base.end, frame), &change.places, &self.shared.commit.faults)
    }

    /// Writes the index anew, if it is bloated.
    pub(super) async fn compact(self: &Arc<Self>) -> Result<(), StoreError> {
        let turn = self.turn.clone().lock_owned().await;
        self.shared.commit.settle().await;
        self.shared.commit.check()?;
        let mailbox = self.clone();
        blocking(move || {
            let _turn = turn;
            if lock(&mailbox.working).is_bloated() { mailbox.rewrite() } else { Ok(()) }
        })
        .await
    }

    /// Writes the index anew, as it is now, in the newest format: on disk when this returns. The caller has the turn, and nothing of the
    /// mailbox is on its way to the commit thread. Blocks.
    pub(super) fn rewrite(&self) -> Result<(), StoreError> {
        let base = self.base()?;
        let generation = base.generation + 1;
        let bytes = index::snapshot(&base.tip, generation);
        self.home().log.replace(&bytes, &self.shared.commit)?;
        let mut working = lock(&self.working);
        (working.end, working.generation, working.version) = (bytes.len() as u64, generation, index::FORMAT);
        working.saved = (working.end, working.generation, working.version);
        Ok(())
    }
}
