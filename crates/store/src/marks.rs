//! What is remembered of a user for a while: whom an answer went to, which message a script has seen.
//!
//! A mark is a hash of what it is about, and the time at which it ends; an ended one is as good as none, and `cyr_expire -E` takes
//! it away. It is on disk when [`Store::mark`] returns. A mark that is lost costs one more answer, nothing else.

pub(crate) mod tree;

use self::tree::{failed, key};
use super::{Store, blocking, error::StoreError};

impl Store {
    /// Whether a user has the mark of this, and it has not ended. `about`: its parts, in an order that is the caller's.
    pub fn is_marked(&self, user: &str, about: &[&[u8]]) -> Result<bool, StoreError> {
        let ends = self.inner.marks.ends(&key(user, about))?;
        Ok(ends.is_some_and(|ends| ends > self.now()))
    }

    /// Marks this for so many seconds from now. A mark that is there ends at the new time. On disk when it returns.
    pub async fn mark(&self, user: &str, about: &[&[u8]], seconds: u64) -> Result<(), StoreError> {
        let ends = self.now().saturating_add(seconds);
        let (marks, db, key) = (self.inner.marks.clone(), self.inner.db.clone(), key(user, about));
        blocking(move || {
            marks.tree.insert(key, &ends.to_be_bytes()).map_err(failed)?;
            db.flush()
        })
        .await
    }

    /// Forgets the marks of a user who is gone, or is new here.
    pub(crate) fn forget_marks(&self, user: &str) -> Result<(), StoreError> {
        self.inner.marks.forget(user)
    }
}
