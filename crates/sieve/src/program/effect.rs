//! What a run leaves: everything that its caller needs to carry it out, as values.

use std::sync::Arc;

use super::error::RunError;
use crate::message::Edits;

/// The end of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// In the order in which they are to be carried out. After an error there are notifications alone.
    pub effects: Vec<Effect>,
    /// The implicit keep, unless it was cancelled. After an error it is there, without flags and edits.
    pub keep: Option<Store>,
    pub error: Option<RunError>,
    /// The texts of `log`.
    pub log: Vec<String>,
    /// Each step, where [`Limits::trace`](super::state::Limits) is set.
    pub trace: Vec<Traced>,
}

/// A step of a run, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// How many scripts include this one.
    pub depth: usize,
    pub line: u32,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// `keep` and `fileinto`. One for each target.
    Store(Store),
    /// One for each address.
    Redirect(Redirect),
    /// `reject` and `ereject`. Only [`Effect::Notify`] and [`Effect::MarkDuplicate`] stand beside it.
    Reject(Reject),
    /// Nothing is done; it is logged.
    Discard,
    /// At most one.
    Vacation(Vacation),
    Notify(Notify),
    MarkDuplicate(MarkDuplicate),
}

/// Where a message, or a copy of what was sent, is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub target: Target,
    /// System flags as `\Seen`, spelt as RFC 3501 has them. Never `\Recent`.
    pub flags: Vec<String>,
    /// `:create`. With a special use in the target, the new mailbox gets it.
    pub create: bool,
    /// The header to store; none: as it came.
    pub edits: Option<Arc<Edits>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Where the message would go without a script: the detail's mailbox, or INBOX.
    Keep,
    /// The first of these that is there: the one with the id, the one with the special use, the one of that name.
    Mailbox { name: String, id: Option<String>, special_use: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// local@domain, without display name.
    pub address: String,
    pub edits: Option<Arc<Edits>>,
    /// `:notify` (RFC 6009): `NEVER`, or what of SUCCESS, FAILURE, DELAY.
    pub notify: Option<String>,
    /// `:ret`: FULL or HDRS.
    pub ret: Option<String>,
    pub deliver_by: Option<DeliverBy>,
}

/// RFC 6009 section 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverBy {
    /// Seconds from now, perhaps below 0.
    pub seconds: i64,
    /// `:bymode "RETURN"`; else NOTIFY.
    pub return_it: bool,
    pub trace: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub text: String,
    /// `ereject`: by a reply of LMTP, whatever the text is.
    pub extended: bool,
}

/// RFC 5230. Whether an answer is due decides the caller (section 4.2 ff.), from the message and his own marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacation {
    /// `:days` or `:seconds`, as seconds; none: the default.
    pub seconds: Option<u64>,
    pub subject: Option<String>,
    pub from: Option<String>,
    pub addresses: Vec<String>,
    /// `:mime`: the reason is a MIME entity.
    pub mime: bool,
    pub handle: Option<String>,
    pub reason: String,
    pub fcc: Option<Store>,
}

/// RFC 5435.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// A URI, `mailto:`.
    pub method: String,
    pub from: Option<String>,
    /// 1 is high, 3 low.
    pub importance: u8,
    pub options: Vec<String>,
    /// Perhaps empty: the caller's own text.
    pub message: String,
    pub fcc: Option<Store>,
}

/// RFC 7352: recorded when the message is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkDuplicate {
    /// With the handle in it.
    pub id: String,
    pub seconds: u64,
    /// `:last`: the time begins anew when the mark is there already.
    pub last: bool,
}
