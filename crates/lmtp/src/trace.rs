//! The fields that each hop adds to a message.

use protocol::lmtp::command::Mail;
use protocol::lmtp::intake::{EightBit, Plan};
use protocol::lmtp::session::{Session, Trust};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use transport::peer::Peer;

use crate::Settings;

fn random() -> u64 {
    // Only uniqueness is at stake: without entropy the session's name remains.
    getrandom::u64().unwrap_or(0)
}

/// What is added to a message of this session, and what it may hold.
pub(crate) fn plan(
    session: &Session,
    mail: &Mail,
    peer: &Peer,
    id: &str,
    settings: &Settings,
    now: OffsetDateTime,
) -> Plan {
    let date = now.format(&Rfc2822).unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned());
    let name = &settings.servername;
    // RFC 3848, and RFC 6531 section 4.3.
    let utf8 = if mail.smtputf8 { "UTF8" } else { "" };
    let with = match (session.is_tls(), session.trust() == Trust::Authenticated) {
        (false, false) => "LMTP",
        (true, false) => "LMTPS",
        (false, true) => "LMTPA",
        (true, true) => "LMTPSA",
    };
    let client = session.client().unwrap_or("unknown");
    let sender = sender(mail, name);
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(
        "Return-Path: <{sender}>\r\nReceived: from {client} ({peer})\r\n\t by {name} (Murder {version}) with {utf8}{with};\r\n\
         \t {date}\r\nX-Cyrus-Session-Id: {id}\r\n"
    );
    Plan {
        head: head.into_bytes(),
        message_id: format!("Message-ID: <murder-{id}-{:x}@{name}>\r\n", random()).into_bytes(),
        date: format!("Date: {date}\r\n").into_bytes(),
        max_size: settings.max_size,
        eight_bit: if mail.smtputf8 { EightBit::Keep } else { settings.eight_bit },
    }
}

/// The address for Return-Path, without brackets: one without a domain gets this server's.
fn sender(mail: &Mail, servername: &str) -> String {
    let text: String = mail.from.to_string().chars().filter(|c| !c.is_control()).collect();
    match mail.from.domain() {
        None if !mail.from.is_empty() => format!("{text}@{servername}"),
        _ => text,
    }
}
