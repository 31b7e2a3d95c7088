//! Which command may come when. The session is told each command and says what to do; whoever drives it does that,
//! and reports what came of it ([`Session::authenticated`], [`Session::recipient`], …) before the next command.

use super::command::{Command, CommandError, Mail, Rcpt};
use super::refusal::Refusal;
use super::reply::Reply;

/// What the driver has to do for a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Reply(Reply),
    /// Answer, then close.
    Close(Reply),
    /// Answer with capabilities.
    Hello,
    Authenticate {
        mechanism: String,
        initial: Option<String>,
    },
    StartTls,
    /// Find out whether the recipient is good, then call [`Session::recipient`].
    Recipient(Rcpt),
    /// Say `354` and take the message in; then answer for each recipient and call [`Session::reset`].
    Data,
}

/// What a listener allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// `soft_noauth`
    pub soft_noauth: bool,
    /// Bytes; 0: no limit.
    pub max_size: u64,
    pub starttls: bool,
}

/// A client's session with an LMTP server.
#[derive(Debug)]
pub struct Session {
    options: Options,
    trust: Trust,
    tls: bool,
    client: Option<String>,
    mail: Option<Mail>,
    recipients: usize,
    errors: u32,
}

/// Whether the client may deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It must authenticate first.
    None,
    /// A UNIX socket or a listener with `-a`.
    PreAuthenticated,
    Authenticated,
}

/// Recipients of one transaction.
pub const MAX_RECIPIENTS: usize = 5000;
/// So many errors in a row end the session.
pub const MAX_ERRORS: u32 = 30;

impl Session {
    pub fn new(options: Options, trust: Trust, tls: bool) -> Session {
        Session { options, trust, tls, client: None, mail: None, recipients: 0, errors: 0 }
    }

    /// What the client called itself; for Received.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    pub fn mail(&self) -> Option<&Mail> {
        self.mail.as_ref()
    }

    /// Recipients accepted in this transaction.
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    pub fn trust(&self) -> Trust {
        self.trust
    }

    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether LHLO offers STARTTLS.
    pub fn offers_starttls(&self) -> bool {
        self.options.starttls && !self.tls && self.trust == Trust::None
    }

    pub fn command(&mut self, command: Result<Command, CommandError>) -> Action {
        let action = self.act(command);
        match &action {
            Action::Reply(reply) if is_mistake(reply) => {
                self.errors += 1;
                if self.errors >= MAX_ERRORS {
                    return Action::Close(Reply::TooManyErrors);
                }
            }
            _ => self.errors = 0,
        }
        action
    }

    /// The client has proved to be an admin of this service.
    pub fn authenticated(&mut self) {
        self.trust = Trust::Authenticated;
    }

    /// TLS is up: the client begins anew.
    pub fn tls_started(&mut self) {
        self.tls = true;
        self.client = None;
        self.reset();
    }

    /// Whether the recipient was good.
    pub fn recipient(&mut self, outcome: &Result<(), Refusal>) {
        self.recipients += usize::from(outcome.is_ok());
    }

    /// The transaction is over.
    pub fn reset(&mut self) {
        self.mail = None;
        self.recipients = 0;
    }

    fn act(&mut self, command: Result<Command, CommandError>) -> Action {
        let command = match command {
            Ok(command) => command,
            Err(CommandError::Unknown) => return Action::Reply(Reply::Syntax),
            Err(CommandError::Parameters) => return Action::Reply(Reply::Parameters),
            Err(CommandError::Unrecognized) => return Action::Reply(Reply::Unrecognized),
        };
        match command {
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Data => match (&self.mail, self.recipients) {
                (None, _) => Action::Reply(Reply::NoMail),
                (Some(_), 0) => Action::Reply(Reply::NoRecipients),
                (Some(_), _) => Action::Data,
            },
            Command::Lhlo { client } => {
                self.client = Some(client);
                self.reset();
                Action::Hello
            }
            Command::Mail(mail) => self.begin(mail),
            Command::Noop => Action::Reply(Reply::Ok),
            Command::Quit => Action::Close(Reply::Bye),
            Command::Rcpt(_) if self.mail.is_none() => Action::Reply(Reply::NoMail),
            Command::Rcpt(_) if self.recipients >= MAX_RECIPIENTS => Action::Reply(Reply::TooManyRecipients),
            Command::Rcpt(rcpt) => Action::Recipient(rcpt),
            Command::Rset => {
                self.reset();
                Action::Reply(Reply::Reset)
            }
            Command::StartTls if self.mail.is_some() => Action::Reply(Reply::InTransaction),
            Command::StartTls if self.tls => Action::Reply(Reply::TlsActive),
            Command::StartTls if self.offers_starttls() => Action::StartTls,
            Command::StartTls => Action::Reply(Reply::TlsUnavailable),
            Command::Vrfy => Action::Reply(Reply::Vrfy),
        }
    }

    fn auth(&mut self, mechanism: String, initial: Option<String>) -> Action {
        match (self.trust, &self.mail) {
            (Trust::Authenticated, _) => Action::Reply(Reply::AlreadyAuthenticated),
            (_, Some(_)) => Action::Reply(Reply::InTransaction),
            (Trust::None | Trust::PreAuthenticated, None) => Action::Authenticate { mechanism, initial },
        }
    }

    fn begin(&mut self, mail: Mail) -> Action {
        let max = self.options.max_size;
        if self.trust == Trust::None {
            return Action::Reply(Reply::AuthRequired { soft: self.options.soft_noauth });
        }
        if self.mail.is_some() {
            return Action::Reply(Reply::NestedMail);
        }
        if max != 0 && mail.size.is_some_and(|size| size > max) {
            return Action::Reply(Reply::TooLarge);
        }
        self.mail = Some(mail);
        self.recipients = 0;
        Action::Reply(Reply::SenderOk)
    }
}

/// Whether a reply counts towards [`MAX_ERRORS`].
fn is_mistake(reply: &Reply) -> bool {
    matches!(
        reply,
        Reply::Syntax
            | Reply::Parameters
            | Reply::Unrecognized
            | Reply::LineTooLong
            | Reply::NestedMail
            | Reply::NoMail
            | Reply::NoRecipients
            | Reply::AuthRequired { .. }
            | Reply::UnknownMechanism
            | Reply::AuthFailed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(session: &mut Session, line: &str) -> Action {
        session.command(Command::parse(line.as_bytes()))
    }

    fn session(trust: Trust) -> Session {
        Session::new(Options { soft_noauth: true, max_size: 1000, starttls: true }, trust, false)
    }

    #[test]
    fn commands_out_of_order_are_refused() {
        let mut s = session(Trust::PreAuthenticated);
        assert_eq!(say(&mut s, "RCPT TO:<fred>"), Action::Reply(Reply::NoMail));
        assert_eq!(say(&mut s, "DATA"), Action::Reply(Reply::NoMail));
        assert_eq!(say(&mut s, "MAIL FROM:<a>"), Action::Reply(Reply::SenderOk));
        assert_eq!(say(&mut s, "MAIL FROM:<a>"), Action::Reply(Reply::NestedMail));
        assert_eq!(say(&mut s, "DATA"), Action::Reply(Reply::NoRecipients));
        assert!(matches!(say(&mut s, "RCPT TO:<fred>"), Action::Recipient(_)));
        s.recipient(&Err(Refusal::UnknownUser));
        assert_eq!(say(&mut s, "DATA"), Action::Reply(Reply::NoRecipients));
        s.recipient(&Ok(()));
        assert_eq!(say(&mut s, "DATA"), Action::Data);
        assert_eq!(say(&mut s, "RSET"), Action::Reply(Reply::Reset));
        assert_eq!(say(&mut s, "DATA"), Action::Reply(Reply::NoMail));
    }

    #[test]
    fn without_trust_there_is_no_mail() {
        let mut s = session(Trust::None);
        assert_eq!(say(&mut s, "MAIL FROM:<a>"), Action::Reply(Reply::AuthRequired { soft: true }));
        assert_eq!(say(&mut s, "STARTTLS"), Action::StartTls);
        s.tls_started();
        assert_eq!(say(&mut s, "STARTTLS"), Action::Reply(Reply::TlsActive));
        assert!(matches!(say(&mut s, "AUTH PLAIN"), Action::Authenticate { .. }));
        s.authenticated();
        assert_eq!(say(&mut s, "AUTH PLAIN"), Action::Reply(Reply::AlreadyAuthenticated));
        assert_eq!(say(&mut s, "MAIL FROM:<a> SIZE=1001"), Action::Reply(Reply::TooLarge));
        assert_eq!(say(&mut s, "MAIL FROM:<a> SIZE=1000"), Action::Reply(Reply::SenderOk));
    }

    #[test]
    fn too_many_errors_end_the_session() {
        let mut s = session(Trust::None);
        for _ in 1..MAX_ERRORS {
            assert_eq!(say(&mut s, "EHLO x"), Action::Reply(Reply::Syntax));
        }
        assert_eq!(say(&mut s, "EHLO x"), Action::Close(Reply::TooManyErrors));
    }
}
