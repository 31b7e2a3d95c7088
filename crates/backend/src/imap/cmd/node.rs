//! What a frontend of this project has to say beside its clients' commands: XCLIENT, where a session comes from, and XKICK, who
//! is to go. Announced to, and served for, those alone whom `proxyservers` lists; XKICK for admins too.

use protocol::imap::{Refusal, Reply};
use protocol::origin::Origin;
use tracing::info;

use crate::imap::reply::Outcome;
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
    let admin = session.user()?.is_node_admin(&session.server.namespace);
    if !admin && !is_proxy(session) {
        return Err(Refusal::Unrecognized.into());
    }
    let ended = session.server.context.sessions().kick_others(name, &session.server.name);
    if ended > 0 {
        info!("kick {name}: {ended} sessions end");
    }
    Ok(Reply::ok(format!("{ended} sessions end")))
}
