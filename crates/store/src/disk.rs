//! Places on disk: a mailbox's directory, room on a partition, the small database of what can be counted anew.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use protocol::name::MailboxName;
use tracing::warn;

use super::{
    error::{Doing, StoreError},
    header::Kept,
    quota::{Limits, Usage},
};
use crate::limits::CACHE;

/// The directory of a mailbox on a partition.
pub fn mailbox_dir(partition: &Path, id: &str) -> PathBuf {
    partition.join(id.get(..2).unwrap_or("00")).join(id)
}

/// Where a user's log lies. The user's name is escaped, so that no name leaves its directory.
pub fn user_dir(users: &Path, userid: &str) -> PathBuf {
    if userid.is_empty() {
        // Nobody's: what no escaped name can be.
        return users.join("%");
    }
    let mut safe = String::new();
    for (at, byte) in userid.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'@' => safe.push(char::from(byte)),
            b'.' if at > 0 => safe.push('.'),
            other => safe.push_str(&format!("%{other:02x}")),
        }
    }
    users.join(format!("{:02x}", crc32fast::hash(userid.as_bytes()) & 0xff)).join(safe)
}

/// The user of such a directory's name; none: it is nobody's.
pub fn user_of(dir: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), dir.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        (bytes, rest) = match first {
            b'%' => {
                let code = str::from_utf8(more.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(code, 16).ok()?);
                (bytes, more.get(2..)?)
            }
            byte => {
                bytes.push(*byte);
                (bytes, more)
            }
        };
    }
    String::from_utf8(bytes).ok().filter(|user| !user.is_empty())
}

/// Syncs the whole file system that a path lies on.
pub fn sync_filesystem(path: &Path) -> Result<(), StoreError> {
    let dir = File::open(path).doing("open", path)?;
    rustix::fs::syncfs(&dir).map_err(std::io::Error::from).doing("sync the file system of", path)
}

/// Available and total KiB of the file system that a path lies on, and its id.
pub fn space(path: &Path) -> Result<(u64, u64, u64), StoreError> {
    let stat = rustix::fs::statvfs(path).map_err(std::io::Error::from).doing("read the space of", path)?;
    let kib = |blocks: u64| (u128::from(blocks) * u128::from(stat.f_frsize) / 1024) as u64;
    Ok((kib(stat.f_bavail), kib(stat.f_blocks), stat.f_fsid))
}

/// A fresh UUID (version 4).
pub fn fresh_id() -> Result<String, StoreError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io {
        doing: "read random bytes".into(),
        error: Arc::new(std::io::Error::other(error.to_string())),
    })?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}

/// Removes a mailbox's directory with all in it.
pub fn sweep(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.doing("remove", dir),
    }
}

/// Links, over what may lie there from a time that does not count.
pub fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::remove_file(to)?;
            fs::hard_link(from, to)
        }
        other => other,
    }
}

/// What the database notes of a user's log, so that the log need not be opened for it.
pub struct Noted {
    /// The unique ids of mailboxes of which it has seen states.
    pub seen: Vec<String>,
    /// Whether a script of the user's is active.
    pub scripted: bool,
}

/// What can be counted anew from the spool: usage per mailbox, limits per quota root, recent deliveries; and
/// what is noted of users' logs.
#[derive(Clone)]
pub struct Database {
    db: sled::Db,
    usage: sled::Tree,
    limits: sled::Tree,
    meta: sled::Tree,
    /// By unique id: copies of mailboxes that were given away.
    kept: sled::Tree,
    /// By unique id and user: who has a seen state of a mailbox.
    seers: sled::Tree,
    /// By user: who has an active script. One who has none any more may still be here after a crash.
    scripted: sled::Tree,
    path: PathBuf,
}

impl Database {
    /// Opens the database; one that cannot be read is set aside, since all in it can be had again.
    pub fn open(dir: &Path) -> Result<Database, StoreError> {
        let path = dir.join("store.sled");
        let open = || sled::Config::new().path(&path).cache_capacity(CACHE).open();
        let db = match open() {
            Ok(db) => db,
            Err(error) if is_busy(&error) => return Err(failed(&error)),
            Err(error) => {
                let aside = dir.join(format!("store.sled.damaged-{}", std::process::id()));
                warn!(%error, aside = %aside.display(), "the store's database cannot be read and is rebuilt");
                fs::rename(&path, &aside).doing("set aside", &path)?;
                open().map_err(|e| failed(&e))?
            }
        };
        let tree = |name: &str| db.open_tree(name).map_err(|e| failed(&e));
        let (usage, limits, meta) = (tree("usage")?, tree("limits")?, tree("meta")?);
        let (kept, seers, scripted) = (tree("kept")?, tree("seers")?, tree("scripted")?);
        Ok(Database { db, usage, limits, meta, kept, seers, scripted, path })
    }

    pub fn deliveries(&self) -> Result<sled::Tree, StoreError> {
        self.db.open_tree("deliveries").map_err(|e| failed(&e))
    }

    /// See [`crate::articles`].
    pub fn articles(&self) -> Result<sled::Tree, StoreError> {
        self.db.open_tree("articles").map_err(|e| failed(&e))
    }

    /// See [`crate::marks`].
    pub fn marks(&self) -> Result<sled::Tree, StoreError> {
        self.db.open_tree("marks").map_err(|e| failed(&e))
    }

    /// Whether what is here was ever completed: false for a new database.
    pub fn is_complete(&self) -> bool {
        self.meta.contains_key("complete").unwrap_or(false)
    }

    pub fn set_complete(&self) -> Result<(), StoreError> {
        self.meta.insert("complete", &[1]).map_err(|e| failed(&e))?;
        self.flush()
    }

    pub fn usage(&self, id: &str) -> Option<Usage> {
        self.usage.get(id).ok().flatten().and_then(|v| Usage::decode(&v))
    }

    pub fn set_usage(&self, id: &str, usage: Option<Usage>) -> Result<(), StoreError> {
        let done = match usage {
            Some(usage) => self.usage.insert(id, usage.encode()),
            None => self.usage.remove(id),
        };
        done.map(drop).map_err(|e| failed(&e))
    }

    pub fn limits(&self) -> BTreeMap<MailboxName, Limits> {
        let read = |(key, value): (sled::IVec, sled::IVec)| {
            let name = MailboxName::parse(std::str::from_utf8(&key).ok()?).ok()?;
            Some((name, serde_json::from_slice(&value).ok()?))
        };
        self.limits.iter().filter_map(Result::ok).filter_map(read).collect()
    }

    pub fn set_limits(&self, root: &MailboxName, limits: Option<Limits>) -> Result<(), StoreError> {
        let done = match limits {
            Some(limits) => {
                self.limits.insert(root.as_str(), serde_json::to_vec(&limits).unwrap_or_default())
            }
            None => self.limits.remove(root.as_str()),
        };
        done.map_err(|e| failed(&e))?;
        Ok(())
    }

    /// Copies of mailboxes that were given away, by unique id.
    pub fn kept(&self) -> Vec<Kept> {
        let values = self.kept.iter().values().filter_map(Result::ok);
        values.filter_map(|value| serde_json::from_slice(&value).ok()).collect()
    }

    /// The kept copy of a unique id.
    pub fn kept_of(&self, id: &str) -> Option<Kept> {
        serde_json::from_slice(&self.kept.get(id).ok().flatten()?).ok()
    }

    /// Notes or (none) forgets such copies: on disk when it returns.
    pub fn set_kept<'a>(
        &self,
        copies: impl IntoIterator<Item = (&'a str, Option<&'a Kept>)>,
    ) -> Result<(), StoreError> {
        for (id, kept) in copies {
            match kept {
                Some(kept) => self.kept.insert(id, serde_json::to_vec(kept).unwrap_or_default()),
                None => self.kept.remove(id),
            }
            .map_err(|e| failed(&e))?;
        }
        self.flush()
    }

    /// Whether all seen states that there are have been noted.
    pub fn knows_seers(&self) -> Result<bool, StoreError> {
        self.meta.contains_key("seers").map_err(|e| failed(&e))
    }

    pub fn set_knows_seers(&self) -> Result<(), StoreError> {
        self.meta.insert("seers", &[1]).map_err(|e| failed(&e))?;
        self.flush()
    }

    /// Notes that a user has seen states of these mailboxes.
    pub fn add_seers<'a>(
        &self,
        user: &str,
        ids: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), StoreError> {
        for id in ids {
            self.seers.insert(format!("{id}\0{user}"), &[]).map_err(|e| failed(&e))?;
        }
        Ok(())
    }

    /// Users who have, or had, a seen state of a mailbox.
    pub fn seers(&self, id: &str) -> Result<Vec<String>, StoreError> {
        let prefix = format!("{id}\0");
        let mut found = Vec::new();
        for key in self.seers.scan_prefix(&prefix).keys() {
            let key = key.map_err(|e| failed(&e))?;
            let user = key.get(prefix.len()..).unwrap_or_default();
            found.push(String::from_utf8_lossy(user).into_owned());
        }
        Ok(found)
    }

    /// Notes whether a user has a script that runs.
    pub fn set_active_script(&self, user: &str, active: bool) -> Result<(), StoreError> {
        let done = if active { self.scripted.insert(user, &[]) } else { self.scripted.remove(user) };
        done.map(drop).map_err(|e| failed(&e))
    }

    /// Whether a user has, or had, a script that runs.
    pub fn has_active_script(&self, user: &str) -> Result<bool, StoreError> {
        self.scripted.contains_key(user).map_err(|e| failed(&e))
    }

    /// On disk when it returns.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|e| failed(&e))?;
        let file = self.path.join("db");
        // sled's own flush does not promise to outlive a power failure.
        File::open(&file).and_then(|f| f.sync_data()).doing("sync", &file)
    }
}

fn is_busy(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if matches!(io.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Other))
}

fn failed(error: &sled::Error) -> StoreError {
    StoreError::List(error.to_string())
}

/// Name of the directory of users' logs in the store's.
pub const USERS: &str = "users";
/// Name of a user's log in the user's directory.
pub const USER_LOG: &str = "log";
