//! KPOP: a client shows a ticket before POP3 begins, and then says USER and PASS. The ticket decides; the password is not looked at.
//!
//! A listener with `-k` has an [`Authenticator`] of its own for each connection: with the ticket that was shown, or for one who has shown
//! none, who may log in by GSSAPI, and under TLS by a password as everywhere.

use krb5::Library;

use super::aside::aside;
use super::names;
use crate::auth::exchange::THREADS;
use crate::auth::verify::Verified;
use crate::auth::{Authenticator, Failure, Login};
use crate::limits::ACCEPT_PATIENCE;
use transport::peer::Channel;

/// What one connection of a listener with `-k` has shown.
#[derive(Clone, Debug)]
pub(in crate::auth) enum Kpop {
    Nothing,
    /// The ticket's principal.
    Ticket(String),
}

impl Authenticator {
    /// Whether this listener can take tickets at all.
    pub fn takes_tickets(&self) -> bool {
        self.shared.settings.tickets.is_some()
    }

    /// For a client of a listener with `-k` that has not shown a ticket.
    pub fn without_ticket(&self) -> Authenticator {
        self.clone().with(|shared| shared.kpop = Some(Kpop::Nothing))
    }

    /// Looks at a ticket (AP-REQ): for its client from now on, and the proof that we are who it means, where the client wants one.
    ///
    /// # Errors
    /// The ticket is none of ours, or TLS is demanded and this connection has none. The log has it.
    pub async fn with_ticket(
        &self,
        request: Vec<u8>,
        channel: &Channel,
    ) -> Result<(Authenticator, Option<Vec<u8>>), Failure> {
        match self.look_at(request, channel).await {
            Ok((client, reply)) => {
                Ok((self.clone().with(|shared| shared.kpop = Some(Kpop::Ticket(client))), reply))
            }
            Err(failure) => {
                let _ = self.shared.conclude(Err(failure.clone()), KPOP, None, channel).await;
                Err(failure)
            }
        }
    }

    async fn look_at(
        &self,
        request: Vec<u8>,
        channel: &Channel,
    ) -> Result<(String, Option<Vec<u8>>), Failure> {
        let settings = &self.shared.settings;
        let demanded = settings.tls_required || settings.minimum_layer > 0;
        let tickets = settings.tickets.as_ref().filter(|_| channel.is_encrypted() || !demanded);
        let Some(tickets) = tickets else { return Err(Failure::NoMechanism(KPOP.to_owned())) };
        let keytab = tickets.keytab().map(str::to_owned);
        let permit = self.shared.admit_unnamed(channel).await?;
        let looked = aside(&THREADS, ACCEPT_PATIENCE, move || {
            let library = Library::get().map_err(|absent| Failure::Temporary(absent.to_string()));
            let greeted = library.and_then(|library| {
                library
                    .greet(keytab.as_deref(), &request)
                    .map_err(|error| Failure::BadTicket(error.to_string()))
            });
            permit.judge(&greeted);
            greeted
        });
        let greeted = looked.await.map_err(|late| Failure::Temporary(late.to_string()))??;
        Ok((greeted.client, greeted.reply))
    }

    /// USER and PASS of one who has shown a ticket: it must be the ticket's user, or one for whom that may act.
    pub(in crate::auth) async fn by_ticket(
        &self,
        principal: &str,
        user: &str,
        channel: &Channel,
    ) -> Result<Login, Failure> {
        self.shared.look_up_domain(channel).await;
        let settings = &self.shared.settings;
        let realms = settings.tickets.as_ref().map(|tickets| tickets.realms()).unwrap_or_default();
        let authid = names::userid(settings, realms, principal, channel);
        let authid = authid.ok_or_else(|| Failure::BadTicket(format!("{principal} is nobody here")))?;
        let typed = Some(user).filter(|user| *user != principal && *user != authid);
        let authzid = typed.map(|user| self.shared.authzid(&authid, user.to_owned(), channel)).transpose()?;
        let (authzid, detail) = authzid.map_or((None, None), |(authzid, detail)| (Some(authzid), detail));
        let shared = self.shared.clone();
        crate::auth::off_the_reactor(move || shared.authorize(Verified { authid, authzid, detail }, KPOP))
            .await
    }
}

/// What such a login is called in logs.
pub(in crate::auth) const KPOP: &str = "KPOP";
