//! Everything that a POP3 server says, in one table.

use std::fmt;

use super::unopenable::Unopenable;

/// One reply line. Lists and messages follow their `+OK` line separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Greeting {
        servername: String,
        version: String,
    },
    UserOk,
    /// Logged in; the maildrop is locked.
    Ready {
        session_id: String,
    },
    Stat {
        count: usize,
        size: u64,
    },
    Size {
        number: u32,
        size: u64,
    },
    UniqueId {
        number: u32,
        id: String,
    },
    /// A list or a message follows.
    ListFollows,
    MessageFollows,
    Deleted,
    Reset,
    Noop,
    Bye,
    BeginTls,
    /// An AUTH challenge, in base64.
    Challenge(String),
    // What the client did wrong.
    Unknown,
    Missing,
    Extra,
    Bad,
    LineTooLong,
    NoSuchMessage,
    /// `popuseacl`
    Denied,
    NeedUser,
    /// Before or after login only.
    WrongState,
    PlaintextRefused,
    ApopRefused,
    InvalidLogin,
    UnknownMechanism,
    AuthCancelled,
    BadBase64,
    AuthUnavailable,
    TlsUnavailable,
    TlsActive,
    // Why there is no maildrop, or no more session.
    InUse,
    LoginDelay {
        minutes: u64,
    },
    /// `userdeny_db`, with what the operator wrote.
    UserDenied(String),
    /// `maxlogins_per_user`, `maxlogins_per_host`.
    TooManySessions(String),
    /// `msg/shutdown`, with what the operator wrote.
    Maintenance(String),
    /// The mailbox cannot be opened; may pass.
    Unopenable(Unopenable),
    /// The message cannot be read, though it is there.
    Unreadable,
    /// QUIT could not remove what was marked.
    NotRemoved,
    TooManyErrors,
    Idle,
    ShuttingDown,
}

/// The line without its CRLF.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Greeting { servername, version } => {
                write!(f, "+OK {servername} Murder POP3 {version} server ready")
            }
            Reply::UserOk => f.write_str("+OK Name is a valid mailbox"),
            Reply::Ready { session_id } => write!(f, "+OK Mailbox locked and ready SESSIONID=<{session_id}>"),
            Reply::Stat { count, size } => write!(f, "+OK {count} {size}"),
            Reply::Size { number, size } => write!(f, "+OK {number} {size}"),
            Reply::UniqueId { number, id } => write!(f, "+OK {number} {id}"),
            Reply::ListFollows => f.write_str("+OK list follows"),
            Reply::MessageFollows => f.write_str("+OK Message follows"),
            Reply::Deleted => f.write_str("+OK message deleted"),
            Reply::Reset => f.write_str("+OK all messages kept"),
            Reply::Noop => f.write_str("+OK"),
            Reply::Bye => f.write_str("+OK bye"),
            Reply::BeginTls => f.write_str("+OK Begin TLS negotiation now"),
            Reply::Challenge(base64) => write!(f, "+ {base64}"),
            Reply::Unknown => f.write_str("-ERR Unrecognized command"),
            Reply::Missing => f.write_str("-ERR Missing argument"),
            Reply::Extra => f.write_str("-ERR Unexpected extra argument"),
            Reply::Bad => f.write_str("-ERR Bad argument"),
            Reply::LineTooLong => f.write_str("-ERR Command line too long"),
            Reply::NoSuchMessage => f.write_str("-ERR No such message"),
            Reply::Denied => f.write_str("-ERR [SYS/PERM] Permission denied"),
            Reply::NeedUser => f.write_str("-ERR Must give USER command"),
            Reply::WrongState => f.write_str("-ERR Not permitted now"),
            Reply::PlaintextRefused => f.write_str("-ERR [AUTH] USER command only available under a layer"),
            Reply::ApopRefused => {
                f.write_str("-ERR [AUTH] APOP is not available: passwords are not kept in the clear")
            }
            Reply::InvalidLogin => f.write_str("-ERR [AUTH] Invalid login"),
            Reply::UnknownMechanism => f.write_str("-ERR [AUTH] Unrecognized authentication mechanism"),
            Reply::AuthCancelled => f.write_str("-ERR Authentication cancelled"),
            Reply::BadBase64 => f.write_str("-ERR Invalid base64"),
            Reply::AuthUnavailable => {
                f.write_str("-ERR [SYS/TEMP] Authentication is not possible at the moment")
            }
            Reply::TlsUnavailable => f.write_str("-ERR STLS is not available"),
            Reply::TlsActive => f.write_str("-ERR TLS is active already"),
            Reply::InUse => {
                f.write_str("-ERR [IN-USE] Unable to lock maildrop: Mailbox is locked by POP server")
            }
            Reply::LoginDelay { minutes } => {
                write!(f, "-ERR [LOGIN-DELAY] Logins must be at least {minutes} minute(s) apart")
            }
            Reply::Unopenable(why) => write!(f, "-ERR [SYS/TEMP] Unable to open maildrop: {why}"),
            Reply::Unreadable => f.write_str("-ERR [SYS/TEMP] Message cannot be read"),
            Reply::NotRemoved => f.write_str("-ERR [SYS/TEMP] Some deleted messages were not removed"),
            Reply::TooManyErrors => f.write_str("-ERR Too many errors"),
            Reply::Idle => f.write_str("-ERR Idle for too long"),
            // As in Cyrus: what an operator decided may pass.
            Reply::UserDenied(text) | Reply::TooManySessions(text) | Reply::Maintenance(text) => {
                write!(f, "-ERR [SYS/TEMP] {text}")
            }
            Reply::ShuttingDown => f.write_str("-ERR [SYS/TEMP] Server is shutting down"),
        }
    }
}
