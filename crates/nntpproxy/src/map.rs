//! Which groups there are for whoever has the session, and which backend has each: the list of mailboxes, with a reader's eyes.

use std::collections::BTreeSet;
use std::sync::Arc;

use directory::lookup::{Found, Lookup};
use identity::auth::Login;
use mailboxes::Entry;
use protocol::acl::{Acl, Rights, Who};
use protocol::name::MailboxName;
use protocol::nntp::words::GroupName;
use protocol::nntp::{Groups, No, Wildmat};
use tracing::debug;

use crate::gone::UNSURE;

/// The groups of one user.
#[derive(Clone)]
pub struct Map {
    pub directory: Arc<dyn Lookup>,
    pub groups: Arc<Groups>,
    pub reader: Reader,
}

/// Whose eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    pub userid: String,
    /// Without the `group:` before them.
    pub groups: Vec<String>,
}

/// Where a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    pub mailbox: MailboxName,
    pub server: String,
    pub rights: Rights,
}

/// Why a group is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoGroup {
    /// There is none of the name, or none that this user may know of.
    Missing,
    Denied,
    /// It is being made or moved, or the list is behind: nothing is said of whether it is there.
    Unsure,
}

impl NoGroup {
    /// What a client is told that wants to read.
    pub fn line(self) -> String {
        match self {
            NoGroup::Missing => No::NoSuchGroup(None).to_string(),
            NoGroup::Denied => No::NoSuchGroup(Some("Permission denied".to_owned())).to_string(),
            NoGroup::Unsure => UNSURE.to_owned(),
        }
    }
}

impl Reader {
    /// Who has logged in, or nobody.
    pub fn of(login: Option<&Login>) -> Reader {
        match login {
            Some(login) => Reader { userid: login.userid.clone(), groups: login.groups.clone() },
            None => Reader { userid: ANONYMOUS.to_owned(), groups: Vec::new() },
        }
    }

    fn rights(&self, entry: &Entry) -> Rights {
        Acl::parse(&entry.acl).rights(Who { userid: &self.userid, groups: &self.groups })
    }
}

impl Map {
    /// Where a group is, whatever the user may do there.
    pub async fn locate(&self, group: &GroupName) -> Result<Home, NoGroup> {
        let mailbox = self.groups.mailbox(group).ok_or(NoGroup::Missing)?;
        match self.directory.find(&mailbox).await {
            Found::Active(entry) => {
                let (server, rights) = (entry.server().to_owned(), self.reader.rights(&entry));
                Ok(Home { mailbox, server, rights })
            }
            Found::Missing => Err(NoGroup::Missing),
            Found::Reserved => Err(NoGroup::Unsure),
            Found::Unknown(stale) => {
                debug!(mailbox = mailbox.as_str(), "{stale}");
                Err(NoGroup::Unsure)
            }
        }
    }

    /// Where a group is that the user may read.
    pub async fn readable(&self, group: &GroupName) -> Result<Home, NoGroup> {
        let home = self.locate(group).await?;
        match (home.rights.contains(Rights::LOOKUP), home.rights.contains(Rights::READ)) {
            (_, true) => Ok(home),
            (true, false) => Err(NoGroup::Denied),
            (false, false) => Err(NoGroup::Missing),
        }
    }

    /// The servers of all groups with these names on which the user has these rights, in the order of their names.
    pub async fn servers(&self, groups: Option<Wildmat>, needed: Rights) -> Vec<String> {
        let map = self.clone();
        let weight = map.directory.list().count();
        let walk = move || {
            let Reader { userid, groups: of } = &map.reader;
            let seen = map.directory.list().visible_to(None, userid, of).unwrap_or_default();
            let meant = |(name, entry): &(MailboxName, Entry)| {
                let group = entry.is_active().then(|| map.groups.group(name)).flatten();
                group.is_some_and(|group| groups.as_ref().is_none_or(|all| all.matches(group.as_str())))
                    && map.reader.rights(entry).contains(needed)
            };
            seen.iter().filter(|one| meant(one)).map(|(_, entry)| entry.server().to_owned()).collect()
        };
        let servers: BTreeSet<String> = work::aside::weighed(weight, walk).await;
        servers.into_iter().collect()
    }

    /// Whether a server's line about a group is to be shown: the list has the mailbox there, and the user the rights.
    pub fn shows(&self, group: &[u8], server: &str, needed: Rights) -> bool {
        let group = str::from_utf8(group).ok().and_then(GroupName::parse);
        let Some(mailbox) = group.and_then(|group| self.groups.mailbox(&group)) else { return false };
        let Ok(Some(entry)) = self.directory.list().get(&mailbox) else { return false };
        entry.is_active() && entry.server() == server && self.reader.rights(&entry).contains(needed)
    }

    /// Whether what is not known here is nowhere: all that the master has acknowledged has arrived.
    pub async fn is_current(&self) -> bool {
        self.directory.list().is_complete() && self.directory.barrier().await.is_ok()
    }
}

/// Whoever has not logged in.
pub const ANONYMOUS: &str = "anonymous";
