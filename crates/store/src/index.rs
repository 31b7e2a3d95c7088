//! The index of a mailbox: an append-only log of operations, each change one frame.
//!
//! What an operation does is [`View::apply`]'s alone, when it is made and when it is read: so reading gives the [`View`] back. A frame that is cut or damaged ends the log: what was acknowledged and is not
//! in its place comes back from the commit log. Compaction writes the present state as a file of the next generation.

use std::{fs, path::Path};

use tracing::warn;

use super::{
    codec::{Reader, Truncated, put_frame, take_frame, take_unsealed},
    error::{Doing, StoreError},
    logfile,
    op::Op,
    tombstones::Run,
    view::View,
};

/// An index read from its file.
#[derive(Debug)]
pub struct Loaded {
    pub view: View,
    pub version: u32,
    pub generation: u64,
    /// Bytes of the file that count: where the next frame goes.
    pub len: u64,
    /// The file is longer: its tail was torn or damaged, or never held.
    pub torn: bool,
    /// UIDs of the messages that came with a change that never held: a crash came before its seal ([`crate::commit`]).
    pub unsealed: Option<Vec<u32>>,
}

/// Reads the index of the mailbox in `dir`, and cuts a torn tail off the file.
pub fn load(dir: &Path) -> Result<Loaded, StoreError> {
    let path = dir.join(FILE);
    let bytes = fs::read(&path).doing("read", &path)?;
    let loaded = parse(&bytes).ok_or_else(|| {
        let why = match logfile::version(&bytes).filter(|_| bytes.starts_with(MAGIC)) {
            Some(version) if version > FORMAT => format!(
                "an index of format {version}, and this program knows {FORMAT} and older: it is of a newer version"
            ),
            _ => "not an index".to_owned(),
        };
        StoreError::damaged(&path, why)
    })?;
    if loaded.torn {
        match &loaded.unsealed {
            Some(uids) => sweep(dir, uids),
            None => keep_tail(dir, &loaded, &bytes)?,
        }
        let file = fs::File::options().write(true).open(&path).doing("open", &path)?;
        file.set_len(loaded.len).and_then(|()| file.sync_all()).doing("cut", &path)?;
    }
    Ok(loaded)
}

/// Removes the files of messages that came with a change that never held.
fn sweep(dir: &Path, uids: &[u32]) {
    for uid in uids {
        // What cannot be removed is known to nobody, and goes with the expiry.
        let _ = fs::remove_file(dir.join(format!("{uid}.")));
    }
}

/// Keeps what is cut off, for whoever wants to look.
fn keep_tail(dir: &Path, loaded: &Loaded, bytes: &[u8]) -> Result<(), StoreError> {
    let tail = bytes.get(loaded.len as usize..).unwrap_or_default();
    let (kept, index) = (dir.join(DAMAGED), dir.join(FILE));
    warn!(index = %index.display(), at = loaded.len, lost = tail.len(), "index cut at its last good record");
    fs::write(&kept, tail).doing("write", &kept)
}

/// Reads the bytes of an index file; none where not even its first bytes are right.
pub fn parse(bytes: &[u8]) -> Option<Loaded> {
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let (version, generation) = (logfile::version(bytes)?, logfile::parse(bytes, FORMAT).ok()?);
    let mut at = logfile::HEADER as usize;
    let mut view = View::default();
    while let Some((payload, len)) = bytes.get(at..).and_then(|rest| take_frame(rest, generation)) {
        if play(&mut view, payload).is_err() {
            break;
        }
        at += len;
    }
    let torn = at != bytes.len();
    let left = bytes.get(at..).and_then(|rest| take_unsealed(rest, generation));
    let unsealed = left.and_then(|payload| decode(payload).ok()).map(|ops| arrivals(&view, &ops));
    Some(Loaded { view, version, generation, len: at as u64, torn, unsealed })
}

/// The messages that operations bring to a mailbox which does not have them.
fn arrivals(view: &View, ops: &[Op]) -> Vec<u32> {
    let uid = |op: &Op| match op {
        Op::Append(record) => Some(record.uid),
        _ => None,
    };
    ops.iter().filter_map(uid).filter(|uid| *uid > view.last_uid).collect()
}

/// A whole index file that holds a view.
pub fn snapshot(view: &View, generation: u64) -> Vec<u8> {
    let mut out = logfile::header(MAGIC, FORMAT, generation);
    let mut payload = Vec::new();
    state(view).encode(&mut payload);
    for word in view.keywords.iter() {
        Op::Keyword(word.clone()).encode(&mut payload);
    }
    put_frame(&mut out, generation, &payload);
    for settings in view.metadata.in_runs() {
        payload.clear();
        Op::Metadata { modseq: 0, settings }.encode(&mut payload);
        put_frame(&mut out, generation, &payload);
    }
    let live = view.records.iter().map(|r| (r, false));
    let expunged = view.expunged.iter().map(|r| (r, true));
    let all: Vec<_> = live.chain(expunged).collect();
    for some in all.chunks(SNAPSHOT_FRAME) {
        payload.clear();
        for (record, expunged) in some {
            payload.push(if *expunged { 11 } else { 3 });
            record.encode(&mut payload);
        }
        put_frame(&mut out, generation, &payload);
    }
    let gone: Vec<&Run> = view.tombstones.iter().collect();
    for some in gone.chunks(SNAPSHOT_FRAME) {
        payload.clear();
        some.iter().for_each(|run| Op::Gone(**run).encode(&mut payload));
        put_frame(&mut out, generation, &payload);
    }
    out
}

/// The numbers of a view.
pub fn state(view: &View) -> Op {
    Op::State {
        uidvalidity: view.uidvalidity,
        last_uid: view.last_uid,
        highestmodseq: view.highestmodseq,
        deletedmodseq: view.deletedmodseq,
        recentuid: view.recentuid,
        last_append: view.last_append,
        pop3: view.pop3_last_login,
    }
}

/// Applies the operations of a frame, all or none.
fn play(view: &mut View, payload: &[u8]) -> Result<(), Truncated> {
    decode(payload)?.into_iter().for_each(|op| view.apply(op));
    Ok(())
}

fn decode(payload: &[u8]) -> Result<Vec<Op>, Truncated> {
    let mut r = Reader(payload);
    let mut ops = Vec::new();
    while !r.is_empty() {
        ops.push(Op::decode(&mut r)?);
    }
    Ok(ops)
}

/// Name of the file in a mailbox's directory.
pub const FILE: &str = "index";
pub const MAGIC: &[u8; 8] = b"MURDERIX";
/// 1 knew nothing of messages whose records are gone. A file of it is read, and goes on as it is until it is compacted, since what
/// is appended to it says the same in both; or until the mailbox gets annotations, which 1 did not know either ([`Op::format`]).
pub const FORMAT: u32 = 2;
/// A tail that was cut off.
const DAMAGED: &str = "index.cut";
/// Records in one frame of a compacted file.
const SNAPSHOT_FRAME: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, System};

    fn record(uid: u32, modseq: u64) -> Record {
        Record {
            uid,
            modseq,
            createdmodseq: 1,
            internaldate: 0,
            savedate: 0,
            last_updated: 9,
            size: 1,
            header_size: 0,
            guid: [0; 20],
            flags: System::NONE,
            keywords: 0,
            cache: 0,
            annotations: None,
        }
    }

    /// As the builds before format 2 wrote it: compacted, and gone on from there.
    fn first_format() -> Vec<u8> {
        let mut out = logfile::header(MAGIC, 1, 7);
        let mut frame = |ops: &[Op]| {
            let mut payload = Vec::new();
            ops.iter().for_each(|op| op.encode(&mut payload));
            put_frame(&mut out, 7, &payload);
        };
        let base =
            View { uidvalidity: 3, last_uid: 6, highestmodseq: 9, deletedmodseq: 4, ..View::default() };
        frame(&[state(&base)]);
        frame(&[Op::Append(record(2, 5)), Op::Append(record(5, 6)), Op::Append(record(6, 6))]);
        // By UID, whenever they went.
        frame(&[Op::Expunged(record(1, 8)), Op::Expunged(record(3, 5)), Op::Expunged(record(4, 5))]);
        frame(&[Op::Expunge { uid: 5, modseq: 10, time: 11 }, Op::Forget { uid: 5, modseq: 10 }]);
        out
    }

    #[test]
    fn an_index_of_the_first_format_knows_what_is_gone_and_is_written_in_the_second() {
        let old = parse(&first_format()).unwrap();
        assert!(!old.torn);
        assert_eq!(old.view.vanished_since(3), None, "that was forgotten then");
        for view in [&old.view, &parse(&snapshot(&old.view, 8)).unwrap().view] {
            assert_eq!(view.vanished_since(4), Some(vec![(1, 1), (3, 5)]));
            assert_eq!(view.vanished_since(8), Some(vec![(5, 5)]));
            assert_eq!((view.exists(), view.expunged.len(), view.deletedmodseq), (2, 3, 4));
        }
        assert_eq!(logfile::version(&snapshot(&old.view, 8)), Some(2));
    }

    #[test]
    fn an_index_of_a_newer_format_is_refused_by_name_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut newer = logfile::header(MAGIC, FORMAT + 1, 7);
        put_frame(&mut newer, 7, b"\xffwhat is not known");
        fs::write(dir.path().join(FILE), &newer).unwrap();
        let why = load(dir.path()).unwrap_err().to_string();
        assert!(why.contains("format 3") && why.contains("newer"), "{why}");
        assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), newer);
    }
}
