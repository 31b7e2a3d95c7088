//! A list's history: where it stands, whose numbers it has, and from where others may go on.
//!
//! ```text
//! history = version(2) id(16 bytes) term seq flags floor jump      flags: 1 own numbering, 2 complete; jump since 2
//! ```

use protocol::mupdate::position::{ListId, Position};

use crate::{
    codec::{DecodeError, Reader, put_number},
    error::OpenError,
    options::{Options, Role},
    store::{self, Store, StoreError},
};

/// A list's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    pub position: Position,
    /// Whether the numbers are this list's own, not its upstream's.
    pub own: bool,
    /// Whether everything up to the position is here.
    pub complete: bool,
    /// Deletions up to this number may be forgotten: nobody resumes from before it.
    pub floor: u64,
    /// A replica came here by a full listing. Whoever is at a number before that may have what this list never had, and
    /// never deletes: nobody begins from there, though whoever was here all the time can go on.
    pub jump: u64,
}

impl History {
    /// The stored history; a new store gets one.
    ///
    /// A replica's numbers of its own end with its process: its disk follows behind, so that subscribers may know numbers
    /// that a new start would give to other changes. Nobody resumes from them.
    pub(crate) fn open(store: &dyn Store, options: &Options) -> Result<History, OpenError> {
        let owner = options.role == Role::Owner;
        if !owner {
            // It takes over other numbers, and may lose its last ones.
            store.forget_witness()?;
        }
        if let Some(bytes) = store.get(&[store::META])? {
            let mut history = History::decode(&bytes)?;
            // Unfinished is a crash in the middle of a synchronisation.
            if history.position.list == UNFINISHED || (!owner && history.own) {
                history.position.list = ListId((options.chance)());
                history.floor = history.position.seq;
                history.own = true;
            }
            history.check(store)?;
            return Ok(history);
        }
        let position = Position { list: ListId((options.chance)()), term: 1, seq: 0 };
        let history = History { position, own: true, complete: owner, floor: 0, jump: 0 };
        history.check(store)?;
        store.apply(vec![history.row()])?;
        store.sync()?;
        Ok(history)
    }

    /// An owner's rows must reach as far as is known to have been on disk. A database whose tail is cut or
    /// damaged opens as what it was before.
    fn check(&self, store: &dyn Store) -> Result<(), OpenError> {
        let Some(known) = store.witnessed() else { return Ok(()) };
        let here = self.position;
        if self.is_of(known) && known.seq <= here.seq {
            return Ok(());
        }
        let what = format!("it was on disk up to {known}, and tells of no more than {here}");
        Err(StoreError::Corrupt("mailbox list".into(), what).into())
    }

    /// Whether a position is one of this list's numbering.
    pub fn is_of(&self, position: Position) -> bool {
        (self.position.list, self.position.term) == (position.list, position.term)
    }

    /// A new identity with the numbers going on: nobody resumes from before.
    pub(crate) fn renumber(&mut self, id: ListId) {
        let seq = self.position.seq + 1;
        self.position = Position { list: id, term: 1, seq };
        self.floor = seq;
        self.own = true;
    }

    /// The row that it is stored in.
    pub(crate) fn row(&self) -> store::Write {
        (vec![store::META], Some(self.encode()))
    }

    /// The same while a synchronisation is written in several batches: nobody can resume from it, and it is no more
    /// complete than before.
    pub(crate) fn unfinished(&self, before: &History) -> History {
        let position = Position { list: UNFINISHED, ..self.position };
        History { position, complete: before.complete, ..*self }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.position.list.0.to_be_bytes());
        put_number(&mut out, self.position.term);
        put_number(&mut out, self.position.seq);
        out.push(u8::from(self.own) | u8::from(self.complete) << 1);
        put_number(&mut out, self.floor);
        put_number(&mut out, self.jump);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(bytes);
        let version = r.version(VERSION)?;
        let id = r.take(16)?.iter().fold(0u128, |id, &b| id << 8 | u128::from(b));
        let (term, seq, flags, floor) = (r.number()?, r.number()?, r.byte()?, r.number()?);
        let jump = if version == 1 { seq } else { r.number()? };
        let position = Position { list: ListId(id), term, seq };
        Ok(History { position, own: flags & 1 != 0, complete: flags & 2 != 0, floor, jump })
    }
}

/// Stands in a stored position while a synchronisation is written in several batches.
const UNFINISHED: ListId = ListId(0);
const VERSION: u8 = 2;
