//! One client, from greeting to farewell: read a command, do it, tell what changed meanwhile, answer.
//!
//! A session's states are its fields: nobody ([`Session::user`] is none), somebody, somebody with a mailbox open
//! ([`Session::selected`]). [`Session::dispatch`] is the table of commands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use config::imapd::Imapd;
use protocol::frame::trim_line;
use protocol::imap::capability::Moment;
use protocol::imap::enabled::Manner;
use protocol::imap::{
    Assembled, Bad, Body, Bounds, Bye, Code, Command, Cursor, Enabled, Extension, Kind, Limits, Name,
    Refusal, Reply, SequenceSet, Tag,
};
use tracing::{debug, info};
use transport::stream::Stream;
use work::aside::weighed;

use super::cmd;
use super::conn::{Conn, Gone};
use super::limits::{
    BEFORE_LOGIN, COMMAND, COMMAND_BEFORE_LOGIN, LAST_COMMAND, REPLICATION, UNASKED, WRONG,
    WRONG_BEFORE_LOGIN, rows,
};
use super::named::Named;
use super::notify::{Notify, due};
use super::reply::{Outcome, Stop};
use super::selected::{Announce, Selected};
use super::server::Server;
use super::user::User;
use crate::imap::limits::WORD;
use crate::transit::Uploads;

/// A client's session.
pub struct Session {
    pub server: Arc<Server>,
    pub conn: Conn,
    /// Who is logged in.
    pub user: Option<User>,
    pub selected: Option<Selected>,
    /// The server that the mailbox which was open has moved to, and the frontend goes on at: it was just told.
    pub(super) moved: Option<String>,
    pub enabled: Enabled,
    /// What is told without being asked for, since the client's NOTIFY; none: as ever.
    pub notify: Option<Notify>,
    /// Messages that came for mailboxes that come in.
    pub uploads: Uploads,
    /// The move that this connection brings.
    pub comes: Option<crate::moving::Comes>,
    /// The pieces of a state of which not all has come.
    pub adopting: String,
    /// After this answer the session is over.
    pub over: bool,
    /// What the client's ID said first, in this session or before its login.
    pub client_id: ClientId,
    /// Wrong commands in a row.
    wrong: u32,
    since: Instant,
    pub words: Limits,
}

/// What a client says of itself is logged once, for somebody who is logged in: others could fill the log with it.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientId {
    None,
    /// To be logged after the login.
    Said(String),
    Logged,
}

impl Session {
    pub fn new(server: Arc<Server>, stream: Stream) -> Session {
        let bounds = bounds(&server.imapd, COMMAND_BEFORE_LOGIN, None);
        Session {
            conn: Conn::new(stream, bounds),
            server,
            user: None,
            selected: None,
            moved: None,
            enabled: Enabled::default(),
            notify: None,
            uploads: Uploads::default(),
            comes: None,
            adopting: String::new(),
            over: false,
            client_id: ClientId::None,
            wrong: 0,
            since: Instant::now(),
            words: bounds.words,
        }
    }

    /// Whether the session is a proxy's.
    pub fn is_proxy(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.login.proxy)
    }

    /// Serves the client until it goes or must go.
    pub async fn run(mut self) {
        let ended = match self.greet().await {
            Ok(()) => self.commands().await,
            Err(gone) => Err(gone),
        };
        if let Err(gone) = ended {
            debug!(%gone, "session ends");
            let farewell = match gone {
                Gone::Idle => {
                    if self.user.is_none() {
                        rows::BEFORE_LOGIN.met("no login in time: the session is ended");
                    }
                    Some(Bye::new("Idle for too long").code(Code::Unavailable))
                }
                Gone::Endless => {
                    rows::SKIP.met("a line without end: the session is ended");
                    Some(Bye::new("This is an IMAP server"))
                }
                Gone::Ahead => {
                    Some(Bye::new("The compression ends with UNAUTHENTICATE: wait for its answer"))
                }
                Gone::Closed | Gone::Stuck | Gone::Io(_) => None,
            };
            if let Some(bye) = farewell {
                self.conn.put(bye.line());
            }
        }
        self.conn.close().await;
        if let Some(selected) = self.selected.take() {
            selected.leave(&self.server.store).await;
        }
    }

    async fn greet(&mut self) -> Result<(), Gone> {
        if let Some(text) = self.server.shutdown_text().await {
            self.conn.put(Bye::new(text).code(Code::Alert).line());
            self.over = true;
            return self.conn.flush().await;
        }
        let capabilities = self.capabilities(Moment::Greeting);
        let banner = self.server.banner();
        let ready = Reply::ok(format!("{banner} server ready")).code(Code::Capability(capabilities));
        ready.write(None, self.conn.out());
        if let Some(text) = self.server.motd().await {
            Reply::ok(text).code(Code::Alert).write(None, self.conn.out());
        }
        self.conn.flush().await
    }

    async fn commands(&mut self) -> Result<(), Gone> {
        let mut since = Instant::now();
        while !self.over {
            // News are no sign of life of the client's.
            let silent = if self.notify.is_some() { since.elapsed() } else { Duration::ZERO };
            let patience = self.patience().saturating_sub(silent);
            let stop = self.server.stop.clone();
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.conn.put(self.server.stopped().line());
                    return self.conn.flush().await;
                }
                next = self.conn.next(patience) => Some(next?),
                () = due(self.notify.as_ref(), self.selected.as_ref()) => None,
            };
            let Some(next) = next else {
                Box::pin(self.tell_due()).await?;
                continue;
            };
            let overdue = self.overdue();
            // Boxed, so that an idle session holds no room for the largest command's state.
            let done = tokio::select! {
                biased;
                done = Box::pin(self.handle(next)) => Some(done),
                () = overdue => None,
            };
            let Some(done) = done else {
                rows::LAST_COMMAND.met("a command goes on after its session was ended: it is given up");
                self.conn.put_apart(self.server.stopped().line());
                return self.conn.flush().await;
            };
            done?;
            since = Instant::now();
            if self.notify.is_some() && !self.over {
                Box::pin(self.tell_due()).await?;
            }
            if self.conn.has_input() {
                // A client that pipelines has no more of the thread than others.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Returns when the session was told to stop, and a command that is under way has had its time. At the daemon's end it has that of
    /// all sessions (`drain_timeout`).
    fn overdue(&self) -> impl Future<Output = ()> + use<> {
        let (stop, shutdown) = (self.server.stop.clone(), self.server.context.shutdown());
        async move {
            stop.cancelled().await;
            tokio::time::sleep(LAST_COMMAND).await;
            if shutdown.is_cancelled() {
                std::future::pending().await
            }
        }
    }

    /// Tells what has happened, to a client that has said by NOTIFY what it wants to hear of.
    async fn tell_due(&mut self) -> Result<(), Gone> {
        self.tell_selected(false).await?;
        if !self.over {
            self.tell_news().await?;
        }
        self.conn.flush().await
    }

    async fn handle(&mut self, next: Assembled) -> Result<(), Gone> {
        match next {
            Assembled::Command(frame) => {
                let (words, weight) = (self.words, frame.len() / WORD);
                let parse = move || (Command::parse(&frame, words), frame);
                let (command, frame) = weighed(weight, parse).await;
                match command {
                    Ok(command) => {
                        // A command may go on for long (IDLE), and its text is of no more use.
                        drop(frame);
                        self.command(command).await?;
                    }
                    Err(bad) => match self.out_of_state(&frame) {
                        Some(refusal) => self.refuse(Bad { text: refusal.reply().text.into_owned(), ..bad }),
                        None => self.refuse(bad),
                    },
                }
            }
            Assembled::Continue(_) => self.conn.put_line("+ go ahead"),
            Assembled::Bad(bad) => self.refuse(bad),
            Assembled::Append { append, literal } => {
                let tag = append.tag.clone();
                if append.replaced.is_some() {
                    // So that the command works on what is there now.
                    self.announce(Announce::WithoutExpunge).await?;
                    if self.over {
                        return self.conn.flush().await;
                    }
                }
                let outcome = match &self.user {
                    Some(_) => cmd::append::run(self, append, literal).await,
                    None => cmd::append::give_up(self, literal, Refusal::NotLoggedIn.into()).await,
                };
                self.answer(&tag, outcome, Announce::All).await?;
            }
            Assembled::Replication { tag, text } => match self.may_replicate() {
                Ok(()) => cmd::sync::run(self, tag, text).await?,
                Err(refusal) => cmd::sync::refuse(self, tag, None, refusal).await?,
            },
            Assembled::Upload { tag, file, literal } => match self.may_replicate() {
                Ok(()) => cmd::sync::upload(self, tag, file, literal).await?,
                Err(refusal) => cmd::sync::refuse(self, tag, Some(literal), refusal).await?,
            },
            Assembled::Data { .. } | Assembled::Tail { .. } | Assembled::Skipped => {}
        }
        self.conn.flush().await
    }

    /// What a session may not say yet is refused for that, whatever its arguments are.
    fn out_of_state(&self, frame: &[u8]) -> Option<Refusal> {
        let mut cursor = Cursor::new(trim_line(frame), self.words);
        Tag::take(&mut cursor).ok()?;
        let name = cursor.read(Name::parse).ok()?;
        match &self.user {
            None if !name.before_login() => Some(Refusal::NotLoggedIn),
            Some(_) if self.selected.is_none() && name.is_of_messages() => Some(Refusal::NothingSelected),
            _ => None,
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), Gone> {
        let Command { tag, body } = command;
        if self.user.as_ref().is_some_and(|user| !user.is_admin())
            && let Some(text) = self.server.shutdown_text().await
        {
            self.conn.put(Bye::new(text).code(Code::Alert).line());
            self.over = true;
            return Ok(());
        }
        if self.server.imapd.chatty {
            info!(command = ?body, "command");
        }
        self.refresh_rights();
        if self.over {
            return Ok(());
        }
        let announce = match &body {
            // The client has asked something else, which the frontend is to ask here next.
            Body::Logout | Body::XAdopt(_) => Announce::Nothing,
            Body::Idle if self.waits_for_nothing() => Announce::Nothing,
            Body::Copy(_) | Body::Select(_) => Announce::All,
            // The client counts messages in what it sends next: none may go away (RFC 3501 section 7.4.1).
            body if body.names_numbers() => Announce::WithoutExpunge,
            Body::Status(status) if !self.has_open(&status.mailbox) => Announce::Nothing,
            _ => Announce::All,
        };
        if matches!(
            body,
            Body::Fetch(_)
                | Body::Store(_)
                | Body::Search(_)
                | Body::Sort(_)
                | Body::Thread(_)
                | Body::MultiSearch(_)
                | Body::UidBatches(_)
                | Body::Copy(_)
                | Body::Expunge(_)
        ) {
            // So that the command works on what is there now.
            self.announce(Announce::WithoutExpunge).await?;
            if self.over {
                return Ok(());
            }
            if let Some(server) = self.moved.take() {
                // Not done here: the frontend asks there.
                return self.answer(&tag, Err(Refusal::MovedTo(server).into()), Announce::Nothing).await;
            }
        }
        let selects = matches!(
            body,
            Body::Select(_) | Body::Close | Body::Unselect | Body::XClient(_) | Body::XAdopt(_)
        );
        let outcome = if self.user.is_none() && !body.before_login() {
            Err(Stop::Refused(Refusal::NotLoggedIn))
        } else if self.manner().uid_only && body.names_numbers() {
            Err(Stop::Refused(Refusal::UidRequired))
        } else {
            let timed = (!matches!(body, Body::Idle)).then(Instant::now);
            let outcome = self.dispatch(&tag, body).await;
            if let Some(began) = timed {
                service::command_took("imap", began);
            }
            outcome
        };
        if selects {
            self.server.seat.opened(self.selected.as_ref().map(|selected| selected.name.as_str()));
        }
        self.answer(&tag, outcome, announce).await
    }

    /// What changed in the open mailbox, then the tagged line.
    async fn answer(&mut self, tag: &Tag, outcome: Outcome, announce: Announce) -> Result<(), Gone> {
        let asked_again = matches!(outcome, Err(Stop::Refused(Refusal::MovedTo(_))));
        let reply = match outcome {
            Ok(reply) => reply,
            // Only a frontend of ours knows what to do with the name.
            Err(Stop::Refused(Refusal::MovedTo(_))) if self.server.seat.origin().is_none() => {
                Refusal::Moved.reply()
            }
            Err(Stop::Refused(refusal)) => refusal.reply(),
            Err(Stop::Answered) => return Ok(()),
            Err(Stop::Gone(gone)) => return Err(gone),
        };
        // The frontend asks once more elsewhere, by the numbers that the client has used: none may go away first.
        let numbered = asked_again && announce == Announce::All;
        self.announce(if numbered { Announce::WithoutExpunge } else { announce }).await?;
        self.moved = None;
        reply.write(Some(tag), self.conn.out());
        if reply.code != Some(Code::UidRequired) {
            self.note(reply.kind);
        }
        self.conn.relieve().await
    }

    fn refuse(&mut self, bad: Bad) {
        let (tag, foreign) = (bad.tag.clone(), bad.foreign);
        Refusal::from(bad).reply().write(tag.as_ref(), self.conn.out());
        if !foreign {
            self.note(Kind::Bad);
        }
    }

    /// A client that says nothing but nonsense is no IMAP client.
    pub fn note(&mut self, kind: Kind) {
        // A frontend counts for its client, and its next command is another one's mistake.
        if self.user.as_ref().is_some_and(|user| user.login.proxy) {
            return;
        }
        self.wrong = if kind == Kind::Bad { self.wrong + 1 } else { 0 };
        let limit = if self.user.is_some() { WRONG } else { WRONG_BEFORE_LOGIN };
        if self.wrong >= limit {
            rows::WRONG.met("too many wrong commands in a row: the session is ended");
            self.conn.put(Bye::new("This is an IMAP server").line());
            self.over = true;
        }
    }

    /// Whether nothing is left of what a client has had the session do since its login, so that the same user's next client may
    /// have it. COMPRESS is the connection's own. Whatever else a command leaves in a session must be looked at here.
    pub fn is_as_after_login(&self) -> bool {
        let unfinished = !self.uploads.is_empty() || !self.adopting.is_empty();
        self.selected.is_none() && self.enabled.is_empty() && self.notify.is_none() && !unfinished
    }

    /// The client asked for modification sequences: from now on it is told those of all changes. RFC 7162 section 3.1.2.1:
    /// it hears how far the open mailbox is.
    pub fn enable_condstore(&mut self) {
        if self.enabled.imply(Extension::Condstore) {
            self.tell_modseq();
        }
    }

    /// How the client is told of things.
    pub fn manner(&self) -> Manner {
        self.enabled.manner()
    }

    /// Whether the client knows of modification sequences.
    pub fn condstore(&self) -> bool {
        self.enabled.has(Extension::Condstore)
    }

    pub fn tell_modseq(&mut self) {
        if let Some(selected) = &self.selected {
            let told = Reply::told(Code::HighestModseq(selected.numbering.modseq()));
            told.write(None, self.conn.out());
        }
    }

    /// How long the client may say nothing.
    pub fn patience(&self) -> Duration {
        match self.user {
            Some(_) => self.server.imapd.timeout,
            None => BEFORE_LOGIN.saturating_sub(self.since.elapsed()).min(self.server.imapd.timeout),
        }
    }

    /// After login a client may send more; after UNAUTHENTICATE less again.
    pub fn settle_bounds(&mut self) {
        self.since = Instant::now();
        let command = if self.user.is_some() { COMMAND } else { COMMAND_BEFORE_LOGIN };
        let replication = self.may_replicate().is_ok().then_some(REPLICATION);
        let bounds = bounds(&self.server.imapd, command, replication);
        self.words = bounds.words;
        self.conn.set_bounds(bounds);
    }

    /// Who is logged in; [`Session::dispatch`] lets nobody else to the commands that ask.
    pub fn user(&self) -> Result<&User, Stop> {
        self.user.as_ref().ok_or(Stop::Refused(Refusal::NotLoggedIn))
    }

    /// The open mailbox.
    pub fn selected(&mut self) -> Result<&mut Selected, Stop> {
        self.selected.as_mut().ok_or(Stop::Refused(Refusal::NothingSelected))
    }

    /// Numbers and UIDs of the messages that a set names, in order.
    pub async fn named(&mut self, set: &SequenceSet, by_uid: bool) -> Result<Vec<(u32, u32)>, Stop> {
        let numbering = self.selected()?.numbering.clone();
        let (weight, set) = (numbering.weight(set), set.clone());
        let name = move || numbering.targets(&set, by_uid).map(|(n, record)| (n, record.uid)).collect();
        Ok(weighed(weight, name).await)
    }

    /// The same for who goes through their records; `changed_since`: of those that have changed after that.
    pub async fn targets(
        &mut self,
        set: &SequenceSet,
        by_uid: bool,
        changed_since: Option<u64>,
    ) -> Result<Named, Stop> {
        let numbering = self.selected()?.numbering.clone();
        let looked_at = changed_since.map_or(0, |_| numbering.weight(set));
        let (weight, set) = (set.ranges().max(looked_at), set.clone());
        Ok(weighed(weight, move || Named::of_set(numbering, &set, by_uid, changed_since)).await)
    }

    async fn dispatch(&mut self, tag: &Tag, body: Body) -> Outcome {
        match body {
            Body::Capability => cmd::session::capability(self),
            Body::Noop => Ok(Reply::completed()),
            Body::Check => self.selected().map(|_| Reply::completed()),
            Body::Logout => cmd::session::logout(self),
            Body::Id(fields) => cmd::session::id(self, fields),
            Body::StartTls => cmd::session::starttls(self, tag).await,
            Body::Enable(wanted) => cmd::session::enable(self, &wanted),
            Body::Compress(how) => cmd::session::compress(self, tag, &how).await,
            Body::Login(login) => cmd::login::login(self, login).await,
            Body::Authenticate(authenticate) => cmd::login::authenticate(self, authenticate).await,
            Body::Unauthenticate => cmd::login::unauthenticate(self, tag).await,
            Body::Namespace => cmd::list::namespace(self).await,
            Body::Idle => cmd::idle::run(self).await,
            Body::Select(select) => cmd::select::select(self, select).await,
            Body::Close => cmd::select::close(self).await,
            Body::Unselect => cmd::select::unselect(self).await,
            Body::Create(create) => cmd::mailbox::create(self, create, false).await,
            Body::LocalCreate(create) => cmd::mailbox::create(self, create, true).await,
            Body::Delete(name) => cmd::mailbox::delete(self, &name, false).await,
            Body::LocalDelete(name) => cmd::mailbox::delete(self, &name, true).await,
            Body::Rename(rename) => cmd::mailbox::rename(self, tag, rename).await,
            Body::Xfer(xfer) => cmd::xfer::run(self, tag, xfer).await,
            Body::XClient(origin) => cmd::node::xclient(self, origin).await,
            Body::XKick(name) => cmd::node::xkick(self, &name),
            Body::XTake(uids) => cmd::node::xtake(self, uids).await,
            Body::XAdopt(part) => cmd::node::xadopt(self, part).await,
            Body::MupdatePush(name) => cmd::mailbox::mupdate_push(self, &name).await,
            Body::Subscribe(name) => cmd::subscribe::subscribe(self, &name, true).await,
            Body::Unsubscribe(name) => cmd::subscribe::subscribe(self, &name, false).await,
            Body::Lsub(lsub) => cmd::subscribe::lsub(self, lsub).await,
            Body::List(list) => cmd::list::list(self, list).await,
            Body::Status(status) => cmd::status::status(self, status).await,
            Body::SetAcl(set) => cmd::acl::set(self, set).await,
            Body::DeleteAcl(delete) => cmd::acl::delete(self, delete).await,
            Body::GetAcl(name) => cmd::acl::get(self, &name).await,
            Body::ListRights(list) => cmd::acl::rights(self, list).await,
            Body::MyRights(name) => cmd::acl::my_rights(self, &name).await,
            Body::GetQuota(root) => cmd::quota::get(self, &root).await,
            Body::GetQuotaRoot(name) => cmd::quota::root(self, &name).await,
            Body::SetQuota(set) => cmd::quota::set(self, set).await,
            Body::GetMetadata(get) => cmd::metadata::get(self, get).await,
            Body::SetMetadata(set) => cmd::metadata::set(self, tag, set).await,
            Body::GetAnnotation(get) => cmd::metadata::annotation(self, get).await,
            Body::Warmup(mailbox) => cmd::metadata::warm_up(self, &mailbox).await,
            Body::RunAnnotator => Ok(Reply::completed()),
            Body::SetAnnotation(_) => cmd::metadata::set_annotation(),
            Body::Expunge(expunge) => cmd::expunge::run(self, expunge).await,
            Body::Fetch(fetch) => cmd::fetch::run(self, fetch).await,
            Body::Store(store) => cmd::store::run(self, store).await,
            Body::Search(search) => cmd::search::run(self, tag, search).await,
            Body::Sort(sort) => cmd::sort::sort(self, tag, sort).await,
            Body::Thread(thread) => cmd::sort::threads(self, tag, thread).await,
            Body::UidBatches(batches) => cmd::uidbatches::run(self, tag, batches),
            Body::MultiSearch(search) => cmd::multisearch::run(self, tag, search).await,
            Body::Notify(notify) => cmd::notify::run(self, notify).await,
            Body::Copy(copy) => cmd::copy::run(self, tag, copy).await,
        }
    }
}

/// What a client can make the server hold; 0 in imapd.conf is no limit but the command's.
fn bounds(imapd: &Imapd, command: usize, replication: Option<usize>) -> Bounds {
    let limit = |n: u64| if n == 0 { command as u64 } else { n.min(command as u64) };
    let size = |n: u64| usize::try_from(limit(n)).unwrap_or(command);
    Bounds {
        words: Limits { word: size(imapd.maxword), quoted: size(imapd.maxquoted) },
        literal: limit(imapd.maxliteral),
        command,
        unasked: if imapd.literalminus { UNASKED } else { u64::MAX },
        replication,
    }
}
