//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS: RFC 4314.

use protocol::acl::{Acl, Rights};
use protocol::imap::command::acl::{
    Change, DeleteAcl, ListRights, SetAcl, print_acl, print_list_rights, print_my_rights,
};
use protocol::imap::refusal::require;
use protocol::imap::{Refusal, Reply};
use protocol::name::MailboxName;

use super::list::unlisted;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::Session;
use store::{AclChange, StoreError};

impl Session {
    /// The mailbox that the user calls `external`, with its ACL and the user's rights on it. Refused as unknown where
    /// the user may not know of it. Waits, some seconds at most, while a move brings the mailbox here.
    pub async fn find(&self, external: &str) -> Result<(MailboxName, String, Rights), Stop> {
        let user = self.user()?;
        let name = user.internal(external, &self.server.namespace)?;
        let (acl, rights) = self.rights_on(&name).await?;
        Ok((name, acl, rights))
    }

    /// The ACL of the mailbox of an internal name, and the user's rights on it, as [`Session::find`] gives them.
    pub async fn rights_on(&self, name: &MailboxName) -> Result<(String, Rights), Stop> {
        let user = self.user()?;
        let nothing = || Stop::from(Refusal::NoMailbox);
        let entry = match self.server.store.find(name).await {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(StoreError::Moved(_) | StoreError::Frozen) => {
                return Err(self.server.store.absence(name, user.who(), user.is_admin()).into());
            }
            Err(error) => return Err(error.into()),
        };
        if !entry.is_active() {
            return Err(Refusal::Reserved.into());
        }
        let mut rights = self.server.store.rights(name, &entry.acl, user.who());
        if user.is_admin() {
            rights = rights | Rights::LOOKUP | Rights::ADMIN;
        }
        if rights.is_empty() {
            return Err(nothing());
        }
        Ok((entry.acl.to_string(), rights))
    }

    /// The same of a mailbox that messages are to go into.
    pub async fn find_target(&self, external: &str) -> Result<(MailboxName, String, Rights), Stop> {
        match self.find(external).await {
            Err(Stop::Refused(Refusal::NoMailbox)) => {
                let name = self.user()?.internal(external, &self.server.namespace)?;
                let may = self.viewer()?.may_create(&name).map_err(unlisted)?;
                Err(Refusal::of_missing_target(may).into())
            }
            other => other,
        }
    }
}

pub async fn set(session: &mut Session, set: SetAcl) -> Outcome {
    let rights = session.server.store.granting().read(&set.rights).map_err(Refusal::BadRight)?;
    change(session, &set.mailbox, &set.identifier, set.change, rights).await
}

pub async fn delete(session: &mut Session, delete: DeleteAcl) -> Outcome {
    change(session, &delete.mailbox, &delete.identifier, Change::Replace, Rights::NONE).await
}

async fn change(session: &Session, mailbox: &str, identifier: &str, how: Change, rights: Rights) -> Outcome {
    if !session.server.imapd.allowsetacl {
        return Err(Refusal::Disabled.into());
    }
    let (name, _, mine) = session.find(mailbox).await?;
    require(mine, Rights::ADMIN)?;
    let identifier = canonical(session, identifier);
    let admin = session.user()?.is_admin();
    let bare = identifier.strip_prefix('-').unwrap_or(&identifier);
    if bare == "anyone" && name.owner().is_some() && !admin && !session.server.imapd.anyoneuseracl {
        return Err(Refusal::Denied.into());
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
    session.server.namespace.identifier(identifier, session.server.imapd.username_tolower)
}

pub async fn get(session: &mut Session, external: &str) -> Outcome {
    let (_, acl, rights) = session.find(external).await?;
    require(rights, Rights::ADMIN)?;
    print_acl(session.conn.out(), external, &Acl::parse(&acl));
    Ok(Reply::completed())
}

pub async fn rights(session: &mut Session, list: ListRights) -> Outcome {
    let (name, _, rights) = session.find(&list.mailbox).await?;
    require(rights, Rights::ADMIN)?;
    let identifier = canonical(session, &list.identifier);
    let owner = name.owner().is_some_and(|owner| owner == identifier);
    let listed = session.server.store.granting().listed(owner, name.is_inbox());
    print_list_rights(session.conn.out(), &list.mailbox, &list.identifier, &listed);
    Ok(Reply::completed())
}

pub async fn my_rights(session: &mut Session, external: &str) -> Outcome {
    let (_, _, rights) = session.find(external).await?;
    print_my_rights(session.conn.out(), external, rights);
    Ok(Reply::completed())
}
