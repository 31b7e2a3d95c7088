//! Everything that an NNTP server says, in one table, which goes on in [`No`]. The codes are RFC 3977's and its extensions', the texts Cyrus's where there
//! are any: clients show them.

use std::fmt;

use super::no::No;
use super::words::{GroupName, MessageId};

/// One status line. Blocks follow theirs separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    // 1xx: for information.
    HelpFollows,
    CapabilitiesFollow,
    /// `yyyymmddhhmmss`
    Date(String),
    // 2xx: done.
    /// The greeting, and MODE READER's answer.
    Ready {
        servername: String,
        version: String,
        posting: bool,
    },
    SlaveNoted,
    StreamingAllowed,
    Bye,
    Compressed,
    /// What is selected. `list`: its numbers follow.
    Group {
        count: usize,
        low: u32,
        high: u32,
        group: GroupName,
        list: bool,
    },
    ListFollows(&'static str),
    /// 220, 221, 222 or 223.
    Article {
        code: u16,
        number: u32,
        id: String,
    },
    /// XHDR's; HDR's is 225.
    OldHeadersFollow,
    HeadersFollow,
    OverviewFollows,
    NewNewsFollows,
    NewGroupsFollow,
    Transferred,
    /// CHECK: wanted.
    SendChecked(String),
    /// TAKETHIS: taken.
    Taken(String),
    Posted(MessageId),
    LoggedIn,
    /// SASL's last word to the client, in base64.
    LoggedInWith(String),
    /// XCLIENT's: not an RFC's.
    OriginNoted,
    // 3xx: go on.
    SendTransfer,
    SendPost,
    GivePass,
    BeginTls,
    /// A SASL challenge, in base64; none: an empty one.
    Challenge(String),
    /// Not done.
    No(No),
}

/// The line without its CRLF.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Reply::HelpFollows => "100 Supported commands:",
            Reply::CapabilitiesFollow => "101 Capability list follows:",
            Reply::Date(date) => return write!(f, "111 {date}"),
            Reply::Ready { servername, version, posting } => {
                let (code, posting) = if *posting { (200, "allowed") } else { (201, "prohibited") };
                return write!(
                    f,
                    "{code} {servername} Murder NNTP {version} server ready, posting {posting}"
                );
            }
            Reply::SlaveNoted => "202 Slave status noted",
            Reply::StreamingAllowed => "203 Streaming allowed",
            Reply::Bye => "205 Connection closing",
            Reply::Compressed => "206 DEFLATE compression active",
            Reply::Group { count, low, high, group, list } => {
                write!(f, "211 {count} {low} {high} {group}")?;
                return f.write_str(if *list { " list follows" } else { "" });
            }
            Reply::ListFollows(what) => return write!(f, "215 {what} follows:"),
            Reply::Article { code, number, id } => return write!(f, "{code} {number} {id}"),
            Reply::OldHeadersFollow => "221 Headers follow:",
            Reply::HeadersFollow => "225 Headers follow:",
            Reply::OverviewFollows => "224 Overview information follows:",
            Reply::NewNewsFollows => "230 List of new articles follows:",
            Reply::NewGroupsFollow => "231 List of new newsgroups follows:",
            Reply::Transferred => "235 Article transferred ok",
            Reply::SendChecked(id) => return write!(f, "238 {id} Send article"),
            Reply::Taken(id) => return write!(f, "239 {id} Article transferred ok"),
            Reply::Posted(id) => return write!(f, "240 {id} Article received ok"),
            Reply::LoggedIn => "281 User logged in",
            Reply::LoggedInWith(base64) => return write!(f, "283 {base64}"),
            Reply::OriginNoted => "290 Origin noted",
            Reply::SendTransfer => "335 Send article",
            // Two blanks: Cyrus has no message-id to put between them.
            Reply::SendPost => "340  Send article",
            Reply::GivePass => "381 Give AUTHINFO PASS command",
            Reply::BeginTls => "382 Begin TLS negotiation now",
            Reply::Challenge(base64) if base64.is_empty() => "383 =",
            Reply::Challenge(base64) => return write!(f, "383 {base64}"),
            Reply::No(no) => return no.fmt(f),
        };
        f.write_str(text)
    }
}

impl From<No> for Reply {
    fn from(no: No) -> Reply {
        Reply::No(no)
    }
}
