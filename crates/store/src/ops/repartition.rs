//! A change of partition: what a move to another backend is, with one backend on both sides. Mail flows meanwhile, and whoever has the
//! mailbox open goes on with it.
//!
//! ```text
//! rounds      files that are new are copied, while mail flows; then the disk is synced
//! ACTIVATE    the master hears of the place
//! the turn    changes wait, reading goes on: the last files, the index, the header; synced; the list; the open mailbox lies there now
//! sweep       the old directory goes
//! ```

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use mailboxes::Change;
use protocol::{acl::Rights, name::MailboxName};
use tracing::{info, warn};

use super::{Actor, rename::Renamed};
use crate::{
    Store, blocking,
    commit::Target,
    disk::{self, mailbox_dir},
    error::{Doing, StoreError},
    header::sync_dir,
    journal::Record,
    limits::{PARTITION_FEW, PARTITION_ROUNDS},
    lock,
    mailbox::{CACHE, Home},
};

impl Store {
    pub(super) async fn move_partition(
        &self,
        who: &Actor,
        name: &MailboxName,
        partition: Option<&str>,
    ) -> Result<Renamed, StoreError> {
        let entry = self.entry_for(who, name, Rights::DELETE_MAILBOX)?;
        let target = partition.ok_or(StoreError::Exists)?;
        if !who.admin {
            return Err(StoreError::Denied);
        }
        let source = entry.location.partition().unwrap_or_default().to_owned();
        if source == target {
            return Err(StoreError::Exists);
        }
        let id = entry.local.as_ref().ok_or(StoreError::NoMailbox)?.uniqueid.clone();
        let old = mailbox_dir(&self.partition_path(&source)?, &id);
        let new = mailbox_dir(&self.partition_path(target)?, &id);
        let mut clearance = self.clearance(false).await?;
        // Held to the end, so that whoever opens it meanwhile has this one.
        let mailbox = self.open_entry(&entry).await?;
        self.check_room(&self.partition_path(target)?, mailbox.view().bytes()).await?;
        let record = Record {
            operation: "change of partition".into(),
            id: id.clone(),
            names: vec![name.to_string()],
            partitions: vec![source.clone(), target.to_owned()],
        };
        let mut moved = entry.clone();
        moved.location = self.location(target);
        let copy = Copy { from: old.clone(), to: new.clone(), cache: None };
        let done = self.journalled(record, async {
            let copy = blocking(move || copy.rounds()).await?;
            self.inner.journal.step("change of partition: copied");
            clearance.activate(name, &moved.location, &entry.acl).await?;
            let turn = mailbox.turn.clone().lock_owned().await;
            self.inner.shared.commit.settle().await;
            let (home, location) = (new.clone(), moved.location.clone());
            let log = Target::Index { partition: target.to_owned(), id: id.clone() };
            let there = blocking(move || copy.last().and_then(|()| Home::open(home, location, log))).await;
            let listed = match there {
                Ok(home) => {
                    let listed = self.commit_list(vec![Change::put(name.clone(), moved.clone())]).await;
                    listed.map(|()| mailbox.moves_in(home))
                }
                Err(error) => Err(error),
            };
            drop(turn);
            if listed.is_err()
                && let Err(error) = clearance.activate(name, &entry.location, &entry.acl).await
            {
                warn!(%error, mailbox = %name, "the master has another partition until the next resync");
            }
            listed
        });
        let done = done.await;
        let leftover = if done.is_ok() { old } else { new };
        blocking(move || {
            // Whoever is at its text index has looked where that lies before.
            drop(lock(&mailbox.texts.building));
            disk::sweep(&leftover)
        })
        .await?;
        done?;
        info!(mailbox = %name, from = source, to = target, "moved to another partition");
        Ok(Renamed { moved: vec![(name.clone(), name.clone())] })
    }
}

/// A mailbox's directory on its way to another partition.
struct Copy {
    from: PathBuf,
    to: PathBuf,
    /// Inode and bytes of the cache that were copied: it grows at its end, or is another file.
    cache: Option<(u64, u64)>,
}

impl Copy {
    /// Copies while messages come and go, until a round has few. Blocks.
    fn rounds(mut self) -> Result<Copy, StoreError> {
        disk::sweep(&self.to)?;
        fs::create_dir_all(&self.to).doing("create", &self.to)?;
        for _ in 0..PARTITION_ROUNDS {
            let copied = self.messages()?;
            self.cache()?;
            if copied < PARTITION_FEW {
                break;
            }
        }
        // So that the last sync, for which everybody waits, has little to do.
        disk::sync_filesystem(&self.to)?;
        Ok(self)
    }

    /// The rest, while nobody changes anything; all of it is on disk when this returns. Blocks.
    fn last(mut self) -> Result<(), StoreError> {
        self.messages()?;
        self.cache()?;
        let mut there = HashSet::new();
        for item in fs::read_dir(&self.from).doing("read", &self.from)? {
            let item = item.doing("read", &self.from)?;
            // The text index, which is made again there.
            if item.file_type().doing("read", &self.from)?.is_dir() {
                continue;
            }
            let name = item.file_name();
            if !is_message(&name) && name != CACHE {
                fs::copy(item.path(), self.to.join(&name)).doing("copy", &item.path())?;
            }
            there.insert(name);
        }
        for item in fs::read_dir(&self.to).doing("read", &self.to)? {
            let item = item.doing("read", &self.to)?;
            if !there.contains(&item.file_name()) {
                fs::remove_file(item.path()).doing("remove", &item.path())?;
            }
        }
        disk::sync_filesystem(&self.to)?;
        sync_dir(self.to.parent().unwrap_or(&self.to))
    }

    /// Messages that are not there yet; how many they were. A message's file is written once, and never over.
    fn messages(&self) -> Result<usize, StoreError> {
        let mut copied = 0;
        for item in fs::read_dir(&self.from).doing("read", &self.from)? {
            let item = item.doing("read", &self.from)?;
            let name = item.file_name();
            let target = self.to.join(&name);
            if !is_message(&name) || target.exists() {
                continue;
            }
            // Half of a copy must not pass for a whole one in the next round.
            let new = self.to.join("copying");
            match fs::copy(item.path(), &new).and_then(|_| fs::rename(&new, &target)) {
                // It was expunged meanwhile, or is being written: the last round has what is left.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => {
                    other.doing("copy", &item.path())?;
                    copied += 1;
                }
            }
        }
        Ok(copied)
    }

    /// What the cache has more than the last time.
    fn cache(&mut self) -> Result<(), StoreError> {
        let (from, to) = (self.from.join(CACHE), self.to.join(CACHE));
        let old = match fs::File::open(&from) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.doing("open", &from)?,
        };
        let now = old.metadata().doing("read", &from)?;
        let at = self.cache.filter(|(inode, end)| *inode == now.ino() && *end <= now.len());
        let mut at = at.map_or(0, |(_, end)| end);
        let mut options = fs::File::options();
        let new = options.write(true).create(true).truncate(at == 0).open(&to).doing("open", &to)?;
        let mut buffer = vec![0; PIECE];
        while at < now.len() {
            let read = old.read_at(&mut buffer, at).doing("read", &from)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            new.write_all_at(bytes, at).doing("write", &to)?;
            at += read as u64;
        }
        self.cache = Some((now.ino(), at));
        Ok(())
    }
}

/// `17.`
fn is_message(name: &std::ffi::OsStr) -> bool {
    let digits = Path::new(name).as_os_str().as_encoded_bytes().strip_suffix(b".");
    digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;
