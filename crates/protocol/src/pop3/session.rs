//! Which command may come when. AUTHORIZATION until a login succeeds, TRANSACTION with a maildrop, then the end.

use super::command::{Command, CommandError};
use super::maildrop::{Listing, Maildrop};
use super::reply::Reply;
use crate::origin::Origin;

/// What the driver has to do for a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Reply(Reply),
    /// A reply, and behind it the lines that [`Session::list`] gives step by step; a lone dot ends them.
    List(Reply, Listing),
    /// Answer, then close.
    Close(Reply),
    /// Say what can be done; the list depends on the connection.
    Capabilities,
    /// The mechanisms, a line each.
    Mechanisms,
    StartTls,
    /// A proxy says for whom it will log in; it is to be believed if it may act for others. Answered with [`Reply::Noop`].
    Origin(Origin),
    /// Check a password; on success open the maildrop and call [`Session::opened`].
    Login {
        user: String,
        password: Vec<u8>,
    },
    Authenticate {
        mechanism: String,
        initial: Option<String>,
    },
    /// Send the message with this UID; `top`: its header and so many lines.
    Send {
        uid: u32,
        top: Option<u32>,
    },
    /// Remove these messages, then say goodbye.
    Update(Vec<u32>),
}

/// A client's session.
#[derive(Debug)]
pub struct Session {
    state: State,
    tls: Tls,
    errors: u32,
}

#[derive(Debug)]
enum State {
    Authorization { user: Option<String> },
    Transaction(Maildrop),
}

/// Whether TLS can be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Unavailable,
    Offered,
    Active,
}

/// So many errors in a row end the session.
pub const MAX_ERRORS: u32 = 20;

impl Session {
    pub fn new(tls: Tls) -> Session {
        Session { state: State::Authorization { user: None }, tls, errors: 0 }
    }

    pub fn offers_stls(&self) -> bool {
        self.tls == Tls::Offered && !self.is_logged_in()
    }

    pub fn is_logged_in(&self) -> bool {
        matches!(self.state, State::Transaction(_))
    }

    /// Takes a command. `plaintext`: whether USER and PASS may be used on this connection.
    pub fn command(&mut self, command: Result<Command, CommandError>, plaintext: bool) -> Action {
        let action = match command {
            Ok(command) => self.act(command, plaintext),
            Err(CommandError::Unknown) => Action::Reply(Reply::Unknown),
            Err(CommandError::Missing) => Action::Reply(Reply::Missing),
            Err(CommandError::Extra) => Action::Reply(Reply::Extra),
            Err(CommandError::Bad) => Action::Reply(Reply::Bad),
        };
        match &action {
            Action::Reply(
                Reply::Unknown
                | Reply::Missing
                | Reply::Extra
                | Reply::Bad
                | Reply::WrongState
                | Reply::PlaintextRefused
                | Reply::NoSuchMessage,
            ) => {
                self.errors += 1;
                if self.errors >= MAX_ERRORS {
                    return Action::Close(Reply::TooManyErrors);
                }
            }
            _ => self.errors = 0,
        }
        action
    }

    /// A login succeeded and its maildrop is open.
    pub fn opened(&mut self, maildrop: Maildrop) {
        self.state = State::Transaction(maildrop);
    }

    /// The next lines of a listing, some at a time. True at its end.
    pub fn list(&self, listing: &mut Listing, out: &mut Vec<u8>) -> bool {
        match &self.state {
            State::Transaction(maildrop) => maildrop.list(listing, out),
            State::Authorization { .. } => true,
        }
    }

    /// TLS is up: the client begins anew.
    pub fn tls_started(&mut self) {
        *self = Session::new(Tls::Active);
    }

    fn act(&mut self, command: Command, plaintext: bool) -> Action {
        match &mut self.state {
            State::Authorization { user } => match command {
                Command::User(_) | Command::Pass(_) if !plaintext => Action::Reply(Reply::PlaintextRefused),
                Command::User(name) => {
                    *user = Some(name);
                    Action::Reply(Reply::UserOk)
                }
                Command::Pass(password) => match user.take() {
                    Some(user) => Action::Login { user, password },
                    None => Action::Reply(Reply::NeedUser),
                },
                Command::Apop { .. } => Action::Reply(Reply::ApopRefused),
                Command::Auth { mechanism: None, .. } => Action::Mechanisms,
                Command::Auth { mechanism: Some(mechanism), initial } => {
                    Action::Authenticate { mechanism, initial }
                }
                Command::Stls => self.stls(),
                Command::Capa => Action::Capabilities,
                Command::Quit => Action::Close(Reply::Bye),
                Command::Noop => Action::Reply(Reply::Noop),
                Command::XClient(origin) => Action::Origin(origin),
                Command::Dele(_)
                | Command::List(_)
                | Command::Retr(_)
                | Command::Rset
                | Command::Stat
                | Command::Top { .. }
                | Command::Uidl(_) => Action::Reply(Reply::WrongState),
            },
            State::Transaction(maildrop) => transaction(command, maildrop),
        }
    }

    fn stls(&self) -> Action {
        match self.tls {
            Tls::Offered => Action::StartTls,
            Tls::Active => Action::Reply(Reply::TlsActive),
            Tls::Unavailable => Action::Reply(Reply::TlsUnavailable),
        }
    }
}

fn transaction(command: Command, maildrop: &mut Maildrop) -> Action {
    let missing = |_| Action::Reply(Reply::NoSuchMessage);
    match command {
        Command::Stat => {
            let (count, size) = maildrop.stat();
            Action::Reply(Reply::Stat { count, size })
        }
        Command::List(Some(number)) => match maildrop.get(number) {
            Ok(message) => Action::Reply(Reply::Size { number, size: message.size }),
            Err(error) => missing(error),
        },
        Command::List(None) => Action::List(Reply::ListFollows, Listing::new(false)),
        Command::Uidl(Some(number)) => match maildrop.get(number) {
            Ok(message) => Action::Reply(Reply::UniqueId { number, id: maildrop.unique_id(message) }),
            Err(error) => missing(error),
        },
        Command::Uidl(None) => Action::List(Reply::ListFollows, Listing::new(true)),
        Command::Retr(number) => {
            maildrop.get(number).map_or_else(missing, |message| Action::Send { uid: message.uid, top: None })
        }
        Command::Top { message: number, lines } => maildrop
            .get(number)
            .map_or_else(missing, |message| Action::Send { uid: message.uid, top: Some(lines) }),
        Command::Dele(_) if !maildrop.may_delete() => Action::Reply(Reply::Denied),
        Command::Dele(number) => {
            maildrop.delete(number).map_or_else(missing, |()| Action::Reply(Reply::Deleted))
        }
        Command::Rset => {
            maildrop.reset();
            Action::Reply(Reply::Reset)
        }
        Command::Noop => Action::Reply(Reply::Noop),
        Command::Capa => Action::Capabilities,
        Command::Quit => Action::Update(maildrop.deleted()),
        Command::Apop { .. }
        | Command::Auth { .. }
        | Command::Pass(_)
        | Command::Stls
        | Command::User(_)
        | Command::XClient(_) => Action::Reply(Reply::WrongState),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pop3::maildrop::Message;

    /// A transcript: each line of the client with what the session does.
    fn say(session: &mut Session, line: &str) -> String {
        match session.command(Command::parse(line.as_bytes()), true) {
            Action::Reply(reply) | Action::Close(reply) => reply.to_string(),
            Action::List(reply, mut listing) => {
                let mut lines = Vec::new();
                assert!(session.list(&mut listing, &mut lines));
                let lines = String::from_utf8(lines).unwrap();
                format!("{reply} | {}", lines.trim_end().replace("\r\n", " | "))
            }
            other => format!("{other:?}"),
        }
    }

    fn opened() -> Session {
        let mut session = Session::new(Tls::Offered);
        let message = |uid, size| Message { uid, size };
        session.opened(Maildrop::new(9, vec![message(1, 100), message(4, 50)]));
        session
    }

    #[test]
    fn before_login_there_is_no_mail() {
        let mut s = Session::new(Tls::Offered);
        assert_eq!(say(&mut s, "STAT"), "-ERR Not permitted now");
        assert_eq!(say(&mut s, "PASS x"), "-ERR Must give USER command");
        assert_eq!(say(&mut s, "USER fred"), "+OK Name is a valid mailbox");
        assert_eq!(say(&mut s, "PASS a b"), "Login { user: \"fred\", password: [97, 32, 98] }");
        assert_eq!(say(&mut s, "STLS"), "StartTls");
        assert_eq!(say(&mut s, "APOP fred 00"), Reply::ApopRefused.to_string());
        assert_eq!(s.command(Command::parse(b"USER x"), false), Action::Reply(Reply::PlaintextRefused));
    }

    #[test]
    fn a_maildrop_is_listed_and_emptied() {
        let mut s = opened();
        assert_eq!(say(&mut s, "STAT"), "+OK 2 150");
        assert_eq!(say(&mut s, "LIST"), "+OK list follows | 1 100 | 2 50");
        assert_eq!(say(&mut s, "UIDL 2"), "+OK 2 9.4");
        assert_eq!(say(&mut s, "RETR 2"), "Send { uid: 4, top: None }");
        assert_eq!(say(&mut s, "DELE 2"), "+OK message deleted");
        assert_eq!(say(&mut s, "TOP 2 1"), "-ERR No such message");
        assert_eq!(say(&mut s, "LIST"), "+OK list follows | 1 100");
        assert_eq!(say(&mut s, "USER fred"), "-ERR Not permitted now");
        assert_eq!(say(&mut s, "QUIT"), "Update([4])");
    }

    #[test]
    fn rset_keeps_everything() {
        let mut s = opened();
        say(&mut s, "DELE 1");
        assert_eq!(say(&mut s, "RSET"), "+OK all messages kept");
        assert_eq!(say(&mut s, "QUIT"), "Update([])");
    }

    #[test]
    fn too_many_errors_end_the_session() {
        let mut s = opened();
        let last = (0..MAX_ERRORS).map(|_| say(&mut s, "RETR 9")).last();
        assert_eq!(last.as_deref(), Some("-ERR Too many errors"));
    }
}
