//! What the index knows of one message: everything that a replica needs, so that a mailbox can be copied by its index.

use std::sync::Arc;

use mime::ThreadKeys;
use protocol::flag::Flag;
use sha1::{Digest, Sha1};

use super::codec::{Reader, Truncated, put_bytes, put_number};

/// One message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub uid: u32,
    /// Raised by each change of the message.
    pub modseq: u64,
    /// The modification sequence that it was appended with.
    pub createdmodseq: u64,
    /// INTERNALDATE, epoch seconds.
    pub internaldate: i64,
    /// When it came into this mailbox, epoch seconds.
    pub savedate: i64,
    /// When the record last changed, epoch seconds.
    pub last_updated: i64,
    /// Bytes (RFC822.SIZE).
    pub size: u64,
    /// Bytes of the header with its blank line.
    pub header_size: u32,
    /// SHA-1 of the message.
    pub guid: [u8; 20],
    pub flags: System,
    /// Bit n: the keyword `View::keywords()[n]`.
    pub keywords: u128,
    /// Where its structure lies in the cache file.
    pub cache: u64,
    pub annotations: Option<Arc<Vec<Annotation>>>,
}

/// A message annotation (RFC 5257).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub entry: String,
    /// Whose it is; empty: everybody's.
    pub user: String,
    pub value: Vec<u8>,
}

impl Annotation {
    /// What it takes with its name, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.entry.len() + self.user.len() + self.value.len()) as u64
    }
}

/// System flags as a bit set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct System(pub u8);

impl System {
    pub const NONE: System = System(0);
    pub const ANSWERED: System = System(1);
    pub const FLAGGED: System = System(2);
    pub const DELETED: System = System(4);
    pub const DRAFT: System = System(8);
    /// The owner's (or everybody's, where a mailbox shares it).
    pub const SEEN: System = System(16);
    pub const ALL: System = System(31);

    /// Whether all flags of `other` are set.
    pub fn has(self, other: System) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    pub fn with(self, other: System) -> System {
        System(self.0 | other.0)
    }

    /// The flags that `other` has not.
    pub fn without(self, other: System) -> System {
        System(self.0 & !other.0)
    }

    /// The bit of a flag; none for keywords.
    pub fn of(flag: &Flag) -> Option<System> {
        match flag {
            Flag::Answered => Some(System::ANSWERED),
            Flag::Flagged => Some(System::FLAGGED),
            Flag::Deleted => Some(System::DELETED),
            Flag::Draft => Some(System::DRAFT),
            Flag::Seen => Some(System::SEEN),
            Flag::Keyword(_) => None,
        }
    }

    /// The flags of the set, in the order in which FETCH shows them.
    pub fn flags(self) -> impl Iterator<Item = Flag> {
        let all = [
            (System::ANSWERED, Flag::Answered),
            (System::FLAGGED, Flag::Flagged),
            (System::DRAFT, Flag::Draft),
            (System::DELETED, Flag::Deleted),
            (System::SEEN, Flag::Seen),
        ];
        all.into_iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, flag)| flag)
    }
}

impl Record {
    /// Whether the message has all these flags.
    pub fn has(&self, flag: System) -> bool {
        self.flags.has(flag)
    }

    /// The thread that the message is in: the same wherever it is copied to, and for all messages that go back to one. It is made of
    /// the eldest message-id that the message names, its own where it answers none, and of the message where it has none either.
    pub fn thread(&self, keys: Option<ThreadKeys<'_>>) -> u64 {
        let eldest = keys.and_then(|mut keys| keys.references.next().or(keys.message_id));
        let hash = match eldest {
            Some(id) => Sha1::digest(id).into(),
            None => self.guid,
        };
        let [a, b, c, d, e, f, g, h, ..] = hash;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// SHA-1 in hexadecimal: OBJECTID's EMAILID, and the GUID of replication.
    pub fn guid_hex(&self) -> String {
        self.guid.iter().map(|b| format!("{b:02x}")).collect()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, u64::from(self.uid));
        put_number(out, self.modseq);
        put_number(out, self.createdmodseq);
        for time in [self.internaldate, self.savedate, self.last_updated] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        put_number(out, self.size);
        put_number(out, u64::from(self.header_size));
        out.extend_from_slice(&self.guid);
        out.push(self.flags.0);
        out.extend_from_slice(&self.keywords.to_le_bytes());
        put_number(out, self.cache);
        let annotations = self.annotations.as_deref().map_or(&[][..], Vec::as_slice);
        put_number(out, annotations.len() as u64);
        for annotation in annotations {
            put_bytes(out, annotation.entry.as_bytes());
            put_bytes(out, annotation.user.as_bytes());
            put_bytes(out, &annotation.value);
        }
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Record, Truncated> {
        let uid = r.number32()?;
        let (modseq, createdmodseq) = (r.number()?, r.number()?);
        let (internaldate, savedate, last_updated) = (r.time()?, r.time()?, r.time()?);
        let (size, header_size) = (r.number()?, r.number32()?);
        let guid = r.array::<20>()?;
        let flags = System(r.byte()? & System::ALL.0);
        let keywords = u128::from_le_bytes(r.array::<16>()?);
        let cache = r.number()?;
        let mut annotations = Vec::new();
        for _ in 0..r.number()? {
            let (entry, user) = (r.text()?.to_owned(), r.text()?.to_owned());
            annotations.push(Annotation { entry, user, value: r.bytes()?.to_vec() });
        }
        let annotations = (!annotations.is_empty()).then(|| Arc::new(annotations));
        Ok(Record {
            uid,
            modseq,
            createdmodseq,
            internaldate,
            savedate,
            last_updated,
            size,
            header_size,
            guid,
            flags,
            keywords,
            cache,
            annotations,
        })
    }
}
