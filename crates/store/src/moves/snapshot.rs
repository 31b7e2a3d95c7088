//! A mailbox at one moment, as it is copied; and what differs between two moments.

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use protocol::flag::Flag;

use super::digest::{Digest, Numbers, Sum};
use crate::{
    annotations::Setting,
    error::{Doing, StoreError},
    header::Header,
    mailbox::Mailbox,
    record::Record,
    records::Records,
    tombstones::{Run, Tombstones},
    view::View,
};

/// A mailbox at one moment: cheap to take, it shares what it knows with the mailbox. Message files are read where they are: one may
/// be gone by then, and the next difference says so.
#[derive(Clone)]
pub struct Snapshot {
    header: Arc<Header>,
    view: Arc<View>,
    dir: PathBuf,
    /// With what sessions have taken and not written down yet.
    recentuid: u32,
    sum: Arc<OnceLock<Sum>>,
    digest: Arc<OnceLock<Digest>>,
}

/// What makes an earlier state of a mailbox the present one.
#[derive(Debug, Clone, Default)]
pub struct Difference {
    /// Messages that are not named are not there: records, expunged ones and annotations are all that there are.
    pub whole: bool,
    /// Where it changed.
    pub header: Option<Arc<Header>>,
    pub numbers: Numbers,
    /// Where they changed: keywords by their bit in [`Record::keywords`]; empty: the bit is free.
    pub keywords: Option<Vec<Arc<str>>>,
    /// Where they changed: all annotations of the mailbox itself. One without a value hides what the header says.
    pub annotations: Option<Vec<Setting>>,
    /// Messages that are new or changed, by UID. Their `cache` means nothing elsewhere.
    pub records: Vec<Record>,
    /// Expunged messages that are still kept, new or changed, by UID.
    pub expunged: Vec<Record>,
    /// Messages that are neither there nor kept any more, ascending.
    pub gone: Vec<u32>,
    /// Where they changed: all that is remembered of UIDs that are gone.
    pub tombstones: Option<Vec<Run>>,
}

impl Mailbox {
    /// The mailbox as it is on disk.
    pub fn snapshot(&self) -> Snapshot {
        let view = self.view();
        let recentuid = self.recentuid().min(view.last_uid);
        Snapshot::new(self.header(), view, self.dir(), recentuid)
    }
}

impl Snapshot {
    pub(super) fn new(header: Arc<Header>, view: Arc<View>, dir: PathBuf, recentuid: u32) -> Snapshot {
        Snapshot { header, view, dir, recentuid, sum: Arc::default(), digest: Arc::default() }
    }

    /// Name, ACL and what else is known of the mailbox as a whole.
    pub fn header(&self) -> &Arc<Header> {
        &self.header
    }

    /// UIDs, modification sequences and times of the mailbox as a whole.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            last_uid: self.view.last_uid,
            highestmodseq: self.view.highestmodseq,
            deletedmodseq: self.view.deletedmodseq,
            recentuid: self.recentuid,
            last_append: self.view.last_append,
            pop3_last_login: self.view.pop3_last_login,
        }
    }

    /// Messages, by UID.
    pub fn records(&self) -> &Records {
        &self.view.records
    }

    /// Expunged messages that are still kept, by UID. There may be no file of one.
    pub fn expunged(&self) -> &Records {
        &self.view.expunged
    }

    /// UIDs that are gone, those of [`Snapshot::expunged`] among them.
    pub fn tombstones(&self) -> &Tombstones {
        &self.view.tombstones
    }

    /// Keywords by their bit; empty: the bit is free.
    pub fn keywords(&self) -> &[Arc<str>] {
        &self.view.keywords
    }

    /// The flags of a message of the snapshot, expunged or not.
    pub fn flags_of<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Flag> + 'a {
        self.view.flags_of(record)
    }

    /// All annotations of the mailbox itself that are in its index; others are in the header. One without a value hides what the
    /// header says.
    pub fn annotations(&self) -> Vec<Setting> {
        self.view.metadata.in_runs().into_iter().flatten().collect()
    }

    /// Bytes of all messages, without the expunged ones.
    pub fn bytes(&self) -> u64 {
        self.view.bytes
    }

    /// Opens a message's file, and tells its size; [`StoreError::NoMessage`]: it is gone. Blocks.
    pub fn open(&self, uid: u32) -> Result<(File, u64), StoreError> {
        let path = self.dir.join(format!("{uid}."));
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(StoreError::NoMessage),
            other => other.doing("open", &path)?,
        };
        let size = file.metadata().doing("read", &path)?.len();
        Ok((file, size))
    }

    /// All of it, as the first difference. Looks at all messages, once for the digest too, so that those of later snapshots cost what
    /// changed: on a blocking thread of the caller's.
    pub fn whole(&self) -> Difference {
        self.sum();
        Difference {
            whole: true,
            header: Some(self.header.clone()),
            numbers: self.numbers(),
            keywords: Some(self.view.keywords.to_vec()),
            annotations: Some(self.annotations()),
            records: self.view.records.iter().cloned().collect(),
            expunged: self.view.expunged.iter().cloned().collect(),
            gone: Vec::new(),
            tombstones: Some(self.view.tombstones.iter().copied().collect()),
        }
    }

    /// What changed since an earlier snapshot of the same mailbox. Takes time in proportion to the change, and so does the digest then,
    /// if that of the earlier one is known.
    pub fn since(&self, earlier: &Snapshot) -> Difference {
        self.follow(earlier);
        let (now, then) = (&self.view, &earlier.view);
        let (records, gone) = now.records.difference(&then.records);
        let (expunged, forgotten) = now.expunged.difference(&then.expunged);
        let is_left = |uid: &u32| now.records.get(*uid).is_some() || now.expunged.get(*uid).is_some();
        let mut gone: Vec<u32> = gone.into_iter().chain(forgotten).filter(|uid| !is_left(uid)).collect();
        gone.sort_unstable();
        gone.dedup();
        let changed =
            |all: Vec<(&Record, Option<&Record>)>| all.into_iter().map(|(r, _)| r.clone()).collect();
        Difference {
            whole: false,
            header: (self.header != earlier.header).then(|| self.header.clone()),
            numbers: self.numbers(),
            keywords: (now.keywords != then.keywords).then(|| now.keywords.to_vec()),
            annotations: (now.metadata != then.metadata).then(|| self.annotations()),
            records: changed(records),
            expunged: changed(expunged),
            gone,
            tombstones: (!now.tombstones.is_same(&then.tombstones))
                .then(|| now.tombstones.iter().copied().collect()),
        }
    }

    /// What two copies of a mailbox are compared by. Looks at all messages; [`Snapshot::digest_after`] does not. Takes a second for a
    /// million messages: on a blocking thread of the caller's. It is kept with the snapshot.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| self.sum().digest(&self.header, &self.view, self.numbers()))
    }

    /// The same where an earlier snapshot's digest is known: takes time in proportion to what changed since.
    pub fn digest_after(&self, earlier: &Snapshot) -> Digest {
        self.sum.get_or_init(|| earlier.sum().after(&earlier.view, &self.view));
        self.digest()
    }

    /// Finds the sum by what changed, where that of an earlier snapshot is known.
    pub(super) fn follow(&self, earlier: &Snapshot) {
        if let Some(sum) = earlier.sum.get() {
            self.sum.get_or_init(|| sum.after(&earlier.view, &self.view));
        }
    }

    pub(super) fn sum(&self) -> Sum {
        *self.sum.get_or_init(|| Sum::of(&self.view))
    }
}
