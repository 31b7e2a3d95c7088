//! Commands about the session itself: CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE, COMPRESS, NAMESPACE.

use super::Request;
use crate::capability;
use crate::session::relay::To;
use crate::session::{Session, Stop};

/// `CAPABILITY`
pub async fn capability(s: &mut Session, request: &Request) -> Result<(), Stop> {
    s.hear_selected("").await?;
    let words = capability::current(s);
    s.client.put(format!("* CAPABILITY {words}\r\n{} OK Completed\r\n", request.head.tag));
    Ok(())
}

/// `NOOP`, `CHECK`: the selected backend's news, and its answer.
pub async fn noop(s: &mut Session, request: &Request) -> Result<(), Stop> {
    match s.selected_server().map(str::to_owned) {
        Some(server) => {
            let answer = s.forward(&server, &request.head.tag, request.text()).await?;
            s.client.put(answer.tagged(&request.head.tag));
        }
        None => s.client.put(format!("{} OK Completed\r\n", request.head.tag)),
    }
    Ok(())
}

/// `LOGOUT`
pub async fn logout(s: &mut Session, request: &Request) -> Result<(), Stop> {
    if let Err(Stop::Client(error)) = s.hear_selected("").await {
        return Err(Stop::Client(error));
    }
    s.client.put(format!("* BYE LOGOUT received\r\n{} OK Completed\r\n", request.head.tag));
    s.over = true;
    Ok(())
}

/// `ID`: answered here, and told to every backend of the session, for its logs.
pub async fn id(s: &mut Session, request: &Request) -> Result<(), Stop> {
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
    let version = env!("CARGO_PKG_VERSION");
    s.client.put(match s.listener.imapd().imapidresponse {
        true => format!("* ID (\"name\" \"Murder IMAP\" \"version\" \"{version}\")\r\n"),
        false => "* ID NIL\r\n".to_owned(),
    });
    s.client.put(format!("{} OK Completed\r\n", request.head.tag));
    Ok(())
}

/// `ENABLE`: what is announced, for all backends of the session, those to come too.
pub async fn enable(s: &mut Session, request: &Request, items: Vec<String>) -> Result<(), Stop> {
    let announced = capability::after_login(s);
    let can =
        |item: &String| ENABLES.contains(&item.as_str()) && announced.split(' ').any(|word| word == item);
    let fresh: Vec<String> =
        items.into_iter().filter(|item| can(item) && !s.enabled.contains(item)).collect();
    if !fresh.is_empty() {
        let command = format!("ENABLE {}", fresh.join(" "));
        s.enabled.extend(fresh.iter().cloned());
        for server in s.links.servers() {
            s.ask(&server, &command, To::Nobody).await?;
        }
    }
    let blank = if fresh.is_empty() { "" } else { " " };
    s.client.put(format!("* ENABLED{blank}{}\r\n{} OK Completed\r\n", fresh.join(" "), request.head.tag));
    Ok(())
}

/// `COMPRESS DEFLATE`, between the client and here.
pub async fn compress(s: &mut Session, request: &Request, algorithm: &str) -> Result<(), Stop> {
    if algorithm != "DEFLATE" {
        return Err(Stop::no("Unsupported compression mechanism"));
    }
    if s.client.peer.stream.is_compressed() {
        return Err(Stop::no("[COMPRESSIONACTIVE] DEFLATE active via COMPRESS"));
    }
    s.client.put(format!("{} OK DEFLATE active\r\n", request.head.tag));
    s.client.flush().await?;
    let compressed = std::mem::take(&mut s.client.peer.input);
    s.client.peer.stream.compress_after(compressed).map_err(Stop::Client)
}

/// `NAMESPACE`: from the configuration that all nodes share.
pub async fn namespace(s: &mut Session, request: &Request) -> Result<(), Stop> {
    s.hear_selected("").await?;
    let (user, imapd) = (s.user()?, s.listener.imapd());
    let has_inbox = s.home().await.ok().flatten().is_some();
    let ns = &s.node.namespace;
    let sep = ns.separator();
    let plain = !ns.altnamespace || user.is_admin();
    let others = if plain { format!("user{sep}") } else { format!("{}{sep}", ns.userprefix) };
    let shared = if plain { String::new() } else { format!("{}{sep}", ns.sharedprefix) };
    let own = if plain { format!("INBOX{sep}") } else { String::new() };
    let shown = |prefix: &str, hidden: bool| match hidden {
        true => "NIL".to_owned(),
        false => format!("(({} \"{sep}\"))", protocol::imap::print::quoted(prefix)),
    };
    let line = format!(
        "* NAMESPACE {} {} {}\r\n{} OK Completed\r\n",
        shown(&own, !has_inbox),
        shown(&others, imapd.disable_user_namespace && !user.is_admin()),
        shown(&shared, imapd.disable_shared_namespace && !user.is_admin()),
        request.head.tag
    );
    s.client.put(line);
    Ok(())
}

/// What may be enabled, where it is announced.
const ENABLES: [&str; 2] = ["CONDSTORE", "QRESYNC"];
