//! The spool alone rebuilds everything: the list, quota limits and usage from the headers and indexes, and an index
//! from the message files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use config::imapd::Imapd;
use mailboxes::{Change, Entry, Flags, List, Local, OldName};
use protocol::{
    location::{Location, ServerName},
    name::MailboxName,
};
use sha1::{Digest, Sha1};
use tracing::{info, warn};

use super::{
    disk::{Database, USERS},
    error::{Doing, StoreError},
    header::{self, Header, Kept, replace_file},
    index,
    op::Op,
    quota::Usage,
    record::{Record, System},
    userlog,
    view::View,
};
use crate::limits::REBUILD_BATCH;
use mime::Structure;

/// A mailbox found on disk.
pub struct Found {
    pub dir: PathBuf,
    pub partition: String,
    pub header: Header,
}

/// What a reconstruction of one index did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// Message files that the index did not know.
    pub adopted: usize,
    /// Records without a message file.
    pub lost: usize,
}

/// Makes list, usage and limits anew from what lies on the partitions. Blocks.
pub fn all(imapd: &Imapd, server: &ServerName, list: &List, db: &Database) -> Result<(), StoreError> {
    let mut by_name: BTreeMap<MailboxName, Found> = BTreeMap::new();
    let (here, elsewhere) = spool(imapd)?;
    note_kept(db, &elsewhere)?;
    for found in here {
        let name = found.header.name()?;
        match by_name.get(&name) {
            // Two claim one name: the one that changed last has it, the other is kept on disk and told.
            Some(other) if other.header.mtime >= found.header.mtime => conflict(&found, other),
            Some(other) => {
                conflict(other, &found);
                by_name.insert(name, found);
            }
            None => drop(by_name.insert(name, found)),
        }
    }
    let mut changes = Vec::new();
    let count = by_name.len();
    let users = imapd.program_directory("backend").join(USERS);
    let bare = userlog::without(&users, by_name.keys()).len();
    for (user, noted) in userlog::all_noted(&users)? {
        db.set_active_script(&user, noted.scripted)?;
    }
    for (name, found) in by_name {
        let view = match index::load(&found.dir) {
            Ok(loaded) => loaded.view,
            Err(error) => {
                warn!(%error, mailbox = %name, "the index is made anew");
                repair(&found.dir, &found.header)?;
                index::load(&found.dir)?.view
            }
        };
        db.set_usage(&found.header.uniqueid, Some(Usage::of(&view)))?;
        db.set_limits(&name, found.header.limits)?;
        changes.push(Change::put(name, entry(server, &found.partition, &found.header)?));
        if changes.len() >= REBUILD_BATCH {
            list.commit_blocking(std::mem::take(&mut changes))?;
        }
    }
    list.commit_blocking(changes)?;
    if count > 0 {
        info!(mailboxes = count, "the mailbox list was made anew from the spool");
    }
    if bare > 0 {
        warn!(
            users = bare,
            "users without subscriptions and seen states of shared mailboxes: these are not in the spool but in {}; put it back \
             from a backup while the backend is stopped, or the users subscribe anew",
            users.display()
        );
    }
    Ok(())
}

/// All mailboxes on the partitions. A directory without a readable header is told and passed over.
pub fn mailboxes(imapd: &Imapd) -> Result<Vec<Found>, StoreError> {
    spool(imapd).map(|(here, _)| here)
}

/// Notes anew which mailboxes were given away: their copies say so.
fn note_kept(db: &Database, elsewhere: &[Found]) -> Result<(), StoreError> {
    let kept = |found: &Found| {
        let moved = found.header.moved.clone()?;
        Some(Kept {
            name: found.header.name.clone(),
            uniqueid: found.header.uniqueid.clone(),
            partition: found.partition.clone(),
            to: moved.to,
            id: moved.id,
            at: moved.at,
            acl: found.header.acl.clone(),
        })
    };
    let kept: Vec<Kept> = elsewhere.iter().filter_map(kept).collect();
    db.set_kept(kept.iter().map(|kept| (kept.uniqueid.as_str(), Some(kept))))
}

/// The same, and the copies that are not this server's: that a move brings, or took away.
fn spool(imapd: &Imapd) -> Result<(Vec<Found>, Vec<Found>), StoreError> {
    let (mut all, mut elsewhere) = (Vec::new(), Vec::new());
    for partition in imapd.partitions() {
        for hash in subdirectories(&partition.path)?.into_iter().filter(|d| is_hash(d)) {
            for dir in subdirectories(&hash)? {
                match Header::read(&dir) {
                    Ok(header) if header.incoming => {
                        elsewhere.push(Found { dir, partition: partition.name.clone(), header });
                    }
                    Ok(header) => all.push(Found { dir, partition: partition.name.clone(), header }),
                    Err(error) => warn!(%error, "a directory of the spool is no mailbox"),
                }
            }
        }
    }
    Ok((all, elsewhere))
}

/// The list's entry of a mailbox.
pub fn entry(server: &ServerName, partition: &str, header: &Header) -> Result<Entry, StoreError> {
    let location = Location::new(server, partition);
    Ok(Entry::active(location, header.acl.as_str()).with_local(local(header)))
}

/// What the list keeps of a header.
pub fn local(header: &Header) -> Local {
    let former = |old: &header::FormerName| OldName {
        name: old.name.clone(),
        mtime: old.mtime,
        uidvalidity: old.uidvalidity,
        createdmodseq: old.createdmodseq,
        foldermodseq: old.foldermodseq,
        mbtype: old.mbtype.clone(),
        partition: old.partition.clone(),
    };
    Local {
        flags: Flags::default(),
        mbtype: header.mbtype.clone(),
        uniqueid: header.uniqueid.clone(),
        uidvalidity: header.uidvalidity,
        createdmodseq: header.createdmodseq,
        foldermodseq: header.foldermodseq,
        mtime: header.mtime,
        name_history: header.name_history.iter().map(former).collect(),
    }
}

/// Makes an index agree with the message files beside it: unknown files become messages under their UID, records
/// without a file are expunged. Nobody else may have the mailbox open. Blocks.
pub fn repair(dir: &Path, header: &Header) -> Result<Repaired, StoreError> {
    let (mut view, generation) = match index::load(dir) {
        Ok(loaded) => (loaded.view, loaded.generation + 1),
        Err(_) => {
            let now = seconds(std::time::SystemTime::now()).unsigned_abs();
            // A modification sequence that is above all before, at less than one change a second. What went is not known.
            (View { highestmodseq: now, deletedmodseq: now + 1, ..View::default() }, now)
        }
    };
    view.uidvalidity = header.uidvalidity;
    let files = messages(dir)?;
    let mut repaired = Repaired::default();
    let modseq = view.highestmodseq + 1;
    let time = seconds(std::time::SystemTime::now());
    let uids: Vec<u32> = view.records.iter().map(|record| record.uid).collect();
    for uid in uids.into_iter().filter(|uid| !files.contains_key(uid)) {
        view.apply(Op::Expunge { uid, modseq, time });
        view.apply(Op::Forget { uid, modseq });
        repaired.lost += 1;
    }
    for (uid, path) in &files {
        if view.get(*uid).is_none() && view.expunged.get(*uid).is_none() {
            view.apply(Op::Append(adopt(*uid, path, modseq)?));
            repaired.adopted += 1;
        }
    }
    if repaired != Repaired::default() || !dir.join(index::FILE).exists() {
        view.highestmodseq = modseq;
        replace_file(&dir.join(index::FILE), &index::snapshot(&view, generation))?;
    }
    Ok(repaired)
}

fn adopt(uid: u32, path: &Path, modseq: u64) -> Result<Record, StoreError> {
    let bytes = fs::read(path).doing("read", path)?;
    let modified = fs::metadata(path).and_then(|m| m.modified()).doing("read", path)?;
    let time = seconds(modified);
    Ok(Record {
        uid,
        modseq,
        createdmodseq: modseq,
        internaldate: time,
        savedate: time,
        last_updated: time,
        size: bytes.len() as u64,
        header_size: Structure::parse(&bytes).header_size(),
        guid: Sha1::digest(&bytes).into(),
        flags: System::NONE,
        keywords: 0,
        // No structure lies there: it is read from the message.
        cache: u64::from(u32::MAX) << 16,
        annotations: None,
    })
}

/// The message files of a mailbox, by UID.
pub fn messages(dir: &Path) -> Result<BTreeMap<u32, PathBuf>, StoreError> {
    let mut found = BTreeMap::new();
    for item in fs::read_dir(dir).doing("read", dir)? {
        let path = item.doing("read", dir)?.path();
        let uid = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix('.'));
        if let Some(uid) = uid.and_then(|n| n.parse::<u32>().ok()).filter(|uid| *uid > 0) {
            found.insert(uid, path);
        }
    }
    Ok(found)
}

fn conflict(passed_over: &Found, kept: &Found) {
    warn!(
        mailbox = %kept.header.name,
        kept = %kept.dir.display(),
        passed_over = %passed_over.dir.display(),
        "two mailboxes on disk have one name"
    );
}

fn subdirectories(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir).doing("read", dir)? {
        let item = item.doing("read", dir)?;
        if item.file_type().doing("read", dir)?.is_dir() {
            found.push(item.path());
        }
    }
    Ok(found)
}

fn is_hash(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    // The ids of other servers are not hexadecimal, all of them.
    name.len() == 2 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn seconds(time: std::time::SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}
