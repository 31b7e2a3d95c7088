//! GETMETADATA, SETMETADATA (RFC 5464) and GETANNOTATION, SETANNOTATION before them. Of one mailbox: its backend
//! answers. Of a pattern: the backend of each mailbox is asked, the answers go through. Of the server: a frontend has
//! no annotations of its own.

use protocol::grammar::{atom, list, list_mailbox, space};
use protocol::imap::{Cursor, ParseError, Refusal};

use super::Request;
use super::list::look_around;

use crate::grammar::put_astring;
use crate::session::relay::To;
use crate::session::{Done, Outcome, Session, Stop};

/// `GETMETADATA [(options)] mailbox entries`, `SETMETADATA mailbox entries`
pub async fn metadata(s: &mut Session, request: &Request) -> Outcome {
    let title = request.head.title();
    let parsed = Parsed::of(request.head.arguments(&request.raw));
    let parsed = parsed.map_err(|error| Refusal::malformed(&error, &title))?;
    let setting = request.head.verb.starts_with("SET");
    if parsed.mailbox.is_empty() {
        if setting {
            return Err(Refusal::Denied.into());
        }
        return Ok(Done::completed());
    }
    if !setting && parsed.mailbox.contains(['*', '%']) {
        return of_all(s, request, &parsed).await;
    }
    let located = s.locate(&parsed.mailbox).await?;
    Ok(s.forward(located.server(), &request.head.tag, request.text()).await?.into())
}

/// A command taken apart as far as the mailbox.
struct Parsed {
    mailbox: String,
    /// What follows it, without the line end.
    rest: Vec<u8>,
}

impl Parsed {
    fn of(mut at: Cursor<'_>) -> Result<Parsed, ParseError> {
        at.read(space)?;
        if at.peek() == Some(b'(') {
            at.read(list(16, atom))?;
            at.read(space)?;
        }
        let mailbox = at.read(list_mailbox)?;
        Ok(Parsed { mailbox, rest: at.rest().to_vec() })
    }
}

/// Asks for each mailbox that the user sees and the pattern fits. One whose backend is down has no annotations now.
async fn of_all(s: &mut Session, request: &Request, parsed: &Parsed) -> Outcome {
    s.hear_selected("").await?;
    let pattern = s.node.namespace.pattern("", &parsed.mailbox);
    let fitting = look_around(s, move |viewer, budget| viewer.fitting(&pattern, budget)).await?;
    if fitting.is_empty() {
        return Err(Refusal::NoMailbox.into());
    }
    for seen in fitting {
        let mut command = format!("{} ", request.head.verb).into_bytes();
        put_astring(&mut command, seen.external.as_bytes());
        command.extend_from_slice(&parsed.rest);
        let asked = match s.link(&seen.server).await.map(drop) {
            Ok(()) => s.ask(&seen.server, &command, To::Client).await.map(drop),
            Err(stop) => Err(stop),
        };
        match asked {
            Err(Stop::Backend { server, .. }) if s.selected_server() != Some(server.as_str()) => {
                s.links.remove(&server)
            }
            other => other?,
        }
    }
    Ok(Done::completed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::imap::Limits;

    #[test]
    fn the_mailbox_is_found_behind_options() {
        let parse =
            |text: &str| Parsed::of(Cursor::new(text.as_bytes(), Limits::default())).map(|p| p.mailbox);
        assert_eq!(parse(" INBOX (/shared/comment)"), Ok("INBOX".to_owned()));
        assert_eq!(parse(" (MAXSIZE 10 DEPTH infinity) \"a b\" /x"), Ok("a b".to_owned()));
        assert_eq!(parse(" user/* (/x)"), Ok("user/*".to_owned()));
        assert!(parse("").is_err());
    }
}
