//! What the commit log's play-back means for the store: where each log lies, and what is counted anew when it is played back.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use config::imapd::Imapd;
use mailboxes::List;
use protocol::name::MailboxName;
use tracing::warn;

use super::{
    commit::{
        Target,
        recover::{Left, Recovery},
    },
    disk::{Database, Noted, USER_LOG, mailbox_dir, user_dir},
    error::StoreError,
    header::Header,
    index, lock,
    quota::{Delta, Quotas, Usage},
    stage::STAGE,
};

/// What is left to be played back of the commit log, and the store round it.
pub struct Replay {
    pub recovery: Recovery,
    /// Directory of the users' logs.
    pub users: PathBuf,
    /// What the database is to know of such a log.
    pub noted_in: fn(&Path) -> Result<Noted, StoreError>,
    pub imapd: Imapd,
    pub list: List,
    pub db: Database,
    pub quotas: Arc<Quotas>,
    /// By quota root: mailboxes below it that are counted anew when they are played back.
    pub uncounted: Mutex<HashMap<MailboxName, Vec<Target>>>,
}

impl Replay {
    /// Plays back what there is for one log; to be called before the log is opened. Blocks.
    pub fn play(&self, target: &Target) -> Result<(), StoreError> {
        self.recovery.play(target, &|target| self.find(target), &|target, placed| self.take(target, placed))
    }

    /// The same for a mailbox, whichever partition it is on.
    pub fn play_mailbox(&self, id: &str) -> Result<(), StoreError> {
        let partitions = self.imapd.partitions().iter();
        partitions
            .map(|partition| Target::Index { partition: partition.name.clone(), id: id.to_owned() })
            .try_for_each(|target| self.play(&target))
    }

    /// Notes that a mailbox of a root is not counted yet, if there is something to be played back for it.
    pub fn expect(&self, root: &MailboxName, partition: &str, id: &str) {
        let target = Target::Index { partition: partition.to_owned(), id: id.to_owned() };
        if self.recovery.has(&target) {
            lock(&self.uncounted).entry(root.clone()).or_default().push(target);
        }
    }

    /// Plays back what there is for the mailboxes of a quota root, so that its usage is right. Blocks.
    pub fn play_root(&self, root: &MailboxName) {
        let targets = lock(&self.uncounted).get(root).cloned().unwrap_or_default();
        if targets.is_empty() {
            return;
        }
        for target in &targets {
            if let Err(error) = self.play(target) {
                warn!(%error, %root, ?target, "a mailbox is not counted");
            }
        }
        lock(&self.uncounted).remove(root);
    }

    /// Whether the usage of a root is right.
    pub fn is_counted(&self, root: &MailboxName) -> bool {
        !lock(&self.uncounted).contains_key(root)
    }

    /// Plays back all that is left. Blocks.
    pub fn play_all(&self) -> Result<(), StoreError> {
        self.recovery.play_all(&|target| self.find(target), &|target, placed| self.take(target, placed))
    }

    fn find(&self, target: &Target) -> Option<(PathBuf, String)> {
        match target {
            Target::Index { partition, id } => {
                let root = &self.imapd.partition(partition)?.path;
                Some((mailbox_dir(root, id), index::FILE.to_owned()))
            }
            Target::User(userid) => Some((user_dir(&self.users, userid), USER_LOG.to_owned())),
        }
    }

    /// Counts a mailbox anew, and removes the messages that were placed, but expunged and forgotten since.
    fn take(&self, target: &Target, placed: &BTreeSet<u32>) -> Result<(), StoreError> {
        if let Target::User(user) = target {
            let log = user_dir(&self.users, user).join(USER_LOG);
            // Who has seen what, and has a script, is noted in the database, which a crash may have kept from knowing it.
            let noted = (self.noted_in)(&log)?;
            self.db.set_active_script(user, noted.scripted)?;
            return self.db.add_seers(user, &noted.seen);
        }
        let (Target::Index { id, .. }, Some((dir, _))) = (target, self.find(target)) else { return Ok(()) };
        let view = match index::load(&dir) {
            Ok(loaded) => loaded.view,
            Err(error) => {
                // Whoever opens the mailbox meets the same; reconstruct has the messages.
                warn!(%error, "commit log: a mailbox that was played back cannot be read");
                return Ok(());
            }
        };
        for uid in placed {
            if view.get(*uid).or_else(|| view.expunged.get(*uid)).is_none() {
                let _ = fs::remove_file(dir.join(format!("{uid}.")));
            }
        }
        let counted = self.db.usage(id).unwrap_or(Usage { mailbox: 1, ..Usage::default() });
        let usage = Usage::of(&view);
        if let Ok(name) = Header::read(&dir).and_then(|header| header.name())
            && let Some(entry) = self.list.get(&name)?
            && entry.local.is_some_and(|local| local.uniqueid == *id)
        {
            let root = self.quotas.root_of(&name);
            self.quotas.add(root.as_ref(), Delta::between(&counted, &usage), false)?;
        }
        self.quotas.note(id, Some(usage));
        Ok(())
    }
}

/// Empties the staging directories, but for what the commit log may still need.
pub fn clear_stages(imapd: &Imapd, segments: &[Left]) {
    let needed: BTreeSet<&Path> =
        segments.iter().flat_map(|left| &left.staged).map(PathBuf::as_path).collect();
    for partition in imapd.partitions() {
        let Ok(items) = fs::read_dir(partition.path.join(STAGE)) else { continue };
        for path in items.filter_map(Result::ok).map(|item| item.path()) {
            if !needed.contains(path.as_path()) {
                // What cannot be removed takes room, and no more.
                let _ = fs::remove_file(path);
            }
        }
    }
}
