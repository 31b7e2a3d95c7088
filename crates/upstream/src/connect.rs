//! From a server's name to an authenticated connection.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use config::imapd::Imapd;
use identity::auth::Refusals;
use protocol::origin::Origin;
use tokio::time::timeout;
use tracing::{debug, info, warn};
use transport::resolve::Server;

use crate::Error;
use crate::breaker::{Breaker, Todo};
use crate::dialog::{Connection, Dialog};
use crate::handshake;
use crate::limits::{GREETING_MAX, HANDSHAKE_STEPS, NAME_SHOWN, PROBE, PROBE_LONGEST, STRANGE_LOGGED};
use crate::tls::Tls;
use crate::wire::{imap, lmtp, nntp, pop3, sieve};

/// What is spoken to the backend. The names are those of `<shorthost>_ports` and of the service table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proto {
    Imap,
    Pop3,
    Lmtp,
    Sieve,
    Nntp,
}

impl Proto {
    pub fn service(self) -> &'static str {
        match self {
            Proto::Imap => "imap",
            Proto::Pop3 => "pop3",
            Proto::Lmtp => "lmtp",
            Proto::Sieve => "sieve",
            Proto::Nntp => "nntp",
        }
    }

    /// What Kerberos calls it.
    fn sasl_service(self) -> &'static str {
        match self {
            Proto::Pop3 => "pop",
            Proto::Imap | Proto::Lmtp | Proto::Sieve | Proto::Nntp => self.service(),
        }
    }
}

/// The way to all backends; cheap to clone, one per process.
#[derive(Clone)]
pub struct Upstream {
    shared: Arc<Shared>,
}

struct Shared {
    imapd: RwLock<Imapd>,
    tls: Tls,
    breakers: Mutex<HashMap<(String, Proto), Breaker>>,
    /// By server and protocol: our name there, and the text of the answer.
    refusals: Refusals<(String, Proto), (String, String)>,
    /// Names that are not used, and that the log has.
    strange: Mutex<HashSet<String>>,
}

impl Upstream {
    pub fn new(imapd: &Imapd) -> Upstream {
        Upstream {
            shared: Arc::new(Shared {
                imapd: RwLock::new(imapd.clone()),
                tls: Tls::default(),
                breakers: Mutex::default(),
                refusals: Refusals::new(usize::MAX),
                strange: Mutex::default(),
            }),
        }
    }

    /// Takes a configuration that was read anew; connections that exist are not touched.
    pub fn reload(&self, imapd: &Imapd) {
        *self.shared.imapd.write().unwrap_or_else(PoisonError::into_inner) = imapd.clone();
        self.shared.tls.forget();
        self.shared.refusals.forget();
    }

    pub fn imapd(&self) -> Imapd {
        self.shared.imapd.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An IMAP connection, logged in. `user` is who shall be acted for; `None` acts as `proxy_authname` itself.
    pub async fn imap(&self, server: &str, user: Option<&str>) -> Result<Connection<imap::Wire>, Error> {
        let work = async |imapd: &Imapd, tls: &Tls| {
            let mut dialog = open(imapd, tls, server, Proto::Imap, imap::Wire::new(secret(server)?)).await?;
            handshake::imap::log_in(&mut dialog, imapd, tls, user).await?;
            Ok(dialog.finish())
        };
        self.attempt(server, Proto::Imap, work).await
    }

    /// A POP3 connection in the TRANSACTION state, acting for `user`. A server of ours is told in passing where the session
    /// comes from: nobody waits for it. (IMAP has a place for that after the login.)
    pub async fn pop3(
        &self,
        server: &str,
        user: &str,
        origin: Option<&Origin>,
    ) -> Result<Connection<pop3::Wire>, Error> {
        let work = async |imapd: &Imapd, tls: &Tls| {
            let mut dialog = open(imapd, tls, server, Proto::Pop3, pop3::Wire::default()).await?;
            handshake::pop3::log_in(&mut dialog, imapd, tls, Some(user), origin).await?;
            Ok(dialog.finish())
        };
        self.attempt(server, Proto::Pop3, work).await
    }

    /// A ManageSieve connection, acting for `user`. A server of ours is told before where the session comes from.
    pub async fn sieve(
        &self,
        server: &str,
        user: &str,
        origin: Option<&Origin>,
    ) -> Result<Connection<sieve::Wire>, Error> {
        let work = async |imapd: &Imapd, tls: &Tls| {
            let mut dialog = open(imapd, tls, server, Proto::Sieve, sieve::Wire::default()).await?;
            handshake::sieve::log_in(&mut dialog, imapd, tls, user, origin).await?;
            Ok(dialog.finish())
        };
        self.attempt(server, Proto::Sieve, work).await
    }

    /// An NNTP connection, acting for `user`. A server of ours is told before where the session comes from.
    pub async fn nntp(
        &self,
        server: &str,
        user: &str,
        origin: Option<&Origin>,
    ) -> Result<Connection<nntp::Wire>, Error> {
        let work = async |imapd: &Imapd, tls: &Tls| {
            let mut dialog = open(imapd, tls, server, Proto::Nntp, nntp::Wire::default()).await?;
            handshake::nntp::log_in(&mut dialog, imapd, tls, user, origin).await?;
            Ok(dialog.finish())
        };
        self.attempt(server, Proto::Nntp, work).await
    }

    /// An LMTP connection, logged in as `proxy_authname` where the server wants that.
    pub async fn lmtp(&self, server: &str) -> Result<Connection<lmtp::Wire>, Error> {
        let work = async |imapd: &Imapd, tls: &Tls| {
            let mut dialog = open(imapd, tls, server, Proto::Lmtp, lmtp::Wire::default()).await?;
            handshake::lmtp::log_in(&mut dialog, imapd, tls).await?;
            Ok(dialog.finish())
        };
        self.attempt(server, Proto::Lmtp, work).await
    }

    /// Connects, unless the server's breaker is open; bounded as a whole, whatever each step takes.
    async fn attempt<W>(
        &self,
        server: &str,
        proto: Proto,
        work: impl AsyncFnOnce(&Imapd, &Tls) -> Result<Connection<W>, Error>,
    ) -> Result<Connection<W>, Error> {
        self.admit(server, proto)?;
        let imapd = self.imapd();
        let bound = transport::settings::client_timeout(&imapd) * HANDSHAKE_STEPS;
        let late = || Error::Timeout { server: server.to_owned(), doing: "login", bound };
        let result = timeout(bound, work(&imapd, &self.shared.tls)).await.unwrap_or_else(|_| Err(late()));
        let login = (server.to_owned(), proto);
        match &result {
            Ok(_) => self.shared.refusals.taken(&login),
            Err(Error::WrongPassword { authname, text, .. }) => {
                self.shared.refusals.refused(login, (authname.clone(), text.clone()), Instant::now());
            }
            // It has not been heard, or not to its end.
            Err(_) => {}
        }
        self.note(server, proto, result.as_ref().err());
        result
    }

    /// Whether a server that seems to hang still greets: bounded by `client_timeout`. A failure opens its breaker.
    pub async fn greets(&self, server: &str, proto: Proto) -> Result<(), Error> {
        let imapd = self.imapd();
        let result = greeted(&imapd, &self.shared.tls, server, proto).await;
        self.note(server, proto, result.as_ref().err());
        result
    }

    /// Why the server would not be tried at this moment, if so.
    pub fn admit(&self, server: &str, proto: Proto) -> Result<(), Error> {
        self.known(server)?;
        if let Some((authname, text)) =
            self.shared.refusals.answer(&(server.to_owned(), proto), Instant::now())
        {
            return Err(Error::WrongPassword { server: server.to_owned(), authname, text });
        }
        let breakers = self.shared.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        match breakers.get(&(server.to_owned(), proto)) {
            Some(breaker) => {
                breaker.admit(Instant::now()).map_err(|why| Error::Down { server: server.to_owned(), why })
            }
            None => Ok(()),
        }
    }

    /// A name that comes with an entry of the list is a host's name; with a port, a path or a flag it is used only where the
    /// configuration has it so: otherwise whoever may write to the list could have this node connect anywhere.
    fn known(&self, server: &str) -> Result<(), Error> {
        if Server::is_plain(server) || self.imapd().lists_server(server) {
            return Ok(());
        }
        let error = Error::Strange { server: server.chars().take(NAME_SHOWN).collect() };
        let mut strange = self.shared.strange.lock().unwrap_or_else(PoisonError::into_inner);
        if strange.len() < STRANGE_LOGGED && strange.insert(server.to_owned()) {
            warn!("{error}");
        }
        Err(error)
    }

    /// Counts a success or a failure for the server's breaker.
    pub(crate) fn note(&self, server: &str, proto: Proto, error: Option<&Error>) {
        reachable(server, proto, !error.is_some_and(Error::is_unreachable));
        let todo = {
            let mut breakers = self.shared.breakers.lock().unwrap_or_else(PoisonError::into_inner);
            match error {
                Some(error) if error.is_unreachable() => {
                    let slow = matches!(error, Error::Timeout { .. });
                    let breaker = breakers.entry((server.to_owned(), proto)).or_default();
                    breaker.failed(Instant::now(), slow, error.to_string())
                }
                _ => {
                    breakers.remove(&(server.to_owned(), proto));
                    Todo::Nothing
                }
            }
        };
        match error {
            Some(error) => warn!(server, protocol = proto.service(), "{error}"),
            None => debug!(server, protocol = proto.service(), "connected"),
        }
        if todo == Todo::Probe {
            tokio::spawn(probe(Arc::downgrade(&self.shared), server.to_owned(), proto));
        }
    }
}

/// Tries a server until it greets. Ends with the [`Upstream`] itself.
async fn probe(shared: std::sync::Weak<Shared>, server: String, proto: Proto) {
    let mut pauses = retry::Backoff::new(PROBE);
    loop {
        tokio::time::sleep(pauses.pause(PROBE_LONGEST)).await;
        let Some(shared) = shared.upgrade() else { return };
        let imapd = shared.imapd.read().unwrap_or_else(PoisonError::into_inner).clone();
        if greeted(&imapd, &shared.tls, &server, proto).await.is_ok() {
            let mut breakers = shared.breakers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(breaker) = breakers.get_mut(&(server.clone(), proto)) {
                breaker.succeeded();
            }
            reachable(&server, proto, true);
            info!(server, protocol = proto.service(), "is back");
            return;
        }
    }
}

/// For whoever watches: whether the last attempt reached the server.
fn reachable(server: &str, proto: Proto, yes: bool) {
    let labels = [("server", server.to_owned()), ("protocol", proto.service().to_owned())];
    metrics::gauge!("murder_backend_reachable", &labels).set(f64::from(u8::from(yes)));
}

/// Connects and hears the greeting, whatever it says.
async fn greeted(imapd: &Imapd, tls: &Tls, server: &str, proto: Proto) -> Result<(), Error> {
    let mut dialog = open(imapd, tls, server, proto, ()).await?;
    while !dialog.input.contains(&b'\n') {
        if dialog.input.len() > GREETING_MAX {
            return Err(dialog.unexpected("greeting", "a line without end"));
        }
        dialog.step("greeting").await?;
    }
    Ok(())
}

/// Connects, with TLS from the first byte where the server string says so.
async fn open<W>(imapd: &Imapd, tls: &Tls, server: &str, proto: Proto, wire: W) -> Result<Dialog<W>, Error> {
    let bound = transport::settings::client_timeout(imapd);
    let target = match imapd.short_way(server, proto.service()) {
        Some(path) => Server::parse(&path.to_string_lossy()),
        None => Server::parse(server),
    };
    let stream = target.connect(imapd, proto.service()).await.map_err(|source| match source.kind() {
        io::ErrorKind::TimedOut => Error::Timeout { server: server.to_owned(), doing: "connect", bound },
        _ => Error::Io { server: server.to_owned(), doing: "connect", source },
    })?;
    let mut dialog = Dialog::new(stream, wire, server, bound);
    dialog.service = proto.sasl_service();
    if target.tls {
        dialog.start_tls(&tls.towards(imapd, server).await?).await?;
    }
    Ok(dialog)
}

/// What begins the tags of one connection.
fn secret(server: &str) -> Result<[u8; 10], Error> {
    let mut secret = [0; 10];
    getrandom::fill(&mut secret).map_err(|error| Error::Io {
        server: server.to_owned(),
        doing: "random number",
        source: io::Error::other(error),
    })?;
    Ok(secret)
}
