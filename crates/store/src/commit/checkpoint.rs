//! Freeing a full segment: everything it holds is synced in its own place, by a thread beside the commit thread.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use super::{Surroundings, segment::Segment};
use crate::error::StoreError;

/// A checkpoint under way.
pub struct Checkpoint {
    result: mpsc::Receiver<Result<Segment, StoreError>>,
}

impl Checkpoint {
    /// Syncs everything, frees the segment, and removes the staged files that its entries named.
    pub fn start(
        mut segment: Segment,
        staged: Vec<PathBuf>,
        surroundings: &Arc<Surroundings>,
    ) -> Result<Checkpoint, StoreError> {
        let (tell, result) = mpsc::channel();
        let surroundings = surroundings.clone();
        let work = move || {
            let freed = (surroundings.sync_all)().and_then(|()| segment.release()).map(|()| segment);
            if freed.is_ok() {
                remove(&staged);
            }
            // Nobody waits for it any more when the store closes.
            let _ = tell.send(freed);
        };
        thread::Builder::new()
            .name("checkpoint".into())
            .spawn(work)
            .map_err(|error| StoreError::Io { doing: "start a thread".into(), error: Arc::new(error) })?;
        Ok(Checkpoint { result })
    }

    /// Waits for the freed segment.
    pub fn finish(self) -> Result<Segment, StoreError> {
        self.result.recv().unwrap_or(Err(StoreError::Closed))
    }
}

pub fn remove(staged: &[PathBuf]) {
    for path in staged {
        // What stays is removed at the next start.
        let _ = std::fs::remove_file(path);
    }
}
