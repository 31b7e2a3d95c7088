//! CAPABILITY, LOGOUT, ID, STARTTLS, ENABLE and COMPRESS.

use config::imapd::Imapd;
use protocol::imap::capability::{Facts, Moment, Node, announced, store_serves};
use protocol::imap::command::session::{Id, print_capability, print_id};
use protocol::imap::{Bye, Extension, Refusal, Reply, Tag};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::imap::conn::Gone;
use crate::imap::limits::{HANDSHAKE, ID_FIELDS, ID_LENGTH, rows};
use crate::imap::reply::{Outcome, Stop};
use crate::imap::server::{PRODUCT, VERSION};
use crate::imap::session::{ClientId, Session};

/// Bytes of a message that is taken (RFC 7889).
pub fn append_limit(imapd: &Imapd) -> u64 {
    match imapd.maxmessagesize {
        0 => u64::from(u32::MAX),
        limit => limit.min(u64::from(u32::MAX)),
    }
}

impl Session {
    /// What is announced in this state of the session.
    pub fn capabilities(&self, moment: Moment) -> String {
        let (imapd, channel) = (&self.server.imapd, self.conn.stream().channel());
        let facts = Facts {
            moment,
            starttls: self.may_start_tls(),
            mechanisms: self.server.auth.mechanisms(channel),
            no_plaintext: !self.server.auth.allows_plaintext(channel),
            literal_minus: imapd.literalminus,
            append_limit: Some(append_limit(imapd)),
            compressed: self.is_compressed(),
            idle: true,
            referrals: false,
            unauthenticate: self.user.as_ref().is_some_and(may_unauthenticate),
            eight_bit: self.takes_eight_bit(),
            proxy: self.is_proxy(),
            replication: imapd.xfer_from_cyrus && self.may_replicate().is_ok(),
            master: imapd.mupdate_name(),
            suppressed: &imapd.suppress_capabilities,
        };
        announced(Node::Store, &facts).join(" ")
    }

    /// Whether UTF8=ACCEPT is announced: 8-bit characters in headers are kept as they are, by LMTP as well.
    pub fn takes_eight_bit(&self) -> bool {
        !self.server.imapd.reject8bit && !self.server.imapd.munge8bit
    }

    /// Whether ENABLE turns an extension on.
    fn serves(&self, extension: Extension) -> bool {
        store_serves(extension.word()) && (extension != Extension::Utf8Accept || self.takes_eight_bit())
    }

    fn may_start_tls(&self) -> bool {
        self.server.tls.is_some() && self.conn.stream().tls().is_none() && !self.is_compressed()
    }

    /// Nothing is compressed before the login: UNAUTHENTICATE ends it with its answer.
    fn is_compressed(&self) -> bool {
        self.user.is_some() && self.conn.stream().is_compressed()
    }
}

/// A frontend that pools its connections gives one back by UNAUTHENTICATE (RFC 8437): those who log in for others may.
pub fn may_unauthenticate(user: &crate::imap::user::User) -> bool {
    user.login.admin || user.login.authid != user.login.userid
}

pub fn capability(session: &mut Session) -> Outcome {
    let moment = if session.user.is_some() { Moment::LoggedIn } else { Moment::Asked };
    let capabilities = session.capabilities(moment);
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
    if session.user.is_some() {
        return Err(Refusal::TlsAfterLogin.into());
    }
    if session.conn.stream().tls().is_some() {
        return Err(Refusal::TlsActive.into());
    }
    let tls = session.server.tls.clone().filter(|_| session.may_start_tls()).ok_or(Refusal::NoTls)?;
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
        Err(_) => {
            rows::HANDSHAKE.met("a TLS handshake takes too long: the session is ended");
            Err(Gone::Closed.into())
        }
    }
}

pub fn enable(session: &mut Session, wanted: &[String]) -> Outcome {
    let condstore = session.condstore();
    // What is on already is not listed, as in Cyrus, however it came on.
    let mut enabled = session.enabled;
    let new = enabled.enable(wanted, |extension| session.serves(extension));
    session.enabled = enabled;
    let utf8 = session.manner().utf8_names;
    if let Some(user) = &mut session.user {
        user.utf8 = utf8;
    }
    if !condstore && session.condstore() {
        session.tell_modseq();
    }
    new.print(session.conn.out());
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
