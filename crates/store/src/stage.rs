//! A message on its way in: small ones stay in memory, larger ones go to a file on the partition as they arrive.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mime::{Cached, Structure, Unfit};
use sha1::{Digest, Sha1};
use work::aside::weighed;

use super::{
    blocking,
    disk::fresh_id,
    error::{Doing, StoreError},
    header::sync_dir,
    lock,
};
use crate::limits::{INLINE, STAGE_MEMORY};

/// A message being received. Dropping it forgets what came.
pub struct Staging {
    partition: PathBuf,
    /// Bytes that it may have at most.
    limit: u64,
    len: u64,
    held: Vec<u8>,
    file: Option<Spool>,
}

/// A large message's file.
struct Spool {
    path: PathBuf,
    file: Arc<File>,
}

/// A whole message, ready for any number of mailboxes.
pub struct Staged {
    /// Bytes.
    pub size: u64,
    /// Bytes of the header with its blank line.
    pub header_size: u32,
    /// SHA-1.
    pub guid: [u8; 20],
    /// What a mailbox's cache keeps of it.
    pub cached: Cached,
    pub(crate) content: Content,
    /// Partition and file where the message was last put: others of the partition link to it.
    placed: Mutex<Option<(PathBuf, PathBuf)>>,
    /// The commit log does not know it: its own file is nobody's when this is dropped.
    unlogged: bool,
}

pub(crate) enum Content {
    Memory(Bytes),
    /// A synced file in the staging directory of a partition.
    File {
        path: PathBuf,
        partition: PathBuf,
    },
}

impl Staging {
    pub(crate) fn new(partition: PathBuf, limit: u64) -> Staging {
        Staging { partition, limit, len: 0, held: Vec::new(), file: None }
    }

    /// Takes more bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.len += bytes.len() as u64;
        if self.len > self.limit {
            return Err(StoreError::TooLarge(self.limit));
        }
        self.held.extend_from_slice(bytes);
        if self.held.len() > STAGE_MEMORY { self.spill().await } else { Ok(()) }
    }

    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was taken yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads the structure; a large message is synced.
    pub async fn finish(self) -> Result<Staged, StoreError> {
        self.end(true).await
    }

    /// The same of a message that goes into no commit log, but into an incoming copy: it is synced with others.
    pub(crate) async fn finish_unsynced(self) -> Result<Staged, StoreError> {
        self.end(false).await
    }

    async fn end(mut self, logged: bool) -> Result<Staged, StoreError> {
        if self.file.is_none() {
            let bytes = Bytes::from(std::mem::take(&mut self.held));
            return match bytes.len() <= INLINE {
                true => Ok(Staged::in_memory(bytes)),
                false => Ok(weighed(usize::MAX, move || Staged::in_memory(bytes)).await),
            };
        }
        self.spill().await?;
        let Some(spool) = self.file.take() else { return Err(StoreError::Closed) };
        let partition = std::mem::take(&mut self.partition);
        weighed(usize::MAX, move || spool.finish(partition, logged)).await
    }

    /// The same for a message that may hold what none on disk may: its binary parts are put in base64 ([`mime::without_binary`]).
    /// What else cannot be stored is told, and the caller's to refuse.
    pub async fn finish_binary(mut self) -> Result<(Staged, Unfit), StoreError> {
        let (held, file) = (std::mem::take(&mut self.held), self.file.take());
        let (partition, limit) = (std::mem::take(&mut self.partition), self.limit);
        let finish = move || {
            let mut message = match &file {
                Some(spool) => fs::read(&spool.path).doing("read", &spool.path)?,
                None => Vec::new(),
            };
            message.extend_from_slice(&held);
            // Its file has done what it was for.
            drop(file);
            let (message, unfit) = mime::without_binary(&message);
            if message.len() as u64 > limit {
                return Err(StoreError::TooLarge(limit));
            }
            if message.len() <= STAGE_MEMORY {
                return Ok((Staged::in_memory(message.into_owned().into()), unfit));
            }
            let spool = Spool::create(&partition)?;
            (&*spool.file).write_all(&message).doing("write", &spool.path)?;
            Ok((spool.finish(partition, true)?, unfit))
        };
        weighed(usize::MAX, finish).await
    }

    /// Moves what is held in memory to the file: for whoever receives so many messages that they would fill it.
    pub async fn spill(&mut self) -> Result<(), StoreError> {
        let held = std::mem::take(&mut self.held);
        let before = self.file.as_ref().map(|spool| spool.file.clone());
        let partition = self.partition.clone();
        match before {
            Some(file) => {
                blocking(move || (&*file).write_all(&held).doing("write a message to", &partition)).await
            }
            None => {
                let spool = blocking(move || {
                    let spool = Spool::create(&partition)?;
                    (&*spool.file).write_all(&held).doing("write", &spool.path)?;
                    Ok(spool)
                });
                self.file = Some(spool.await?);
                Ok(())
            }
        }
    }
}

impl Spool {
    fn create(partition: &Path) -> Result<Spool, StoreError> {
        let dir = partition.join(STAGE);
        fs::create_dir_all(&dir).doing("create", &dir)?;
        let path = fresh(&dir)?;
        let file =
            File::options().read(true).write(true).create_new(true).open(&path).doing("create", &path)?;
        Ok(Spool { path, file: Arc::new(file) })
    }

    /// `logged`: the commit log will name the file, which is synced for it.
    fn finish(mut self, partition: PathBuf, logged: bool) -> Result<Staged, StoreError> {
        let path = std::mem::take(&mut self.path);
        let synced = match logged {
            true => self.file.sync_all().doing("sync", &path).and_then(|()| sync_dir(&partition.join(STAGE))),
            false => Ok(()),
        };
        let staged = synced.and_then(|()| {
            // Read back whole: the structure's offsets reach over all of it.
            let bytes = fs::read(&path).doing("read", &path)?;
            let content = Content::File { path: path.clone(), partition };
            let mut staged = Staged::parse(&bytes, content);
            staged.unlogged = !logged;
            Ok(staged)
        });
        if staged.is_err() {
            self.path = path;
        }
        staged
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // What stays is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Staged {
    /// A message that is in memory.
    pub fn in_memory(bytes: Bytes) -> Staged {
        let content = Content::Memory(bytes.clone());
        Staged::parse(&bytes, content)
    }

    /// The whole message.
    pub async fn bytes(&self) -> Result<Bytes, StoreError> {
        match &self.content {
            Content::Memory(bytes) => Ok(bytes.clone()),
            Content::File { path, .. } => {
                let path = path.clone();
                blocking(move || fs::read(&path).doing("read", &path).map(Bytes::from)).await
            }
        }
    }

    fn parse(bytes: &[u8], content: Content) -> Staged {
        let structure = Structure::parse(bytes);
        Staged {
            size: bytes.len() as u64,
            header_size: structure.header_size(),
            guid: Sha1::digest(bytes).into(),
            cached: Cached::new(&structure, bytes),
            content,
            placed: Mutex::new(None),
            unlogged: false,
        }
    }

    /// A copy of a message whose index record is known: no parsing.
    pub(crate) fn copied(
        size: u64,
        header_size: u32,
        guid: [u8; 20],
        cached: Cached,
        content: Content,
    ) -> Staged {
        Staged { size, header_size, guid, cached, content, placed: Mutex::new(None), unlogged: false }
    }

    /// Bytes of the message from a place on, so many at most. Blocks.
    pub fn read_at(&self, at: u64, most: usize) -> Result<Bytes, StoreError> {
        let rest = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX).min(most);
        match &self.content {
            Content::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(from..from.saturating_add(rest).min(bytes.len())))
            }
            Content::File { path, .. } => {
                let mut read = vec![0; rest];
                let file = fs::File::open(path).doing("open", path)?;
                std::os::unix::fs::FileExt::read_exact_at(&file, &mut read, at).doing("read", path)?;
                Ok(read.into())
            }
        }
    }

    /// The message as a file that can be linked into a mailbox's directory.
    pub(crate) fn origin(&self, mailbox: &Path) -> Option<PathBuf> {
        let partition = partition_of(mailbox)?;
        if let Content::File { path, partition: own } = &self.content
            && own == partition
        {
            return Some(path.clone());
        }
        let placed = lock(&self.placed);
        placed.as_ref().filter(|(own, _)| own == partition).map(|(_, path)| path.clone())
    }

    /// Notes where the message now lies.
    pub(crate) fn remember(&self, mailbox: &Path, path: &Path) {
        if let Some(partition) = partition_of(mailbox) {
            *lock(&self.placed) = Some((partition.to_owned(), path.to_owned()));
        }
    }

    /// The same for a mailbox of a partition: a large message's file must be on that partition.
    pub(crate) fn on_partition(self: &Arc<Self>, partition: &Path) -> Result<Arc<Staged>, StoreError> {
        match &self.content {
            Content::File { path, partition: own } if own != partition => {
                let spool = Spool::create(partition)?;
                let mut from = File::open(path).doing("open", path)?;
                std::io::copy(&mut from, &mut &*spool.file).doing("write", &spool.path)?;
                spool.finish(partition.to_owned(), true).map(Arc::new)
            }
            _ => Ok(self.clone()),
        }
    }
}

impl Content {
    /// Bytes that are held in memory.
    pub fn in_memory(&self) -> usize {
        match self {
            Content::Memory(bytes) => bytes.len(),
            Content::File { .. } => 0,
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Once it is in a mailbox, the commit log may still need the file, and removes it in its time.
        if let Content::File { path, .. } = &self.content
            && (self.unlogged || lock(&self.placed).is_none())
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// The partition that a mailbox's directory lies on.
pub(crate) fn partition_of(mailbox: &Path) -> Option<&Path> {
    mailbox.parent()?.parent()
}

/// A new name in a staging directory, where files of earlier processes may lie.
pub(crate) fn fresh(dir: &Path) -> Result<PathBuf, StoreError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: OnceLock<String> = OnceLock::new();
    let process = match PROCESS.get() {
        Some(process) => process,
        None => {
            let id = fresh_id()?;
            PROCESS.get_or_init(|| id)
        }
    };
    Ok(dir.join(format!("{process}-{}", NEXT.fetch_add(1, Ordering::Relaxed))))
}

/// The directory of a partition where messages arrive.
pub const STAGE: &str = "stage.";
