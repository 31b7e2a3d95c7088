//! The index of a mailbox: an append-only log of operations, each change one frame.
//!
//! What an operation does is [`View::apply`]'s alone, when it is made and when it is read: so reading gives the [`View`] back. A frame that is cut or damaged ends the log: what was acknowledged and is not
//! in its place comes back from the commit log. Compaction writes the present state as a file of the next generation.

use std::{fs, path::Path, sync::Arc};

use tracing::warn;

use super::{
    codec::{Reader, Truncated, put_bytes, put_frame, put_number, take_frame},
    error::{Doing, StoreError},
    logfile::{self, NoLog},
    metadata::Setting,
    record::{Annotation, Record, System},
    view::View,
};

/// One operation on a mailbox.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The numbers of the mailbox as a whole.
    State {
        uidvalidity: u32,
        last_uid: u32,
        highestmodseq: u64,
        deletedmodseq: u64,
        recentuid: u32,
        last_append: i64,
        pop3: i64,
    },
    /// The next keyword bit gets its word.
    Keyword(Arc<str>),
    Append(Record),
    Flags {
        uid: u32,
        modseq: u64,
        flags: System,
        keywords: u128,
        time: i64,
    },
    Expunge {
        uid: u32,
        modseq: u64,
        time: i64,
    },
    /// An expunged message that is still remembered: in a compacted file only.
    Expunged(Record),
    /// An expunged message is no longer remembered.
    Forget {
        uid: u32,
        modseq: u64,
    },
    Recent(u32),
    Pop3(i64),
    Annotate {
        uid: u32,
        modseq: u64,
        annotations: Vec<Annotation>,
    },
    /// Annotations of the mailbox itself, set or removed at once.
    Metadata {
        modseq: u64,
        settings: Vec<Setting>,
    },
}

impl Op {
    /// The version of the index file that knows the operation.
    pub fn version(&self) -> u32 {
        match self {
            Op::Metadata { .. } => 2,
            _ => 1,
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Op::State {
                uidvalidity,
                last_uid,
                highestmodseq,
                deletedmodseq,
                recentuid,
                last_append,
                pop3,
            } => {
                out.push(1);
                put_number(out, u64::from(*uidvalidity));
                put_number(out, u64::from(*last_uid));
                put_number(out, *highestmodseq);
                put_number(out, *deletedmodseq);
                put_number(out, u64::from(*recentuid));
                out.extend_from_slice(&last_append.to_le_bytes());
                out.extend_from_slice(&pop3.to_le_bytes());
            }
            Op::Keyword(word) => {
                out.push(2);
                put_bytes(out, word.as_bytes());
            }
            Op::Append(record) => {
                out.push(3);
                record.encode(out);
            }
            Op::Flags { uid, modseq, flags, keywords, time } => {
                out.push(4);
                put_number(out, u64::from(*uid));
                put_number(out, *modseq);
                out.push(flags.0);
                out.extend_from_slice(&keywords.to_le_bytes());
                out.extend_from_slice(&time.to_le_bytes());
            }
            Op::Expunge { uid, modseq, time } => {
                out.push(5);
                put_number(out, u64::from(*uid));
                put_number(out, *modseq);
                out.extend_from_slice(&time.to_le_bytes());
            }
            Op::Expunged(record) => {
                out.push(6);
                record.encode(out);
            }
            Op::Forget { uid, modseq } => {
                out.push(7);
                put_number(out, u64::from(*uid));
                put_number(out, *modseq);
            }
            Op::Recent(uid) => {
                out.push(8);
                put_number(out, u64::from(*uid));
            }
            Op::Pop3(time) => {
                out.push(9);
                out.extend_from_slice(&time.to_le_bytes());
            }
            Op::Annotate { uid, modseq, annotations } => {
                out.push(10);
                put_number(out, u64::from(*uid));
                put_number(out, *modseq);
                put_number(out, annotations.len() as u64);
                for a in annotations {
                    put_bytes(out, a.entry.as_bytes());
                    put_bytes(out, a.user.as_bytes());
                    put_bytes(out, &a.value);
                }
            }
            Op::Metadata { modseq, settings } => {
                out.push(METADATA);
                put_number(out, *modseq);
                put_number(out, settings.len() as u64);
                settings.iter().for_each(|setting| setting.encode(out));
            }
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Op, Truncated> {
        Ok(match r.byte()? {
            1 => Op::State {
                uidvalidity: r.number32()?,
                last_uid: r.number32()?,
                highestmodseq: r.number()?,
                deletedmodseq: r.number()?,
                recentuid: r.number32()?,
                last_append: r.time()?,
                pop3: r.time()?,
            },
            2 => Op::Keyword(r.text()?.into()),
            3 => Op::Append(Record::decode(r)?),
            4 => Op::Flags {
                uid: r.number32()?,
                modseq: r.number()?,
                flags: System(r.byte()? & System::ALL.0),
                keywords: u128::from_le_bytes(r.array()?),
                time: r.time()?,
            },
            5 => Op::Expunge { uid: r.number32()?, modseq: r.number()?, time: r.time()? },
            6 => Op::Expunged(Record::decode(r)?),
            7 => Op::Forget { uid: r.number32()?, modseq: r.number()? },
            8 => Op::Recent(r.number32()?),
            9 => Op::Pop3(r.time()?),
            10 => {
                let (uid, modseq) = (r.number32()?, r.number()?);
                let mut annotations = Vec::new();
                for _ in 0..r.number()? {
                    let (entry, user) = (r.text()?.to_owned(), r.text()?.to_owned());
                    annotations.push(Annotation { entry, user, value: r.bytes()?.to_vec() });
                }
                Op::Annotate { uid, modseq, annotations }
            }
            METADATA => {
                let (modseq, mut settings) = (r.number()?, Vec::new());
                for _ in 0..r.number()? {
                    settings.push(Setting::decode(r)?);
                }
                Op::Metadata { modseq, settings }
            }
            _ => return Err(Truncated),
        })
    }
}

/// An index read from its file.
#[derive(Debug)]
pub struct Loaded {
    pub view: View,
    pub version: u32,
    pub generation: u64,
    /// Bytes of the file that count: where the next frame goes.
    pub len: u64,
    /// The file is longer: its tail was torn or damaged.
    pub torn: bool,
}

/// Reads the index of the mailbox in `dir`, and cuts a torn tail off the file.
pub fn load(dir: &Path) -> Result<Loaded, StoreError> {
    let path = dir.join(FILE);
    let bytes = fs::read(&path).doing("read", &path)?;
    let loaded = parse(&bytes).map_err(|why| StoreError::damaged(&path, format!("not an index: {why}")))?;
    if loaded.torn {
        let kept = dir.join(DAMAGED);
        warn!(index = %path.display(), at = loaded.len, lost = bytes.len() as u64 - loaded.len, "index cut at its last good record");
        fs::write(&kept, bytes.get(loaded.len as usize..).unwrap_or_default()).doing("write", &kept)?;
        let file = fs::File::options().write(true).open(&path).doing("open", &path)?;
        file.set_len(loaded.len).and_then(|()| file.sync_all()).doing("cut", &path)?;
    }
    Ok(loaded)
}

/// Reads the bytes of an index file; an error where not even its first bytes are right.
pub fn parse(bytes: &[u8]) -> Result<Loaded, NoLog> {
    if !bytes.starts_with(MAGIC) {
        return Err(NoLog::Damaged);
    }
    let logfile::Start { version, generation } = logfile::parse(bytes)?;
    let mut at = logfile::HEADER as usize;
    let mut view = View::default();
    while let Some((payload, len)) = bytes.get(at..).and_then(|rest| take_frame(rest, generation)) {
        if play(&mut view, payload).is_err() {
            break;
        }
        at += len;
    }
    let torn = at != bytes.len();
    Ok(Loaded { view, version, generation, len: at as u64, torn })
}

/// A whole index file that holds a view.
pub fn snapshot(view: &View, generation: u64) -> Vec<u8> {
    let mut out = logfile::header(MAGIC, generation);
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
            payload.push(if *expunged { 6 } else { 3 });
            record.encode(&mut payload);
        }
        put_frame(&mut out, generation, &payload);
    }
    out
}

fn state(view: &View) -> Op {
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
    let mut r = Reader(payload);
    let mut ops = Vec::new();
    while !r.is_empty() {
        ops.push(Op::decode(&mut r)?);
    }
    ops.into_iter().for_each(|op| view.apply(op));
    Ok(())
}

const METADATA: u8 = 20;
/// Name of the file in a mailbox's directory.
pub const FILE: &str = "index";
pub const MAGIC: &[u8; 8] = b"MURDERIX";
/// A tail that was cut off, for who wants to look.
const DAMAGED: &str = "index.cut";
/// Records in one frame of a compacted file.
const SNAPSHOT_FRAME: usize = 1000;
