//! Serving a list to those who may ask.
//!
//! One [`Server`] per list. Every program that keeps a list serves it on the Unix socket beside it ([`local::start`]), where
//! the tools ask and the host's proxies follow. Whom the `mupdate` daemon lets in from the network has a [`Conversation`]
//! too.

mod conversation;
mod cordons;
mod gauges;
pub mod limits;
pub mod local;
mod proof;
mod query;
mod seen;
mod status;
mod subscription;
mod tools;
mod write;

use std::sync::{Arc, OnceLock, atomic::AtomicUsize};

use arc_swap::ArcSwap;
use config::imapd::{Imapd, MupdateConfig};
use mailboxes::List;
use protocol::mupdate::session::Access;
use protocol::name::MailboxName;
use service::Context;
use tokio_util::sync::CancellationToken;
use transport::stream::Stream;

pub use conversation::{Conversation, Heard, IDLED, bounds, go_ahead, hear, put_banner, put_bye, put_reply};
pub use limits::AROUND;
pub use tools::Wipe;

use crate::replica::Replica;

/// A list as its clients see it. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    list: List,
    kind: Kind,
    settings: ArcSwap<Settings>,
    /// How a mailbox of this server is put away; set by a backend.
    wipe: OnceLock<Wipe>,
    /// How many are connected over the network; set by the daemon that lets them in.
    connections: OnceLock<Connections>,
    /// When backends were last heard of.
    seen: seen::Seen,
    streams: AtomicUsize,
}

/// Counts connections.
pub type Connections = Box<dyn Fn() -> usize + Send + Sync>;

enum Kind {
    /// The authority of the murder, or one of its masters.
    Master {
        /// It takes no changes from anybody.
        read_only: bool,
    },
    /// A copy that follows another: read-only.
    Replica(Replica),
    /// A backend's own list: read-only from outside, it tells the master itself.
    Backend,
}

/// What imapd.conf says to a server.
struct Settings {
    servername: String,
    /// Fourth word of the banner's OK.
    role: String,
    defaultdomain: Option<String>,
    /// Those that must say the same on all nodes.
    options: std::collections::BTreeMap<&'static str, String>,
    /// `maxliteral`, in octets.
    literal: u64,
    /// `mupdate_master_writes`
    writes: bool,
    /// `mupdate_config: replicated`
    replicated: bool,
    /// The larger of `maxword` and `maxquoted`, in octets.
    word: usize,
}

impl Server {
    pub fn master(list: List, imapd: &Imapd) -> Server {
        Self::new(list, Kind::Master { read_only: false }, imapd)
    }

    /// A master that answers and takes no changes, whatever `mupdate_master_writes` says.
    pub fn read_only_master(list: List, imapd: &Imapd) -> Server {
        Self::new(list, Kind::Master { read_only: true }, imapd)
    }

    pub fn replica(list: List, replica: Replica, imapd: &Imapd) -> Server {
        Self::new(list, Kind::Replica(replica), imapd)
    }

    pub fn backend(list: List, imapd: &Imapd) -> Server {
        Self::new(list, Kind::Backend, imapd)
    }

    fn new(list: List, kind: Kind, imapd: &Imapd) -> Server {
        let settings = ArcSwap::from_pointee(Settings::new(&kind, imapd));
        let (wipe, connections, streams) = (OnceLock::new(), OnceLock::new(), AtomicUsize::new(0));
        let seen = seen::Seen::default();
        Server { shared: Arc::new(Shared { list, kind, settings, wipe, connections, seen, streams }) }
    }

    /// Lets the tools have mailboxes put away (`ctl_mboxlist -m`).
    pub fn wipe_with(self, wipe: Wipe) -> Server {
        // Set once, at start; a second setting would be a slip without harm.
        let _ = self.shared.wipe.set(wipe);
        self
    }

    /// Lets STATUS tell how many are connected over the network.
    pub fn counting(self, connections: Connections) -> Server {
        // Set once, at start, as the above.
        let _ = self.shared.connections.set(connections);
        self
    }

    fn connections(&self) -> usize {
        self.shared.connections.get().map_or(0, |count| count())
    }

    fn wiper(&self) -> Option<Wipe> {
        self.shared.wipe.get().cloned()
    }

    pub fn list(&self) -> &List {
        &self.shared.list
    }

    /// Takes over the settings of each reload.
    pub fn follow_reloads(&self, context: &Context) {
        let shared = self.shared.clone();
        context.on_reload(move |imapd| shared.settings.store(Arc::new(Settings::new(&shared.kind, &imapd))));
    }

    /// Serves a client that is trusted for where it comes from, and need not log in.
    pub async fn serve_trusted(&self, stream: Stream, stop: CancellationToken) {
        if let Err(error) = Conversation::trusted(self.clone(), stream).run(stop).await {
            tracing::debug!("local connection ended: {error}");
        }
    }

    fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.shared.settings.load()
    }

    pub fn is_master(&self) -> bool {
        matches!(self.shared.kind, Kind::Master { .. })
    }

    /// What one who may change the list can do here.
    pub fn best_access(&self) -> Access {
        match self.shared.kind {
            Kind::Master { read_only: false } if self.settings().writes => Access::Write,
            Kind::Master { .. } | Kind::Replica(_) | Kind::Backend => Access::Read,
        }
    }

    fn upstream(&self) -> Option<&Replica> {
        match &self.shared.kind {
            Kind::Replica(replica) => Some(replica),
            Kind::Master { .. } | Kind::Backend => None,
        }
    }

    /// The name as the list has it: the default domain is not written.
    fn canonical(&self, name: &str) -> Option<MailboxName> {
        let settings = self.settings();
        let stripped =
            settings.defaultdomain.as_deref().and_then(|d| name.strip_prefix(d)?.strip_prefix('!'));
        MailboxName::parse(stripped.unwrap_or(name)).ok()
    }
}

impl Settings {
    fn new(kind: &Kind, imapd: &Imapd) -> Self {
        let role = match kind {
            Kind::Master { .. } => "(master)".into(),
            Kind::Replica(_) => format!("mupdate://{}", imapd.mupdate_name().unwrap_or_default()),
            Kind::Backend => "(backend)".into(),
        };
        Settings {
            servername: imapd.servername.clone(),
            role,
            defaultdomain: Some(imapd.defaultdomain.clone()).filter(|domain| !domain.is_empty()),
            options: imapd.shared_options(),
            writes: imapd.mupdate_master_writes,
            replicated: imapd.mupdate_config == MupdateConfig::Replicated,
            literal: bounded(imapd.maxliteral),
            word: usize::try_from(bounded(imapd.maxword).max(bounded(imapd.maxquoted))).unwrap_or(usize::MAX),
        }
    }
}

/// 0 in imapd.conf is no limit but that of a command.
fn bounded(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}

/// What the banner gives for a version.
const VERSION: &str = concat!("murder-", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
