//! Logins: passwords, SASL, and nobody's (`allowanonymouslogin`).

use bytes::BytesMut;
use identity::auth::{Exchange, Failure, Login, Step64};
use protocol::nntp::{No, Reply};
use service::drive::Next;
use tracing::info;

use super::limits::{MAX_FAILURES, rows};
use super::session::{Client, Phase, say};

impl Client {
    pub(super) async fn authenticate(
        &mut self,
        mut exchange: Box<Exchange>,
        message: Option<&[u8]>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        match exchange.step64(message).await {
            // The server's proof goes with the yes (RFC 4643 section 2.4.1).
            Step64::Challenge(proof) if exchange.is_proven() => match exchange.step64(Some(b"=")).await {
                Step64::Done(login) => self.concluded(Ok(login), Reply::LoggedInWith(proof), out).await,
                Step64::Failed(failure) => self.concluded(Err(failure), Reply::LoggedIn, out).await,
                Step64::Challenge(_) => {
                    let endless = Failure::Malformed("the exchange has no end".to_owned());
                    self.concluded(Err(endless), Reply::LoggedIn, out).await
                }
            },
            Step64::Challenge(base64) => {
                self.phase = Phase::Auth(exchange);
                say(&Reply::Challenge(base64), out);
                None
            }
            Step64::Done(login) => self.concluded(Ok(login), Reply::LoggedIn, out).await,
            Step64::Failed(failure) => self.concluded(Err(failure), Reply::LoggedIn, out).await,
        }
    }

    /// `yes` is what a client is answered that is let in.
    pub(super) async fn concluded(
        &mut self,
        result: Result<Login, Failure>,
        yes: Reply,
        out: &mut BytesMut,
    ) -> Option<Next> {
        let login = match result {
            Ok(login) => login,
            Err(failure) => {
                self.failures += 1;
                say(&failed(&failure).into(), out);
                if self.failures >= MAX_FAILURES {
                    rows::MAX_FAILURES.met("too many failed logins: the connection is ended");
                    return Some(Next::Close);
                }
                return None;
            }
        };
        if self.who.is_some() {
            self.seat.logout();
        }
        if let Err(why) = self.seat.login(&login, self.channel.is_encrypted()) {
            self.who = None;
            say(&No::Refused(why.to_string()).into(), out);
            return None;
        }
        info!(user = login.userid, mechanism = login.mechanism, "NNTP login");
        if let Some(origin) = self.origin.take().filter(|_| login.proxy) {
            info!(client = %origin.client, session = %origin.session, node = %origin.node, "on behalf of");
            self.seat.came_from(origin);
        }
        self.session.logged_in();
        self.selected = None;
        self.who = Some(login);
        say(&yes, out);
        None
    }

    /// Whoever has not logged in is anonymous from the first command on that needs to know.
    ///
    /// # Errors
    /// There are too many of them, or nobody may be.
    pub(super) async fn known(&mut self) -> Result<Login, Reply> {
        if let Some(login) = &self.who {
            return Ok(login.clone());
        }
        let login = Login::anonymous();
        if !self.session.is_known() {
            // It is asked what anybody may know.
            return Ok(login);
        }
        self.auth.admits(&login).await.map_err(|failure| Reply::No(failed(&failure)))?;
        self.seat
            .login(&login, self.channel.is_encrypted())
            .map_err(|why| Reply::No(No::Unavailable(why.to_string())))?;
        self.who = Some(login.clone());
        Ok(login)
    }
}

/// What the client sees for each failure.
fn failed(failure: &Failure) -> No {
    match failure {
        Failure::BadCredentials | Failure::BadTicket(_) | Failure::NotAuthorized { .. } => No::InvalidLogin,
        Failure::Denied { message, .. } => No::Refused(message.clone()),
        Failure::NoMechanism(_) => No::UnknownMechanism,
        Failure::PlaintextRefused => No::PlaintextRefused,
        Failure::Malformed(_) => No::BadBase64,
        Failure::Cancelled => No::Cancelled,
        Failure::Temporary(_) => No::AuthUnavailable,
    }
}
