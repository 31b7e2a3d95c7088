//! The commands, one file per family; adding one touches its file and a line of [`parse`].

pub mod acl;
pub mod admin;
pub mod adopt;
pub mod annotate;
pub mod append;
pub mod copy;
pub mod fetch;
pub mod list;
pub mod mailbox;
pub mod metadata;
pub mod multisearch;
pub mod node;
pub mod notify;
pub mod quota;
pub mod search;
pub mod select;
pub mod session;
pub mod sort;
pub mod status;
pub mod store;

use crate::grammar::{Cursor, Keyword, ParseError, Parsed, argument, atom, end};

/// What a command asks for. APPEND and REPLACE are not here: see [`append`].
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
    SetMetadata(metadata::SetMetadata),
    GetAnnotation(metadata::GetAnnotation),
    MultiSearch(multisearch::MultiSearch),
    Notify(notify::Notify),
    SetAnnotation(String),
    /// XWARMUP, whose items are not looked at.
    Warmup(String),
    RunAnnotator,
    MupdatePush(String),
    LocalCreate(mailbox::Create),
    LocalDelete(String),
    Xfer(admin::Xfer),
    XClient(crate::origin::Origin),
    XKick(String),
    XTake(crate::imap::SequenceSet),
    XAdopt(adopt::Part),
    // With a mailbox selected.
    Check,
    Close,
    Unselect,
    Expunge(copy::Expunge),
    Fetch(fetch::Fetch),
    Store(store::Store),
    Search(search::Search),
    Sort(sort::Sort),
    Thread(sort::Thread),
    UidBatches(multisearch::UidBatches),
    Copy(copy::Copy),
}

impl Body {
    /// Whether the command makes sense before login; see [`before_login`].
    pub fn before_login(&self) -> bool {
        use Body::*;
        matches!(self, Capability | Noop | Logout | Id(_) | StartTls | Login(_) | Authenticate(_))
    }
}

impl Body {
    /// Whether messages are named by their numbers: not allowed under UIDONLY (RFC 9586 section 3).
    pub fn names_numbers(&self) -> bool {
        match self {
            Body::Fetch(fetch) => !fetch.uid,
            Body::Store(store) => !store.uid,
            Body::Copy(copy) => !copy.uid,
            Body::Search(search) => !search.uid || search.key.names_numbers(),
            Body::Sort(sort) => !sort.uid || sort.key.names_numbers(),
            Body::Thread(thread) => !thread.uid || thread.key.names_numbers(),
            Body::MultiSearch(search) => search.key.names_numbers(),
            Body::Select(select) => select.resync.as_ref().is_some_and(|resync| resync.matched.is_some()),
            _ => false,
        }
    }
}

/// What a command is called.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    /// It is the second word after UID.
    uid: bool,
    word: &'a str,
}

impl<'a> Name<'a> {
    /// `name = atom / "UID" SP atom`
    #[inline]
    pub fn parse(at: Cursor<'a>) -> Parsed<'a, Name<'a>> {
        let (at, first) = atom(at).map_err(|_| ParseError::Text("Null command"))?;
        let uid = first.eq_ignore_ascii_case("UID");
        let (at, word) = match uid {
            true => argument(atom)(at).map_err(|_| ParseError::Text("Missing required argument to Uid"))?,
            false => (at, first),
        };
        if word.len() > NAME_MAX {
            return Err(ParseError::Unrecognized.into());
        }
        Ok((at, Name { uid, word }))
    }

    pub fn is(&self, name: &str) -> bool {
        !self.uid && self.word.eq_ignore_ascii_case(name)
    }

    /// [`before_login`] of it.
    pub fn before_login(&self) -> bool {
        !self.uid && before_login(&self.word.to_ascii_uppercase())
    }

    /// Whether the command is about the messages of the open mailbox and nothing else.
    pub fn is_of_messages(&self) -> bool {
        is_of_messages(&self.word.to_ascii_uppercase())
    }

    /// The name as it stands in texts: `Uid Fetch`.
    pub fn title(&self) -> String {
        let word = self.word.to_ascii_uppercase();
        title(&if self.uid { format!("UID {word}") } else { word })
    }
}

/// Whether the command called `name` makes sense before login: [`Body::before_login`] of one that is not parsed yet.
pub fn before_login(name: &str) -> bool {
    matches!(name, "CAPABILITY" | "NOOP" | "LOGOUT" | "ID" | "STARTTLS" | "LOGIN" | "AUTHENTICATE")
}

/// Whether the command called `name`, without UID, is about the messages of the open mailbox and nothing else.
pub fn is_of_messages(name: &str) -> bool {
    matches!(name, "FETCH" | "STORE" | "SEARCH" | "SORT" | "THREAD" | "UIDBATCHES" | "EXPUNGE")
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
    "GENURLAUTH",
    "GETJMAPACCESS",
    "GETUSERGROUP",
    "LANGUAGE",
    "NOTIFY",
    "RACLMODSEQ",
    "RESETKEY",
    "SETUSERGROUP",
    "UNSETUSERGROUP",
    "URLFETCH",
    "XAPPLEPUSHSERVICE",
    "XCONVFETCH",
    "XCONVMULTISORT",
    "XCONVSORT",
    "XCONVUPDATES",
    "XFOREVER",
    "XKILLMY",
    "XMEID",
    "XSNIPPETS",
    "XSORT",
    "XSTATS",
];

/// A name, upper case, as it stands in texts: `Uid Fetch`.
pub fn title(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| if std::mem::replace(&mut start, c == ' ') { c } else { c.to_ascii_lowercase() })
        .collect()
}

/// Reads the arguments of a command, to the end.
pub fn parse(name: &Name<'_>, at: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (uid, word) = (name.uid, Keyword::of(name.word.as_bytes()));
    let word = word.as_bytes();
    if uid && !TAKE_UIDS.contains(&word) {
        return Err(match is_foreign(name.word) {
            true => ParseError::Unrecognized,
            false => ParseError::Text("Unrecognized UID subcommand"),
        });
    }
    let body = match word {
        b"CAPABILITY" => Body::Capability,
        b"NOOP" => Body::Noop,
        b"LOGOUT" => Body::Logout,
        b"ID" => Body::Id(at.read(session::id)?),
        b"STARTTLS" => Body::StartTls,
        b"LOGIN" => Body::Login(at.read(session::login)?),
        b"AUTHENTICATE" => Body::Authenticate(at.read(session::authenticate)?),
        b"ENABLE" => Body::Enable(at.read(session::enable)?),
        b"COMPRESS" => Body::Compress(at.read(session::compress)?),
        b"UNAUTHENTICATE" => Body::Unauthenticate,
        b"NAMESPACE" => Body::Namespace,
        b"IDLE" => Body::Idle,
        b"SELECT" => Body::Select(at.read(|at| select::parse(at, false))?),
        b"EXAMINE" => Body::Select(at.read(|at| select::parse(at, true))?),
        b"CREATE" => Body::Create(at.read(mailbox::create)?),
        b"DELETE" => Body::Delete(at.read(mailbox::delete)?),
        b"RENAME" | b"XRENAME" => Body::Rename(at.read(mailbox::rename)?),
        b"SUBSCRIBE" => Body::Subscribe(at.read(mailbox::subscribe)?),
        b"UNSUBSCRIBE" => Body::Unsubscribe(at.read(mailbox::subscribe)?),
        b"LIST" => Body::List(at.read(list::list)?),
        b"XLIST" => Body::List(at.read(list::xlist)?),
        b"RLIST" => Body::List(at.read(list::rlist)?),
        b"LSUB" | b"RLSUB" => Body::Lsub(at.read(list::lsub)?),
        b"STATUS" => Body::Status(at.read(status::parse)?),
        b"SETACL" => Body::SetAcl(at.read(acl::set)?),
        b"DELETEACL" => Body::DeleteAcl(at.read(acl::delete)?),
        b"GETACL" => Body::GetAcl(at.read(acl::get)?),
        b"LISTRIGHTS" => Body::ListRights(at.read(acl::list_rights)?),
        b"MYRIGHTS" => Body::MyRights(at.read(acl::my_rights)?),
        b"GETQUOTA" => Body::GetQuota(at.read(quota::get)?),
        b"GETQUOTAROOT" => Body::GetQuotaRoot(at.read(quota::get_root)?),
        b"SETQUOTA" => Body::SetQuota(at.read(quota::set)?),
        b"GETMETADATA" => Body::GetMetadata(at.read(metadata::get)?),
        b"SETMETADATA" => Body::SetMetadata(at.read(metadata::set)?),
        b"XWARMUP" => Body::Warmup(at.read(metadata::set_annotation)?),
        b"XRUNANNOTATOR" => {
            at.read(|at: Cursor<'_>| Ok((at.with(&[]), ())))?;
            Body::RunAnnotator
        }
        b"SETANNOTATION" => Body::SetAnnotation(at.read(metadata::set_annotation)?),
        b"GETANNOTATION" => Body::GetAnnotation(at.read(metadata::annotation)?),
        b"MUPDATEPUSH" => Body::MupdatePush(at.read(admin::mupdate_push)?),
        b"LOCALCREATE" => Body::LocalCreate(at.read(mailbox::create)?),
        b"LOCALDELETE" => Body::LocalDelete(at.read(mailbox::one)?),
        b"XFER" => Body::Xfer(at.read(admin::xfer)?),
        b"XCLIENT" => Body::XClient(at.read(node::xclient)?),
        b"XKICK" => Body::XKick(at.read(node::xkick)?),
        b"XTAKE" => Body::XTake(at.read(node::xtake)?),
        b"XADOPT" => Body::XAdopt(at.read(adopt::xadopt)?),
        word => of_messages(word, uid, at)?,
    };
    at.read(end)?;
    Ok(body)
}

/// The same of a command about messages, or about searching and watching them.
fn of_messages(word: &[u8], uid: bool, at: &mut Cursor<'_>) -> Result<Body, ParseError> {
    Ok(match word {
        b"CHECK" => Body::Check,
        b"CLOSE" => Body::Close,
        b"UNSELECT" => Body::Unselect,
        b"EXPUNGE" => Body::Expunge(at.read(|at| copy::expunge(at, uid))?),
        b"FETCH" => Body::Fetch(at.read(|at| fetch::parse(at, uid))?),
        b"STORE" => Body::Store(at.read(|at| store::parse(at, uid))?),
        b"SEARCH" => Body::Search(at.read(|at| search::parse(at, uid))?),
        b"SORT" => Body::Sort(at.read(|at| sort::sort(at, uid))?),
        b"THREAD" => Body::Thread(at.read(|at| sort::thread(at, uid))?),
        b"ESEARCH" => Body::MultiSearch(at.read(multisearch::parse)?),
        b"NOTIFY" => Body::Notify(at.read(notify::parse)?),
        b"UIDBATCHES" => Body::UidBatches(at.read(multisearch::uid_batches)?),
        b"COPY" => Body::Copy(at.read(|at| copy::parse(at, uid, false))?),
        b"MOVE" | b"XMOVE" => Body::Copy(at.read(|at| copy::parse(at, uid, true))?),
        b"APPEND" | b"LOCALAPPEND" | b"REPLACE" => return Err(ParseError::Missing),
        _ => return Err(ParseError::Unrecognized),
    })
}

/// The commands that have a form with UIDs.
const TAKE_UIDS: &[&[u8]] =
    &[b"FETCH", b"STORE", b"SEARCH", b"SORT", b"THREAD", b"COPY", b"MOVE", b"XMOVE", b"EXPUNGE", b"REPLACE"];
/// Bytes of a name without `UID `.
const NAME_MAX: usize = 60;
