//! What is on disk of moves: `<configdirectory>/murder/backend/moves/<id>.json`, one file a move, on both sides.
//!
//! A file is replaced as a whole and synced before the step that it announces: the phase that it names is where a restart goes on.
//! One line with a checksum, then JSON. It is not the journal of mailbox operations, whose rule is that the list decides: a copy that
//! comes in is in no list.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use protocol::name::MailboxName;
use serde::{Deserialize, Serialize};

use crate::{id::MoveId, is_uniqueid, limits};

/// The directory of moves of one backend.
#[derive(Debug)]
pub struct Journals {
    dir: PathBuf,
}

/// One move, as one side knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub id: MoveId,
    /// Internal name of the mailbox whose entry at the master decides.
    pub root: String,
    /// What moves, the root first.
    pub items: Vec<Item>,
    /// The whole copies (rounds) that are at the destination.
    pub round: u32,
    /// Epoch seconds.
    pub started: u64,
    /// What the master must still say of the root for the switch to be done. Set before the switch.
    pub expected: Option<Expected>,
    /// Why it was aborted, or waits; for a reader.
    pub why: Option<String>,
    pub role: Role,
}

/// A mailbox that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Internal name.
    pub name: String,
    pub uniqueid: String,
    /// Where it lies at the source, and where it is to lie.
    pub partition: String,
    pub to_partition: String,
    /// In Cyrus's internal form, as the master is to have it.
    pub acl: String,
    /// What proves both copies equal, as the source said before the switch; hexadecimal.
    #[serde(default)]
    pub digest: Option<String>,
}

/// What the master said of the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The id of the master's list. Another one means that the master knows nothing of this move.
    pub list: String,
    /// Number of the entry's last change: `active@source#n`.
    pub n: u64,
}

/// Which side this is, and what only that side knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum Role {
    Source {
        phase: crate::source::Phase,
        /// Server that takes the mailboxes.
        to: String,
        /// Messages and their bytes that were sent.
        messages: u64,
        bytes: u64,
        asked_by: String,
        /// Epoch seconds.
        frozen_at: Option<u64>,
        /// Until when the copy stays, epoch seconds.
        keep_until: Option<u64>,
        /// The master has the other items at the destination too.
        followed: bool,
    },
    Destination {
        phase: crate::destination::Phase,
        /// Server that gives the mailboxes.
        from: String,
        /// Epoch seconds.
        prepared_at: Option<u64>,
    },
}

/// Why the moves on disk cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{doing} {}: {error}", path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
    #[error("{}: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    /// A later program wrote it.
    #[error("{}: format {format} of moves is not known to this program: a newer one wrote it", path.display())]
    Newer { path: PathBuf, format: String },
}

impl Record {
    /// Names that this move has to itself: nobody makes, removes or reconciles a mailbox of such a name meanwhile.
    pub fn is_busy(&self) -> bool {
        use crate::{destination::Phase as Destination, source::Phase as Source};
        match &self.role {
            Role::Source { phase, followed, .. } => match phase {
                Source::Queued | Source::Copying | Source::Switching | Source::Switched => true,
                Source::Kept => !followed,
                Source::Aborted => false,
            },
            Role::Destination { phase, .. } => match phase {
                Destination::Incoming | Destination::Prepared | Destination::Committed => true,
                Destination::Done | Destination::Aborted => false,
            },
        }
    }

    /// The directories of these mailboxes belong to this move: nobody sweeps them.
    pub fn holds_directories(&self) -> bool {
        use crate::{destination::Phase as Destination, source::Phase as Source};
        match &self.role {
            Role::Source { phase, .. } => *phase != Source::Aborted,
            Role::Destination { phase, .. } => *phase != Destination::Aborted,
        }
    }

    fn check(&self) -> Result<(), String> {
        MailboxName::parse(&self.root).map_err(|error| format!("root '{}': {error}", self.root))?;
        for item in &self.items {
            MailboxName::parse(&item.name).map_err(|error| format!("item '{}': {error}", item.name))?;
            if !is_uniqueid(&item.uniqueid) {
                return Err(format!("item '{}': '{}' is no mailbox's id", item.name, item.uniqueid));
            }
        }
        Ok(())
    }
}

impl Journals {
    /// The moves below the backend's directory, which is made where it is not there. Blocks.
    ///
    /// # Errors
    /// A file cannot be read, is damaged, or is of a later program: none is passed over, as it may hold a move's only word.
    pub fn open(backend: &Path) -> Result<(Journals, Vec<Record>), JournalError> {
        let dir = backend.join(DIRECTORY);
        fs::create_dir_all(&dir).map_err(io("create", &dir))?;
        // A directory that a crash takes back would take the journals with it.
        sync_dir(backend)?;
        let records = Journals::read(backend)?;
        Ok((Journals { dir }, records))
    }

    /// The moves, for a tool that opens nothing. Blocks.
    pub fn read(backend: &Path) -> Result<Vec<Record>, JournalError> {
        let dir = backend.join(DIRECTORY);
        let listed = match fs::read_dir(&dir) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io("read", &dir)(error)),
        };
        let mut records = Vec::new();
        for file in listed {
            let path = file.map_err(io("read", &dir))?.path();
            // Any other name: half of a record, whose step was not taken.
            if path.extension().is_some_and(|extension| extension == "json") {
                records.push(read(&path)?);
            }
        }
        records.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Ok(records)
    }

    /// Writes where a move stands: on disk when this returns. Blocks.
    pub fn write(&self, record: &Record) -> Result<(), JournalError> {
        let path = self.path(&record.id);
        let damaged = |what: String| JournalError::Damaged { path: path.clone(), what };
        record.check().map_err(damaged)?;
        let mut body = serde_json::to_string_pretty(record).map_err(|error| damaged(error.to_string()))?;
        body.push('\n');
        let format = if record.id.is_with_cyrus() { FORMAT_CYRUS } else { FORMAT };
        let text = format!("{MAGIC} {format} {:08x}\n{body}", crc32fast::hash(body.as_bytes()));
        replace(&path, text.as_bytes())?;
        sync_dir(&self.dir)
    }

    /// Forgets a move. Blocks.
    pub fn remove(&self, id: &MoveId) -> Result<(), JournalError> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", &path)(error)),
            _ => sync_dir(&self.dir),
        }
    }

    fn path(&self, id: &MoveId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

fn read(path: &Path) -> Result<Record, JournalError> {
    let damaged = |what: &str| JournalError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(io("open", path))?;
    let read = file.take(limits::FILE).read_to_string(&mut text).map_err(io("read", path))?;
    if read as u64 == limits::FILE {
        limits::rows::FILE.met(format_args!("{}", path.display()));
        return Err(damaged("too long for a move"));
    }
    let (first, body) = text.split_once('\n').ok_or_else(|| damaged("a move's file is cut short"))?;
    let mut words = first.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(damaged("no file of a move"));
    }
    match words.next() {
        Some(FORMAT | FORMAT_CYRUS) => {}
        format => {
            let format = format.unwrap_or_default().to_owned();
            return Err(JournalError::Newer { path: path.to_owned(), format });
        }
    }
    let sum = words.next().and_then(|word| u32::from_str_radix(word, 16).ok());
    if sum != Some(crc32fast::hash(body.as_bytes())) {
        return Err(damaged("a move's file has a wrong checksum"));
    }
    let record: Record = serde_json::from_str(body).map_err(|error| damaged(&error.to_string()))?;
    record.check().map_err(|what| damaged(&what))?;
    if path.file_stem().is_none_or(|stem| stem != record.id.as_str()) {
        return Err(damaged("the file of another move"));
    }
    Ok(record)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new).map_err(io("create", &new))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Best effort: what stays is overwritten the next time.
        let _ = fs::remove_file(&new);
        return Err(io("write", &new)(error));
    }
    fs::rename(&new, path).map_err(io("rename", &new))
}

fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |error| JournalError::Io { doing, path, error }
}

/// Name of the directory below the backend's.
pub const DIRECTORY: &str = "moves";
const MAGIC: &str = "murder-move";
const FORMAT: &str = "1";
/// Of a move from or to a server of Cyrus: a program that would talk to that as to one of ours refuses it.
const FORMAT_CYRUS: &str = "2";
