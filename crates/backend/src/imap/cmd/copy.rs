//! COPY and MOVE, and their UID forms: RFC 3501, RFC 4315 (COPYUID), RFC 6851.

use std::collections::HashSet;

use protocol::acl::Rights;
use protocol::imap::UidSet;
use protocol::imap::command::copy::Copy;

use crate::imap::reply::{Outcome, Reply, Stop};
use crate::imap::session::Session;
use crate::imap::user::require;
use crate::store::System;

pub async fn run(session: &mut Session, copy: Copy) -> Outcome {
    let selected = session.selected()?;
    let (source, rights) = (selected.mailbox.clone(), selected.rights);
    let read_only = selected.read_only;
    let targets = selected.numbering.targets(&copy.set, copy.uid);
    let (name, _, there) = session.find(&copy.mailbox).map_err(|stop| match stop {
        Stop::Reply(reply) if reply.code.as_deref() == Some("NONEXISTENT") => {
            Stop::Reply(reply.code("TRYCREATE"))
        }
        stop => stop,
    })?;
    require(there, Rights::INSERT)?;
    if copy.moves {
        if read_only {
            return Ok(Reply::no("Mailbox is read-only").code("READ-ONLY"));
        }
        require(rights, Rights::EXPUNGE | Rights::DELETE_MESSAGES)?;
    }
    if targets.is_empty() {
        return Ok(if copy.uid { Reply::completed() } else { Reply::no("No matching messages") });
    }
    let target = session.server.store.mailbox(&name).await?;
    let from: Vec<u32> = targets.iter().map(|target| target.record.uid).collect();
    let selected = session.selected()?;
    let seen: Option<HashSet<u32>> = selected
        .has_own_seen()
        .then(|| targets.iter().filter(|t| selected.is_seen(&t.record)).map(|t| t.record.uid).collect());
    let is_seen = |uid: u32| seen.as_ref().is_some_and(|seen| seen.contains(&uid));
    let mut keep = super::store::mask(there);
    let user = session.user()?.id().to_owned();
    let alone = keep.seen && !session.server.store.seen_is_shared(&target, &user);
    keep.seen &= !alone;
    let own: Option<&(dyn Fn(u32) -> bool + Sync)> = if seen.is_some() { Some(&is_seen) } else { None };
    let pairs = session.server.store.copy(&source, &from, &target, keep, own).await?;
    if alone {
        let was_seen = |uid: u32| match &seen {
            Some(seen) => seen.contains(&uid),
            None => targets.iter().any(|t| t.record.uid == uid && t.record.has(System::SEEN)),
        };
        let now_seen: Vec<u32> =
            pairs.iter().filter(|(from, _)| was_seen(*from)).map(|(_, to)| *to).collect();
        super::store::mark_own_seen(session, &target, &now_seen).await?;
    }
    if copy.moves {
        let moved: Vec<u32> = pairs.iter().map(|(from, _)| *from).collect();
        source.remove(&moved).await?;
    }
    let code = there.contains(Rights::READ).then(|| {
        let from: UidSet = pairs.iter().map(|(from, _)| *from).collect();
        let to: UidSet = pairs.iter().map(|(_, to)| *to).collect();
        format!("COPYUID {} {from} {to}", target.view().uidvalidity)
    });
    match (code, copy.moves) {
        (Some(code), true) => {
            // RFC 6851 section 4.3: before the EXPUNGEs, which come with the tagged answer.
            session.conn.put_line(format!("* OK [{code}] Completed"));
            Ok(Reply::completed())
        }
        (Some(code), false) => Ok(Reply::completed().code(code)),
        (None, _) => Ok(Reply::completed()),
    }
}
