//! One backend that is watched: a connection of its own, and the task that keeps it.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::BytesMut;
use protocol::imap::command::list::Kind;
use protocol::imap::{Enabled, Extension};
use retry::{Backoff, chance, spread};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;
use upstream::wire::imap::{Answer, Id, Part};

use super::inbox::{Inbox, Told};
use super::line::Line;
use crate::cmd::lines::ListLine;
use crate::limits::{LINES_MAX, LIST_LINE, WATCH_AGAIN, WATCH_AGAIN_LAST, WATCH_ALIVE, WATCH_RESTS, rows};
use crate::session::link::Link as Connection;
use crate::session::links::Way;
use crate::session::relay::kick_text;

/// The end of the session. What is dropped is watched no longer.
pub struct Link {
    asked: watch::Sender<Asked>,
    state: watch::Receiver<State>,
    _task: AbortOnDropHandle<()>,
}

/// What a backend is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    pub enabled: Enabled,
    /// NOTIFY SET, without STATUS; none: it tells of nothing, and rests.
    pub command: Option<Vec<u8>>,
    /// All that the user is subscribed to.
    pub subscriptions: bool,
}

/// What it is asked, and how often the client has asked for something.
struct Asked {
    wanted: Wanted,
    round: u64,
    /// How all mailboxes are is told, too, when a new round is asked for.
    status: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Opening,
    /// It has answered what was asked in this round.
    Up(u64),
    Down,
    /// It does not know NOTIFY.
    Lacks,
    Refused(Answer),
}

impl Link {
    /// Begins to watch. `status`: how all mailboxes are is told at once.
    pub fn open(way: Way, wanted: Wanted, status: bool, inbox: Arc<Inbox>) -> Link {
        let (ask, asked) = watch::channel(Asked { wanted, round: 0, status });
        let (tell, state) = watch::channel(State::Opening);
        let task = Task {
            way,
            asked,
            round: 0,
            state: tell,
            inbox,
            status,
            silent: false,
            subscribed: HashSet::new(),
            lines: 0,
        };
        Link { asked: ask, state, _task: AbortOnDropHandle::new(tokio::spawn(task.run())) }
    }

    /// Asks for something else, where it is something else.
    pub fn want(&self, wanted: Wanted) {
        self.asked.send_if_modified(|asked| {
            let changed = asked.wanted != wanted;
            if changed {
                asked.wanted = wanted;
            }
            changed
        });
    }

    /// Asks for what the client has asked for anew. [`Link::settled`] waits for the answer.
    pub fn want_anew(&self, wanted: Wanted, status: bool) {
        self.asked.send_modify(|asked| *asked = Asked { wanted, round: asked.round + 1, status });
    }

    /// Asks for nothing. Whoever wants it for something else within [`WATCH_RESTS`] has a connection that is logged in.
    pub fn rest(&self) {
        self.asked.send_modify(|asked| {
            asked.wanted.command = None;
            asked.wanted.subscriptions = false;
            (asked.round, asked.status) = (asked.round + 1, false);
        });
    }

    /// The backend tells what it was asked for.
    pub fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Returns when the backend has answered, or cannot be had.
    pub async fn settled(&mut self) {
        let round = self.asked.borrow().round;
        let is_settled = |state: &State| match state {
            State::Opening => false,
            State::Up(answered) => *answered == round,
            State::Down | State::Lacks | State::Refused(_) => true,
        };
        // An error means that the task has ended, after its last state.
        let _ = self.state.wait_for(is_settled).await;
    }
}

struct Task {
    way: Way,
    asked: watch::Receiver<Asked>,
    /// The round that was asked for last.
    round: u64,
    state: watch::Sender<State>,
    inbox: Arc<Inbox>,
    status: bool,
    /// It was asked for nothing: what still comes was on its way.
    silent: bool,
    /// What LSUB has told so far.
    subscribed: HashSet<String>,
    lines: usize,
}

/// Why a connection is of no use any longer.
enum End {
    /// To be opened again.
    Lost(String),
    /// Nothing more is to be done.
    Over,
}

impl Task {
    /// Keeps the backend watched, until it is gone for too long.
    async fn run(mut self) {
        // As long as a command waits for a backend.
        let patience = self.way.client_timeout() * 3;
        let (mut lost, mut pauses) = (Instant::now(), Backoff::new(WATCH_AGAIN));
        loop {
            let End::Lost(why) = self.once().await else { return };
            debug!("backend {}: {why}: it is not watched", self.way.server());
            if matches!(self.state.send_replace(State::Down), State::Up(_)) {
                (lost, pauses) = (Instant::now(), Backoff::new(WATCH_AGAIN));
                // What happens meanwhile is told when it is back.
                self.status = true;
            }
            if self.rests() {
                return;
            }
            if lost.elapsed() >= patience {
                rows::WATCH_AGAIN.met(format_args!(
                    "backend {} cannot be watched: clients of NOTIFY are told that there is more",
                    self.way.server()
                ));
                return self.inbox.overflow();
            }
            sleep(spread(pauses.pause(WATCH_AGAIN_LAST), chance())).await;
        }
    }

    async fn once(&mut self) -> End {
        let mut link = match self.way.open().await {
            Ok(link) => link,
            Err(why) => return End::Lost(why.to_string()),
        };
        if !link.capabilities.has("NOTIFY") {
            self.state.send_replace(State::Lacks);
            self.inbox.refused();
            return End::Over;
        }
        match self.talk(&mut link).await {
            Ok(end) => end,
            Err(why) => End::Lost(why),
        }
    }

    async fn talk(&mut self, link: &mut Connection) -> Result<End, String> {
        let text = |error: upstream::wire::OutOfStep| error.to_string();
        if link.capabilities.has("XCLIENT") {
            link.command(self.way.origin().as_bytes()).map_err(text)?;
        }
        let mut open = self.ask(link, self.status)?;
        let (mut held, mut asked_at) = (BytesMut::new(), Instant::now());
        loop {
            while let Some(part) = link.part().map_err(text)? {
                match part {
                    Part::Line(line, None) => {
                        held.extend_from_slice(&line);
                        if let Some(end) = self.hear(&held.split()) {
                            return Ok(end);
                        }
                    }
                    Part::Line(bytes, Some(_)) | Part::Data(bytes, _) => held.extend_from_slice(&bytes),
                    Part::Done(id, answer) if Some(id) == open => {
                        open = None;
                        if let Some(end) = self.answered(answer) {
                            return Ok(end);
                        }
                    }
                    Part::Done(..) | Part::Continuation(_) => {}
                    Part::Bye(line) => {
                        return Ok(match kick_text(&line) {
                            Some(text) => {
                                self.inbox.kicked(text);
                                End::Over
                            }
                            None => End::Lost(String::from_utf8_lossy(&line).trim_end().to_owned()),
                        });
                    }
                }
                if held.len() > LIST_LINE {
                    return Err("a response too long".to_owned());
                }
            }
            if link.peer.ended {
                return Err("closed by the server".to_owned());
            }
            // One that is dead says nothing, and neither does one where nothing happens.
            let bound = match open {
                Some(_) => self.way.client_timeout() * 2,
                None if self.rests() => WATCH_RESTS,
                None => WATCH_ALIVE,
            };
            tokio::select! {
                moved = timeout(bound.saturating_sub(asked_at.elapsed()), poll_fn(|cx| link.peer.poll_io(cx, true))) => match moved {
                    Ok(moved) => moved.map_err(|error| error.to_string())?,
                    Err(_) if open.is_some() => return Err("it does not answer".to_owned()),
                    Err(_) if self.rests() => return Err("it has rested for long".to_owned()),
                    Err(_) => {
                        open = Some(link.command(b"NOOP").map_err(text)?);
                        asked_at = Instant::now();
                    }
                },
                changed = self.asked.changed(), if open.is_none() => {
                    if changed.is_err() {
                        return Ok(End::Over);
                    }
                    let anew = self.asked.borrow().round != self.round;
                    let status = anew && self.asked.borrow().status;
                    open = self.ask(link, status)?;
                    asked_at = Instant::now();
                }
            }
        }
    }

    /// Sends what is wanted; the last command ends it.
    fn ask(&mut self, link: &mut Connection, status: bool) -> Result<Option<Id>, String> {
        let Wanted { enabled, command, subscriptions } = {
            let asked = self.asked.borrow_and_update();
            self.round = asked.round;
            asked.wanted.clone()
        };
        let understood = |extension: Extension| {
            extension == Extension::Condstore || link.capabilities.has(extension.word())
        };
        let enable = enabled.command(understood).map(String::into_bytes);
        self.silent = command.is_none();
        let notify = match command {
            Some(command) => {
                let set = command.strip_prefix(b"NOTIFY SET").unwrap_or_default();
                [if status { &b"NOTIFY SET STATUS"[..] } else { b"NOTIFY SET" }, set].concat()
            }
            None => b"NOTIFY NONE".to_vec(),
        };
        self.subscribed.clear();
        self.lines = 0;
        let lsub = subscriptions.then(|| b"LSUB \"\" \"*\"".to_vec());
        let mut last = None;
        // The subscriptions come last: what changes meanwhile is told.
        for text in enable.into_iter().chain([notify]).chain(lsub) {
            last = Some(link.command(&text).map_err(|why| why.to_string())?);
        }
        Ok(last)
    }

    fn rests(&self) -> bool {
        self.asked.borrow().wanted.command.is_none()
    }

    fn hear(&mut self, line: &[u8]) -> Option<End> {
        if self.silent {
            return None;
        }
        let server = self.way.server();
        match Line::parse(server, line) {
            Some(Line::Told { key, mailbox, counts }) => {
                let told = Told { server: server.to_owned(), mailbox, counts, line: line.to_vec() };
                self.inbox.line(key, told);
            }
            Some(Line::Listed(listed)) => self.inbox.listed(listed),
            Some(Line::Overflow) => {
                self.inbox.overflow();
                return Some(End::Over);
            }
            None => {
                if let Some(ListLine { name, .. }) = ListLine::parse(line, Kind::Lsub) {
                    self.lines += line.len();
                    if self.lines < LINES_MAX {
                        self.subscribed.insert(name);
                    }
                }
            }
        }
        None
    }

    /// The answer to what was asked last: to a NOOP, too.
    fn answered(&mut self, answer: Answer) -> Option<End> {
        if !answer.is_ok() {
            self.state.send_replace(State::Refused(answer));
            self.inbox.refused();
            return Some(End::Over);
        }
        let up = State::Up(self.round);
        if *self.state.borrow() == up {
            return None;
        }
        if !self.silent {
            if self.asked.borrow().wanted.subscriptions {
                self.inbox.subscribed(std::mem::take(&mut self.subscribed));
            }
            self.inbox.linked(self.way.server());
        }
        self.state.send_replace(up);
        None
    }
}
