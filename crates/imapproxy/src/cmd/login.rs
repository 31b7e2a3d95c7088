//! Who the client is: LOGIN, AUTHENTICATE, STARTTLS, UNAUTHENTICATE.

use identity::auth::{Login, Step64};
use protocol::frame::{Piece, trim_line};
use protocol::imap::capability::Moment;
use protocol::imap::command::session::{Authenticate, Login as Plain};
use protocol::imap::{Bye, Code, Enabled, Refusal, Reply};

use super::Request;
use crate::limits::{BEFORE_LOGIN_BOUND, FLUSHED, HANDSHAKE_BOUND, rows};
use crate::session::{Done, Outcome, Session, Stop, User};

/// `STARTTLS`
pub async fn start_tls(s: &mut Session, request: &Request) -> Outcome {
    if s.user.is_some() {
        return Err(Refusal::TlsAfterLogin.into());
    }
    if s.client.peer.stream.tls().is_some() {
        return Err(Refusal::TlsActive.into());
    }
    let tls = s.listener.starttls().ok_or(Refusal::NoTls)?;
    s.client.put(Reply::ok("Begin TLS negotiation now").line(Some(&request.head.tag)));
    s.client.flush().await?;
    // What was pipelined behind STARTTLS was not protected (CVE-2011-0411).
    s.client.peer.input.clear();
    let handshake = s.client.peer.stream.start_tls(&tls);
    let timed_out = || {
        rows::HANDSHAKE_BOUND.met("a TLS handshake takes too long: the session is ended");
        Stop::Client(std::io::ErrorKind::TimedOut.into())
    };
    tokio::time::timeout(HANDSHAKE_BOUND, handshake).await.map_err(|_| timed_out())?.map_err(Stop::Client)?;
    Ok(Done::Told)
}

/// `LOGIN user password`
pub async fn login(s: &mut Session, login: Plain) -> Outcome {
    if s.user.is_some() {
        return Err(Refusal::AlreadyLoggedIn.into());
    }
    let channel = s.client.peer.stream.channel().clone();
    let user = String::from_utf8_lossy(&login.user).into_owned();
    if !s.listener.auth().allows_plaintext(&channel) {
        return Err(Refusal::LoginDisabled.into());
    }
    let auth = s.listener.auth();
    match s.client.peer.stream.attend(auth.login(&user, &login.password, &channel)).await {
        Ok(login) => {
            let alert = s.listener.imapd().plaintextloginalert.clone();
            if let Some(alert) = alert.filter(|_| !channel.is_encrypted()) {
                s.client.put(Reply::ok(alert).code(Code::Alert).line(None));
            }
            welcome(s, login).await
        }
        Err(failure) => Err(Refusal::from(failure).into()),
    }
}

/// `AUTHENTICATE mechanism [initial-response]`
pub async fn authenticate(s: &mut Session, command: Authenticate) -> Outcome {
    if s.user.is_some() {
        return Err(Refusal::AlreadyAuthenticated.into());
    }
    let channel = s.client.peer.stream.channel().clone();
    let mut exchange = s.listener.auth().start(&command.mechanism, &channel).map_err(Refusal::from)?;
    let mut answer = command.initial.map(String::into_bytes);
    loop {
        match s.client.peer.stream.attend(exchange.step64(answer.as_deref())).await {
            Step64::Done(login) => return welcome(s, login).await,
            Step64::Failed(failure) => return Err(Refusal::from(failure).into()),
            Step64::Challenge(challenge) => {
                s.client.put(format!("+ {challenge}\r\n"));
                answer = Some(match s.client.piece().await? {
                    Piece::Line(line) => trim_line(&line).to_vec(),
                    other => {
                        s.client.skip(other).await?;
                        return Err(Refusal::BadChallenge.into());
                    }
                });
            }
        }
    }
}

/// `UNAUTHENTICATE`: as after the greeting, less TLS (RFC 8437 section 3); the connections that acted for the user are given up.
/// What is compressed ends on the client's side with the command, here with its answer.
pub async fn unauthenticate(s: &mut Session, request: &Request) -> Outcome {
    if !s.user()?.is_admin() {
        return Err(Refusal::Unrecognized.into());
    }
    read_flush(s).await?;
    s.links.close();
    s.seat.logout();
    (s.user, s.selected, s.id, s.notify) = (None, None, None, None);
    s.enabled = Enabled::default();
    s.follows_referrals = false;
    s.client.restrain(BEFORE_LOGIN_BOUND);
    let words = s.capability_words(Moment::Greeting);
    s.client.put(Reply::completed().code(Code::Capability(words)).line(Some(&request.head.tag)));
    s.client.flush().await?;
    if s.client.peer.stream.is_compressed() {
        // The end of the compressed bytes is none of the connection's.
        (s.client.peer.input, s.client.peer.ended) = (s.client.peer.stream.decompress(), false);
    }
    Ok(Done::Told)
}

/// Waits until nothing of the client's is left to decompress.
async fn read_flush(s: &mut Session) -> Result<(), Stop> {
    let peer = &mut s.client.peer;
    if !peer.stream.is_compressed() {
        return Ok(());
    }
    let ahead = || Stop::Bye(Bye::new("The compression ends with UNAUTHENTICATE: wait for its answer"));
    if !peer.input.is_empty() {
        return Err(ahead());
    }
    let flushed = tokio::time::timeout(FLUSHED, peer.stream.read_flush()).await.map_err(|_| {
        rows::FLUSHED.met("a client does not end its compressed bytes: the session is ended");
        ahead()
    })?;
    flushed.map_err(|_| ahead())
}

async fn welcome(s: &mut Session, login: Login) -> Outcome {
    if let Err(why) = s.seat.login(&login, s.client.peer.stream.tls().is_some()) {
        return Err(Refusal::TooManySessions(why.to_string()).into());
    }
    if login.proxy && s.listener.imapd().is_unified() {
        return hand_over(s, &login).await;
    }
    let inbox = s.node.namespace.inbox(&login.userid).ok();
    s.user = Some(User { login, utf8: s.enabled.manner().utf8_names, inbox });
    let patience = s.idle_bound();
    s.client.relax(patience);
    // What the user's own backend announces must be known before we announce anything.
    if let Ok(Some(home)) = s.home_of_newcomer().await
        && !s.node.capabilities.knows(&home)
        && let Err(Stop::Client(error)) = s.link(&home).await.map(drop)
    {
        return Err(Stop::Client(error));
    }
    let words = s.capability_words(Moment::LoggedIn);
    let layer = if s.client.peer.stream.tls().is_some() { "tls protection" } else { "no protection" };
    Ok(Done::Here(Reply::ok(format!("User logged in ({layer})")).code(Code::Capability(words))))
}

/// What comes from a proxy is not proxied again: on a unified node it goes on at the backend beside, which has what is here.
async fn hand_over(s: &mut Session, login: &Login) -> Outcome {
    let own = s.listener.imapd().servername.clone();
    match s.node.upstream.imap(&own, Some(&login.userid)).await {
        Ok(connection) => {
            let said = connection.text.clone();
            s.seat.linked(&own, &said);
            (s.beside, s.over) = (Some(connection), true);
            Ok(Done::Here(Reply::ok(said)))
        }
        Err(error) => {
            s.seat.logout();
            tracing::warn!(user = login.userid, "{error}");
            Err(Refusal::ServerDown.into())
        }
    }
}
