//! From a login to the backend that has its scripts.

use std::sync::Arc;

use config::imapd::Imapd;
use directory::lookup::{Found, Lookup};
use identity::auth::Login;
use managesieve::{Answer, Host, Welcome};
use protocol::managesieve::{Code, Command, Reply};
use protocol::namespace::Namespace;
use service::sessions::Seat;
use tracing::{info, warn};
use upstream::wire::sieve::Wire;
use upstream::{Objection, Upstream};

/// A connection to a backend.
pub type Backend = upstream::Connection<Wire>;

/// A frontend has no scripts: it knows where they are.
pub struct Front {
    pub directory: Arc<dyn Lookup>,
    pub upstream: Upstream,
    pub namespace: Namespace,
    pub imapd: Imapd,
    pub seat: Seat,
    /// The backend that a client is connected through to.
    pub backend: Option<Backend>,
}

impl Front {
    /// The server of a user's INBOX, or what the client is told.
    async fn server(&self, login: &Login) -> Result<String, Reply> {
        // Who comes from a proxy is not proxied again.
        if login.proxy && self.imapd.is_unified() {
            return Ok(self.imapd.servername.clone());
        }
        let Ok(inbox) = self.namespace.inbox(&login.userid) else { return Err(nobody()) };
        match self.directory.find(&inbox).await {
            Found::Active(entry) => Ok(entry.server().to_owned()),
            Found::Missing if login.is_any_admin() => {
                Err(Reply::no("Scripts for all users are installed on each backend"))
            }
            // Whether there is somebody of the name is nobody's business.
            Found::Missing => Err(nobody()),
            Found::Reserved => Err(later("Mailbox is being moved")),
            Found::Unknown(stale) => {
                warn!(user = login.userid, "{stale}");
                Err(later("The mailbox list is not complete at the moment"))
            }
        }
    }

    /// A backend that does not know the user may have given them away a moment ago: then the list says to whom.
    async fn connect_through(&mut self, login: &Login) -> Result<Welcome, Reply> {
        let server = self.server(login).await?;
        let refused = match self.connect(&server, &login.userid).await {
            Err(refused) => refused,
            welcome => return welcome,
        };
        // What has not arrived by then is not waited for.
        let _ = self.directory.barrier().await;
        match self.server(login).await {
            Ok(now) if now != server => self.connect(&now, &login.userid).await,
            Ok(_) => Err(refused),
            Err(why) => Err(why),
        }
    }

    async fn connect(&mut self, server: &str, user: &str) -> Result<Welcome, Reply> {
        let origin = self.seat.as_origin(&self.imapd.servername);
        match self.upstream.sieve(server, user, Some(&origin)).await {
            Ok(connection) => {
                info!(user, server, "connected through");
                self.seat.linked(server, &connection.text);
                self.backend = Some(connection);
                Ok(Welcome::Through)
            }
            Err(error) => {
                warn!(user, "{error}");
                Err(refusal(&error))
            }
        }
    }
}

impl Host for Front {
    const TAKES_ORIGINS: bool = false;

    async fn login(&mut self, login: &Login) -> Result<Welcome, Reply> {
        match self.imapd.sieve_allowreferrals && !(login.proxy && self.imapd.is_unified()) {
            true => {
                let server = self.server(login).await?;
                info!(user = login.userid, server, "referred");
                Ok(Welcome::Referred(referral(&server)))
            }
            false => self.connect_through(login).await,
        }
    }

    /// Whoever is logged in has been referred, and asks for nothing that comes here.
    async fn serve(&mut self, _: Command) -> Answer {
        later("The scripts are on another server").into()
    }

    async fn has(&self, _: &str, _: bool) -> Option<bool> {
        None
    }

    fn logout(&mut self) {}
}

/// `BYE (REFERRAL "sieve://server") "Try Remote."`; a server's name in the list may have a partition behind it.
fn referral(server: &str) -> Reply {
    let host = server.split('!').next().unwrap_or_default();
    Reply::bye("Try Remote.").code(Code::Referral(format!("sieve://{host}")))
}

fn nobody() -> Reply {
    Reply::no("Authentication Error")
}

fn later(why: &'static str) -> Reply {
    Reply::no(why).code(Code::TryLater)
}

/// What the client is told when the backend cannot be had. It stays logged out, and may try again.
fn refusal(error: &upstream::Error) -> Reply {
    match error {
        upstream::Error::Denied { text, objection: Objection::Rights, .. } if !text.is_empty() => {
            Reply::no(text.clone())
        }
        // The user has the password right, and must not be asked for another.
        upstream::Error::Denied { .. } | upstream::Error::NoMechanism { .. } => {
            later("Authentication to backend server failed")
        }
        upstream::Error::Io { .. }
        | upstream::Error::Timeout { .. }
        | upstream::Error::Down { .. }
        | upstream::Error::Strange { .. }
        | upstream::Error::Protocol { .. }
        | upstream::Error::Unprotected { .. }
        | upstream::Error::Tls { .. }
        | upstream::Error::WrongPassword { .. } => later("Server(s) unavailable to complete operation"),
    }
}
