//! APPEND and LOCALAPPEND: RFC 3501, RFC 3502 (MULTIAPPEND), RFC 4315 (APPENDUID), RFC 7889 (APPENDLIMIT).
//!
//! Each message goes from the socket into a staging file of the store, and all of them into the mailbox at once, when
//! the whole command has come. A client that waits for a continuation is refused before it sends; one that does not is
//! heard to the end first.

use std::sync::Arc;

use protocol::acl::Rights;
use protocol::frame::Literal;
use protocol::imap::command::append::{Append, Message, Next};
use protocol::imap::refusal::require;
use protocol::imap::{Assembled, Code, Flag, ParseError, Refusal, Reply, UidSet};
use work::aside::Pace;

use crate::imap::conn::Gone;
use crate::imap::limits::{APPEND_BYTES, ARGUMENTS, MESSAGES};
use crate::imap::reply::{Outcome, Stop, refusal};
use crate::imap::session::Session;
use store::{Appended, Mailbox, NewMessage, Staging, StoreError};

pub async fn run(session: &mut Session, append: Append, literal: Literal) -> Outcome {
    let Append { mailbox: external, mut message, .. } = append;
    let mut literal = literal;
    let patience = session.patience();
    let (mailbox, rights) = match open(session, &external, literal.size, &message).await {
        Ok(opened) => opened,
        Err(stop) => {
            session.conn.skip(literal, patience).await?;
            return Err(stop);
        }
    };
    let mut staged = Vec::new();
    let mut total = 0u64;
    loop {
        total = total.saturating_add(literal.size);
        let admitted = takes(session, &message)
            .map_err(Stop::from)
            .and_then(|()| admit(session, &mailbox, staged.len(), literal.size, total))
            .and_then(|()| super::annotate::may_set_with(session, &message.notes, rights));
        if let Err(stop) = admitted {
            session.conn.skip(literal, patience).await?;
            return Err(stop);
        }
        let received = receive(session, &mailbox, literal, &message, rights).await?;
        let (text, next) = tail(session).await?;
        let (text, next) = arguments(session, &message, text, next).await?;
        let broken = match received {
            Ok(new) => {
                staged.push(new);
                None
            }
            Err(refusal) => Some(refusal),
        };
        match (broken, next) {
            (Some(refusal), Some(next)) => {
                session.conn.skip(next, patience).await?;
                return Err(refusal.into());
            }
            (Some(refusal), None) => return Err(refusal.into()),
            (None, next) => match (Next::parse(&text, &message, session.words), next) {
                (Ok(Next::End), None) => break,
                (Ok(Next::Message(following)), Some(next)) => (message, literal) = (following, next),
                (parsed, next) => {
                    if let Some(next) = next {
                        session.conn.skip(next, patience).await?;
                    }
                    let error = parsed.err();
                    return Err(error
                        .map_or(Refusal::BadAppend, |e| Refusal::malformed(&e, "Append"))
                        .into());
                }
            },
        }
    }
    let seen = take_own_seen(session, &mailbox, &mut staged)?;
    let appended = add(session, &mailbox, staged).await?;
    let seen: Vec<u32> = seen.iter().filter_map(|at| appended.uids.get(*at).copied()).collect();
    super::store::mark_own_seen(session, &mailbox, seen).await?;
    let reply = Reply::completed();
    if !rights.contains(Rights::READ) {
        return Ok(reply);
    }
    let uids: UidSet = appended.uids.into_iter().collect();
    Ok(reply.code(Code::AppendUid { uidvalidity: appended.uidvalidity, uids: uids.to_string() }))
}

/// Adds messages, of which the session's own client knows.
async fn add(
    session: &mut Session,
    mailbox: &Arc<Mailbox>,
    staged: Vec<NewMessage>,
) -> Result<Appended, Stop> {
    let before = session.begin_own(mailbox);
    let appended = match session.server.ignore_quota {
        true => mailbox.append_over_quota(staged).await,
        false => mailbox.append(staged).await,
    }
    .map_err(super::annotate::refused)?;
    session.end_own(mailbox, before);
    session.brought(mailbox, appended.uids.iter().copied());
    Ok(appended)
}

/// Which of the messages are \Seen by the user alone: that is no flag of theirs, and says nothing to others.
fn take_own_seen(
    session: &Session,
    mailbox: &Mailbox,
    staged: &mut [NewMessage],
) -> Result<Vec<usize>, Stop> {
    let mut seen = Vec::new();
    if !session.server.store.seen_is_shared(mailbox, session.user()?.id()) {
        for (at, new) in staged.iter_mut().enumerate() {
            let before = new.flags.len();
            new.flags.retain(|flag| *flag != Flag::Seen);
            seen.extend((new.flags.len() < before).then_some(at));
        }
    }
    Ok(seen)
}

/// The mailbox to append to, if the user may.
async fn open(
    session: &Session,
    external: &str,
    size: u64,
    message: &Message,
) -> Result<(Arc<Mailbox>, Rights), Stop> {
    takes(session, message)?;
    let (name, _, rights) = session.find(external).map_err(Stop::of_target)?;
    require(rights, Rights::INSERT)?;
    let limit = session.server.imapd.maxmessagesize;
    if (limit > 0 && size > limit) || size > u64::from(u32::MAX) {
        return Err(Refusal::TooBig.into());
    }
    Ok((session.server.store.mailbox(&name).await?, rights))
}

/// Whether a message may come in its form.
fn takes(session: &Session, message: &Message) -> Result<(), Refusal> {
    if message.utf8 && !session.manner().utf8 { Err(Refusal::NoUtf8) } else { Ok(()) }
}

/// Whether one more message may come.
fn admit(session: &Session, mailbox: &Mailbox, staged: usize, size: u64, total: u64) -> Result<(), Stop> {
    if staged >= MESSAGES {
        return Err(Refusal::TooManyMessages.into());
    }
    let limit = session.server.imapd.maxmessagesize;
    if (limit > 0 && size > limit) || size > u64::from(u32::MAX) {
        return Err(Refusal::TooBig.into());
    }
    if session.server.ignore_quota {
        return Ok(());
    }
    let name = mailbox.name()?;
    let store = &session.server.store;
    let Some(quota) = store.quota_root(&name).and_then(|root| store.quota_now(&root)) else { return Ok(()) };
    let storage = quota
        .limits
        .storage
        .is_some_and(|kib| quota.usage.storage.saturating_add(total) > kib.saturating_mul(1024));
    let messages = quota.limits.message.is_some_and(|limit| quota.usage.message + staged as u64 + 1 > limit);
    if storage || messages { Err(StoreError::OverQuota.into()) } else { Ok(()) }
}

/// Takes one message from the client into a staging file. The inner error is why it is refused, once the message has been heard to
/// its end.
async fn receive(
    session: &mut Session,
    mailbox: &Mailbox,
    literal: Literal,
    message: &Message,
    rights: Rights,
) -> Result<Result<NewMessage, Refusal>, Stop> {
    if literal.sync {
        session.conn.put_line("+ go ahead");
        session.conn.flush().await?;
    }
    let patience = session.patience();
    let mut check = Check::default();
    let mut failed = (literal.size == 0).then_some(Refusal::EmptyAppend);
    let mut stage: Option<Staging> =
        match session.server.store.stage(&mailbox.name()?, Some(literal.size)).await {
            Ok(stage) => Some(stage),
            Err(error) => {
                failed = failed.or(Some(refusal(error)));
                None
            }
        };
    let (mut rest, mut pace) = (literal.size, Pace::default());
    while rest > 0 {
        match session.conn.next(patience).await? {
            Assembled::Data { bytes, rest: left } => {
                rest = left;
                check.read(&bytes);
                if let Some(stage) = stage.as_mut().filter(|_| failed.is_none())
                    && let Err(error) = stage.write(&bytes).await
                {
                    failed = Some(refusal(error));
                }
                pace.steps(bytes.len() / APPEND_BYTES).await;
            }
            _ => return Err(Gone::Closed.into()),
        }
    }
    session.conn.acknowledge();
    // Before UTF8=ACCEPT was announced nobody was refused for it, and where it is not, nobody is (RFC 6855 section 4).
    let plain = session.takes_eight_bit() && !session.manner().utf8;
    if let Some(refusal) = failed.or_else(|| check.verdict(message.binary, plain)) {
        return Ok(Err(refusal));
    }
    let Some(stage) = stage else { return Ok(Err(Refusal::EmptyAppend)) };
    let flags = message.flags.iter().filter(|flag| may_set(flag, rights)).cloned().collect();
    let internaldate = message.date.map(|date| date.epoch);
    let annotations = super::annotate::settings(session, message.notes.clone())?;
    match stage.finish().await {
        Ok(staged) => Ok(Ok(NewMessage { staged: Arc::new(staged), flags, internaldate, annotations })),
        Err(error) => Ok(Err(refusal(error))),
    }
}

/// The text behind a message, and the literal that it announces.
async fn tail(session: &mut Session) -> Result<(bytes::Bytes, Option<Literal>), Stop> {
    let patience = session.patience();
    match session.conn.next(patience).await? {
        Assembled::Tail { text, literal } => Ok((text, literal)),
        Assembled::Bad(bad) => Err(Refusal::from(bad).into()),
        _ => Err(Gone::Closed.into()),
    }
}

/// The same with the literals that are no messages, but values of annotations before the next one: in their place, as far as a
/// command may be long.
async fn arguments(
    session: &mut Session,
    message: &Message,
    text: bytes::Bytes,
    mut next: Option<Literal>,
) -> Result<(bytes::Bytes, Option<Literal>), Stop> {
    let mut held = text.to_vec();
    while let Some(literal) = next
        && Next::parse(&held, message, session.words) == Err(ParseError::Incomplete)
        && literal.size.saturating_add(held.len() as u64) <= ARGUMENTS
    {
        if literal.sync {
            session.conn.put_line("+ go ahead");
            session.conn.flush().await?;
        }
        let (patience, mut rest) = (session.patience(), literal.size);
        while rest > 0 {
            match session.conn.next(patience).await? {
                Assembled::Data { bytes, rest: left } => {
                    rest = left;
                    held.extend_from_slice(&bytes);
                }
                _ => return Err(Gone::Closed.into()),
            }
        }
        let (more, following) = tail(session).await?;
        held.extend_from_slice(&more);
        next = following;
    }
    Ok((held.into(), next))
}

/// RFC 4314 section 4: flags that the user may not set are left out.
pub fn may_set(flag: &Flag, rights: Rights) -> bool {
    rights.contains(match flag {
        Flag::Seen => Rights::SEEN,
        Flag::Deleted => Rights::DELETE_MESSAGES,
        _ => Rights::WRITE,
    })
}

/// What no message may hold: NUL outside a literal8, and line ends that are not CRLF.
#[derive(Default)]
struct Check {
    nul: bool,
    bare: bool,
    last: u8,
    /// Whether the header's end has come: an empty line.
    body: bool,
    /// Bytes of the line under way, but for a CR.
    line: usize,
    eight_bit: bool,
}

impl Check {
    fn read(&mut self, bytes: &[u8]) {
        self.nul |= bytes.contains(&0);
        self.read_header(bytes);
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            let before = at.checked_sub(1).and_then(|at| bytes.get(at)).unwrap_or(&self.last);
            self.bare |= *before != b'\r';
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// Looks through the header alone, which most often is in the first bytes.
    fn read_header(&mut self, bytes: &[u8]) {
        if self.body {
            return;
        }
        for byte in bytes {
            match byte {
                b'\n' if self.line == 0 => {
                    self.body = true;
                    return;
                }
                b'\n' => self.line = 0,
                b'\r' => {}
                byte => {
                    self.line += 1;
                    self.eight_bit |= *byte >= 0x80;
                }
            }
        }
    }

    /// `binary`: the message came as a literal8 (RFC 3516 section 4.4). `plain`: its header must be ASCII.
    fn verdict(&self, binary: bool, plain: bool) -> Option<Refusal> {
        if plain && self.eight_bit {
            return Some(Refusal::EightBitHeader);
        }
        if self.nul && !binary {
            return Some(Refusal::NulInMessage);
        }
        self.bare.then_some(Refusal::BareNewlines)
    }
}
