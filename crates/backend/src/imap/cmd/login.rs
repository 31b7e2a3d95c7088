//! LOGIN, AUTHENTICATE and UNAUTHENTICATE.

use identity::auth::{self, Step64};
use protocol::frame::trim_line;
use protocol::imap::capability::Moment;
use protocol::imap::command::session::{Authenticate, Login};
use protocol::imap::{Code, Enabled, Refusal, Reply, Tag};

use crate::imap::limits::ROUNDS;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::{ClientId, Session};
use crate::imap::user::User;

pub async fn login(session: &mut Session, login: Login) -> Outcome {
    if session.user.is_some() {
        return Err(Refusal::AlreadyLoggedIn.into());
    }
    let channel = session.conn.stream().channel().clone();
    if !session.server.auth.allows_plaintext(&channel) {
        return Err(Refusal::LoginDisabled.into());
    }
    let Ok(user) = String::from_utf8(login.user) else {
        return Err(Refusal::BadCredentials.into());
    };
    let stream = session.conn.stream();
    match stream.attend(session.server.auth.login(&user, &login.password, &channel)).await {
        Ok(login) => {
            if let Some(alert) =
                session.server.imapd.plaintextloginalert.clone().filter(|_| !channel.is_encrypted())
            {
                Reply::ok(alert).code(Code::Alert).write(None, session.conn.out());
            }
            admit(session, login).await
        }
        Err(failure) => Err(Refusal::from(failure).into()),
    }
}

pub async fn authenticate(session: &mut Session, wanted: Authenticate) -> Outcome {
    if session.user.is_some() {
        return Err(Refusal::AlreadyAuthenticated.into());
    }
    let channel = session.conn.stream().channel().clone();
    let mut exchange = session.server.auth.start(&wanted.mechanism, &channel).map_err(Refusal::from)?;
    let patience = session.patience();
    let mut message = wanted.initial.map(String::into_bytes);
    for _ in 0..ROUNDS {
        match session.conn.stream().attend(exchange.step64(message.as_deref())).await {
            Step64::Challenge(text) => {
                session.conn.put_line(format!("+ {text}"));
                session.conn.flush().await?;
                let line = session.conn.line(patience).await?;
                message = Some(trim_line(&line).to_vec());
            }
            Step64::Done(login) => return admit(session, login).await,
            Step64::Failed(failure) => return Err(Refusal::from(failure).into()),
        }
    }
    Err(Refusal::BadBase64.into())
}

/// Gives the connection back as it was before login, less its TLS (RFC 8437 section 3). What is compressed ends on the client's
/// side with the command, here with its answer.
pub async fn unauthenticate(session: &mut Session, tag: &Tag) -> Outcome {
    if !super::session::may_unauthenticate(session.user()?) {
        return Err(Refusal::Unrecognized.into());
    }
    session.conn.read_flush().await?;
    session.selected = None;
    session.notify = None;
    session.uploads = Default::default();
    session.user = None;
    session.server.seat.logout();
    session.enabled = Enabled::default();
    session.client_id = ClientId::None;
    session.settle_bounds();
    let capabilities = session.capabilities(Moment::Greeting);
    Reply::completed().code(Code::Capability(capabilities)).write(Some(tag), session.conn.out());
    session.conn.end_compression().await?;
    Err(Stop::Answered)
}

async fn admit(session: &mut Session, login: auth::Login) -> Outcome {
    let encrypted = session.conn.stream().tls().is_some();
    if let Err(why) = session.server.seat.login(&login, encrypted) {
        return Err(Refusal::TooManySessions(why.to_string()).into());
    }
    if login.proxy_admin || login.authid != login.userid {
        tracing::info!(authid = %login.authid, userid = %login.userid, "acts for another");
    }
    session.user = Some(User { login, utf8: session.manner().utf8_names });
    super::session::log_client_id(session);
    session.settle_bounds();
    super::mailbox::autocreate(session).await?;
    let capabilities = session.capabilities(Moment::LoggedIn);
    let layer = if session.conn.stream().tls().is_some() { "tls protection" } else { "no protection" };
    let text = format!("User logged in ({layer}) SESSIONID=<{}>", session.server.name);
    Ok(Reply::ok(text).code(Code::Capability(capabilities)))
}
