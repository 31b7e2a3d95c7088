//! STORE and UID STORE: RFC 3501, RFC 4314 (rights), RFC 7162 (UNCHANGEDSINCE).

use protocol::acl::Rights;
use protocol::imap::command::store::{self, Store};
use protocol::imap::{Flag, UidSet};

use super::append::may_set;
use crate::imap::reply::{Outcome, Reply, Stop};
use crate::imap::selected::mark;
use crate::imap::session::Session;
use crate::store::{FlagChange, FlagMask, How, Mailbox};

pub async fn run(session: &mut Session, store: Store) -> Outcome {
    session.condstore |= store.unchanged_since.is_some();
    let condstore = session.condstore;
    let selected = session.selected()?;
    if selected.read_only {
        return Ok(Reply::no("Mailbox is read-only").code("READ-ONLY"));
    }
    let rights = selected.rights;
    let may = store.flags.iter().any(|flag| may_set(flag, rights));
    if (!store.flags.is_empty() && !may)
        || !rights.intersects(Rights::SEEN | Rights::WRITE | Rights::DELETE_MESSAGES)
    {
        return Ok(Reply::no("Permission denied").code("NOPERM"));
    }
    let targets = selected.numbering.targets(&store.set, store.uid);
    if targets.is_empty() {
        // Those that are gone meanwhile are as if they had been stored just before.
        return Ok(Reply::completed());
    }
    let uids: Vec<u32> = targets.iter().map(|target| target.record.uid).collect();
    let how = match store.how {
        store::How::Replace => How::Set,
        store::How::Add => How::Add,
        store::How::Remove => How::Remove,
    };
    let refused = change(session, &uids, how, &store.flags, store.unchanged_since).await?;
    let modified: UidSet = (targets.iter())
        .filter(|target| refused.contains(&target.record.uid))
        .map(|target| if store.uid { target.record.uid } else { target.sequence })
        .collect();
    let view = session.selected()?.mailbox.view();
    let mut known = Vec::new();
    if let Some(selected) = &mut session.selected {
        selected.announce_keywords(session.conn.out(), &view);
    }
    for target in targets.iter().filter(|target| !refused.contains(&target.record.uid)) {
        let Some(record) = view.get(target.record.uid) else { continue };
        known.push((record.uid, record.modseq));
        let mut items = Vec::new();
        if !store.silent {
            let flags = session.selected()?.flag_list(&view, record);
            items.push(format!("FLAGS {}", String::from_utf8_lossy(&flags)));
        }
        if condstore {
            items.push(format!("MODSEQ ({})", record.modseq));
        }
        if store.uid && !items.is_empty() {
            items.insert(0, format!("UID {}", record.uid));
        }
        if !items.is_empty() {
            session.conn.put_line(format!("* {} FETCH ({})", target.sequence, items.join(" ")));
            session.conn.relieve().await?;
        }
    }
    session.selected()?.knows(known);
    if modified.is_empty() {
        return Ok(Reply::completed());
    }
    Ok(Reply::ok("Conditional STORE failed").code(format!("MODIFIED {modified}")))
}

/// Changes flags as far as the user may; \Seen of a user who has a seen state of their own goes there. UIDs that were left
/// alone because they changed since.
pub async fn change(
    session: &mut Session,
    uids: &[u32],
    how: How,
    flags: &[Flag],
    unchanged_since: Option<u64>,
) -> Result<Vec<u32>, Stop> {
    let store = session.server.store.clone();
    let selected = session.selected()?;
    let own_seen = selected.has_own_seen();
    let mut may = mask(selected.rights);
    let may_seen = may.seen;
    may.seen &= !own_seen;
    let flags: Vec<Flag> = flags.iter().filter(|flag| may_set(flag, selected.rights)).cloned().collect();
    let seen = flags.contains(&Flag::Seen);
    let shared: Vec<Flag> = flags.into_iter().filter(|flag| !own_seen || *flag != Flag::Seen).collect();
    let mut refused = Vec::new();
    if !shared.is_empty() || how == How::Set {
        let change = FlagChange { how, flags: shared, unchanged_since, may };
        refused = selected.mailbox.store(uids, change).await?.modified;
    }
    if own_seen && may_seen && (seen || how == How::Set) {
        let changed: Vec<u32> = uids.iter().copied().filter(|uid| !refused.contains(uid)).collect();
        selected.change_seen(&store, &changed, seen && how != How::Remove).await?;
    }
    Ok(refused)
}

/// Marks messages seen for the user alone, whose \Seen in that mailbox is not everybody's.
pub async fn mark_own_seen(session: &mut Session, mailbox: &Mailbox, uids: &[u32]) -> Result<(), Stop> {
    if uids.is_empty() {
        return Ok(());
    }
    let (store, id) = (session.server.store.clone(), mailbox.uniqueid());
    if let Some(open) = session.selected.as_mut().filter(|open| open.mailbox.uniqueid() == id) {
        return open.change_seen(&store, uids, true).await;
    }
    let user = session.user()?.id();
    let mut own = store.seen(user, &id).await?;
    mark(&mut own, &mailbox.view(), uids, true);
    Ok(store.set_seen(user, &id, own).await?)
}

/// RFC 4314: which flags somebody with these rights may change.
pub fn mask(rights: Rights) -> FlagMask {
    FlagMask {
        seen: rights.contains(Rights::SEEN),
        deleted: rights.contains(Rights::DELETE_MESSAGES),
        others: rights.contains(Rights::WRITE),
    }
}
