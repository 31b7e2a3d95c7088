//! Access control lists (RFC 4314): read from this node's own list, so that they are known while a backend is down;
//! changed at the backend that has the mailbox.

use protocol::acl::{Acl, Rights, Who, list_rights};
use protocol::imap::command::acl::ListRights;
use protocol::imap::print;
use protocol::name::MailboxName;

use super::Request;
use crate::session::{DENIED, Located, NONEXISTENT, Session, Stop, User};

impl Session {
    /// What the user may do with a mailbox. An owner's implicit rights and an admin's are among it.
    pub fn rights(&self, name: &MailboxName, acl: &str) -> Result<Rights, Stop> {
        Ok(rights_of(self.user()?, name, acl, &self.listener.imapd().implicit_owner_rights))
    }

    /// A mailbox that the user may know of, and his rights on it.
    async fn known(&self, mailbox: &str) -> Result<(Located, Rights), Stop> {
        let located = self.locate(mailbox).await?;
        let mut rights = self.rights(&located.name, &located.entry.acl)?;
        if self.user()?.is_admin() {
            rights = rights | Rights::LOOKUP | Rights::ADMIN;
        }
        if rights.is_empty() { Err(Stop::no(NONEXISTENT)) } else { Ok((located, rights)) }
    }
}

/// The rights of `user` by an ACL and by owning the mailbox.
pub fn rights_of(user: &User, name: &MailboxName, acl: &str, implicit: &str) -> Rights {
    let who = Who { userid: user.id(), groups: &user.login.groups };
    let acl = Acl::parse(acl);
    if name.owner().is_some_and(|owner| owner == user.id()) {
        acl.owner_rights(who) | Rights::parse(implicit, 'c').unwrap_or_default()
    } else {
        acl.rights(who)
    }
}

fn require(rights: Rights, right: Rights) -> Result<(), Stop> {
    if rights.contains(right) {
        Ok(())
    } else if rights.contains(Rights::LOOKUP) {
        Err(Stop::no(DENIED))
    } else {
        Err(Stop::no(NONEXISTENT))
    }
}

/// `GETACL mailbox`
pub async fn get(s: &mut Session, request: &Request, mailbox: &str) -> Result<(), Stop> {
    let (located, rights) = s.known(mailbox).await?;
    require(rights, Rights::ADMIN)?;
    s.hear_selected("").await?;
    let mut out = b"* ACL ".to_vec();
    print::astring(&mut out, mailbox.as_bytes());
    for (identifier, rights) in Acl::parse(&located.entry.acl).entries() {
        out.push(b' ');
        print::astring(&mut out, identifier.as_bytes());
        out.push(b' ');
        print::astring(&mut out, rights.to_string().as_bytes());
    }
    finish(s, request, out);
    Ok(())
}

/// `LISTRIGHTS mailbox identifier`
pub async fn rights(s: &mut Session, request: &Request, list: ListRights) -> Result<(), Stop> {
    let (located, rights) = s.known(&list.mailbox).await?;
    require(rights, Rights::ADMIN)?;
    s.hear_selected("").await?;
    let imapd = s.listener.imapd();
    let identifier =
        if imapd.username_tolower { list.identifier.to_lowercase() } else { list.identifier.clone() };
    let owner = located.name.owner().is_some_and(|owner| owner == identifier);
    let listed = list_rights(owner, located.name.is_inbox(), &imapd.implicit_owner_rights);
    let mut out = b"* LISTRIGHTS ".to_vec();
    print::astring(&mut out, list.mailbox.as_bytes());
    out.push(b' ');
    print::astring(&mut out, list.identifier.as_bytes());
    out.extend_from_slice(format!(" {listed}").as_bytes());
    finish(s, request, out);
    Ok(())
}

/// `MYRIGHTS mailbox`
pub async fn my_rights(s: &mut Session, request: &Request, mailbox: &str) -> Result<(), Stop> {
    let (_, rights) = s.known(mailbox).await?;
    s.hear_selected("").await?;
    let mut out = Vec::new();
    put_my_rights(&mut out, mailbox, rights);
    out.truncate(out.len() - 2);
    finish(s, request, out);
    Ok(())
}

/// `* MYRIGHTS mailbox rights`, with its line end.
pub fn put_my_rights(out: &mut Vec<u8>, mailbox: &str, rights: Rights) {
    out.extend_from_slice(b"* MYRIGHTS ");
    print::astring(out, mailbox.as_bytes());
    out.extend_from_slice(format!(" {rights}\r\n").as_bytes());
}

/// `SETACL`, `DELETEACL`: done by the backend, and known here before the client hears of it.
pub async fn set(s: &mut Session, request: &Request, mailbox: &str) -> Result<(), Stop> {
    if !s.listener.imapd().allowsetacl {
        return Err(Stop::no("Command is disabled by configuration"));
    }
    let located = s.locate(mailbox).await?;
    if s.follows_referrals && s.user()?.is_admin() {
        return Err(s.referral(&located, mailbox));
    }
    s.change(located.server(), request, request.text()).await
}

fn finish(s: &mut Session, request: &Request, mut out: Vec<u8>) {
    out.extend_from_slice(b"\r\n");
    s.client.put(out);
    s.client.put(format!("{} OK Completed\r\n", request.head.tag));
}
