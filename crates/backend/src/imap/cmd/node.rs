//! What a frontend of this project has to say beside its clients' commands: XCLIENT, where a session comes from, XKICK, who
//! is to go, XTAKE, which messages have gone to another backend, and XADOPT, how a session goes on whose mailbox has come from one. Announced to, and served for, those alone whom `proxyservers` lists; XKICK for admins too.
//!
//! A frontend may keep its connection when a session of its client has ended, and take it for the same user's next one: XCLIENT
//! with PARKED, which leaves the open mailbox as UNSELECT does, then with the next session's name. The session here is the judge of
//! whether there is anything of the one that the other would meet.

use protocol::acl::Rights;
use protocol::imap::command::adopt::{Adoption, Part};
use protocol::imap::refusal::require;
use protocol::imap::{Code, ParseError, Refusal, Reply, SequenceSet, UidSet};
use protocol::name::MailboxName;
use protocol::origin::Origin;
use tracing::{debug, info};
use work::aside::weighed;

use super::select;
use crate::imap::limits::{ADOPTED, WORD, rows};
use crate::imap::reply::{Outcome, Stop};
use crate::imap::selected::{Announce, Selected};
use crate::imap::session::{ClientId, Session};

pub async fn xclient(session: &mut Session, origin: Origin) -> Outcome {
    if !session.is_proxy() {
        return Err(Refusal::Unrecognized.into());
    }
    let before = session.server.seat.origin();
    let another = before.is_some_and(|before| before.parked || before.session != origin.session);
    if origin.parked || another {
        if origin.parked && session.selected.is_some() {
            select::unselect(session).await?;
        }
        if !session.is_as_after_login() || !session.server.has_current_settings() {
            return Err(Refusal::NotAtRest.into());
        }
        session.client_id = ClientId::None;
        if !origin.parked {
            look_again(session).await?;
        }
    }
    match origin.parked {
        true => debug!(session = %origin.session, node = %origin.node, "kept for the user's next session"),
        false => {
            info!(client = %origin.client, session = %origin.session, node = %origin.node, "on behalf of")
        }
    }
    match session.server.seat.came_from(origin) {
        true => Ok(Reply::completed()),
        false => Err(Refusal::Ending.into()),
    }
}

/// Another session of the user begins, without a login here: whether he may still log in. One who may not ends the connection;
/// the frontend hears why when it logs in anew.
async fn look_again(session: &mut Session) -> Result<(), Stop> {
    let login = session.user()?.login.clone();
    if let Err(failure) = session.server.auth.admits(&login).await {
        session.over = true;
        return Err(Refusal::from(failure).into());
    }
    Ok(())
}

/// Answered with the number of sessions that end, before everything else in the text. Who asks is not among them.
pub fn xkick(session: &mut Session, name: &str) -> Outcome {
    let admin = session.user()?.is_node_admin(&session.server.namespace);
    if !admin && !session.is_proxy() {
        return Err(Refusal::Unrecognized.into());
    }
    let ended = session.server.context.sessions().kick_others(name, &session.server.name);
    if ended > 0 {
        info!("kick {name}: {ended} sessions end");
    }
    Ok(Reply::ok(format!("{ended} sessions end")))
}

/// The client had the mailbox open on another backend, which has given it away: it goes on here, and hears of what has happened since at
/// its next command.
pub async fn xadopt(session: &mut Session, part: Part) -> Outcome {
    if !session.is_proxy() {
        return Err(Refusal::Unrecognized.into());
    }
    if session.selected.is_some() {
        return Err(Refusal::NotAtRest.into());
    }
    let mut state = std::mem::take(&mut session.adopting);
    let (text, whole) = match part {
        Part::More(text) => (text, false),
        Part::Last(text) => (text, true),
    };
    if state.len().saturating_add(text.len()) > ADOPTED {
        rows::ADOPTED.met("a frontend says more of a session than is taken: it does not go on here");
        return Err(malformed());
    }
    state.push_str(&text);
    if !whole {
        session.adopting = state;
        return Ok(Reply::completed());
    }
    let adoption =
        weighed(state.len() / WORD, move || Adoption::parse(&state)).await.ok_or_else(malformed)?;
    let name = MailboxName::parse(&adoption.name).map_err(|_| Refusal::BadName)?;
    let (_, rights) = session.rights_on(&name).await?;
    require(rights, Rights::READ)?;
    let store = session.server.store.clone();
    let mailbox = store.mailbox(&name).await?;
    let user = session.user()?.id().to_owned();
    let selected = Selected::adopt(&store, mailbox, &user, rights, adoption).await?;
    session.selected = Some(selected.ok_or(Refusal::NoMailbox)?);
    Ok(Reply::completed())
}

fn malformed() -> Stop {
    Refusal::malformed(&ParseError::Invalid("state"), "Xadopt").into()
}

/// The messages are copied, and go from here: those that nobody else has taken meanwhile. Rights are those of MOVE.
pub async fn xtake(session: &mut Session, uids: SequenceSet) -> Outcome {
    if !session.is_proxy() {
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
