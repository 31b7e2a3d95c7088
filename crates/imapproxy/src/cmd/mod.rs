//! The commands, one file per family.

mod acl;
mod annotations;
mod append;
mod copy;
mod idle;
pub mod lines;
mod list;
mod login;
pub mod look;
pub mod lsub;
mod mailbox;
mod message;
mod metadata;
mod multisearch;
mod notify;
mod quota;
mod select;
mod server_metadata;
mod session;
mod status;

use std::time::Instant;

use bytes::Bytes;
use protocol::frame::{Piece, trim_line};
use protocol::imap::code::Heard;
use protocol::imap::command::{before_login, is_foreign, is_of_messages};
use protocol::imap::{Body, Bye, Command, Kind, Limits, Refusal, Tag};
use tracing::{debug, warn};

use crate::grammar::Head;
use crate::limits::{COMMAND, COMMAND_BEFORE_LOGIN, MISTAKES, MOVED, rows};
use crate::session::client::Whole;
use crate::session::{Done, Outcome, Session, Stop};

/// One command, read whole.
pub struct Request {
    pub head: Head,
    /// Raw, with its line end and its literals.
    pub raw: Bytes,
}

impl Request {
    /// What follows the tag, without the line end: as it goes to a backend.
    fn text(&self) -> &[u8] {
        trim_line(self.head.untagged(&self.raw))
    }
}

/// Serves one command, of which the first piece was read, and answers it.
pub async fn execute(session: &mut Session, first: Piece) -> Result<(), Stop> {
    let line = match &first {
        Piece::Line(text) | Piece::Header { text, .. } => text.clone(),
        Piece::Overlong { start, .. } => start.clone(),
        Piece::Data { .. } => return Err(Stop::Bye(Bye::new("Fatal error: out of step"))),
    };
    let head = match Head::parse(&line) {
        Ok(head) => head,
        Err(bad) => {
            session.client.skip(first).await?;
            let tag = bad.tag.clone();
            return refuse(session, tag.as_ref(), &bad.into(), false);
        }
    };
    let (tag, foreign) = (head.tag.clone(), is_foreign(&head.verb));
    if let Piece::Header { literal, .. } = &first
        && session.client.is_oversized(literal)
    {
        session.client.skip(first).await?;
        return refuse(session, Some(&tag), &Refusal::UnaskedTooLarge, false);
    }
    let timed = (!head.verb.eq_ignore_ascii_case("IDLE")).then(Instant::now);
    let outcome = match notify::tell_links(session).await {
        Ok(()) => serve_where_it_is(session, head, first).await,
        Err(stop) => Err(stop),
    };
    if let Some(began) = timed {
        service::command_took("imap", began);
    }
    let mut wrong = false;
    match outcome {
        Ok(Done::Here(reply)) => session.client.put(reply.line(Some(&tag))),
        Ok(Done::There(answer)) | Err(Stop::Relayed(answer)) => {
            session.client.put(answer.tagged(tag.as_str()));
            // Not to know of UIDONLY's rule is no nonsense.
            wrong = answer.condition() == Some(Kind::Bad) && answer.code() != Some(Heard::UidRequired);
        }
        Ok(Done::Told) => {}
        Err(Stop::Refused(refusal)) => return refuse(session, Some(&tag), &refusal, foreign),
        Err(Stop::Backend { server, why }) => {
            warn!("backend {server}: {why}");
            session.links.remove(&server);
            // Within a response that was cut off, an answer would be read as a part of it.
            if session.selected_server() == Some(server.as_str()) || session.client.is_torn() {
                return Err(Stop::lost());
            }
            session.client.put(Refusal::ServerDown.reply().line(Some(&tag)));
        }
        Err(stop @ (Stop::Bye(_) | Stop::Client(_))) => return Err(stop),
    }
    count(session, wrong, foreign)
}

/// Serves a command, and once more where its mailbox has moved while it was on the way to a backend. What the client sent is still
/// at hand, unless it was too long to keep.
async fn serve_where_it_is(s: &mut Session, head: Head, first: Piece) -> Outcome {
    let mut wanted = Wanted::read(s, head, first).await?;
    for _ in 0..MOVED {
        let kept = wanted.kept();
        let outcome = serve(s, wanted).await;
        // Not while its end is not known: whoever is gone needs no mailbox.
        if !matches!(outcome, Err(Stop::Bye(_) | Stop::Client(_))) {
            s.follow_selected().await?;
        }
        if !has_moved(&outcome) {
            return outcome;
        }
        let Some(raw) = kept.filter(|_| !s.client.is_torn()) else { break };
        // The list knows, or will at once: the master has said so to the backend.
        if s.node.directory.barrier().await.is_err() {
            break;
        }
        let head = Head::parse(&raw).map_err(|_| Stop::from(Refusal::Moved))?;
        wanted = Wanted::of(s, head, raw)?;
    }
    rows::MOVED.met("a mailbox that has moved is not found: the client is asked to try again");
    Err(Refusal::Moved.into())
}

/// Whether a backend has said that it did nothing, since it has given the mailbox away.
fn has_moved(outcome: &Outcome) -> bool {
    match outcome {
        Ok(Done::There(answer)) | Err(Stop::Relayed(answer)) => answer.code() == Some(Heard::XMoved),
        Ok(Done::Here(_) | Done::Told) | Err(_) => false,
    }
}

/// Says why a command is not done.
fn refuse(session: &mut Session, tag: Option<&Tag>, refusal: &Refusal, foreign: bool) -> Result<(), Stop> {
    let reply = refusal.reply();
    session.client.put(reply.line(tag));
    let wrong = reply.kind == Kind::Bad && *refusal != Refusal::UidRequired;
    if wrong && !foreign {
        debug!("bad command: {}", reply.text);
    }
    count(session, wrong, foreign)
}

/// Ten commands in a row that make no sense are no mail client's, whoever said so: the backends leave it to us to count.
/// `foreign`: they make sense elsewhere.
fn count(session: &mut Session, wrong: bool, foreign: bool) -> Result<(), Stop> {
    if !wrong {
        session.mistakes = 0;
    } else if !foreign {
        session.mistakes += 1;
        if session.mistakes >= MISTAKES {
            rows::MISTAKES.met("too many wrong commands in a row: the session is ended");
            return Err(Stop::Bye(Bye::new("This is an IMAP server")));
        }
    }
    Ok(())
}

/// What is read of a command here before it is served.
enum Wanted {
    /// Nothing but its first piece: the messages of an APPEND or REPLACE are streamed, and everything about the messages of the selected
    /// mailbox is its backend's, whatever it may be.
    Append(Head, Piece),
    Replace(Head, Piece),
    Messages(Head, Piece),
    /// All, of which the mailbox alone is understood: the rest is its backend's.
    Select(Request),
    Status(Request),
    QuotaRoot(Request),
    Reconstruct(Request),
    /// All, and understood.
    Whole(Request, Body),
}

impl Wanted {
    /// What is needed to serve it once more: all that the client sent, where that was read.
    fn kept(&self) -> Option<Bytes> {
        match self {
            Wanted::Append(..) | Wanted::Replace(..) => None,
            Wanted::Messages(_, Piece::Line(line)) => Some(line.clone()),
            Wanted::Messages(..) => None,
            Wanted::Select(request)
            | Wanted::Status(request)
            | Wanted::QuotaRoot(request)
            | Wanted::Reconstruct(request)
            | Wanted::Whole(request, _) => Some(request.raw.clone()),
        }
    }

    async fn read(session: &mut Session, head: Head, first: Piece) -> Result<Wanted, Stop> {
        if session.user.is_none() && !before_login(&head.verb) {
            session.client.skip(first).await?;
            return Err(Refusal::NotLoggedIn.into());
        }
        if matches!(first, Piece::Overlong { .. }) {
            session.client.skip(first).await?;
            return Err(Refusal::LineTooLong.into());
        }
        logs::chat(session.listener.imapd().chatty, head.verb.as_bytes());
        match head.verb.as_str() {
            "APPEND" if !head.uid => return Ok(Wanted::Append(head, first)),
            "REPLACE" => return Ok(Wanted::Replace(head, first)),
            verb if is_selecteds(session, verb) => return Ok(Wanted::Messages(head, first)),
            _ => {}
        }
        let limit = if session.user.is_some() { COMMAND } else { COMMAND_BEFORE_LOGIN };
        let raw = match session.client.whole(first, limit).await? {
            Whole::Command(raw) => raw,
            Whole::TooLong(refusal) => return Err(refusal.into()),
        };
        Wanted::whole(Request { head, raw })
    }

    /// The same for a command of which all that there is is at hand.
    fn of(s: &Session, head: Head, raw: Bytes) -> Result<Wanted, Stop> {
        match is_selecteds(s, &head.verb) {
            true => Ok(Wanted::Messages(head, Piece::Line(raw))),
            false => Wanted::whole(Request { head, raw }),
        }
    }

    fn whole(request: Request) -> Result<Wanted, Stop> {
        Ok(match (request.head.uid, request.head.verb.as_str()) {
            (false, "SELECT" | "EXAMINE") => Wanted::Select(request),
            (false, "STATUS") => Wanted::Status(request),
            (false, "GETQUOTAROOT") => Wanted::QuotaRoot(request),
            (false, "RECONSTRUCT") => Wanted::Reconstruct(request),
            _ => {
                let command = Command::parse(&request.raw, Limits::default()).map_err(Refusal::from)?;
                Wanted::Whole(request, command.body)
            }
        })
    }
}

/// Whether a command is the selected backend's, whatever it says. XSORT and XSTATS are Cyrus's own, which its backends know; here nobody
/// does.
fn is_selecteds(s: &Session, verb: &str) -> bool {
    is_of_messages(verb) || matches!(verb, "XSORT" | "XSTATS") && s.selected.is_some()
}

/// The table of commands.
async fn serve(s: &mut Session, wanted: Wanted) -> Outcome {
    let (request, body) = match wanted {
        Wanted::Append(head, first) => return append::append(s, head, first).await,
        Wanted::Replace(head, first) => return append::replace(s, head, first).await,
        Wanted::Messages(head, first) => return message::pipe(s, head, first).await,
        Wanted::Select(request) => return select::select(s, &request).await,
        Wanted::Status(request) => return status::status(s, &request).await,
        Wanted::QuotaRoot(request) => return quota::get_root(s, &request).await,
        Wanted::Reconstruct(request) => return mailbox::reconstruct(s, &request).await,
        Wanted::Whole(request, body) => (request, body),
    };
    let r = &request;
    match body {
        Body::Capability => session::capability(s).await,
        Body::Check if s.selected.is_none() => Err(Refusal::NothingSelected.into()),
        Body::Noop | Body::Check => session::noop(s, r).await,
        Body::Logout => session::logout(s).await,
        Body::Id(_) => session::id(s, r).await,
        Body::StartTls => login::start_tls(s, r).await,
        Body::Login(login) => login::login(s, login).await,
        Body::Authenticate(authenticate) => login::authenticate(s, authenticate).await,
        Body::Unauthenticate => login::unauthenticate(s, r).await,
        Body::Enable(items) => session::enable(s, items).await,
        Body::Compress(algorithm) => session::compress(s, r, &algorithm).await,
        Body::Namespace => session::namespace(s).await,
        Body::Idle => idle::idle(s).await,
        Body::Close | Body::Unselect => select::close(s, r).await,
        Body::Create(create) => mailbox::create(s, r, create).await,
        Body::Delete(mailbox) => mailbox::delete(s, r, &mailbox).await,
        Body::Rename(rename) => mailbox::rename(s, r, rename).await,
        Body::Subscribe(mailbox) => lsub::subscribe(s, r, &mailbox).await,
        Body::Unsubscribe(mailbox) => lsub::unsubscribe(s, r, &mailbox).await,
        Body::List(list) => list::list(s, r, list).await,
        Body::Lsub(lsub) => lsub::lsub(s, r, lsub).await,
        Body::SetAcl(set) => acl::set(s, r, &set.mailbox).await,
        Body::DeleteAcl(delete) => acl::set(s, r, &delete.mailbox).await,
        Body::GetAcl(mailbox) => acl::get(s, &mailbox).await,
        Body::ListRights(list) => acl::rights(s, list).await,
        Body::MyRights(mailbox) => acl::my_rights(s, &mailbox).await,
        Body::GetQuota(root) => quota::get(s, r, &root).await,
        Body::SetQuota(set) => quota::set(s, r, set).await,
        Body::GetMetadata(get) => metadata::get(s, r, get).await,
        Body::SetMetadata(set) => metadata::set(s, r, set).await,
        Body::GetAnnotation(get) => metadata::annotation(s, r, &get.mailbox).await,
        Body::Warmup(mailbox) => metadata::warm_up(s, r, &mailbox).await,
        Body::RunAnnotator => Ok(Done::completed()),
        Body::SetAnnotation(mailbox) => metadata::annotation(s, r, &mailbox).await,
        Body::Copy(copy) => copy::copy(s, r, copy).await,
        Body::MultiSearch(search) => multisearch::search(s, r, search).await,
        Body::Notify(notify) => notify::notify(s, notify).await,
        Body::Xfer(xfer) => mailbox::xfer(s, r, &xfer.mailbox).await,
        // Read otherwise (see [`Wanted`]), or asked of backends only.
        Body::Select(_)
        | Body::Status(_)
        | Body::GetQuotaRoot(_)
        | Body::Expunge(_)
        | Body::Fetch(_)
        | Body::Store(_)
        | Body::Search(_)
        | Body::Sort(_)
        | Body::Thread(_)
        | Body::UidBatches(_)
        | Body::MupdatePush(_)
        | Body::LocalCreate(_)
        | Body::LocalDelete(_)
        | Body::XClient(_)
        | Body::XKick(_)
        | Body::XTake(_)
        | Body::XAdopt(_) => Err(Refusal::Unrecognized.into()),
    }
}
