//! Why a command is not done: the table from cause to what the client sees, for the store and for the frontend before it.
//! The texts are those that Cyrus's clients know; the codes are RFC 5530's and the extensions'.

use super::reply::{Code, Kind, Reply};
use super::{Bad, ParseError, url};
use crate::acl::{Rights, UnknownRight};
use crate::name::NameError;

/// Declares the causes with what the client sees of each: kind, response code, text.
macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident $(($($field:ident: $type:ty),*))? => $kind:ident, $code:expr, $text:expr;)*) => {
        /// Causes, with their replies: see the table.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$doc])* $name $(($($type),*))?,)*
        }

        impl Refusal {
            /// What the client sees.
            pub fn reply(&self) -> Reply {
                match self {
                    $(Refusal::$name $(($($field),*))? => {
                        Reply { kind: Kind::$kind, code: $code, text: $text.into() }
                    })*
                }
            }
        }
    };
}

causes! {
    // What no client should send.
    NotLoggedIn => Bad, None, "Please login first";
    NothingSelected => Bad, None, "Please select a mailbox first";
    Unrecognized => Bad, None, "Unrecognized command";
    UnrecognizedUid => Bad, None, "Unrecognized UID subcommand";
    /// The grammar's own words.
    Malformed(text: String) => Bad, None, text.clone();
    LineTooLong => Bad, None, "Line too long";
    LiteralTooLarge => Bad, None, "Literal too large";
    /// Where LITERAL- is announced.
    UnaskedTooLarge => Bad, Some(Code::TooBig), "Non-synchronizing literal too large";
    NameTooLong => Bad, None, "Mailbox name too long";
    AlreadyLoggedIn => Bad, None, "Already logged in";
    AlreadyAuthenticated => Bad, None, "Already authenticated";
    TlsAfterLogin => Bad, None, "Starttls not allowed after authentication";
    TlsActive => Bad, None, "Already did a successful Starttls";
    BadChallenge => Bad, None, "Invalid response to a challenge";
    BadIdle => Bad, None, "Invalid Idle continuation";
    BadAppend => Bad, None, "Invalid message literal in Append";
    /// Of SELECT or FETCH, without ENABLE QRESYNC.
    NoQresync(command: &'static str) => Bad, None, format!("Invalid {command} modifier: ENABLE QRESYNC comes first");
    /// UTF8 in APPEND.
    NoUtf8 => Bad, None, "UTF8 in Append needs ENABLE UTF8=ACCEPT";
    /// CHARSET in SEARCH (RFC 6855 section 3).
    NoCharset => Bad, None, "After ENABLE UTF8=ACCEPT texts are UTF-8";
    UidRequired => Bad, Some(Code::UidRequired), "Message numbers are not allowed under UIDONLY";
    BadRight(right: UnknownRight) => Bad, None, right.to_string();

    // The connection.
    NoTls => No, None, "Starttls not supported";
    NoCompression => No, None, "Unsupported compression mechanism";
    CompressionActive => No, Some(Code::CompressionActive), "DEFLATE active via COMPRESS";
    /// To a frontend: the connection has something of the session that was on it.
    NotAtRest => No, None, "The session is not at rest";
    /// The session is being ended.
    Ending => No, Some(Code::Unavailable), "The session ends";

    // Logins.
    LoginDisabled => No, Some(Code::PrivacyRequired), "Login only available under a layer";
    BadCredentials => No, Some(Code::AuthenticationFailed), "authentication failure";
    NotAuthorized => No, Some(Code::AuthorizationFailed), "authorization failure";
    /// An operator's decision, in the operator's words.
    DeniedUser(text: String) => No, Some(Code::AuthorizationFailed), text.clone();
    NoMechanism => No, None, "no mechanism available";
    NeedsEncryption => No, Some(Code::PrivacyRequired), "encryption needed to use mechanism";
    BadBase64 => Bad, None, "Invalid base64 string";
    Cancelled => Bad, None, "Client canceled authentication";
    LoginUnavailable => No, Some(Code::Unavailable), "generic failure, try again";
    /// More sessions than one may have.
    TooManySessions(text: String) => No, Some(Code::Limit), text.clone();

    // Mailboxes.
    BadName => No, None, "Invalid mailbox name";
    /// A name that cannot be made, because of what it would be.
    UnfitName => No, Some(Code::Cannot), "Invalid mailbox name";
    NoMailbox => No, Some(Code::NonExistent), "Mailbox does not exist";
    /// The same where the client may create it and try again (RFC 3501 sections 6.3.11 and 6.4.7).
    TryCreate => No, Some(Code::TryCreate), "Mailbox does not exist";
    Exists => No, Some(Code::AlreadyExists), "Mailbox already exists";
    HasChildren => No, Some(Code::HasChildren), "Mailbox has inferior hierarchical names";
    Reserved => No, Some(Code::Unavailable), "Mailbox is currently reserved";
    /// On another backend: its name.
    Elsewhere(server: String) => No, Some(Code::Unavailable), format!("Mailbox is on {server}");
    Denied => No, Some(Code::NoPerm), "Permission denied";
    /// Protected by its special use.
    Protected => No, Some(Code::NoPerm), "Mailbox is protected by its special use";
    BadUse(text: String) => No, Some(Code::UseAttr), text.clone();
    BadIdentifier => No, Some(Code::Cannot), "Invalid identifier";
    /// It has just gone to another server, which a frontend finds at the next try.
    Moved => No, Some(Code::Unavailable), "Mailbox has been moved to another server";
    /// Whether it goes there is being decided.
    BeingMoved => No, Some(Code::Unavailable), "Mailbox is being moved to another server";
    BadPartition => No, None, "Unknown/invalid partition";
    /// A bare word of CREATE that is a server's.
    NotAPartition(mailbox: String, word: String, server: String) =>
        No, Some(Code::Cannot), format!("{word} is a server, and a bare word is a partition: CREATE {mailbox} {server}!");
    NotSupported => No, None, "Operation is not supported on mailbox";
    Disabled => No, None, "Command is disabled by configuration";
    Busy => No, Some(Code::InUse), "Mailbox is locked";
    WrongServer => No, None, "Invalid server requested";
    MoveWithRename => No, None, "Cross-server or cross-partition move w/rename not supported";
    /// A mailbox and the server that it was to go to.
    NotMoved(mailbox: String, server: String) =>
        No, None, format!("Moving {mailbox} to server {server} is not supported by this server");
    /// The client is to ask there itself: a URL (RFC 2193).
    Referral(url: String) => No, Some(Code::Referral(url.clone())), "Remote mailbox.";
    NoInbox => No, Some(Code::Cannot), "There is no INBOX to keep subscriptions with";

    // Quotas.
    OverQuota => No, Some(Code::OverQuota), "Over quota";
    NoQuotaRoot => No, Some(Code::NonExistent), "Quota root does not exist";
    SplitHierarchy => No, None, "This mailbox hierarchy does not exist on a single backend server.";
    UnknownResource => No, None, "Unsupported quota resource";

    // Messages.
    NoMessages => No, None, "No matching messages";
    /// Messages that the command names are gone, and the client has not heard of it yet.
    Expunged => No, Some(Code::ExpungeIssued), "Some of the messages have been expunged";
    NoMessage => No, Some(Code::ExpungeIssued), "Message no longer exists";
    ReadOnly => No, Some(Code::ReadOnly), "Mailbox is read-only";
    /// Larger than so many bytes.
    TooLarge(bytes: u64) => No, Some(Code::TooBig), format!("Message is larger than {bytes} bytes");
    TooBig => No, Some(Code::TooBig), "Message size exceeds fixed limit";
    TooManyMessages => No, Some(Code::Limit), "Too many messages in one Append";
    TooManyKeywords => No, Some(Code::Limit), "Too many user flags in mailbox";
    EmptyAppend => No, None, "Append aborted";
    NulInMessage => No, Some(Code::UnknownCte), "Message contains NUL characters";
    EightBitHeader => No, Some(Code::Cannot), "8-bit characters in a header need ENABLE UTF8=ACCEPT and APPEND UTF8";
    BareNewlines => No, None, "Message contains bare newlines";
    UnknownEncoding => No, Some(Code::UnknownCte), "The part's transfer encoding is not known";
    BadCharset => No, Some(Code::BadCharset), "Unsupported character set";
    /// More than a session keeps.
    NotSaved => No, Some(Code::NotSaved), "Too many messages to be saved";
    BatchTooSmall(least: u32) => No, Some(Code::TooFew), format!("A batch has {least} messages at least");
    TooManyToBatch(most: u32) => No, Some(Code::TooMany), format!("No more than {most} messages are told of at once");
    /// Some backends could not be asked, or did not answer: what the others said was told.
    Partly => No, Some(Code::Unavailable), "Some mailboxes could not be searched";
    /// A URL of CATENATE as it is told, and what is wrong with it.
    BadUrl(url: String, why: &'static str) => No, Some(Code::BadUrl(url.clone())), *why;
    CopyFailed => No, None, "inter-server COPY failed";
    /// MOVE or REPLACE: the server of the originals was lost when they were to go.
    HalfDone => No, Some(Code::Unavailable),
        "The new messages are in their place, and the originals may still be in theirs: their server was lost";
    /// The same of the server of copies that were to be taken back.
    HalfUndone => No, Some(Code::Unavailable),
        "Copies of messages that were not moved may be in the other mailbox: its server was lost";
    OneAtATime => No, Some(Code::Cannot), "The other server cannot take several messages at once";

    // Annotations.
    BadAnnotation => No, Some(Code::Cannot), "Invalid annotation value";
    /// Of a mailbox or the server: larger than so many bytes.
    AnnotationTooLarge(bytes: usize) => No, Some(Code::MaxSize(*bytes)), "Annotation value too large";
    TooManyAnnotations => No, Some(Code::TooManyEntries), "Too many annotations";
    /// The same of a message (RFC 5257).
    NoteTooLarge => No, Some(Code::AnnotateTooBig), "Annotation value too large";
    TooManyNotes => No, Some(Code::AnnotateTooMany), "Too many annotations";

    /// NOTIFY: an event that is not known, or not of the selected mailbox.
    BadEvent => No, Some(Code::BadEvent), "No such event can be told of here";
    /// NOTIFY: too many mailboxes.
    TooMuchToNotify => No, Some(Code::NotificationOverflow), "Too many mailboxes to tell of";

    // What is asked for is too much.
    Limit(text: String) => No, Some(Code::Limit), text.clone();
    TooManySearches => No, Some(Code::Limit), "Too many searches at the same time";
    TakesTooLong => No, Some(Code::Limit), "This takes too long";

    // Nobody's fault; it may go another time.
    /// The list of mailboxes is incomplete or old.
    ListUnsure => No, Some(Code::Unavailable), "The list of mailboxes is not complete at the moment";
    ListUnreadable => No, Some(Code::Unavailable), "The mailbox list cannot be read";
    /// A backend without NOTIFY among others that have it.
    LacksNotify => No, Some(Code::Cannot), "The server of a mailbox cannot tell what happens to it";
    /// A backend that joined after ENABLE, and knows less than those before.
    LacksEnabled => No, Some(Code::Cannot), "The mailbox's server lacks what ENABLE has turned on";
    ServerDown => No, Some(Code::Unavailable), "Server(s) unavailable to complete operation";
    /// An administrator creates this mailbox, and the frontend has no server to choose.
    NoServer(mailbox: String) => No, Some(Code::Unavailable), format!(
        "No server to choose: set serverlist (or defaultserver) in imapd.conf of this frontend, or name one: \
         CREATE {mailbox} SERVER!"
    );
    /// The MUPDATE master's or its connection's words.
    Master(text: String) => No, None, text.clone();
    NoSpace => No, Some(Code::Unavailable), "No space left on device";
    DiskReadOnly => No, Some(Code::Unavailable), "Read-only file system";
    Closing => No, Some(Code::Unavailable), "Server is shutting down";
    /// The store failed: the log has the cause.
    Failed => No, Some(Code::ServerBug), "System I/O error";
}

impl Refusal {
    /// Why messages cannot go into a mailbox that is not there. One that the client may create is told so (as Cyrus does; RFC 3501 sections
    /// 6.3.11 and 6.4.7).
    pub fn of_missing_target(may_create: bool) -> Refusal {
        if may_create { Refusal::TryCreate } else { Refusal::NoMailbox }
    }

    /// A URL that CATENATE cannot use.
    pub fn bad_url(url: &str, why: &'static str) -> Refusal {
        Refusal::BadUrl(url::shown(url), why)
    }

    /// A command whose arguments are wrong; `title` is its name as texts have it.
    pub fn malformed(error: &ParseError, title: &str) -> Refusal {
        Refusal::Malformed(error.text(title))
    }
}

impl From<Bad> for Refusal {
    fn from(bad: Bad) -> Refusal {
        if bad.oversized { Refusal::UnaskedTooLarge } else { Refusal::Malformed(bad.text) }
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

/// Whether somebody with these rights may read annotations (RFC 5464 section 3.3), and set private ones. An admin may, whatever
/// the ACL says.
pub fn may_annotate(rights: Rights, admin: bool) -> Result<(), Refusal> {
    let any = Rights::READ | Rights::SEEN | Rights::WRITE | Rights::INSERT | Rights::POST;
    if admin {
        return Ok(());
    }
    require(rights, Rights::LOOKUP)?;
    if rights.intersects(any) { Ok(()) } else { Err(Refusal::Denied) }
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
    fn an_admin_reads_annotations_of_mailboxes_that_give_him_nothing() {
        assert_eq!(may_annotate(Rights::NONE, true), Ok(()));
        assert_eq!(may_annotate(Rights::NONE, false), Err(Refusal::NoMailbox));
        assert_eq!(may_annotate(Rights::LOOKUP, false), Err(Refusal::Denied));
        assert_eq!(may_annotate(Rights::LOOKUP | Rights::READ, false), Ok(()));
    }

    #[test]
    fn a_missing_target_may_be_created() {
        let line = |refusal: Refusal| refusal.reply().line(None);
        assert_eq!(Refusal::of_missing_target(false), Refusal::NoMailbox);
        assert_eq!(line(Refusal::of_missing_target(true)), b"* NO [TRYCREATE] Mailbox does not exist\r\n");
        assert_eq!(line(Refusal::Denied), b"* NO [NOPERM] Permission denied\r\n");
    }
}
