//! One client's session: its commands, one after the other, each answered here or by the backend that it concerns.
//!
//! 1. [`Session::run`] waits for the client's next command; what the selected backend says meanwhile goes through.
//! 2. [`crate::cmd::execute`] looks at the verb. Commands about the session are answered here; commands about
//!    messages go to the selected backend ([`pipe`]); commands about a mailbox go to the backend that has it.
//! 3. What comes back is copied by [`relay`] until the tagged line.
//!
//! A connection to a backend is opened when a command needs it and kept for the session ([`links`]). When the session has ended
//! as it should, the same user's next one may take it over ([`crate::parked`]). What several backends must answer is asked of all
//! of them at once ([`gather`]).

pub mod client;
pub mod gather;
pub mod link;
pub mod links;
pub mod parts;
pub mod pipe;
pub mod referral;
pub mod relay;
pub mod runs;
pub mod transfer;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use config::imapd::ServerInfo;
use directory::lookup::Found;
use identity::auth::Login;
use mailboxes::Entry;
use protocol::frame::Piece;
use protocol::imap::capability::Moment;
use protocol::imap::{Bye, Code, Enabled, Refusal, Reply};
use protocol::name::{MailboxName, NameError};
use protocol::namespace::View;
use service::Connection;
use service::Context;
use service::sessions::Seat;
use tokio::time::Instant;
use tracing::{debug, info};
use upstream::wire::imap::{Answer, Event};

use crate::limits::{BEFORE_LOGIN_BOUND, GOOD_BYE_BOUND, IDLE_CHECK, LAST_COMMAND, UNASKED, rows};
use crate::node::{Listener, Node};
use crate::watch::Notify;
use client::Client;
use links::Links;

/// A session and everything it holds.
pub struct Session {
    pub node: Arc<Node>,
    pub listener: Arc<Listener>,
    pub client: Client,
    pub links: Links,
    pub user: Option<User>,
    pub selected: Option<Selected>,
    /// What every backend of the session is told with ENABLE.
    pub enabled: Enabled,
    /// What the client's NOTIFY has left; none: nothing was said yet.
    pub notify: Option<Notify>,
    /// The arguments of the client's ID, raw, to be told to each backend.
    pub id: Option<Vec<u8>>,
    /// The client has shown that it follows mailbox referrals.
    pub follows_referrals: bool,
    /// Syntax errors in a row.
    pub mistakes: u32,
    /// The last reply ends the session.
    pub over: bool,
    pub context: Context,
    /// The session's entry in the register of who is on.
    pub seat: Seat,
}

/// Who the client is.
#[derive(Debug, Clone)]
pub struct User {
    pub login: Login,
    /// Names of mailboxes are told and taken in UTF-8.
    pub utf8: bool,
    pub inbox: Option<MailboxName>,
}

impl User {
    pub fn id(&self) -> &str {
        &self.login.userid
    }

    pub fn is_admin(&self) -> bool {
        self.login.is_any_admin()
    }

    pub fn view(&self) -> View<'_> {
        View { userid: &self.login.userid, admin: self.is_admin(), utf8: self.utf8 }
    }
}

/// The selected mailbox.
#[derive(Debug, Clone)]
pub struct Selected {
    pub server: String,
    pub name: MailboxName,
    pub read_only: bool,
}

/// A mailbox and who has it.
#[derive(Debug, Clone)]
pub struct Located {
    pub name: MailboxName,
    pub entry: Entry,
}

impl Located {
    pub fn server(&self) -> &str {
        self.entry.server()
    }
}

/// How a command ends that was served.
#[derive(Debug)]
pub enum Done {
    /// As this node says.
    Here(Reply),
    /// As a backend said of it, NO and BAD among that.
    There(Answer),
    /// The tagged line is written already.
    Told,
}

/// How a command ends.
pub type Outcome = Result<Done, Stop>;

impl Done {
    /// What most commands that are served here say.
    pub fn completed() -> Done {
        Done::Here(Reply::completed())
    }
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Done {
        Done::There(answer)
    }
}

/// Why a command does not go on.
#[derive(Debug)]
pub enum Stop {
    /// It is not done.
    Refused(Refusal),
    /// A backend did not do what was asked of it for the command.
    Relayed(Answer),
    /// A backend cannot be had, or was lost.
    Backend { server: String, why: String },
    /// The session ends; the client is told why.
    Bye(Bye),
    /// The client is gone.
    Client(io::Error),
}

impl Stop {
    /// The connection to the selected backend is lost, and with it what the client knows of its mailbox.
    pub fn lost() -> Stop {
        Stop::Bye(Bye::new("Fatal error: Lost connection to selected backend"))
    }

    /// The same while no command is under way.
    fn lost_at_rest(why: Option<io::Error>) -> Stop {
        let text = "Fatal error: Lost connection to input stream";
        Stop::Bye(match why {
            Some(error) => Bye::new(format!("{text} ({error})")),
            None => Bye::new(text),
        })
    }

    pub fn idle() -> Stop {
        Stop::Bye(Bye::new("Idle for too long").code(Code::Unavailable))
    }

    /// An operator's notice.
    pub fn notice(text: String) -> Stop {
        Stop::Bye(Bye::new(text).code(Code::Alert))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl Session {
    pub fn new(node: Arc<Node>, connection: Connection) -> Self {
        let Connection { stream, listener, context, seat, .. } = connection;
        let unasked = if listener.imapd().literalminus { UNASKED } else { u64::MAX };
        Session {
            node,
            listener,
            client: Client::new(stream, BEFORE_LOGIN_BOUND, unasked),
            links: Links::new(seat.clone()),
            user: None,
            selected: None,
            enabled: Enabled::default(),
            notify: None,
            id: None,
            follows_referrals: false,
            mistakes: 0,
            over: false,
            context,
            seat,
        }
    }

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
        match end {
            Ok(()) => self.park_links(),
            Err(_) => self.links.close(),
        }
        self.client.peer.stream.part().await;
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
        let capabilities = crate::capability::words(self, Moment::Greeting);
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

    /// Why a session that was told to stop ends.
    pub fn stopped(&self) -> Stop {
        let daemon_ends = self.context.shutdown().is_cancelled();
        if let Some(text) = self.seat.denied().filter(|_| !daemon_ends) {
            return Stop::notice(text);
        }
        Stop::Bye(Bye::new(if daemon_ends { SHUTTING_DOWN } else { KICKED }))
    }

    /// How long the client may say nothing.
    pub fn idle_bound(&self) -> Duration {
        if self.user.is_some() { self.listener.imapd().timeout } else { BEFORE_LOGIN_BOUND }
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

    fn is_admin(&self) -> bool {
        self.user.as_ref().is_some_and(User::is_admin)
    }

    pub fn selected_server(&self) -> Option<&str> {
        self.selected.as_ref().map(|selected| selected.server.as_str())
    }

    /// Who is logged in; commands before login never come here.
    pub fn user(&self) -> Result<&User, Stop> {
        self.user.as_ref().ok_or(Stop::Refused(Refusal::NotLoggedIn))
    }

    /// The internal name of what the client calls `external`.
    pub fn internal(&self, external: &str) -> Result<MailboxName, Stop> {
        let view = self.user()?.view();
        self.node.namespace.internal(external, &view).map_err(|error| match error {
            NameError::Invalid if view.utf8 => Refusal::UnfitName.into(),
            error => Refusal::from(error).into(),
        })
    }

    /// Which backend has a mailbox. A miss is asked upstream before it is believed.
    pub async fn locate(&self, external: &str) -> Result<Located, Stop> {
        let name = self.internal(external)?;
        self.locate_name(name).await
    }

    /// The same of a mailbox that messages are to go into: one that is missing, and that the client may create, is told so (as Cyrus
    /// does; RFC 3501 sections 6.3.11 and 6.4.7).
    pub async fn locate_target(&self, external: &str) -> Result<Located, Stop> {
        let name = self.internal(external)?;
        match self.locate_name(name.clone()).await {
            Err(Stop::Refused(Refusal::NoMailbox)) => {
                let viewer = crate::cmd::list::viewer(self)?;
                let may = viewer.may_create(&name).map_err(crate::node::unreadable)?;
                Err(if may { Refusal::TryCreate } else { Refusal::NoMailbox }.into())
            }
            other => other,
        }
    }

    pub async fn locate_name(&self, name: MailboxName) -> Result<Located, Stop> {
        match self.node.directory.find(&name).await {
            Found::Active(entry) => Ok(Located { name, entry }),
            Found::Reserved => Err(Refusal::Reserved.into()),
            Found::Missing => Err(Refusal::NoMailbox.into()),
            Found::Unknown(_) => Err(Refusal::ListUnsure.into()),
        }
    }

    /// The server of the user's INBOX; `None` if he has none.
    pub async fn home(&self) -> Result<Option<String>, Stop> {
        let Some(inbox) = self.user()?.inbox.clone() else { return Ok(None) };
        match self.node.directory.find(&inbox).await {
            Found::Active(entry) => Ok(Some(entry.server().to_owned())),
            Found::Missing => Ok(None),
            Found::Reserved => Err(Refusal::Reserved.into()),
            Found::Unknown(_) => Err(Refusal::ListUnsure.into()),
        }
    }

    /// What the list says after our own change: it must be seen here before the client hears that it is done.
    pub async fn catch_up(&self) {
        if let Err(error) = self.node.directory.barrier().await {
            debug!("the list may be behind: {error}");
        }
    }
}

/// Texts that clients see.
const SHUTTING_DOWN: &str = "Server shutting down";
const KICKED: &str = "Session ended by an administrator";
