//! Why a server does not do something: the codes 4xx and 5xx of the table of [`super::Reply`].

use std::fmt;

use super::refused::Refused;

/// One status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum No {
    /// The session ends: why.
    Unavailable(String),
    Failed,
    NoSuchGroup(Option<String>),
    NoGroup,
    NoCurrent,
    NoNext,
    NoPrevious,
    NoSuchNumber,
    NoSuchId,
    NotWanted,
    /// IHAVE: not now.
    TransferFailed(String),
    /// IHAVE: never.
    TransferRejected(Refused),
    /// CHECK: had already, or never wanted.
    NotWantedChecked(String),
    /// CHECK: perhaps later.
    CheckLater(String),
    /// TAKETHIS: had already, or never wanted.
    Rejected(String),
    PostingProhibited,
    PostFailed(Refused),
    NeedLogin,
    InvalidLogin,
    NeedUser,
    Cancelled,
    PlaintextRefused,
    BadBase64,
    LineTooLong,
    Unknown,
    Missing,
    Extra,
    Bad,
    UnknownList,
    UnsupportedList,
    /// HDR of something with a colon in front that is not kept.
    UnknownMetadata,
    Denied,
    AlreadyLoggedIn,
    AlreadySecure,
    AlreadyCompressed,
    /// `userdeny_db` and session limits, with what the operator wrote.
    Refused(String),
    UnknownMechanism,
    AuthUnavailable,
    NewNewsDisabled,
    NoNewGroups,
    TlsUnavailable,
}

/// The line without its CRLF.
impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            No::Unavailable(why) => return write!(f, "400 {why}"),
            No::Failed => "403 Internal server error",
            No::NoSuchGroup(None) => "411 No such newsgroup",
            No::NoSuchGroup(Some(why)) => return write!(f, "411 No such newsgroup ({why})"),
            No::NoGroup => "412 No newsgroup selected",
            No::NoCurrent => "420 Current article number is invalid",
            No::NoNext => "421 No next article in this group",
            No::NoPrevious => "422 No previous article in this group",
            No::NoSuchNumber => "423 No such article in this newsgroup",
            No::NoSuchId => "430 No article found with that message-id",
            No::NotWanted => "435 Article not wanted",
            No::TransferFailed(why) => return write!(f, "436 Transfer failed: try again later ({why})"),
            No::TransferRejected(why) => return write!(f, "437 Transfer rejected: do not retry ({why})"),
            No::NotWantedChecked(id) => return write!(f, "438 {id} Article not wanted"),
            No::CheckLater(id) => return write!(f, "431 {id} Try again later"),
            No::Rejected(id) => return write!(f, "439 {id} Transfer rejected"),
            No::PostingProhibited => "440 Posting not allowed",
            No::PostFailed(why) => return write!(f, "441  Failed receiving article ({why})"),
            No::NeedLogin => "480 Authentication required",
            No::InvalidLogin => "481 Invalid login",
            No::NeedUser => "482 Must give AUTHINFO USER command",
            No::Cancelled => "481 Authentication cancelled",
            No::PlaintextRefused => "483 AUTHINFO USER command only available under a layer",
            No::BadBase64 => "482 Invalid base64",
            No::LineTooLong => "501 Command line too long",
            No::Unknown => "500 Unrecognized command",
            No::Missing => "501 Missing argument",
            No::Extra => "501 Unexpected extra argument",
            No::Bad => "501 Bad argument",
            No::UnknownList => "501 Unrecognized LIST command",
            No::UnknownMetadata => "503 Unknown metadata item",
            No::UnsupportedList => "503 Unsupported LIST command",
            No::Denied => "502 Permission denied",
            No::AlreadyLoggedIn => "502 Already authenticated",
            No::AlreadySecure => "502 TLS is active already",
            No::AlreadyCompressed => "502 Compression is active already",
            No::Refused(why) => return write!(f, "481 {why}"),
            No::UnknownMechanism => "503 Unrecognized SASL mechanism",
            No::AuthUnavailable => "403 Authentication is not possible at the moment",
            No::NewNewsDisabled => "502 NEWNEWS is disabled (allownewnews)",
            No::NoNewGroups => "503 Can't determine NEWGROUPS at this time",
            No::TlsUnavailable => "580 TLS is not available",
        };
        f.write_str(text)
    }
}
