use super::cursor::{Cursor, ParseError};
use super::*;
use crate::imap::Body;
use crate::imap::command::is_foreign;

pub fn name(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let mut name = cursor.atom().map_err(|_| ParseError::Text("Null command"))?.to_ascii_uppercase();
    if name == "UID" {
        cursor.space()?;
        name.push(' ');
        name.push_str(&cursor.atom()?.to_ascii_uppercase());
    }
    if name.len() > 64 { Err(ParseError::Unrecognized) } else { Ok(name) }
}

pub fn parse(name: &str, cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (uid, plain) = match name.strip_prefix("UID ") {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    if uid && is_foreign(plain) {
        return Err(ParseError::Unrecognized);
    }
    if uid && !matches!(plain, "FETCH" | "STORE" | "SEARCH" | "COPY" | "MOVE" | "XMOVE" | "EXPUNGE") {
        return Err(ParseError::Text("Unrecognized UID subcommand"));
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
