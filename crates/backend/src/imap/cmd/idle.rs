//! IDLE: RFC 2177. The session sleeps until the open mailbox changes or the client speaks.

use protocol::frame::trim_line;
use protocol::imap::{Refusal, Reply};

use crate::imap::conn::Gone;
use crate::imap::reply::Outcome;
use crate::imap::selected::Announce;
use crate::imap::session::Session;

pub async fn run(session: &mut Session) -> Outcome {
    session.conn.put_line("+ idling");
    session.announce(Announce::All).await?;
    session.conn.flush().await?;
    let imapd = &session.server.imapd;
    let patience = imapd.imapidletimeout.unwrap_or(imapd.timeout);
    let stop = session.server.stop.clone();
    while !session.over {
        let changed = session.selected.as_ref().map(|selected| selected.changes());
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
            () = async {
                match changed {
                    Some(changed) => changed.await,
                    None => std::future::pending().await,
                }
            } => {
                session.announce(Announce::All).await?;
                session.conn.flush().await?;
            }
        }
    }
    Err(Gone::Closed.into())
}
