//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS: RFC 4314.

use protocol::acl::{Acl, Rights, list_rights};
use protocol::imap::command::acl::{Change, DeleteAcl, ListRights, SetAcl};
use protocol::imap::print;
use protocol::name::MailboxName;

use super::list::unlisted;
use crate::imap::reply::{Outcome, Reply, Stop};
use crate::imap::session::Session;
use crate::imap::user::require;
use store::AclChange;

impl Session {
    /// The mailbox that the user calls `external`, with its ACL and the user's rights on it. Refused as unknown where
    /// the user may not know of it.
    pub fn find(&self, external: &str) -> Result<(MailboxName, String, Rights), Stop> {
        let user = self.user()?;
        let name = user.internal(external, &self.server.namespace)?;
        let nothing = || Stop::from(Reply::no("Mailbox does not exist").code("NONEXISTENT"));
        let entry = self.server.store.list().get(&name).map_err(unlisted)?.ok_or_else(nothing)?;
        if !entry.is_active() {
            return Err(Reply::no("Mailbox is currently reserved").code("UNAVAILABLE").into());
        }
        let mut rights = self.server.store.rights(&name, &entry.acl, user.who());
        if user.is_admin() {
            rights = rights | Rights::LOOKUP | Rights::ADMIN;
        }
        if rights.is_empty() {
            return Err(nothing());
        }
        Ok((name, entry.acl.to_string(), rights))
    }
}

pub async fn set(session: &mut Session, set: SetAcl) -> Outcome {
    let deleteright = session.server.imapd.deleteright.chars().next().unwrap_or('c');
    let rights = match Rights::parse(&set.rights, deleteright) {
        Ok(rights) => rights,
        Err(unknown) => return Ok(Reply::bad(unknown.to_string())),
    };
    change(session, &set.mailbox, &set.identifier, set.change, rights).await
}

pub async fn delete(session: &mut Session, delete: DeleteAcl) -> Outcome {
    change(session, &delete.mailbox, &delete.identifier, Change::Replace, Rights::NONE).await
}

async fn change(session: &Session, mailbox: &str, identifier: &str, how: Change, rights: Rights) -> Outcome {
    if !session.server.imapd.allowsetacl {
        return Ok(Reply::no("Command is disabled by configuration"));
    }
    let (name, _, mine) = session.find(mailbox)?;
    require(mine, Rights::ADMIN)?;
    let identifier = canonical(session, identifier);
    let admin = session.user()?.is_admin();
    let bare = identifier.strip_prefix('-').unwrap_or(&identifier);
    if bare == "anyone" && name.owner().is_some() && !admin && !session.server.imapd.anyoneuseracl {
        return Ok(Reply::no("Permission denied").code("NOPERM"));
    }
    let change = match how {
        Change::Replace => AclChange::Set(rights),
        Change::Add => AclChange::Add(rights),
        Change::Remove => AclChange::Remove(rights),
    };
    session.server.store.set_acl(&session.actor()?, &name, &identifier, change).await?;
    Ok(Reply::completed())
}

/// Identifiers are user names as they log in.
fn canonical(session: &Session, identifier: &str) -> String {
    let is_group = identifier.trim_start_matches('-').starts_with("group:");
    if session.server.imapd.username_tolower && !is_group {
        identifier.to_lowercase()
    } else {
        identifier.to_owned()
    }
}

pub fn get(session: &mut Session, external: &str) -> Outcome {
    let (_, acl, rights) = session.find(external)?;
    require(rights, Rights::ADMIN)?;
    let out = session.conn.out();
    out.extend_from_slice(b"* ACL ");
    print::astring(out, external.as_bytes());
    for (identifier, rights) in Acl::parse(&acl).entries() {
        out.push(b' ');
        print::astring(out, identifier.as_bytes());
        out.push(b' ');
        print::astring(out, rights.to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(Reply::completed())
}

pub fn rights(session: &mut Session, list: ListRights) -> Outcome {
    let (name, _, rights) = session.find(&list.mailbox)?;
    require(rights, Rights::ADMIN)?;
    let identifier = canonical(session, &list.identifier);
    let owner = name.owner().is_some_and(|owner| owner == identifier);
    let listed = list_rights(owner, name.is_inbox(), &session.server.imapd.implicit_owner_rights);
    let out = session.conn.out();
    out.extend_from_slice(b"* LISTRIGHTS ");
    print::astring(out, list.mailbox.as_bytes());
    out.push(b' ');
    print::astring(out, list.identifier.as_bytes());
    out.extend_from_slice(format!(" {listed}\r\n").as_bytes());
    Ok(Reply::completed())
}

pub fn my_rights(session: &mut Session, external: &str) -> Outcome {
    let (_, _, rights) = session.find(external)?;
    write_my_rights(session, external, rights);
    Ok(Reply::completed())
}

pub fn write_my_rights(session: &mut Session, external: &str, rights: Rights) {
    let out = session.conn.out();
    out.extend_from_slice(b"* MYRIGHTS ");
    print::astring(out, external.as_bytes());
    out.extend_from_slice(format!(" {rights}\r\n").as_bytes());
}
