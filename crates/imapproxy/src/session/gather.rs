//! One client's command that several backends must answer: asked at the same time, heard together, given up one by one.
//!
//! 1. Connections that are not there are opened side by side.
//! 2. Each backend gets its commands, some ahead of their answers; what it says is handed on response by response, while the
//!    client takes it.
//! 3. A backend that cannot be had, is lost or says nothing for too long is missing from the answer, and from it alone.
//!
//! How long the whole takes depends on the slowest backend, not on how many there are.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::BytesMut;
use protocol::imap::Bye;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use upstream::wire::imap::{Answer, Id, Part, Wire};
use upstream::{Connection, Error};

use super::client::Client;
use super::relay::{bye_text, client_gone, kick_text, lost};
use super::{Session, Stop};
use crate::limits::{AT_ONCE, RESPONSE_MAX, SILENCE, rows};
use crate::parked::Settings;

/// Commands of one backend, without their line ends.
pub struct Errand {
    pub server: String,
    pub commands: Vec<Vec<u8>>,
    /// A capability without which they make no sense there.
    pub needs: Option<&'static str>,
}

/// What was not done.
#[derive(Default)]
pub struct Gathered {
    /// Backends that are missing from the answer.
    pub missing: Vec<String>,
    /// The first answer that is not OK.
    pub refused: Option<Answer>,
}

/// One backend's part.
struct Trip {
    errand: Errand,
    state: State,
    /// Commands that were sent.
    sent: usize,
    open: VecDeque<Id>,
    /// The connection was opened for this.
    is_fresh: bool,
    /// Something came back.
    is_heard: bool,
    since: Instant,
    /// A response that is not here yet to its end.
    held: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Talking,
    Done,
}

/// What a step brought.
#[derive(Default)]
struct Moved {
    opened: Option<(usize, Opened)>,
    broken: Vec<(usize, String)>,
}

/// With the settings that were read before: what is logged in by older ones is not parked.
type Opened = Result<(Connection<Wire>, Settings), Error>;
type Opening = JoinSet<(usize, Opened)>;

impl Session {
    /// Does the errands. `each` gets every untagged response, whole, literals in their place, and with it the client; it says
    /// whether the response was to one of the commands. What else the selected backend says is passed on.
    pub async fn gather(
        &mut self,
        errands: Vec<Errand>,
        mut each: impl FnMut(&mut Client, &[u8]) -> bool,
    ) -> Result<Gathered, Stop> {
        let mut gathered = Gathered::default();
        let mut opening = Opening::new();
        let mut trips: Vec<Trip> = errands.into_iter().map(Trip::new).collect();
        for (at, trip) in trips.iter_mut().enumerate() {
            trip.is_fresh = self.links.get_mut(&trip.errand.server).is_none();
            if trip.is_fresh {
                self.begin_opening(at, trip, &mut opening)?
            } else {
                trip.state = State::Talking
            }
        }
        loop {
            for (at, trip) in trips.iter_mut().enumerate().filter(|(_, trip)| trip.state == State::Talking) {
                if let Err(stop) = self.go_on(trip, &mut gathered, &mut each) {
                    self.give_up(at, trip, stop, &mut opening, &mut gathered)?;
                }
            }
            if trips.iter().all(|trip| trip.state == State::Done) {
                return Ok(gathered);
            }
            if self.client.peer.ended {
                return Err(client_gone());
            }
            self.wait(&mut trips, &mut opening, &mut gathered).await?;
        }
    }

    fn begin_opening(&self, at: usize, trip: &mut Trip, opening: &mut Opening) -> Result<(), Stop> {
        let (node, server, user) =
            (self.node.clone(), trip.errand.server.clone(), self.user()?.id().to_owned());
        trip.restart(State::Opening);
        let settings = node.parked.settings();
        opening.spawn(async move {
            let connection = node.upstream.imap(&server, Some(&user)).await;
            (at, connection.map(|connection| (connection, settings)))
        });
        Ok(())
    }

    /// Sends and hears what is possible now.
    fn go_on(
        &mut self,
        trip: &mut Trip,
        gathered: &mut Gathered,
        each: &mut impl FnMut(&mut Client, &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let server = trip.errand.server.clone();
        let selected = self.selected_server() == Some(&server);
        let gone = |why: &dyn std::fmt::Display| lost(&server, &why.to_string());
        loop {
            let link = self.links.get_mut(&server).ok_or_else(|| gone(&"closed"))?;
            if trip.errand.needs.is_some_and(|word| !link.capabilities.has(word)) {
                gathered.missing.push(server);
                trip.state = State::Done;
                return Ok(());
            }
            while trip.open.len() < AT_ONCE && link.peer.has_room() {
                let Some(command) = trip.errand.commands.get(trip.sent) else { break };
                trip.open.push_back(link.command(command).map_err(|why| gone(&why))?);
                trip.sent += 1;
            }
            if trip.open.is_empty() {
                trip.state = State::Done;
                return Ok(());
            }
            if !self.client.peer.has_room() {
                return Ok(());
            }
            let Some(part) = link.part().map_err(|why| gone(&why))? else {
                return if link.peer.ended { Err(gone(&"closed by the server")) } else { Ok(()) };
            };
            trip.since = Instant::now();
            match part {
                Part::Line(text, None) => {
                    trip.is_heard = true;
                    trip.held.extend_from_slice(&text);
                    let response = trip.held.split();
                    if !each(&mut self.client, &response) && selected {
                        self.client.put(response);
                    }
                }
                Part::Line(bytes, Some(_)) | Part::Data(bytes, _) => trip.held.extend_from_slice(&bytes),
                Part::Done(id, answer) if trip.open.front() == Some(&id) => {
                    trip.open.pop_front();
                    if !answer.is_ok() && gathered.refused.is_none() {
                        gathered.refused = Some(answer);
                    }
                }
                Part::Bye(line) if selected || kick_text(&line).is_some() => {
                    return Err(Stop::Bye(Bye::new(bye_text(&line))));
                }
                // What was said ahead of them: nobody waits for it.
                Part::Done(..) | Part::Continuation(_) | Part::Bye(_) => {}
            }
            if trip.held.len() > RESPONSE_MAX {
                return Err(gone(&"a response too long"));
            }
        }
    }

    /// A backend is lost. One whose connection was old is tried again: it may just have been closed.
    fn give_up(
        &mut self,
        at: usize,
        trip: &mut Trip,
        stop: Stop,
        opening: &mut Opening,
        gathered: &mut Gathered,
    ) -> Result<(), Stop> {
        let server = trip.errand.server.clone();
        let Stop::Backend { why, .. } = &stop else { return Err(stop) };
        if self.selected_server() == Some(&server) {
            return Err(stop);
        }
        self.links.remove(&server);
        if !trip.is_fresh && !trip.is_heard {
            trip.is_fresh = true;
            return self.begin_opening(at, trip, opening);
        }
        warn!("backend {server}: {why}: it is missing from an answer");
        gathered.missing.push(server);
        trip.state = State::Done;
        Ok(())
    }

    /// Until something has moved, or a backend was silent for too long.
    async fn wait(
        &mut self,
        trips: &mut [Trip],
        opening: &mut Opening,
        gathered: &mut Gathered,
    ) -> Result<(), Stop> {
        let silence = (self.node.client_timeout() * 2).min(SILENCE);
        // An attempt to connect has a bound of its own.
        let talking = |trip: &&Trip| trip.state == State::Talking;
        let first = trips.iter().filter(talking).map(|trip| trip.since).min();
        let until = first.map_or_else(|| Instant::now() + self.idle_bound(), |first| first + silence);
        let moved = poll_fn(|cx| self.poll_all(cx, trips, opening));
        let Moved { opened, mut broken } = match timeout_at(until, moved).await {
            Ok(moved) => moved?,
            Err(_) if first.is_none() => return Err(Stop::idle()),
            Err(_) => Moved::default(),
        };
        if let Some((at, connection)) = opened
            && let Some(trip) = trips.get_mut(at)
        {
            let opened = match connection {
                Ok((connection, settings)) => self.take_in(&trip.errand.server, connection, settings),
                Err(why) => Err(lost(&trip.errand.server, &why.to_string())),
            };
            match opened {
                Ok(()) => trip.restart(State::Talking),
                Err(stop) => self.give_up(at, trip, stop, opening, gathered)?,
            }
        }
        let is_silent = |trip: &Trip| trip.state == State::Talking && trip.since.elapsed() >= silence;
        for (at, trip) in trips.iter_mut().enumerate().filter(|(_, trip)| is_silent(trip)) {
            if self.client.peer.has_room() {
                rows::SILENCE.met(format_args!("backend {} says nothing", trip.errand.server));
                broken.push((at, "it says nothing".to_owned()));
                // A second silence is not waited for.
                trip.is_heard = true;
            } else {
                // It is the client who takes nothing.
                trip.since = Instant::now();
            }
        }
        for (at, why) in broken {
            if let Some(trip) = trips.get_mut(at).filter(|trip| trip.state == State::Talking) {
                let stop = lost(&trip.errand.server, &why);
                self.give_up(at, trip, stop, opening, gathered)?;
            }
        }
        Ok(())
    }

    /// Lets all bytes flow one step.
    fn poll_all(
        &mut self,
        cx: &mut Context<'_>,
        trips: &[Trip],
        opening: &mut Opening,
    ) -> Poll<Result<Moved, Stop>> {
        let mut is_moved = match self.client.peer.poll_io(cx, true) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Stop::Client(error))),
            other => other.is_ready(),
        };
        let mut moved = Moved::default();
        for (at, trip) in trips.iter().enumerate().filter(|(_, trip)| trip.state == State::Talking) {
            match self.links.get_mut(&trip.errand.server).map(|link| link.peer.poll_io(cx, true)) {
                Some(Poll::Pending) => {}
                Some(Poll::Ready(Ok(()))) => is_moved = true,
                Some(Poll::Ready(Err(error))) => moved.broken.push((at, error.to_string())),
                None => moved.broken.push((at, "closed".to_owned())),
            }
        }
        // A task that fails is the runtime's end.
        if let Poll::Ready(Some(Ok(opened))) = opening.poll_join_next(cx) {
            moved.opened = Some(opened);
        }
        match is_moved || moved.opened.is_some() || !moved.broken.is_empty() {
            true => Poll::Ready(Ok(moved)),
            false => Poll::Pending,
        }
    }
}

impl Trip {
    fn new(errand: Errand) -> Trip {
        Trip {
            errand,
            state: State::Opening,
            sent: 0,
            open: VecDeque::new(),
            is_fresh: false,
            is_heard: false,
            since: Instant::now(),
            held: BytesMut::new(),
        }
    }

    fn restart(&mut self, state: State) {
        (self.state, self.sent, self.since) = (state, 0, Instant::now());
        self.open.clear();
        self.held.clear();
    }
}
