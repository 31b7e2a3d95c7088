//! The tour: one message from an MTA to two people on two backends, all through the frontend.

use std::{
    io,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{DemoError, Steps};
use crate::{
    clients::{Imap, Lmtp, Pop3, Trust},
    cluster::{Cluster, Node, Role},
};

/// Walks through the cluster, step by step.
pub(super) fn run(steps: &Steps, cluster: &Cluster) -> Result<(), DemoError> {
    let Some(frontend) = cluster.first(Role::Frontend) else { return Ok(()) };
    let at = |port: u16| SocketAddr::new(frontend.ports.address, port);
    let trust = steps.run("trust the demo's certificate authority", || Trust::in_authority(&cluster.ca))?;
    steps
        .run("a login without TLS is refused", || plain_login_is_refused(cluster, at(frontend.ports.imap)))?;
    steps.run("create each user on their backend, and a shared mailbox", || {
        create_mailboxes(cluster, frontend, &trust)
    })?;
    let people: Vec<&str> = cluster.topology.users.iter().map(|user| user.name.as_str()).collect();
    let message = Message::new();
    steps
        .run(&format!("deliver one message with an attachment to {} over LMTP", people.join(", ")), || {
            deliver(at(frontend.ports.lmtp), &people, &message)
        })?;
    for user in &cluster.topology.users {
        let password = cluster.secrets.password(&user.name);
        steps.run(&format!("{} reads it over IMAP (from {})", user.name, user.backend), || {
            read_by_imap(at(frontend.ports.imaps), &trust, &user.name, password, &message)
        })?;
        steps.run(&format!("{} reads it over POP3", user.name), || {
            read_by_pop3(at(frontend.ports.pop3s), &trust, &user.name, password, &message)
        })?;
    }
    Ok(())
}

fn plain_login_is_refused(cluster: &Cluster, address: SocketAddr) -> io::Result<()> {
    let Some(user) = cluster.topology.users.first() else { return Ok(()) };
    let mut imap = Imap::plain(address)?;
    if !imap.greeting.contains("LOGINDISABLED") {
        return Err(io::Error::other(format!("no LOGINDISABLED in the greeting: {}", imap.greeting)));
    }
    let reply = imap.command(&format!("LOGIN {} {}", user.name, cluster.secrets.password(&user.name)))?;
    if reply.is_ok() {
        return Err(io::Error::other("the login was accepted"));
    }
    Ok(())
}

fn create_mailboxes(cluster: &Cluster, frontend: &Node, trust: &Trust) -> io::Result<()> {
    let admin = &cluster.topology.admin.name;
    let mut imap = Imap::plain(SocketAddr::new(frontend.ports.address, frontend.ports.imap))?;
    imap.start_tls(trust)?;
    imap.login(admin, cluster.secrets.password(admin))?;
    let mut create = |name: &str, backend: &str| {
        let found = imap.must(&format!("LIST \"\" {name}"))?;
        if found.lines.iter().any(|line| line.starts_with("* LIST")) {
            return Ok(false);
        }
        imap.must(&format!("CREATE {name} {}!", cluster.topology.host(backend))).map(|_| true)
    };
    for user in &cluster.topology.users {
        create(&format!("user/{}", user.name), &user.backend)?;
    }
    if let Some(backend) = cluster.topology.backends.last()
        && create("news", &backend.name)?
    {
        imap.must("SETACL news anyone lrsp")?;
    }
    imap.must("LOGOUT").map(drop)
}

fn deliver(address: SocketAddr, people: &[&str], message: &Message) -> io::Result<()> {
    let replies = Lmtp::connect(address)?.deliver("founder@example.org", people, &message.text)?;
    match replies.iter().find(|reply| !reply.starts_with("250")) {
        Some(refused) => Err(io::Error::other(refused.clone())),
        None => Ok(()),
    }
}

fn read_by_imap(
    address: SocketAddr,
    trust: &Trust,
    user: &str,
    password: &str,
    message: &Message,
) -> io::Result<()> {
    let mut imap = Imap::tls(address, trust)?;
    imap.login(user, password)?;
    imap.must("SELECT INBOX")?;
    let found = imap.must(&format!("UID SEARCH HEADER Message-ID \"{}\"", message.id))?;
    let uids: Vec<&str> = found
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("* SEARCH"))
        .flat_map(str::split_whitespace)
        .collect();
    let [uid] = uids.as_slice() else {
        return Err(io::Error::other(format!("expected one message, found {}", uids.len())));
    };
    let fetched = imap.must(&format!("UID FETCH {uid} (BODY.PEEK[2])"))?;
    let body = fetched.literals.first().map(|literal| String::from_utf8_lossy(literal).into_owned());
    if body.as_deref().map(str::trim_end) != Some(message.attachment.trim_end()) {
        return Err(io::Error::other("the attachment is not what was sent"));
    }
    imap.must("LOGOUT").map(drop)
}

fn read_by_pop3(
    address: SocketAddr,
    trust: &Trust,
    user: &str,
    password: &str,
    message: &Message,
) -> io::Result<()> {
    let mut pop3 = Pop3::tls(address, trust)?;
    pop3.must(&format!("USER {user}"))?;
    pop3.must(&format!("PASS {password}"))?;
    let stat = pop3.must("STAT")?;
    let count: u32 = stat.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    if !pop3.retrieve(count)?.contains(&message.attachment) {
        return Err(io::Error::other("the attachment is not what was sent"));
    }
    pop3.must("QUIT").map(drop)
}

/// The message that goes round.
struct Message {
    id: String,
    text: String,
    attachment: String,
}

impl Message {
    fn new() -> Message {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("<{}.{}@demo.test>", now.as_nanos(), std::process::id());
        let attachment = base64_lines(&SQUARE);
        let date = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc2822);
        let date = date.unwrap_or_default();
        let text = format!(
            "From: A founder <founder@example.org>\r\nTo: everyone <everyone@demo.test>\r\n\
             Subject: Welcome to the murder\r\nDate: {date}\r\nMessage-ID: {id}\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=\"crow\"\r\n\r\n\
             --crow\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This message came in once, and lies on every backend that a recipient lives on.\r\n\
             .\r\nA line with a single dot came before this one.\r\n\r\n\
             --crow\r\nContent-Type: image/png; name=\"square.png\"\r\n\
             Content-Disposition: attachment; filename=\"square.png\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{attachment}\r\n--crow--\r\n"
        );
        Message { id, text, attachment }
    }
}

fn base64_lines(bytes: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines: Vec<&str> =
        text.as_bytes().chunks(76).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    lines.join("\r\n")
}

/// A picture of one black pixel (PNG).
const SQUARE: [u8; 67] = [
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x08, 0xd7, 0x63,
    0x60, 0, 0, 0, 2, 0, 1, 0xe2, 0x21, 0xbc, 0x33, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60,
    0x82,
];
