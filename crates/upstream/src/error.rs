//! What can go wrong between a proxy and a backend, and whether another try may help.

use std::{io, time::Duration};

use identity::demand::Refusal;

/// Why there is no connection to a backend. Every variant names the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its name or port could not be resolved, or the connection was refused or broken.
    #[error("{server}: {doing}: {source}")]
    Io { server: String, doing: &'static str, source: io::Error },
    /// It did not answer within `client_timeout`.
    #[error("{server}: {doing}: no answer within {} s", bound.as_secs())]
    Timeout { server: String, doing: &'static str, bound: Duration },
    /// It failed a moment ago: not tried again until a probe has reached it.
    #[error("{server}: not tried, because: {why}")]
    Down { server: String, why: String },
    /// Its name came with the list of mailboxes and says more than a name: a port, a path, a flag.
    #[error("backend {server:?}: more than a host's name, and not in serverlist: not used")]
    Strange { server: String },
    /// It spoke something else than the protocol.
    #[error("{server}: {doing}: unexpected answer {text:?}")]
    Protocol { server: String, doing: &'static str, text: String },
    /// It offers no SASL mechanism that the configuration admits, and no STARTTLS that would bring one.
    /// `withheld`: one that tells the password would do, and there is no TLS.
    #[error("{server}: no usable SASL mechanism among those offered ({offered}){}", if *withheld { WITHHELD } else { "" })]
    NoMechanism { server: String, offered: String, withheld: bool },
    /// It must not be used without TLS, and gives none.
    #[error("backend {server}: {refusal}")]
    Unprotected { server: String, refusal: Refusal },
    /// TLS cannot be set up, or its handshake failed.
    #[error("{server}: TLS: {text}")]
    Tls { server: String, text: String },
    /// It does not take our own password: no user can be served there until that is mended. `text` is its answer.
    #[error("{server}: wrong password for our own login as {authname}: {text}")]
    WrongPassword { server: String, authname: String, text: String },
    /// It refused our identity, or this user. `text` is its answer after the code.
    #[error("{server}: refused to log {authname} in as {user:?}: {text}")]
    Denied { server: String, authname: String, user: String, text: String, objection: Objection },
}

/// What a server does not like of a login that it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// Who we are is not shown: the login failed, or cannot go on.
    Login,
    /// What we may do there.
    Rights,
}

impl Error {
    /// Whether the server as such is out of reach, so that the next attempt would fail like this one.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Error::Io { .. } | Error::Timeout { .. } | Error::Down { .. } => true,
            Error::Strange { .. }
            | Error::Protocol { .. }
            | Error::NoMechanism { .. }
            | Error::Unprotected { .. }
            | Error::Tls { .. }
            | Error::WrongPassword { .. }
            | Error::Denied { .. } => false,
        }
    }

    /// The text with which the server refused the login, if it did.
    pub fn denied(&self) -> Option<&str> {
        match self {
            Error::Denied { text, .. } => Some(text),
            _ => None,
        }
    }
}

const WITHHELD: &str = ": the password is not sent without TLS (set allowplaintext: yes to allow it)";
