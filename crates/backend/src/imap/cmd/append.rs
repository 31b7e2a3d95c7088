//! APPEND, LOCALAPPEND and REPLACE: RFC 3501, RFC 3502 (MULTIAPPEND), RFC 4315 (APPENDUID), RFC 7889 (APPENDLIMIT), RFC 4469
//! (CATENATE), RFC 8508.
//!
//! Each message goes from the socket, and from the messages that URLs name ([`super::catenate`]), into a staging file of the store;
//! all of them go into the mailbox at once, when the whole command has come. With REPLACE the message that it replaces goes in the
//! same commit. A client that waits for a continuation is refused before it sends; one that does not is heard to the end first.

use std::sync::Arc;

use mime::Unfit;
use protocol::acl::Rights;
use protocol::frame::Literal;
use protocol::imap::command::append::{Append, Form, Item, Message, Place, Replaced, Run};
use protocol::imap::refusal::require;
use protocol::imap::url::Lack;
use protocol::imap::{Assembled, Code, Flag, ParseError, Refusal, Reply, UidSet};
use protocol::name::MailboxName;
use tracing::{info, warn};
use work::aside::Pace;

use super::catenate;
use super::fetch::unless_gone;
use crate::imap::conn::Gone;
use crate::imap::limits::{APPEND_BYTES, ARGUMENTS, LITERALS, MESSAGES, UNASKED, rows};
use crate::imap::reply::{Outcome, Stop, refusal};
use crate::imap::selected::may_set;
use crate::imap::session::Session;
use crate::moving::errand::Carried;
use store::{Appended, HEAD, Mailbox, NewMessage, Staging, StoreError};

pub async fn run(session: &mut Session, append: Append, literal: Option<Literal>) -> Outcome {
    let Append { replaced, mailbox: external, open, mut run, .. } = append;
    let mut literal = literal;
    let mut appending = match begin(session, &external, open, replaced, &run).await {
        Ok(appending) => appending,
        Err(stop) => return give_up(session, literal, stop).await,
    };
    loop {
        if let Err(stop) = appending.take(session, run.items, literal).await {
            return give_up(session, literal, stop).await;
        }
        let Some(announced) = literal else { break };
        let received = appending.receive(session, announced).await?;
        let (text, next) = tail(session).await?;
        if let Err(refusal) = received {
            return give_up(session, next, refusal.into()).await;
        }
        let (text, next) = arguments(session, run.place, text, next).await?;
        if is_oversized(session, next) {
            return give_up(session, next, Refusal::UnaskedTooLarge.into()).await;
        }
        literal = next;
        run = match Run::parse(&text, run.place, session.words) {
            Ok(run) if run.place.is_end() == literal.is_none() => run,
            Ok(_) => return give_up(session, literal, Refusal::BadAppend.into()).await,
            Err(error) => {
                return give_up(session, literal, Refusal::malformed(&error, "Append").into()).await;
            }
        };
    }
    appending.finish(session).await
}

/// Whether a literal is too large not to be asked for (RFC 7888 section 5). That of the first message is judged where the command is
/// read.
fn is_oversized(session: &Session, literal: Option<Literal>) -> bool {
    let unasked = |literal: Literal| !literal.sync && literal.size > UNASKED;
    session.server.imapd.literalminus && literal.is_some_and(unasked)
}

/// Ends the command, of which the literal was announced last, where it cannot be done.
pub async fn give_up(session: &mut Session, literal: Option<Literal>, stop: Stop) -> Outcome {
    if let (Some(literal), false) = (literal, matches!(stop, Stop::Gone(_))) {
        let patience = session.patience();
        session.conn.skip(literal, patience).await?;
    }
    Err(stop)
}

/// Where the messages are to go.
enum Into {
    Here(Arc<Mailbox>),
    /// The mailbox has moved to this server.
    Away(String),
}

/// The messages of a command on their way into a mailbox.
struct Appending {
    name: MailboxName,
    /// As the client calls it.
    external: String,
    into: Into,
    rights: Rights,
    /// What the message of a REPLACE takes the place of: mailbox and UID.
    replaced: Option<(Arc<Mailbox>, u32)>,
    /// LOCALAPPEND: what URLs are relative to.
    open: Option<String>,
    room: Room,
    whole: Vec<NewMessage>,
    /// The same as the client has said it, for the server that the mailbox may have moved to.
    carried: Vec<Carried>,
    building: Option<Building>,
}

/// A message of which not all has come.
#[derive(Default)]
struct Building {
    message: Message,
    stage: Option<Staging>,
    check: Check,
    /// A part of it came as a literal8.
    binary: bool,
}

/// How much may come.
struct Room {
    /// Bytes of one message.
    message: u64,
    /// Bytes that have come, of all messages.
    total: u64,
    /// Bytes and messages that leave the same quota root.
    freed: (u64, u64),
}

/// What the messages are to go into, if the user may put them there, and what REPLACE takes away.
async fn begin(
    session: &mut Session,
    external: &str,
    open: Option<String>,
    replaced: Option<Replaced>,
    run: &Run,
) -> Result<Appending, Stop> {
    let replaced = match replaced {
        Some(replaced) => Some(find_replaced(session, &replaced).await?),
        None => None,
    };
    run.items.iter().try_for_each(|item| takes(session, item))?;
    let (name, into, rights) = find(session, external).await?;
    let store = session.server.store.clone();
    let mut freed = (0, 0);
    if let Some((from, uid)) = &replaced
        && let Some(record) = from.view().get(*uid)
        && store.quota_root(&from.name()?) == store.quota_root(&name)
    {
        freed = (record.size, 1);
    }
    let message = super::session::append_limit(&session.server.imapd);
    let room = Room { message, total: 0, freed };
    Ok(Appending {
        name,
        external: external.to_owned(),
        into,
        rights,
        replaced,
        open,
        room,
        whole: Vec::new(),
        carried: Vec::new(),
        building: None,
    })
}

/// The mailbox that the messages are to go into. One that has moved is the other server's to judge.
async fn find(session: &Session, external: &str) -> Result<(MailboxName, Into, Rights), Stop> {
    let found = async {
        let (name, _, rights) = session.find_target(external).await?;
        require(rights, Rights::INSERT)?;
        let mailbox = session.server.store.mailbox(&name).await?;
        Ok((name, Into::Here(mailbox), rights))
    };
    match found.await {
        Err(Stop::Refused(Refusal::MovedTo(server))) if session.server.shared.moving.is_some() => {
            let name = session.user()?.internal(external, &session.server.namespace)?;
            Ok((name, Into::Away(server), Rights::ALL))
        }
        other => other,
    }
}

/// The message that a REPLACE takes away. The rights are those of UID STORE and UID EXPUNGE.
async fn find_replaced(session: &mut Session, replaced: &Replaced) -> Result<(Arc<Mailbox>, u32), Stop> {
    if session.manner().uid_only && !replaced.uid {
        return Err(Refusal::UidRequired.into());
    }
    let selected = session.selected()?;
    if selected.read_only {
        return Err(Refusal::ReadOnly.into());
    }
    require(selected.rights, Rights::EXPUNGE | Rights::DELETE_MESSAGES)?;
    let missing = !replaced.uid && selected.numbering.misses(&replaced.message);
    let mailbox = selected.mailbox.clone();
    let named = session.named(&replaced.message, replaced.uid).await?;
    match named.first() {
        Some((_, uid)) => Ok((mailbox, *uid)),
        None if missing => Err(Refusal::Expunged.into()),
        None => Err(Refusal::NoMessages.into()),
    }
}

/// Whether a message may come in its form.
fn takes(session: &Session, item: &Item) -> Result<(), Refusal> {
    match item {
        Item::Literal(Form { utf8: true, .. }) if !session.manner().utf8 => Err(Refusal::NoUtf8),
        _ => Ok(()),
    }
}

impl Appending {
    /// What a run of text asks for, up to the bytes of the literal that it ends in.
    async fn take(
        &mut self,
        session: &mut Session,
        items: Vec<Item>,
        literal: Option<Literal>,
    ) -> Result<(), Stop> {
        for item in items {
            takes(session, &item)?;
            match item {
                Item::Message(message) => {
                    if self.whole.len() >= MESSAGES {
                        rows::MESSAGES.met("an APPEND of too many messages is refused");
                        return Err(Refusal::TooManyMessages.into());
                    }
                    super::annotate::may_set_with(session, &message.notes, self.rights)?;
                    self.building = Some(Building { message, ..Building::default() });
                }
                Item::Url(url, _) => self.catenate(session, &url).await?,
                Item::Literal(form) => {
                    let size = literal.map_or(0, |literal| literal.size);
                    self.admit(session, size).await?;
                    if let Some(building) = &mut self.building {
                        building.binary |= form.binary;
                    }
                }
                Item::Whole => self.complete(session).await?,
            }
        }
        Ok(())
    }

    /// Sees that so many bytes more of the message have room.
    async fn admit(&mut self, session: &Session, size: u64) -> Result<(), Stop> {
        let Some(building) = &mut self.building else { return Err(Refusal::BadAppend.into()) };
        let before = building.stage.as_ref().map_or(0, Staging::len);
        if before.saturating_add(size) > self.room.message {
            return Err(Refusal::TooBig.into());
        }
        self.room.total = self.room.total.saturating_add(size);
        let (name, store) = (self.name.clone(), &session.server.store);
        if !session.server.ignore_quota
            && let Some(quota) = store.quota_root(&name).and_then(|root| store.quota_now(&root))
        {
            let (bytes, messages) = self.room.freed;
            let storage = quota.usage.storage.saturating_add(self.room.total).saturating_sub(bytes);
            let message = (quota.usage.message + self.whole.len() as u64 + 1).saturating_sub(messages);
            let over = quota.limits.storage.is_some_and(|kib| storage > kib.saturating_mul(1024))
                || quota.limits.message.is_some_and(|limit| message > limit);
            if over {
                return Err(StoreError::OverQuota.into());
            }
        }
        if building.stage.is_none() {
            building.stage = Some(store.stage(&name, Some(size)).await?);
        }
        Ok(())
    }

    /// Takes a literal's bytes from the client. The inner error is why they are refused, once they have been heard to their end.
    async fn receive(
        &mut self,
        session: &mut Session,
        literal: Literal,
    ) -> Result<Result<(), Refusal>, Stop> {
        let Some(Building { stage: Some(stage), check, .. }) = &mut self.building else {
            return Err(Gone::Closed.into());
        };
        if literal.sync {
            session.conn.put_line("+ go ahead");
            session.conn.flush().await?;
        }
        let patience = session.patience();
        let (mut rest, mut pace, mut received) = (literal.size, Pace::default(), Ok(()));
        while rest > 0 {
            match session.conn.next(patience).await? {
                Assembled::Data { bytes, rest: left } => {
                    rest = left;
                    check.read(&bytes);
                    if received.is_ok() {
                        received = stage.write(&bytes).await.map_err(refusal);
                    }
                    pace.steps(bytes.len() / APPEND_BYTES).await;
                }
                _ => return Err(Gone::Closed.into()),
            }
        }
        session.conn.acknowledge();
        Ok(received)
    }

    /// Adds what a URL names.
    async fn catenate(&mut self, session: &mut Session, url: &str) -> Result<(), Stop> {
        let found = catenate::find(session, url, self.open.as_deref()).await?;
        self.admit(session, found.size()).await?;
        let Some(Building { stage: Some(stage), check, .. }) = &mut self.building else {
            return Err(Refusal::BadAppend.into());
        };
        let copy = async {
            let (mut at, mut pace) = (0, Pace::default());
            while at < found.size() {
                let bytes = found.read(at, u64::from(HEAD)).await?;
                if bytes.is_empty() {
                    return Err(StoreError::NoMessage);
                }
                at += bytes.len() as u64;
                check.read(&bytes);
                stage.write(&bytes).await?;
                pace.steps(bytes.len() / APPEND_BYTES).await;
            }
            Ok(())
        };
        match unless_gone(session, copy).await? {
            Err(StoreError::NoMessage) => Err(Refusal::bad_url(url, Lack::Message.text()).into()),
            copied => Ok(copied?),
        }
    }

    /// The message has all its parts.
    async fn complete(&mut self, session: &Session) -> Result<(), Stop> {
        let Some(Building { message, stage, check, binary }) = self.building.take() else {
            return Err(Refusal::BadAppend.into());
        };
        let Some(stage) = stage.filter(|stage| !stage.is_empty()) else {
            return Err(Refusal::EmptyAppend.into());
        };
        // Before UTF8=ACCEPT was announced nobody was refused for it, and where it is not, nobody is (RFC 6855 section 4).
        let plain = session.takes_eight_bit() && !session.manner().utf8;
        let staged = if binary && (check.nul || check.bare) {
            check.verdict_of_header(plain)?;
            let (staged, left) = stage.finish_binary().await?;
            unfit(left)?;
            staged
        } else {
            check.verdict(plain)?;
            stage.finish().await?
        };
        let staged = Arc::new(staged);
        if session.server.shared.moving.is_some() {
            self.carried.push(Carried { message: message.clone(), staged: staged.clone() });
        }
        let flags = message.flags.into_iter().filter(|flag| may_set(flag, self.rights)).collect();
        let internaldate = message.date.map(|date| date.epoch);
        let annotations = super::annotate::settings(session, message.notes)?;
        self.whole.push(NewMessage { staged, flags, internaldate, annotations });
        Ok(())
    }

    /// All messages have come.
    async fn finish(mut self, session: &mut Session) -> Outcome {
        let carried = std::mem::take(&mut self.carried);
        let (external, name) = (self.external.clone(), self.name.clone());
        let replaced = self.replaced.clone();
        let outcome = match &self.into {
            Into::Here(mailbox) => {
                let mailbox = mailbox.clone();
                self.put(session, mailbox).await
            }
            Into::Away(server) => Err(Refusal::MovedTo(server.clone()).into()),
        };
        match outcome {
            // It has come whole: nobody must send it once more.
            Err(Stop::Refused(Refusal::MovedTo(server))) if !carried.is_empty() => {
                carry(session, &server, (&external, &name), replaced, &carried).await
            }
            other => other,
        }
    }

    async fn put(self, session: &mut Session, mailbox: Arc<Mailbox>) -> Outcome {
        let Appending { rights, replaced, mut whole, .. } = self;
        let seen = take_own_seen(session, &mailbox, &mut whole)?;
        let (store, free) = (session.server.store.clone(), session.server.ignore_quota);
        let (replaces, before) = (replaced.is_some(), session.begin_own(&mailbox));
        let appended = match (replaced, whole.pop()) {
            (Some((from, uid)), Some(message)) => store.replace((&from, uid), &mailbox, message, free).await,
            (_, last) => {
                whole.extend(last);
                match free {
                    true => mailbox.append_over_quota(whole).await,
                    false => mailbox.append(whole).await,
                }
            }
        }
        .map_err(super::annotate::refused)?;
        let Appended { uidvalidity, uids } = appended;
        session.end_own(&mailbox, before);
        session.brought(&mailbox, uids.iter().copied());
        let seen: Vec<u32> = seen.iter().filter_map(|at| uids.get(*at).copied()).collect();
        super::store::mark_own_seen(session, &mailbox, seen).await?;
        let uids: UidSet = uids.into_iter().collect();
        let code = Code::AppendUid { uidvalidity, uids: uids.to_string() };
        let code = rights.contains(Rights::READ).then_some(code);
        if !replaces {
            return Ok(Reply { code, ..Reply::completed() });
        }
        // RFC 8508 section 3.3: before the EXPUNGE.
        if let Some(code) = code {
            Reply::ok("Replacement message ready").code(code).write(None, session.conn.out());
        }
        session.gone().await
    }
}

/// Has the server that the mailbox has moved to take the messages, and answers as it does.
async fn carry(
    session: &mut Session,
    server: &str,
    (external, name): (&str, &MailboxName),
    replaced: Option<(Arc<Mailbox>, u32)>,
    messages: &[Carried],
) -> Outcome {
    let moved = || Stop::from(Refusal::MovedTo(server.to_owned()));
    let Some(moving) = session.server.shared.moving.clone() else { return Err(moved()) };
    let from = match &replaced {
        // Only where both are there: nothing is taken away here for what another server has taken.
        Some((from, _)) if from.moved_to().as_deref() != Some(server) => return Err(moved()),
        Some((from, uid)) => Some((from.name()?, *uid)),
        None => None,
    };
    let user = session.user()?.clone();
    let from = from.map(|(from, uid)| (user.external(&from, &session.server.namespace), uid));
    let done = async {
        let mut errand = moving.errand(server, user.id()).await?;
        if session.manner().utf8 {
            errand.ask(b"ENABLE UTF8=ACCEPT").await?;
        }
        let Some((from, uid)) = from else { return errand.append("APPEND", external, messages).await };
        let mut select = b"SELECT ".to_vec();
        protocol::imap::print::astring(&mut select, from.as_bytes());
        match errand.ask(&select).await? {
            opened if opened.is_ok() => {
                errand.append(&format!("UID REPLACE {uid}"), external, messages).await
            }
            refused => Ok(refused),
        }
    };
    match done.await {
        Ok(answer) => {
            info!(mailbox = %name, to = server, messages = messages.len(), "taken here, and put where the mailbox is now");
            // Of a REPLACE the UID comes before the end.
            let told = answer.told.iter().filter(|line| line.contains("[APPENDUID "));
            told.for_each(|line| session.conn.put_line(line));
            Ok(answer.reply())
        }
        Err(why) => {
            warn!(%why, mailbox = %name, to = server, "the mailbox has moved, and the message could not follow");
            Err(moved())
        }
    }
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

/// The text behind a message's bytes, and the literal that it announces.
async fn tail(session: &mut Session) -> Result<(bytes::Bytes, Option<Literal>), Stop> {
    let patience = session.patience();
    match session.conn.next(patience).await? {
        Assembled::Tail { text, literal } => Ok((text, literal)),
        Assembled::Bad(bad) => Err(Refusal::from(bad).into()),
        _ => Err(Gone::Closed.into()),
    }
}

/// The same with the literals that are no messages, but URLs or values of annotations before the next one: in their place, as far
/// as a command may be long.
async fn arguments(
    session: &mut Session,
    place: Place,
    text: bytes::Bytes,
    mut next: Option<Literal>,
) -> Result<(bytes::Bytes, Option<Literal>), Stop> {
    let (mut held, mut literals) = (text.to_vec(), 0);
    while let Some(literal) = next
        && literals < LITERALS
        && !is_oversized(session, next)
        && Run::parse(&held, place, session.words) == Err(ParseError::Incomplete)
        && literal.size.saturating_add(held.len() as u64) <= ARGUMENTS
    {
        literals += 1;
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
    if literals >= LITERALS {
        rows::LITERALS.met("an APPEND with too many literals between its messages is refused");
    }
    Ok((held.into(), next))
}

fn unfit(unfit: Unfit) -> Result<(), Refusal> {
    match unfit {
        Unfit { nul: true, .. } => Err(Refusal::NulInMessage),
        Unfit { bare: true, .. } => Err(Refusal::BareNewlines),
        Unfit { nul: false, bare: false } => Ok(()),
    }
}

/// What no message may hold: NUL, and line ends that are not CRLF. Of what came as a literal8, see [`Staging::finish_binary`].
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

    /// `plain`: its header must be ASCII.
    fn verdict(&self, plain: bool) -> Result<(), Refusal> {
        self.verdict_of_header(plain)?;
        unfit(Unfit { nul: self.nul, bare: self.bare })
    }

    fn verdict_of_header(&self, plain: bool) -> Result<(), Refusal> {
        if plain && self.eight_bit { Err(Refusal::EightBitHeader) } else { Ok(()) }
    }
}
