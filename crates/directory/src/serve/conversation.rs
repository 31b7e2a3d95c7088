//! One client, from when it may ask to its end.
//!
//! ```text
//! bytes ─Collector─▶ command ─Session─▶ admitted ─▶ write:  queued to the list's writer, answered when it is on disk
//!                                                 └▶ others: after all writes before them are answered
//! ```
//!
//! Commands are executed in order, but pipelined writes wait for one sync together. While nothing is to be read, the
//! conversation waits for the first of: an answer of the writer, more bytes, a change to stream, a deadline, the end.

use std::{collections::VecDeque, io, sync::Arc};

use mailboxes::{Cordons, Pending, signal::Watch};
use protocol::{
    frame::{Collected, Collector, Limits},
    location::ServerName,
    mupdate::{
        command::{Command, Tagged},
        reply::{self, Banner, Reply},
        session::Session,
        state::Write,
    },
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use transport::stream::Stream;
use transport::wire::{Bounds, Wire};

use super::{Server, VERSION, subscription::Subscription, write};
use crate::serve::limits::{AROUND, COMMAND, IDLE, INPUT, OUTPUT, PIPELINED, SKIP, WRITE};

/// A client that may ask: it has logged in, or is trusted for where it comes from.
pub struct Conversation {
    pub(super) server: Server,
    pub(super) wire: Wire,
    pub(super) session: Session,
    pub(super) stream: Option<Subscription>,
    /// A listing is on its way: whatever happens, it is not ended by a BYE, which a Cyrus peer takes for its whole.
    pub(super) listing: bool,
    /// The cordoned servers that the client was told of; none: it has not asked for them.
    pub(super) cordons: Option<Arc<Cordons>>,
    /// The list has what was acknowledged before the bytes came that are read now.
    pub(super) proven: bool,
    /// Which server the client speaks for, once it has said so.
    speaks_for: Option<String>,
    collector: Collector,
    /// Writes on their way to the disk, with the tags that wait for them.
    pending: VecDeque<(String, Pending)>,
    heard: Instant,
}

/// What a client has sent, as far as it has come.
pub enum Heard {
    Nothing,
    Command(Tagged),
    /// It waits until a literal is asked for: see [`go_ahead`].
    Literal,
    /// It cannot be understood any more, and was told so.
    End,
}

/// The next command of what has been read.
pub fn hear(wire: &mut Wire, collector: &mut Collector) -> Heard {
    let why = match collector.next(wire.buffers().0) {
        Ok(None) => return Heard::Nothing,
        Ok(Some(Collected::Command(frame))) => return Heard::Command(Tagged::parse(&frame)),
        Ok(Some(Collected::Continue(_))) => return Heard::Literal,
        // Cyrus ends its whole process here; this connection is enough.
        Ok(Some(Collected::Poisoned { why, .. })) => why.to_string(),
        Err(error) => error.to_string(),
    };
    put_bye(wire, &why);
    Heard::End
}

/// Asks for a literal.
pub async fn go_ahead(wire: &mut Wire) -> io::Result<()> {
    wire.output().extend_from_slice(b"+ go ahead\r\n");
    wire.flush().await
}

/// Whether the conversation goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    End,
}

impl Conversation {
    /// Goes on with a client that has logged in. What it sent together with its login is in the wire already.
    pub fn new(server: Server, mut wire: Wire, session: Session) -> Self {
        wire.read_ahead(INPUT);
        Conversation {
            collector: server.collector(COMMAND),
            server,
            wire,
            session,
            stream: None,
            listing: false,
            cordons: None,
            proven: false,
            speaks_for: None,
            pending: VecDeque::new(),
            heard: Instant::now(),
        }
    }

    /// Begins with a client that is trusted for where it comes from.
    pub(super) fn trusted(server: Server, stream: Stream) -> Self {
        let mut session = Session::new(false);
        session.local = true;
        session.access = server.best_access();
        let mut wire = Wire::new(stream, bounds(INPUT));
        put_banner(&mut wire, &server, &session, &[]);
        Self::new(server, wire, session)
    }

    pub async fn run(mut self, stop: CancellationToken) -> io::Result<()> {
        let ended = stop.clone();
        let talk = stop.run_until_cancelled(self.converse());
        match talk.await {
            Some(result) => result?,
            None if self.stream.is_some() || self.listing => return Ok(()),
            None => put_bye(&mut self.wire, "server shutting down"),
        }
        if ended.is_cancelled() && self.stream.is_some() {
            return Ok(());
        }
        self.wire.close().await
    }

    async fn converse(&mut self) -> io::Result<()> {
        loop {
            if self.read_commands().await? == Flow::End {
                self.settle_all().await?;
                return Ok(());
            }
            if !self.wire.output().is_empty() {
                self.wire.flush().await?;
            }
            if self.wait().await? == Flow::End {
                return Ok(());
            }
        }
    }

    /// Executes the commands that are there.
    async fn read_commands(&mut self) -> io::Result<Flow> {
        loop {
            match hear(&mut self.wire, &mut self.collector) {
                Heard::Nothing => return Ok(Flow::On),
                Heard::Command(tagged) => {
                    if self.execute(tagged).await? == Flow::End {
                        return Ok(Flow::End);
                    }
                    self.listing = false;
                    // Short questions with long answers do not pile up.
                    if self.wire.output().len() >= OUTPUT {
                        self.wire.flush().await?;
                    }
                }
                Heard::Literal => {
                    self.settle_all().await?;
                    go_ahead(&mut self.wire).await?;
                }
                Heard::End => return Ok(Flow::End),
            }
        }
    }

    async fn execute(&mut self, tagged: Tagged) -> io::Result<Flow> {
        let (tag, admitted) = self.session.admit(tagged);
        self.note_server(admitted.as_ref().ok());
        let command = match admitted {
            Ok(Command::Write { name, write, expect }) => {
                if self.server.is_replicated() && expect.is_none() {
                    self.settle_all().await?;
                    // What another master has acknowledged counts as well.
                    if !self.proven(&tag, false).await? {
                        return Ok(Flow::On);
                    }
                    if self.server.is_done_already(&name, &write) {
                        return self.answer(&tag, Reply::ok("done")).await;
                    }
                }
                let change = write::change(&self.server, &name, write, expect.as_deref());
                match change {
                    Ok(change) => return self.submit(tag, change).await,
                    Err(reply) => return self.answer(&tag, reply).await,
                }
            }
            Ok(command) => command,
            Err(reply) => return self.answer(&tag, reply).await,
        };
        self.settle_all().await?;
        match command {
            Command::Compress { .. } => self.compress(&tag).await,
            Command::Logout => {
                self.say(&tag, Reply::ok("bye-bye"));
                Ok(Flow::End)
            }
            Command::Noop => self.noop(&tag).await,
            Command::Find { name } => self.find(&tag, &name).await,
            Command::List { prefix } => self.list(&tag, prefix.as_deref()).await,
            Command::Update { servers } => self.update(&tag, servers).await,
            Command::Resume { position } => self.resume(&tag, position).await,
            Command::Status { name } => self.status(&tag, name.as_deref()).await,
            Command::Here { .. } => {
                let known = self.speaks_for.is_some();
                self.say(&tag, if known { Reply::ok("noted") } else { Reply::no("Invalid server name") });
                Ok(Flow::On)
            }
            Command::Servers => Ok(self.servers(&tag)),
            Command::Cordon { server, cordoned } => self.cordon(&tag, &server, cordoned).await,
            Command::Accept => self.accept(&tag),
            Command::Resolve { name } => self.resolve(&tag, &name).await,
            Command::Tool(tool) => self.tool(&tag, tool).await,
            // Submitted above; admitted before a login only.
            Command::Write { .. } | Command::Authenticate { .. } | Command::Starttls => Ok(Flow::On),
        }
    }

    /// Remembers which backend is heard of by this. DEACTIVATE and DELETE may well be an operator's, about one that is dead.
    fn note_server(&mut self, command: Option<&Command>) {
        let placed = match command {
            Some(Command::Here { server }) => {
                // What is no name of a server is answered as such, and is nobody's.
                self.speaks_for = ServerName::parse(server).ok().map(|name| name.as_str().to_owned());
                None
            }
            Some(Command::Write { write: Write::Reserve(at) | Write::Activate(at, _), .. })
                if !self.session.local =>
            {
                Some(at.server())
            }
            _ => None,
        };
        for server in self.speaks_for.as_deref().into_iter().chain(placed) {
            self.server.shared.seen.note(server);
        }
    }

    /// Queues a write. So many may wait for the disk; the next one waits for the oldest.
    async fn submit(&mut self, tag: String, change: mailboxes::Change) -> io::Result<Flow> {
        while self.pending.len() >= PIPELINED {
            self.settle_first().await?;
        }
        match self.server.list().submit(vec![change]).await {
            Ok(pending) => self.pending.push_back((tag, pending)),
            Err(error) => return self.answer(&tag, write::refusal(&error)?).await,
        }
        Ok(Flow::On)
    }

    async fn settle_first(&mut self) -> io::Result<()> {
        if let Some((tag, pending)) = self.pending.pop_front() {
            let reply = write::reply(pending.await)?;
            self.say(&tag, reply);
        }
        Ok(())
    }

    /// Answers everything that waits: a later command must see what earlier ones did.
    async fn settle_all(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            self.settle_first().await?;
        }
        Ok(())
    }

    async fn answer(&mut self, tag: &str, reply: Reply) -> io::Result<Flow> {
        self.settle_all().await?;
        self.say(tag, reply);
        Ok(Flow::On)
    }

    /// Waits for something to do.
    async fn wait(&mut self) -> io::Result<Flow> {
        let deadline = self.heard + IDLE;
        let wake = self.stream.as_ref().map(Subscription::wake);
        let live = self.server.list().live();
        tokio::select! {
            biased;
            answer = first(&mut self.pending) => {
                if let Some((tag, _)) = self.pending.pop_front() {
                    self.say(&tag, write::reply(answer)?);
                }
                self.settle_ready()?;
            }
            read = self.wire.read_some() => {
                if read? == 0 {
                    return Ok(Flow::End);
                }
                (self.heard, self.proven) = (Instant::now(), false);
            }
            () = cut(live), if self.stream.is_some() => return Err(io::Error::other(CUT)),
            () = Subscription::due(self.stream.as_mut(), wake), if self.stream.is_some() => {
                return self.push().await;
            }
            () = sleep_until(deadline) => {
                put_bye(&mut self.wire, IDLED);
                return Ok(Flow::End);
            }
        }
        Ok(Flow::On)
    }

    /// Answers the writes whose group is on disk already.
    fn settle_ready(&mut self) -> io::Result<()> {
        while let Some((_, pending)) = self.pending.front_mut() {
            let Ok(answer) = pending.try_recv() else { return Ok(()) };
            if let Some((tag, _)) = self.pending.pop_front() {
                self.say(&tag, write::reply(Ok(answer))?);
            }
        }
        Ok(())
    }

    /// Whether the client has shown that it is a program of ours.
    pub(super) fn is_ours(&self) -> bool {
        let numbered = self.stream.as_ref().is_some_and(Subscription::numbered);
        numbered || self.session.local || self.speaks_for.is_some() || self.cordons.is_some()
    }

    pub(super) fn say(&mut self, tag: &str, reply: Reply) {
        put_reply(&mut self.wire, tag, reply);
    }

    async fn compress(&mut self, tag: &str) -> io::Result<Flow> {
        self.say(tag, Reply::ok("DEFLATE active"));
        self.wire.compress().await?;
        self.session.compressed = true;
        self.collector = self.server.collector(COMMAND);
        Ok(Flow::On)
    }
}

/// The answer to the oldest write; never, without one.
async fn first(pending: &mut VecDeque<(String, Pending)>) -> <Pending as Future>::Output {
    match pending.front_mut() {
        Some((_, pending)) => pending.await,
        None => std::future::pending().await,
    }
}

/// Returns when a list that other masters change too cannot be asked about any more.
async fn cut(live: Option<Watch<bool>>) {
    match live {
        Some(mut live) => drop(live.wait_for(|live| !*live).await),
        None => std::future::pending().await,
    }
}

/// Greets a client with what may be done on its connection.
pub fn put_banner(wire: &mut Wire, server: &Server, session: &Session, mechanisms: &[&str]) {
    let settings = server.settings();
    let banner = Banner {
        mechanisms,
        starttls: session.starttls && !session.encrypted,
        compress: !session.compressed,
        servername: &settings.servername,
        version: VERSION,
        extensions: if server.is_master() { &OF_A_MASTER[..] } else { &OF_A_COPY },
        role: &settings.role,
    };
    let mut out = Vec::new();
    banner.put(&mut out);
    wire.output().extend_from_slice(&out);
}

pub fn put_reply(wire: &mut Wire, tag: &str, reply: Reply) {
    let mut out = Vec::with_capacity(64);
    reply.put(&mut out, tag);
    wire.output().extend_from_slice(&out);
}

pub fn put_bye(wire: &mut Wire, reason: &str) {
    let mut out = Vec::new();
    reply::put_bye(&mut out, reason);
    wire.output().extend_from_slice(&out);
}

/// The bounds of a client's wire that reads so many octets ahead.
pub fn bounds(input: usize) -> Bounds {
    Bounds { input, write: WRITE, ..Bounds::default() }
}

/// Why a stream is broken off: what it would bring may be old.
const CUT: &str = "the masters' database does not answer";

impl Server {
    /// Cuts commands of at most so many octets, with their literals.
    pub fn collector(&self, most: usize) -> Collector {
        let settings = self.settings();
        let limits = Limits { line: settings.word.min(most) + AROUND, skip: SKIP };
        Collector::new(limits, settings.literal.min(most as u64), most)
    }
}

// What one client may take: every read, write, queue and wait above has its bound here.

/// What peers of ours are told that they may use: of a master, and of any other list. A copy's entries have numbers of its
/// own, by which nothing is decided.
const OF_A_MASTER: [&str; 6] = ["RESUME", "EXPECT", "STATUS", "HERE", "SERVERS", "FENCE"];
const OF_A_COPY: [&str; 5] = ["RESUME", "EXPECT", "STATUS", "HERE", "SERVERS"];

/// Why a client is sent away.
pub const IDLED: &str = "idle for too long";
