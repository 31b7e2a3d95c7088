//! One client, from its banner to its end.
//!
//! ```text
//! bytes ─Collector─▶ command ─Session─▶ admitted ─▶ write:  queued to the list's writer, answered when it is on disk
//!                                                 └▶ others: after all writes before them are answered
//! ```
//!
//! Commands are executed in order, but pipelined writes wait for one sync together. While nothing is to be read, the
//! conversation waits for the first of: an answer of the writer, more bytes, a change to stream, a deadline, the end.

use std::{collections::VecDeque, io, time::Duration};

use mailboxes::Pending;
use protocol::{
    frame::{Collected, Collector, Limits},
    location::ServerName,
    mupdate::{
        command::{Command, Tagged},
        reply::{self, Banner, Reply},
        session::{Access, Session},
        state::Write,
    },
};
use service::{
    auth::Authenticator,
    sessions::Seat,
    stream::Stream,
    tls::ServerTls,
    wire::{Bounds, Wire},
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Server, VERSION, auth::LINE, crowd::Stranger, subscription::Subscription, write};

/// How a client gets in.
#[derive(Default)]
pub(super) struct Guards {
    /// None: it is trusted for where it comes from.
    pub auth: Option<Authenticator>,
    pub tls: Option<ServerTls>,
    /// None: it is no session that anybody counts.
    pub seat: Option<Seat>,
    /// Its place among those who have not logged in.
    pub stranger: Option<Stranger>,
}

pub(super) struct Conversation {
    pub server: Server,
    pub wire: Wire,
    pub session: Session,
    pub guards: Guards,
    pub stream: Option<Subscription>,
    /// A listing is on its way: whatever happens, it is not ended by a BYE, which a Cyrus peer takes for its whole.
    pub listing: bool,
    /// Which server the client speaks for, once it has said so.
    speaks_for: Option<String>,
    collector: Collector,
    /// Writes on their way to the disk, with the tags that wait for them.
    pending: VecDeque<(String, Pending)>,
    began: Instant,
    heard: Instant,
    commands: u32,
}

/// Whether the conversation goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    End,
}

impl Conversation {
    pub fn new(server: Server, stream: Stream, guards: Guards) -> Self {
        let input = if guards.auth.is_some() { STRANGERS_INPUT } else { INPUT };
        let bounds = Bounds { input, write: WRITE, ..Bounds::default() };
        let mut session = Session::new(guards.tls.is_some());
        if guards.auth.is_none() {
            session.local = true;
            session.access = if server.is_master() { Access::Write } else { Access::Read };
        }
        let now = Instant::now();
        Conversation {
            collector: collector(&server, session.access),
            server,
            wire: Wire::new(stream, bounds),
            session,
            guards,
            stream: None,
            listing: false,
            speaks_for: None,
            pending: VecDeque::new(),
            began: now,
            heard: now,
            commands: 0,
        }
    }

    pub async fn run(mut self, stop: CancellationToken) -> io::Result<()> {
        self.banner();
        let ended = stop.clone();
        let talk = stop.run_until_cancelled(self.stay());
        match talk.await {
            Some(result) => result?,
            None if self.stream.is_some() || self.listing => return Ok(()),
            None => self.bye("server shutting down"),
        }
        if ended.is_cancelled() && self.stream.is_some() {
            return Ok(());
        }
        self.wire.close().await
    }

    /// The conversation, which a stranger that is sent away leaves wherever it is, at once: whoever does not read, or is in the
    /// middle of a handshake, is not waited for.
    async fn stay(&mut self) -> io::Result<()> {
        let sent_away = self.guards.stranger.as_ref().map(Stranger::sent_away).unwrap_or_default();
        if let Some(result) = sent_away.run_until_cancelled(self.converse()).await {
            return result;
        }
        self.bye(CROWDED);
        let mut saying = std::pin::pin!(self.wire.flush());
        std::future::poll_fn(|cx| {
            let _ = saying.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
        Err(io::Error::other(CROWDED))
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
            let (input, _) = self.wire.buffers();
            match self.collector.next(input) {
                Ok(None) => return Ok(Flow::On),
                Ok(Some(Collected::Command(frame))) => {
                    self.commands = self.commands.saturating_add(1);
                    if self.session.access == Access::None && self.commands > STRANGERS_COMMANDS {
                        self.bye("too many commands before login");
                        return Ok(Flow::End);
                    }
                    if self.execute(Tagged::parse(&frame)).await? == Flow::End {
                        return Ok(Flow::End);
                    }
                    self.listing = false;
                    // Short questions with long answers do not pile up.
                    if self.wire.output().len() >= OUTPUT {
                        self.wire.flush().await?;
                    }
                }
                Ok(Some(Collected::Continue(_))) => {
                    self.settle_all().await?;
                    self.wire.output().extend_from_slice(b"+ go ahead\r\n");
                    self.wire.flush().await?;
                }
                // Cyrus ends its whole process here; this connection is enough.
                Ok(Some(Collected::Poisoned { why, .. })) => {
                    self.bye(&why.to_string());
                    return Ok(Flow::End);
                }
                Err(error) => {
                    self.bye(&error.to_string());
                    return Ok(Flow::End);
                }
            }
        }
    }

    async fn execute(&mut self, tagged: Tagged) -> io::Result<Flow> {
        let (tag, admitted) = self.session.admit(tagged);
        self.note_server(admitted.as_ref().ok());
        let command = match admitted {
            Ok(Command::Write { name, write, expect }) => {
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
            Command::Authenticate { mechanism, initial } => {
                self.authenticate(&tag, &mechanism, initial).await
            }
            Command::Starttls => self.start_tls(&tag).await,
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
            Command::Accept => self.accept(&tag),
            Command::Resolve { name } => self.resolve(&tag, &name).await,
            Command::Tool(tool) => self.tool(&tag, tool).await,
            // Submitted above.
            Command::Write { .. } => Ok(Flow::On),
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
            self.settle_first().await;
        }
        match self.server.list().submit(vec![change]).await {
            Ok(pending) => self.pending.push_back((tag, pending)),
            Err(error) => return self.answer(&tag, write::refusal(&error)).await,
        }
        Ok(Flow::On)
    }

    async fn settle_first(&mut self) {
        if let Some((tag, pending)) = self.pending.pop_front() {
            let reply = write::reply(pending.await);
            self.say(&tag, reply);
        }
    }

    /// Answers everything that waits: a later command must see what earlier ones did.
    async fn settle_all(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            self.settle_first().await;
        }
        Ok(())
    }

    async fn answer(&mut self, tag: &str, reply: Reply) -> io::Result<Flow> {
        self.settle_all().await?;
        self.say(tag, reply);
        Ok(Flow::On)
    }

    /// When a client that says nothing is sent away.
    pub(super) fn deadline(&self) -> Instant {
        match self.session.access {
            Access::None => self.began + STRANGER,
            Access::Read | Access::Write => self.heard + IDLE,
        }
    }

    /// It has logged in: it may say as much as others.
    pub(super) fn is_no_stranger(&mut self) {
        self.guards.stranger = None;
        self.wire.read_ahead(INPUT);
        self.collector = collector(&self.server, self.session.access);
    }

    /// Waits for something to do.
    async fn wait(&mut self) -> io::Result<Flow> {
        let deadline = self.deadline();
        let wake = self.stream.as_ref().map(Subscription::wake);
        tokio::select! {
            biased;
            answer = first(&mut self.pending) => {
                if let Some((tag, _)) = self.pending.pop_front() {
                    self.say(&tag, write::reply(answer));
                }
                self.settle_ready();
            }
            read = self.wire.read_some() => {
                if read? == 0 {
                    return Ok(Flow::End);
                }
                self.heard = Instant::now();
            }
            () = Subscription::due(self.stream.as_mut(), wake), if self.stream.is_some() => {
                return self.push().await;
            }
            () = sleep_until(deadline) => {
                self.bye(IDLED);
                return Ok(Flow::End);
            }
        }
        Ok(Flow::On)
    }

    /// Answers the writes whose group is on disk already.
    fn settle_ready(&mut self) {
        while let Some((_, pending)) = self.pending.front_mut() {
            let Ok(answer) = pending.try_recv() else { return };
            if let Some((tag, _)) = self.pending.pop_front() {
                self.say(&tag, write::reply(Ok(answer)));
            }
        }
    }

    pub fn say(&mut self, tag: &str, reply: Reply) {
        let mut out = Vec::with_capacity(64);
        reply.put(&mut out, tag);
        self.wire.output().extend_from_slice(&out);
    }

    pub(super) fn bye(&mut self, reason: &str) {
        let mut out = Vec::new();
        reply::put_bye(&mut out, reason);
        self.wire.output().extend_from_slice(&out);
    }

    pub fn banner(&mut self) {
        let channel = self.wire.stream().channel().clone();
        let mechanisms = self.guards.auth.as_ref().map(|auth| auth.mechanisms(&channel)).unwrap_or_default();
        let settings = self.server.settings();
        let banner = Banner {
            mechanisms: &mechanisms,
            starttls: self.session.starttls && !self.session.encrypted,
            compress: !self.session.compressed,
            servername: &settings.servername,
            version: VERSION,
            role: &settings.role,
        };
        let mut out = Vec::new();
        banner.put(&mut out);
        self.wire.output().extend_from_slice(&out);
    }

    async fn start_tls(&mut self, tag: &str) -> io::Result<Flow> {
        let Some(tls) = self.guards.tls.clone() else { return Ok(Flow::On) };
        self.say(tag, Reply::ok("Begin TLS negotiation now"));
        // A failed handshake leaves nothing to talk over.
        self.wire.start_tls(&tls).await?;
        self.session.encrypted = true;
        self.collector = collector(&self.server, self.session.access);
        self.banner();
        Ok(Flow::On)
    }

    async fn compress(&mut self, tag: &str) -> io::Result<Flow> {
        self.say(tag, Reply::ok("DEFLATE active"));
        self.wire.compress().await?;
        self.session.compressed = true;
        self.collector = collector(&self.server, self.session.access);
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

fn collector(server: &Server, access: Access) -> Collector {
    let settings = server.settings();
    let most = if access == Access::None { STRANGERS_COMMAND } else { COMMAND };
    let limits = Limits { line: settings.word.min(most) + AROUND, skip: SKIP };
    Collector::new(limits, settings.literal.min(most as u64), most)
}

// What one client may take: every read, write, queue and wait above has its bound here.

/// Octets of a line beside its longest word (`maxword`, `maxquoted`); of a command with its literals (`maxliteral` each); of an
/// endless line that are skipped.
const AROUND: usize = 4096;
const COMMAND: usize = 300_000;
const SKIP: usize = 1024 * 1024;
/// Octets read ahead.
const INPUT: usize = 512 * 1024;
/// Octets of answers gathered before they are sent.
pub(super) const OUTPUT: usize = 64 * 1024;
/// How long a client may take to accept anything: a stalled slave is dropped, and resynchronises.
const WRITE: Duration = Duration::from_secs(60);
/// Writes of one client on their way to the disk.
const PIPELINED: usize = 256;
/// Time to log in, and commands before it.
const STRANGER: Duration = Duration::from_secs(120);
const STRANGERS_COMMANDS: u32 = 50;
/// Octets of a command before login, with its literals: AUTHENTICATE has a line of SASL. And octets read ahead.
const STRANGERS_COMMAND: usize = LINE + AROUND;
const STRANGERS_INPUT: usize = 64 * 1024;
/// Why a client is sent away.
pub(super) const IDLED: &str = "idle for too long";
const CROWDED: &str = "too many connections wait for a login";
/// Cyrus: 3 hours. RFC 3656: 15 minutes at least.
const IDLE: Duration = Duration::from_secs(10_800);
