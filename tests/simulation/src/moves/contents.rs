//! What one user has, as much of it as a move must carry: messages with UIDs, mod-sequences and a flag, what was expunged, and the
//! user's own log. A move sends the difference to a copy, and proves with a digest that the copy is equal.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Contents {
    /// By UID.
    pub mail: BTreeMap<u32, Message>,
    /// Expunged UIDs, and by which change.
    gone: BTreeMap<u32, u64>,
    last_uid: u32,
    modseq: u64,
    /// What the user log was told: subscriptions, seen states.
    log: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message {
    /// Which message it is, wherever it lies.
    pub id: u64,
    modseq: u64,
    flagged: bool,
}

/// What a client or an MTA changes.
#[derive(Debug, Clone)]
pub enum Change {
    /// Messages by their ids, all or none.
    Append(Vec<u64>),
    Flag(u32),
    Expunge(u32),
    /// The same by a MOVE, which hears whether it was there.
    Take(u32),
    /// Of the user log, not of the mailbox.
    Note(u64),
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    modseq: u64,
    log: usize,
}

/// What a copy lacks.
#[derive(Debug, Clone)]
pub struct Difference {
    mail: BTreeMap<u32, Message>,
    gone: BTreeMap<u32, u64>,
    last_uid: u32,
    modseq: u64,
    /// From this place on.
    log: (usize, Vec<u64>),
}

impl Change {
    pub fn is_of_log(&self) -> bool {
        matches!(self, Change::Note(_))
    }
}

impl Contents {
    /// The UIDs of what is new, or of what was taken.
    pub fn change(&mut self, change: &Change) -> Vec<u32> {
        match change {
            Change::Append(ids) => ids.iter().map(|id| self.append(*id)).collect(),
            Change::Flag(uid) => {
                if let Some(message) = self.mail.get_mut(uid) {
                    self.modseq += 1;
                    (message.modseq, message.flagged) = (self.modseq, !message.flagged);
                }
                Vec::new()
            }
            Change::Expunge(uid) | Change::Take(uid) => {
                let was_there = self.mail.remove(uid).is_some();
                if was_there {
                    self.modseq += 1;
                    self.gone.insert(*uid, self.modseq);
                }
                was_there.then_some(*uid).into_iter().collect()
            }
            Change::Note(number) => {
                self.log.push(*number);
                Vec::new()
            }
        }
    }

    fn append(&mut self, id: u64) -> u32 {
        (self.last_uid, self.modseq) = (self.last_uid + 1, self.modseq + 1);
        self.mail.insert(self.last_uid, Message { id, modseq: self.modseq, flagged: false });
        self.last_uid
    }

    pub fn extent(&self) -> Extent {
        Extent { modseq: self.modseq, log: self.log.len() }
    }

    /// What a copy of this extent lacks.
    pub fn since(&self, extent: Extent) -> Difference {
        let newer = |modseq: u64| modseq > extent.modseq;
        let mail = self.mail.iter().filter(|(_, message)| newer(message.modseq));
        let gone = self.gone.iter().filter(|(_, modseq)| newer(**modseq));
        Difference {
            mail: mail.map(|(uid, message)| (*uid, *message)).collect(),
            gone: gone.map(|(uid, modseq)| (*uid, *modseq)).collect(),
            last_uid: self.last_uid,
            modseq: self.modseq,
            log: (extent.log, self.log.iter().skip(extent.log).copied().collect()),
        }
    }

    /// Takes in what a copy lacked.
    pub fn take(&mut self, difference: &Difference) {
        for (uid, modseq) in &difference.gone {
            self.mail.remove(uid);
            self.gone.insert(*uid, *modseq);
        }
        self.mail.extend(&difference.mail);
        (self.last_uid, self.modseq) = (difference.last_uid, difference.modseq);
        let (at, notes) = &difference.log;
        self.log.truncate(*at);
        self.log.extend(notes);
    }

    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// How many messages there are, and how many notes.
    pub fn size(&self) -> (usize, usize) {
        (self.mail.len(), self.log.len())
    }
}

impl Difference {
    /// Loses one of its messages, as no part of a move may: whether there was one.
    pub fn tear(&mut self) -> bool {
        self.mail.pop_first().is_some()
    }

    pub fn changes(&self) -> usize {
        self.mail.len() + self.gone.len() + self.log.1.len()
    }
}
