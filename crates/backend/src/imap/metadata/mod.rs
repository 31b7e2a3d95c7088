//! Annotations of mailboxes and of the server (RFC 5464): which there are and who may set them ([`known`], [`definitions`]), and
//! how they are read and set, of a mailbox ([`mailbox`]) and of the server ([`server`]).

pub mod definitions;
pub mod known;
pub mod mailbox;
pub mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::acl::Rights;
use protocol::imap::Refusal;
use protocol::imap::command::metadata::{Entry, Options};
use work::aside::{Budget, Spent};

use super::session::Session;
use definitions::Scope;
use known::{Access, Known};

/// What there is of one mailbox, or of the server, for one user.
pub type Present = BTreeMap<Entry, Arc<[u8]>>;

/// Values as they are answered: none is NIL.
pub type Answered = Vec<(Entry, Option<Arc<[u8]>>)>;

/// What of a mailbox's annotations was asked for.
#[derive(Debug, Default)]
pub struct Picked {
    pub values: Answered,
    /// Bytes of the longest value that was left out (`MAXSIZE`).
    pub longest: Option<u64>,
}

/// Picks the entries that are asked for. One that is asked for by its name, and is not there, is NIL.
pub fn pick(
    present: &Present,
    entries: &[Entry],
    options: Options,
    budget: Option<&Budget>,
) -> Result<Picked, Spent> {
    let (mut picked, mut told) = (Picked::default(), BTreeSet::new());
    let mut take = |entry: &Entry, value: Option<&Arc<[u8]>>| {
        if !told.insert(entry.clone()) {
            return;
        }
        let size = value.map_or(0, |value| value.len() as u64);
        match options.max_size {
            Some(most) if size > u64::from(most) => picked.longest = picked.longest.max(Some(size)),
            _ => picked.values.push((entry.clone(), value.cloned())),
        }
    };
    for entry in entries {
        if !entry.is_wide(options.depth) {
            take(entry, present.get(entry));
            continue;
        }
        for (name, value) in present.iter().filter(|(name, _)| name.private == entry.private) {
            if let Some(budget) = budget {
                budget.check()?;
            }
            if entry.means(&name.name, options.depth) {
                take(name, Some(value));
            }
        }
    }
    Ok(picked)
}

/// What a set of rights lets a user set: [`Access::Write`] and [`Access::Admin`] of shared entries, and private ones.
#[derive(Debug, Clone, Copy)]
pub struct May {
    pub shared: bool,
    pub admin: bool,
    pub private: bool,
    pub rights: Rights,
}

/// The value to be kept, if the user may set the entry to it.
fn settable(
    session: &Session,
    scope: Scope,
    may: May,
    entry: &Entry,
    value: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, Refusal> {
    let known = match scope {
        Scope::Server => known::SERVER,
        Scope::Mailbox => known::MAILBOX,
        Scope::Message => known::MESSAGE,
    };
    let allowed = if entry.private { may.private } else { may.shared };
    let (form, allowed) = match known.iter().find(|known| known.name == entry.name) {
        Some(Known { private: Some(access), form, .. }) if entry.private => {
            (*form, allowed && *access == Access::Write)
        }
        Some(Known { shared: Some(access), form, .. }) if !entry.private => (
            *form,
            match access {
                Access::Read => false,
                Access::Write => allowed,
                Access::Admin => may.admin,
            },
        ),
        Some(_) => return Err(Refusal::Denied),
        None => undefined(session, scope, may, entry).map(|form| (form, allowed))?,
    };
    if !allowed {
        return Err(Refusal::Denied);
    }
    match value {
        Some(value) => form.kept(value).map(Some).ok_or(Refusal::BadAnnotation),
        None => Ok(None),
    }
}

/// Whether the user may set an annotation of a message to a value.
pub fn message_entry(
    session: &Session,
    may: May,
    name: &str,
    private: bool,
    value: Option<&[u8]>,
) -> Result<(), Refusal> {
    // Those of a part are named after the whole message's.
    let bare = name.trim_start_matches(|c: char| c == '/' || c == '.' || c.is_ascii_digit());
    let entry = Entry { private, name: if bare.is_empty() { name.to_owned() } else { format!("/{bare}") } };
    settable(session, Scope::Message, may, &entry, value).map(drop)
}

/// An entry that is not of the table: a site's own, or any, where that is allowed. The product's are never made up.
fn undefined(session: &Session, scope: Scope, may: May, entry: &Entry) -> Result<definitions::Form, Refusal> {
    let own = [known::VENDOR, known::OURS].iter().any(|own| {
        entry.name.strip_prefix(own).is_some_and(|below| below.is_empty() || below.starts_with('/'))
    });
    if let Some(defined) = session.server.shared.definitions.find(scope, &entry.name) {
        let kind = if entry.private { defined.private } else { defined.shared };
        return if kind && may.rights.contains(defined.rights) {
            Ok(defined.form)
        } else {
            Err(Refusal::Denied)
        };
    }
    match session.server.imapd.annotation_allow_undefined && !own {
        true => Ok(definitions::Form::Text),
        false => Err(Refusal::Denied),
    }
}
