//! What a frontend of this project has to say beside its clients' commands: XCLIENT, where a session comes from, XKICK, who
//! is to go, and XTAKE, which messages have gone to another backend. Announced to, and served for, those alone whom `proxyservers` lists; XKICK for admins too.

use protocol::acl::Rights;
use protocol::imap::refusal::require;
use protocol::imap::{Code, Refusal, Reply, SequenceSet, UidSet};
use protocol::origin::Origin;
use tracing::info;

use crate::imap::reply::Outcome;
use crate::imap::selected::Announce;
use crate::imap::session::Session;

/// Whether the session is a proxy's.
pub fn is_proxy(session: &Session) -> bool {
    session.user.as_ref().is_some_and(|user| user.login.proxy)
}

pub fn xclient(session: &mut Session, origin: Origin) -> Outcome {
    if !is_proxy(session) {
        return Err(Refusal::Unrecognized.into());
    }
    info!(client = %origin.client, session = %origin.session, node = %origin.node, "on behalf of");
    session.server.seat.came_from(origin);
    Ok(Reply::completed())
}

/// Answered with the number of sessions that end, before everything else in the text. Who asks is not among them.
pub fn xkick(session: &mut Session, name: &str) -> Outcome {
    let admin = session.user()?.login.admin;
    if !admin && !is_proxy(session) {
        return Err(Refusal::Unrecognized.into());
    }
    let ended = session.server.context.sessions().kick_others(name, &session.server.name);
    if ended > 0 {
        info!("kick {name}: {ended} sessions end");
    }
    Ok(Reply::ok(format!("{ended} sessions end")))
}

/// The messages are copied, and go from here: those that nobody else has taken meanwhile. Rights are those of MOVE.
pub async fn xtake(session: &mut Session, uids: SequenceSet) -> Outcome {
    if !is_proxy(session) {
        return Err(Refusal::Unrecognized.into());
    }
    let selected = session.selected()?;
    if selected.read_only {
        return Err(Refusal::ReadOnly.into());
    }
    require(selected.rights, Rights::EXPUNGE | Rights::DELETE_MESSAGES)?;
    let mailbox = selected.mailbox.clone();
    let named: Vec<u32> = session.named(&uids, true).await?.into_iter().map(|(_, uid)| uid).collect();
    let taken: UidSet = mailbox.remove(&named).await?.into_iter().collect();
    session.announce(Announce::All).await?;
    let modseq = session.selected.as_ref().map_or(1, |selected| selected.numbering.modseq());
    Ok(Reply::completed().code(Code::XTaken(taken.to_string(), modseq)))
}
