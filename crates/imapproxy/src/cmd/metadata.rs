//! GETMETADATA, SETMETADATA (RFC 5464) and their predecessors, of one mailbox: its backend answers.

use protocol::imap::{Cursor, ParseError};

use super::Request;
use crate::session::{Session, Stop};

/// `GETMETADATA [(options)] mailbox entries`, `SETMETADATA mailbox entries`
pub async fn metadata(s: &mut Session, request: Request) -> Result<(), Stop> {
    let title = request.head.title();
    let mailbox =
        mailbox(request.head.arguments(&request.raw)).map_err(|error| Stop::bad(error.text(&title)))?;
    if mailbox.is_empty() {
        return server(s, &request);
    }
    if mailbox.contains(['*', '%']) {
        return Err(Stop::no("Patterns of mailboxes are not served here"));
    }
    let located = s.locate(&mailbox).await?;
    let answer = s.forward(located.server(), &request.head.tag, &request.raw).await?;
    s.client.put(answer.tagged(&request.head.tag));
    Ok(())
}

fn mailbox(mut at: Cursor<'_>) -> Result<String, ParseError> {
    at.space()?;
    if at.peek() == Some(b'(') {
        at.list(16, |item| {
            item.atom()?;
            Ok(())
        })?;
        at.space()?;
    }
    at.mailbox()
}

/// A frontend holds no annotations of its own.
fn server(s: &mut Session, request: &Request) -> Result<(), Stop> {
    if request.head.verb.starts_with("SET") {
        return Err(Stop::no(crate::session::DENIED));
    }
    s.client.put(format!("{} OK Completed\r\n", request.head.tag));
    Ok(())
}
