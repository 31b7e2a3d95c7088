//! A mailbox at one moment: an immutable snapshot that sessions hold and compare.

use std::sync::Arc;

use protocol::flag::Flag;

use super::{
    annotations::{Metadata, Setting},
    op::Op,
    private::Private,
    record::{Record, System},
    records::Records,
    tombstones::{Run, Tombstones},
};

/// A snapshot. Message n (from 1) is `records().at(n - 1)`.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub uidvalidity: u32,
    /// The highest UID ever given; UIDNEXT is one more.
    pub last_uid: u32,
    pub highestmodseq: u64,
    /// Expunges up to this one are no longer remembered, not even as tombstones.
    pub deletedmodseq: u64,
    /// Messages above it are \Recent to the next session of the owner.
    pub recentuid: u32,
    /// When the last message came, epoch seconds.
    pub last_append: i64,
    /// When POP3 last opened it, epoch seconds.
    pub pop3_last_login: i64,
    /// The mailbox is deleted: sessions must leave.
    pub gone: bool,
    pub(crate) records: Records,
    /// Expunged messages that are still remembered.
    pub(crate) expunged: Records,
    /// UIDs that are gone: those of `expunged`, and those of which nothing else is left.
    pub(crate) tombstones: Tombstones,
    pub(crate) keywords: Arc<Vec<Arc<str>>>,
    /// Bytes of all messages, and of annotations.
    pub(crate) bytes: u64,
    pub(crate) annotation_bytes: u64,
    /// Bytes of the annotations of messages with their names: what they take in memory.
    pub(crate) note_bytes: u64,
    /// The private ones among them, by user.
    pub(crate) private: Private,
    pub(crate) unseen: usize,
    /// Messages that are \Deleted, and their bytes.
    pub(crate) deleted: usize,
    pub(crate) deleted_bytes: u64,
    /// Counts changes of `keywords`, from when the mailbox was opened.
    pub(crate) keyword_changes: u32,
    /// Annotations of the mailbox itself.
    pub(crate) metadata: Arc<Metadata>,
}

/// What happened between two snapshots.
#[derive(Debug, Default)]
pub struct Changes {
    /// UIDs that are gone, ascending.
    pub gone: Vec<u32>,
    /// UIDs of new messages, ascending.
    pub new: Vec<u32>,
    /// UIDs whose flags (or annotations) changed, ascending.
    pub changed: Vec<u32>,
}

impl View {
    /// A view that has no messages yet, with these.
    pub fn with(mut self, records: Records) -> View {
        for record in records.iter() {
            self.count(record, true);
            self.private.count(&record.annotations, true);
        }
        self.records = records;
        self
    }

    /// HIGHESTMODSEQ: 1 for a mailbox in which nothing has changed yet, since 0 means to clients that there are no
    /// modification sequences (RFC 7162 section 3.1.2.1).
    pub fn modseq(&self) -> u64 {
        self.highestmodseq.max(1)
    }

    /// Messages in UID order.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// How many messages there are (EXISTS).
    pub fn exists(&self) -> usize {
        self.records.len()
    }

    /// The UID that the next message gets, at least.
    pub fn uidnext(&self) -> u32 {
        self.last_uid.saturating_add(1)
    }

    /// The message of a UID.
    pub fn get(&self, uid: u32) -> Option<&Record> {
        self.records.get(uid)
    }

    /// The sequence number (from 1) of a UID.
    pub fn seq(&self, uid: u32) -> Option<u32> {
        self.records.position(uid).and_then(|p| u32::try_from(p + 1).ok())
    }

    /// Bytes of all messages (STATUS SIZE).
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Messages without the shared \Seen.
    pub fn unseen(&self) -> usize {
        self.unseen
    }

    /// Messages that are \Deleted (STATUS DELETED), and their bytes (DELETED-STORAGE).
    pub fn deleted(&self) -> (usize, u64) {
        (self.deleted, self.deleted_bytes)
    }

    /// Bytes of the annotations of the mailbox and of its messages, as quotas count them.
    pub fn annotation_bytes(&self) -> u64 {
        self.annotation_bytes
    }

    /// Bytes of memory that annotations take, about.
    pub(crate) fn annotation_memory(&self) -> u64 {
        self.note_bytes.saturating_add(self.metadata.bytes())
    }

    /// Another number than before where keywords were defined or came free since.
    pub fn keyword_changes(&self) -> u32 {
        self.keyword_changes
    }

    /// The bits that some message has, expunged ones that are kept among them. Looks at all of them.
    pub(crate) fn keywords_in_use(&self) -> u128 {
        self.records.iter().chain(self.expunged.iter()).fold(0, |used, record| used | record.keywords)
    }

    /// Keywords by their bit; empty: the bit is free.
    pub fn keywords(&self) -> &[Arc<str>] {
        &self.keywords
    }

    /// The bit of a keyword in [`Record::keywords`]; case does not count.
    pub fn keyword_bit(&self, word: &str) -> Option<u128> {
        let defined = |k: &Arc<str>| !k.is_empty() && k.eq_ignore_ascii_case(word);
        self.keywords.iter().position(defined).map(|n| 1u128 << n)
    }

    /// The flags of a message of this view.
    pub fn flags_of<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Flag> + 'a {
        let words = self.keywords.iter().enumerate().filter(|(n, _)| record.keywords >> n & 1 == 1);
        record.flags.flags().chain(words.map(|(_, word)| Flag::Keyword(word.to_string())))
    }

    /// What changed since an older view of the same mailbox; takes time in proportion to the change.
    pub fn since(&self, old: &View) -> Changes {
        let (changed, gone) = self.records.difference(&old.records);
        let mut changes = Changes { gone, ..Changes::default() };
        for (record, before) in changed {
            match before {
                None => changes.new.push(record.uid),
                Some(before) if record.modseq != before.modseq => changes.changed.push(record.uid),
                Some(_) => {}
            }
        }
        changes
    }

    /// This mailbox as somebody knows it who was told of the messages of these UIDs, and of all changes up to this modification sequence: what
    /// changed since is told as the difference to it. Messages of them that are gone are not in it.
    pub fn as_known(&self, knows: impl Fn(u32) -> bool, modseq: u64) -> View {
        let known = self.records.iter().filter(|record| knows(record.uid));
        let records =
            known.map(|record| Record { modseq: record.modseq.min(modseq), ..record.clone() }).collect();
        let view = View {
            uidvalidity: self.uidvalidity,
            last_uid: self.last_uid,
            highestmodseq: modseq,
            deletedmodseq: self.deletedmodseq,
            recentuid: self.recentuid,
            keywords: self.keywords.clone(),
            keyword_changes: self.keyword_changes,
            metadata: self.metadata.clone(),
            ..View::default()
        };
        view.with(Records::from_sorted(records))
    }

    /// UIDs expunged after a modseq (VANISHED EARLIER), as ascending ranges; none where that is too long ago to know, and
    /// [`Records::gaps`] are what is left to say.
    pub fn vanished_since(&self, modseq: u64) -> Option<Vec<(u32, u32)>> {
        (modseq >= self.deletedmodseq).then(|| self.tombstones.since(modseq))
    }

    /// Which UIDs are gone, and since when.
    pub fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// Does what an operation says. A change is made by it, and so is a log read back.
    pub(crate) fn apply(&mut self, op: Op) {
        match op {
            Op::State {
                uidvalidity,
                last_uid,
                highestmodseq,
                deletedmodseq,
                recentuid,
                last_append,
                pop3,
            } => {
                (self.uidvalidity, self.last_uid) = (uidvalidity, last_uid);
                (self.highestmodseq, self.deletedmodseq) = (highestmodseq, deletedmodseq);
                (self.recentuid, self.last_append, self.pop3_last_login) = (recentuid, last_append, pop3);
                self.tombstones.drop_until(deletedmodseq);
            }
            Op::Keyword(word) => {
                self.keyword_changes = self.keyword_changes.wrapping_add(1);
                Arc::make_mut(&mut self.keywords).push(word);
            }
            Op::Rename { bit, word } => {
                self.keyword_changes = self.keyword_changes.wrapping_add(1);
                if let Some(slot) = Arc::make_mut(&mut self.keywords).get_mut(usize::from(bit)) {
                    *slot = word;
                }
            }
            Op::Append(record) => {
                self.saw(record.modseq);
                if record.uid <= self.last_uid && !self.tombstones.is_empty() {
                    self.tombstones.remove(record.uid);
                }
                self.last_uid = self.last_uid.max(record.uid);
                self.last_append = self.last_append.max(record.savedate);
                self.put(record);
            }
            Op::Flags { uid, modseq, flags, keywords, time } => {
                self.saw(modseq);
                if let Some(record) = self.get(uid).cloned() {
                    self.put(Record { modseq, flags, keywords, last_updated: time, ..record });
                }
            }
            Op::Expunge { uid, modseq, time } => self.expunge(uid, modseq, time),
            Op::Expunged(record) => {
                let Record { uid, modseq, last_updated: time, .. } = record;
                self.tombstones.put(Run { first: uid, last: uid, modseq, time });
                self.expunged.put(record);
            }
            Op::Kept(record) => drop(self.expunged.put(record)),
            Op::Forget { uid, .. } => drop(self.expunged.remove(uid)),
            Op::Gone(run) => self.tombstones.put(run),
            Op::Recent(uid) => self.recentuid = uid,
            Op::Pop3(time) => self.pop3_last_login = time,
            Op::Annotate { uid, modseq, annotations } => {
                self.saw(modseq);
                if let Some(record) = self.get(uid).cloned() {
                    let annotations = (!annotations.is_empty()).then(|| Arc::new(annotations));
                    self.put(Record { modseq, annotations, ..record });
                }
            }
            Op::Metadata { modseq, settings } => self.set(modseq, settings),
        }
    }

    fn expunge(&mut self, uid: u32, modseq: u64, time: i64) {
        self.saw(modseq);
        if let Some(record) = self.records.remove(uid) {
            self.count(&record, false);
            self.private.count(&record.annotations, false);
            self.tombstones.put(Run { first: uid, last: uid, modseq, time });
            // Nobody reads its annotations any more.
            self.expunged.put(Record { modseq, last_updated: time, annotations: None, ..record });
        }
    }

    fn set(&mut self, modseq: u64, settings: Vec<Setting>) {
        self.saw(modseq);
        let metadata = Arc::make_mut(&mut self.metadata);
        let before = metadata.bytes();
        settings.into_iter().for_each(|setting| metadata.set(setting));
        self.annotation_bytes = self.annotation_bytes.saturating_sub(before).saturating_add(metadata.bytes());
    }

    fn saw(&mut self, modseq: u64) {
        self.highestmodseq = self.highestmodseq.max(modseq);
    }

    /// Takes a message out, without a trace.
    pub(crate) fn take(&mut self, uid: u32) {
        if let Some(record) = self.records.remove(uid) {
            self.count(&record, false);
        }
    }

    /// Has these annotations of the mailbox itself, and no others.
    pub(crate) fn replace_metadata(&mut self, metadata: Metadata) {
        let others = self.annotation_bytes.saturating_sub(self.metadata.bytes());
        self.annotation_bytes = others.saturating_add(metadata.bytes());
        self.metadata = Arc::new(metadata);
    }

    /// Puts a message in, where its UID belongs.
    pub(crate) fn put(&mut self, record: Record) {
        self.count(&record, true);
        let noted = record.annotations.clone();
        let before = self.records.put(record);
        if let Some(before) = &before {
            self.count(before, false);
        }
        let before = before.and_then(|before| before.annotations);
        // Flags change more often than annotations do.
        let is_same = |(noted, before): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(noted, before);
        if !noted.as_ref().zip(before.as_ref()).is_some_and(is_same) {
            self.private.count(&before, false);
            self.private.count(&noted, true);
        }
    }

    /// Counts the difference that a record's arrival (`1`) or departure (`-1`) makes.
    fn count(&mut self, record: &Record, arrives: bool) {
        let (mut annotations, mut notes) = (0, 0);
        for annotation in record.annotations.iter().flat_map(|all| all.iter()) {
            annotations += annotation.value.len() as u64;
            notes += annotation.bytes();
        }
        let unseen = usize::from(!record.has(System::SEEN));
        let deleted = if record.has(System::DELETED) { (1, record.size) } else { (0, 0) };
        if arrives {
            self.deleted += deleted.0;
            self.deleted_bytes += deleted.1;
            self.bytes += record.size;
            self.annotation_bytes += annotations;
            self.note_bytes += notes;
            self.unseen += unseen;
        } else {
            self.deleted = self.deleted.saturating_sub(deleted.0);
            self.deleted_bytes = self.deleted_bytes.saturating_sub(deleted.1);
            self.bytes = self.bytes.saturating_sub(record.size);
            self.annotation_bytes = self.annotation_bytes.saturating_sub(annotations);
            self.note_bytes = self.note_bytes.saturating_sub(notes);
            self.unseen = self.unseen.saturating_sub(unseen);
        }
    }
}
