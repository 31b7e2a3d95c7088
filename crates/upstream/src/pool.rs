//! LMTP connections kept between deliveries, per server.
//!
//! Only these are kept: they act for nobody. A connection comes back when its [`Wire`] says that it is at rest: every
//! command was answered, no message is open, nothing is unread. Before its next use it is reset, and the answer is
//! awaited. An IMAP or POP3 connection acts for one user. It ends with his session, or is parked for his next one by the proxy
//! that has it.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Notify;
use tracing::{debug, warn};

use crate::dialog::Dialog;
use crate::handshake;
use crate::limits::{IDLE_MAX, KEPT};
use crate::wire::lmtp::Wire;
use crate::{Connection, Error, Proto, Upstream};

/// The pool; cheap to clone.
#[derive(Clone)]
pub struct Pool {
    upstream: Upstream,
    servers: Arc<Mutex<HashMap<String, Arc<Shelf>>>>,
}

impl Pool {
    pub fn new(upstream: Upstream) -> Pool {
        Pool { upstream, servers: Arc::default() }
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// A connection to the server, kept or new.
    pub async fn take(&self, server: &str) -> Result<Pooled, Error> {
        self.upstream.admit(server, Proto::Lmtp)?;
        let home = self.shelf(server);
        while let Some(connection) = home.newest() {
            match self.revive(server, connection).await {
                Ok(connection) => return Ok(Pooled { connection, reused: true, home }),
                // A server that hangs would cost as much for each of those that are kept.
                Err(error @ Error::Timeout { .. }) => {
                    warn!(server, "{error}: its idle connections are closed");
                    home.clear();
                    self.upstream.note(server, Proto::Lmtp, Some(&error));
                    return Err(error);
                }
                Err(error) => debug!(server, "a kept connection is of no use: {error}"),
            }
        }
        let connection = self.upstream.lmtp(server).await?;
        Ok(Pooled { connection, reused: false, home })
    }

    async fn revive(&self, server: &str, connection: Connection<Wire>) -> Result<Connection<Wire>, Error> {
        let bound = transport::settings::client_timeout(&self.upstream.imapd());
        let mut dialog = Dialog::resume(connection, server, bound);
        handshake::lmtp::reset(&mut dialog).await?;
        Ok(dialog.finish())
    }

    fn shelf(&self, server: &str) -> Arc<Shelf> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.entry(server.to_owned()).or_default().clone()
    }
}

/// A connection from the pool. Dropped, it is closed; [`Pooled::give_back`] keeps it.
pub struct Pooled {
    connection: Connection<Wire>,
    /// Whether it was used before: its first failure may only mean that the server closed it meanwhile.
    pub reused: bool,
    home: Arc<Shelf>,
}

impl Pooled {
    /// Back to the pool, if nothing is under way on it; else it is closed.
    pub fn give_back(self) {
        if self.connection.wire.is_at_rest(&self.connection.input) {
            self.home.keep(self.connection);
        }
    }
}

impl Deref for Pooled {
    type Target = Connection<Wire>;
    fn deref(&self) -> &Connection<Wire> {
        &self.connection
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Connection<Wire> {
        &mut self.connection
    }
}

/// The idle connections to one server.
#[derive(Default)]
struct Shelf {
    idle: Mutex<Idle>,
    /// A connection was added.
    added: Notify,
}

#[derive(Default)]
struct Idle {
    connections: Vec<(Connection<Wire>, Instant)>,
    /// A task looks after them.
    watched: bool,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last.
    fn newest(&self) -> Option<Connection<Wire>> {
        self.lock().connections.pop().map(|(connection, _)| connection)
    }

    fn clear(&self) {
        self.lock().connections.clear();
    }

    fn keep(self: Arc<Self>, connection: Connection<Wire>) {
        let mut idle = self.lock();
        if idle.connections.len() >= KEPT {
            return;
        }
        idle.connections.push((connection, Instant::now()));
        let watched = std::mem::replace(&mut idle.watched, true);
        drop(idle);
        match watched {
            true => self.added.notify_one(),
            false => drop(tokio::spawn(self.watch())),
        }
    }

    /// Closes what its server closes or speaks on without being asked, and what waits too long. Ends when none is left.
    async fn watch(self: Arc<Self>) {
        loop {
            let Some(left) = self.sweep() else { return };
            tokio::select! {
                () = std::future::poll_fn(|cx| self.poll_heard(cx)) => {}
                () = self.added.notified() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Closes what has waited too long; how long the oldest of the others still may. `None`: there are none.
    fn sweep(&self) -> Option<Duration> {
        let mut idle = self.lock();
        idle.connections.retain(|(_, since)| since.elapsed() < IDLE_MAX);
        let oldest = idle.connections.iter().map(|(_, since)| IDLE_MAX.saturating_sub(since.elapsed())).min();
        idle.watched = oldest.is_some();
        oldest
    }

    /// Ready when a connection was heard of, and closed.
    fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut heard = false;
        self.lock().connections.retain_mut(|(connection, _)| {
            let mut byte = [0; 1];
            let silent =
                Pin::new(&mut connection.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending();
            heard |= !silent;
            silent
        });
        if heard { Poll::Ready(()) } else { Poll::Pending }
    }
}
