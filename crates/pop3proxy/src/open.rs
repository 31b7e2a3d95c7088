//! From the maildrop's name to a connection to its backend; that of a newcomer, to the backend that makes the INBOX.

use arrivals::{Arrival, Next, Servers};
use config::imapd::Imapd;
use directory::lookup::Lookup;
use identity::auth::Login;
use protocol::name::MailboxName;
use protocol::origin::Origin;
use protocol::pop3::reply::Reply;
use protocol::pop3::unopenable::Unopenable;
use tracing::{info, warn};
use upstream::wire::pop3::Wire;
use upstream::{Error, Proto, Upstream};

use crate::locate;

/// A connection to a backend.
pub type Backend = upstream::Connection<Wire>;

/// How a login gets to its maildrop.
pub struct Way<'a> {
    pub directory: &'a dyn Lookup,
    pub upstream: &'a Upstream,
    pub servers: &'a Servers,
    pub imapd: &'a Imapd,
    /// As the backend is told, with the folder after a `+`.
    pub user: &'a str,
    pub origin: &'a Origin,
}

/// The server and the connection, or what the client is told.
pub type Opened = Result<(String, Backend), String>;

impl Way<'_> {
    pub async fn open(&self, name: &MailboxName, login: &Login) -> Opened {
        // Who comes from a proxy is not proxied again: what is not here is elsewhere.
        if login.proxy && self.imapd.is_unified() {
            return self.connected(self.imapd.servername.clone()).await;
        }
        match locate::backend(self.directory, name).await {
            Ok(server) => self.connected(server).await,
            Err(Reply::Unopenable(Unopenable::NoMailbox | Unopenable::Reserved))
                if name.is_inbox()
                    && placement::has_inbox_made(self.imapd, &login.userid, &login.groups, false) =>
            {
                self.arrive(name).await
            }
            Err(reply) => {
                warn!(user = self.user, "{reply}");
                Err(reply.to_string())
            }
        }
    }

    /// What the client is told; the log has it too.
    pub fn refused(&self, why: Unopenable) -> String {
        let reply = Reply::Unopenable(why);
        warn!(user = self.user, "{reply}");
        reply.to_string()
    }

    async fn connected(&self, server: String) -> Opened {
        self.connect(server).await.map_err(|error| locate::refusal(&error))
    }

    async fn connect(&self, server: String) -> Result<(String, Backend), Error> {
        match self.upstream.pop3(&server, self.user, Some(self.origin)).await {
            Ok(connection) => Ok((server, connection)),
            Err(error) => {
                warn!(user = self.user, "{error}");
                Err(error)
            }
        }
    }

    /// A backend that opens the maildrop has made the INBOX. One that does not may have found that another backend has it.
    async fn arrive(&self, inbox: &MailboxName) -> Opened {
        let mut arrival = Arrival::new(self.servers, self.directory, self.imapd, inbox, Proto::Pop3);
        let mut refusal = None;
        loop {
            match arrival.next().await {
                Next::Home(entry) => return self.connected(entry.server().to_owned()).await,
                Next::Ask(server) => match self.connect(server).await {
                    Ok((server, connection)) => {
                        info!(user = self.user, server, "a newcomer has an INBOX");
                        return Ok((server, connection));
                    }
                    Err(error) => {
                        if !error.is_unreachable() {
                            arrival.answered();
                        }
                        refusal = Some(locate::refusal(&error));
                    }
                },
                Next::Nobody => return Err(refusal.unwrap_or_else(|| self.refused(Unopenable::NoMailbox))),
                Next::Reserved => return Err(self.refused(Unopenable::Reserved)),
                Next::Unsure(_) => return Err(self.refused(Unopenable::ListIncomplete)),
            }
        }
    }
}
