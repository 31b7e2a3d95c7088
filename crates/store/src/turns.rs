//! Taking turns: operations on the same thing come one after the other, each for a bounded time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{error::StoreError, lock};
use crate::limits::{TURN, TURNS, rows};

/// Who works on what.
#[derive(Default, Clone)]
pub struct Turns {
    waiting: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

/// The right to work on something; given back when dropped.
pub struct Turn {
    turns: Turns,
    what: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for a turn, at most [`TURN`].
    pub async fn take(&self, what: &str) -> Result<Turn, StoreError> {
        let semaphore = lock(&self.waiting)
            .entry(what.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(TURNS)))
            .clone();
        let mut turn = Turn { turns: self.clone(), what: what.to_owned(), permit: None };
        let permit = tokio::time::timeout(TURN, semaphore.acquire_owned()).await;
        let permit = permit.map_err(|_| {
            rows::TURN.met(format_args!("{what}: another change takes long: one more is refused for now"));
            StoreError::Busy
        })?;
        turn.permit = Some(permit.map_err(|_| StoreError::Closed)?);
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut waiting = lock(&self.turns.waiting);
        // Only the map holds it: nobody works, nobody waits.
        if waiting.get(&self.what).is_some_and(|s| Arc::strong_count(s) == 1) {
            waiting.remove(&self.what);
        }
    }
}
