//! AUTHINFO: passwords and SASL, and whose session it is from then on.

use bytes::BytesMut;
use identity::auth::{Exchange, Failure, Login, Step64};
use protocol::nntp::{No, Reply};
use service::drive::Next;
use tracing::info;

use crate::front::{Doing, Front, say};
use crate::limits::{MAX_FAILURES, rows};
use crate::links::{Links, Reach};
use crate::map::Reader;

impl Front {
    pub(crate) async fn authenticate(
        &mut self,
        mechanism: &str,
        initial: Option<String>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        match self.auth.start(mechanism, &self.channel) {
            Ok(exchange) => {
                let initial = initial.as_deref().map(str::as_bytes);
                self.answer(Box::new(exchange), initial, out).await
            }
            Err(failure) => self.concluded(Err(failure), None, out),
        }
    }

    pub(crate) async fn answer(
        &mut self,
        mut exchange: Box<Exchange>,
        line: Option<&[u8]>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        match exchange.step64(line).await {
            // What proves the server goes with the success (RFC 4643 section 2.4.1).
            Step64::Challenge(proof) if exchange.is_proven() => {
                let concluded = match exchange.step64(Some(b"=")).await {
                    Step64::Done(login) => Ok(login),
                    Step64::Failed(failure) => Err(failure),
                    Step64::Challenge(_) => Err(Failure::Malformed("the exchange has no end".to_owned())),
                };
                self.concluded(concluded, Some(proof), out)
            }
            Step64::Challenge(challenge) => {
                self.doing = Doing::LoggingIn(exchange);
                say(out, &Reply::Challenge(challenge), None)
            }
            Step64::Done(login) => self.concluded(Ok(login), None, out),
            Step64::Failed(failure) => self.concluded(Err(failure), None, out),
        }
    }

    /// `proof`: what SASL says last, in Base64.
    pub(crate) fn concluded(
        &mut self,
        result: Result<Login, Failure>,
        proof: Option<String>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        let login = match result {
            Ok(login) => login,
            Err(failure) => {
                self.failures += 1;
                if self.failures < MAX_FAILURES {
                    return say(out, &failed(&failure), None);
                }
                rows::MAX_FAILURES.met("too many failed logins: the connection is ended");
                return Some(say(out, &failed(&failure), Next::Close));
            }
        };
        if let Err(why) = self.news.seat.login(&login, self.channel.is_encrypted()) {
            return say(out, &No::Refused(why.to_string()), None);
        }
        info!(user = login.userid, mechanism = login.mechanism, "NNTP login");
        self.session.logged_in();
        self.begin_anew(Some(&login));
        match proof.filter(|proof| !proof.is_empty()) {
            Some(proof) => say(out, &Reply::LoggedInWith(proof), None),
            None => say(out, &Reply::LoggedIn, None),
        }
    }

    /// Where nobody need log in, whoever has not is somebody all the same: no stranger whose time is over.
    pub(crate) fn enter_anonymously(&mut self) {
        if self.session.is_known() && !self.session.is_logged_in() {
            let anybody = Login { counted: false, ..Login::anonymous() };
            // It is not counted, so that nothing refuses it.
            let _ = self.news.seat.login(&anybody, self.channel.is_encrypted());
        }
    }

    /// Whatever was open was another's: connections that acted for nobody, and the group that was selected.
    pub(crate) fn begin_anew(&mut self, login: Option<&Login>) {
        let reader = Reader::of(login);
        let before = self.news.links.reach();
        self.news.links = Links::new(Reach {
            upstream: before.upstream.clone(),
            user: reader.userid.clone(),
            servername: before.servername.clone(),
            seat: before.seat.clone(),
        });
        self.news.map.reader = reader;
        self.news.current = None;
        self.news.finder = None;
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
