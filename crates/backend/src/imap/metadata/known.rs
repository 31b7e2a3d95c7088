//! The annotations that have a meaning here: the tables of mailboxes' and of the server's, as Cyrus 3.12 has them. What is made up
//! rather than kept is read only.

use super::definitions::Form;

/// Who may set an entry of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody: it is what the server knows.
    Read,
    Write,
    /// Who may administer the mailbox, or the server.
    Admin,
}

#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Without `/shared` or `/private`.
    pub name: &'static str,
    pub shared: Option<Access>,
    pub private: Option<Access>,
    pub form: Form,
}

const fn both(name: &'static str, form: Form) -> Known {
    Known { name, shared: Some(Access::Write), private: Some(Access::Write), form }
}

const fn shared(name: &'static str, access: Access, form: Form) -> Known {
    Known { name, shared: Some(access), private: None, form }
}

const fn private(name: &'static str, form: Form) -> Known {
    Known { name, shared: None, private: Some(Access::Write), form }
}

const fn made(name: &'static str) -> Known {
    shared(name, Access::Read, Form::Text)
}

use Access::{Admin, Write};
use Form::{Date, Duration, Number, Switch, Text};

pub const VENDOR: &str = "/vendor/cmu/cyrus-imapd";
/// What nodes of a murder ask each other.
pub const OURS: &str = "/vendor/murder";

pub const SPECIAL_USE: &str = "/specialuse";
pub const ANNOTATION_SIZE: &str = "/vendor/cmu/cyrus-imapd/annotsize";
pub const SIZE: &str = "/vendor/cmu/cyrus-imapd/size";
pub const DUPLICATE_DELIVER: &str = "/vendor/cmu/cyrus-imapd/duplicatedeliver";
pub const POP3_SHOW_AFTER: &str = "/vendor/cmu/cyrus-imapd/pop3showafter";
pub const POP3_NEW_UIDL: &str = "/vendor/cmu/cyrus-imapd/pop3newuidl";
pub const SHARED_SEEN: &str = "/vendor/cmu/cyrus-imapd/sharedseen";
pub const LAST_POP: &str = "/vendor/cmu/cyrus-imapd/lastpop";
pub const LAST_UPDATE: &str = "/vendor/cmu/cyrus-imapd/lastupdate";
pub const FOLDER_MODSEQ: &str = "/vendor/cmu/cyrus-imapd/foldermodseq";
pub const PARTITION: &str = "/vendor/cmu/cyrus-imapd/partition";
pub const SERVER_NAME: &str = "/vendor/cmu/cyrus-imapd/server";
pub const UNIQUE_ID: &str = "/vendor/cmu/cyrus-imapd/uniqueid";
pub const RAW_QUOTA: &str = "/vendor/cmu/cyrus-imapd/userrawquota";
pub const FUZZY: &str = "/vendor/cmu/cyrus-imapd/search-fuzzy-always";

pub const MAILBOX: &[Known] = &[
    both("/check", Switch),
    both("/checkperiod", Number),
    both("/comment", Text),
    both("/sort", Text),
    both("/thread", Text),
    private(SPECIAL_USE, Text),
    made(ANNOTATION_SIZE),
    shared("/vendor/cmu/cyrus-imapd/archive", Admin, Duration),
    shared("/vendor/cmu/cyrus-imapd/delete", Admin, Duration),
    shared(DUPLICATE_DELIVER, Write, Switch),
    shared("/vendor/cmu/cyrus-imapd/expire", Admin, Duration),
    made(FOLDER_MODSEQ),
    made("/vendor/cmu/cyrus-imapd/hasalarms"),
    made(LAST_POP),
    made(LAST_UPDATE),
    shared("/vendor/cmu/cyrus-imapd/news2mail", Admin, Text),
    shared("/vendor/cmu/cyrus-imapd/noexpire_until", Admin, Number),
    made(PARTITION),
    shared(POP3_NEW_UIDL, Write, Switch),
    shared(POP3_SHOW_AFTER, Write, Date),
    shared(FUZZY, Write, Switch),
    made(SERVER_NAME),
    shared(SHARED_SEEN, Write, Switch),
    shared("/vendor/cmu/cyrus-imapd/sieve", Admin, Text),
    made(SIZE),
    private("/vendor/cmu/cyrus-imapd/sortorder", Number),
    shared("/vendor/cmu/cyrus-imapd/squat", Admin, Switch),
    made("/vendor/cmu/cyrus-imapd/synccrcs"),
    made(UNIQUE_ID),
    made(RAW_QUOTA),
];

pub const MESSAGE: &[Known] = &[both("/altsubject", Text), both("/comment", Text)];

pub const MOTD: &str = "/motd";
pub const SHUTDOWN: &str = "/vendor/cmu/cyrus-imapd/shutdown";
pub const FREE_SPACE: &str = "/vendor/cmu/cyrus-imapd/freespace";

pub const SERVER: &[Known] = &[
    shared("/admin", Admin, Text),
    both("/comment", Text),
    shared(MOTD, Admin, Text),
    shared("/vendor/cmu/cyrus-imapd/expire", Admin, Duration),
    made(FREE_SPACE),
    made("/vendor/cmu/cyrus-imapd/freespace/percent/most"),
    made("/vendor/cmu/cyrus-imapd/freespace/total"),
    shared(SHUTDOWN, Admin, Text),
    shared("/vendor/cmu/cyrus-imapd/squat", Admin, Switch),
];
