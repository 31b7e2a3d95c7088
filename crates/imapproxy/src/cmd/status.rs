//! STATUS: of the backend that has the mailbox; its items are not looked at.

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
    super::session::note_condstore(s, &request.head.verb, request.text(), server).await?;
    Ok(s.forward_alone(located.server(), &request.head.tag, request.text()).await?.into())
}
