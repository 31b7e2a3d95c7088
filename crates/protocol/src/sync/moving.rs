//! What only servers of ours say to one another while a mailbox moves: values of `SYNCAPPLY` that Cyrus has not.
//!
//! ```text
//! C: M1 SYNCAPPLY XBEGIN %(ID … FROM be1 ROOT user.fred PARTITION default BYTES 5000 ITEMS (%(UNIQUEID … MBOXNAME …) …))
//! S: * XHAVE (%(UNIQUEID … LAST_UID 9 HIGHESTMODSEQ 33 DIGEST …) …)
//! S: M1 OK success
//! C: M2 SYNCAPPLY MESSAGE (…)                     and LOCAL_MAILBOX, SUB, SEEN, …: the round
//! C: M3 SYNCAPPLY XROUND %(ID … ROUND 1 ITEMS (…))
//! C: M4 SYNCAPPLY XPREPARE %(ID … USER <digest> DIGESTS (%(UNIQUEID … DIGEST …) …))
//! C: M5 SYNCAPPLY XCOMMIT %(ID …)                 or XABORT
//! C: M6 SYNCAPPLY XSTATE %(ID …)
//! S: * XSTATE %(ID … PHASE COMMITTED)
//! ```

use std::fmt;

use crate::grammar::{Cursor, ParseError, Parsed, number, number64};
use crate::location::ServerName;
use crate::name::MailboxName;

use super::dlist::{self, Writer};
use super::user::name;
use super::{UniqueId, ids, set, take};

/// The id of a move, which names its journals: no path leads out of it.
pub type MoveId = UniqueId;

/// SHA-256 over what two copies must have in common.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Digest(pub [u8; 32]);

/// XBEGIN: a move begins, or goes on after a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    pub id: MoveId,
    /// The source.
    pub from: ServerName,
    /// The name whose entry at the master decides.
    pub root: MailboxName,
    pub partition: String,
    pub items: Vec<Item>,
    /// How many bytes come, about.
    pub bytes: u64,
}

/// A mailbox that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub uniqueid: UniqueId,
    pub name: MailboxName,
}

/// What the destination has of a mailbox already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    pub uniqueid: UniqueId,
    pub last_uid: u32,
    pub highestmodseq: u64,
    pub digest: Digest,
}

/// XROUND: all of a round has been sent; the items are these now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    pub id: MoveId,
    /// From 1.
    pub round: u32,
    pub items: Vec<Item>,
}

/// XPREPARE: the source is frozen, and this is what the copies must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare {
    pub id: MoveId,
    /// Of the user's own state; none: a shared mailbox moves.
    pub user: Option<Digest>,
    pub digests: Vec<(UniqueId, Digest)>,
    /// The master's list, and the number of the root's entry in it that the switch expects: `list:number`.
    pub fence: Option<String>,
}

/// How far the destination is: what it says to XSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has no journal of the move.
    Unknown,
    Incoming,
    Prepared,
    Committed,
    Done,
    Aborted,
}

/// `* XSTATE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub id: MoveId,
    pub phase: Phase,
}

impl Begin {
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Begin> {
        let (mut id, mut from, mut root, mut partition) = (None, None, None, None);
        let (mut moving, mut bytes) = (Vec::new(), 0);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"ID" => set(at, UniqueId::parse, &mut id),
            b"FROM" => set(at, server, &mut from),
            b"ROOT" => set(at, name, &mut root),
            b"PARTITION" => set(at, dlist::string, &mut partition),
            b"ITEMS" => take(at, items, &mut moving).map(|at| (at, ())),
            b"BYTES" => take(at, number64, &mut bytes).map(|at| (at, ())),
            _ => dlist::skip(at),
        })?;
        let (Some(id), Some(from), Some(root), Some(partition)) = (id, from, root, partition) else {
            return Err(ParseError::Missing.into());
        };
        Ok((at, Begin { id, from, root, partition, items: moving, bytes }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("ID").text(self.id.as_str());
            out.key("FROM").text(self.from.as_str());
            out.key("ROOT").text(self.root.as_str());
            out.key("PARTITION").text(&self.partition);
            out.key("BYTES").number(self.bytes);
            write_items(&self.items, out);
        });
    }
}

impl Item {
    fn parse(at: Cursor<'_>) -> Parsed<'_, Item> {
        let (mut uniqueid, mut mailbox) = (None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"UNIQUEID" => set(at, UniqueId::parse, &mut uniqueid),
            b"MBOXNAME" => set(at, name, &mut mailbox),
            _ => dlist::skip(at),
        })?;
        let (Some(uniqueid), Some(name)) = (uniqueid, mailbox) else {
            return Err(ParseError::Missing.into());
        };
        Ok((at, Item { uniqueid, name }))
    }
}

fn items(at: Cursor<'_>) -> Parsed<'_, Vec<Item>> {
    let mut items = Vec::new();
    let (at, ()) = dlist::list(at, |at| super::push(at, Item::parse, &mut items))?;
    Ok((at, items))
}

fn write_items(items: &[Item], out: &mut Writer<'_>) {
    out.key("ITEMS").list(|out| {
        for item in items {
            out.fields(|out| {
                out.key("UNIQUEID").text(item.uniqueid.as_str());
                out.key("MBOXNAME").text(item.name.as_str());
            });
        }
    });
}

impl Have {
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Have> {
        let (mut uniqueid, mut last_uid, mut highestmodseq, mut digest) = (None, None, None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"UNIQUEID" => set(at, UniqueId::parse, &mut uniqueid),
            b"LAST_UID" => set(at, number, &mut last_uid),
            b"HIGHESTMODSEQ" => set(at, number64, &mut highestmodseq),
            b"DIGEST" => set(at, Digest::parse, &mut digest),
            _ => dlist::skip(at),
        })?;
        let read = || {
            Some(Have {
                uniqueid: uniqueid?,
                last_uid: last_uid?,
                highestmodseq: highestmodseq?,
                digest: digest?,
            })
        };
        Ok((at, read().ok_or(ParseError::Missing)?))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("UNIQUEID").text(self.uniqueid.as_str());
            out.key("LAST_UID").number(self.last_uid);
            out.key("HIGHESTMODSEQ").number(self.highestmodseq);
            out.key("DIGEST").text(self.digest.to_string());
        });
    }
}

impl Round {
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Round> {
        let (mut id, mut round, mut moving) = (None, None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"ID" => set(at, UniqueId::parse, &mut id),
            b"ROUND" => set(at, number, &mut round),
            b"ITEMS" => set(at, items, &mut moving),
            _ => dlist::skip(at),
        })?;
        let (Some(id), Some(round), Some(items)) = (id, round, moving) else {
            return Err(ParseError::Missing.into());
        };
        Ok((at, Round { id, round, items }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("ID").text(self.id.as_str());
            out.key("ROUND").number(self.round);
            write_items(&self.items, out);
        });
    }
}

impl Prepare {
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Prepare> {
        let (mut id, mut user, mut digests, mut fence) = (None, None, Vec::new(), None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"ID" => set(at, UniqueId::parse, &mut id),
            b"USER" => set(at, Digest::parse, &mut user),
            b"FENCE" => set(at, dlist::string, &mut fence),
            b"DIGESTS" => dlist::list(at, |at| super::push(at, one_digest, &mut digests)),
            _ => dlist::skip(at),
        })?;
        Ok((at, Prepare { id: id.ok_or(ParseError::Missing)?, user, digests, fence }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("ID").text(self.id.as_str());
            self.user.iter().for_each(|digest| out.key("USER").text(digest.to_string()));
            self.fence.iter().for_each(|fence| out.key("FENCE").text(fence));
            out.key("DIGESTS").list(|out| {
                for (uniqueid, digest) in &self.digests {
                    out.fields(|out| {
                        out.key("UNIQUEID").text(uniqueid.as_str());
                        out.key("DIGEST").text(digest.to_string());
                    });
                }
            });
        });
    }
}

fn one_digest(at: Cursor<'_>) -> Parsed<'_, (UniqueId, Digest)> {
    let (mut uniqueid, mut digest) = (None, None);
    let (at, ()) = dlist::fields(at, |key, at| match key {
        b"UNIQUEID" => set(at, UniqueId::parse, &mut uniqueid),
        b"DIGEST" => set(at, Digest::parse, &mut digest),
        _ => dlist::skip(at),
    })?;
    let (Some(uniqueid), Some(digest)) = (uniqueid, digest) else { return Err(ParseError::Missing.into()) };
    Ok((at, (uniqueid, digest)))
}

/// Reads `%(ID …)`: XCOMMIT, XABORT, XSTATE.
pub(super) fn id(at: Cursor<'_>) -> Parsed<'_, MoveId> {
    let mut id = None;
    let (at, ()) = dlist::fields(at, |key, at| match key {
        b"ID" => set(at, UniqueId::parse, &mut id),
        _ => dlist::skip(at),
    })?;
    Ok((at, id.ok_or(ParseError::Missing)?))
}

pub(super) fn write_id(id: &MoveId, out: &mut Writer<'_>) {
    out.fields(|out| out.key("ID").text(id.as_str()));
}

impl State {
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, State> {
        let (mut id, mut phase) = (None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"ID" => set(at, UniqueId::parse, &mut id),
            b"PHASE" => set(at, Phase::parse, &mut phase),
            _ => dlist::skip(at),
        })?;
        let (Some(id), Some(phase)) = (id, phase) else { return Err(ParseError::Missing.into()) };
        Ok((at, State { id, phase }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("ID").text(self.id.as_str());
            out.key("PHASE").word(self.phase.word());
        });
    }
}

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Phase::Unknown => "UNKNOWN",
            Phase::Incoming => "INCOMING",
            Phase::Prepared => "PREPARED",
            Phase::Committed => "COMMITTED",
            Phase::Done => "DONE",
            Phase::Aborted => "ABORTED",
        }
    }

    fn parse(at: Cursor<'_>) -> Parsed<'_, Phase> {
        let (rest, word) = dlist::text(at)?;
        let phase = Phase::ALL.into_iter().find(|phase| phase.word().as_bytes() == &*word);
        Ok((rest, phase.ok_or(ParseError::Invalid("phase"))?))
    }

    const ALL: [Phase; 6] =
        [Phase::Unknown, Phase::Incoming, Phase::Prepared, Phase::Committed, Phase::Done, Phase::Aborted];
}

impl Digest {
    fn parse(at: Cursor<'_>) -> Parsed<'_, Digest> {
        let (rest, text) = dlist::text(at)?;
        Ok((rest, Digest(ids::hex(&text).ok_or(ParseError::Invalid("digest"))?)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

fn server(at: Cursor<'_>) -> Parsed<'_, ServerName> {
    let (rest, text) = dlist::string(at)?;
    Ok((rest, ServerName::parse(&text).map_err(|_| ParseError::Invalid("server"))?))
}
