//! EXPUNGE and UID EXPUNGE: RFC 3501, RFC 4315.

use protocol::acl::Rights;
use protocol::imap::command::copy::Expunge;
use protocol::imap::refusal::require;
use protocol::imap::{Code, Refusal, Reply};

use crate::imap::reply::Outcome;
use crate::imap::session::Session;

pub async fn run(session: &mut Session, expunge: Expunge) -> Outcome {
    let condstore = session.condstore();
    let selected = session.selected()?;
    if selected.read_only {
        return Err(Refusal::ReadOnly.into());
    }
    require(selected.rights, Rights::EXPUNGE)?;
    let mut reply = Reply::completed();
    let named: Option<Vec<u32>> = match &expunge.uids {
        Some(uids) => Some(session.named(uids, true).await?.into_iter().map(|(_, uid)| uid).collect()),
        None => None,
    };
    let selected = session.selected()?;
    let gone = selected.mailbox.expunge(named.as_deref()).await?;
    if !gone.is_empty() && condstore {
        reply = reply.code(Code::HighestModseq(selected.mailbox.view().highestmodseq));
    }
    Ok(reply)
}
