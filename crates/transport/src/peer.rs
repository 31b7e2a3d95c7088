//! Who is at the other end of a connection, and how the way there is protected.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::tls::TlsInfo;

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Tcp { remote: SocketAddr, local: SocketAddr },
    Unix { uid: u32, gid: u32, pid: Option<i32> },
}

impl Peer {
    /// The peer's address; `None` on a UNIX socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp { remote, .. } => Some(remote.ip().to_canonical()),
            Peer::Unix { .. } => None,
        }
    }

    /// On this very host: a UNIX socket or a loopback address.
    pub fn is_local(&self) -> bool {
        self.ip().is_none_or(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Peer {
    /// As log lines have it, and as fail2ban looks for it: `[192.0.2.7]`, `[unix socket]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(ip) => write!(f, "[{ip}]"),
            None => f.write_str("[unix socket]"),
        }
    }
}

/// Peer and protection of a connection: what decides which logins are possible on it.
#[derive(Clone, Debug)]
pub struct Channel {
    pub peer: Peer,
    pub tls: Option<Arc<TlsInfo>>,
    /// What is known of the connection itself; clones share it.
    pub conduct: Arc<Conduct>,
}

/// How the client has behaved on a connection.
#[derive(Debug, Default)]
pub struct Conduct {
    /// Cancelled when the client closed its side while it was to wait; see [`crate::stream::Stream::attend`].
    pub gone: CancellationToken,
    /// The domain of the address that the client came to, once its name was looked up: `virtdomains: on`.
    pub domain: OnceLock<Option<String>>,
    failed_logins: AtomicU32,
}

impl Conduct {
    /// Counts one more failed login, and gives the number of them since the last good one.
    pub fn login_failed(&self) -> u32 {
        self.failed_logins.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub fn failed_logins(&self) -> u32 {
        self.failed_logins.load(Ordering::Relaxed)
    }

    pub fn logged_in(&self) {
        self.failed_logins.store(0, Ordering::Relaxed);
    }
}

impl Channel {
    pub fn new(peer: Peer) -> Channel {
        Channel { peer, tls: None, conduct: Arc::default() }
    }

    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }
}
