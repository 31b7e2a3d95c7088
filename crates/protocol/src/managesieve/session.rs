//! Which command may come when (RFC 5804 section 2): before the login, and after it.

use super::{Code, Command, CommandError, Reply};

/// A client's session.
#[derive(Debug)]
pub struct Session {
    logged_in: bool,
    tls: Tls,
    errors: u32,
}

/// Whether TLS can be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Unavailable,
    Offered,
    Active,
}

/// What is to be done about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may come now.
    Do(Command),
    Say(Reply),
    /// Say it, then close.
    Close(Reply),
}

/// So many errors in a row end the session.
pub const MAX_ERRORS: u32 = 20;

impl Session {
    pub fn new(tls: Tls) -> Session {
        Session { logged_in: false, tls, errors: 0 }
    }

    pub fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    pub fn offers_starttls(&self) -> bool {
        !self.logged_in && self.tls == Tls::Offered
    }

    /// The connection is encrypted. Whatever was there before is forgotten by the caller.
    pub fn tls_started(&mut self) {
        self.tls = Tls::Active;
    }

    pub fn logged_in(&mut self) {
        self.logged_in = true;
    }

    pub fn logged_out(&mut self) {
        self.logged_in = false;
    }

    /// Judges what a client said.
    pub fn command(&mut self, command: Result<Command, CommandError>) -> Verdict {
        let command = match command {
            Ok(command) => command,
            Err(error) => return self.wrong(Reply::no(error.to_string())),
        };
        match (self.logged_in, command) {
            (_, command @ (Command::Capability | Command::Logout | Command::Noop(_))) => self.fit(command),
            (false, Command::StartTls) => match self.tls {
                Tls::Offered => self.fit(Command::StartTls),
                Tls::Active => self.wrong(Reply::no("TLS already active")),
                Tls::Unavailable => self.wrong(Reply::no("TLS not available")),
            },
            (false, command @ (Command::Authenticate { .. } | Command::XClient(_))) => self.fit(command),
            (_, Command::XClient(_)) => self.wrong(Reply::no("Already authenticated")),
            (false, _) => self.wrong(Reply::no("Authenticate first")),
            (_, Command::Authenticate { .. }) => self.wrong(Reply::no("Already authenticated")),
            (_, Command::StartTls) => self.wrong(Reply::no(match self.tls {
                Tls::Active => "TLS already active",
                _ => "STARTTLS comes before AUTHENTICATE",
            })),
            (true, command) => self.fit(command),
        }
    }

    fn fit(&mut self, command: Command) -> Verdict {
        self.errors = 0;
        Verdict::Do(command)
    }

    /// Counts an error, and says it.
    pub fn wrong(&mut self, reply: Reply) -> Verdict {
        self.errors += 1;
        match self.errors < MAX_ERRORS {
            true => Verdict::Say(reply),
            false => Verdict::Close(Reply::bye("Too many errors").code(Code::TryLater)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a line: `do`, or what is said.
    fn told(session: &mut Session, line: &str) -> String {
        match session.command(Command::parse(line.as_bytes())) {
            Verdict::Do(_) => "do".to_owned(),
            Verdict::Say(reply) => reply.text.into_owned(),
            Verdict::Close(reply) => format!("close: {}", reply.text),
        }
    }

    const ALL: &[&str] = &[
        "AUTHENTICATE \"PLAIN\"",
        "CAPABILITY",
        "CHECKSCRIPT \"keep;\"",
        "DELETESCRIPT \"a\"",
        "GETSCRIPT \"a\"",
        "HAVESPACE \"a\" 5",
        "LISTSCRIPTS",
        "LOGOUT",
        "NOOP",
        "PUTSCRIPT \"a\" \"keep;\"",
        "RENAMESCRIPT \"a\" \"b\"",
        "SETACTIVE \"a\"",
        "STARTTLS",
        "UNAUTHENTICATE",
        "XCLIENT SESSION=x",
    ];

    fn fit(session: &mut Session) -> Vec<&'static str> {
        let word = |line: &&'static str| line.split(' ').next().unwrap_or_default();
        ALL.iter().filter(|line| told(session, line) == "do").map(word).collect()
    }

    #[test]
    fn a_stranger_can_encrypt_log_in_and_leave() {
        let mut session = Session::new(Tls::Offered);
        assert_eq!(
            fit(&mut session),
            ["AUTHENTICATE", "CAPABILITY", "LOGOUT", "NOOP", "STARTTLS", "XCLIENT"]
        );
        assert_eq!(told(&mut session, "LISTSCRIPTS"), "Authenticate first");
        session.tls_started();
        assert_eq!(told(&mut session, "STARTTLS"), "TLS already active");
        assert!(!session.offers_starttls());
    }

    #[test]
    fn a_user_can_do_all_but_log_in_again() {
        let mut session = Session::new(Tls::Offered);
        session.logged_in();
        let all: Vec<_> = ALL.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let wanted: Vec<_> = all
            .into_iter()
            .filter(|word| !matches!(*word, "AUTHENTICATE" | "STARTTLS" | "XCLIENT"))
            .collect();
        assert_eq!(fit(&mut session), wanted);
        assert_eq!(told(&mut session, "AUTHENTICATE \"PLAIN\""), "Already authenticated");
        session.logged_out();
        assert_eq!(told(&mut session, "LISTSCRIPTS"), "Authenticate first");
    }

    #[test]
    fn errors_without_end_end_the_session() {
        let mut session = Session::new(Tls::Unavailable);
        for _ in 1..MAX_ERRORS {
            assert_eq!(told(&mut session, "x"), "Expected a command. Got something else.");
        }
        assert_eq!(told(&mut session, "x"), "close: Too many errors");
    }
}
