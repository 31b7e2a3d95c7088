//! The tagged answer of a command, and how each failure of the store becomes one.

use std::borrow::Cow;

use protocol::imap::{Tag, print};

use super::conn::Gone;
use store::StoreError;

/// What stands behind the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub kind: Kind,
    /// The response code without its brackets.
    pub code: Option<Cow<'static, str>>,
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

    /// Messages that the command names are gone, and the client has not heard of it yet (RFC 5530).
    pub fn expunged() -> Reply {
        Reply::no("Some of the messages have been expunged").code("EXPUNGEISSUED")
    }

    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Reply {
        self.code = Some(code.into());
        self
    }

    /// Writes the line.
    pub fn write(&self, tag: Option<&Tag>, out: &mut Vec<u8>) {
        out.extend_from_slice(tag.map_or("*", Tag::as_str).as_bytes());
        out.extend_from_slice(match self.kind {
            Kind::Ok => b" OK ",
            Kind::No => b" NO ",
            Kind::Bad => b" BAD ",
        });
        if let Some(code) = &self.code {
            out.push(b'[');
            print::plain(out, code);
            out.extend_from_slice(b"] ");
        }
        print::plain(out, &self.text);
        out.extend_from_slice(b"\r\n");
    }
}

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// The client gets this answer.
    Reply(Reply),
    /// The tagged line is written already.
    Answered,
    /// There is no client.
    Gone(Gone),
}

/// How a command ends.
pub type Outcome = Result<Reply, Stop>;

impl From<Reply> for Stop {
    fn from(reply: Reply) -> Stop {
        Stop::Reply(reply)
    }
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Stop {
        Stop::Gone(gone)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Reply(error.into())
    }
}

/// What a client sees for each failure of the store. The cause of one that is ours is logged here, once.
impl From<StoreError> for Reply {
    fn from(error: StoreError) -> Reply {
        let code = match &error {
            StoreError::NoMailbox | StoreError::NoQuotaRoot => Some("NONEXISTENT"),
            StoreError::Exists => Some("ALREADYEXISTS"),
            StoreError::Denied | StoreError::Protected => Some("NOPERM"),
            StoreError::HasChildren => Some("HASCHILDREN"),
            StoreError::OverQuota => Some("OVERQUOTA"),
            StoreError::BadUse(_) => Some("USEATTR"),
            StoreError::TooLarge(_) => Some("TOOBIG"),
            StoreError::TooManyKeywords | StoreError::Limit(_) => Some("LIMIT"),
            StoreError::NoMessage => Some("EXPUNGEISSUED"),
            StoreError::BadName | StoreError::BadIdentifier => Some("CANNOT"),
            StoreError::BadPartition | StoreError::NotSupported => None,
            StoreError::Busy => Some("INUSE"),
            StoreError::Reserved
            | StoreError::Elsewhere(_)
            | StoreError::NoSpace
            | StoreError::ReadOnly
            | StoreError::Closed => Some("UNAVAILABLE"),
            // The texts of the MUPDATE client are what Cyrus's clients know, without a code.
            StoreError::Master(_) => None,
            StoreError::Poisoned(_)
            | StoreError::Damaged { .. }
            | StoreError::Io { .. }
            | StoreError::List(_)
            | StoreError::DamagedList(_) => {
                tracing::error!(%error, "the store failed");
                return Reply::no("System I/O error").code("SERVERBUG");
            }
        };
        let reply = Reply::no(error.to_string());
        match code {
            Some(code) => reply.code(code),
            None => reply,
        }
    }
}
