//! What a list is read as: a page of entries, the names that changed, figures.

use std::collections::HashSet;

use protocol::{mupdate::position::Position, name::MailboxName};

use crate::entry::Entry;

/// Some entries in key order.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub entries: Vec<(MailboxName, Entry)>,
    /// Whether there may be entries after these.
    pub more: bool,
}

/// Names that changed, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    pub names: Vec<MailboxName>,
    /// With these, everything up to this number is known.
    pub upto: u64,
}

impl Changes {
    /// Of the keys, oldest change first. Keeps of each name its last mention.
    pub(crate) fn of<'a>(keys: impl DoubleEndedIterator<Item = &'a [u8]>, upto: u64) -> Changes {
        let mut seen = HashSet::new();
        let mut names: Vec<MailboxName> = keys
            .rev()
            .filter(|key| seen.insert(*key))
            .filter_map(|key| MailboxName::from_key(key).ok())
            .collect();
        names.reverse();
        Changes { names, upto }
    }
}

/// A list in figures.
#[derive(Debug, Clone)]
pub struct Summary {
    pub position: Position,
    pub complete: bool,
    pub loaded: bool,
    pub entries: usize,
    pub reserved: usize,
    /// Location text and entries there.
    pub locations: Vec<(String, u32)>,
    /// Bytes of all tables in memory.
    pub memory: usize,
    pub disk: u64,
}
