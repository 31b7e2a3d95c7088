//! APPEND (with MULTIAPPEND, BINARY and CATENATE) and REPLACE (RFC 8508): to the backend that has the mailbox, message by message as it
//! comes. What a URL names on another backend is fetched there ([`crate::session::parts`]).
//!
//! A REPLACE whose mailbox is on the backend of the message that goes is that backend's to do. Where it is on another, or the backend is Cyrus's:
//!
//! 1. On the source: whether the message is there, and may go.
//! 2. On the target: the same as an APPEND. What it refuses, it refuses; nothing has changed.
//! 3. On the source: the message goes, as at the end of a MOVE. Where it may not, or somebody else has taken it, the new message is
//!    taken back. A failure between 2 and 3 leaves both: the message is never in no place.

use protocol::frame::{Literal, Piece};
use protocol::grammar::argument;
use protocol::imap::code::Heard;
use protocol::imap::command::append::Replaced;
use protocol::imap::command::copy::Copy;
use protocol::imap::{Code, Cursor, Limits, ParseError, Refusal};
use upstream::wire::imap::Answer;

use super::copy::{Copied, may_remove, remove, survey};
use super::look::locate_target;
use crate::grammar::{Head, literal_is_next, put_astring};
use crate::limits::{MAILBOX_MAX, rows};
use crate::session::client::GO_AHEAD;
use crate::session::runs::Runs;
use crate::session::{Located, Outcome, Selected, Session, Stop};

/// `APPEND mailbox …`: the mailbox is read, the rest is piped.
pub async fn append(s: &mut Session, head: Head, first: Piece) -> Outcome {
    let (mailbox, rest) = match mailbox(s, &head, first, head.arguments).await? {
        Ok(parsed) => parsed,
        Err(refusal) => return Err(refusal.into()),
    };
    let located = match locate(s, &mailbox).await {
        Ok(located) => located,
        Err(stop) => return give_up(s, rest, stop).await,
    };
    let runs = Runs::new(false);
    Ok(carry(s, Some(&head), (b"APPEND ", &mailbox), located.server(), rest, runs).await?.into())
}

/// `REPLACE number mailbox …` and `UID REPLACE …`
pub async fn replace(s: &mut Session, head: Head, first: Piece) -> Outcome {
    let parsed = match &first {
        Piece::Line(text) | Piece::Header { text, .. } => {
            let mut at = head.arguments(text);
            let whole = at.rest().len();
            at.read(|at| Replaced::parse(at, head.uid)).map(|replaced| (replaced, whole - at.rest().len()))
        }
        Piece::Data { .. } | Piece::Overlong { .. } => Err(ParseError::Invalid("sequence")),
    };
    let (replaced, used) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return give_up(s, first, Refusal::malformed(&error, &head.title()).into()).await,
    };
    let (mailbox, rest) = match mailbox(s, &head, first, head.arguments + used).await? {
        Ok(parsed) => parsed,
        Err(refusal) => return Err(refusal.into()),
    };
    let Some(source) = s.selected.clone() else {
        return give_up(s, rest, Refusal::NothingSelected.into()).await;
    };
    let target = match locate_target(s, &mailbox).await {
        Ok(target) => target,
        Err(stop @ Stop::Refused(_)) => return give_up(s, rest, stop).await,
        Err(stop) => return Err(stop),
    };
    // Cyrus's backends read the message of a REPLACE that they have refused as commands (3.10), or end with it (3.12).
    let is_ours = s.links.get_mut(&source.server).is_some_and(|link| link.capabilities.has("XTAKE"));
    if target.server() == source.server && is_ours {
        let uid = if head.uid { "UID " } else { "" };
        let command = format!("{uid}REPLACE {} ", replaced.message);
        let command = (command.as_bytes(), mailbox.as_str());
        return Ok(carry(s, Some(&head), command, target.server(), rest, Runs::new(true)).await?.into());
    }
    let copy = Copy { uid: head.uid, set: replaced.message, mailbox, moves: true };
    across(s, &head, copy, &source, &target, rest).await
}

async fn across(
    s: &mut Session,
    head: &Head,
    copy: Copy,
    source: &Selected,
    target: &Located,
    rest: Piece,
) -> Outcome {
    let uid = match what_goes(s, &copy, source).await {
        Ok(uid) => uid,
        Err(stop) => return give_up(s, rest, stop).await,
    };
    let server = target.server().to_owned();
    let runs = Runs::of_replace(head.title());
    let answer = carry(s, None, (b"APPEND ", &copy.mailbox), &server, rest, runs).await?;
    if !answer.is_ok() {
        return Ok(answer.into());
    }
    let code = match answer.code() {
        Some(Heard::AppendUid { uidvalidity, uids }) => Some(Code::AppendUid { uidvalidity, uids }),
        _ => None,
    };
    let told = "Replacement message ready";
    let copied = Copied { server, answer, sent: vec![uid], code, told, must_go: true };
    remove(s, &head.tag, &copy, source, copied).await
}

/// The UID of the message that is to go, if it is there and may.
async fn what_goes(s: &mut Session, copy: &Copy, source: &Selected) -> Result<u32, Stop> {
    if !copy.uid && s.enabled.manner().uid_only {
        return Err(Refusal::UidRequired.into());
    }
    may_remove(s, source).await?;
    let messages = survey(s, source, copy, None).await?;
    messages.first().map(|message| message.uid).ok_or(Refusal::NoMessages.into())
}

/// Ends a command of which not all was read.
async fn give_up(s: &mut Session, rest: Piece, stop: Stop) -> Outcome {
    if matches!(stop, Stop::Refused(_) | Stop::Relayed(_) | Stop::Backend { .. }) {
        s.client.skip(rest).await?;
    }
    Err(stop)
}

/// Sends a command, which the client knows by `head`, with its mailbox and the rest.
async fn carry(
    s: &mut Session,
    head: Option<&Head>,
    (command, mailbox): (&[u8], &str),
    server: &str,
    rest: Piece,
    runs: Runs,
) -> Result<Answer, Stop> {
    let ready = match s.link(server).await.map(drop) {
        Ok(()) => s.hear_selected(server).await,
        Err(stop) => Err(stop),
    };
    if let Err(stop) = ready {
        if matches!(stop, Stop::Backend { .. } | Stop::Refused(_)) {
            s.client.skip(rest).await?;
        }
        return Err(stop);
    }
    let mut command = command.to_vec();
    put_astring(&mut command, mailbox.as_bytes());
    let id = s.up(server, |link| {
        let id = link.begin(head.map(|head| head.tag.as_str()))?;
        link.send(&command)?;
        Ok(id)
    })?;
    s.pipe_append(server, id, rest, runs).await
}

async fn locate(s: &Session, mailbox: &str) -> Result<Located, Stop> {
    match locate_target(s, mailbox).await {
        Ok(located) if s.follows_referrals => Err(s.referral(&located, mailbox)),
        other => other,
    }
}

/// The mailbox, which stands at `from` in the line, and the piece that goes on behind it; or why there is none, the command skipped.
async fn mailbox(
    s: &mut Session,
    head: &Head,
    first: Piece,
    from: usize,
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
    if let Some(literal) = literal.filter(|_| literal_is_next(&line, from)) {
        return literal_mailbox(s, literal, first).await;
    }
    let arguments = line.get(from..).unwrap_or_default();
    let mut cursor = Cursor::new(arguments, Limits::default());
    let parsed = cursor.read(argument(protocol::grammar::mailbox));
    let used = arguments.len() - cursor.rest().len();
    match parsed {
        Ok(mailbox) => {
            let rest = line.slice(from + used..);
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
