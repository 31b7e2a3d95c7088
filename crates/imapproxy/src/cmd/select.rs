//! SELECT, EXAMINE, CLOSE and UNSELECT: which backend is the selected one.

use protocol::imap::enabled::implies_condstore;
use protocol::imap::{Body, Code, Command, Kind, Limits, Refusal, Reply};

use super::Request;
use crate::session::relay::To;
use crate::session::{Located, Outcome, Selected, Session, Stop};

/// `SELECT mailbox [(params)]`, `EXAMINE …`
pub async fn select(s: &mut Session, request: &Request) -> Outcome {
    let (mailbox, _) = request.head.mailbox(&request.raw)?;
    understood(s, request)?;
    let located = match locate(s, &mailbox).await {
        Ok(located) => located,
        // RFC 3501 section 6.3.1: a SELECT that fails leaves nothing selected.
        Err(stop) => {
            leave(s, None).await?;
            return Err(stop);
        }
    };
    let server = located.server().to_owned();
    leave(s, Some(&server)).await?;
    if let Err(stop) = s.link(&server).await.map(drop) {
        return match stop {
            // The old selection on the same backend is lost with it.
            Stop::Backend { .. } if s.selected_server() != Some(&server) => Err(Refusal::ServerDown.into()),
            stop => Err(stop),
        };
    }
    if s.lacks_enabled(&server) {
        leave(s, None).await?;
        return Err(Refusal::LacksEnabled.into());
    }
    let implies = implies_condstore(&request.head.verb, request.text());
    let answer = s.forward(&server, &request.head.tag, request.text()).await?;
    // What is BAD leaves open what was.
    if answer.condition() != Some(Kind::Bad) {
        s.selected = None;
    }
    if answer.is_ok() {
        let read_only = request.head.verb == "EXAMINE";
        s.selected = Some(Selected { server: server.clone(), name: located.name, read_only });
    }
    super::session::note_condstore(s, implies, &server, &answer).await?;
    Ok(answer.into())
}

/// What a backend would call BAD must not cost the client the mailbox that it has open on another one.
fn understood(s: &Session, request: &Request) -> Result<(), Refusal> {
    let Body::Select(select) = Command::parse(&request.raw, Limits::default())?.body else { return Ok(()) };
    let manner = s.enabled.manner();
    match select.resync {
        Some(_) if !manner.resync => Err(Refusal::NoQresync("Select")),
        Some(resync) if manner.uid_only && resync.matched.is_some() => Err(Refusal::UidRequired),
        _ => Ok(()),
    }
}

async fn locate(s: &Session, mailbox: &str) -> Result<Located, Stop> {
    let located = s.locate(mailbox).await?;
    if s.follows_referrals {
        return Err(s.referral(&located, mailbox));
    }
    Ok(located)
}

/// Has the selected backend forget its mailbox, unless it is the one that selects next and does that by itself.
async fn leave(s: &mut Session, next: Option<&str>) -> Result<(), Stop> {
    let Some(old) = s.selected.clone() else { return Ok(()) };
    if next == Some(old.server.as_str()) {
        return Ok(());
    }
    let command = if s.links.get_mut(&old.server).is_some_and(|link| link.capabilities.has("UNSELECT")) {
        "UNSELECT"
    } else {
        // CLOSE would expunge; EXAMINE of a name that cannot be leaves nothing selected (RFC 3691 section 1).
        "EXAMINE \"\""
    };
    let answer = s.ask(&old.server, command, To::Nobody).await;
    s.selected = None;
    // Nothing of the old mailbox comes after it (RFC 7162 section 3.2.11).
    s.client.put(Reply::told(Code::Closed).line(None));
    match answer {
        Err(Stop::Backend { server, .. }) => {
            s.links.remove(&server);
            Ok(())
        }
        other => other.map(drop),
    }
}

/// `CLOSE`, `UNSELECT`: whatever the backend says, nothing is selected afterwards.
pub async fn close(s: &mut Session, request: &Request) -> Outcome {
    let server = s.selected_server().map(str::to_owned).ok_or(Refusal::NothingSelected)?;
    let answer = s.forward(&server, &request.head.tag, request.text()).await?;
    s.selected = None;
    Ok(answer.into())
}
