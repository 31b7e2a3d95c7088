//! Why a command is not done: the table from cause to what the client sees, for the store and for the frontend before it.
//! The texts are those that Cyrus's clients know; the codes are RFC 5530's and the extensions'.

use super::reply::{Code, Reply};
use super::{Bad, ParseError};
use crate::acl::{Rights, UnknownRight};
use crate::name::NameError;

/// Causes, in the order of the table below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    // What no client should send.
    NotLoggedIn,
    NothingSelected,
    Unrecognized,
    UnrecognizedUid,
    /// The grammar's own words.
    Malformed(String),
    LineTooLong,
    LiteralTooLarge,
    NameTooLong,
    AlreadyLoggedIn,
    AlreadyAuthenticated,
    TlsAfterLogin,
    TlsActive,
    BadChallenge,
    BadIdle,
    BadAppend,
    BadRight(UnknownRight),
    // The connection.
    NoTls,
    NoCompression,
    CompressionActive,
    /// The session is being ended.
    Ending,
    // Logins.
    LoginDisabled,
    BadCredentials,
    NotAuthorized,
    /// An operator's decision, in the operator's words.
    DeniedUser(String),
    NoMechanism,
    NeedsEncryption,
    BadBase64,
    Cancelled,
    LoginUnavailable,
    /// More sessions than one may have.
    TooManySessions(String),
    // Mailboxes.
    BadName,
    /// A name that cannot be made, because of what it would be.
    UnfitName,
    NoMailbox,
    /// The same where the client may create it and try again (RFC 3501 sections 6.3.11 and 6.4.7).
    TryCreate,
    Exists,
    HasChildren,
    Reserved,
    /// On another backend: its name.
    Elsewhere(String),
    Denied,
    /// Protected by its special use.
    Protected,
    BadUse(String),
    BadIdentifier,
    BadPartition,
    /// A bare word of CREATE that is a server's.
    NotAPartition {
        mailbox: String,
        word: String,
        server: String,
    },
    NotSupported,
    Disabled,
    Busy,
    WrongServer,
    MoveWithRename,
    /// A mailbox and the server that it was to go to.
    NotMoved {
        mailbox: String,
        server: String,
    },
    /// The client is to ask there itself: a URL (RFC 2193).
    Referral(String),
    NoInbox,
    // Quotas.
    OverQuota,
    NoQuotaRoot,
    SplitHierarchy,
    UnknownResource,
    // Messages.
    NoMessages,
    /// Messages that the command names are gone, and the client has not heard of it yet.
    Expunged,
    NoMessage,
    ReadOnly,
    /// Larger than so many bytes.
    TooLarge(u64),
    TooBig,
    TooManyMessages,
    TooManyKeywords,
    EmptyAppend,
    NulInMessage,
    BareNewlines,
    UnknownEncoding,
    BadCharset,
    CopyFailed,
    OneAtATime,
    // What is asked for is too much.
    Limit(String),
    TooManySearches,
    TakesTooLong,
    // Nobody's fault; it may go another time.
    /// The list of mailboxes is incomplete or old.
    ListUnsure,
    ListUnreadable,
    ServerDown,
    /// An administrator creates this mailbox, and the frontend has no server to choose.
    NoServer {
        mailbox: String,
    },
    /// The MUPDATE master's or its connection's words.
    Master(String),
    NoSpace,
    DiskReadOnly,
    Closing,
    /// The store failed: the log has the cause.
    Failed,
}

impl Refusal {
    /// What the client sees.
    pub fn reply(&self) -> Reply {
        let (reply, code) = match self {
            Refusal::NotLoggedIn => (Reply::bad("Please login first"), None),
            Refusal::NothingSelected => (Reply::bad("Please select a mailbox first"), None),
            Refusal::Unrecognized => (Reply::bad("Unrecognized command"), None),
            Refusal::UnrecognizedUid => (Reply::bad("Unrecognized UID subcommand"), None),
            Refusal::Malformed(text) => (Reply::bad(text.clone()), None),
            Refusal::LineTooLong => (Reply::bad("Line too long"), None),
            Refusal::LiteralTooLarge => (Reply::bad("Literal too large"), None),
            Refusal::NameTooLong => (Reply::bad("Mailbox name too long"), None),
            Refusal::AlreadyLoggedIn => (Reply::bad("Already logged in"), None),
            Refusal::AlreadyAuthenticated => (Reply::bad("Already authenticated"), None),
            Refusal::TlsAfterLogin => (Reply::bad("Starttls not allowed after authentication"), None),
            Refusal::TlsActive => (Reply::bad("Already did a successful Starttls"), None),
            Refusal::BadChallenge => (Reply::bad("Invalid response to a challenge"), None),
            Refusal::BadIdle => (Reply::bad("Invalid Idle continuation"), None),
            Refusal::BadAppend => (Reply::bad("Invalid message literal in Append"), None),
            Refusal::BadRight(right) => (Reply::bad(right.to_string()), None),

            Refusal::NoTls => (Reply::no("Starttls not supported"), None),
            Refusal::NoCompression => (Reply::no("Unsupported compression mechanism"), None),
            Refusal::CompressionActive => {
                (Reply::no("DEFLATE active via COMPRESS"), Some(Code::CompressionActive))
            }
            Refusal::Ending => (Reply::no("The session ends"), Some(Code::Unavailable)),

            Refusal::LoginDisabled => {
                (Reply::no("Login only available under a layer"), Some(Code::PrivacyRequired))
            }
            Refusal::BadCredentials => {
                (Reply::no("authentication failure"), Some(Code::AuthenticationFailed))
            }
            Refusal::NotAuthorized => (Reply::no("authorization failure"), Some(Code::AuthorizationFailed)),
            Refusal::DeniedUser(text) => (Reply::no(text.clone()), Some(Code::AuthorizationFailed)),
            Refusal::NoMechanism => (Reply::no("no mechanism available"), None),
            Refusal::NeedsEncryption => {
                (Reply::no("encryption needed to use mechanism"), Some(Code::PrivacyRequired))
            }
            Refusal::BadBase64 => (Reply::bad("Invalid base64 string"), None),
            Refusal::Cancelled => (Reply::bad("Client canceled authentication"), None),
            Refusal::LoginUnavailable => (Reply::no("generic failure, try again"), Some(Code::Unavailable)),
            Refusal::TooManySessions(text) => (Reply::no(text.clone()), Some(Code::Limit)),

            Refusal::BadName => (Reply::no("Invalid mailbox name"), None),
            Refusal::UnfitName => (Reply::no("Invalid mailbox name"), Some(Code::Cannot)),
            Refusal::NoMailbox => (Reply::no("Mailbox does not exist"), Some(Code::NonExistent)),
            Refusal::TryCreate => (Reply::no("Mailbox does not exist"), Some(Code::TryCreate)),
            Refusal::Exists => (Reply::no("Mailbox already exists"), Some(Code::AlreadyExists)),
            Refusal::HasChildren => {
                (Reply::no("Mailbox has inferior hierarchical names"), Some(Code::HasChildren))
            }
            Refusal::Reserved => (Reply::no("Mailbox is currently reserved"), Some(Code::Unavailable)),
            Refusal::Elsewhere(server) => {
                (Reply::no(format!("Mailbox is on {server}")), Some(Code::Unavailable))
            }
            Refusal::Denied => (Reply::no("Permission denied"), Some(Code::NoPerm)),
            Refusal::Protected => (Reply::no("Mailbox is protected by its special use"), Some(Code::NoPerm)),
            Refusal::BadUse(text) => (Reply::no(text.clone()), Some(Code::UseAttr)),
            Refusal::BadIdentifier => (Reply::no("Invalid identifier"), Some(Code::Cannot)),
            Refusal::BadPartition => (Reply::no("Unknown/invalid partition"), None),
            Refusal::NotAPartition { mailbox, word, server } => {
                let text =
                    format!("{word} is a server, and a bare word is a partition: CREATE {mailbox} {server}!");
                (Reply::no(text), Some(Code::Cannot))
            }
            Refusal::NotSupported => (Reply::no("Operation is not supported on mailbox"), None),
            Refusal::Disabled => (Reply::no("Command is disabled by configuration"), None),
            Refusal::Busy => (Reply::no("Mailbox is locked"), Some(Code::InUse)),
            Refusal::WrongServer => (Reply::no("Invalid server requested"), None),
            Refusal::MoveWithRename => {
                (Reply::no("Cross-server or cross-partition move w/rename not supported"), None)
            }
            Refusal::NotMoved { mailbox, server } => {
                let text = format!("Moving {mailbox} to server {server} is not supported by this server");
                (Reply::no(text), None)
            }
            Refusal::Referral(url) => (Reply::no("Remote mailbox."), Some(Code::Referral(url.clone()))),
            Refusal::NoInbox => {
                (Reply::no("There is no INBOX to keep subscriptions with"), Some(Code::Cannot))
            }

            Refusal::OverQuota => (Reply::no("Over quota"), Some(Code::OverQuota)),
            Refusal::NoQuotaRoot => (Reply::no("Quota root does not exist"), Some(Code::NonExistent)),
            Refusal::SplitHierarchy => {
                let text = "This mailbox hierarchy does not exist on a single backend server.";
                (Reply::no(text), None)
            }
            Refusal::UnknownResource => (Reply::no("Unsupported quota resource"), None),

            Refusal::NoMessages => (Reply::no("No matching messages"), None),
            Refusal::Expunged => {
                (Reply::no("Some of the messages have been expunged"), Some(Code::ExpungeIssued))
            }
            Refusal::NoMessage => (Reply::no("Message no longer exists"), Some(Code::ExpungeIssued)),
            Refusal::ReadOnly => (Reply::no("Mailbox is read-only"), Some(Code::ReadOnly)),
            Refusal::TooLarge(bytes) => {
                (Reply::no(format!("Message is larger than {bytes} bytes")), Some(Code::TooBig))
            }
            Refusal::TooBig => (Reply::no("Message size exceeds fixed limit"), Some(Code::TooBig)),
            Refusal::TooManyMessages => (Reply::no("Too many messages in one Append"), Some(Code::Limit)),
            Refusal::TooManyKeywords => (Reply::no("Too many user flags in mailbox"), Some(Code::Limit)),
            Refusal::EmptyAppend => (Reply::no("Append aborted"), None),
            Refusal::NulInMessage => (Reply::no("Message contains NUL characters"), Some(Code::UnknownCte)),
            Refusal::BareNewlines => (Reply::no("Message contains bare newlines"), None),
            Refusal::UnknownEncoding => {
                (Reply::no("The part's transfer encoding is not known"), Some(Code::UnknownCte))
            }
            Refusal::BadCharset => (Reply::no("Unsupported character set"), Some(Code::BadCharset)),
            Refusal::CopyFailed => (Reply::no("inter-server COPY failed"), None),
            Refusal::OneAtATime => {
                (Reply::no("The other server cannot take several messages at once"), Some(Code::Cannot))
            }

            Refusal::Limit(text) => (Reply::no(text.clone()), Some(Code::Limit)),
            Refusal::TooManySearches => (Reply::no("Too many searches at the same time"), Some(Code::Limit)),
            Refusal::TakesTooLong => (Reply::no("This takes too long"), Some(Code::Limit)),

            Refusal::ListUnsure => {
                let text = "The list of mailboxes is not complete at the moment";
                (Reply::no(text), Some(Code::Unavailable))
            }
            Refusal::ListUnreadable => {
                (Reply::no("The mailbox list cannot be read"), Some(Code::Unavailable))
            }
            Refusal::ServerDown => {
                (Reply::no("Server(s) unavailable to complete operation"), Some(Code::Unavailable))
            }
            Refusal::NoServer { mailbox } => {
                let text = format!(
                    "No server to choose: set serverlist (or defaultserver) in imapd.conf of this frontend, or name one: \
                     CREATE {mailbox} SERVER!"
                );
                (Reply::no(text), Some(Code::Unavailable))
            }
            // The texts of the MUPDATE client are what Cyrus's clients know, without a code.
            Refusal::Master(text) => (Reply::no(text.clone()), None),
            Refusal::NoSpace => (Reply::no("No space left on device"), Some(Code::Unavailable)),
            Refusal::DiskReadOnly => (Reply::no("Read-only file system"), Some(Code::Unavailable)),
            Refusal::Closing => (Reply::no("Server is shutting down"), Some(Code::Unavailable)),
            Refusal::Failed => (Reply::no("System I/O error"), Some(Code::ServerBug)),
        };
        Reply { code, ..reply }
    }

    /// A mailbox that is the target of a command, and that the client may create where it is missing.
    pub fn of_target(self) -> Refusal {
        match self {
            Refusal::NoMailbox => Refusal::TryCreate,
            other => other,
        }
    }

    /// A command whose arguments are wrong; `title` is its name as texts have it.
    pub fn malformed(error: &ParseError, title: &str) -> Refusal {
        Refusal::Malformed(error.text(title))
    }
}

impl From<Bad> for Refusal {
    fn from(bad: Bad) -> Refusal {
        Refusal::Malformed(bad.text)
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Refusal {
        match error {
            NameError::Invalid => Refusal::BadName,
            NameError::Foreign => Refusal::NoMailbox,
        }
    }
}

/// Whether `rights` hold `right`; else what is told to somebody who may, or may not, know that the mailbox exists.
pub fn require(rights: Rights, right: Rights) -> Result<(), Refusal> {
    if rights.contains(right) {
        Ok(())
    } else if rights.contains(Rights::LOOKUP) {
        Err(Refusal::Denied)
    } else {
        Err(Refusal::NoMailbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_know_of_a_mailbox_is_told_that_there_is_none() {
        let told = |rights: Rights| require(rights, Rights::READ).map_err(|refusal| refusal.reply().code);
        assert_eq!(told(Rights::ALL), Ok(()));
        assert_eq!(told(Rights::LOOKUP), Err(Some(Code::NoPerm)));
        assert_eq!(told(Rights::NONE), Err(Some(Code::NonExistent)));
    }

    #[test]
    fn a_missing_target_may_be_created() {
        let line = |refusal: Refusal| refusal.of_target().reply().line(None);
        assert_eq!(line(Refusal::NoMailbox), b"* NO [TRYCREATE] Mailbox does not exist\r\n");
        assert_eq!(line(Refusal::Denied), b"* NO [NOPERM] Permission denied\r\n");
    }
}
