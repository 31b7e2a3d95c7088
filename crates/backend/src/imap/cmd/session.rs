//! CAPABILITY, LOGOUT, ID, STARTTLS, ENABLE and COMPRESS.

use std::time::Duration;

use protocol::imap::command::session::{Id, print_capability, print_id};
use protocol::imap::{Bye, Refusal, Reply, Tag};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::imap::conn::Gone;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::server::{PRODUCT, VERSION};
use crate::imap::session::{ClientId, Session};

impl Session {
    /// What is announced in this state of the session, less `suppress_capabilities`.
    pub fn capabilities(&self) -> String {
        let imapd = &self.server.imapd;
        let mut words: Vec<String> = vec!["IMAP4rev1".to_owned()];
        let literal = if imapd.literalminus { "LITERAL-" } else { "LITERAL+" };
        words.extend([literal, "ID", "ENABLE"].map(str::to_owned));
        if self.user.is_none() {
            words.extend(self.before_login());
        } else {
            words.extend(AFTER_LOGIN.iter().map(|&word| word.to_owned()));
            words.push(match imapd.maxmessagesize {
                0 => format!("APPENDLIMIT={}", u32::MAX),
                limit => format!("APPENDLIMIT={limit}"),
            });
            if !self.conn.stream().is_compressed() {
                words.push("COMPRESS=DEFLATE".to_owned());
            }
            if self.user.as_ref().is_some_and(may_unauthenticate) {
                words.push("UNAUTHENTICATE".to_owned());
            }
            if super::node::is_proxy(self) {
                words.push("XCLIENT".to_owned());
            }
        }
        if let Some(server) = &imapd.mupdate_server {
            words.push(format!("MUPDATE=mupdate://{server}/"));
        }
        words.retain(|word| !imapd.suppress_capabilities.iter().any(|hidden| hidden == word));
        words.join(" ")
    }

    fn before_login(&self) -> Vec<String> {
        let channel = self.conn.stream().channel();
        let mut words = Vec::new();
        if self.may_start_tls() {
            words.push("STARTTLS".to_owned());
        }
        words.extend(self.server.auth.mechanisms(channel).into_iter().map(|mech| format!("AUTH={mech}")));
        words.push("SASL-IR".to_owned());
        if !self.server.auth.allows_plaintext(channel) {
            words.push("LOGINDISABLED".to_owned());
        }
        words
    }

    fn may_start_tls(&self) -> bool {
        self.server.tls.is_some() && self.conn.stream().tls().is_none() && !self.conn.stream().is_compressed()
    }
}

/// A frontend that pools its connections gives one back by UNAUTHENTICATE (RFC 8437): those who log in for others may.
pub fn may_unauthenticate(user: &crate::imap::user::User) -> bool {
    user.login.admin || user.login.authid != user.login.userid
}

/// Before login, what there will be after it is said too: cyradm asks but once, at that time.
pub fn capability(session: &mut Session) -> Outcome {
    let mut capabilities = session.capabilities();
    if session.user.is_none() {
        let hidden = &session.server.imapd.suppress_capabilities;
        let later = AFTER_LOGIN.iter().filter(|word| !hidden.iter().any(|hidden| hidden == *word));
        later.for_each(|word| capabilities.push_str(&format!(" {word}")));
    }
    print_capability(session.conn.out(), &capabilities);
    Ok(Reply::completed())
}

pub fn logout(session: &mut Session) -> Outcome {
    session.conn.put(Bye::new("LOGOUT received").line());
    session.over = true;
    Ok(Reply::completed())
}

pub fn id(session: &mut Session, fields: Id) -> Outcome {
    if !fields.is_empty() && session.client_id == ClientId::None {
        session.client_id = ClientId::Said(in_one_line(&fields));
        log_client_id(session);
    }
    let server = session.server.imapd.imapidresponse.then_some((PRODUCT, VERSION));
    print_id(session.conn.out(), server);
    Ok(Reply::completed())
}

/// Logs what the client said of itself, once somebody is logged in.
pub fn log_client_id(session: &mut Session) {
    if session.user.is_some()
        && let ClientId::Said(client) = &session.client_id
    {
        info!(%client, "client id");
        session.client_id = ClientId::Logged;
    }
}

/// At most [`ID_FIELDS`] fields, as RFC 2971 section 3.3 has it, and [`ID_LENGTH`] bytes of them.
fn in_one_line(fields: &Id) -> String {
    let mut line = String::new();
    for (field, value) in fields.iter().take(ID_FIELDS) {
        let value = value.as_deref().unwrap_or(b"NIL");
        let room = ID_LENGTH.saturating_sub(line.len());
        let blank = if line.is_empty() { "" } else { " " };
        let told = field.iter().chain(b"=").chain(value).take(room).copied().collect::<Vec<u8>>();
        line.push_str(&format!("{blank}{}", told.escape_ascii()));
    }
    line
}

pub async fn starttls(session: &mut Session, tag: &Tag) -> Outcome {
    let tls = session.server.tls.clone().ok_or(Refusal::NoTls)?;
    if session.user.is_some() {
        return Err(Refusal::TlsAfterLogin.into());
    }
    if !session.may_start_tls() {
        return Err(Refusal::TlsActive.into());
    }
    Reply::ok("Begin TLS negotiation now").write(Some(tag), session.conn.out());
    session.conn.flush().await?;
    session.conn.forget_input();
    let handshake = session.conn.stream_mut().start_tls(&tls);
    match timeout(HANDSHAKE, handshake).await {
        Ok(Ok(())) => Err(Stop::Answered),
        Ok(Err(error)) => {
            warn!(%error, "STARTTLS negotiation failed");
            Err(Gone::Closed.into())
        }
        Err(_) => Err(Gone::Closed.into()),
    }
}

pub fn enable(session: &mut Session, wanted: &[String]) -> Outcome {
    let mut enabled = String::new();
    // What is on already is not listed, as in Cyrus, however it came on.
    if !session.condstore && wanted.iter().any(|word| word == "CONDSTORE") {
        session.enable_condstore();
        enabled.push_str(" CONDSTORE");
    }
    session.conn.put_line(format!("* ENABLED{enabled}"));
    Ok(Reply::completed())
}

pub async fn compress(session: &mut Session, tag: &Tag, how: &str) -> Outcome {
    if how != "DEFLATE" {
        return Err(Refusal::NoCompression.into());
    }
    if session.conn.stream().is_compressed() {
        return Err(Refusal::CompressionActive.into());
    }
    Reply::ok("DEFLATE active").write(Some(tag), session.conn.out());
    session.conn.flush().await?;
    session.conn.compress().map_err(Gone::from)?;
    Err(Stop::Answered)
}

/// What is kept of an ID.
const ID_FIELDS: usize = 30;
const ID_LENGTH: usize = 512;

/// Bound on a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// What is served after login, in Cyrus's order.
const AFTER_LOGIN: &[&str] = &[
    "ACL",
    "BINARY",
    "CHILDREN",
    "CONDSTORE",
    "CREATE-SPECIAL-USE",
    "ESEARCH",
    "IDLE",
    "LIST-EXTENDED",
    "LIST-MYRIGHTS",
    "LIST-STATUS",
    "MOVE",
    "MULTIAPPEND",
    "NAMESPACE",
    "OBJECTID",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "QUOTASET",
    "RIGHTS=kxten",
    "SAVEDATE",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "UIDPLUS",
    "UNSELECT",
    "WITHIN",
    "XLIST",
];
