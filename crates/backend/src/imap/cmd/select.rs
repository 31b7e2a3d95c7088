//! SELECT, EXAMINE, CLOSE and UNSELECT: RFC 3501, RFC 3691, RFC 7162, RFC 8474.

use protocol::acl::Rights;
use protocol::imap::command::select::Select;

use super::expunge;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::selected::Selected;
use crate::imap::session::Session;
use crate::imap::user::require;

pub async fn select(session: &mut Session, select: Select) -> Outcome {
    if let Some(before) = session.selected.take() {
        before.leave(&session.server.store).await;
        session.conn.put_line("* OK [CLOSED] Ok");
    }
    session.condstore |= select.condstore;
    let (name, _, rights) = session.find(&select.mailbox)?;
    require(rights, Rights::READ)?;
    let mailbox = session.server.store.mailbox(&name).await?;
    let user = session.user()?.id().to_owned();
    let mut selected =
        Selected::open(&session.server.store, name, mailbox, &user, rights, select.read_only).await?;
    let (view, unseen) = (selected.view().clone(), selected.first_unseen().await);
    let out = session.conn.out();
    selected.write_all_flags(out, &view);
    let mut line = |text: String| {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    line(format!("* {} EXISTS", view.exists()));
    line(format!("* {} RECENT", selected.recent_count()));
    if let Some(sequence) = unseen {
        line(format!("* OK [UNSEEN {sequence}] Ok"));
    }
    line(format!("* OK [UIDVALIDITY {}] Ok", view.uidvalidity));
    line(format!("* OK [UIDNEXT {}] Ok", view.uidnext()));
    line(format!("* OK [HIGHESTMODSEQ {}] Ok", view.modseq()));
    line(format!("* OK [MAILBOXID ({})] Ok", selected.mailbox.uniqueid()));
    super::quota::warn(session, &selected.name);
    let code = if selected.read_only { "READ-ONLY" } else { "READ-WRITE" };
    session.selected = Some(selected);
    Ok(Reply::completed().code(code))
}

/// CLOSE expunges without a word where it may.
pub async fn close(session: &mut Session) -> Outcome {
    let selected = session.selected()?;
    if !selected.read_only && selected.rights.contains(Rights::EXPUNGE) {
        expunge::run(session, protocol::imap::command::copy::Expunge { uids: None }).await?;
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
