//! An entry of the list, a list's position, and how both are stored.
//!
//! ```text
//! entry    = version(1) flags location acl mtime seq [moving] [local]       texts length-prefixed, numbers LEB128
//! flags    = 1 reserved | 2 has moving | 4 has local
//! local    = flags mbtype uniqueid uidvalidity createdmodseq foldermodseq mtime count *old-name
//! old-name = name mtime uidvalidity createdmodseq foldermodseq mbtype partition
//! ```

use std::sync::Arc;

use protocol::location::Location;

use crate::codec::{DecodeError, Reader, put_bytes, put_number};

/// Which server has a mailbox, and what everybody must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub state: State,
    pub location: Location,
    /// The ACL in Cyrus's internal form (`id TAB rights TAB …`), byte for byte; empty while reserved.
    pub acl: Arc<str>,
    /// When it last changed, epoch seconds. Where it is 0, the judge sets it.
    pub mtime: u64,
    /// Number of its last change; set by the judge, or by an authority that numbers otherwise.
    pub seq: u64,
    /// Where a move is taking it (backends only).
    pub moving: Option<Location>,
    /// What only the backend that holds the mailbox knows.
    pub local: Option<Arc<Local>>,
}

/// RFC 3656 section 2: a name is taken first, and visible once its mailbox exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    Reserved,
    Active,
}

impl Entry {
    pub fn active(location: Location, acl: impl Into<Arc<str>>) -> Self {
        Entry { state: State::Active, location, acl: acl.into(), mtime: 0, seq: 0, moving: None, local: None }
    }

    pub fn reserved(location: Location) -> Self {
        Entry {
            state: State::Reserved,
            location,
            acl: "".into(),
            mtime: 0,
            seq: 0,
            moving: None,
            local: None,
        }
    }

    pub fn with_local(mut self, local: Local) -> Self {
        self.local = Some(Arc::new(local));
        self
    }

    pub fn server(&self) -> &str {
        self.location.server()
    }

    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Whether both say the same on the wire: state, location, ACL.
    pub fn same_on_wire(&self, other: &Entry) -> bool {
        self.state == other.state && self.location == other.location && self.acl == other.acl
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48 + self.acl.len());
        out.push(VERSION);
        out.push(self.flags());
        put_bytes(&mut out, self.location.as_str().as_bytes());
        put_bytes(&mut out, self.acl.as_bytes());
        put_number(&mut out, self.mtime);
        put_number(&mut out, self.seq);
        self.encode_extra(&mut out);
        out
    }

    /// The entry as an authority keeps it that numbers by itself: without its number, as a version of this format and what follows
    /// it in a row.
    pub fn to_unnumbered(&self) -> Vec<u8> {
        Entry { seq: 0, ..self.clone() }.encode()
    }

    /// What [`Entry::to_unnumbered`] gave, with the number of its last change.
    pub fn from_unnumbered(bytes: &[u8], seq: u64) -> Result<Entry, DecodeError> {
        Ok(Entry { seq, ..Entry::decode(bytes)? })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(bytes);
        r.version(VERSION)?;
        let flags = r.byte()?;
        let location = location(r.text()?)?;
        let acl = r.shared()?;
        let (mtime, seq) = (r.number()?, r.number()?);
        let (moving, local) = Self::decode_extra(flags, &mut r)?;
        Ok(Entry { state: state_of(flags), location, acl, mtime, seq, moving, local })
    }

    pub(crate) fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.state == State::Reserved {
            flags |= RESERVED;
        }
        if self.moving.is_some() {
            flags |= MOVING;
        }
        if self.local.is_some() {
            flags |= LOCAL;
        }
        flags
    }

    pub(crate) fn encode_extra(&self, out: &mut Vec<u8>) {
        if let Some(moving) = &self.moving {
            put_bytes(out, moving.as_str().as_bytes());
        }
        if let Some(local) = &self.local {
            local.encode(out);
        }
    }

    pub(crate) fn decode_extra(
        flags: u8,
        r: &mut Reader<'_>,
    ) -> Result<(Option<Location>, Option<Arc<Local>>), DecodeError> {
        let moving = if flags & MOVING != 0 { Some(location(r.text()?)?) } else { None };
        let local = if flags & LOCAL != 0 { Some(Arc::new(Local::decode(r)?)) } else { None };
        Ok((moving, local))
    }
}

/// What a backend keeps beside the shared part of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Local {
    pub flags: Flags,
    /// Cyrus's type letters without flags: `e` email, `c` calendar, …
    pub mbtype: String,
    pub uniqueid: String,
    pub uidvalidity: u32,
    pub createdmodseq: u64,
    pub foldermodseq: u64,
    /// Epoch seconds.
    pub mtime: u64,
    pub name_history: Vec<OldName>,
}

/// A bit set of what a local mailbox also is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// A tombstone (`d` in a dump).
    pub const DELETED: Flags = Flags(1);
    /// Not a mailbox itself, only the parent of one (`i`).
    pub const INTERMEDIATE: Flags = Flags(2);
    /// Its directory is named after the mailbox, not after its id (`l`).
    pub const LEGACY_DIRS: Flags = Flags(4);

    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// A name that a mailbox had before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldName {
    pub name: String,
    pub mtime: u64,
    pub uidvalidity: u32,
    pub createdmodseq: u64,
    pub foldermodseq: u64,
    pub mbtype: String,
    pub partition: String,
}

impl Local {
    fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, u64::from(self.flags.0));
        put_bytes(out, self.mbtype.as_bytes());
        put_bytes(out, self.uniqueid.as_bytes());
        put_number(out, u64::from(self.uidvalidity));
        put_number(out, self.createdmodseq);
        put_number(out, self.foldermodseq);
        put_number(out, self.mtime);
        put_number(out, self.name_history.len() as u64);
        for old in &self.name_history {
            put_bytes(out, old.name.as_bytes());
            put_number(out, old.mtime);
            put_number(out, u64::from(old.uidvalidity));
            put_number(out, old.createdmodseq);
            put_number(out, old.foldermodseq);
            put_bytes(out, old.mbtype.as_bytes());
            put_bytes(out, old.partition.as_bytes());
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut local = Local {
            flags: Flags(small(r)?),
            mbtype: r.text()?.into(),
            uniqueid: r.text()?.into(),
            uidvalidity: small(r)?,
            createdmodseq: r.number()?,
            foldermodseq: r.number()?,
            mtime: r.number()?,
            name_history: Vec::new(),
        };
        for _ in 0..r.number()? {
            local.name_history.push(OldName {
                name: r.text()?.into(),
                mtime: r.number()?,
                uidvalidity: small(r)?,
                createdmodseq: r.number()?,
                foldermodseq: r.number()?,
                mbtype: r.text()?.into(),
                partition: r.text()?.into(),
            });
        }
        Ok(local)
    }
}

pub(crate) fn state_of(flags: u8) -> State {
    if flags & RESERVED != 0 { State::Reserved } else { State::Active }
}

fn location(text: &str) -> Result<Location, DecodeError> {
    Location::parse(text).map_err(|_| DecodeError::Damaged("location"))
}

fn small(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(r.number()?).map_err(|_| DecodeError::Damaged("number too large"))
}

const VERSION: u8 = 1;
const RESERVED: u8 = 1;
const MOVING: u8 = 2;
const LOCAL: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn old_name() -> impl Strategy<Value = OldName> {
        ("[a-z.]{0,9}", any::<u64>(), any::<u32>(), any::<u64>()).prop_map(
            |(name, mtime, uidvalidity, modseq)| OldName {
                name,
                mtime,
                uidvalidity,
                createdmodseq: modseq,
                foldermodseq: modseq / 2,
                mbtype: "e".into(),
                partition: "default".into(),
            },
        )
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let local =
            ("[a-z]{0,2}", "[0-9a-f]{0,12}", any::<u32>(), proptest::collection::vec(old_name(), 0..3));
        let local = local.prop_map(|(mbtype, uniqueid, uidvalidity, name_history)| Local {
            flags: Flags::DELETED | Flags::LEGACY_DIRS,
            mbtype,
            uniqueid,
            uidvalidity,
            createdmodseq: 7,
            foldermodseq: u64::MAX,
            mtime: 1,
            name_history,
        });
        let shared = (any::<bool>(), "[a-z.]{1,9}![a-z]{0,4}", "[a-z\t]{0,20}", any::<u64>(), any::<u64>());
        (shared, proptest::option::of(local), any::<bool>()).prop_map(
            |((reserved, place, acl, mtime, seq), local, moving)| Entry {
                state: if reserved { State::Reserved } else { State::Active },
                location: Location::parse(&place).unwrap(),
                acl: acl.into(),
                mtime,
                seq,
                moving: moving.then(|| Location::parse("be9!p").unwrap()),
                local: local.map(Arc::new),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(entry in entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode()).unwrap(), entry);
        }

        #[test]
        fn a_value_cut_anywhere_is_refused(entry in entry(), cut in any::<prop::sample::Index>()) {
            let bytes = entry.encode();
            prop_assert!(Entry::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        assert_eq!(Entry::decode(&[9, 0]), Err(DecodeError::Newer(9)));
    }
}
