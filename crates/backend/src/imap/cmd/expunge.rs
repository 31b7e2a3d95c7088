//! EXPUNGE and UID EXPUNGE: RFC 3501, RFC 4315.

use protocol::acl::Rights;
use protocol::imap::command::copy::Expunge;
use protocol::imap::refusal::require;
use protocol::imap::{Code, Refusal, Reply};

use crate::imap::reply::{Outcome, Stop};
use crate::imap::selected::Announce;
use crate::imap::session::Session;

pub async fn run(session: &mut Session, expunge: Expunge) -> Outcome {
    if take(session, expunge).await? { session.gone().await } else { Ok(Reply::completed()) }
}

/// Takes the messages away, and says nothing of it. Whether there were any.
pub async fn take(session: &mut Session, expunge: Expunge) -> Result<bool, Stop> {
    let selected = session.selected()?;
    if selected.read_only {
        return Err(Refusal::ReadOnly.into());
    }
    require(selected.rights, Rights::EXPUNGE)?;
    let named: Option<Vec<u32>> = match &expunge.uids {
        Some(uids) => Some(session.named(uids, true).await?.into_iter().map(|(_, uid)| uid).collect()),
        None => None,
    };
    let selected = session.selected()?;
    let gone = selected.mailbox.expunge(named.as_deref()).await?;
    Ok(!gone.is_empty())
}

impl Session {
    /// The end of a command that took messages away. They are told of first: HIGHESTMODSEQ covers them, and nothing that the
    /// client has not heard of (RFC 7162 sections 3.2.7 and 3.2.8).
    pub async fn gone(&mut self) -> Outcome {
        if !self.manner().modseq {
            return Ok(Reply::completed());
        }
        self.announce(Announce::All).await?;
        Ok(match &self.selected {
            Some(selected) => Reply::completed().code(Code::HighestModseq(selected.numbering.modseq())),
            None => Reply::completed(),
        })
    }
}
