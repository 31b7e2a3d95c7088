//! LIST ACTIVE, LIST NEWSGROUPS, NEWGROUPS: the groups that somebody may read or see.
//!
//! When a group was made is known by its UIDVALIDITY: the second of its making.

use std::sync::Arc;

use identity::auth::Login;
use mailboxes::Entry;
use protocol::acl::Rights;
use protocol::name::MailboxName;
use protocol::nntp::Wildmat;
use protocol::nntp::words::GroupName;
use store::{SHARED, StoreError};

use super::limits::{GROUPS, NAMES};
use super::node::Node;
use super::refusal::broken;
use super::selected::water;

/// A list of groups on its way out.
pub(super) struct GroupList {
    kind: Kind,
    wildmat: Option<Wildmat>,
    after: Option<MailboxName>,
}

/// What is said of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Highest and lowest number, and whether one may post.
    Active,
    /// The same of those that were made since, in epoch seconds.
    New(i64),
    /// The description.
    Newsgroups,
}

impl GroupList {
    pub fn new(kind: Kind, wildmat: Option<Wildmat>) -> GroupList {
        GroupList { kind, wildmat, after: None }
    }

    pub async fn step(
        mut self: Box<Self>,
        node: &Arc<Node>,
        login: &Login,
        lines: &mut Vec<u8>,
    ) -> Option<Box<GroupList>> {
        let page = match node.store.list().scan(self.after.as_ref(), NAMES) {
            Ok(page) => page,
            Err(error) => {
                broken("a list of groups", &error);
                return None;
            }
        };
        let mut opened = 0;
        for (name, entry) in page.entries {
            if let Some(group) = node.group_of(&name, &entry)
                && self.wildmat.as_ref().is_none_or(|wildmat| wildmat.matches(group.as_str()))
            {
                self.line(node, login, (&name, &entry), &group, lines).await;
                opened += 1;
            }
            self.after = Some(name);
            if opened == GROUPS {
                return Some(self);
            }
        }
        page.more.then_some(self)
    }

    async fn line(
        &self,
        node: &Arc<Node>,
        login: &Login,
        (name, entry): (&MailboxName, &Entry),
        group: &GroupName,
        lines: &mut Vec<u8>,
    ) {
        let rights = node.rights(name, &entry.acl, login);
        let needed = match self.kind {
            Kind::Active | Kind::New(_) => Rights::READ,
            Kind::Newsgroups => Rights::LOOKUP,
        };
        if !rights.contains(needed) {
            return;
        }
        if let Kind::New(since) = self.kind
            && entry.local.as_ref().is_none_or(|local| i64::from(local.uidvalidity) < since)
        {
            return;
        }
        let mailbox = match node.store.mailbox(name).await {
            Ok(mailbox) => mailbox,
            Err(StoreError::NoMailbox | StoreError::Moved(_)) => return,
            Err(error) => return broken("a list of groups", &error),
        };
        let line = match self.kind {
            Kind::Active | Kind::New(_) => {
                let (low, high) = water(&mailbox.view());
                let status = if rights.contains(Rights::POST) { 'y' } else { 'n' };
                format!("{group} {high} {low} {status}\r\n")
            }
            Kind::Newsgroups => {
                let text = mailbox.annotation(COMMENT, SHARED).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).replace(|c: char| c.is_control(), " ");
                format!("{group}\t{}\r\n", text.trim())
            }
        };
        lines.extend_from_slice(line.as_bytes());
    }
}

/// A group's description.
const COMMENT: &str = "/comment";
