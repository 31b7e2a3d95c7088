//! Commands about the session itself: CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE, COMPRESS, NAMESPACE.

use protocol::imap::capability::Moment;
use protocol::imap::command::list::print_namespace;
use protocol::imap::command::session::{print_capability, print_id};
use protocol::imap::{Bye, Extension, Kind, Refusal, Reply};

use upstream::wire::imap::Answer;

use super::Request;
use crate::limits::NEWS_MAX;
use crate::session::relay::{Beside, To};
use crate::session::{Done, Outcome, Session, Stop};

/// `CAPABILITY`
pub async fn capability(s: &mut Session) -> Outcome {
    s.hear_selected("").await?;
    let moment = if s.user.is_some() { Moment::LoggedIn } else { Moment::Asked };
    let words = s.capability_words(moment);
    s.client.print(|out| print_capability(out, &words));
    Ok(Done::completed())
}

/// `NOOP`, `CHECK`: the selected backend's news, and its answer.
pub async fn noop(s: &mut Session, request: &Request) -> Outcome {
    match s.selected_server().map(str::to_owned) {
        Some(server) => Ok(s.forward(&server, &request.head.tag, request.text()).await?.into()),
        None => Ok(Done::completed()),
    }
}

/// `LOGOUT`
pub async fn logout(s: &mut Session) -> Outcome {
    if let Err(Stop::Client(error)) = s.hear_selected("").await {
        return Err(Stop::Client(error));
    }
    s.client.put(Bye::new("LOGOUT received").line());
    s.over = true;
    Ok(Done::completed())
}

/// `ID`: answered here, and told to every backend of the session, for its logs.
pub async fn id(s: &mut Session, request: &Request) -> Outcome {
    let arguments =
        protocol::frame::trim_line(&request.raw).get(request.head.arguments..).unwrap_or_default();
    // A literal in it could not be repeated as a line.
    if s.user.is_some() && !arguments.contains(&b'\n') {
        let command = [b"ID", arguments].concat();
        for server in s.links.servers() {
            s.ask(&server, &command, To::Nobody).await?;
        }
        s.id = Some(command);
    }
    let server = ("Murder IMAP", env!("CARGO_PKG_VERSION"));
    let told = s.listener.imapd().imapidresponse.then_some(server);
    s.client.print(|out| print_id(out, told));
    Ok(Done::completed())
}

/// `ENABLE`: what is announced, for all backends of the session, those to come too.
pub async fn enable(s: &mut Session, items: Vec<String>) -> Outcome {
    let announced = s.capability_words(Moment::LoggedIn);
    let new = s.enabled.enable(&items, |extension| announced.split(' ').any(|word| word == extension.word()));
    let utf8 = s.enabled.manner().utf8_names;
    if let Some(user) = &mut s.user {
        user.utf8 = utf8;
    }
    if let Some(command) = new.command(|_| true) {
        for server in s.links.servers() {
            enable_on(s, &server, &command).await?;
        }
        s.enable_watched().await?;
    }
    s.client.print(|out| new.print(out));
    Ok(Done::completed())
}

/// Commands that ask for modification sequences turn CONDSTORE on for the whole session (RFC 7162 section 3.1): the backend
/// that has answered such a command knows by itself, the others are told. One that nobody understands asks for nothing.
pub async fn note_condstore(s: &mut Session, implies: bool, by: &str, answer: &Answer) -> Result<(), Stop> {
    match implies && answer.condition() != Some(Kind::Bad) {
        true => imply_condstore(s, by).await,
        false => Ok(()),
    }
}

/// The same for a command that does.
pub async fn imply_condstore(s: &mut Session, heard_by: &str) -> Result<(), Stop> {
    let extension = Extension::Condstore;
    if s.node.capabilities.all_have(extension.word()) == Some(false) || !s.enabled.imply(extension) {
        return Ok(());
    }
    for server in s.links.servers().into_iter().filter(|server| server != heard_by) {
        match enable_on(s, &server, "ENABLE CONDSTORE").await {
            // It learns with the next connection.
            Err(Stop::Backend { server, .. }) if s.selected_server() != Some(server.as_str()) => {
                s.links.remove(&server);
            }
            other => other?,
        }
    }
    Ok(())
}

/// What the selected backend says of its mailbox (`* OK [HIGHESTMODSEQ …]`) is for the client, its ENABLED is not.
async fn enable_on(s: &mut Session, server: &str, command: &str) -> Result<(), Stop> {
    if s.selected_server() != Some(server) {
        return s.ask(server, command, To::Nobody).await.map(drop);
    }
    let (id, mut news) = (s.command(server, command)?, Beside::default());
    let each = |line: &[u8]| line.starts_with(b"* ENABLED") || news.hear(line);
    s.collect(server, id, NEWS_MAX, each).await?;
    s.client.put(news.into_bytes());
    Ok(())
}

/// `COMPRESS DEFLATE`, between the client and here.
pub async fn compress(s: &mut Session, request: &Request, algorithm: &str) -> Outcome {
    if algorithm != "DEFLATE" {
        return Err(Refusal::NoCompression.into());
    }
    if s.client.peer.stream.is_compressed() {
        return Err(Refusal::CompressionActive.into());
    }
    s.client.put(Reply::ok("DEFLATE active").line(Some(&request.head.tag)));
    s.client.flush().await?;
    let compressed = std::mem::take(&mut s.client.peer.input);
    s.client.peer.stream.compress_after(compressed).map_err(Stop::Client)?;
    Ok(Done::Told)
}

/// `NAMESPACE`: from the configuration that all nodes share.
pub async fn namespace(s: &mut Session) -> Outcome {
    s.hear_selected("").await?;
    let (user, imapd) = (s.user()?, s.listener.imapd());
    let has_inbox = s.home().await.ok().flatten().is_some();
    let ns = &s.node.namespace;
    let sep = ns.separator();
    let plain = !ns.altnamespace || user.is_admin();
    let others = if plain { format!("user{sep}") } else { format!("{}{sep}", ns.userprefix) };
    let shared = if plain { String::new() } else { format!("{}{sep}", ns.sharedprefix) };
    let own = if plain { format!("INBOX{sep}") } else { String::new() };
    let admin = user.is_admin();
    let prefixes = [
        has_inbox.then_some(own.as_str()),
        (admin || !imapd.disable_user_namespace).then_some(others.as_str()),
        (admin || !imapd.disable_shared_namespace).then_some(shared.as_str()),
    ];
    s.client.print(|out| print_namespace(out, sep, prefixes));
    Ok(Done::completed())
}
