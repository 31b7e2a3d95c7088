//! STATUS: of the backend that has the mailbox; its items are not looked at.

use super::Request;
use crate::session::{Session, Stop};

/// `STATUS mailbox (items)`
pub async fn status(s: &mut Session, request: Request) -> Result<(), Stop> {
    let title = request.head.title();
    let (mailbox, _) = request.head.mailbox(&request.raw).map_err(|error| Stop::bad(error.text(&title)))?;
    let located = s.locate(&mailbox).await?;
    if s.follows_referrals && s.listener.imapd().proxyd_allow_status_referral {
        return Err(s.referral(&located, &mailbox));
    }
    let server = located.server();
    super::session::note_condstore(s, request.text(), &["HIGHESTMODSEQ"], server).await?;
    let answer = s.forward_alone(located.server(), &request.head.tag, request.text()).await?;
    s.client.put(answer.tagged(&request.head.tag));
    Ok(())
}
