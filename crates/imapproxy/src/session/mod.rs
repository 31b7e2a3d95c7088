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

mod announce;
pub mod client;
mod follow;
pub mod gather;
pub mod link;
pub mod links;
pub mod owners;
pub mod parts;
pub mod pipe;
pub mod referral;
pub mod relay;
mod run;
pub mod runs;
pub mod transfer;

use std::sync::Arc;
use std::time::Duration;

use directory::lookup::Found;
use identity::auth::Login;
use mailboxes::Entry;
use protocol::imap::{Bye, Enabled, Refusal};
use protocol::name::{MailboxName, NameError};
use protocol::namespace::View;
use service::Connection;
use service::Context;
use service::sessions::Seat;
use tracing::debug;
use upstream::wire::imap::Wire;

use crate::limits::{BEFORE_LOGIN_BOUND, UNASKED};
use crate::node::{Listener, Node};
use crate::watch::Notify;
use client::Client;
use links::Links;

pub use crate::outcome::{Done, Outcome, Stop};

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
    /// Where another node's session goes on, unread: the backend of this unified node.
    pub beside: Option<upstream::Connection<Wire>>,
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
            beside: None,
            context,
            seat,
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
