//! Which names moves have to do with, for whoever compares a backend's list with the MUPDATE master's.
//!
//! One look at the records, and then one look-up for each name: a backend has a million names, and keeps what it gave away for days.

use std::collections::HashMap;

use mailboxes::reconcile::Busy;
use protocol::{location::Location, name::MailboxName};

use crate::{
    destination,
    journal::{Record, Role},
    source,
};

/// What moves have to do with names, at one moment.
#[derive(Debug, Default)]
pub struct Names {
    by_name: HashMap<String, Vec<Part>>,
}

/// The part of a name in one move.
#[derive(Debug)]
struct Part {
    started: u64,
    /// None: the move has the name, and nothing of it yet.
    uniqueid: Option<String>,
    end: End,
}

#[derive(Debug)]
enum End {
    /// It is not over.
    Open,
    GivenTo(Location),
    CameFrom(String),
}

impl Names {
    /// Of the moves that are on disk.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Names {
        let mut names = Names::default();
        for record in records {
            if record.is_busy() {
                let root = Part { started: record.started, uniqueid: None, end: End::Open };
                names.by_name.entry(record.root.clone()).or_default().push(root);
            }
            for item in &record.items {
                let end = match &record.role {
                    _ if record.is_busy() => End::Open,
                    Role::Source { phase: source::Phase::Kept, to, .. } => {
                        match Location::parse(&format!("{to}!{}", item.to_partition)) {
                            Ok(to) => End::GivenTo(to),
                            Err(_) => continue,
                        }
                    }
                    Role::Destination { phase: destination::Phase::Done, from, .. } => {
                        End::CameFrom(from.clone())
                    }
                    Role::Source { .. } | Role::Destination { .. } => continue,
                };
                let part = Part { started: record.started, uniqueid: Some(item.uniqueid.clone()), end };
                names.by_name.entry(item.name.clone()).or_default().push(part);
            }
        }
        names
    }

    /// What is going on with a name; `here` is the unique id of the mailbox of this name that the backend lists, if it does. The
    /// latest move counts, and a mailbox that was made anew since is no move's.
    pub fn busy(&self, name: &MailboxName, here: Option<&str>) -> Busy {
        let parts = self.by_name.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        if parts.iter().any(|part| matches!(part.end, End::Open)) {
            return Busy::Moving;
        }
        // Of two in one second: the one that fits what is here.
        let fits = |part: &Part| match part.end {
            End::GivenTo(_) => here.is_none(),
            End::CameFrom(_) => here.is_some() && here == part.uniqueid.as_deref(),
            End::Open => false,
        };
        match parts.iter().max_by_key(|part| (part.started, fits(part))) {
            Some(Part { end: End::GivenTo(to), .. }) if here.is_none() => Busy::Given { to: to.clone() },
            Some(Part { end: End::CameFrom(from), uniqueid, .. }) if here == uniqueid.as_deref() => {
                Busy::Arrived { from: from.clone() }
            }
            _ => Busy::Free,
        }
    }
}
