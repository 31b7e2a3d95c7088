//! What all sessions share: which mailbox is a group, and who may do what with it.

use std::sync::Arc;

use config::imapd::Imapd;
use identity::auth::Login;
use mailboxes::{Entry, Flags};
use protocol::acl::{Rights, Who};
use protocol::name::MailboxName;
use protocol::nntp::words::GroupName;
use protocol::nntp::{Groups, No};
use submission::Submission;

use super::refusal::no_group;
use store::{Mailbox, Store, StoreError};

/// The news service of a store.
pub struct Node {
    pub(super) store: Store,
    pub(super) groups: Groups,
    /// The name in Path and Xref.
    pub(super) servername: String,
    pub(super) submission: Submission,
}

/// A group that somebody may use.
pub(super) struct Open {
    pub group: GroupName,
    pub mailbox: Arc<Mailbox>,
}

impl Node {
    /// # Errors
    /// `newsgroups` is no list of patterns.
    pub fn new(store: Store, imapd: &Imapd, submission: Submission) -> Result<Node, String> {
        let groups = Groups::new(imapd.newsprefix.as_deref(), &imapd.newsgroups)
            .map_err(|error| format!("newsgroups: '{}' is {error}", imapd.newsgroups))?;
        Ok(Node { store, groups, servername: imapd.servername.clone(), submission })
    }

    /// Has the store know articles by their Message-ID. Only the first call does something.
    pub(super) async fn begin(&self) -> Result<(), StoreError> {
        let groups = self.groups.clone();
        self.store.serve_articles(move |name| groups.group(name).is_some()).await
    }

    /// The group that an entry of the list is: a mailbox of this server with something in it.
    pub(super) fn group_of(&self, name: &MailboxName, entry: &Entry) -> Option<GroupName> {
        let local = entry.local.as_ref().filter(|_| entry.is_active() && entry.moving.is_none())?;
        let is_real = !local.flags.has(Flags::DELETED) && !local.flags.has(Flags::INTERMEDIATE);
        let is_mail = matches!(local.mbtype.as_str(), "" | "e");
        (is_real && is_mail).then(|| self.groups.group(name)).flatten()
    }

    pub(super) fn rights(&self, name: &MailboxName, acl: &str, login: &Login) -> Rights {
        if login.admin {
            return Rights::ALL;
        }
        self.store.rights(name, acl, Who { userid: &login.userid, groups: &login.groups })
    }

    /// Opens a group to read it.
    pub(super) async fn open(&self, group: &GroupName, login: &Login) -> Result<Open, No> {
        let name = self.groups.mailbox(group).ok_or(no_group(&StoreError::NoMailbox))?;
        let found = self.store.find(&name).await.map_err(|error| no_group(&error))?;
        let entry = match found {
            Some(entry) if self.group_of(&name, &entry).is_some() => entry,
            Some(_) | None => {
                let who = Who { userid: &login.userid, groups: &login.groups };
                return Err(no_group(&self.store.absence(&name, who, login.admin)));
            }
        };
        let rights = self.rights(&name, &entry.acl, login);
        if !rights.contains(Rights::READ) {
            let seen = rights.contains(Rights::LOOKUP);
            return Err(no_group(if seen { &StoreError::Denied } else { &StoreError::NoMailbox }));
        }
        let mailbox = self.store.mailbox(&name).await.map_err(|error| no_group(&error))?;
        Ok(Open { group: group.clone(), mailbox })
    }

    /// Whether somebody may still read an open group.
    pub(super) fn may_read(&self, mailbox: &Mailbox, login: &Login) -> bool {
        let Ok(name) = mailbox.name() else { return false };
        !mailbox.view().gone && self.rights(&name, &mailbox.header().acl, login).contains(Rights::READ)
    }

    /// The groups and numbers of an article that somebody may read: what stands behind `Xref: `.
    pub(super) fn xref(&self, places: &[(MailboxName, u32)], login: &Login) -> String {
        let mut text = self.servername.clone();
        for (name, uid) in places {
            let entry = self.store.list().get(name).ok().flatten();
            let Some((entry, group)) =
                entry.and_then(|entry| Some((self.group_of(name, &entry)?, entry))).map(|(g, e)| (e, g))
            else {
                continue;
            };
            if self.rights(name, &entry.acl, login).contains(Rights::READ) {
                text.push_str(&format!(" {group}:{uid}"));
            }
        }
        text
    }
}

/// The places of an article, the one where it is read first.
pub(super) fn with_own(
    mailbox: &Mailbox,
    uid: u32,
    others: Vec<(MailboxName, u32)>,
) -> Vec<(MailboxName, u32)> {
    let Ok(own) = mailbox.name() else { return others };
    let mut places = vec![(own.clone(), uid)];
    places.extend(others.into_iter().filter(|(name, _)| *name != own));
    places
}
