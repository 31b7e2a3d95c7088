//! What the sessions of one listener share: settings, store, certificates, and counts of who is logged in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use config::imapd::{Imapd, ServerInfo};
use protocol::name::MailboxName;
use protocol::namespace::Namespace;
use service::auth::Authenticator;
use service::peer::Peer;
use service::tls::ServerTls;
use tokio_util::sync::CancellationToken;

use crate::store::{Master, Store};

/// A listener's settings as they stand when a client connects, and the store.
pub struct Server {
    pub imapd: Imapd,
    pub namespace: Namespace,
    pub auth: Authenticator,
    /// For STARTTLS; none where it is not offered.
    pub tls: Option<ServerTls>,
    pub store: Store,
    pub shared: Arc<Shared>,
    /// Cancelled when the daemon stops.
    pub shutdown: CancellationToken,
    /// Names the session in logs, here and at a frontend.
    pub name: String,
}

impl Server {
    /// Who speaks, as `serverinfo` lets it be told.
    pub fn banner(&self) -> String {
        let name = &self.imapd.servername;
        match self.imapd.serverinfo {
            ServerInfo::On => format!("{name} {PRODUCT} {VERSION}"),
            ServerInfo::Min => format!("{name} {PRODUCT}"),
            ServerInfo::Off => "IMAP".to_owned(),
        }
    }

    /// The text of `{configdirectory}/msg/shutdown`: nobody but admins is served while it exists.
    pub fn shutdown_text(&self) -> Option<String> {
        self.shared.notices.shutdown(&self.message_file("shutdown"))
    }

    /// The text of `{configdirectory}/msg/motd`, told after the greeting.
    pub fn motd(&self) -> Option<String> {
        first_line(&self.message_file("motd")).filter(|text| !text.is_empty())
    }

    /// Why one more session from this address is not served.
    pub fn too_many_from(&self, peer: &Peer) -> Option<&'static str> {
        let limit = self.imapd.maxlogins_per_host;
        let ip = peer.ip()?;
        let full = limit > 0 && self.shared.logins.of_host(ip) >= limit;
        full.then_some("Too many open connections from your address")
    }

    fn message_file(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.imapd.configdirectory).join("msg").join(name)
    }
}

/// What all listeners of a process share.
#[derive(Default)]
pub struct Shared {
    pub logins: Logins,
    pub warned: Warned,
    /// None: the backend stands alone.
    pub master: Option<Arc<dyn Master>>,
    pub notices: Notices,
}

/// Quota roots whose users were warned lately.
#[derive(Default)]
pub struct Warned {
    roots: Mutex<HashMap<MailboxName, Instant>>,
}

impl Warned {
    /// Whether it is time to warn of this root (again): every ten minutes.
    pub fn is_due(&self, root: &MailboxName) -> bool {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots.retain(|_, when| when.elapsed() < Duration::from_secs(600));
        if roots.contains_key(root) || roots.len() >= ROOTS {
            return false;
        }
        roots.insert(root.clone(), Instant::now());
        true
    }
}

/// Sessions per user and per address.
#[derive(Default)]
pub struct Logins {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    users: HashMap<String, u32>,
    hosts: HashMap<IpAddr, u32>,
}

impl Logins {
    /// Counts a session in; `None` where a limit (0: none) is reached.
    pub fn admit(
        shared: &Arc<Shared>,
        user: &str,
        host: Option<IpAddr>,
        limits: (u32, u32),
    ) -> Option<LoggedIn> {
        let mut counts = shared.logins.counts();
        let users = counts.users.get(user).copied().unwrap_or(0);
        let hosts = host.and_then(|ip| counts.hosts.get(&ip).copied()).unwrap_or(0);
        if (limits.0 > 0 && users >= limits.0) || (limits.1 > 0 && hosts >= limits.1) {
            return None;
        }
        *counts.users.entry(user.to_owned()).or_default() += 1;
        if let Some(ip) = host {
            *counts.hosts.entry(ip).or_default() += 1;
        }
        drop(counts);
        Some(LoggedIn { shared: shared.clone(), user: user.to_owned(), host })
    }

    fn of_host(&self, host: IpAddr) -> u32 {
        self.counts().hosts.get(&host).copied().unwrap_or(0)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that counts; dropped, it does so no longer.
pub struct LoggedIn {
    shared: Arc<Shared>,
    user: String,
    host: Option<IpAddr>,
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        let mut counts = self.shared.logins.counts();
        let counts = &mut *counts;
        leave(&mut counts.users, &self.user);
        if let Some(ip) = self.host {
            leave(&mut counts.hosts, &ip);
        }
    }
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The shutdown file, looked at once a second at most.
#[derive(Default)]
pub struct Notices {
    shutdown: Mutex<Option<(Instant, Option<String>)>>,
}

impl Notices {
    fn shutdown(&self, file: &std::path::Path) -> Option<String> {
        let mut seen = self.shutdown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, text)) = &*seen
            && when.elapsed() < Duration::from_secs(1)
        {
            return text.clone();
        }
        let text = first_line(file);
        *seen = Some((Instant::now(), text.clone()));
        text
    }
}

fn first_line(file: &std::path::Path) -> Option<String> {
    let text = std::fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    Some(line.chars().filter(|c| !c.is_control()).take(900).collect())
}

/// Roots whose warnings are remembered.
const ROOTS: usize = 100_000;
pub const PRODUCT: &str = "Murder IMAP";
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
