//! COPY and MOVE, and their UID forms: RFC 3501, RFC 4315 (COPYUID), RFC 6851.

use std::collections::HashSet;
use std::sync::Arc;

use protocol::acl::Rights;
use protocol::imap::command::copy::Copy;
use protocol::imap::refusal::require;
use protocol::imap::{Code, Refusal, Reply, Tag, UidSet};
use work::aside::weighed;

use crate::imap::reply::Outcome;
use crate::imap::session::Session;
use store::Along;

pub async fn run(session: &mut Session, tag: &Tag, copy: Copy) -> Outcome {
    let selected = session.selected()?;
    let weight = selected.numbering.weight(&copy.set);
    let (source, rights) = (selected.mailbox.clone(), selected.rights);
    let read_only = selected.read_only;
    let (name, _, there) = session.find_target(&copy.mailbox).await?;
    require(there, Rights::INSERT)?;
    if copy.moves {
        may_go(read_only, rights)?;
    }
    if !copy.uid && session.selected()?.numbering.misses(&copy.set) {
        // All or nothing (RFC 3501 section 6.4.7). UIDs that are gone are ignored (section 6.4.8).
        return Err(Refusal::Expunged.into());
    }
    let targets = session.named(&copy.set, copy.uid).await?;
    if targets.is_empty() {
        // What was saved may be nothing (RFC 5182 section 2.1).
        let fine = copy.uid || copy.set.is_saved();
        return if fine { Ok(Reply::completed()) } else { Err(Refusal::NoMessages.into()) };
    }
    let target = session.server.store.mailbox(&name).await?;
    let mut keep = super::store::mask(there);
    let user = session.user()?.id().to_owned();
    let alone = keep.seen && !session.server.store.seen_is_shared(&target, &user);
    keep.seen &= !alone;
    let selected = session.selected()?;
    let (marks, view) = (selected.marks.clone(), source.view());
    let own = selected.has_own_seen();
    let look = move || {
        let from: Vec<u32> = targets.into_iter().map(|(_, uid)| uid).collect();
        let seen = |uid: &&u32| view.get(**uid).is_some_and(|record| marks.is_seen(record));
        // Who has a seen state on one side only takes it along.
        let seen =
            (own || alone).then(|| Arc::new(from.iter().filter(seen).copied().collect::<HashSet<u32>>()));
        (from, seen)
    };
    let (from, seen) = weighed(weight, look).await;
    let (store, own) = (session.server.store.clone(), seen.clone().filter(|_| own));
    let free = session.server.ignore_quota;
    // RFC 5257 section 4.6: each kind needs the right to set it there.
    let along = Along {
        flags: keep,
        seen: own,
        own_annotations: there.contains(Rights::READ).then_some(user),
        shared_annotations: there.contains(Rights::ANNOTATE),
    };
    let before = session.begin_own(&target);
    let work = async {
        match copy.moves {
            true => store.relocate(&source, from, &target, along, free).await,
            false => store.copy(&source, from, &target, along, free).await,
        }
    };
    let pairs = session.finish(tag, work).await.map_err(super::annotate::refused)?;
    session.end_own(&target, before);
    session.brought(&target, pairs.iter().map(|(_, to)| *to));
    if let Some(seen) = seen.filter(|_| alone) {
        let seen = pairs.iter().filter(|(from, _)| seen.contains(from)).map(|(_, to)| *to).collect();
        super::store::mark_own_seen(session, &target, seen).await?;
    }
    if pairs.is_empty() {
        // Another session was faster, and its EXPUNGEs come with this answer.
        return if copy.uid { Ok(Reply::completed()) } else { Err(Refusal::Expunged.into()) };
    }
    let code = match there.contains(Rights::READ) {
        true => Some(copyuid(target.view().uidvalidity, pairs, weight).await),
        false => None,
    };
    copied(session, code, copy.moves).await
}

/// Whether messages may be taken out of the open mailbox (RFC 6851 section 4.2).
fn may_go(read_only: bool, rights: Rights) -> Result<(), Refusal> {
    if read_only {
        return Err(Refusal::ReadOnly);
    }
    require(rights, Rights::EXPUNGE | Rights::DELETE_MESSAGES)
}

/// What the client is told in the end; `code`: which messages are where, if it may know.
async fn copied(session: &mut Session, code: Option<Code>, moves: bool) -> Outcome {
    match (code, moves) {
        (code, true) => {
            // RFC 6851 section 4.3: before the EXPUNGEs.
            if let Some(code) = code {
                Reply::completed().code(code).write(None, session.conn.out());
            }
            session.gone().await
        }
        (Some(code), false) => Ok(Reply::completed().code(code)),
        (None, false) => Ok(Reply::completed()),
    }
}

async fn copyuid(uidvalidity: u32, pairs: Vec<(u32, u32)>, weight: usize) -> Code {
    let code = move || {
        let from: UidSet = pairs.iter().map(|(from, _)| *from).collect();
        let to: UidSet = pairs.iter().map(|(_, to)| *to).collect();
        Code::CopyUid { uidvalidity, from: from.to_string(), to: to.to_string() }
    };
    weighed(weight, code).await
}
