//! What a connection may ask, given what it did before: the columns "before auth", "after UPDATE", "on a slave" of the
//! command table. Checked in Cyrus's order: syntax, login, streaming, read-only.

use super::command::{Command, Tagged};
use super::reply::Reply;

/// The state of one connection, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub access: Access,
    /// An UPDATE is under way.
    pub streaming: bool,
    pub encrypted: bool,
    pub compressed: bool,
    /// STARTTLS can be given.
    pub starttls: bool,
    /// The peer came over the socket beside the list: it may use the tools' commands.
    pub local: bool,
}

/// What the peer's identity allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    None,
    /// A name in `mupdate_readers`, or anybody on a slave.
    Read,
    /// One of `admins` on a master.
    Write,
}

/// A command that may be done, or the reply that refuses it.
pub type Admitted = Result<Command, Reply>;

impl Session {
    pub fn new(starttls: bool) -> Self {
        Session {
            access: Access::None,
            streaming: false,
            encrypted: false,
            compressed: false,
            starttls,
            local: false,
        }
    }

    /// Judges a command.
    pub fn admit(&self, tagged: Tagged) -> (String, Admitted) {
        let Tagged { tag, command } = tagged;
        let admitted = match command {
            // A client may as well be a stranger to be told of its mistakes: syntax comes first.
            Err(reply) => Err(reply),
            Ok(command) => match self.refusal(&command) {
                Some(reply) => Err(reply),
                None => Ok(command),
            },
        };
        (tag, admitted)
    }

    fn refusal(&self, command: &Command) -> Option<Reply> {
        let needs = match command {
            Command::Authenticate { .. } => return self.authenticate(),
            Command::Starttls => return self.start_tls(),
            Command::Compress { algorithm } => return self.compress(algorithm),
            Command::Logout => return None,
            Command::Noop => Needs { write: false, streaming: true },
            Command::Find { .. } | Command::List { .. } | Command::Update { .. } | Command::Resume { .. } => {
                Needs { write: false, streaming: false }
            }
            Command::Tool(_) if !self.local => return Some(Reply::bad("Unrecognized command")),
            Command::Tool(_) => Needs { write: false, streaming: false },
            Command::Status { .. } | Command::Servers => Needs { write: false, streaming: false },
            // Only a server of the murder says where it is, and only the master is told.
            Command::Here { .. } => Needs { write: true, streaming: false },
            // It is the operator of this very host, whose list others cannot write.
            Command::Accept if self.local => Needs { write: false, streaming: false },
            Command::Write { .. } | Command::Cordon { .. } | Command::Accept | Command::Resolve { .. } => {
                Needs { write: true, streaming: false }
            }
        };
        if self.access == Access::None {
            return Some(Reply::bad("Please login first"));
        }
        if self.streaming && !needs.streaming {
            return Some(Reply::bad("not legal when streaming"));
        }
        if needs.write && self.access != Access::Write {
            return Some(Reply::bad("read-only session"));
        }
        None
    }

    /// Answered with NO, though Cyrus says BAD: its clients take anything but `A01 OK` and `A01 NO` for a challenge.
    fn authenticate(&self) -> Option<Reply> {
        (self.access != Access::None).then(|| Reply::bad("already authenticated"))
    }

    fn start_tls(&self) -> Option<Reply> {
        if self.encrypted {
            Some(Reply::bad("TLS already active"))
        } else if !self.starttls {
            Some(Reply::bad("Unrecognized command"))
        } else if self.access != Access::None {
            Some(Reply::bad("Can't negotiate TLS after authentication"))
        } else {
            None
        }
    }

    fn compress(&self, algorithm: &str) -> Option<Reply> {
        // Before Cyrus's own checks: its buffers are not for strangers.
        if self.access == Access::None {
            Some(Reply::bad("Please login first"))
        } else if self.compressed {
            Some(Reply::bad("Compression already active: DEFLATE"))
        } else if !algorithm.eq_ignore_ascii_case("DEFLATE") {
            Some(Reply::no(format!("Unknown COMPRESS algorithm: {algorithm}")))
        } else {
            None
        }
    }
}

struct Needs {
    write: bool,
    /// Allowed during an UPDATE.
    streaming: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sheet's table: command, before login, streaming, on a slave.
    const TABLE: &[(&str, &str, &str, &str)] = &[
        ("AUTHENTICATE \"PLAIN\"", "yes", "BAD already authenticated", "BAD already authenticated"),
        ("STARTTLS", "yes", "BAD Can't", "BAD Can't"),
        ("COMPRESS \"DEFLATE\"", "BAD Please login", "yes", "yes"),
        ("LOGOUT", "yes", "yes", "yes"),
        ("NOOP", "BAD Please login", "yes", "yes"),
        ("FIND \"a\"", "BAD Please login", "BAD not legal", "yes"),
        ("LIST", "BAD Please login", "BAD not legal", "yes"),
        ("UPDATE", "BAD Please login", "BAD not legal", "yes"),
        ("RESERVE \"a\" \"b!c\"", "BAD Please login", "BAD not legal", "BAD read-only"),
        ("ACTIVATE \"a\" \"b!c\" \"\"", "BAD Please login", "BAD not legal", "BAD read-only"),
        ("DEACTIVATE \"a\" \"b!c\"", "BAD Please login", "BAD not legal", "BAD read-only"),
        ("DELETE \"a\"", "BAD Please login", "BAD not legal", "BAD read-only"),
    ];

    #[test]
    fn every_command_is_admitted_where_the_table_says() {
        let fresh = Session::new(true);
        let streaming = Session { access: Access::Write, streaming: true, ..fresh };
        let slave = Session { access: Access::Read, ..fresh };
        for (command, before, during, on_slave) in TABLE {
            for (session, expected) in [(fresh, before), (streaming, during), (slave, on_slave)] {
                let (_, admitted) = session.admit(Tagged::parse(format!("X0 {command}\r\n").as_bytes()));
                let got = match admitted {
                    Ok(_) => "yes".to_owned(),
                    Err(reply) => format!("{:?} {}", reply.kind, reply.text)
                        .replacen("Bad", "BAD", 1)
                        .replacen("No ", "NO ", 1),
                };
                assert!(got.starts_with(expected), "{command}: {got}, not {expected}");
            }
            let master = Session { access: Access::Write, ..fresh };
            let (_, admitted) = master.admit(Tagged::parse(format!("X0 {command}\r\n").as_bytes()));
            let session_only = command.starts_with("AUTH") || command.starts_with("STARTTLS");
            assert_eq!(admitted.is_ok(), !session_only, "{command} on a master");
        }
    }

    #[test]
    fn held_deletions_are_accepted_on_the_host_itself() {
        let slave = Session { access: Access::Read, ..Session::new(false) };
        let accepts = |session: Session| session.admit(Tagged::parse(b"X0 ACCEPT\r\n")).1;
        assert_eq!(accepts(slave), Err(Reply::bad("read-only session")));
        assert_eq!(accepts(Session { local: true, ..slave }), Ok(Command::Accept));
    }

    #[test]
    fn syntax_comes_before_everything() {
        let (_, admitted) = Session::new(false).admit(Tagged::parse(b"X0 FIND\r\n"));
        assert_eq!(admitted, Err(Reply::bad("Missing arguments")));
    }

    /// What a client may try, in any order.
    fn tried() -> impl Strategy<Value = String> {
        let commands: Vec<&str> = TABLE.iter().map(|(command, ..)| *command).collect();
        let ours = [
            "RESUME",
            "STATUS",
            "HERE \"be1\"",
            "SERVERS",
            "CORDON \"be1\"",
            "UNCORDON \"be1\"",
            "ACCEPT",
            "RESOLVE \"a\"",
            "DUMP",
            "DROP \"a\"",
            "RENEW",
            "WIPE \"a\"",
        ];
        let known = prop::sample::select([&commands[..], &ours].concat());
        prop_oneof![8 => known.prop_map(str::to_owned), 1 => "[A-Z]{0,12}( \"[a-z.!]{0,9}\"){0,4}"]
    }

    proptest! {
        /// Whatever was said before: who is not logged in reads nothing, who streams asks nothing, who may only read
        /// writes nothing, and who came over the network has none of the tools.
        #[test]
        fn no_order_of_commands_gets_more_than_the_state_allows(
            all in prop::collection::vec((tried(), any::<bool>()), 1..40),
            starttls in any::<bool>(),
            login in prop::sample::select(vec![Access::Read, Access::Write]),
        ) {
            let mut session = Session::new(starttls);
            for (text, succeeds) in all {
                let (_, admitted) = session.admit(Tagged::parse(format!("X0 {text}\r\n").as_bytes()));
                let Ok(command) = admitted else { continue };
                match command {
                    Command::Authenticate { .. } => {
                        prop_assert_eq!(session.access, Access::None);
                        if succeeds {
                            session.access = login;
                        }
                    }
                    Command::Starttls => {
                        prop_assert!(starttls && !session.encrypted && session.access == Access::None);
                        session.encrypted = true;
                    }
                    Command::Compress { .. } => {
                        prop_assert!(!session.compressed);
                        session.compressed = true;
                    }
                    Command::Logout => break,
                    Command::Noop => prop_assert!(session.access != Access::None),
                    Command::Find { .. }
                    | Command::List { .. }
                    | Command::Status { .. }
                    | Command::Servers => {
                        prop_assert!(session.access != Access::None && !session.streaming);
                    }
                    Command::Update { .. } | Command::Resume { .. } => {
                        prop_assert!(session.access != Access::None && !session.streaming);
                        session.streaming = true;
                    }
                    Command::Write { .. }
                    | Command::Cordon { .. }
                    | Command::Here { .. }
                    | Command::Accept
                    | Command::Resolve { .. } => {
                        prop_assert!(session.access == Access::Write && !session.streaming);
                    }
                    Command::Tool(_) => prop_assert!(false, "a tool's command over the network"),
                }
            }
        }
    }
}
