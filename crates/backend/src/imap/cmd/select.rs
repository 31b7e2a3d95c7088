//! SELECT, EXAMINE, CLOSE and UNSELECT: RFC 3501, RFC 3691, RFC 7162, RFC 8474.

use protocol::acl::Rights;
use protocol::imap::command::select::{Count, Select};
use protocol::imap::refusal::require;
use protocol::imap::{Code, Extension, Refusal, Reply};

use super::{expunge, resync};
use crate::imap::reply::Outcome;
use crate::imap::selected::Selected;
use crate::imap::session::Session;
use store::VALUE_MAX;

pub async fn select(session: &mut Session, select: Select) -> Outcome {
    if select.resync.is_some() && !session.manner().resync {
        return Err(Refusal::NoQresync("Select").into());
    }
    if let Some(before) = session.selected.take() {
        before.leave(&session.server.store).await;
        Reply::told(Code::Closed).write(None, session.conn.out());
    }
    if select.condstore {
        session.enabled.imply(Extension::Condstore);
    }
    let (name, _, rights) = session.find(&select.mailbox).await?;
    require(rights, Rights::READ)?;
    let mailbox = session.server.store.mailbox(&name).await?;
    let user = session.user()?.id().to_owned();
    let mut selected =
        Selected::open(&session.server.store, name, mailbox, &user, rights, select.read_only).await?;
    selected.annotate = select.annotate;
    let view = selected.view().clone();
    let unseen = selected.first_unseen().filter(|_| !session.manner().uid_only);
    let out = session.conn.out();
    selected.write_all_flags(out, &view);
    Count::Exists(selected.numbering.count()).print(out);
    Count::Recent(selected.recent_count()).print(out);
    let told = [
        unseen.map(Code::Unseen),
        Some(Code::UidValidity(view.uidvalidity)),
        Some(Code::UidNext(view.uidnext())),
        Some(Code::HighestModseq(view.modseq())),
        Some(Code::MailboxId(selected.mailbox.uniqueid())),
        // RFC 5257 section 5
        Some(Code::Annotations((!selected.is_examined()).then_some(VALUE_MAX))),
    ];
    told.into_iter().flatten().for_each(|code| Reply::told(code).write(None, out));
    super::mailbox::tell_name(session, &selected.name, &select.mailbox)?;
    super::quota::warn(session, &selected.name);
    if let Some(resync) = select.resync.filter(|resync| resync.uidvalidity == view.uidvalidity) {
        resync::tell(session, &selected, resync).await?;
    }
    let code = if selected.read_only { Code::ReadOnly } else { Code::ReadWrite };
    session.selected = Some(selected);
    Ok(Reply::completed().code(code))
}

/// CLOSE expunges without a word where it may.
pub async fn close(session: &mut Session) -> Outcome {
    let selected = session.selected()?;
    if !selected.read_only && selected.rights.contains(Rights::EXPUNGE) {
        expunge::take(session, protocol::imap::command::copy::Expunge { uids: None }).await?;
    }
    unselect(session).await
}

pub async fn unselect(session: &mut Session) -> Outcome {
    session.selected()?;
    if let Some(selected) = session.selected.take() {
        selected.leave(&session.server.store).await;
    }
    Ok(Reply::completed())
}
