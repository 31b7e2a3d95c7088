//! Who is on: the sessions of this process, for `murder who`, for `maxlogins_per_user` and `_per_host`, and so that a
//! session can be ended from outside.
//!
//! Each [`crate::Connection`] has a [`Seat`]. A protocol tells it of the login, of the mailbox that is open and of the
//! connections to backends, and ends when [`Seat::stop`] is cancelled: by the daemon's end, or by a kick.
//!
//! A frontend may park its connection to a backend for its user's next session. At the backend that is a session which nobody
//! uses ([`Shown::is_parked`]): it ends when its user must go, when settings change, and when another client needs its place.
//! At the frontend it is no session; who keeps such connections is told when those of a user must go ([`Sessions::on_release`]).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use identity::auth::Login;
use identity::deny::Denials;
use protocol::origin::Origin;
use protocol::spoken::Protocol;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use transport::peer::Peer;

use crate::limits::rows;
use crate::listen::Listener;
use work::aside::Share;

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

impl Shown {
    /// Whether it is only kept for its user's next session.
    pub fn is_parked(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.parked)
    }
}

/// All sessions of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions {
    all: Arc<Mutex<Inner>>,
    keeper: Arc<OnceLock<Release>>,
}

/// Gives up what is kept for a user who must go.
type Release = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct Inner {
    next: u64,
    open: BTreeMap<u64, Open>,
    /// How many of them count, so that a login does not look through all.
    counts: HashMap<Counted, u32>,
    /// By user: what his sessions may have done at the same time.
    shares: HashMap<String, Weak<Share>>,
}

/// What sessions of one protocol are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    User(Protocol, String),
    Host(Protocol, IpAddr),
}

struct Open {
    shown: Shown,
    ip: Option<IpAddr>,
    /// Where it is counted: an ordinary user, logged in.
    counted: Vec<Counted>,
    /// An admin's, who is never denied anything.
    is_admins: bool,
    /// One of `proxyservers` has logged in.
    is_nodes: bool,
    /// Why it ends, where the user is denied the service.
    denied: Option<String>,
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
    /// Somebody has logged in at some time.
    known: AtomicBool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.lock().remove(self.number);
    }
}

/// A limit that a login would exceed, as Cyrus words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TooMany {
    /// With the sessions that are open, and the limit.
    full: Vec<(Counted, u32, u32)>,
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Too many open connections (")?;
        // The host comes first.
        for (at, (what, open, limit)) in self.full.iter().rev().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            match what {
                Counted::Host(_, ip) => write!(f, "{open} of {limit} from {ip}")?,
                Counted::User(_, user) => write!(f, "{open} of {limit} for {user}")?,
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
        let open = Open {
            shown,
            ip: peer.ip(),
            counted: Vec::new(),
            is_admins: false,
            is_nodes: false,
            denied: None,
            stop: stop.clone(),
        };
        let mut inner = self.lock();
        let number = inner.next;
        inner.next = inner.next.wrapping_add(1);
        inner.open.insert(number, open);
        drop(inner);
        let place = Place {
            sessions: self.clone(),
            number,
            listener: listener.clone(),
            stop,
            known: AtomicBool::new(false),
        };
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
        let at_frontend = |origin: &Origin| origin.session == name;
        let named = |shown: &Shown| {
            shown.session == name
                || shown.user.as_deref() == Some(name)
                || shown.origin.as_ref().is_some_and(at_frontend)
        };
        let ended = self.stop(|shown| shown.session != spared && named(shown));
        self.give_up_kept(name);
        ended
    }

    /// The user must log in anew: what is parked for him here is given up. His sessions go on.
    pub fn release(&self, user: &str) {
        self.stop(|shown| shown.is_parked() && shown.user.as_deref() == Some(user));
        self.give_up_kept(user);
    }

    /// Ends the sessions of users who are denied the service that they use, and gives up what is kept for those. The number of
    /// sessions that somebody used.
    pub(crate) fn end_denied(&self, denials: &Denials) -> usize {
        if denials.is_empty() {
            return 0;
        }
        let mut ended = 0;
        for open in self.lock().open.values_mut().filter(|open| !open.is_admins && !open.stop.is_cancelled())
        {
            let denial = open.shown.user.as_ref().and_then(|user| denials.get(user));
            if let Some(denial) = denial.filter(|denial| denial.covers(&open.shown.service)) {
                open.denied = Some(denial.message.clone());
                open.stop.cancel();
                ended += usize::from(!open.shown.is_parked());
            }
        }
        denials.keys().for_each(|user| self.give_up_kept(user));
        ended
    }

    /// Whoever logs in from now on does it by other settings: what is parked was logged in by the old ones.
    pub(crate) fn release_parked(&self) {
        self.stop(Shown::is_parked);
    }

    /// Has the parked session of a listener go that is the oldest. False if there is none.
    pub(crate) fn give_way(&self, listener: &str) -> bool {
        let inner = self.lock();
        let oldest = inner.open.values().find(|open| {
            open.shown.is_parked() && open.shown.service == listener && !open.stop.is_cancelled()
        });
        oldest.inspect(|open| open.stop.cancel()).is_some()
    }

    /// `release` hears of each user for whom nothing may be kept any longer. For the one part of the daemon that keeps anything.
    pub fn on_release(&self, release: impl Fn(&str) + Send + Sync + 'static) {
        let _ = self.keeper.set(Box::new(release));
    }

    fn give_up_kept(&self, user: &str) {
        if let Some(release) = self.keeper.get() {
            release(user);
        }
    }

    /// Tells the sessions that are `meant` to end. The number of them, without those that nobody uses. What is told already is on
    /// its way. All under the lock: no session is parked when it is chosen, and another's when it is told ([`Seat::came_from`]).
    fn stop(&self, meant: impl Fn(&Shown) -> bool) -> usize {
        let inner = self.lock();
        let told = inner.open.values().filter(|open| !open.stop.is_cancelled() && meant(&open.shown));
        let used = told.inspect(|open| open.stop.cancel()).filter(|open| !open.shown.is_parked());
        used.count()
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
    /// Sessions of one protocol count together, as those of one program do in Cyrus. Admins are not counted, nor is whoever
    /// acts for others: a frontend has counted its clients itself, and one that may have a session there must get its part
    /// here, however many the user has through other frontends. Servers that speak MUPDATE are bounded by
    /// `mupdate_connections_max`.
    ///
    /// # Errors
    /// `maxlogins_per_user` or `maxlogins_per_host` is reached: logged here, once in a while.
    pub fn login(&self, login: &Login, tls: bool) -> Result<(), TooMany> {
        let listener = &self.place.listener;
        let (imapd, protocol) = (listener.imapd(), listener.protocol);
        let mut inner = self.place.sessions.lock();
        inner.discount(self.place.number);
        let mut wanted = Vec::new();
        if login.counted && protocol != Protocol::Mupdate {
            wanted.push((Counted::User(protocol, login.userid.clone()), imapd.maxlogins_per_user));
            // Whoever acts for another may come from a server.
            let own = inner.open.get(&self.place.number).and_then(|open| open.ip);
            let ip = own.filter(|_| login.authid == login.userid);
            wanted.extend(ip.map(|ip| (Counted::Host(protocol, ip), imapd.maxlogins_per_host)));
        }
        let full: Vec<(Counted, u32, u32)> = (wanted.iter())
            .map(|(what, limit)| (what.clone(), inner.counts.get(what).copied().unwrap_or(0), *limit))
            .filter(|(_, open, limit)| *limit > 0 && open >= limit)
            .collect();
        if !full.is_empty() {
            drop(inner);
            let too_many = TooMany { full };
            metrics::counter!("murder_sessions_refused_total", "listener" => listener.name.clone())
                .increment(1);
            let limit = match too_many.full.first() {
                Some((Counted::Host(..), ..)) => &rows::maxlogins_per_host,
                _ => &rows::maxlogins_per_user,
            };
            limit.met(format_args!(
                "login of {} refused: {too_many} (maxlogins_per_user, maxlogins_per_host)",
                login.userid
            ));
            return Err(too_many);
        }
        if let Some(open) = inner.open.get_mut(&self.place.number) {
            open.counted = wanted.into_iter().map(|(what, _)| what).collect();
            open.is_admins = login.is_any_admin();
            open.is_nodes = login.proxy;
            open.shown.tls = tls;
            open.shown.user = Some(login.userid.clone());
            open.shown.authenticated = Some(login.authid.clone()).filter(|authid| *authid != login.userid);
        }
        inner.count(self.place.number);
        // Who delivers, or speaks for a node, works for everybody.
        let works_for_one =
            matches!(protocol, Protocol::Imap | Protocol::Pop3 | Protocol::Sieve | Protocol::Nntp);
        Share::belongs(works_for_one.then(|| inner.share(&login.userid)));
        self.place.known.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns when nobody has logged in for so long.
    pub(crate) async fn stays_a_stranger(&self, patience: Duration) {
        tokio::time::sleep(patience).await;
        if self.place.known.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Nobody is logged in any longer (UNAUTHENTICATE).
    pub fn logout(&self) {
        Share::belongs(None);
        self.place.sessions.lock().discount(self.place.number);
        self.change(|open| {
            (open.shown.user, open.shown.authenticated, open.shown.mailbox) = (None, None, None);
            (open.is_admins, open.is_nodes) = (false, false);
            // The next one who logs in on the connection begins here.
            (open.shown.origin, open.shown.since) = (None, now());
            open.shown.backends.clear();
        });
    }

    /// A proxy that may act for others said where the session comes from. False: the session is to end, so that it cannot be
    /// anybody's.
    pub fn came_from(&self, origin: Origin) -> bool {
        let mut inner = self.place.sessions.lock();
        let open = inner.open.get_mut(&self.place.number).filter(|open| !open.stop.is_cancelled());
        open.map(|open| open.shown.origin = Some(origin)).is_some()
    }

    /// What a user is told who is denied the service, where the session ends for that.
    pub fn denied(&self) -> Option<String> {
        self.place.sessions.lock().open.get(&self.place.number)?.denied.clone()
    }

    /// What a proxy has said of it.
    pub fn origin(&self) -> Option<Origin> {
        self.place.sessions.lock().open.get(&self.place.number)?.shown.origin.clone()
    }

    /// What a proxy tells of this session to a backend.
    pub fn as_origin(&self, node: &str) -> Origin {
        let Shown { session, service, client, since, tls, .. } = self.shown().unwrap_or_default();
        Origin { client, session, service, node: node.to_owned(), since, tls, parked: false, adopts: false }
    }

    /// Whether one of `proxyservers` has logged in: another node, which works for its clients.
    pub fn is_node(&self) -> bool {
        let inner = self.place.sessions.lock();
        inner.open.get(&self.place.number).is_some_and(|open| open.is_nodes)
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
    fn share(&mut self, user: &str) -> Arc<Share> {
        if let Some(share) = self.shares.get(user).and_then(Weak::upgrade) {
            return share;
        }
        if self.shares.len() > 2 * self.open.len() {
            self.shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Share::default());
        self.shares.insert(user.to_owned(), Arc::downgrade(&share));
        share
    }

    fn remove(&mut self, number: u64) {
        self.discount(number);
        self.open.remove(&number);
    }

    /// Counts a session by what it is to be counted by.
    fn count(&mut self, number: u64) {
        let counted = self.open.get(&number).map(|open| open.counted.clone()).unwrap_or_default();
        for what in counted {
            *self.counts.entry(what).or_default() += 1;
        }
    }

    fn discount(&mut self, number: u64) {
        let counted = self.open.get_mut(&number).map(|open| std::mem::take(&mut open.counted));
        for what in counted.unwrap_or_default() {
            if let Entry::Occupied(mut count) = self.counts.entry(what) {
                *count.get_mut() = count.get().saturating_sub(1);
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn client(peer: &Peer) -> String {
    peer.ip().map_or_else(|| "unix socket".to_owned(), |ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use supervision::listeners::Entry;

    use super::*;
    use crate::listen::{Shared, Socket};
    use identity::auth::Pace;
    use identity::deny::DenyList;
    use identity::passwords::PasswordDb;

    struct Node {
        sessions: Sessions,
        listener: Arc<Listener>,
        stop: CancellationToken,
    }

    impl Node {
        fn new(service: &str, lines: &str) -> Node {
            let text = format!("configdirectory: /v\n{lines}\n");
            let imapd = config::imapd::Imapd::parse("imapd.conf".as_ref(), &text, service).unwrap();
            let (passwords, denied) = (PasswordDb::new("/nonexistent"), DenyList::new("/nonexistent"));
            let shared = Shared { passwords, denied, pace: Pace::default(), inbox_acl: None };
            let entry = Entry { name: service.to_owned(), ..Entry::default() };
            let listener =
                Listener::new(entry, Socket::bind("127.0.0.1:0").unwrap(), imapd, &shared).unwrap();
            Node {
                sessions: Sessions::default(),
                listener: Arc::new(listener),
                stop: CancellationToken::new(),
            }
        }

        fn enter(&self, from: &str) -> Seat {
            let remote = from.parse().unwrap();
            self.sessions.enter("s", &self.listener, &Peer::Tcp { remote, local: remote }, &self.stop)
        }

        /// A session that logs in and stays, or what it is told.
        fn login(&self, from: &str, login: &Login) -> Result<Seat, String> {
            let seat = self.enter(from);
            seat.login(login, true).map(|()| seat).map_err(|why| why.to_string())
        }
    }

    fn fred() -> Login {
        Login { admin: false, counted: true, ..Login::trusted("fred") }
    }

    #[tokio::test]
    async fn a_user_has_two_hundred_sessions_unless_the_operator_says_otherwise() {
        let node = Node::new("imap", "");
        let mut open: Vec<Seat> = (0..200).map(|_| node.login("192.0.2.1:1", &fred()).unwrap()).collect();
        let refused = node.login("192.0.2.1:1", &fred()).err();
        assert_eq!(refused.as_deref(), Some("Too many open connections (200 of 200 for fred)"));
        let jane = Login { userid: "jane".into(), authid: "jane".into(), ..fred() };
        assert!(node.login("192.0.2.1:1", &jane).is_ok());
        open.pop();
        open.push(node.login("192.0.2.1:1", &fred()).unwrap());
        // One that logs out makes room, and one that logs in twice is one.
        open[0].logout();
        let seat = node.login("192.0.2.1:1", &fred()).unwrap();
        assert!(seat.login(&fred(), true).is_ok());
        let none = Node::new("imap", "maxlogins_per_user: 0");
        let many: Vec<_> = (0..1000).map(|_| none.login("192.0.2.1:1", &fred())).collect();
        assert!(many.iter().all(Result::is_ok), "and nothing else bounds the sessions of one user");
        drop((open, seat, many));
        assert!(node.sessions.lock().counts.is_empty() && none.sessions.lock().counts.is_empty());
    }

    #[tokio::test]
    async fn a_frontend_gets_its_part_of_a_session_however_many_the_user_has() {
        let node = Node::new("imap", "maxlogins_per_user: 2");
        let _direct = [(); 2].map(|()| node.login("192.0.2.1:1", &fred()).unwrap());
        assert!(node.login("192.0.2.1:1", &fred()).is_err());
        let through = Login { authid: "proxy".into(), proxy: true, counted: false, ..fred() };
        let parts: Vec<_> = (0..10).map(|_| node.login("192.0.2.9:1", &through)).collect();
        assert!(parts.iter().all(Result::is_ok));
        let admin = Login::trusted("cyrus");
        assert!(
            (0..10).map(|_| node.login("192.0.2.9:1", &admin)).collect::<Vec<_>>().iter().all(Result::is_ok)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_nobody_logs_in_to_is_given_up_whatever_it_is_doing() {
        let node = Node::new("imap", "");
        let patience = Duration::from_secs(240);
        let began = tokio::time::Instant::now();
        node.enter("192.0.2.1:1").stays_a_stranger(patience).await;
        assert_eq!(began.elapsed(), patience);
        let seat = node.login("192.0.2.1:1", &fred()).unwrap();
        // UNAUTHENTICATE makes nobody a stranger: the session has a time of its own for the next one.
        seat.logout();
        assert!(tokio::time::timeout(patience * 9, seat.stays_a_stranger(patience)).await.is_err());
    }

    #[tokio::test]
    async fn a_parked_connection_gives_way_and_one_that_is_taken_does_not() {
        let node = Node::new("imap", "");
        let through = Login { authid: "proxy".into(), proxy: true, counted: false, ..fred() };
        let seat = node.login("192.0.2.9:1", &through).unwrap();
        let origin = |session: &str, parked| Origin { session: session.into(), parked, ..Origin::default() };
        assert!(seat.came_from(origin("fe-1", false)));
        assert!(!node.sessions.give_way("imap"), "it is somebody's");
        assert!(seat.came_from(origin("fe-1", true)) && !node.sessions.give_way("pop3"));
        assert!(node.sessions.give_way("imap") && seat.stop().is_cancelled());
        assert!(!node.sessions.give_way("imap"), "twice");
        assert!(!seat.came_from(origin("fe-2", false)), "told to go, and taken");
        // One of the same user that is in use.
        let other = node.login("192.0.2.9:1", &through).unwrap();
        assert!(other.came_from(origin("fe-3", false)));
        node.sessions.release("fred");
        node.sessions.release_parked();
        assert!(!other.stop().is_cancelled());
        assert!(other.came_from(origin("fe-3", true)));
        node.sessions.release("jane");
        assert!(!other.stop().is_cancelled());
        assert_eq!(node.sessions.kick("fred"), 0, "nobody was on");
        assert!(other.stop().is_cancelled());
    }

    #[tokio::test]
    async fn who_is_denied_a_service_keeps_the_sessions_of_others() {
        let (imap, pop3) = (Node::new("imap", ""), Node::new("pop3", ""));
        let released = Arc::new(Mutex::new(Vec::new()));
        let kept = released.clone();
        imap.sessions.on_release(move |user| kept.lock().unwrap().push(user.to_owned()));
        let denial = identity::deny::Denial { services: "imap*".into(), message: "Ask the desk".into() };
        let denials = Denials::from([("fred".to_owned(), denial)]);
        let seats = [&imap, &pop3].map(|node| node.login("192.0.2.1:1", &fred()).unwrap());
        let admin =
            imap.login("192.0.2.1:1", &Login { userid: "fred".into(), ..Login::trusted("cyrus") }).unwrap();
        let stranger = imap.enter("192.0.2.1:1");
        assert_eq!((imap.sessions.end_denied(&denials), pop3.sessions.end_denied(&denials)), (1, 0));
        assert_eq!(seats[0].denied().as_deref(), Some("Ask the desk"));
        assert!(seats[0].stop().is_cancelled());
        assert!([&seats[1], &admin, &stranger].iter().all(|seat| !seat.stop().is_cancelled()));
        assert_eq!(*released.lock().unwrap(), ["fred"]);
        assert_eq!(imap.sessions.end_denied(&denials), 0, "twice");
    }

    #[tokio::test]
    async fn the_limits_of_a_user_and_of_an_address_are_told_together() {
        let node = Node::new("pop3", "maxlogins_per_user: 1\nmaxlogins_per_host: 1");
        let _kept = node.login("192.0.2.1:1", &fred()).unwrap();
        let refused = node.login("192.0.2.1:2", &fred()).err().unwrap();
        assert_eq!(refused, "Too many open connections (1 of 1 from 192.0.2.1, 1 of 1 for fred)");
        // Servers are no users.
        let mupdate = Node::new("mupdate", "maxlogins_per_user: 1");
        let _streams = [(); 3].map(|()| mupdate.login("192.0.2.1:1", &fred()).unwrap());
    }
}
