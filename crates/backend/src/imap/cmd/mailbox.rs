//! CREATE, DELETE, RENAME, their LOCAL forms, MUPDATEPUSH; and the INBOX that is made at login.
//!
//! Who may do what is decided by the store, which clears each change with the MUPDATE master first.

use protocol::imap::command::admin::Xfer;
use protocol::imap::command::list::print_name;
use protocol::imap::command::mailbox::{Create, Rename};
use protocol::imap::{Code, Refusal, Reply, Tag};
use protocol::name::MailboxName;
use tracing::warn;

use crate::imap::reply::{Outcome, Stop};
use crate::imap::session::Session;
use store::{Actor, StoreError};

impl Session {
    /// The user as the store knows those who change mailboxes.
    pub fn actor(&self) -> Result<Actor, Stop> {
        let login = &self.user()?.login;
        Ok(Actor { userid: login.userid.clone(), groups: login.groups.clone(), admin: login.is_any_admin() })
    }

    /// Full admins only: those who log in as themselves.
    fn require_full_admin(&self) -> Result<(), Stop> {
        match self.user()?.login.admin {
            true => Ok(()),
            false => Err(Refusal::Denied.into()),
        }
    }

    pub fn is_here(&self, server: &str) -> bool {
        server.is_empty() || server == self.server.imapd.servername
    }
}

pub async fn create(session: &mut Session, create: Create, local: bool) -> Outcome {
    if local {
        session.require_full_admin()?;
    }
    let user = session.user()?;
    let name = user.internal(&create.mailbox, &session.server.namespace)?;
    if is_inbox_in_inbox(&name) {
        return Err(Refusal::BadName.into());
    }
    // A frontend acts as the user, and passes on the server that it chose.
    let placed = create.partition.is_some() || create.server.is_some();
    let by_proxy = user.login.authid != user.login.userid;
    if placed && !user.is_admin() && !by_proxy {
        return Err(Refusal::Denied.into());
    }
    if create.server.as_deref().is_some_and(|server| !session.is_here(server)) {
        return Err(Refusal::WrongServer.into());
    }
    if create.mailbox_id.is_some()
        || create.kind.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("email"))
    {
        return Err(Refusal::NotSupported.into());
    }
    let wanted = store::Create {
        partition: create.partition,
        special_use: create.special_use,
        local_only: local,
        limits: None,
    };
    let id = session.server.store.create(&session.actor()?, &name, wanted).await?;
    session.knows_names(std::slice::from_ref(&name))?;
    if session.user()?.external(&name, &session.server.namespace) != create.mailbox {
        tell_name(session, &name, &create.mailbox)?;
    }
    Ok(Reply::completed().code(Code::MailboxId(id.to_string())))
}

/// Some clients of Apple's take INBOX for a prefix twice over (Cyrus).
fn is_inbox_in_inbox(name: &MailboxName) -> bool {
    let mut below = name.components().skip(2);
    name.owner().is_some()
        && below.next().is_some_and(|first| first.eq_ignore_ascii_case("INBOX"))
        && below.next().is_some_and(|second| second.eq_ignore_ascii_case("INBOX"))
}

/// Says to a client of IMAP4rev2 what a mailbox is called that it calls `said`.
pub fn tell_name(session: &mut Session, name: &MailboxName, said: &str) -> Result<(), Stop> {
    if !session.manner().lists {
        return Ok(());
    }
    let external = session.user()?.external(name, &session.server.namespace);
    let separator = session.server.namespace.separator();
    // INBOX has one name in all cases.
    let old = Some(said).filter(|said| *said != external && !said.eq_ignore_ascii_case("INBOX"));
    print_name(session.conn.out(), separator, &external, old);
    Ok(())
}

pub async fn delete(session: &mut Session, external: &str, local: bool) -> Outcome {
    if local {
        session.require_full_admin()?;
    }
    let name = session.user()?.internal(external, &session.server.namespace)?;
    session.server.store.delete(&session.actor()?, &name, local).await?;
    session.knows_names(&[name])?;
    Ok(Reply::completed())
}

pub async fn rename(session: &mut Session, tag: &Tag, rename: Rename) -> Outcome {
    let user = session.user()?;
    let from = user.internal(&rename.from, &session.server.namespace)?;
    let to = user.internal(&rename.to, &session.server.namespace)?;
    let mut partition = None;
    if let Some(location) = &rename.location {
        session.require_full_admin()?;
        if from != to {
            return Err(Refusal::MoveWithRename.into());
        }
        partition = Some(match location.split_once('!') {
            Some((server, partition)) if !session.is_here(server) => {
                let partition = Some(partition.to_owned()).filter(|partition| !partition.is_empty());
                let xfer = Xfer { mailbox: rename.from.clone(), server: server.to_owned(), partition };
                return super::xfer::run(session, tag, xfer).await;
            }
            Some((_, partition)) => partition,
            // A word that is no partition here means a server.
            None if session.server.imapd.partition(location).is_none() => {
                let xfer = Xfer { mailbox: rename.from.clone(), server: location.clone(), partition: None };
                return super::xfer::run(session, tag, xfer).await;
            }
            None => location.as_str(),
        });
    } else if from == to {
        return Err(Refusal::Exists.into());
    }
    let renamed = session.server.store.rename(&session.actor()?, &from, &to, partition).await?;
    let moved = renamed.moved.iter().flat_map(|(old, new)| [old.clone(), new.clone()]);
    session.knows_names(&moved.chain([from.clone(), to.clone()]).collect::<Vec<_>>())?;
    if let Some(open) = &mut session.selected
        && let Ok(now) = open.mailbox.name()
        && renamed.moved.contains(&(open.name.clone(), now.clone()))
    {
        // It was this client who gave it another name.
        open.name = now;
    }
    let whole = renamed.moved.first().is_some_and(|(old, new)| (old, new) == (&from, &to)) && from != to;
    // Of an INBOX that its owner renames only the messages have another name.
    if whole && session.server.store.list().get(&from).map_err(super::list::unlisted)?.is_none() {
        tell_name(session, &to, &rename.from)?;
    }
    Ok(Reply::completed())
}

/// Tells the master again what it should know of a mailbox: the last step of a move, done by the new home.
pub async fn mupdate_push(session: &mut Session, external: &str) -> Outcome {
    session.require_full_admin()?;
    let name = session.user()?.internal(external, &session.server.namespace)?;
    if let Some(copy) = session.server.shared.transit.named(&name) {
        super::sync::commit(session, &copy).await.map_err(super::sync::refusal)?;
        return Ok(Reply::completed());
    }
    if let Some(moving) = &session.server.shared.moving
        && moving.lands_again(&name).await.map_err(super::sync::refusal)?
    {
        return Ok(Reply::completed());
    }
    let (name, _, _) = session.find(external).await?;
    let mailbox = session.server.store.mailbox(&name).await?;
    if let Some(master) = &session.server.shared.master {
        let mut master = master.connect().await.map_err(StoreError::from)?;
        let header = mailbox.header();
        master.activate(&name, &mailbox.location(), &header.acl).await.map_err(StoreError::from)?;
    }
    Ok(Reply::completed())
}

/// `autocreate_quota`: the INBOX is made when its owner logs in. A failure keeps nobody out.
pub async fn autocreate(session: &Session) -> Result<(), Stop> {
    let login = &session.user()?.login;
    // A frontend that logs in as itself asks for something, and is nobody's mail.
    let is_frontend = login.proxy && login.authid == login.userid;
    if login.is_any_admin()
        || is_frontend
        || session.is_move_server()
        || session.server.imapd.autocreate_quota.is_none()
    {
        return Ok(());
    }
    if let Err(error) = session.server.store.autocreate(&login.userid, &login.groups, false).await {
        warn!(user = %login.userid, %error, "the INBOX could not be made");
    }
    Ok(())
}
