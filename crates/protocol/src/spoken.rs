//! The protocols of a murder: by whom each is spoken, what it is called, and its last words to a client that cannot be served.

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Imap,
    Pop3,
    Lmtp,
    Mupdate,
    Sieve,
    Nntp,
}

impl Protocol {
    /// By the program that cyrus.conf names.
    pub fn of_program(program: &str) -> Option<Protocol> {
        match program {
            "imapd" | "imap" | "imapproxy" | "proxyd" => Some(Protocol::Imap),
            "pop3d" | "pop3proxyd" | "pop3proxy" => Some(Protocol::Pop3),
            "lmtpd" | "lmtpproxyd" | "lmtpproxy" => Some(Protocol::Lmtp),
            "mupdate" => Some(Protocol::Mupdate),
            "timsieved" | "sieveproxy" => Some(Protocol::Sieve),
            "nntpd" | "nntpproxy" => Some(Protocol::Nntp),
            _ => None,
        }
    }

    /// By the name of the entry, where nothing else is known.
    pub fn of_name(name: &str) -> Option<Protocol> {
        let prefixes = [
            ("imap", Protocol::Imap),
            ("pop3", Protocol::Pop3),
            ("kpop", Protocol::Pop3),
            ("lmtp", Protocol::Lmtp),
            ("mupdate", Protocol::Mupdate),
            ("sieve", Protocol::Sieve),
            ("nntp", Protocol::Nntp),
        ];
        prefixes.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, protocol)| *protocol)
    }

    /// Its own name, as metrics and `murder who` have it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
            Protocol::Lmtp => "lmtp",
            Protocol::Mupdate => "mupdate",
            Protocol::Sieve => "sieve",
            Protocol::Nntp => "nntp",
        }
    }

    /// What saslauthd and PAM call it.
    pub fn sasl_service(self) -> &'static str {
        match self {
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop",
            Protocol::Lmtp => "lmtp",
            Protocol::Mupdate => "mupdate",
            Protocol::Sieve => "sieve",
            Protocol::Nntp => "nntp",
        }
    }

    /// The last words to a client that cannot be served, in its protocol. `reason` is one line.
    pub fn refusal(self, reason: &str) -> String {
        match self {
            Protocol::Imap => format!("* BYE {reason}\r\n"),
            Protocol::Pop3 => format!("-ERR [SYS/TEMP] {reason}\r\n"),
            Protocol::Lmtp => format!("421 4.3.2 {reason}\r\n"),
            Protocol::Mupdate => format!("* BYE \"{reason}\"\r\n"),
            Protocol::Sieve => format!("BYE (TRYLATER) \"{reason}\"\r\n"),
            Protocol::Nntp => format!("400 {reason}\r\n"),
        }
    }
}
