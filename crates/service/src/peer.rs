//! Who is at the other end of a connection, and how the way there is protected.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

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
}

impl Channel {
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }
}
