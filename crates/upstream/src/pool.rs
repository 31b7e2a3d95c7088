//! Connections kept between uses, per server and within bounds.
//!
//! LMTP connections act for no user and are kept as they are. IMAP connections act for one user: they are kept only
//! where the backend can be told to forget him (UNAUTHENTICATE, RFC 8437), and then log the next one in.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::dialog::Dialog;
use crate::handshake;
use crate::{Connection, Error, Proto, Upstream};

/// A pool for one protocol; cheap to clone.
#[derive(Clone)]
pub struct Pool {
    upstream: Upstream,
    proto: Proto,
    servers: Arc<Mutex<HashMap<String, Arc<Server>>>>,
}

struct Server {
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub fn new(upstream: Upstream, proto: Proto) -> Pool {
        Pool { upstream, proto, servers: Arc::default() }
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// A connection to the server, kept or new, that acts for `user`. Waits for a place at most `client_timeout`.
    pub async fn take(&self, server: &str, user: Option<&str>) -> Result<Pooled, Error> {
        self.upstream.admit(server, self.proto)?;
        let slot = self.server(server);
        let bound = self.upstream.imapd().client_timeout;
        let busy = || Error::Busy { server: server.to_owned(), limit: PLACES };
        let place = timeout(bound, slot.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        while let Some(connection) = slot.newest() {
            if let Some(connection) = self.revive(server, connection, user).await {
                return Ok(Pooled { connection, reused: true, ticket: self.ticket(slot, place) });
            }
        }
        let connection = self.upstream.connect(server, self.proto, user).await?;
        Ok(Pooled { connection, reused: false, ticket: self.ticket(slot, place) })
    }

    fn ticket(&self, home: Arc<Server>, place: OwnedSemaphorePermit) -> Ticket {
        Ticket { home, proto: self.proto, _place: place }
    }

    /// Makes an idle connection ready for its next use; `None` if it has died meanwhile.
    async fn revive(&self, server: &str, connection: Connection, user: Option<&str>) -> Option<Connection> {
        let imapd = self.upstream.imapd();
        let mut d = Dialog::resume(connection, server, imapd.client_timeout);
        match self.proto {
            Proto::Imap => handshake::imap::authenticate(&mut d, &imapd, user).await.ok()?,
            Proto::Lmtp => {
                d.send("NOOP", "NOOP").await.ok()?;
                let (code, _) = handshake::lmtp::reply(&mut d, "NOOP").await.ok()?;
                (code == 250).then_some(())?;
            }
            Proto::Pop3 => return None,
        }
        Some(d.finish())
    }

    fn server(&self, server: &str) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Server { places: Arc::new(Semaphore::new(PLACES)), idle: Mutex::default() });
        servers.entry(server.to_owned()).or_insert_with(new).clone()
    }
}

impl Server {
    /// The connection that was used last; those that waited too long are closed.
    fn newest(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_MAX);
        idle.pop().map(|idle| idle.connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_MAX);
        if idle.len() < KEPT {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}

/// A connection from a pool. Dropped, it is closed; [`Pooled::give_back`] keeps it.
pub struct Pooled {
    connection: Connection,
    /// Whether it was used before: its first failure may only mean that the server closed it meanwhile.
    pub reused: bool,
    ticket: Ticket,
}

/// The place of a connection in its pool, for those who take the connection apart.
pub struct Ticket {
    home: Arc<Server>,
    proto: Proto,
    _place: OwnedSemaphorePermit,
}

impl Pooled {
    /// Back to the pool, after a use that ended as the protocol says, with nothing unread.
    pub async fn give_back(self) {
        self.ticket.give_back(self.connection).await;
    }

    pub fn split(self) -> (Connection, Ticket) {
        (self.connection, self.ticket)
    }
}

impl Ticket {
    /// The connection, put together again, goes back to the pool.
    pub async fn give_back(self, connection: Connection) {
        match self.proto {
            Proto::Lmtp => self.home.keep(connection),
            Proto::Imap => {
                if let Some(connection) = forget_user(connection).await {
                    self.home.keep(connection);
                }
            }
            Proto::Pop3 => {}
        }
    }
}

impl Deref for Pooled {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Takes an IMAP connection back to before its login; `None` where the server cannot.
async fn forget_user(connection: Connection) -> Option<Connection> {
    if !connection.capabilities.has("UNAUTHENTICATE") || connection.stream.is_compressed() {
        return None;
    }
    let mut d = Dialog::resume(connection, "", FORGET_BOUND);
    handshake::imap::command(&mut d, "U01", "UNAUTHENTICATE", "UNAUTHENTICATE").await.ok()?;
    handshake::imap::ask_capabilities(&mut d).await.ok()?;
    Some(d.finish())
}

/// Connections in use to one server at a time, for one protocol.
const PLACES: usize = 1000;
/// Idle connections kept per server.
const KEPT: usize = 32;
/// How long an idle connection is kept: Cyrus's own bound, below a backend's time-out.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Nobody waits for this; it only must end.
const FORGET_BOUND: Duration = Duration::from_secs(5);
