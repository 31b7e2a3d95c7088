//! The commands, one file per family; adding one touches its file and a line of [`parse`].

pub mod acl;
pub mod admin;
pub mod append;
pub mod copy;
pub mod fetch;
pub mod list;
pub mod mailbox;
pub mod metadata;
pub mod node;
pub mod quota;
pub mod search;
pub mod select;
pub mod session;
pub mod status;
pub mod store;

use super::cursor::{Cursor, ParseError};

/// What a command asks for. APPEND is not here: see [`append`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    // Any time.
    Capability,
    Noop,
    Logout,
    Id(session::Id),
    // Before login.
    StartTls,
    Login(session::Login),
    Authenticate(session::Authenticate),
    // After login.
    Enable(Vec<String>),
    Compress(String),
    Unauthenticate,
    Namespace,
    Idle,
    Select(select::Select),
    Create(mailbox::Create),
    Delete(String),
    Rename(mailbox::Rename),
    Subscribe(String),
    Unsubscribe(String),
    List(list::List),
    Lsub(list::Lsub),
    Status(status::Status),
    SetAcl(acl::SetAcl),
    DeleteAcl(acl::DeleteAcl),
    GetAcl(String),
    ListRights(acl::ListRights),
    MyRights(String),
    GetQuota(String),
    GetQuotaRoot(String),
    SetQuota(quota::SetQuota),
    GetMetadata(metadata::GetMetadata),
    GetAnnotation(metadata::GetAnnotation),
    MupdatePush(String),
    LocalCreate(mailbox::Create),
    LocalDelete(String),
    Xfer(admin::Xfer),
    XClient(crate::origin::Origin),
    XKick(String),
    // With a mailbox selected.
    Check,
    Close,
    Unselect,
    Expunge(copy::Expunge),
    Fetch(fetch::Fetch),
    Store(store::Store),
    Search(search::Search),
    Copy(copy::Copy),
}

impl Body {
    /// Whether the command makes sense before login; see [`before_login`].
    pub fn before_login(&self) -> bool {
        use Body::*;
        matches!(self, Capability | Noop | Logout | Id(_) | StartTls | Login(_) | Authenticate(_))
    }
}

/// The name of the command, upper case; `UID FETCH` and the like are one name.
pub fn name(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let mut name =
        cursor.atom().map_err(|_| ParseError::Text("Null command".to_owned()))?.to_ascii_uppercase();
    if name == "UID" {
        cursor.space()?;
        name.push(' ');
        name.push_str(&cursor.atom()?.to_ascii_uppercase());
    }
    if name.len() > 64 { Err(ParseError::Unrecognized) } else { Ok(name) }
}

/// Whether the command called `name` makes sense before login: [`Body::before_login`] of one that is not parsed yet.
pub fn before_login(name: &str) -> bool {
    matches!(name, "CAPABILITY" | "NOOP" | "LOGOUT" | "ID" | "STARTTLS" | "LOGIN" | "AUTHENTICATE")
}

/// Whether other servers announce a command that is not served here. A client that tries it, or that was set up for such a
/// server, makes no mistake. `name` in any case, with or without `UID `.
pub fn is_foreign(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    FOREIGN.contains(&name.strip_prefix("UID ").unwrap_or(&name))
}

/// Commands of extensions that some server announces: the IANA registry's, Cyrus's, and those of large providers.
const FOREIGN: &[&str] = &[
    "CANCELUPDATE",
    "COMPARATOR",
    "CONVERSIONS",
    "CONVERT",
    "ESEARCH",
    "GENURLAUTH",
    "GETJMAPACCESS",
    "LANGUAGE",
    "NOTIFY",
    "REPLACE",
    "RESETKEY",
    "SETANNOTATION",
    "SETMETADATA",
    "SORT",
    "THREAD",
    "UIDBATCHES",
    "URLFETCH",
    "XAPPLEPUSHSERVICE",
    "XCONVFETCH",
    "XCONVMULTISORT",
    "XCONVSORT",
    "XCONVUPDATES",
    "XSNIPPETS",
    "XSORT",
    "XSTATS",
    "XWARMUP",
];

/// The name as it stands in texts: `Uid Fetch`.
pub fn title(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| if std::mem::replace(&mut start, c == ' ') { c } else { c.to_ascii_lowercase() })
        .collect()
}

/// Parses the arguments of the command called `name`.
pub fn parse(name: &str, cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (uid, plain) = match name.strip_prefix("UID ") {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    if uid && is_foreign(plain) {
        return Err(ParseError::Unrecognized);
    }
    if uid && !matches!(plain, "FETCH" | "STORE" | "SEARCH" | "COPY" | "MOVE" | "XMOVE" | "EXPUNGE") {
        return Err(ParseError::Text("Unrecognized UID subcommand".to_owned()));
    }
    let body = match plain {
        "CAPABILITY" => Body::Capability,
        "NOOP" => Body::Noop,
        "LOGOUT" => Body::Logout,
        "ID" => session::id(cursor)?,
        "STARTTLS" => Body::StartTls,
        "LOGIN" => session::login(cursor)?,
        "AUTHENTICATE" => session::authenticate(cursor)?,
        "ENABLE" => session::enable(cursor)?,
        "COMPRESS" => session::compress(cursor)?,
        "UNAUTHENTICATE" => Body::Unauthenticate,
        "NAMESPACE" => Body::Namespace,
        "IDLE" => Body::Idle,
        "SELECT" => select::parse(cursor, false)?,
        "EXAMINE" => select::parse(cursor, true)?,
        "CREATE" => Body::Create(mailbox::create(cursor)?),
        "DELETE" => Body::Delete(mailbox::one(cursor)?),
        "RENAME" | "XRENAME" => mailbox::rename(cursor)?,
        "SUBSCRIBE" => Body::Subscribe(mailbox::subscribe(cursor)?),
        "UNSUBSCRIBE" => Body::Unsubscribe(mailbox::subscribe(cursor)?),
        "LIST" => list::list(cursor)?,
        "XLIST" => list::xlist(cursor)?,
        "RLIST" => list::rlist(cursor)?,
        "LSUB" | "RLSUB" => list::lsub(cursor)?,
        "STATUS" => status::parse(cursor)?,
        "SETACL" => acl::set(cursor)?,
        "DELETEACL" => acl::delete(cursor)?,
        "GETACL" => Body::GetAcl(mailbox::one(cursor)?),
        "LISTRIGHTS" => acl::list_rights(cursor)?,
        "MYRIGHTS" => Body::MyRights(mailbox::one(cursor)?),
        "GETQUOTA" => Body::GetQuota(mailbox::one(cursor)?),
        "GETQUOTAROOT" => Body::GetQuotaRoot(mailbox::one(cursor)?),
        "SETQUOTA" => quota::set(cursor)?,
        "GETMETADATA" => metadata::get(cursor)?,
        "GETANNOTATION" => metadata::annotation(cursor)?,
        "MUPDATEPUSH" => Body::MupdatePush(mailbox::one(cursor)?),
        "LOCALCREATE" => Body::LocalCreate(mailbox::create(cursor)?),
        "LOCALDELETE" => Body::LocalDelete(mailbox::one(cursor)?),
        "XFER" => admin::xfer(cursor)?,
        "XCLIENT" => node::xclient(cursor)?,
        "XKICK" => Body::XKick(mailbox::one(cursor)?),
        "CHECK" => Body::Check,
        "CLOSE" => Body::Close,
        "UNSELECT" => Body::Unselect,
        "EXPUNGE" => copy::expunge(cursor, uid)?,
        "FETCH" => fetch::parse(cursor, uid)?,
        "STORE" => store::parse(cursor, uid)?,
        "SEARCH" => search::parse(cursor, uid)?,
        "COPY" => copy::parse(cursor, uid, false)?,
        "MOVE" | "XMOVE" => copy::parse(cursor, uid, true)?,
        "APPEND" | "LOCALAPPEND" => return Err(ParseError::Missing),
        _ => return Err(ParseError::Unrecognized),
    };
    cursor.end()?;
    Ok(body)
}
