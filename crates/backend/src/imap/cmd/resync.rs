//! What happened in a mailbox since a client was last there: for SELECT with QRESYNC, and for UID FETCH with VANISHED (RFC 7162
//! sections 3.2.5 and 3.2.6). Takes time in proportion to what happened, and reads no message.

use protocol::imap::command::fetch::{Handle, Value, print_end, print_start};
use protocol::imap::command::select::{Resync, print_vanished};
use protocol::imap::set::Ranges;
use work::aside::weighed;

use crate::imap::reply::Stop;
use crate::imap::selected::Selected;
use crate::imap::session::Session;
use store::View;

/// VANISHED (EARLIER), and the flags of what changed, for a client that opens the mailbox again.
pub async fn tell(session: &mut Session, selected: &Selected, resync: Resync) -> Result<(), Stop> {
    let (view, numbering, marks) =
        (selected.view().clone(), selected.numbering.clone(), selected.marks.clone());
    let manner = session.manner();
    let weight = weight(&view, resync.modseq);
    let tell = move || {
        let mut out = Vec::new();
        let uid_of = |number: u32| {
            let at = usize::try_from(number).ok()?.checked_sub(1)?;
            view.records().at(at).map(|record| record.uid)
        };
        // Where all that went is known, what the client had settled adds nothing.
        let settled = if resync.modseq < view.deletedmodseq { resync.settled(uid_of) } else { 0 };
        let mut gone = vanished(&view, resync.modseq, resync.known.as_ref());
        gone.retain(|(_, last)| *last > settled);
        if let Some((first, _)) = gone.first_mut() {
            *first = (*first).max(settled.saturating_add(1));
        }
        print_vanished(&mut out, true, &gone);
        for record in view.records().changed_since(resync.modseq) {
            if resync.known.as_ref().is_some_and(|known| !known.contains(record.uid)) {
                continue;
            }
            let flags = marks.flag_list(&view, record);
            let (handle, uid) = match manner.uid_only {
                true => (Handle::Uid(record.uid), None),
                false => (Handle::Number(numbering.sequence(record.uid)), Some(Value::Uid(record.uid))),
            };
            print_start(&mut out, handle);
            let values = [Value::Flags(&flags), Value::Modseq(record.modseq)];
            Value::print_all(uid.into_iter().chain(values), &mut out);
            print_end(&mut out);
        }
        out
    };
    let out = weighed(weight, tell).await;
    Ok(session.conn.write_through(&out).await?)
}

/// UIDs that went after a modification sequence, among those that the client knows. Where that is no longer known, those that are
/// not there: it may have known them.
pub fn vanished(view: &View, modseq: u64, known: Option<&Ranges>) -> Vec<(u32, u32)> {
    if modseq >= view.modseq() {
        return Vec::new();
    }
    let gone = view.vanished_since(modseq).unwrap_or_else(|| view.records().gaps(view.last_uid));
    match known {
        Some(known) => known.common(&gone),
        None => gone,
    }
}

/// What [`tell`] looks at.
pub fn weight(view: &View, modseq: u64) -> usize {
    let gone = match modseq < view.deletedmodseq {
        true => view.exists(),
        false => view.tombstones().weight_since(modseq),
    };
    view.records().weight_since(modseq).saturating_add(gone)
}
