//! The header file of a mailbox: everything about it that is not about a message, so that the spool alone rebuilds the
//! list. One line with a checksum, then JSON; replaced whole by rename, and synced.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use protocol::name::MailboxName;
use serde::{Deserialize, Serialize};

use super::{
    error::{Doing, StoreError},
    quota::Limits,
};

/// What the header file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Internal name.
    pub name: String,
    /// The mailbox's id (MAILBOXID), which also names its directory; kept for its whole life, wherever it goes.
    pub uniqueid: String,
    pub uidvalidity: u32,
    /// In Cyrus's internal form.
    pub acl: String,
    /// Cyrus's type letters: `e` is mail.
    pub mbtype: String,
    /// The quota root above it, if any.
    pub quotaroot: Option<String>,
    /// Where the mailbox is itself a quota root: its limits.
    pub limits: Option<Limits>,
    /// Option bits, as Cyrus numbers them.
    pub options: u64,
    pub createdmodseq: u64,
    pub foldermodseq: u64,
    /// Epoch seconds.
    pub mtime: u64,
    /// Names it had, newest first.
    pub name_history: Vec<FormerName>,
    /// Mailbox annotations: entry → user (empty: shared) → value. Special use is `/specialuse` of the owner.
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    /// It is not this server's: a move brings it here, or took it away. Older builds know this much.
    #[serde(default)]
    pub incoming: bool,
    /// The id of the move that brings it here, or brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming_id: Option<String>,
    /// A move took it away, and the copy is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<MovedTo>,
    /// A move takes it away: server and partition.
    #[serde(default)]
    pub moving: Option<String>,
}

/// Where a move took a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedTo {
    /// The server that has it.
    pub to: String,
    /// The move's id.
    pub id: String,
    /// Epoch seconds.
    pub at: u64,
}

/// A copy of a mailbox that was given away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Internal name that it had here.
    pub name: String,
    pub uniqueid: String,
    pub partition: String,
    /// The server that has it.
    pub to: String,
    /// The move's id.
    pub id: String,
    /// Epoch seconds.
    pub at: u64,
    /// The mailbox's ACL when it went.
    #[serde(default)]
    pub acl: String,
}

/// A name that the mailbox had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerName {
    pub name: String,
    pub mtime: u64,
    pub uidvalidity: u32,
    pub createdmodseq: u64,
    pub foldermodseq: u64,
    pub mbtype: String,
    pub partition: String,
}

impl Header {
    /// The name as the list has it; an error if the header is damaged.
    pub fn name(&self) -> Result<MailboxName, StoreError> {
        Ok(MailboxName::parse(&self.name)?)
    }

    /// The value of an annotation; `user` empty for the shared one.
    pub fn annotation(&self, entry: &str, user: &str) -> Option<&str> {
        self.annotations.get(entry)?.get(user).map(String::as_str)
    }

    /// Sets or (none) removes an annotation.
    pub fn annotate(&mut self, entry: &str, user: &str, value: Option<&str>) {
        let values = self.annotations.entry(entry.to_owned()).or_default();
        match value {
            Some(value) => values.insert(user.to_owned(), value.to_owned()),
            None => values.remove(user),
        };
        self.annotations.retain(|_, values| !values.is_empty());
    }

    /// It is this server's, whatever moves have made of it: the list has it.
    pub(crate) fn listed(self) -> Header {
        Header { incoming: false, incoming_id: None, moved: None, moving: None, ..self }
    }

    /// Reads the header of the mailbox in `dir`.
    pub fn read(dir: &Path) -> Result<Header, StoreError> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path).doing("read", &path)?;
        let wrong = |what: &str| StoreError::damaged(&path, what);
        let (first, body) = text.split_once('\n').ok_or_else(|| wrong("header is cut short"))?;
        let mut words = first.split(' ');
        if words.next() != Some(MAGIC) {
            return Err(wrong("not a mailbox header"));
        }
        match words.next() {
            Some(VERSION) => {}
            version => return Err(wrong(&format!("header version {version:?} is not known here"))),
        }
        let sum = words.next().and_then(|w| u32::from_str_radix(w, 16).ok());
        if sum != Some(crc32fast::hash(body.as_bytes())) {
            return Err(wrong("header has a wrong checksum"));
        }
        serde_json::from_str(body).map_err(|e| wrong(&e.to_string()))
    }

    /// Replaces the header of the mailbox in `dir`: when this returns it is on disk.
    pub fn write(&self, dir: &Path) -> Result<(), StoreError> {
        replace_file(&dir.join(FILE), &self.encode(dir)?)
    }

    /// The header file of the mailbox in `dir`.
    pub(crate) fn encode(&self, dir: &Path) -> Result<Vec<u8>, StoreError> {
        let path = dir.join(FILE);
        let mut body =
            serde_json::to_string_pretty(self).map_err(|e| StoreError::damaged(&path, e.to_string()))?;
        body.push('\n');
        Ok(format!("{MAGIC} {VERSION} {:08x}\n{body}", crc32fast::hash(body.as_bytes())).into_bytes())
    }
}

/// Replaces a file by a synced one, and syncs its directory.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let (new, _) = write_new(path, bytes)?;
    fs::rename(&new, path).doing("rename", &new)?;
    sync_dir(path.parent().unwrap_or(path))
}

/// A synced file beside another one, which can be renamed over it; open.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(PathBuf, fs::File), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut options = fs::File::options();
    let mut file =
        options.read(true).write(true).create(true).truncate(true).open(&new).doing("create", &new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Best effort: what stays is overwritten the next time.
        let _ = fs::remove_file(&new);
        return Err(error).doing("write", &new);
    }
    Ok((new, file))
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    fs::File::open(dir).and_then(|d| d.sync_all()).doing("sync", dir)
}

/// Name of the file in a mailbox's directory.
pub const FILE: &str = "header";
const MAGIC: &str = "murder-mailbox";
const VERSION: &str = "1";
/// Option bits, as Cyrus numbers them: whether POP3 shows UIDs alone, whether \Seen is everybody's, whether what was delivered
/// once is delivered again.
pub const POP3_NEW_UIDL: u64 = 1;
pub const SHARED_SEEN: u64 = 1 << 2;
pub const DUPLICATE_DELIVER: u64 = 1 << 3;
