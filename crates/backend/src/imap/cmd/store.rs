//! STORE and UID STORE: RFC 3501, RFC 4314 (rights), RFC 7162 (UNCHANGEDSINCE), RFC 5257 (ANNOTATION).

use ::store::{FlagChange, FlagMask, How, Mailbox, Record, View};
use protocol::acl::Rights;
use protocol::imap::command::fetch::{Handle, Value, print_end, print_start};
use protocol::imap::command::store::{self, Store};
use protocol::imap::enabled::Manner;
use protocol::imap::{Code, Flag, Refusal, Reply, UidSet};
use work::aside::weighed;

use crate::imap::marks::{Marks, mark};
use crate::imap::reply::{Outcome, Stop};
use crate::imap::selected::{may_set, now};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, store: Store) -> Outcome {
    if store.unchanged_since.is_some() {
        session.enable_condstore();
    }
    let manner = session.manner();
    let selected = session.selected()?;
    // Who may change no flag may still have annotations of their own.
    if selected.is_examined() || (selected.read_only && store.notes.is_empty()) {
        return Err(Refusal::ReadOnly.into());
    }
    if !store.notes.is_empty() {
        super::annotate::may_set(session, &store.notes)?;
    }
    let selected = session.selected()?;
    let rights = selected.rights;
    let weight = selected.numbering.weight(&store.set);
    let may = store.flags.iter().any(|flag| may_set(flag, rights));
    if store.notes.is_empty()
        && ((!store.flags.is_empty() && !may)
            || !rights.intersects(Rights::SEEN | Rights::WRITE | Rights::DELETE_MESSAGES))
    {
        return Err(Refusal::Denied.into());
    }
    let missing = !store.uid && session.selected()?.numbering.misses(&store.set);
    let targets = session.named(&store.set, store.uid).await?;
    if targets.is_empty() {
        // Those that are gone meanwhile are as if they had been stored just before.
        return Ok(Reply::completed());
    }
    let selected = session.selected()?;
    let before = (selected.mailbox.view(), selected.marks.clone());
    let uids: Vec<u32> = targets.iter().map(|(_, uid)| *uid).collect();
    let how = match store.how {
        store::How::Replace => How::Set,
        store::How::Add => How::Add,
        store::How::Remove => How::Remove,
    };
    let refused = match store.notes.is_empty() {
        true => change(session, uids, how, &store.flags, store.unchanged_since).await?,
        false => super::annotate::change(session, uids, store.notes, store.unchanged_since).await?,
    };
    let view = session.selected()?.mailbox.view();
    if let Some(selected) = &mut session.selected {
        selected.announce_keywords(session.conn.out(), &view);
    }
    let marks = session.selected()?.marks.clone();
    let shown = Shown { silent: store.silent, manner, uid: store.uid };
    let answer = move || shown.answer(&targets, &refused, (&before.0, &before.1), (&view, &marks));
    let answer = weighed(weight, answer).await;
    session.conn.write_through(&answer.lines).await?;
    session.selected()?.knows(answer.known);
    if answer.modified.is_empty() {
        return Ok(Reply::completed());
    }
    let code = Code::Modified(answer.modified.to_string());
    Ok(match missing {
        // RFC 7162 section 3.1.3
        true => Reply::no("Some of the messages no longer exist").code(code),
        false => Reply::ok("Conditional STORE failed").code(code),
    })
}

/// What the client is shown of each message.
struct Shown {
    silent: bool,
    manner: Manner,
    uid: bool,
}

struct Answer {
    lines: Vec<u8>,
    modified: UidSet,
    known: Vec<(u32, u64)>,
}

impl Shown {
    /// The untagged lines, of what is not as it was before, as in Cyrus. `refused`: UIDs, ascending, of the messages that were
    /// left alone.
    fn answer(
        &self,
        targets: &[(u32, u32)],
        refused: &[u32],
        (was, had): (&View, &Marks),
        (view, marks): (&View, &Marks),
    ) -> Answer {
        let mut answer = Answer { lines: Vec::new(), modified: UidSet::default(), known: Vec::new() };
        for &(sequence, uid) in targets {
            if refused.binary_search(&uid).is_ok() {
                answer.modified.push(if self.uid { uid } else { sequence });
                continue;
            }
            let Some(record) = view.get(uid) else { continue };
            answer.known.push((uid, record.modseq));
            let is_same = |old: &Record| {
                old.modseq == record.modseq && had.flag_list(was, old) == marks.flag_list(view, record)
            };
            if (self.silent && !self.manner.modseq) || was.get(uid).is_some_and(is_same) {
                continue;
            }
            let flags = (!self.silent).then(|| marks.flag_list(view, record));
            let values = [
                // RFC 7162 section 3.2: with QRESYNC always.
                ((self.uid || self.manner.resync) && !self.manner.uid_only).then_some(Value::Uid(uid)),
                flags.as_deref().map(Value::Flags),
                self.manner.modseq.then_some(Value::Modseq(record.modseq)),
            ];
            let handle = if self.manner.uid_only { Handle::Uid(uid) } else { Handle::Number(sequence) };
            print_start(&mut answer.lines, handle);
            Value::print_all(values.into_iter().flatten(), &mut answer.lines);
            print_end(&mut answer.lines);
        }
        answer
    }
}

/// Changes flags as far as the user may; \Seen of a user who has a seen state of their own goes there. UIDs that were left
/// alone because they changed since. Both ascend.
pub async fn change(
    session: &mut Session,
    mut uids: Vec<u32>,
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
    // What changes nothing for others is judged all the same.
    if !shared.is_empty() || how == How::Set || unchanged_since.is_some() {
        let change = FlagChange { how, flags: shared, unchanged_since, may };
        refused = selected.mailbox.store(&uids, change).await?.modified;
    }
    if own_seen && may_seen && (seen || how == How::Set) {
        uids.retain(|uid| refused.binary_search(uid).is_err());
        selected.change_seen(&store, uids, seen && how != How::Remove).await?;
    }
    Ok(refused)
}

/// Marks messages (UIDs ascending) seen for the user alone, whose \Seen in that mailbox is not everybody's.
pub async fn mark_own_seen(session: &mut Session, mailbox: &Mailbox, uids: Vec<u32>) -> Result<(), Stop> {
    if uids.is_empty() {
        return Ok(());
    }
    let (store, id) = (session.server.store.clone(), mailbox.uniqueid());
    if let Some(open) = session.selected.as_mut().filter(|open| open.mailbox.uniqueid() == id) {
        return open.change_seen(&store, uids, true).await;
    }
    let user = session.user()?.id();
    let (mut own, view) = (store.seen(user, &id).await?, mailbox.view());
    let work = move || {
        mark(&mut own, view.records(), &uids, true, now());
        own
    };
    let own = weighed(mailbox.view().exists(), work).await;
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
