//! Which command may come when: the same on a frontend as on a backend.
//!
//! | | before login | after it, or where nobody need log in |
//! | --- | --- | --- |
//! | AUTHINFO, STARTTLS | yes | 502 |
//! | CAPABILITIES, DATE, HELP, LIST, MODE, QUIT, SLAVE, COMPRESS | yes | yes |
//! | IHAVE, CHECK, TAKETHIS | 480 | unless the listener is for readers only (502) |
//! | everything else | 480 | unless it is for feeders only (502) |

use super::command::{Command, CommandError, List};
use super::no::No;
use super::reply::Reply;
use crate::origin::Origin;

/// What a listener is, and what a connection can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Not `-f`.
    pub reads: bool,
    /// Not `-r`.
    pub feeds: bool,
    /// `allowanonymouslogin`: whoever has not logged in may do what `anonymous` may.
    pub anonymous: bool,
    pub tls: Tls,
}

/// Whether TLS can be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Unavailable,
    Offered,
    Active,
}

/// What the driver has to do for a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Reply(Reply),
    /// Take the article in that follows, and only then answer.
    Swallow(Reply),
    Close(Reply),
    /// Say what can be done; the list depends on the connection.
    Capabilities,
    /// The greeting again.
    Greet,
    StartTls,
    Compress,
    /// A proxy says for whom it will log in; it is to be believed if it may act for others. Answered with [`Reply::OriginNoted`].
    Origin(Origin),
    /// Check a password; then [`Session::logged_in`].
    Login {
        user: String,
        password: Vec<u8>,
    },
    Authenticate {
        mechanism: String,
        initial: Option<String>,
    },
    /// It is about news, and may be done.
    Serve(Command),
}

/// A client's session.
#[derive(Debug)]
pub struct Session {
    options: Options,
    state: State,
    compressed: bool,
    errors: u32,
}

#[derive(Debug)]
enum State {
    Stranger { user: Option<String> },
    LoggedIn,
}

impl Session {
    pub fn new(options: Options) -> Session {
        Session { options, state: State::Stranger { user: None }, compressed: false, errors: 0 }
    }

    pub fn is_logged_in(&self) -> bool {
        matches!(self.state, State::LoggedIn)
    }

    /// Logged in, or need not be.
    pub fn is_known(&self) -> bool {
        self.is_logged_in() || self.options.anonymous
    }

    pub fn options(&self) -> Options {
        self.options
    }

    pub fn offers_starttls(&self) -> bool {
        self.options.tls == Tls::Offered && !self.is_logged_in() && !self.compressed
    }

    pub fn offers_compress(&self) -> bool {
        !self.compressed
    }

    /// Takes a command. `plaintext`: whether AUTHINFO USER and PASS may be used on this connection.
    pub fn command(&mut self, command: Result<Command, CommandError>, plaintext: bool) -> Action {
        let action = match command {
            Ok(command) => self.act(command, plaintext),
            Err(error) => Action::Reply(error.into()),
        };
        self.counted(action)
    }

    /// The session ends after too many wrong commands in a row.
    fn counted(&mut self, action: Action) -> Action {
        match &action {
            Action::Reply(Reply::No(
                No::Unknown
                | No::Missing
                | No::Extra
                | No::Bad
                | No::UnknownList
                | No::NeedLogin
                | No::NeedUser
                | No::Denied
                | No::PlaintextRefused,
            )) => {
                self.errors += 1;
                if self.errors >= MAX_ERRORS {
                    return Action::Close(Reply::No(No::Unavailable("Too many errors".to_owned())));
                }
            }
            _ => self.errors = 0,
        }
        action
    }

    pub fn logged_in(&mut self) {
        self.state = State::LoggedIn;
    }

    pub fn compressed(&mut self) {
        self.compressed = true;
    }

    /// TLS is up: the client begins anew.
    pub fn tls_started(&mut self) {
        *self = Session::new(Options { tls: Tls::Active, ..self.options });
    }

    fn act(&mut self, command: Command, plaintext: bool) -> Action {
        match command {
            Command::AuthUser(_) | Command::AuthPass(_) | Command::AuthSasl { .. } | Command::XClient(_)
                if self.is_logged_in() =>
            {
                Action::Reply(Reply::No(No::AlreadyLoggedIn))
            }
            Command::AuthUser(_) | Command::AuthPass(_) if !plaintext => {
                Action::Reply(Reply::No(No::PlaintextRefused))
            }
            Command::AuthUser(user) => {
                self.state = State::Stranger { user: Some(user) };
                Action::Reply(Reply::GivePass)
            }
            Command::AuthPass(password) => match &mut self.state {
                State::Stranger { user } => match user.take() {
                    Some(user) => Action::Login { user, password },
                    None => Action::Reply(Reply::No(No::NeedUser)),
                },
                State::LoggedIn => Action::Reply(Reply::No(No::AlreadyLoggedIn)),
            },
            Command::AuthSasl { mechanism, initial } => Action::Authenticate { mechanism, initial },
            Command::XClient(origin) => Action::Origin(origin),
            Command::StartTls => self.starttls(),
            Command::Compress if self.compressed => Action::Reply(Reply::No(No::AlreadyCompressed)),
            Command::Compress => Action::Compress,
            Command::Capabilities => Action::Capabilities,
            Command::Quit => Action::Close(Reply::Bye),
            Command::Slave => Action::Reply(Reply::SlaveNoted),
            Command::ModeReader if self.options.reads => Action::Greet,
            Command::ModeStream if self.options.feeds => Action::Reply(Reply::StreamingAllowed),
            Command::ModeReader | Command::ModeStream => Action::Reply(Reply::No(No::Denied)),
            Command::List(List::Unsupported(_)) => Action::Reply(Reply::No(No::UnsupportedList)),
            Command::TakeThis(_) if !self.is_known() => Action::Swallow(Reply::No(No::NeedLogin)),
            Command::TakeThis(_) if !self.options.feeds => Action::Swallow(Reply::No(No::Denied)),
            Command::Ihave(_) | Command::Check(_) | Command::TakeThis(_) => {
                self.guarded(command, self.options.feeds)
            }
            Command::Date | Command::Help => Action::Serve(command),
            Command::List(_) if !self.options.reads => Action::Reply(Reply::No(No::Denied)),
            Command::List(_) => Action::Serve(command),
            Command::Article(..)
            | Command::Group(_)
            | Command::Hdr { .. }
            | Command::Last
            | Command::ListGroup { .. }
            | Command::NewGroups(_)
            | Command::NewNews { .. }
            | Command::Next
            | Command::Over { .. }
            | Command::Post
            | Command::XPat { .. } => self.guarded(command, self.options.reads),
        }
    }

    fn guarded(&self, command: Command, allowed: bool) -> Action {
        if !self.is_known() {
            Action::Reply(Reply::No(No::NeedLogin))
        } else if !allowed {
            Action::Reply(Reply::No(No::Denied))
        } else {
            Action::Serve(command)
        }
    }

    fn starttls(&self) -> Action {
        match self.options.tls {
            Tls::Active => Action::Reply(Reply::No(No::AlreadySecure)),
            Tls::Unavailable => Action::Reply(Reply::No(No::TlsUnavailable)),
            // RFC 8054 section 2.2.2, RFC 4642 section 2.2.
            Tls::Offered if self.compressed => Action::Reply(Reply::No(No::AlreadyCompressed)),
            Tls::Offered if self.is_logged_in() => Action::Reply(Reply::No(No::AlreadyLoggedIn)),
            Tls::Offered => Action::StartTls,
        }
    }
}

impl From<CommandError> for Reply {
    fn from(error: CommandError) -> Reply {
        match error {
            CommandError::Unknown => Reply::No(No::Unknown),
            CommandError::Missing => Reply::No(No::Missing),
            CommandError::Extra => Reply::No(No::Extra),
            CommandError::Bad => Reply::No(No::Bad),
            CommandError::UnknownList => Reply::No(No::UnknownList),
        }
    }
}

/// So many errors in a row end the session.
pub const MAX_ERRORS: u32 = 20;

#[cfg(test)]
mod tests;
