//! A list in memory, which can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Row, Store, StoreError, Write};

/// Rows in memory. [`Memory::fail_syncs`] injects the failing disk of a simulation.
#[derive(Debug, Default)]
pub struct Memory {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    failing: AtomicBool,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every sync fails, or none.
    pub fn fail_syncs(&self, fail: bool) {
        self.failing.store(fail, Ordering::Relaxed);
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let rows = self.rows();
        let range = rows.range(from.to_vec()..to.to_vec());
        Ok(range.take(limit).map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for (key, value) in batch {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        match self.failing.load(Ordering::Relaxed) {
            true => Err(StoreError::Io { doing: "sync", why: "injected failure".into() }),
            false => Ok(()),
        }
    }

    // Memory is not cut.
    fn note(&self, _: Option<&[u8]>) -> Result<(), StoreError> {
        Ok(())
    }

    fn noted(&self) -> Option<Vec<u8>> {
        None
    }

    fn size(&self) -> u64 {
        self.rows().iter().map(|(k, v)| (k.len() + v.len()) as u64).sum()
    }
}
