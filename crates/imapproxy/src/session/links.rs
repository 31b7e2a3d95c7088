//! The session's connections: opened when a command needs them, or taken over from the same user's session before
//! ([`crate::parked`]), told what the session has told others before (ENABLE, ID), closed when idle.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::imap::{Bye, Extension, Refusal};
use protocol::origin::Origin;
use service::sessions::Seat;
use tokio::time::{Instant, timeout};
use tracing::debug;
use upstream::Proto;
use upstream::wire::imap::Event;

use super::link::Link;
use super::relay::{self, To, lost};
use super::{Session, Stop};
use crate::limits::{IDLE_MAX, PARKED_TAKE, PING_AFTER};
use crate::node::Node;
use crate::parked;

/// Connections by server.
pub struct Links {
    open: HashMap<String, Link>,
    /// Told of those that come and go.
    seat: Seat,
}

impl Links {
    pub fn new(seat: Seat) -> Links {
        Links { open: HashMap::new(), seat }
    }

    pub fn get_mut(&mut self, server: &str) -> Option<&mut Link> {
        self.open.get_mut(server)
    }

    pub fn remove(&mut self, server: &str) {
        self.open.remove(server);
        self.seat.unlinked(server);
    }

    /// Takes a connection out, for as long as two are needed at once.
    pub fn take(&mut self, server: &str) -> Option<Link> {
        self.open.remove(server)
    }

    pub fn put_back(&mut self, server: &str, link: Link) {
        self.open.insert(server.to_owned(), link);
    }

    /// Lets bytes flow on each connection but the selected one. Those that fail are given up: nobody waits on them.
    pub fn poll_others(&mut self, cx: &mut Context<'_>, selected: Option<&str>) -> Poll<()> {
        let (mut moved, mut failed) = (Poll::Pending, Vec::new());
        for (server, link) in self.open.iter_mut().filter(|(server, _)| Some(server.as_str()) != selected) {
            match link.peer.poll_io(cx, true) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => moved = Poll::Ready(()),
                Poll::Ready(Err(_)) => failed.push(server.clone()),
            }
        }
        failed.iter().for_each(|server| self.remove(server));
        moved
    }

    /// What those connections said, of which only one thing matters: an administrator has ended the session there. Gives the
    /// backend's last words.
    pub fn kicked(&mut self, selected: Option<&str>) -> Option<String> {
        for (_, link) in self.open.iter_mut().filter(|(server, _)| Some(server.as_str()) != selected) {
            while let Ok(Some(event)) = link.event() {
                if let Event::Bye(line) = event
                    && let Some(text) = relay::kick_text(&line)
                {
                    return Some(text);
                }
            }
        }
        None
    }

    pub fn servers(&self) -> Vec<String> {
        self.open.keys().cloned().collect()
    }

    /// Closes what was not used for a while, but for the selected one.
    pub fn close_idle(&mut self, selected: Option<&str>) {
        let idle =
            |server: &str, link: &Link| Some(server) != selected && link.last_used.elapsed() > IDLE_MAX;
        let old: Vec<String> = self
            .open
            .iter()
            .filter(|(server, link)| idle(server, link))
            .map(|(server, _)| server.clone())
            .collect();
        old.iter().for_each(|server| self.remove(server));
    }

    /// Takes all of them out: the session ends.
    pub fn take_all(&mut self) -> Vec<(String, Link)> {
        let links: Vec<(String, Link)> = self.open.drain().collect();
        links.iter().for_each(|(server, _)| self.seat.unlinked(server));
        links
    }

    pub fn close(&mut self) {
        for (server, _) in self.open.drain() {
            self.seat.unlinked(&server);
        }
    }
}

/// How a session gets a connection to a backend. It can be walked while the session does other things.
pub struct Way {
    node: Arc<Node>,
    server: String,
    user: String,
    may_be_parked: bool,
    /// What a parked connection is told.
    origin: String,
}

/// A connection that a session gets.
pub struct Reached {
    link: Link,
    /// Nobody has had it before, and it has not been told whose it is.
    is_new: bool,
}

impl Reached {
    /// For one who has it to himself, and tells it whose it is.
    pub fn into_link(self) -> Link {
        self.link
    }
}

impl Way {
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What the backend is told of the session.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn client_timeout(&self) -> Duration {
        self.node.client_timeout()
    }

    /// A connection that nobody has had before, and nobody is to have afterwards.
    pub async fn open(&self) -> Result<Link, upstream::Error> {
        // Before the login: what is logged in by older ones is not parked.
        let settings = self.node.parked.settings();
        let connection = self.node.upstream.imap(&self.server, Some(&self.user)).await?;
        Ok(Link::new(connection, settings))
    }

    pub async fn reach(self) -> Result<Reached, upstream::Error> {
        if let Some(link) = self.unpark().await {
            return Ok(Reached { link, is_new: false });
        }
        Ok(Reached { link: self.open().await?, is_new: true })
    }

    /// A connection that an earlier session of the user has left, if one is there and lives. The backend hears whose it is now,
    /// and must agree: it looks whether the user may still log in. What fails is closed, and another takes its place unseen.
    async fn unpark(&self) -> Option<Link> {
        let (server, user, parked) = (self.server.as_str(), self.user.as_str(), &self.node.parked);
        if !self.may_be_parked || self.node.upstream.admit(server, Proto::Imap).is_err() {
            return None;
        }
        while let Some(mut link) = parked.take(server, user) {
            let heard = async {
                match link.command(self.origin.as_bytes()) {
                    Ok(id) => link.hear(id).await,
                    Err(_) => false,
                }
            };
            match timeout(PARKED_TAKE.min(self.node.client_timeout()), heard).await {
                Ok(true) => {
                    metrics::counter!("murder_links_reused_total").increment(1);
                    return Some(link);
                }
                Ok(false) => debug!(server, "a parked connection is of no use"),
                // A server that hangs would cost as much for each of the others.
                Err(_) => parked.forget_server(server, user),
            }
        }
        None
    }
}

impl Session {
    /// Makes sure that there is a living connection to `server`, acting for the user.
    pub async fn link(&mut self, server: &str) -> Result<&mut Link, Stop> {
        if !self.is_alive(server).await? {
            self.open_link(server).await?;
        }
        if self.enabled.manner().utf8_names && self.lacks_enabled(server) {
            // It would take a name for another one.
            return Err(Refusal::LacksEnabled.into());
        }
        match self.links.get_mut(server) {
            Some(link) => {
                link.last_used = Instant::now();
                Ok(link)
            }
            None => Err(Stop::Backend { server: server.to_owned(), why: "closed".to_owned() }),
        }
    }

    /// Whether the connection that is there can be used: not closed by the other side meanwhile.
    async fn is_alive(&mut self, server: &str) -> Result<bool, Stop> {
        let selected = self.selected_server() == Some(server);
        let Some(link) = self.links.get_mut(server) else { return Ok(false) };
        // Sees an end of the stream that has arrived; waits for nothing.
        let look = std::future::poll_fn(|cx| Poll::Ready(link.peer.poll_io(cx, true))).await;
        let broken = matches!(look, Poll::Ready(Err(_))) || link.peer.ended;
        if selected && broken {
            return Err(Stop::Backend { server: server.to_owned(), why: "closed".to_owned() });
        }
        if broken {
            let selected = self.selected_server().map(str::to_owned);
            if let Some(text) = self.links.kicked(selected.as_deref()) {
                return Err(Stop::Bye(Bye::new(text)));
            }
            self.links.remove(server);
            return Ok(false);
        }
        if selected || link.last_used.elapsed() < PING_AFTER {
            return Ok(true);
        }
        let bound = self.node.client_timeout();
        match timeout(bound, self.ask(server, "NOOP", To::Nobody)).await {
            Ok(Ok(line)) if line.is_ok() => Ok(true),
            Ok(Err(Stop::Client(error))) => Err(Stop::Client(error)),
            _ => {
                self.links.remove(server);
                Ok(false)
            }
        }
    }

    async fn open_link(&mut self, server: &str) -> Result<(), Stop> {
        let reached = self.way(server)?.reach().await.map_err(|why| lost(server, &why.to_string()))?;
        self.keep(server, reached)?;
        self.replay(server).await
    }

    /// What backends of ours are told of this session.
    fn origin(&self) -> Origin {
        Origin { adopts: true, ..self.seat.as_origin(&self.listener.imapd().servername) }
    }

    /// How to get a connection to a backend.
    pub fn way(&self, server: &str) -> Result<Way, Stop> {
        let user = self.user()?;
        Ok(Way {
            node: self.node.clone(),
            server: server.to_owned(),
            user: user.id().to_owned(),
            may_be_parked: parked::is_for(&user.login),
            origin: self.origin().command(),
        })
    }

    fn keep(&mut self, server: &str, reached: Reached) -> Result<(), Stop> {
        let Reached { link, is_new } = reached;
        if is_new {
            self.node.capabilities.learnt(server, &link.capabilities);
        }
        self.seat.linked(server, &link.text);
        self.links.open.insert(server.to_owned(), link);
        if is_new { self.tell_origin(server) } else { Ok(()) }
    }

    /// Takes in a connection of which the answers are read one by one. What the client has told the session goes out ahead of
    /// the first command, and nobody waits for the answers.
    pub fn take_in(&mut self, server: &str, reached: Reached) -> Result<(), Stop> {
        self.keep(server, reached)?;
        for command in self.told_before(server).into_iter().flatten() {
            self.command(server, command)?;
        }
        Ok(())
    }

    /// The session has ended as it should: its connections are for the user's next one, where nothing of this one is left on them.
    pub fn park_links(&mut self) {
        let leaves_nothing = self.enabled.is_empty() && self.notify.is_none() && !self.follows_referrals;
        let user = self.user.as_ref().filter(|user| leaves_nothing && parked::is_for(&user.login));
        let stop = self.seat.stop();
        let Some(user) = user.filter(|_| !stop.is_cancelled()) else { return self.links.close() };
        let origin = Origin { parked: true, ..self.origin() };
        for (server, link) in self.links.take_all() {
            self.node.parked.park(&server, user.id(), link, &origin);
        }
        // Told to go at this very moment: whoever told it has looked before the connections were there.
        if stop.is_cancelled() {
            self.node.parked.forget(user.id());
        }
    }

    /// Tells a backend of ours whose session this is. It goes out with what comes next, and nobody waits for the answer.
    fn tell_origin(&mut self, server: &str) -> Result<(), Stop> {
        let origin = self.origin();
        let Some(link) = self.links.get_mut(server).filter(|link| link.capabilities.has("XCLIENT")) else {
            return Ok(());
        };
        link.command(origin.command().as_bytes()).map(drop).map_err(|why| lost(server, &why.to_string()))
    }

    /// Tells a new backend what the client has told the session.
    async fn replay(&mut self, server: &str) -> Result<(), Stop> {
        for command in self.told_before(server).into_iter().flatten() {
            self.ask(server, command, To::Nobody).await?;
        }
        Ok(())
    }

    /// ENABLE, ID and NOTIFY, as far as they are understood there.
    fn told_before(&mut self, server: &str) -> [Option<Vec<u8>>; 3] {
        let Some(link) = self.links.get_mut(server) else { return [None, None, None] };
        // Older ones know CONDSTORE without a word of it.
        let understood = |extension: Extension| {
            extension == Extension::Condstore || link.capabilities.has(extension.word())
        };
        let enable = self.enabled.command(understood).map(String::into_bytes);
        let notify = self.notify.as_ref().map(|notify| notify.own.clone());
        [
            enable,
            self.id.clone().filter(|_| link.capabilities.has("ID")),
            notify.filter(|_| link.capabilities.has("NOTIFY")),
        ]
    }

    /// Whether the client has turned on what a backend does not know: one that was there when it did would have kept the word from
    /// being announced.
    pub fn lacks_enabled(&mut self, server: &str) -> bool {
        let enabled = self.enabled;
        let Some(link) = self.links.get_mut(server) else { return false };
        let beyond = |extension: &Extension| {
            *extension != Extension::Condstore
                && enabled.has(*extension)
                && !link.capabilities.has(extension.word())
        };
        Extension::ALL.iter().any(beyond)
    }

    /// Before another backend answers: what the selected one has to say comes first.
    pub async fn hear_selected(&mut self, but: &str) -> Result<(), Stop> {
        match self.selected_server().map(str::to_owned) {
            Some(selected) if selected != but => self.ask(&selected, "NOOP", To::Client).await.map(drop),
            _ => Ok(()),
        }
    }
}
