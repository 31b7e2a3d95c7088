//! Who is on: the sessions of this process, for `murder who`, for `maxlogins_per_user` and `_per_host`, and so that a
//! session can be ended from outside.
//!
//! Each [`crate::Connection`] has a [`Seat`]. A protocol tells it of the login, of the mailbox that is open and of the
//! connections to backends, and ends when [`Seat::stop`] is cancelled: by the daemon's end, or by a kick.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::origin::Origin;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::auth::Login;
use crate::listen::Listener;
use crate::peer::Peer;

/// One session, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its name in logs and replies.
    pub session: String,
    /// The entry of cyrus.conf.
    pub service: String,
    /// `imap`, `pop3`, `lmtp`, `mupdate`.
    pub protocol: String,
    /// An address, or `unix socket`.
    pub client: String,
    /// Seconds since 1970.
    pub since: u64,
    pub tls: bool,
    pub user: Option<String>,
    /// Who acts for the user, where that is somebody else.
    pub authenticated: Option<String>,
    /// The mailbox that is open.
    pub mailbox: Option<String>,
    /// The session at a frontend that this one is a part of, where the frontend has told it.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// The sessions on backends that this one goes on in, by server; an empty name where the backend did not tell it.
    #[serde(default)]
    pub backends: BTreeMap<String, String>,
}

/// All sessions of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions {
    all: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    open: BTreeMap<u64, Open>,
}

struct Open {
    shown: Shown,
    ip: Option<IpAddr>,
    /// Counts against the limits: an ordinary user, logged in.
    counts: bool,
    counts_for_host: bool,
    stop: CancellationToken,
}

/// A session's own entry; gone when the last clone is dropped.
#[derive(Clone)]
pub struct Seat {
    place: Arc<Place>,
}

struct Place {
    sessions: Sessions,
    number: u64,
    listener: Arc<Listener>,
    stop: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.lock().open.remove(&self.number);
    }
}

/// A limit that a login would exceed, as Cyrus words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TooMany {
    user: Option<(u32, u32, String)>,
    host: Option<(u32, u32, String)>,
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Too many open connections (")?;
        let mut separator = "";
        for (what, part) in [("from", &self.host), ("for", &self.user)] {
            if let Some((open, limit, who)) = part {
                write!(f, "{separator}{open} of {limit} {what} {who}")?;
                separator = ", ";
            }
        }
        f.write_str(")")
    }
}

impl Sessions {
    /// Enters a session that begins; it ends when `daemon` does.
    pub(crate) fn enter(
        &self,
        session: &str,
        listener: &Arc<Listener>,
        peer: &Peer,
        daemon: &CancellationToken,
    ) -> Seat {
        let stop = daemon.child_token();
        let shown = Shown {
            session: session.to_owned(),
            service: listener.name.clone(),
            protocol: listener.protocol.name().to_owned(),
            client: client(peer),
            since: now(),
            ..Shown::default()
        };
        let open = Open { shown, ip: peer.ip(), counts: false, counts_for_host: false, stop: stop.clone() };
        let mut inner = self.lock();
        let number = inner.next;
        inner.next = inner.next.wrapping_add(1);
        inner.open.insert(number, open);
        drop(inner);
        let place = Place { sessions: self.clone(), number, listener: listener.clone(), stop };
        Seat { place: Arc::new(place) }
    }

    /// All of them, in the order in which they came.
    pub fn list(&self) -> Vec<Shown> {
        self.lock().open.values().map(|open| open.shown.clone()).collect()
    }

    /// Ends the session of that name, here or at a frontend, or all sessions of the user of that name. The number of them.
    pub fn kick(&self, name: &str) -> usize {
        self.kick_others(name, "")
    }

    /// The same, but for the session of the second name.
    pub fn kick_others(&self, name: &str, spared: &str) -> usize {
        let inner = self.lock();
        let at_frontend = |origin: &Origin| origin.session == name;
        let named = |shown: &Shown| {
            shown.session == name
                || shown.user.as_deref() == Some(name)
                || shown.origin.as_ref().is_some_and(at_frontend)
        };
        // One that is told already is on its way.
        let meant =
            |open: &&Open| !open.stop.is_cancelled() && open.shown.session != spared && named(&open.shown);
        let tokens: Vec<CancellationToken> =
            inner.open.values().filter(meant).map(|open| open.stop.clone()).collect();
        drop(inner);
        tokens.iter().for_each(CancellationToken::cancel);
        tokens.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Cancelled when the session is to end.
    pub fn stop(&self) -> CancellationToken {
        self.place.stop.clone()
    }

    /// The client is another than the connection comes from.
    pub(crate) fn set_client(&self, peer: &Peer) {
        self.change(|open| {
            open.shown.client = client(peer);
            open.ip = peer.ip();
        });
    }

    /// Somebody logged in. `tls`: under TLS.
    ///
    /// Sessions of one protocol count together, as those of one program do in Cyrus. Admins are not counted, and the address
    /// of who acts for another is a frontend's, which has counted its clients itself.
    ///
    /// # Errors
    /// `maxlogins_per_user` or `maxlogins_per_host` is reached.
    pub fn login(&self, login: &Login, tls: bool) -> Result<(), TooMany> {
        let imapd = self.place.listener.imapd();
        let counts = !login.is_any_admin();
        let counts_for_host = counts && login.authid == login.userid;
        let mut inner = self.place.sessions.lock();
        if counts {
            let (users, hosts) = inner.count(self.place.number, &login.userid);
            let user = (imapd.maxlogins_per_user, users, login.userid.clone());
            let host =
                (if counts_for_host { imapd.maxlogins_per_host } else { 0 }, hosts, inner.client(self));
            let full = |(limit, open, who): (u32, u32, String)| {
                (limit > 0 && open >= limit).then_some((open, limit, who))
            };
            let too_many = TooMany { user: full(user), host: full(host) };
            if too_many.user.is_some() || too_many.host.is_some() {
                return Err(too_many);
            }
        }
        if let Some(open) = inner.open.get_mut(&self.place.number) {
            (open.counts, open.counts_for_host, open.shown.tls) = (counts, counts_for_host, tls);
            open.shown.user = Some(login.userid.clone());
            open.shown.authenticated = Some(login.authid.clone()).filter(|authid| *authid != login.userid);
        }
        Ok(())
    }

    /// Nobody is logged in any longer (UNAUTHENTICATE).
    pub fn logout(&self) {
        self.change(|open| {
            (open.counts, open.counts_for_host) = (false, false);
            (open.shown.user, open.shown.authenticated, open.shown.mailbox) = (None, None, None);
            // The next one who logs in on the connection begins here.
            (open.shown.origin, open.shown.since) = (None, now());
            open.shown.backends.clear();
        });
    }

    /// A proxy that may act for others said where the session comes from.
    pub fn came_from(&self, origin: Origin) {
        self.change(|open| open.shown.origin = Some(origin));
    }

    /// Whether a proxy said so.
    pub fn has_origin(&self) -> bool {
        self.shown().is_some_and(|shown| shown.origin.is_some())
    }

    /// What a proxy tells of this session to a backend.
    pub fn as_origin(&self, node: &str) -> Origin {
        let Shown { session, service, client, since, tls, .. } = self.shown().unwrap_or_default();
        Origin { client, session, service, node: node.to_owned(), since, tls }
    }

    /// A mailbox is open from now on, or none.
    pub fn opened(&self, mailbox: Option<&str>) {
        self.change(|open| open.shown.mailbox = mailbox.map(str::to_owned));
    }

    /// The session goes on in another one, at a backend; `said` is what ended the login there: `… SESSIONID=<…>`.
    pub fn linked(&self, server: &str, said: &str) {
        let session = said.split_once("SESSIONID=<").and_then(|(_, rest)| rest.split_once('>'));
        let session = session.map_or("", |(session, _)| session).to_owned();
        self.change(|open| {
            open.shown.backends.insert(server.to_owned(), session);
        });
    }

    /// It does so no longer.
    pub fn unlinked(&self, server: &str) {
        self.change(|open| {
            open.shown.backends.remove(server);
        });
    }

    fn shown(&self) -> Option<Shown> {
        self.place.sessions.lock().open.get(&self.place.number).map(|open| open.shown.clone())
    }

    fn change(&self, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.place.sessions.lock().open.get_mut(&self.place.number) {
            change(open);
        }
    }
}

impl Inner {
    /// Other sessions of the same protocol: of this user, and from the address of the session `number`.
    fn count(&self, number: u64, user: &str) -> (u32, u32) {
        let Some(own) = self.open.get(&number) else { return (0, 0) };
        let (mut users, mut hosts) = (0u32, 0u32);
        for (_, open) in self.open.iter().filter(|(other, open)| {
            **other != number && open.counts && open.shown.protocol == own.shown.protocol
        }) {
            users += u32::from(open.shown.user.as_deref() == Some(user));
            hosts += u32::from(open.counts_for_host && open.ip.is_some() && open.ip == own.ip);
        }
        (users, hosts)
    }

    fn client(&self, seat: &Seat) -> String {
        self.open.get(&seat.place.number).map(|open| open.shown.client.clone()).unwrap_or_default()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn client(peer: &Peer) -> String {
    peer.ip().map_or_else(|| "unix socket".to_owned(), |ip| ip.to_string())
}
