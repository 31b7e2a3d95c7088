//! Kept copies: what was given away and lies here still.

use serde::{Deserialize, Serialize};

use crate::Store;

/// A copy of a mailbox that was given away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Internal name that it had here.
    pub name: String,
    pub uniqueid: String,
    pub partition: String,
    /// The server that has it.
    pub to: String,
    /// The move's id.
    pub id: String,
    /// Epoch seconds.
    pub at: u64,
}

impl Store {
    /// All kept copies, in the order of their names.
    pub fn kept(&self) -> Vec<Kept> {
        Vec::new()
    }
}
