//! A client of the network, from its banner to its login: it may encrypt the connection, log in, or leave.
//!
//! What it asks else is refused by [`Session::admit`]. It is sent away when it takes too long, asks too much, or others need
//! its place.

use std::io;

use directory::serve::{Heard, IDLED, bounds, go_ahead, hear, put_banner, put_bye, put_reply};
use identity::auth::Authenticator;
use protocol::{
    frame::Collector,
    mupdate::{
        command::{Command, Tagged},
        reply::Reply,
        session::{Access, Session},
    },
};
use service::sessions::Seat;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use transport::stream::Stream;
use transport::tls::ServerTls;
use transport::wire::Wire;

use super::{Gate, crowd::Stranger};
use crate::server::limits::{COMMAND, COMMANDS, INPUT, PATIENCE, rows};

/// How a client gets in.
#[derive(Default)]
pub(super) struct Guards {
    /// None: by no login.
    pub auth: Option<Authenticator>,
    pub tls: Option<ServerTls>,
    /// Its place among those who have not logged in.
    pub stranger: Option<Stranger>,
}

pub(super) struct Visitor<'a> {
    pub gate: Gate,
    pub wire: Wire,
    pub session: Session,
    pub guards: Guards,
    /// None: it is no session that anybody counts.
    pub seat: Option<&'a Seat>,
    collector: Collector,
    began: Instant,
    commands: u32,
}

/// Whether the client goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    /// It has logged in.
    In,
    End,
}

impl<'a> Visitor<'a> {
    pub fn new(gate: Gate, stream: Stream, guards: Guards, seat: Option<&'a Seat>) -> Self {
        Visitor {
            collector: gate.server.collector(COMMAND),
            gate,
            wire: Wire::new(stream, bounds(INPUT)),
            session: Session::new(guards.tls.is_some()),
            guards,
            seat,
            began: Instant::now(),
            commands: 0,
        }
    }

    /// What has logged in goes on as these; none has left, or was sent away.
    pub async fn run(mut self, stop: &CancellationToken) -> io::Result<Option<(Wire, Session)>> {
        self.banner();
        match stop.run_until_cancelled(self.stay()).await.transpose()? {
            Some(Flow::In) => return Ok(Some((self.wire, self.session))),
            Some(Flow::On | Flow::End) => {}
            None => put_bye(&mut self.wire, "server shutting down"),
        }
        self.wire.close().await?;
        Ok(None)
    }

    /// The conversation, which a stranger that is sent away leaves wherever it is, at once: whoever does not read, or is in the
    /// middle of a handshake, is not waited for.
    async fn stay(&mut self) -> io::Result<Flow> {
        let sent_away = self.guards.stranger.as_ref().map(Stranger::sent_away).unwrap_or_default();
        if let Some(result) = sent_away.run_until_cancelled(self.converse()).await {
            return result;
        }
        put_bye(&mut self.wire, CROWDED);
        let mut saying = std::pin::pin!(self.wire.flush());
        std::future::poll_fn(|cx| {
            let _ = saying.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
        Err(io::Error::other(CROWDED))
    }

    async fn converse(&mut self) -> io::Result<Flow> {
        loop {
            match self.read_commands().await? {
                Flow::On => {}
                other => return Ok(other),
            }
            if !self.wire.output().is_empty() {
                self.wire.flush().await?;
            }
            if self.wait().await? == Flow::End {
                return Ok(Flow::End);
            }
        }
    }

    /// Executes the commands that are there.
    async fn read_commands(&mut self) -> io::Result<Flow> {
        loop {
            match hear(&mut self.wire, &mut self.collector) {
                Heard::Nothing => return Ok(Flow::On),
                Heard::Command(tagged) => {
                    self.commands = self.commands.saturating_add(1);
                    if self.commands > COMMANDS {
                        rows::COMMANDS
                            .met("a client sends too many commands before its login: it is sent away");
                        put_bye(&mut self.wire, "too many commands before login");
                        return Ok(Flow::End);
                    }
                    match self.execute(tagged).await? {
                        Flow::On => {}
                        other => return Ok(other),
                    }
                }
                Heard::Literal => go_ahead(&mut self.wire).await?,
                Heard::End => return Ok(Flow::End),
            }
        }
    }

    async fn execute(&mut self, tagged: Tagged) -> io::Result<Flow> {
        let (tag, admitted) = self.session.admit(tagged);
        match admitted {
            Ok(Command::Authenticate { mechanism, initial }) => {
                match self.authenticate(&tag, &mechanism, initial).await? {
                    Flow::On if self.session.access != Access::None => Ok(Flow::In),
                    flow => Ok(flow),
                }
            }
            Ok(Command::Starttls) => self.start_tls(&tag).await,
            Ok(Command::Logout) => {
                self.say(&tag, Reply::ok("bye-bye"));
                Ok(Flow::End)
            }
            // The session admits nothing else before a login.
            Ok(_) => Ok(Flow::End),
            Err(reply) => {
                self.say(&tag, reply);
                Ok(Flow::On)
            }
        }
    }

    /// When it is sent away.
    pub fn deadline(&self) -> Instant {
        self.began + PATIENCE
    }

    /// Waits for something to do.
    async fn wait(&mut self) -> io::Result<Flow> {
        let deadline = self.deadline();
        tokio::select! {
            biased;
            read = self.wire.read_some() => {
                if read? == 0 {
                    return Ok(Flow::End);
                }
            }
            () = sleep_until(deadline) => {
                put_bye(&mut self.wire, IDLED);
                return Ok(Flow::End);
            }
        }
        Ok(Flow::On)
    }

    pub fn say(&mut self, tag: &str, reply: Reply) {
        put_reply(&mut self.wire, tag, reply);
    }

    fn banner(&mut self) {
        let channel = self.wire.stream().channel().clone();
        let mechanisms = self.guards.auth.as_ref().map(|auth| auth.mechanisms(&channel)).unwrap_or_default();
        put_banner(&mut self.wire, &self.gate.server, &self.session, &mechanisms);
    }

    async fn start_tls(&mut self, tag: &str) -> io::Result<Flow> {
        let Some(tls) = self.guards.tls.clone() else { return Ok(Flow::On) };
        self.say(tag, Reply::ok("Begin TLS negotiation now"));
        // A failed handshake leaves nothing to talk over.
        self.wire.start_tls(&tls).await?;
        self.session.encrypted = true;
        self.collector = self.gate.server.collector(COMMAND);
        self.banner();
        Ok(Flow::On)
    }
}

/// Why a client is sent away.
const CROWDED: &str = "too many connections wait for a login";
