//! APPEND (with MULTIAPPEND and BINARY): to the backend that has the mailbox, message by message as it comes.

use protocol::frame::{Literal, Piece};
use protocol::grammar::argument;
use protocol::imap::{Cursor, Limits, ParseError, Refusal};
use upstream::wire::imap::Answer;

use crate::grammar::{Head, literal_is_first_argument, put_astring};
use crate::limits::{MAILBOX_MAX, rows};
use crate::session::client::GO_AHEAD;
use crate::session::{Located, Outcome, Session, Stop};

/// `APPEND mailbox …`: the mailbox is read, the rest is piped.
pub async fn append(s: &mut Session, head: Head, first: Piece) -> Outcome {
    let (mailbox, rest) = match mailbox(s, &head, first).await? {
        Ok(parsed) => parsed,
        Err(refusal) => return Err(refusal.into()),
    };
    let located = match locate(s, &mailbox).await {
        Ok(located) => located,
        Err(stop) => {
            s.client.skip(rest).await?;
            return Err(stop);
        }
    };
    Ok(carry(s, &head, &mailbox, &located, rest).await?.into())
}

async fn carry(
    s: &mut Session,
    head: &Head,
    mailbox: &str,
    located: &Located,
    rest: Piece,
) -> Result<Answer, Stop> {
    let server = located.server().to_owned();
    let ready = match s.link(&server).await.map(drop) {
        Ok(()) => s.hear_selected(&server).await,
        Err(stop) => Err(stop),
    };
    if let Err(stop) = ready {
        if matches!(stop, Stop::Backend { .. }) {
            s.client.skip(rest).await?;
        }
        return Err(stop);
    }
    let mut command = b"APPEND ".to_vec();
    put_astring(&mut command, mailbox.as_bytes());
    let id = s.up(&server, |link| {
        let id = link.begin(Some(head.tag.as_str()))?;
        link.send(&command)?;
        Ok(id)
    })?;
    s.pipe(&server, id, rest).await
}

async fn locate(s: &Session, mailbox: &str) -> Result<Located, Stop> {
    match s.locate(mailbox).await {
        Ok(located) if s.follows_referrals => Err(s.referral(&located, mailbox)),
        Err(Stop::Refused(refusal)) => Err(refusal.of_target().into()),
        other => other,
    }
}

/// The mailbox, and the piece that goes on behind it; or why there is none, the command skipped.
async fn mailbox(
    s: &mut Session,
    head: &Head,
    first: Piece,
) -> Result<Result<(String, Piece), Refusal>, Stop> {
    let title = head.title();
    let (line, literal) = match &first {
        Piece::Line(text) => (text.clone(), None),
        Piece::Header { text, literal } => (text.clone(), Some(*literal)),
        Piece::Data { .. } | Piece::Overlong { .. } => {
            s.client.skip(first).await?;
            return Ok(Err(Refusal::malformed(&ParseError::Invalid("mailbox"), &title)));
        }
    };
    if let Some(literal) = literal.filter(|_| literal_is_first_argument(&line, head)) {
        return literal_mailbox(s, literal, first).await;
    }
    let arguments = line.get(head.arguments..).unwrap_or_default();
    let mut cursor = Cursor::new(arguments, Limits::default());
    let parsed = cursor.read(argument(protocol::grammar::mailbox));
    let used = arguments.len() - cursor.rest().len();
    match parsed {
        Ok(mailbox) => {
            let rest = line.slice(head.arguments + used..);
            let rest = match literal {
                Some(literal) => Piece::Header { text: rest, literal },
                None => Piece::Line(rest),
            };
            Ok(Ok((mailbox, rest)))
        }
        Err(error) => {
            s.client.skip(first).await?;
            Ok(Err(Refusal::malformed(&error, &title)))
        }
    }
}

async fn literal_mailbox(
    s: &mut Session,
    literal: Literal,
    first: Piece,
) -> Result<Result<(String, Piece), Refusal>, Stop> {
    if literal.size > MAILBOX_MAX {
        rows::MAILBOX_MAX.met("a mailbox's name that is too long is refused");
        s.client.skip(first).await?;
        return Ok(Err(Refusal::NameTooLong));
    }
    if literal.sync {
        s.client.put(GO_AHEAD);
    }
    let mut name = Vec::new();
    let rest = loop {
        match s.client.piece().await? {
            Piece::Data { bytes, .. } => name.extend_from_slice(&bytes),
            other => break other,
        }
    };
    Ok(Ok((String::from_utf8_lossy(&name).into_owned(), rest)))
}
