//! What two copies of a mailbox are compared by: a sum over its messages, which a change moves by what it changes, and a hash over
//! that sum and the mailbox as a whole.
//!
//! Each message counts with all that IMAP shows of it, as SHA-256; the hashes are added modulo 2^256. Where structures lie in a
//! cache, which bit a keyword has and how long it is remembered what is gone differs between copies, and is not in it.

use std::fmt;

use protocol::flag::Flag;
use sha2::{Digest as _, Sha256};

use crate::{header::Header, record::Record, tombstones::Run, view::View};

/// Of a mailbox at one moment: the same if and only if the copies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// The numbers of a mailbox as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    pub last_uid: u32,
    pub highestmodseq: u64,
    /// Expunges up to it are not remembered.
    pub deletedmodseq: u64,
    pub recentuid: u32,
    /// When the last message came, epoch seconds.
    pub last_append: i64,
    /// When POP3 last opened it, epoch seconds.
    pub pop3_last_login: i64,
}

/// The sum over the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum([u64; 4]);

impl Digest {
    /// As it is printed: 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Digest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
        }
        Some(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Sum {
    /// Of all messages of a mailbox at one moment.
    pub fn of(view: &View) -> Sum {
        let mut sum = Sum::default();
        view.records.iter().for_each(|record| sum.add(message(view, record, false)));
        view.expunged.iter().for_each(|record| sum.add(message(view, record, true)));
        sum
    }

    /// Of a later moment, where this is the sum of an earlier one.
    pub fn after(mut self, then: &View, now: &View) -> Sum {
        let kinds = [(&now.records, &then.records, false), (&now.expunged, &then.expunged, true)];
        for (now_there, then_there, expunged) in kinds {
            let (changed, gone) = now_there.difference(then_there);
            for (record, before) in changed {
                if let Some(before) = before {
                    self.subtract(message(then, before, expunged));
                }
                self.add(message(now, record, expunged));
            }
            for record in gone.into_iter().filter_map(|uid| then_there.get(uid)) {
                self.subtract(message(then, record, expunged));
            }
        }
        self
    }

    /// With the mailbox as a whole.
    pub fn digest(self, of: &Header, view: &View, numbers: Numbers) -> Digest {
        let mut hash = Hasher::new("murder mailbox 1");
        self.0.iter().for_each(|word| hash.number(*word));
        header(&mut hash, of);
        for number in [u64::from(numbers.last_uid), numbers.highestmodseq, numbers.deletedmodseq] {
            hash.number(number);
        }
        hash.number(u64::from(numbers.recentuid));
        hash.time(numbers.last_append);
        hash.time(numbers.pop3_last_login);
        let mut settings: Vec<_> = view.metadata.in_runs().into_iter().flatten().collect();
        settings.sort_by(|a, b| (&a.entry, &a.user).cmp(&(&b.entry, &b.user)));
        hash.number(settings.len() as u64);
        for setting in settings {
            hash.text(&setting.entry);
            hash.text(&setting.user);
            hash.optional(setting.value.as_deref());
        }
        for run in gone(view) {
            hash.number(u64::from(run.first));
            hash.number(u64::from(run.last));
            hash.number(run.modseq);
        }
        Digest(hash.finish())
    }

    fn add(&mut self, other: [u64; 4]) {
        let mut carry = false;
        for (word, other) in self.0.iter_mut().zip(other) {
            let (sum, first) = word.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, first || second);
        }
    }

    fn subtract(&mut self, other: [u64; 4]) {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(other) {
            let (rest, first) = word.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (rest, first || second);
        }
    }
}

/// One message.
fn message(view: &View, record: &Record, expunged: bool) -> [u64; 4] {
    let mut hash = Hasher::new(if expunged { "x" } else { "m" });
    hash.number(u64::from(record.uid));
    hash.number(record.modseq);
    hash.number(record.createdmodseq);
    for time in [record.internaldate, record.savedate, record.last_updated] {
        hash.time(time);
    }
    hash.number(record.size);
    hash.bytes(&record.guid);
    hash.number(u64::from(record.flags.0));
    let mut words: Vec<String> = Vec::new();
    words.extend(view.flags_of(record).filter_map(|flag| match flag {
        Flag::Keyword(word) => Some(word),
        _ => None,
    }));
    words.sort_unstable();
    hash.number(words.len() as u64);
    words.iter().for_each(|word| hash.text(word));
    let mut notes: Vec<_> = record.annotations.iter().flat_map(|all| all.iter()).collect();
    notes.sort_by(|a, b| (&a.entry, &a.user).cmp(&(&b.entry, &b.user)));
    for note in notes {
        hash.text(&note.entry);
        hash.text(&note.user);
        hash.bytes(&note.value);
    }
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(hash.finish().chunks_exact(8)) {
        *word = bytes.try_into().map_or(0, u64::from_le_bytes);
    }
    words
}

/// What does not depend on the server that the copy is on.
fn header(hash: &mut Hasher, header: &Header) {
    for text in [&header.name, &header.uniqueid, &header.acl, &header.mbtype] {
        hash.text(text);
    }
    hash.number(u64::from(header.uidvalidity));
    for number in [header.options, header.createdmodseq, header.foldermodseq, header.mtime] {
        hash.number(number);
    }
    let limits = header.limits.map(|l| [l.storage, l.message, l.mailbox, l.annotation_storage]);
    for limit in limits.into_iter().flatten() {
        hash.number(limit.map_or(u64::MAX, |limit| limit));
    }
    hash.number(header.name_history.len() as u64);
    for former in &header.name_history {
        for text in [&former.name, &former.mbtype, &former.partition] {
            hash.text(text);
        }
        hash.number(u64::from(former.uidvalidity));
        for number in [former.mtime, former.createdmodseq, former.foldermodseq] {
            hash.number(number);
        }
    }
    for (entry, values) in &header.annotations {
        for (user, value) in values {
            hash.text(entry);
            hash.text(user);
            hash.text(value);
        }
    }
}

/// UIDs that are gone, however their runs came about.
fn gone(view: &View) -> Vec<Run> {
    let mut runs: Vec<Run> = view.tombstones.iter().copied().collect();
    runs.sort_by_key(|run| (run.modseq, run.first));
    runs.dedup_by(|next, before| {
        let joins = next.modseq == before.modseq && next.first <= before.last.saturating_add(1);
        if joins {
            before.last = before.last.max(next.last);
        }
        joins
    });
    runs
}

/// Each thing with its length, so that no two lists of things are the same bytes.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub fn new(kind: &str) -> Hasher {
        let mut hash = Hasher(Sha256::new());
        hash.text(kind);
        hash
    }

    pub fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    pub fn time(&mut self, time: i64) {
        self.0.update(time.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn optional(&mut self, bytes: Option<&[u8]>) {
        self.number(u64::from(bytes.is_some()));
        self.bytes(bytes.unwrap_or_default());
    }

    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
