//! Why an article is not taken: the words of 436, 437 and 441, one table.

use std::fmt;

/// What is wrong with an article, with its poster's rights, or with the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    NoNewsgroups,
    NoFrom,
    NoSubject,
    /// IHAVE's alone: whoever injects an article has one made.
    NoMessageId,
    BadMessageId,
    /// It is not the one that was announced.
    OtherMessageId,
    BadHeader,
    /// Two fields of which an article has one.
    Doubled(&'static str),
    HeaderTooLong,
    TooManyGroups,
    Nul,
    TooLarge(u64),
    /// None of its groups is one.
    NoSuchGroup,
    Denied,
    /// It was posted already: IHAVE and TAKETHIS have codes of their own for it.
    Duplicate,
    OverQuota,
    NoSpace,
    Elsewhere,
    /// It may pass: what does not work.
    Temporary(&'static str),
}

impl Refused {
    /// Whether the same article can be taken another time.
    pub fn may_pass(&self) -> bool {
        match self {
            Refused::OverQuota | Refused::NoSpace | Refused::Elsewhere | Refused::Temporary(_) => true,
            Refused::NoNewsgroups
            | Refused::NoFrom
            | Refused::NoSubject
            | Refused::NoMessageId
            | Refused::BadMessageId
            | Refused::OtherMessageId
            | Refused::BadHeader
            | Refused::Doubled(_)
            | Refused::HeaderTooLong
            | Refused::TooManyGroups
            | Refused::Nul
            | Refused::TooLarge(_)
            | Refused::NoSuchGroup
            | Refused::Denied
            | Refused::Duplicate => false,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::NoNewsgroups => "No newsgroups header in article",
            Refused::NoFrom => "No From header in article",
            Refused::NoSubject => "No Subject header in article",
            Refused::NoMessageId => "No Message-ID header in article",
            Refused::BadMessageId => "Invalid Message-ID header in article",
            Refused::OtherMessageId => "Message-ID is not the one that was announced",
            Refused::BadHeader => "Message contains invalid header",
            Refused::Doubled(field) => return write!(f, "More than one {field} header in article"),
            Refused::HeaderTooLong => "Header of article is too long",
            Refused::TooManyGroups => "Too many newsgroups in article",
            Refused::Nul => "Message contains NUL characters",
            Refused::TooLarge(most) => return write!(f, "Article is larger than {most} bytes"),
            Refused::NoSuchGroup => "Mailbox does not exist",
            Refused::Denied => "Permission denied",
            Refused::Duplicate => "Article exists already",
            Refused::OverQuota => "Over quota",
            Refused::NoSpace => "No space left on device",
            Refused::Elsewhere => "Mailbox is on another server",
            Refused::Temporary(what) => what,
        })
    }
}
