//! XFER: mailboxes go to another backend.
//!
//! `XFER what server [partition]`, where `what` is a partition of this backend (all that has a mailbox on it), a pattern of LIST's, or a
//! name: an INBOX, which takes the user along with everything, or a shared mailbox. Each has a line of its own when it is over. Where one
//! of them stays, the end is NO: Cyrus says OK if one of them went.

use std::collections::BTreeSet;

use mailboxes::LIST_PAGE;
use protocol::imap::command::admin::Xfer;
use protocol::imap::{Refusal, Reply, Tag};
use protocol::name::MailboxName;
use protocol::namespace::Namespace;
use store::{Store, StoreError};

use crate::imap::limits::{XFERRED, rows};
use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::Session;
use crate::imap::user::User;
use crate::moving::Wanted;

/// Something that goes as one: a user by the INBOX, or a shared mailbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    root: MailboxName,
    owner: Option<String>,
}

pub async fn run(session: &mut Session, tag: &Tag, xfer: Xfer) -> Outcome {
    let user = session.user()?;
    if !user.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let Some(moving) = session.server.shared.moving.clone() else {
        return Err(Refusal::NotMoved(xfer.mailbox.clone(), xfer.server.clone()).into());
    };
    if session.is_here(&xfer.server) {
        return Err(Refusal::WrongServer.into());
    }
    let asked_by = user.login.userid.clone();
    let pieces = pieces(session, &xfer.mailbox).await?;
    let (one, mut failed) = (pieces.len() == 1, None);
    for piece in pieces {
        let what = session.says(&piece)?;
        let above = quota_above(session, &piece.root);
        let wanted = Wanted::new(&piece.root, &xfer.server, xfer.partition.as_deref(), &asked_by);
        let done = match session.finish(tag, moving.ask(wanted)).await {
            Ok(live) => {
                let line = || live.line(tag, moving.why(&live).as_deref());
                session.finish_telling(line, moving.ended(&live)).await
            }
            Err(text) => Err(text),
        };
        match done {
            Ok(()) => {
                Reply::ok(what).write(None, session.conn.out());
                if let Some(root) = above {
                    Reply::ok(both_count(session, &root, &xfer.server)?).write(None, session.conn.out());
                }
            }
            Err(text) => {
                Reply::no(format!("{what} ({text})")).write(None, session.conn.out());
                failed.get_or_insert(text);
            }
        }
        session.conn.flush().await?;
    }
    Ok(match failed {
        None => Reply::completed(),
        Some(text) if one => Reply::no(text),
        Some(_) => Reply::no("Not all of them could be moved"),
    })
}

impl Session {
    fn says(&self, piece: &Piece) -> Result<String, Stop> {
        Ok(match &piece.owner {
            Some(owner) => format!("USER {owner}"),
            None => {
                let external = self.user()?.external(&piece.root, &self.server.namespace);
                format!("MAILBOX \"{external}\"")
            }
        })
    }

    /// Whether somebody else's mailboxes may go.
    fn may_go(&self, piece: &Piece) -> Result<(), Stop> {
        let own = piece.owner.as_ref() == Some(&self.user()?.login.userid);
        let movable = match &piece.owner {
            Some(_) => piece.root.is_inbox() && self.server.imapd.allowusermoves && !own,
            None => !self.server.namespace.is_deleted(&piece.root),
        };
        if !movable {
            return Err(Refusal::NotSupported.into());
        }
        let is_open = |open: &crate::imap::selected::Selected| {
            let owner = self.server.namespace.owner(&open.name);
            open.name == piece.root || piece.owner.is_some() && owner == piece.owner
        };
        match self.selected.as_ref().is_some_and(is_open) {
            true => Err(StoreError::Busy.into()),
            false => Ok(()),
        }
    }
}

/// What is to go.
async fn pieces(session: &Session, what: &str) -> Result<Vec<Piece>, Stop> {
    let (user, namespace) = (session.user()?.clone(), session.server.namespace.clone());
    let partition = session.server.imapd.partition(what).map(|partition| partition.name.clone());
    let is_pattern = what.contains(['*', '%']);
    if partition.is_none() && !is_pattern {
        let root = user.internal(what, &namespace)?;
        let owner = namespace.owner(&root);
        let piece = Piece { root, owner };
        session.may_go(&piece)?;
        return Ok(vec![piece]);
    }
    let (store, pattern) = (session.server.store.clone(), what.to_owned());
    let found = tokio::task::spawn_blocking(move || match partition {
        Some(partition) => on_partition(&store, &partition),
        None => matching(&store, &user, &namespace, &pattern),
    });
    let found = found.await.unwrap_or(Err(StoreError::Closed))?;
    if found.len() > XFERRED {
        rows::XFERRED.met("an XFER of too many users and mailboxes is refused");
        return Err(Refusal::Limit(format!("More than {XFERRED} users and mailboxes at once")).into());
    }
    // Whoever may not go is no part of what was meant by a pattern.
    let pieces: Vec<Piece> = found.into_iter().filter(|piece| session.may_go(piece).is_ok()).collect();
    if pieces.is_empty() { Err(Refusal::NoMailbox.into()) } else { Ok(pieces) }
}

/// Who has a mailbox on a partition, and shared ones there.
fn on_partition(store: &Store, partition: &str) -> Result<BTreeSet<Piece>, StoreError> {
    let mut found = BTreeSet::new();
    scan(store, |name, on| {
        if on != partition || found.len() > XFERRED {
            return;
        }
        let owner = store.namespace().owner(&name);
        let root = match &owner {
            Some(owner) => store.namespace().inbox(owner).ok(),
            None => Some(name),
        };
        found.extend(root.map(|root| Piece { root, owner }));
    })?;
    Ok(found)
}

/// INBOXes and shared mailboxes whose names a pattern of LIST's fits, as an admin calls them.
fn matching(
    store: &Store,
    user: &User,
    namespace: &Namespace,
    pattern: &str,
) -> Result<BTreeSet<Piece>, StoreError> {
    let (pattern, mut found) = (namespace.pattern("", pattern), BTreeSet::new());
    scan(store, |name, _| {
        let owner = store.namespace().owner(&name);
        let is_root = if owner.is_some() { name.is_inbox() } else { !namespace.is_deleted(&name) };
        if is_root && found.len() <= XFERRED && pattern.matches(&user.external(&name, namespace)) {
            found.insert(Piece { root: name, owner });
        }
    })?;
    Ok(found)
}

/// Every mailbox that is this server's, with its partition.
fn scan(store: &Store, mut each: impl FnMut(MailboxName, &str)) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.list().scan(after.as_ref(), LIST_PAGE);
        let page = page.map_err(|error| StoreError::List(error.to_string()))?;
        after = page.entries.last().map(|(name, _)| name.clone());
        for (name, entry) in page.entries {
            if entry.is_active() && entry.local.is_some() {
                each(name, entry.location.partition().unwrap_or_default());
            }
        }
        if !page.more {
            return Ok(());
        }
    }
}

/// The quota root above what moves, which stays, and counts at the other server too.
fn quota_above(session: &Session, root: &MailboxName) -> Option<MailboxName> {
    session.server.store.quota_root(root).filter(|above| root.is_below(above))
}

fn both_count(session: &Session, root: &MailboxName, to: &str) -> Result<String, Stop> {
    let root = session.user()?.external(root, &session.server.namespace);
    let here = &session.server.imapd.servername;
    Ok(format!("Quota root {root} counts on {here} and on {to} now, each with the same limits"))
}
