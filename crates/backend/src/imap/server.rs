//! What a session has of its listener and its daemon: settings, store, certificates, its entry among the sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use config::imapd::{Imapd, ServerInfo};
use identity::auth::Authenticator;
use protocol::imap::{Bye, Code};
use protocol::name::MailboxName;
use protocol::namespace::Namespace;
use service::Context;
use service::sessions::Seat;
use tokio_util::sync::CancellationToken;
use transport::tls::ServerTls;

use super::aside::Aside;
use super::limits::{ROOTS, WARN_AGAIN, rows};
use super::metadata::definitions::Definitions;
use super::sort::cache::Prepared;
use crate::moving::Moving;
use crate::transit::Transit;
use store::{Master, Store};

/// A listener's settings as they stand when a client connects, and the store.
pub struct Server {
    pub imapd: Imapd,
    pub namespace: Namespace,
    pub auth: Authenticator,
    /// For STARTTLS; none where it is not offered.
    pub tls: Option<ServerTls>,
    pub store: Store,
    /// `-q` on the listener: APPEND and COPY go beyond quotas.
    pub ignore_quota: bool,
    pub shared: Arc<Shared>,
    pub context: Context,
    /// The session's entry in the register of who is on.
    pub seat: Seat,
    /// Cancelled when the session is to end.
    pub stop: CancellationToken,
    /// Names the session in logs, here and at a frontend.
    pub name: String,
    /// How often settings had been read anew when these were taken.
    pub settings: u64,
}

impl Server {
    /// Whether whoever connects now gets the same settings.
    pub fn has_current_settings(&self) -> bool {
        self.settings == self.context.reload_count()
    }

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
    pub async fn shutdown_text(&self) -> Option<String> {
        self.context.notices().shutdown().await
    }

    /// The text of `{configdirectory}/msg/motd`, told after the greeting.
    pub async fn motd(&self) -> Option<String> {
        self.context.notices().motd().await
    }

    /// The last words to a client whose session is stopped.
    pub fn stopped(&self) -> Bye {
        let kicked = || Bye::new("Session ended by an administrator");
        let denied = self.seat.denied().map(|text| Bye::new(text).code(Code::Alert));
        match self.seat.origin() {
            _ if self.context.shutdown().is_cancelled() => Bye::new("Server is shutting down"),
            Some(origin) if origin.parked => Bye::new("The connection is kept no longer"),
            // The frontend that knows this code ends the whole session, whatever it does elsewhere, and says the rest.
            Some(_) => denied.map_or_else(kicked, |denied| Bye::new(denied.to_string())).code(Code::XKicked),
            None => denied.unwrap_or_else(kicked),
        }
    }
}

/// What all listeners of a process share.
#[derive(Default)]
pub struct Shared {
    pub warned: Warned,
    pub aside: Aside,
    pub prepared: Prepared,
    /// What comes in from other backends.
    pub transit: Arc<Transit>,
    /// Moves to other backends, and from them; none: the backend stands alone.
    pub moving: Option<Arc<Moving>>,
    /// None: the backend stands alone.
    pub master: Option<Arc<dyn Master>>,
    /// `annotation_definitions`, as it was at the start.
    pub definitions: Definitions,
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
        roots.retain(|_, when| when.elapsed() < WARN_AGAIN);
        if roots.contains_key(root) {
            return false;
        }
        if roots.len() >= ROOTS {
            rows::ROOTS.met("so many quota roots are nearly full that users of others are not warned");
            return false;
        }
        roots.insert(root.clone(), Instant::now());
        true
    }
}

pub const PRODUCT: &str = "Murder IMAP";
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
