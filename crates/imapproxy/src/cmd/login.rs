//! Who the client is: LOGIN, AUTHENTICATE, STARTTLS, UNAUTHENTICATE.

use identity::auth::{Failure, Login, Step64};
use protocol::frame::{Piece, trim_line};
use protocol::imap::command::session::{Authenticate, Login as Plain};

use super::Request;
use crate::capability;
use crate::session::{BEFORE_LOGIN_BOUND, Session, Stop, User};

/// `STARTTLS`
pub async fn start_tls(s: &mut Session, request: &Request) -> Result<(), Stop> {
    let Some(tls) = s.listener.starttls() else { return Err(Stop::no("Starttls not supported")) };
    if s.user.is_some() {
        return Err(Stop::bad("Starttls not allowed after authentication"));
    }
    if s.client.peer.stream.tls().is_some() {
        return Err(Stop::bad("Already did a successful Starttls"));
    }
    s.client.put(format!("{} OK Begin TLS negotiation now\r\n", request.head.tag));
    s.client.flush().await?;
    // What was pipelined behind STARTTLS was not protected (CVE-2011-0411).
    s.client.peer.input.clear();
    let handshake = s.client.peer.stream.start_tls(&tls);
    let timed_out = || Stop::Client(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(HANDSHAKE_BOUND, handshake).await.map_err(|_| timed_out())?.map_err(Stop::Client)
}

/// `LOGIN user password`
pub async fn login(s: &mut Session, request: &Request, login: Plain) -> Result<(), Stop> {
    if s.user.is_some() {
        return Err(Stop::bad("Already logged in"));
    }
    let channel = s.client.peer.stream.channel().clone();
    let user = String::from_utf8_lossy(&login.user).into_owned();
    if !s.listener.auth().allows_plaintext(&channel) {
        return Err(Stop::no("[PRIVACYREQUIRED] Login only available under a layer"));
    }
    let auth = s.listener.auth();
    match s.client.peer.stream.attend(auth.login(&user, &login.password, &channel)).await {
        Ok(login) => {
            let alert = s.listener.imapd().plaintextloginalert.clone();
            if let Some(alert) = alert.filter(|_| !channel.is_encrypted()) {
                s.client.put(format!("* OK [ALERT] {alert}\r\n"));
            }
            welcome(s, request, login).await
        }
        Err(failure) => Err(refusal(&failure)),
    }
}

/// `AUTHENTICATE mechanism [initial-response]`
pub async fn authenticate(s: &mut Session, request: &Request, command: Authenticate) -> Result<(), Stop> {
    if s.user.is_some() {
        return Err(Stop::bad("Already authenticated"));
    }
    let channel = s.client.peer.stream.channel().clone();
    let mut exchange =
        s.listener.auth().start(&command.mechanism, &channel).map_err(|failure| refusal(&failure))?;
    let mut answer = command.initial.map(String::into_bytes);
    loop {
        match s.client.peer.stream.attend(exchange.step64(answer.as_deref())).await {
            Step64::Done(login) => return welcome(s, request, login).await,
            Step64::Failed(failure) => return Err(refusal(&failure)),
            Step64::Challenge(challenge) => {
                s.client.put(format!("+ {challenge}\r\n"));
                answer = Some(match s.client.piece().await? {
                    Piece::Line(line) => trim_line(&line).to_vec(),
                    other => {
                        s.client.skip(other).await?;
                        return Err(Stop::bad("Invalid response to a challenge"));
                    }
                });
            }
        }
    }
}

/// `UNAUTHENTICATE`: as after the greeting; the connections that acted for the user are given up.
pub async fn unauthenticate(s: &mut Session, request: &Request) -> Result<(), Stop> {
    if !s.user()?.is_admin() {
        return Err(Stop::bad("Unrecognized command"));
    }
    s.links.close();
    s.seat.logout();
    (s.user, s.selected, s.id) = (None, None, None);
    s.enabled.clear();
    s.follows_referrals = false;
    s.client.restrain(BEFORE_LOGIN_BOUND);
    s.client.put(format!("{} OK Completed\r\n", request.head.tag));
    Ok(())
}

async fn welcome(s: &mut Session, request: &Request, login: Login) -> Result<(), Stop> {
    if let Err(why) = s.seat.login(&login, s.client.peer.stream.tls().is_some()) {
        return Err(Stop::no(format!("[LIMIT] {why}")));
    }
    let inbox = s.node.namespace.inbox(&login.userid).ok();
    s.user = Some(User { login, inbox });
    let patience = s.idle_bound();
    s.client.relax(patience);
    // What the user's own backend announces must be known before we announce anything.
    if let Ok(Some(home)) = s.home().await
        && !s.node.capabilities.knows(&home)
        && let Err(Stop::Client(error)) = s.link(&home).await.map(drop)
    {
        return Err(Stop::Client(error));
    }
    let words = capability::after_login(s);
    let layer = if s.client.peer.stream.tls().is_some() { "tls protection" } else { "no protection" };
    s.client.put(format!("{} OK [CAPABILITY {words}] User logged in ({layer})\r\n", request.head.tag));
    Ok(())
}

/// What the client learns of a failure; the log has the rest.
fn refusal(failure: &Failure) -> Stop {
    match failure {
        Failure::BadCredentials => Stop::no("[AUTHENTICATIONFAILED] authentication failure"),
        Failure::NotAuthorized { .. } => Stop::no("[AUTHORIZATIONFAILED] authorization failure"),
        Failure::Denied { message, .. } => Stop::no(format!("[AUTHORIZATIONFAILED] {message}")),
        Failure::NoMechanism(_) => Stop::no("no mechanism available"),
        Failure::PlaintextRefused => Stop::no("[PRIVACYREQUIRED] encryption needed to use mechanism"),
        Failure::Malformed(_) => Stop::bad("Invalid base64 string"),
        Failure::Cancelled => Stop::bad("Client canceled authentication"),
        Failure::Temporary(_) => Stop::no("[UNAVAILABLE] generic failure, try again"),
    }
}

const HANDSHAKE_BOUND: std::time::Duration = std::time::Duration::from_secs(30);
