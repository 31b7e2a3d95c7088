//! The life of a session: greeting, commands one after the other, and what is told between them.

use std::future::poll_fn;
use std::task::Poll;

use config::imapd::ServerInfo;
use protocol::frame::Piece;
use protocol::imap::capability::Moment;
use protocol::imap::{Bye, Code, Reply};
use protocol::name::MailboxName;
use protocol::spoken::Protocol;
use service::pipe::Through;
use tokio::time::Instant;
use tracing::{debug, info};
use upstream::Connection;
use upstream::wire::imap::{Event, Wire};

use super::{Session, Stop, relay};
use crate::limits::{GOOD_BYE_BOUND, IDLE_CHECK, LAST_COMMAND, rows};

impl Session {
    /// Serves the client until it goes or is sent away.
    pub async fn run(mut self) {
        let end = self.serve().await;
        let good_bye = match &end {
            Ok(()) => None,
            Err(Stop::Bye(bye)) => Some(bye.clone()),
            // Commands that are refused are answered where they are served.
            Err(Stop::Refused(_) | Stop::Relayed(_) | Stop::Backend { .. }) => {
                Some(Bye::new("Fatal error: Lost connection to selected backend"))
            }
            Err(Stop::Client(error)) => {
                debug!("client: {error}");
                None
            }
        };
        if let Some(bye) = good_bye {
            info!("session ended: {bye}");
            self.client.put_line(bye.line());
            let _ = tokio::time::timeout(GOOD_BYE_BOUND, self.client.flush()).await;
        }
        if let (Ok(()), Some(connection)) = (&end, self.beside.take()) {
            return self.go_on_beside(connection).await;
        }
        match end {
            Ok(()) => self.park_links(),
            Err(_) => self.links.close(),
        }
        self.client.peer.stream.part().await;
    }

    /// Copies what another node and the backend of this one say to each other.
    async fn go_on_beside(self, connection: Connection<Wire>) {
        let patience = self.idle_bound();
        let through = Through { context: &self.context, seat: &self.seat, patience };
        let client = (self.client.peer.stream, self.client.peer.input);
        let last_words = || Protocol::Imap.refusal("Server is shutting down");
        if let Err(error) = through.between(client, (connection.stream, connection.input), last_words).await {
            debug!("client: {error}");
        }
    }

    async fn serve(&mut self) -> Result<(), Stop> {
        self.greet().await;
        if self.over {
            return self.client.flush().await;
        }
        let mut shown = None;
        while !self.over {
            let Some(first) = self.next_command().await? else { return Ok(()) };
            if let Some(text) = self.context.notices().shutdown().await.filter(|_| !self.is_admin()) {
                return Err(Stop::notice(text));
            }
            let overdue = self.overdue();
            // Boxed, so that an idle session holds no room for the largest command.
            let done = tokio::select! {
                biased;
                done = Box::pin(crate::cmd::execute(self, first)) => Some(done),
                () = overdue => None,
            };
            match done {
                Some(done) => done?,
                None => {
                    rows::LAST_COMMAND.met("a command goes on after its session was ended: it is given up");
                    return Err(self.stopped());
                }
            }
            self.show_selected(&mut shown);
        }
        self.client.flush().await
    }

    /// Returns when the session was told to stop, and a command that is under way has had its time. At the daemon's end it has that of
    /// all sessions (`drain_timeout`).
    fn overdue(&self) -> impl Future<Output = ()> + use<> {
        let (stop, shutdown) = (self.seat.stop(), self.context.shutdown());
        async move {
            stop.cancelled().await;
            tokio::time::sleep(LAST_COMMAND).await;
            if shutdown.is_cancelled() {
                std::future::pending().await
            }
        }
    }

    /// Tells the register which mailbox is open, where that has changed.
    fn show_selected(&self, shown: &mut Option<MailboxName>) {
        let now = self.selected.as_ref().map(|selected| &selected.name);
        if now != shown.as_ref() {
            *shown = now.cloned();
            self.seat.opened(now.map(MailboxName::as_str));
        }
    }

    async fn greet(&mut self) {
        if let Some(text) = self.context.notices().shutdown().await {
            self.client.put(Bye::new(text).code(Code::Alert).line());
            self.over = true;
            return;
        }
        let capabilities = self.capability_words(Moment::Greeting);
        let imapd = self.listener.imapd();
        let who = match imapd.serverinfo {
            ServerInfo::On => format!("{} Murder IMAP {} ", imapd.servername, env!("CARGO_PKG_VERSION")),
            ServerInfo::Min => format!("{} Murder IMAP ", imapd.servername),
            ServerInfo::Off => String::new(),
        };
        let ready = Reply::ok(format!("{who}server ready")).code(Code::Capability(capabilities));
        self.client.put(ready.line(None));
        if let Some(text) = self.context.notices().motd().await {
            self.client.put(Reply::ok(text).code(Code::Alert).line(None));
        }
    }

    /// The first piece of the client's next command; `None` when the client has closed. What the selected backend
    /// has to say meanwhile goes to the client.
    async fn next_command(&mut self) -> Result<Option<Piece>, Stop> {
        let idle_since = Instant::now();
        loop {
            let clear = self.pass_on_news()?;
            if clear {
                self.follow_selected().await?;
            }
            if let Some(text) =
                self.links.kicked(self.selected.as_ref().map(|selected| selected.server.as_str()))
            {
                return Err(Stop::Bye(Bye::new(text)));
            }
            // Who does not take his answers gets no more of them: what he still asks waits.
            let clear = clear && self.client.peer.has_room();
            if clear {
                self.tell_news().await?;
            }
            if clear && let Some(piece) = self.client.poll_piece()? {
                return Ok(Some(piece));
            }
            if self.client.peer.ended && clear {
                return Ok(None);
            }
            // To log in, a client has a time that does not begin anew with each command.
            let left = self.client.time_left(self.idle_bound(), idle_since.elapsed());
            if left.is_zero() {
                if self.user.is_none() {
                    rows::BEFORE_LOGIN_BOUND.met("no login in time: the session is ended");
                }
                return Err(Stop::idle());
            }
            let selected = self.selected_server().map(str::to_owned);
            self.links.close_idle(selected.as_deref());
            let (stop, heard) = (self.seat.stop(), self.heard());
            tokio::select! {
                moved = self.move_on() => moved?,
                () = stop.cancelled() => return Err(self.stopped()),
                () = heard, if clear => {}
                () = tokio::time::sleep(left.min(IDLE_CHECK)) => {}
            }
        }
    }

    /// Lets the client's and the backends' bytes flow one step.
    async fn move_on(&mut self) -> Result<(), Stop> {
        let selected = self.selected.as_ref().map(|selected| selected.server.clone());
        let (client, links) = (&mut self.client.peer, &mut self.links);
        poll_fn(|cx| {
            let lost = |error| Stop::lost_at_rest(Some(error));
            let first = client.poll_io(cx, true).map_err(Stop::Client);
            let second = match selected.as_deref().and_then(|server| links.get_mut(server)) {
                Some(link) => link.peer.poll_io(cx, true).map_err(lost),
                None => Poll::Pending,
            };
            let others = links.poll_others(cx, selected.as_deref());
            match (first, second) {
                (Poll::Ready(Err(stop)), _) | (_, Poll::Ready(Err(stop))) => Poll::Ready(Err(stop)),
                (Poll::Pending, Poll::Pending) => others.map(Ok),
                _ => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Copies what the selected backend says of its own accord. True when it is not in the middle of a line.
    fn pass_on_news(&mut self) -> Result<bool, Stop> {
        let Some(selected) = &self.selected else { return Ok(true) };
        let Some(link) = self.links.get_mut(&selected.server) else { return Ok(true) };
        while self.client.peer.has_room() {
            match link.event().map_err(|_| Stop::lost_at_rest(None))? {
                Some(Event::Untagged(bytes)) => self.client.pass_on(bytes, link.wire.between_responses()),
                Some(Event::Bye(line)) => return Err(Stop::Bye(Bye::new(relay::bye_text(&line)))),
                // One that nobody waits for: XCLIENT's.
                Some(Event::Done(..) | Event::Continuation(_)) => {}
                None if link.peer.ended => return Err(Stop::lost_at_rest(None)),
                None => break,
            }
        }
        Ok(link.wire.between_responses())
    }
}
