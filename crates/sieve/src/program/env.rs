//! What a run asks of its caller.

use std::sync::Arc;

use super::Program;

/// The answers of a server to the questions of a script. Nothing here changes anything.
///
/// Names of mailboxes are as the script has them: the external form of the owner's namespace, in UTF-8.
pub trait Env {
    /// Seconds since 1970, the same for the whole run.
    fn now(&self) -> i64;

    /// The server's offset from UTC at that time, seconds to the east.
    fn offset(&self, at: i64) -> i32;

    /// Whether the owner may file into it: it is there, and he has the right `p`.
    fn mailbox_exists(&mut self, name: &str) -> bool;

    /// Whether a mailbox with this MAILBOXID is there and may be filed into (RFC 9042).
    fn mailbox_id_exists(&mut self, id: &str) -> bool;

    /// Whether this mailbox (none: any of the owner's) has the special use, as `\Junk` (RFC 8579).
    fn special_use_exists(&mut self, mailbox: Option<&str>, special_use: &str) -> bool;

    /// An annotation of a mailbox that is there, as `/private/comment` (RFC 5490).
    fn metadata(&mut self, mailbox: &str, entry: &str) -> Option<String>;

    /// An annotation of the server.
    fn server_metadata(&mut self, entry: &str) -> Option<String>;

    /// Whether the mark of an earlier message is there, and not yet too old. See [`Effect::MarkDuplicate`](super::effect::Effect).
    fn duplicate_seen(&mut self, id: &str) -> bool;

    /// The script to include; none: there is none. An error: it cannot be used, and why.
    fn include(&mut self, location: Location, name: &str) -> Result<Option<Arc<Program>>, String>;

    /// An item of RFC 5183 section 4, in lower case: `domain`, `host`, `location`, `name`, `phase`, `remote-host`, `remote-ip`,
    /// `version`.
    fn environment(&mut self, item: &str) -> Option<String>;
}

/// Whose script is included (RFC 6609 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    Personal,
    Global,
}

/// The envelope of one recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Empty for `<>`.
    pub from: String,
    /// As it came in RCPT.
    pub to: String,
    /// The identity of AUTH= (Cyrus's).
    pub auth: Option<String>,
}
