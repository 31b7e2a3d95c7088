//! IDLE: RFC 2177. The session sleeps until the open mailbox changes, or whatever NOTIFY has asked for, or the client speaks.

use protocol::frame::trim_line;
use protocol::imap::{Refusal, Reply};

use crate::imap::conn::Gone;
use crate::imap::notify::{Notify, due};
use crate::imap::reply::Outcome;
use crate::imap::selected::{Announce, Selected};
use crate::imap::session::Session;

pub async fn run(session: &mut Session) -> Outcome {
    session.conn.put_line("+ idling");
    if !session.waits_for_nothing() {
        session.announce(Announce::All).await?;
    }
    session.conn.flush().await?;
    let imapd = &session.server.imapd;
    let patience = imapd.imapidletimeout.unwrap_or(imapd.timeout);
    let stop = session.server.stop.clone();
    while !session.over {
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                session.conn.put(session.server.stopped().line());
                session.over = true;
                return Err(Gone::Closed.into());
            }
            line = session.conn.line(patience) => {
                let line = line?;
                return match trim_line(&line).eq_ignore_ascii_case(b"DONE") {
                    true => Ok(Reply::completed()),
                    false => Err(Refusal::BadIdle.into()),
                };
            }
            () = changed(session.notify.as_ref(), session.selected.as_ref()) => {
                match session.notify.is_some() {
                    true => {
                        session.tell_selected(true).await?;
                        if !session.over {
                            session.tell_news().await?;
                        }
                    }
                    false => session.announce(Announce::All).await?,
                }
                session.conn.flush().await?;
            }
        }
    }
    Err(Gone::Closed.into())
}

/// Returns when there is something to be told.
async fn changed(notify: Option<&Notify>, selected: Option<&Selected>) {
    match (notify, selected) {
        (Some(notify), selected) => due(Some(notify), selected).await,
        (None, Some(selected)) => selected.changes().await,
        (None, None) => std::future::pending().await,
    }
}
