//! The commands, one file per family.

mod acl;
mod append;
mod copy;
mod idle;
mod list;
mod login;
mod lsub;
mod mailbox;
mod message;
mod metadata;
mod quota;
mod select;
mod session;
mod status;

use bytes::Bytes;
use protocol::frame::{Piece, trim_line};
use protocol::imap::command::is_foreign;
use protocol::imap::{Body, Command, Limits};
use tracing::{debug, warn};

use crate::grammar::Head;
use crate::session::client::Whole;
use crate::session::{DOWN, LOST, Session, Stop};

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

/// Serves one command, of which the first piece was read.
pub async fn execute(session: &mut Session, first: Piece) -> Result<(), Stop> {
    let line = match &first {
        Piece::Line(text) | Piece::Header { text, .. } => text.clone(),
        Piece::Overlong { start, .. } => start.clone(),
        Piece::Data { .. } => return Err(Stop::Bye("Fatal error: out of step".to_owned())),
    };
    let head = match Head::parse(&line) {
        Ok(head) => head,
        Err(bad) => {
            session.client.skip(first).await?;
            let tag = bad.tag.unwrap_or_else(|| "*".to_owned());
            return mistake(session, &tag, &bad.text);
        }
    };
    let (tag, verb) = (head.tag.clone(), head.verb.clone());
    let result = if session.user.is_none() && !before_login(&head.verb) {
        session.client.skip(first).await?;
        Err(Stop::bad("Please login first"))
    } else if matches!(first, Piece::Overlong { .. }) {
        session.client.skip(first).await?;
        Err(Stop::bad("Line too long"))
    } else {
        serve(session, head, first).await
    };
    match result {
        Ok(()) => session.mistakes = 0,
        Err(Stop::Answer(text)) if text.starts_with("BAD") => {
            if !is_foreign(&verb) {
                return mistake(session, &tag, text.get(4..).unwrap_or_default());
            }
            session.client.put(format!("{tag} {text}\r\n"));
        }
        Err(Stop::Answer(text)) => {
            session.mistakes = 0;
            session.client.put(format!("{tag} {text}\r\n"));
        }
        Err(Stop::Backend { server, why }) => {
            warn!("backend {server}: {why}");
            session.links.remove(&server);
            // Within a response that was cut off, an answer would be read as a part of it.
            if session.selected_server() == Some(server.as_str()) || session.client.is_torn() {
                return Err(Stop::Bye(LOST.to_owned()));
            }
            session.client.put(format!("{tag} NO {DOWN}\r\n"));
        }
        Err(stop) => return Err(stop),
    }
    Ok(())
}

/// A syntax error. Ten in a row are no mail client's.
fn mistake(session: &mut Session, tag: &str, text: &str) -> Result<(), Stop> {
    session.client.put(format!("{tag} BAD {text}\r\n"));
    session.mistakes += 1;
    debug!("bad command: {text}");
    if session.mistakes >= MISTAKES {
        return Err(Stop::Bye("This is an IMAP server".to_owned()));
    }
    Ok(())
}

fn before_login(verb: &str) -> bool {
    matches!(verb, "CAPABILITY" | "NOOP" | "LOGOUT" | "ID" | "STARTTLS" | "LOGIN" | "AUTHENTICATE")
}

async fn serve(session: &mut Session, head: Head, first: Piece) -> Result<(), Stop> {
    logs::chat(session.listener.imapd().chatty, head.verb.as_bytes());
    match head.verb.as_str() {
        "APPEND" if !head.uid => return append::append(session, head, first).await,
        // Everything about messages is the selected backend's, whatever it may be.
        "FETCH" | "STORE" | "SEARCH" | "SORT" | "THREAD" | "EXPUNGE" | "XSORT" | "XSTATS"
        | "XRUNANNOTATOR" => {
            return message::pipe(session, head, first).await;
        }
        _ => {}
    }
    let limit = if session.user.is_some() { COMMAND } else { COMMAND_BEFORE_LOGIN };
    let raw = match session.client.whole(first, limit).await? {
        Whole::Command(raw) => raw,
        Whole::TooLong(why) => return Err(Stop::bad(why)),
    };
    let request = Request { head, raw };
    if request.head.uid && is_foreign(&request.head.verb) {
        return Err(Stop::bad("Unrecognized command"));
    }
    if request.head.uid && !matches!(request.head.verb.as_str(), "COPY" | "MOVE" | "XMOVE") {
        return Err(Stop::bad("Unrecognized UID subcommand"));
    }
    match request.head.verb.as_str() {
        "SELECT" | "EXAMINE" => select::select(session, request).await,
        "STATUS" => status::status(session, request).await,
        "GETQUOTAROOT" => quota::get_root(session, request).await,
        "GETMETADATA" | "SETMETADATA" | "GETANNOTATION" | "SETANNOTATION" => {
            metadata::metadata(session, request).await
        }
        "RECONSTRUCT" => mailbox::reconstruct(session, request).await,
        _ => typed(session, request).await,
    }
}

/// The commands that are understood whole.
async fn typed(session: &mut Session, request: Request) -> Result<(), Stop> {
    let command = Command::parse(&request.raw, Limits::default()).map_err(|bad| Stop::bad(bad.text))?;
    match command.body {
        Body::Capability => session::capability(session, &request).await,
        Body::Noop | Body::Check => session::noop(session, &request).await,
        Body::Logout => session::logout(session, &request).await,
        Body::Id(_) => session::id(session, &request).await,
        Body::StartTls => login::start_tls(session, &request).await,
        Body::Login(login) => login::login(session, &request, login).await,
        Body::Authenticate(authenticate) => login::authenticate(session, &request, authenticate).await,
        Body::Unauthenticate => login::unauthenticate(session, &request).await,
        Body::Enable(items) => session::enable(session, &request, items).await,
        Body::Compress(algorithm) => session::compress(session, &request, &algorithm).await,
        Body::Namespace => session::namespace(session, &request).await,
        Body::Idle => idle::idle(session, &request).await,
        Body::Close | Body::Unselect => select::close(session, &request).await,
        Body::Create(create) => mailbox::create(session, &request, create).await,
        Body::Delete(mailbox) => mailbox::delete(session, &request, &mailbox).await,
        Body::Rename(rename) => mailbox::rename(session, &request, rename).await,
        Body::Subscribe(mailbox) => lsub::subscribe(session, &request, &mailbox).await,
        Body::Unsubscribe(mailbox) => lsub::unsubscribe(session, &request, &mailbox).await,
        Body::List(list) => list::list(session, &request, list).await,
        Body::Lsub(lsub) => lsub::lsub(session, &request, lsub).await,
        Body::SetAcl(set) => acl::set(session, &request, &set.mailbox).await,
        Body::DeleteAcl(delete) => acl::set(session, &request, &delete.mailbox).await,
        Body::GetAcl(mailbox) => acl::get(session, &request, &mailbox).await,
        Body::ListRights(list) => acl::rights(session, &request, list).await,
        Body::MyRights(mailbox) => acl::my_rights(session, &request, &mailbox).await,
        Body::GetQuota(root) => quota::get(session, &request, &root).await,
        Body::SetQuota(set) => quota::set(session, &request, set).await,
        Body::Copy(copy) => copy::copy(session, &request, copy).await,
        Body::Xfer(xfer) => mailbox::xfer(session, &request, &xfer.mailbox).await,
        // Read before they come here, or asked of backends only.
        Body::Select(_)
        | Body::Status(_)
        | Body::GetQuotaRoot(_)
        | Body::GetMetadata(_)
        | Body::GetAnnotation(_)
        | Body::Expunge(_)
        | Body::Fetch(_)
        | Body::Store(_)
        | Body::Search(_)
        | Body::MupdatePush(_)
        | Body::LocalCreate(_)
        | Body::LocalDelete(_)
        | Body::XClient(_)
        | Body::XKick(_) => Err(Stop::bad("Unrecognized command")),
    }
}

/// Bytes of a command that is read whole, with its literals.
const COMMAND: usize = 1024 * 1024;
/// The longest ID (RFC 2971 section 3.3) has some 32 KiB.
const COMMAND_BEFORE_LOGIN: usize = 64 * 1024;
const MISTAKES: u32 = 10;
