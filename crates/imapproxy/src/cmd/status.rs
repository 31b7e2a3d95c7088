//! STATUS: of the backend that has the mailbox; its items are not looked at.

use protocol::imap::enabled::implies_condstore;

use super::Request;
use crate::session::{Outcome, Session};

/// `STATUS mailbox (items)`
pub async fn status(s: &mut Session, request: &Request) -> Outcome {
    let (mailbox, _) = request.head.mailbox(&request.raw)?;
    let located = s.locate(&mailbox).await?;
    if s.follows_referrals && s.listener.imapd().proxyd_allow_status_referral {
        return Err(s.referral(&located, &mailbox));
    }
    let server = located.server();
    let implies = implies_condstore(&request.head.verb, request.text());
    let answer = s.forward_alone(server, &request.head.tag, request.text()).await?;
    super::session::note_condstore(s, implies, server, &answer).await?;
    Ok(answer.into())
}
