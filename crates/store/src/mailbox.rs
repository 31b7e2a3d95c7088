//! An open mailbox, shared by all its sessions.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use protocol::{flag::Flag, location::Location, name::MailboxName};
use tokio::sync::watch;
use work::aside::weighed;

use super::{
    Shared,
    annotations::{Setting, with},
    change::{Change, Working},
    commit::{Log, Target},
    error::{Doing, StoreError},
    gates::Gate,
    header::{Header, sync_dir},
    index, lock,
    op::Op,
    openings::Place,
    record::{Record, System},
    stage::{Staged, partition_of},
    text::Texts,
    view::View,
};
use crate::limits::EXPUNGE_RUN;

/// An open mailbox. Held by `Arc`; stays usable while it is renamed, until [`View::gone`].
pub struct Mailbox {
    pub(crate) id: String,
    /// Where it lies: another place after a change of partition, which nobody who has it open notices.
    home: RwLock<Arc<Home>>,
    pub(crate) view: watch::Sender<Arc<View>>,
    pub(crate) header: watch::Sender<Arc<Header>>,
    pub(crate) working: Mutex<Working>,
    /// Held by whoever builds a change: one at a time.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) shared: Arc<Shared>,
    /// The last UID that was given away as \Recent, where that is not written down yet.
    recent: AtomicU32,
    pub(crate) texts: Texts,
    _place: Place<Mailbox>,
}

/// Where a mailbox lies, and its files that are open.
pub(crate) struct Home {
    pub dir: PathBuf,
    location: Location,
    pub log: Arc<Log>,
    pub cache: Arc<File>,
}

/// A message to be added.
#[derive(Clone)]
pub struct NewMessage {
    pub staged: Arc<Staged>,
    pub flags: Vec<Flag>,
    /// INTERNALDATE, epoch seconds; none: now.
    pub internaldate: Option<i64>,
    /// Its annotations (RFC 5257).
    pub annotations: Vec<Setting>,
}

/// UIDs that messages got, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    pub uidvalidity: u32,
    pub uids: Vec<u32>,
}

/// How STORE changes flags.
#[derive(Debug, Clone)]
pub struct FlagChange {
    pub how: How,
    pub flags: Vec<Flag>,
    /// Leave messages alone that changed after this modseq (RFC 7162).
    pub unchanged_since: Option<u64>,
    /// What the user's rights allow; the rest of the flags stays as it is.
    pub may: FlagMask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Set,
    Add,
    Remove,
}

/// Kinds of flags that somebody may change: `s`, `t` and `w` of the ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagMask {
    pub seen: bool,
    pub deleted: bool,
    pub others: bool,
}

impl FlagMask {
    pub const ALL: FlagMask = FlagMask { seen: true, deleted: true, others: true };

    /// The system flags of the mask.
    pub fn system(self) -> System {
        let pick = |on: bool, flags: System| if on { flags } else { System::NONE };
        pick(self.seen, System::SEEN)
            .with(pick(self.deleted, System::DELETED))
            .with(pick(self.others, System::ANSWERED.with(System::FLAGGED).with(System::DRAFT)))
    }

    fn keywords(self) -> u128 {
        if self.others { u128::MAX } else { 0 }
    }
}

/// What STORE did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// UIDs left alone because of `unchanged_since` (MODIFIED).
    pub modified: Vec<u32>,
    /// The mailbox's highest modseq after it.
    pub modseq: u64,
}

impl Home {
    /// Opens the files of a mailbox's directory. Blocks.
    pub fn open(dir: PathBuf, location: Location, target: Target) -> Result<Home, StoreError> {
        let path = dir.join(index::FILE);
        let file = File::options().read(true).write(true).open(&path).doing("open", &path)?;
        let path = dir.join(CACHE);
        let mut options = File::options();
        let cache =
            options.read(true).write(true).create(true).truncate(false).open(&path).doing("open", &path)?;
        let log = Arc::new(Log::new(target, dir.clone(), index::FILE, file));
        Ok(Home { dir, location, log, cache: Arc::new(cache) })
    }
}

impl Mailbox {
    /// Makes the directory of a new mailbox, synced, header last: without one it does not count.
    pub(crate) fn make(dir: &Path, header: &Header) -> Result<(), StoreError> {
        fs::create_dir_all(dir).doing("create", dir)?;
        let view = View { uidvalidity: header.uidvalidity, ..View::default() };
        let made = super::header::replace_file(&dir.join(index::FILE), &index::snapshot(&view, 1))
            .and_then(|()| header.write(dir))
            .and_then(|()| match dir.parent() {
                Some(parent) => sync_dir(parent).and_then(|()| sync_dir(parent.parent().unwrap_or(parent))),
                None => Ok(()),
            });
        if made.is_err() {
            // Best effort: a directory without a header is swept at the next reconstruction.
            let _ = fs::remove_dir_all(dir);
        }
        made
    }

    /// Opens the mailbox in a directory. Blocks.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        location: Location,
        dir: PathBuf,
        place: Place<Mailbox>,
    ) -> Result<Arc<Mailbox>, StoreError> {
        // The list has it, whatever the header says: it was adopted, or not given away.
        let header = Header::read(&dir)?.listed();
        let partition = location.partition().unwrap_or_default().to_owned();
        let target = Target::Index { partition, id: header.uniqueid.clone() };
        shared.replay.play(&target)?;
        // What is changed here must fit into the quota, with all that lies below its root.
        if let Some(root) = header.name().ok().and_then(|name| shared.quotas.root_of(&name)) {
            shared.replay.play_root(&root);
        }
        let loaded = index::load(&dir)?;
        let home = Home::open(dir, location, target)?;
        let cache_end = home.cache.metadata().doing("read", &home.dir)?.len();
        let view = Arc::new(loaded.view);
        let texts = Texts::of(&view);
        let working = Working {
            tip: view.clone(),
            end: loaded.len,
            generation: loaded.generation,
            version: loaded.version,
            cache_end,
            saved: (loaded.len, loaded.generation, loaded.version),
        };
        Ok(Arc::new(Mailbox {
            id: header.uniqueid.clone(),
            home: RwLock::new(Arc::new(home)),
            view: watch::Sender::new(view),
            header: watch::Sender::new(Arc::new(header)),
            working: Mutex::new(working),
            turn: Arc::default(),
            shared: shared.clone(),
            recent: AtomicU32::new(0),
            texts,
            _place: place,
        }))
    }

    /// Its name now.
    pub fn name(&self) -> Result<MailboxName, StoreError> {
        self.header.borrow().name()
    }

    /// What never changes while it is renamed or moved: MAILBOXID.
    pub fn uniqueid(&self) -> String {
        self.id.clone()
    }

    /// Server and partition.
    pub fn location(&self) -> Location {
        self.home().location.clone()
    }

    /// Name, ACL, annotations and what else is known of the mailbox as a whole.
    pub fn header(&self) -> Arc<Header> {
        self.header.borrow().clone()
    }

    /// The mailbox as it is now.
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Moves with each change; holds the newest view. For IDLE.
    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Moves with each change of [`Mailbox::header`].
    pub fn watch_header(&self) -> watch::Receiver<Arc<Header>> {
        self.header.subscribe()
    }

    pub(crate) fn quota_root(&self) -> Option<MailboxName> {
        let name = self.name().ok()?;
        self.shared.quotas.root_of(&name)
    }

    /// The partition's directory.
    pub(crate) fn partition(&self) -> PathBuf {
        let dir = self.dir();
        partition_of(&dir).unwrap_or(&dir).to_owned()
    }

    /// Where it lies now.
    pub(crate) fn home(&self) -> Arc<Home> {
        self.home.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.home().dir.clone()
    }

    /// It lies elsewhere from now on. The caller has its turn, and nothing is on the way to the files.
    pub(crate) fn moves_in(&self, home: Home) {
        *self.home.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(home);
    }

    /// Writes the header anew. Blocks; operations on one mailbox come one after the other, and whoever moves it has their turn: it is
    /// refused only to one who has not.
    pub(crate) fn rewrite_header(&self, edit: impl FnOnce(&mut Header)) -> Result<(), StoreError> {
        self.shared.gates.check(Gate::Mailbox(&self.id))?;
        let mut header = (*self.header()).clone();
        edit(&mut header);
        header.write(&self.dir())?;
        self.header.send_replace(Arc::new(header));
        Ok(())
    }

    /// The server that it was given away to; its sessions leave it then ([`View::gone`]).
    pub fn moved_to(&self) -> Option<String> {
        self.shared.gates.moved(Gate::Mailbox(&self.id))
    }

    /// Tells all sessions that the mailbox is no more.
    pub(crate) fn leave(&self) {
        let mut working = lock(&self.working);
        let mut view = (*working.tip).clone();
        view.gone = true;
        working.tip = Arc::new(view.clone());
        self.home().log.void();
        self.view.send_replace(Arc::new(view));
    }

    /// Adds messages, all or none. On return they are on disk and in the view.
    pub async fn append(self: &Arc<Self>, messages: Vec<NewMessage>) -> Result<Appended, StoreError> {
        self.append_noted(messages, Vec::new(), false).await
    }

    /// As [`Mailbox::append`], though it be more than the quota allows.
    pub async fn append_over_quota(
        self: &Arc<Self>,
        messages: Vec<NewMessage>,
    ) -> Result<Appended, StoreError> {
        self.append_noted(messages, Vec::new(), true).await
    }

    pub(crate) async fn append_noted(
        self: &Arc<Self>,
        messages: Vec<NewMessage>,
        notes: Vec<super::commit::Note>,
        ignore_quota: bool,
    ) -> Result<Appended, StoreError> {
        let messages = self.localise(messages).await?;
        self.change_of(messages.len(), move |change| {
            if ignore_quota {
                change.ignore_quota();
            }
            let appended = add(change, &messages)?;
            notes.into_iter().for_each(|note| change.note(note));
            Ok(appended)
        })
        .await
    }

    /// Brings large messages to this partition, and many small ones out of memory.
    pub(crate) async fn localise(&self, messages: Vec<NewMessage>) -> Result<Vec<NewMessage>, StoreError> {
        let here = self.partition();
        let dir = self.dir();
        let away = |m: &NewMessage| m.staged.content.in_memory() == 0 && m.staged.origin(&dir).is_none();
        if !messages.iter().any(away) {
            return Ok(messages);
        }
        super::blocking(move || {
            let bring = |m: NewMessage| Ok(NewMessage { staged: m.staged.on_partition(&here)?, ..m });
            messages.into_iter().map(bring).collect()
        })
        .await
    }

    /// Changes flags of messages; UIDs that are not there are passed over.
    pub async fn store(self: &Arc<Self>, uids: &[u32], how: FlagChange) -> Result<Stored, StoreError> {
        let uids = uids.to_vec();
        self.change_of(uids.len(), move |change| {
            let mut modified = Vec::new();
            let (flags, keywords) = match how.how {
                // A keyword that no message has need not be defined to be removed.
                How::Remove => known(change, &how.flags),
                How::Set | How::Add => change.flags(&how.flags)?,
            };
            for &uid in &uids {
                let Some(record) = change.view().get(uid) else { continue };
                if how.unchanged_since.is_some_and(|limit| record.modseq > limit) {
                    modified.push(uid);
                    continue;
                }
                let (system, words) = how.apply(record, flags, keywords);
                if (system, words) != (record.flags, record.keywords) {
                    change.set_flags(uid, system, words);
                }
            }
            Ok(Stored { modified, modseq: change.view().highestmodseq })
        })
        .await
    }

    /// Expunges messages: those of `uids` (none: all) that are \Deleted. UIDs that went, ascending.
    pub async fn expunge(self: &Arc<Self>, uids: Option<&[u32]>) -> Result<Vec<u32>, StoreError> {
        let (view, uids) = (self.view(), uids.map(<[u32]>::to_vec));
        let many = uids.as_ref().map_or_else(|| view.exists(), Vec::len);
        let look = move || -> Vec<u32> {
            let deleted = |r: &&Record| r.has(System::DELETED);
            match uids {
                None => view.records.iter().filter(deleted).map(|r| r.uid).collect(),
                Some(uids) => {
                    uids.iter().filter_map(|&u| view.get(u)).filter(deleted).map(|r| r.uid).collect()
                }
            }
        };
        self.expunge_in_runs(weighed(many, look).await, true).await
    }

    /// Expunges these messages, \Deleted or not: MOVE, POP3's DELE.
    pub async fn remove(self: &Arc<Self>, uids: &[u32]) -> Result<Vec<u32>, StoreError> {
        self.expunge_in_runs(uids.to_vec(), false).await
    }

    /// Some at a time, so that others of the mailbox have their turn.
    async fn expunge_in_runs(
        self: &Arc<Self>,
        mut uids: Vec<u32>,
        deleted: bool,
    ) -> Result<Vec<u32>, StoreError> {
        let (unlink, forget) = self.shared.expunge_mode();
        uids.sort_unstable();
        uids.dedup();
        let mut all = Vec::with_capacity(uids.len());
        for run in uids.chunks(EXPUNGE_RUN) {
            let run = run.to_vec();
            let gone = self.change_of(run.len(), move |change| {
                let view = change.view();
                let goes = |uid: &u32| view.get(*uid).is_some_and(|r| !deleted || r.has(System::DELETED));
                let gone: Vec<u32> = run.into_iter().filter(goes).collect();
                change.expunge(&gone, unlink, forget);
                Ok(gone)
            });
            all.extend(gone.await?);
        }
        Ok(all)
    }

    /// Notes a POP3 login, with its time in epoch seconds.
    pub async fn pop3_login(self: &Arc<Self>, at: i64) -> Result<(), StoreError> {
        self.change(move |change| {
            change.op(Op::Pop3(at));
            Ok(())
        })
        .await
    }

    /// Gives \Recent of what is new to one session: the messages above the first UID up to the second are recent to
    /// it, and to no other. In memory; [`Mailbox::keep_recent`] writes it down.
    pub fn claim_recent(&self) -> (u32, u32) {
        let view = self.view();
        let before = self.recent.fetch_max(view.last_uid, Ordering::SeqCst).max(view.recentuid);
        (before, view.last_uid.max(before))
    }

    /// Messages up to this UID have been \Recent to somebody.
    pub fn recentuid(&self) -> u32 {
        self.recent.load(Ordering::SeqCst).max(self.view.borrow().recentuid)
    }

    /// Writes down what was claimed. A failure, or a crash before, makes messages \Recent once more.
    pub async fn keep_recent(self: &Arc<Self>) {
        let claimed = self.recent.load(Ordering::SeqCst);
        if claimed <= self.view.borrow().recentuid {
            return;
        }
        let kept = self.change(|change| {
            if claimed > change.view().recentuid {
                change.op(Op::Recent(claimed));
            }
            Ok(())
        });
        if let Err(error) = kept.await {
            tracing::debug!(%error, "\\Recent is not kept");
        }
    }
}

impl FlagChange {
    fn apply(&self, record: &Record, flags: System, keywords: u128) -> (System, u128) {
        let (system, words) = (self.may.system(), self.may.keywords());
        let flags = System(flags.0 & system.0);
        let keywords = keywords & words;
        match self.how {
            How::Set => (record.flags.without(system).with(flags), record.keywords & !words | keywords),
            How::Add => (record.flags.with(flags), record.keywords | keywords),
            How::Remove => (record.flags.without(flags), record.keywords & !keywords),
        }
    }
}

/// Adds messages to a change, with all that comes with them.
pub(crate) fn add(change: &mut Change, messages: &[NewMessage]) -> Result<Appended, StoreError> {
    let mut ready = Vec::with_capacity(messages.len());
    for message in messages {
        let (system, keywords) = change.flags(&message.flags)?;
        let date = message.internaldate.unwrap_or(change.now);
        ready.push((message.staged.clone(), system, keywords, date));
    }
    let uids = change.append(&ready)?;
    for (&uid, message) in uids.iter().zip(messages) {
        change.arrive(uid, with(&None, &message.annotations)?, None)?;
    }
    Ok(Appended { uidvalidity: change.view().uidvalidity, uids })
}

fn known(change: &Change, flags: &[Flag]) -> (System, u128) {
    let (mut system, mut keywords) = (System::NONE, 0);
    for flag in flags {
        match flag {
            Flag::Keyword(word) => keywords |= change.view().keyword_bit(word).unwrap_or(0),
            other => system = system.with(System::of(other).unwrap_or_default()),
        }
    }
    (system, keywords)
}

/// Name of the file of parsed structures in a mailbox's directory.
pub const CACHE: &str = "cache";
