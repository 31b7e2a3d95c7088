//! Access control lists (RFC 4314): read from this node's own list, so that they are known while a backend is down;
//! changed at the backend that has the mailbox.

use protocol::acl::{Acl, Granting, Rights, Who};
use protocol::imap::Refusal;
use protocol::imap::command::acl::{ListRights, print_acl, print_list_rights, print_my_rights};
use protocol::imap::refusal::require;
use protocol::name::MailboxName;

use super::Request;
use crate::session::{Done, Located, Outcome, Session, Stop};

impl Session {
    /// What the user may do with a mailbox, as an admin too: an owner's implicit rights are among it, an admin's are not.
    pub fn rights(&self, name: &MailboxName, acl: &str) -> Result<Rights, Stop> {
        let user = self.user()?;
        let who = Who { userid: user.id(), groups: &user.login.groups };
        let owner = self.node.namespace.owner(name).is_some_and(|owner| owner == user.id());
        Ok(self.granting().rights(&Acl::parse(acl), who, owner))
    }

    /// How rights are read and granted.
    pub fn granting(&self) -> Granting {
        let imapd = self.listener.imapd();
        Granting::new(&imapd.implicit_owner_rights, &imapd.deleteright)
    }

    /// A mailbox that the user may know of, and his rights on it.
    async fn known(&self, mailbox: &str) -> Result<(Located, Rights), Stop> {
        let located = self.locate(mailbox).await?;
        let mut rights = self.rights(&located.name, &located.entry.acl)?;
        if self.user()?.is_admin() {
            rights = rights | Rights::LOOKUP | Rights::ADMIN;
        }
        if rights.is_empty() { Err(Refusal::NoMailbox.into()) } else { Ok((located, rights)) }
    }
}

/// `GETACL mailbox`
pub async fn get(s: &mut Session, mailbox: &str) -> Outcome {
    let (located, rights) = s.known(mailbox).await?;
    require(rights, Rights::ADMIN)?;
    s.hear_selected("").await?;
    s.client.print(|out| print_acl(out, mailbox, &Acl::parse(&located.entry.acl)));
    Ok(Done::completed())
}

/// `LISTRIGHTS mailbox identifier`
pub async fn rights(s: &mut Session, list: ListRights) -> Outcome {
    let (located, rights) = s.known(&list.mailbox).await?;
    require(rights, Rights::ADMIN)?;
    s.hear_selected("").await?;
    let imapd = s.listener.imapd();
    let identifier = s.node.namespace.identifier(&list.identifier, imapd.username_tolower);
    let owner = located.name.owner().is_some_and(|owner| owner == identifier);
    let listed = s.granting().listed(owner, located.name.is_inbox());
    s.client.print(|out| print_list_rights(out, &list.mailbox, &list.identifier, &listed));
    Ok(Done::completed())
}

/// `MYRIGHTS mailbox`
pub async fn my_rights(s: &mut Session, mailbox: &str) -> Outcome {
    let (_, rights) = s.known(mailbox).await?;
    s.hear_selected("").await?;
    s.client.print(|out| print_my_rights(out, mailbox, rights));
    Ok(Done::completed())
}

/// `SETACL`, `DELETEACL`: done by the backend, and known here before the client hears of it.
pub async fn set(s: &mut Session, request: &Request, mailbox: &str) -> Outcome {
    if !s.listener.imapd().allowsetacl {
        return Err(Refusal::Disabled.into());
    }
    let located = s.locate(mailbox).await?;
    if s.follows_referrals && s.user()?.is_admin() {
        return Err(s.referral(&located, mailbox));
    }
    s.change(located.server(), request, request.text()).await
}
