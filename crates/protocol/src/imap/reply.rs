//! What a server says of a command or of itself in one line: OK, NO and BAD, tagged or not, and BYE (RFC 3501 section 7.1),
//! each with the response code that programs read (RFC 3501, RFC 5530 and the extensions').

use std::borrow::Cow;
use std::fmt;

use super::{Tag, print};
use crate::event::Event;

/// A status response: what stands behind the tag, or behind `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub kind: Kind,
    pub code: Option<Code>,
    pub text: Cow<'static, str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ok,
    No,
    Bad,
}

impl Reply {
    /// What most commands say.
    pub fn completed() -> Reply {
        Reply::ok("Completed")
    }

    pub fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { kind: Kind::Ok, code: None, text: text.into() }
    }

    pub fn no(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { kind: Kind::No, code: None, text: text.into() }
    }

    pub fn bad(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { kind: Kind::Bad, code: None, text: text.into() }
    }

    /// The untagged `* OK [code] Ok`, by which a server tells what only the code says.
    pub fn told(code: Code) -> Reply {
        Reply::ok("Ok").code(code)
    }

    pub fn code(mut self, code: Code) -> Reply {
        self.code = Some(code);
        self
    }

    /// Writes the line; untagged without a tag.
    pub fn write(&self, tag: Option<&Tag>, out: &mut Vec<u8>) {
        out.extend_from_slice(tag.map_or("*", Tag::as_str).as_bytes());
        out.extend_from_slice(match self.kind {
            Kind::Ok => b" OK ",
            Kind::No => b" NO ",
            Kind::Bad => b" BAD ",
        });
        write_rest(self.code.as_ref(), &self.text, out);
    }

    /// The line by itself.
    pub fn line(&self, tag: Option<&Tag>) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(tag, &mut out);
        out
    }
}

/// `* BYE …`: the last line of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bye {
    pub code: Option<Code>,
    pub text: Cow<'static, str>,
}

impl Bye {
    pub fn new(text: impl Into<Cow<'static, str>>) -> Bye {
        Bye { code: None, text: text.into() }
    }

    pub fn code(mut self, code: Code) -> Bye {
        self.code = Some(code);
        self
    }

    pub fn line(&self) -> Vec<u8> {
        let mut out = b"* BYE ".to_vec();
        write_rest(self.code.as_ref(), &self.text, &mut out);
        out
    }
}

/// As it stands behind `* BYE `.
impl fmt::Display for Bye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "[{code}] {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

fn write_rest(code: Option<&Code>, text: &str, out: &mut Vec<u8>) {
    if let Some(code) = code {
        out.push(b'[');
        print::plain(out, &code.to_string());
        out.extend_from_slice(b"] ");
    }
    print::plain(out, text);
    out.extend_from_slice(b"\r\n");
}

/// A response code. Sets are held as they are printed: they are made where the work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    Alert,
    /// RFC 5257: bytes of a message's annotation; none: they cannot be set.
    Annotations(Option<usize>),
    AnnotateTooBig,
    AnnotateTooMany,
    AlreadyExists,
    /// RFC 4315.
    AppendUid {
        uidvalidity: u32,
        uids: String,
    },
    AuthenticationFailed,
    AuthorizationFailed,
    /// What can be searched in.
    BadCharset,
    /// RFC 5465: the events that are known.
    BadEvent,
    /// RFC 4469: a URL, as [`shown`](super::url::shown) has it.
    BadUrl(String),
    Cannot,
    Capability(String),
    /// The mailbox that was open is no longer (RFC 7162).
    Closed,
    CompressionActive,
    /// RFC 4315: UIDs at the source, and those of the copies.
    CopyUid {
        uidvalidity: u32,
        from: String,
        to: String,
    },
    ExpungeIssued,
    HasChildren,
    HighestModseq(u64),
    /// RFC 9585: the command's tag where it can be told, and messages that are done of so many; 0 where that is not known.
    InProgress {
        tag: Option<String>,
        done: usize,
        total: usize,
    },
    InUse,
    Limit,
    /// RFC 5464: bytes of the longest value that was left out.
    LongEntries(u64),
    MailboxId(String),
    /// RFC 5464: bytes of a value.
    MaxSize(usize),
    /// The messages that a conditional STORE left alone.
    Modified(String),
    NonExistent,
    NoPerm,
    /// RFC 5465: nothing more is told without being asked for.
    NotificationOverflow,
    /// RFC 5182.
    NotSaved,
    OverQuota,
    PermanentFlags(String),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    /// RFC 2193: a URL.
    Referral(String),
    ServerBug,
    TooBig,
    /// UIDBATCHES: of messages, and of messages in a batch.
    TooFew,
    TooMany,
    /// RFC 5464.
    TooManyEntries,
    TryCreate,
    UidNext(u32),
    /// RFC 9586: the command names a message by its number.
    UidRequired,
    UidValidity(u32),
    Unavailable,
    UnknownCte,
    /// The number of the first message that is not \Seen.
    Unseen(u32),
    UseAttr,
    /// Said by a backend of ours to a frontend of ours: an administrator has ended the session.
    XKicked,
    /// The same: the mailbox is on this server now, and nothing of the command was done.
    XMoved(String),
    /// The same: the UIDs that XTAKE took, and HIGHESTMODSEQ.
    XTaken(String, u64),
}

/// As it stands between the brackets.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Code::Alert => "ALERT",
            Code::Annotations(Some(bytes)) => return write!(f, "ANNOTATIONS {bytes}"),
            Code::Annotations(None) => "ANNOTATIONS READ-ONLY",
            Code::AnnotateTooBig => "ANNOTATE TOOBIG",
            Code::AnnotateTooMany => "ANNOTATE TOOMANY",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AppendUid { uidvalidity, uids } => return write!(f, "APPENDUID {uidvalidity} {uids}"),
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
            Code::BadEvent => return bad_event(f),
            Code::BadUrl(url) => return write!(f, "BADURL \"{url}\""),
            Code::Cannot => "CANNOT",
            Code::Capability(words) => return write!(f, "CAPABILITY {words}"),
            Code::Closed => "CLOSED",
            Code::CompressionActive => "COMPRESSIONACTIVE",
            Code::CopyUid { uidvalidity, from, to } => return write!(f, "COPYUID {uidvalidity} {from} {to}"),
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HasChildren => "HASCHILDREN",
            Code::HighestModseq(modseq) => return write!(f, "HIGHESTMODSEQ {modseq}"),
            Code::InProgress { tag, done, total } => return in_progress(f, tag.as_deref(), *done, *total),
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::LongEntries(bytes) => return write!(f, "METADATA LONGENTRIES {bytes}"),
            Code::MailboxId(id) => return write!(f, "MAILBOXID ({id})"),
            Code::MaxSize(bytes) => return write!(f, "METADATA MAXSIZE {bytes}"),
            Code::Modified(set) => return write!(f, "MODIFIED {set}"),
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Code::NotSaved => "NOTSAVED",
            Code::OverQuota => "OVERQUOTA",
            Code::PermanentFlags(flags) => return write!(f, "PERMANENTFLAGS ({flags})"),
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::Referral(url) => return write!(f, "REFERRAL {url}"),
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TooFew => "TOOFEW",
            Code::TooMany => "TOOMANY",
            Code::TooManyEntries => "METADATA TOOMANY",
            Code::TryCreate => "TRYCREATE",
            Code::UidNext(uid) => return write!(f, "UIDNEXT {uid}"),
            Code::UidRequired => "UIDREQUIRED",
            Code::UidValidity(uidvalidity) => return write!(f, "UIDVALIDITY {uidvalidity}"),
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::Unseen(sequence) => return write!(f, "UNSEEN {sequence}"),
            Code::UseAttr => "USEATTR",
            Code::XKicked => "XKICKED",
            Code::XMoved(server) => return write!(f, "XMOVED {server}"),
            Code::XTaken(uids, modseq) => return write!(f, "XTAKEN {uids} {modseq}"),
        })
    }
}

/// `BADEVENT SP "(" event *(SP event) ")"`
fn bad_event(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let known: Vec<&str> = Event::ALL.into_iter().map(Event::word).collect();
    write!(f, "BADEVENT ({})", known.join(" "))
}

/// `INPROGRESS SP "(" tag / NIL SP done SP total / NIL ")"`
fn in_progress(f: &mut fmt::Formatter<'_>, tag: Option<&str>, done: usize, total: usize) -> fmt::Result {
    match tag {
        Some(tag) => write!(f, "INPROGRESS (\"{tag}\"")?,
        None => f.write_str("INPROGRESS (NIL")?,
    }
    match total {
        0 => f.write_str(" NIL NIL)"),
        total => write!(f, " {done} {total})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_progress_is_nil() {
        let code = |tag: Option<&str>, done, total| {
            Code::InProgress { tag: tag.map(str::to_owned), done, total }.to_string()
        };
        assert_eq!(code(Some("a1"), 5, 10), "INPROGRESS (\"a1\" 5 10)");
        assert_eq!(code(None, 5, 0), "INPROGRESS (NIL NIL NIL)");
    }

    #[test]
    fn a_client_that_asks_for_an_unknown_event_hears_which_ones_there_are() {
        assert_eq!(
            Code::BadEvent.to_string(),
            "BADEVENT (MessageNew MessageExpunge FlagChange AnnotationChange MailboxName SubscriptionChange \
             MailboxMetadataChange ServerMetadataChange)"
        );
    }

    #[test]
    fn a_status_line_is_one_line_whatever_its_text_is() {
        let tag = Tag::of(b"a1 NOOP").unwrap();
        assert_eq!(Reply::completed().line(Some(&tag)), b"a1 OK Completed\r\n");
        let reply = Reply::no("two\r\nlines").code(Code::MailboxId("x\r\n* BYE".to_owned()));
        assert_eq!(reply.line(None), b"* NO [MAILBOXID (x  * BYE)] two  lines\r\n");
        let bye = Bye::new("Idle for too long").code(Code::Unavailable);
        assert_eq!(bye.line(), b"* BYE [UNAVAILABLE] Idle for too long\r\n");
        assert_eq!(bye.to_string(), "[UNAVAILABLE] Idle for too long");
    }
}
