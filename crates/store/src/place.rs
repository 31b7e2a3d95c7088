//! Which partition a new mailbox goes to that neither its creator, its parent nor `defaultpartition` places: a choice by
//! `partition_select_…`.

use std::sync::Mutex;
use std::time::Instant;

use config::imapd::{Imapd, Partition};
use placement::{Candidate, Chooser, Rules, Space, dice};

use super::{disk, lock};

/// The partitions that are chosen among: all but those of `partition_select_exclude`.
pub struct Partitions {
    open: Vec<Partition>,
    chooser: Mutex<Chooser>,
}

impl Partitions {
    pub fn new(imapd: &Imapd) -> Partitions {
        // Cyrus takes commas between the names too.
        let names = || imapd.partition_select_exclude.iter().flat_map(|word| word.split(','));
        let excluded = |name: &str| names().any(|other| other.eq_ignore_ascii_case(name));
        Partitions {
            open: imapd.partitions().iter().filter(|p| !excluded(&p.name)).cloned().collect(),
            chooser: Mutex::new(Chooser::new(Rules::of_partitions(imapd))),
        }
    }

    /// The partition for a new mailbox, if any can take it. Blocks briefly.
    pub fn choose(&self) -> Option<String> {
        let mut chooser = lock(&self.chooser);
        let now = Instant::now();
        if chooser.is_due(now) {
            let figures = chooser.rules().needs_figures();
            let read = |p: &Partition| {
                let space = if figures { space(p) } else { Space::default() };
                Candidate { name: p.name.clone(), space }
            };
            let candidates = self.open.iter().map(read).collect();
            chooser.read(candidates, now);
        }
        chooser.choose(dice(), |_| true)
    }

    /// The room of each file system that new mailboxes can be placed on, as frontends are told. Blocks briefly.
    pub fn room(&self) -> Vec<Space> {
        let mut room: Vec<Space> = Vec::new();
        for space in self.open.iter().map(space).filter(|space| space.total > 0) {
            if room.iter().all(|other| other.id != space.id) {
                room.push(space);
            }
        }
        room
    }
}

/// Nothing, where the file system does not say.
fn space(partition: &Partition) -> Space {
    match disk::space(&partition.path) {
        Ok((available, total, id)) => Space { id, available, total },
        Err(error) => {
            tracing::warn!(%error, partition = partition.name, "its free space is not known");
            Space::default()
        }
    }
}
