//! The operations on a mailbox, as its index holds them.

use std::sync::Arc;

use super::{
    annotations::Setting,
    codec::{Reader, Truncated, put_bytes, put_number},
    record::{Annotation, Record, System},
    tombstones::Run,
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
    /// An expunged message that is still remembered: in compacted files of format 1 only, which say nothing else of what is gone.
    Expunged(Record),
    /// The same in later formats, which have a [`Op::Gone`] for it.
    Kept(Record),
    /// UIDs that are gone: in a compacted file only, since each expunge says so itself.
    Gone(Run),
    /// An expunged message goes for good; that it was there is still known.
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
    /// A keyword bit gets another word, or (empty) none: no message has it.
    Rename {
        bit: u8,
        word: Arc<str>,
    },
    /// Annotations of the mailbox itself, set or removed at once.
    Metadata {
        modseq: u64,
        settings: Vec<Setting>,
    },
}

impl Op {
    /// The format of the index file that knows the operation.
    pub fn format(&self) -> u32 {
        match self {
            Op::Metadata { .. } | Op::Rename { .. } => 2,
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
            other => other.encode_rare(out),
        }
    }

    /// Those that are not of every message.
    fn encode_rare(&self, out: &mut Vec<u8>) {
        match self {
            Op::Kept(record) => {
                out.push(11);
                record.encode(out);
            }
            Op::Gone(Run { first, last, modseq, time }) => {
                out.push(12);
                put_number(out, u64::from(*first));
                put_number(out, u64::from(last - first));
                put_number(out, *modseq);
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
            Op::Rename { bit, word } => {
                out.extend_from_slice(&[RENAME, *bit]);
                put_bytes(out, word.as_bytes());
            }
            Op::Metadata { modseq, settings } => {
                out.push(METADATA);
                put_number(out, *modseq);
                put_number(out, settings.len() as u64);
                settings.iter().for_each(|setting| setting.encode(out));
            }
            Op::State { .. }
            | Op::Keyword(_)
            | Op::Append(_)
            | Op::Flags { .. }
            | Op::Expunge { .. }
            | Op::Expunged(_)
            | Op::Forget { .. }
            | Op::Recent(_)
            | Op::Pop3(_) => {}
        }
    }

    pub fn decode(r: &mut Reader<'_>) -> Result<Op, Truncated> {
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
            11 => Op::Kept(Record::decode(r)?),
            12 => {
                let (first, more) = (r.number32()?, r.number32()?);
                let last = first.checked_add(more).ok_or(Truncated)?;
                Op::Gone(Run { first, last, modseq: r.number()?, time: r.time()? })
            }
            RENAME => Op::Rename { bit: r.byte()?, word: r.text()?.into() },
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

const METADATA: u8 = 20;
const RENAME: u8 = 21;
