//! One client's command that several backends must answer: asked at the same time, heard together, given up one by one.
//!
//! 1. Connections that are not there are opened side by side.
//! 2. Each backend gets its commands, some ahead of their answers; what it says is handed on response by response, while the
//!    client takes it.
//! 3. A backend that cannot be had, is lost or says nothing for too long is missing from the answer, and from it alone.
//!
//! How long the whole takes depends on the slowest backend, not on how many there are.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::BytesMut;
use protocol::imap::{Bye, Code, Refusal, Reply, Tag};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use upstream::Error;
use upstream::wire::imap::{Answer, Id, Part};

use super::client::Client;
use super::links::Reached;
use super::relay::{bye_text, client_gone, kick_text, lost};
use super::{Session, Stop};
use crate::limits::{AT_ONCE, GATHERED, SILENCE, rows};

/// Commands of one backend, without their line ends.
pub struct Errand {
    pub server: String,
    pub commands: Vec<Vec<u8>>,
    /// A capability without which they make no sense there.
    pub needs: Option<&'static str>,
    /// The client's, where the responses are to quote it.
    pub tag: Option<Tag>,
}

/// What became of an errand.
#[derive(Debug)]
pub struct Told {
    pub server: String,
    /// One for each command; none: the backend cannot be had.
    pub answers: Option<Vec<Answer>>,
}

/// What became of all, in their order.
#[derive(Debug)]
pub struct Gathered(pub Vec<Told>);

impl Errand {
    pub fn new(server: &str, commands: Vec<Vec<u8>>) -> Errand {
        Errand { server: server.to_owned(), commands, needs: None, tag: None }
    }

    /// One for each server, with its commands in their order.
    pub fn by_server<'s>(commands: impl IntoIterator<Item = (&'s str, Vec<u8>)>) -> Vec<Errand> {
        let mut by_server: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
        for (server, command) in commands {
            by_server.entry(server).or_default().push(command);
        }
        by_server.into_iter().map(|(server, commands)| Errand::new(server, commands)).collect()
    }
}

impl Told {
    /// Everything was done.
    pub fn is_done(&self) -> bool {
        self.answers.as_ref().is_some_and(|answers| answers.iter().all(Answer::is_ok))
    }
}

impl Gathered {
    /// Backends that are missing from the answer.
    pub fn missing(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|told| told.answers.is_none()).map(|told| &told.server)
    }

    /// The first answer that is not OK.
    pub fn refused(&self) -> Option<&Answer> {
        self.0.iter().flat_map(|told| told.answers.iter().flatten()).find(|answer| !answer.is_ok())
    }

    /// Why not everything was done.
    pub fn refusal(&self) -> Option<Stop> {
        let missing = || self.missing().next().map(|_| Refusal::ServerDown.into());
        self.refused().cloned().map(Stop::Relayed).or_else(missing)
    }
}

/// One backend's part.
struct Trip {
    errand: Errand,
    state: State,
    /// Commands that were sent.
    sent: usize,
    open: VecDeque<Id>,
    answers: Vec<Answer>,
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
    Missing,
}

/// What a step brought.
#[derive(Default)]
struct Moved {
    opened: Option<(usize, Opened)>,
    broken: Vec<(usize, String)>,
}

type Opened = Result<Reached, Error>;
type Opening = JoinSet<(usize, Opened)>;

impl Session {
    /// Does the errands. `each` gets every untagged response of `most` bytes at most, whole, literals in their place, with the
    /// client and the server it is of; it says whether the response was to one of the commands. What else the selected backend
    /// says is passed on.
    pub async fn gather(
        &mut self,
        errands: Vec<Errand>,
        most: usize,
        mut each: impl FnMut(&mut Client, &str, &[u8]) -> bool,
    ) -> Result<Gathered, Stop> {
        let (mut opening, until) = (Opening::new(), Instant::now() + GATHERED);
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
                if let Err(stop) = self.go_on(trip, most, &mut each) {
                    self.give_up(at, trip, stop, &mut opening)?;
                }
            }
            if trips.iter().all(|trip| matches!(trip.state, State::Done | State::Missing)) {
                return Ok(Gathered(trips.into_iter().map(Trip::told).collect()));
            }
            if self.client.peer.ended {
                return Err(client_gone());
            }
            if Instant::now() >= until {
                self.end_late(&mut trips)?;
                // Those that are still being opened are of no use any longer.
                opening.abort_all();
                continue;
            }
            self.wait(&mut trips, &mut opening, until).await?;
        }
    }

    /// Sets something on each of these backends, or on none: where one refuses, `undo` is done on those that did not. It has an
    /// errand for each of `errands`. `is_told`: a response to one of them.
    pub async fn set_everywhere(
        &mut self,
        errands: Vec<Errand>,
        undo: Vec<Errand>,
        most: usize,
        is_told: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Stop> {
        let set = self.gather(errands, most, |_, _, line| is_told(line)).await?;
        let Some(refused) = set.refusal() else { return Ok(()) };
        let undo = undo.into_iter().zip(&set.0).filter(|(_, told)| told.is_done()).map(|(undo, _)| undo);
        let undone = self.gather(undo.collect(), most, |_, _, line| is_told(line)).await?;
        for told in undone.0.iter().filter(|told| !told.is_done()) {
            warn!("backend {} keeps what another backend has refused to set", told.server);
        }
        Err(refused)
    }

    /// Tells the client which backends could not be asked: what it reads is not all there is.
    pub fn tell_missing<'n>(&mut self, missing: impl IntoIterator<Item = &'n String>) {
        for server in missing {
            let text = format!("{server} cannot be asked at the moment");
            self.client.put(Reply::no(text).code(Code::Unavailable).line(None));
        }
    }

    fn begin_opening(&self, at: usize, trip: &mut Trip, opening: &mut Opening) -> Result<(), Stop> {
        let way = self.way(&trip.errand.server)?;
        trip.restart(State::Opening);
        opening.spawn(async move { (at, way.reach().await) });
        Ok(())
    }

    /// Sends and hears what is possible now.
    fn go_on(
        &mut self,
        trip: &mut Trip,
        most: usize,
        each: &mut impl FnMut(&mut Client, &str, &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let server = trip.errand.server.clone();
        let selected = self.selected_server() == Some(&server);
        let gone = |why: &dyn std::fmt::Display| lost(&server, &why.to_string());
        loop {
            let link = self.links.get_mut(&server).ok_or_else(|| gone(&"closed"))?;
            if trip.errand.needs.is_some_and(|word| !link.capabilities.has(word)) {
                trip.state = State::Missing;
                return Ok(());
            }
            while trip.open.len() < AT_ONCE && link.peer.has_room() {
                let Some(command) = trip.errand.commands.get(trip.sent) else { break };
                let tag = trip.errand.tag.as_ref().map(Tag::as_str);
                trip.open.push_back(link.command_for(tag, command).map_err(|why| gone(&why))?);
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
                    if !each(&mut self.client, &server, &response) && selected {
                        self.client.put(response);
                    }
                }
                Part::Line(bytes, Some(_)) | Part::Data(bytes, _) => trip.held.extend_from_slice(&bytes),
                Part::Done(id, answer) if trip.open.front() == Some(&id) => {
                    trip.open.pop_front();
                    trip.answers.push(answer);
                }
                Part::Bye(line) if selected || kick_text(&line).is_some() => {
                    return Err(Stop::Bye(Bye::new(bye_text(&line))));
                }
                // What was said ahead of them: nobody waits for it.
                Part::Done(..) | Part::Continuation(_) | Part::Bye(_) => {}
            }
            if trip.held.len() > most {
                return Err(gone(&"a response too long"));
            }
        }
    }

    /// A backend is lost. One whose connection was old is tried again: it may just have been closed.
    fn give_up(&mut self, at: usize, trip: &mut Trip, stop: Stop, opening: &mut Opening) -> Result<(), Stop> {
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
        trip.state = State::Missing;
        Ok(())
    }

    /// Those that have not done all by now are missing, whatever they say.
    fn end_late(&mut self, trips: &mut [Trip]) -> Result<(), Stop> {
        for trip in trips.iter_mut().filter(|trip| matches!(trip.state, State::Opening | State::Talking)) {
            let server = &trip.errand.server;
            rows::GATHERED.met(format_args!("backend {server} is not done: it is missing from an answer"));
            let stop = lost(server, "it takes too long");
            if self.selected_server() == Some(server) {
                return Err(stop);
            }
            self.links.remove(server);
            trip.state = State::Missing;
        }
        Ok(())
    }

    /// Until something has moved, or a backend was silent for too long, or all have had their time.
    async fn wait(&mut self, trips: &mut [Trip], opening: &mut Opening, last: Instant) -> Result<(), Stop> {
        let silence = (self.node.client_timeout() * 2).min(SILENCE);
        // An attempt to connect has a bound of its own.
        let talking = |trip: &&Trip| trip.state == State::Talking;
        let first = trips.iter().filter(talking).map(|trip| trip.since).min();
        let until = first.map_or_else(|| Instant::now() + self.idle_bound(), |first| first + silence);
        let until = until.min(last);
        let moved = poll_fn(|cx| self.poll_all(cx, trips, opening));
        let Moved { opened, mut broken } = match timeout_at(until, moved).await {
            Ok(moved) => moved?,
            Err(_) if first.is_none() && until < last => return Err(Stop::idle()),
            Err(_) => Moved::default(),
        };
        for trip in trips.iter() {
            if let Some(link) = self.links.get_mut(&trip.errand.server) {
                link.peer.pace().await;
            }
        }
        if let Some((at, connection)) = opened
            && let Some(trip) = trips.get_mut(at)
        {
            let opened = match connection {
                Ok(reached) => self.take_in(&trip.errand.server, reached),
                Err(why) => Err(lost(&trip.errand.server, &why.to_string())),
            };
            match opened {
                Ok(()) => trip.restart(State::Talking),
                Err(stop) => self.give_up(at, trip, stop, opening)?,
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
                self.give_up(at, trip, stop, opening)?;
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
            answers: Vec::new(),
            is_fresh: false,
            is_heard: false,
            since: Instant::now(),
            held: BytesMut::new(),
        }
    }

    fn restart(&mut self, state: State) {
        (self.state, self.sent, self.since) = (state, 0, Instant::now());
        self.open.clear();
        self.answers.clear();
        self.held.clear();
    }

    fn told(self) -> Told {
        Told { server: self.errand.server, answers: (self.state == State::Done).then_some(self.answers) }
    }
}
