//! LOGIN, AUTHENTICATE and UNAUTHENTICATE.

use identity::auth::{self, Failure, Step64};
use protocol::frame::trim_line;
use protocol::imap::command::session::{Authenticate, Login};

use crate::imap::reply::{Outcome, Reply, Stop};
use crate::imap::session::{ClientId, Session};
use crate::imap::user::User;

pub async fn login(session: &mut Session, login: Login) -> Outcome {
    if session.user.is_some() {
        return Ok(Reply::bad("Already logged in"));
    }
    let channel = session.conn.stream().channel().clone();
    if !session.server.auth.allows_plaintext(&channel) {
        return Ok(Reply::no("Login only available under a layer").code("PRIVACYREQUIRED"));
    }
    let Ok(user) = String::from_utf8(login.user) else { return Ok(failed(&Failure::BadCredentials)) };
    let stream = session.conn.stream();
    match stream.attend(session.server.auth.login(&user, &login.password, &channel)).await {
        Ok(login) => {
            if let Some(alert) =
                session.server.imapd.plaintextloginalert.clone().filter(|_| !channel.is_encrypted())
            {
                session.conn.put_line(format!("* OK [ALERT] {alert}"));
            }
            admit(session, login).await
        }
        Err(failure) => Ok(failed(&failure)),
    }
}

pub async fn authenticate(session: &mut Session, wanted: Authenticate) -> Outcome {
    if session.user.is_some() {
        return Ok(Reply::bad("Already authenticated"));
    }
    let channel = session.conn.stream().channel().clone();
    let mut exchange = match session.server.auth.start(&wanted.mechanism, &channel) {
        Ok(exchange) => exchange,
        Err(failure) => return Ok(failed(&failure)),
    };
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
            Step64::Failed(failure) => return Ok(failed(&failure)),
        }
    }
    Ok(failed(&Failure::Malformed("too many rounds".to_owned())))
}

/// Gives the connection back as it was before login (RFC 8437).
pub async fn unauthenticate(session: &mut Session) -> Outcome {
    if !super::session::may_unauthenticate(session.user()?) {
        return Err(Reply::bad("Unrecognized command").into());
    }
    session.selected = None;
    session.user = None;
    session.server.seat.logout();
    session.condstore = false;
    session.client_id = ClientId::None;
    session.settle_bounds();
    Ok(Reply::completed())
}

async fn admit(session: &mut Session, login: auth::Login) -> Outcome {
    let encrypted = session.conn.stream().tls().is_some();
    if let Err(why) = session.server.seat.login(&login, encrypted) {
        return Ok(Reply::no(why.to_string()).code("LIMIT"));
    }
    if login.proxy_admin || login.authid != login.userid {
        tracing::info!(authid = %login.authid, userid = %login.userid, "acts for another");
    }
    session.user = Some(User { login });
    super::session::log_client_id(session);
    session.settle_bounds();
    super::mailbox::autocreate(session).await?;
    let capabilities = session.capabilities();
    let layer = if session.conn.stream().tls().is_some() { "tls protection" } else { "no protection" };
    let text = format!("User logged in ({layer}) SESSIONID=<{}>", session.server.name);
    Ok(Reply::ok(text).code(format!("CAPABILITY {capabilities}")))
}

fn failed(failure: &Failure) -> Reply {
    match failure {
        Failure::BadCredentials => Reply::no("authentication failure").code("AUTHENTICATIONFAILED"),
        Failure::NotAuthorized { .. } => Reply::no("authorization failure").code("AUTHORIZATIONFAILED"),
        Failure::Denied { message, .. } => Reply::no(message.clone()).code("AUTHORIZATIONFAILED"),
        Failure::NoMechanism(_) => Reply::no("no mechanism available"),
        Failure::PlaintextRefused => Reply::no("encryption needed to use mechanism").code("PRIVACYREQUIRED"),
        Failure::Malformed(_) => Reply::bad("Invalid base64 string"),
        Failure::Cancelled => Reply::bad("Client canceled authentication"),
        Failure::Temporary(_) => Reply::no("generic failure, try again").code("UNAVAILABLE"),
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Reply(failed(&failure))
    }
}

/// Messages in one exchange.
const ROUNDS: usize = 20;
