//! Connections to backends between two sessions of one user.
//!
//! 1. A session that ends as it should leaves its connections here ([`Parked::park`]), of those to backends of ours that know what
//!    that is (XCLIENT=PARKED). The backend is told that it is parked, leaves the open mailbox, and refuses if it has anything else of
//!    the session; it waits when that is done.
//! 2. Each is watched: whatever comes on it, a BYE or its end, closes it, and so does [`PARKED_WAIT`].
//! 3. The next session of the same user takes the one that came last ([`Parked::take`]), tells the backend whose it is now, and
//!    hears that the user may still log in, before anything else goes out ([`crate::session::links`]).
//!
//! A connection never goes from one user to another. What shaped its login is the server, the user, and the frontend's own identity
//! and demands, TLS among them: the first two are looked up, and whatever else there is changes with a reload only, which gives up
//! all that is here and all that is in use as it ends ([`Settings`]). Sessions of admins, of those who act for somebody else, and of
//! nobody in particular (anonymous) leave nothing: [`is_for`].

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use identity::auth::{ANONYMOUS, Login};
use protocol::origin::Origin;
use service::process::spare_descriptors;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use upstream::wire::imap::Id;

use crate::limits::{PARKED, PARKED_LIFE, PARKED_OF_USER, PARKED_WAIT, PARKING, rows};
use crate::session::link::{Link, Settings};

/// What is parked in this process; cheap to clone.
#[derive(Clone)]
pub struct Parked {
    state: Arc<Mutex<State>>,
    /// Connections of all users together.
    most: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    /// By number, so that the first has waited longest.
    places: BTreeMap<u64, Place>,
    /// The numbers of each user's, the newest last.
    users: HashMap<String, Vec<u64>>,
    settings: Settings,
    closed: bool,
}

struct Place {
    server: String,
    user: String,
    /// None while the backend has not said that it is at rest.
    link: Option<Link>,
    /// Looks after it.
    keeper: AbortHandle,
}

/// Whether the session of such a login may leave connections, or take them: an ordinary user's who acts for himself.
pub fn is_for(login: &Login) -> bool {
    login.authid == login.userid && login.userid != ANONYMOUS && !login.is_any_admin() && !login.proxy
}

impl Default for Parked {
    /// As many as there may be in this process.
    fn default() -> Parked {
        Parked { state: Arc::default(), most: PARKED.min(spare_descriptors()) }
    }
}

impl Parked {
    /// To be asked before a connection is opened.
    pub fn settings(&self) -> Settings {
        self.lock().settings
    }

    /// Leaves a connection for the user's next session; one that is of no use for that is closed. `origin` is what the backend
    /// is told.
    pub fn park(&self, server: &str, user: &str, mut link: Link, origin: &Origin) {
        let known = link.capabilities.has("XCLIENT=PARKED");
        if !known || !link.is_at_rest() || link.opened.elapsed() >= PARKED_LIFE {
            return;
        }
        let Ok(asked) = link.command(origin.command().as_bytes()) else { return };
        let mut state = self.lock();
        if state.closed || link.settings != state.settings {
            return;
        }
        while state.users.get(user).is_some_and(|own| own.len() >= PARKED_OF_USER) {
            state.drop_oldest_of(user);
        }
        if state.places.len() >= self.most {
            state.drop_oldest();
        }
        let number = state.next;
        state.next = state.next.wrapping_add(1);
        let keeper = tokio::spawn(self.clone().keep(number, link, asked)).abort_handle();
        let place = Place { server: server.to_owned(), user: user.to_owned(), link: None, keeper };
        state.places.insert(number, place);
        state.users.entry(user.to_owned()).or_default().push(number);
        state.show();
    }

    /// The connection of this user to this server that came last.
    pub fn take(&self, server: &str, user: &str) -> Option<Link> {
        let mut state = self.lock();
        let fits = |number: &&u64| {
            let place = state.places.get(number);
            place.is_some_and(|place| place.server == server && place.link.is_some())
        };
        let number = *state.users.get(user)?.iter().rev().find(fits)?;
        state.remove(number)?.link
    }

    /// The number of those that could be taken at this moment.
    pub fn waiting(&self) -> usize {
        self.lock().places.values().filter(|place| place.link.is_some()).count()
    }

    /// Closes what is parked for a user.
    pub fn forget(&self, user: &str) {
        self.lock().remove_all(|place| place.user == user, Some(user));
    }

    /// The same of one server, which does not answer.
    pub fn forget_server(&self, server: &str, user: &str) {
        self.lock().remove_all(|place| place.user == user && place.server == server, Some(user));
    }

    /// The settings were read anew: nothing that was logged in before is kept, or will be.
    pub fn reload(&self) {
        let mut state = self.lock();
        state.settings = Settings(state.settings.0.wrapping_add(1));
        state.remove_all(|_| true, None);
    }

    /// The daemon ends: nothing is kept any longer.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.remove_all(|_| true, None);
    }

    /// Looks after one connection until it is taken, or of no use.
    async fn keep(self, number: u64, mut link: Link, asked: Id) {
        let settled = timeout(PARKING, link.hear(asked)).await.unwrap_or(false) && link.is_at_rest();
        if settled && self.put(number, link) {
            // It is over either way: by what came, or by the time.
            let _ = timeout(PARKED_WAIT, poll_fn(|cx| self.poll_heard(number, cx))).await;
        }
        self.lock().remove(number);
    }

    /// False if the place is gone.
    fn put(&self, number: u64, link: Link) -> bool {
        match self.lock().places.get_mut(&number) {
            Some(place) => place.link = Some(link),
            None => return false,
        }
        true
    }

    /// Ready when something came on the connection, or it is not here.
    fn poll_heard(&self, number: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        match state.places.get_mut(&number).and_then(|place| place.link.as_mut()) {
            Some(link) => link.peer.poll_io(cx, true).map(drop),
            None => Poll::Ready(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, number: u64) -> Option<Place> {
        let place = self.places.remove(&number)?;
        place.keeper.abort();
        if let Some(own) = self.users.get_mut(&place.user) {
            own.retain(|other| *other != number);
            if own.is_empty() {
                self.users.remove(&place.user);
            }
        }
        self.show();
        Some(place)
    }

    /// Of all, or only looking through one user's.
    fn remove_all(&mut self, meant: impl Fn(&Place) -> bool, of: Option<&str>) {
        let candidates = match of {
            Some(user) => self.users.get(user).cloned().unwrap_or_default(),
            None => self.places.keys().copied().collect(),
        };
        for number in candidates {
            if self.places.get(&number).is_some_and(&meant) {
                self.remove(number);
            }
        }
    }

    fn drop_oldest_of(&mut self, user: &str) {
        if let Some(number) = self.users.get(user).and_then(|own| own.first().copied()) {
            self.remove(number);
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(number) = self.places.keys().next().copied() {
            rows::PARKED.met("the connection to a backend that is parked longest is closed for another");
            self.remove(number);
        }
    }

    fn show(&self) {
        metrics::gauge!("murder_links_parked").set(self.places.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use transport::peer::Peer;
    use transport::stream::Stream;
    use upstream::wire::imap::Wire;
    use upstream::{Capabilities, Connection};

    use super::*;

    /// A connection to a backend that agrees to all that it is told, for as long as it is there.
    fn link() -> Link {
        let (near, far) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let mut far = BufReader::new(far);
            let mut line = String::new();
            while far.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                let tag = line.split(' ').next().unwrap_or_default().to_owned();
                if far.write_all(format!("{tag} OK Completed\r\n").as_bytes()).await.is_err() {
                    return;
                }
                line.clear();
            }
        });
        let address = "127.0.0.1:143".parse().unwrap();
        let connection = Connection {
            stream: Stream::memory(near, Peer::Tcp { remote: address, local: address }),
            input: BytesMut::new(),
            wire: Wire::new([7; 10]),
            capabilities: Capabilities::from_words("IMAP4rev1 XCLIENT XCLIENT=PARKED"),
            text: String::new(),
        };
        Link::new(connection, Settings::default())
    }

    fn origin() -> Origin {
        Origin { session: "fe-1".to_owned(), parked: true, ..Origin::default() }
    }

    async fn until(parked: &Parked, count: usize) {
        while parked.waiting() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn no_more_than_a_thousand_connections_are_parked_and_those_that_wait_longest_go_first() {
        let parked = Parked { state: Arc::default(), most: PARKED };
        for number in 0..PARKED + 10 {
            parked.park("be", &format!("user{number}"), link(), &origin());
            assert!(parked.lock().places.len() <= PARKED);
        }
        until(&parked, PARKED).await;
        assert_eq!(parked.lock().users.len(), PARKED);
        for number in 0..10 {
            assert!(parked.take("be", &format!("user{number}")).is_none(), "user{number}");
        }
        assert!(
            parked.take("be", "user10").is_some() && parked.take("be", &format!("user{PARKED}")).is_some()
        );
        assert_eq!(parked.waiting(), PARKED - 2);
    }

    #[tokio::test]
    async fn of_one_user_a_few_connections_are_parked_whatever_server_they_are_to() {
        let parked = Parked { state: Arc::default(), most: PARKED };
        for number in 0..PARKED_OF_USER + 2 {
            parked.park(&format!("be{number}"), "fred", link(), &origin());
        }
        until(&parked, PARKED_OF_USER).await;
        assert!(parked.take("be0", "fred").is_none() && parked.take("be1", "fred").is_none());
        assert!(parked.take("be2", "fred").is_some());
    }
}
