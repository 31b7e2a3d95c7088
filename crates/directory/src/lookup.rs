//! Where a mailbox is: what every proxy asks, and how sure the answer is.

use std::{future::Future, pin::Pin, sync::Arc};

use identity::auth::InboxAcl;
use mailboxes::{Entry, List};
use protocol::acl::{Acl, Rights, Who};
use protocol::name::MailboxName;
use protocol::namespace::Namespace;

/// The answer to a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Active(Entry),
    /// It is being made, or moved.
    Reserved,
    /// There is no such mailbox, and the master says so too: a permanent no may be given.
    Missing,
    /// Not here, but the list may be behind: it may exist, and the answer is temporary.
    Unknown(Stale),
}

/// The list may be behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox list may be out of date: {0}")]
pub struct Stale(pub String);

/// Whoever knows where mailboxes are: a [`crate::replica::Replica`], or a list that nobody else changes.
pub trait Lookup: Send + Sync + 'static {
    /// Looks a name up. What is not there, or only reserved, is looked up again when all that the master has acknowledged
    /// until now has arrived.
    fn find<'a>(&'a self, name: &'a MailboxName) -> Answer<'a, Found>;

    /// Waits until everything that the master has acknowledged has arrived; at most two seconds.
    fn barrier(&self) -> Answer<'_, Result<(), Stale>>;

    /// Everything that is known.
    fn list(&self) -> &List;
}

/// What is answered later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Found {
    pub(crate) fn of(entry: Entry) -> Found {
        if entry.is_active() { Found::Active(entry) } else { Found::Reserved }
    }
}

/// A list that is what it is: its owner's.
impl Lookup for List {
    fn find<'a>(&'a self, name: &'a MailboxName) -> Answer<'a, Found> {
        Box::pin(async move {
            match self.get(name) {
                Ok(Some(entry)) => Found::of(entry),
                Ok(None) if self.is_complete() => Found::Missing,
                Ok(None) => Found::Unknown(Stale("it is incomplete".into())),
                Err(error) => Found::Unknown(Stale(error.to_string())),
            }
        })
    }

    fn barrier(&self) -> Answer<'_, Result<(), Stale>> {
        Box::pin(async { Ok(()) })
    }

    fn list(&self) -> &List {
        self
    }
}

/// `loginuseacl`'s question, asked of a list: who has the `a` right on an INBOX may log in as its owner.
pub fn inbox_acl(namespace: Namespace, list: List) -> Arc<dyn InboxAcl> {
    Arc::new(move |authid: &str, groups: &[String], userid: &str| {
        let Ok(inbox) = namespace.inbox(userid) else { return false };
        let Ok(Some(entry)) = list.get(&inbox) else { return false };
        Acl::parse(&entry.acl).rights(Who { userid: authid, groups }).contains(Rights::ADMIN)
    })
}

#[cfg(test)]
mod tests {
    use mailboxes::{Change, Follow, Options, store::Memory};
    use protocol::location::Location;

    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_list_says_no_for_good_only_when_it_is_complete() {
        let at = Location::parse("be1!default").unwrap();
        for complete in [true, false] {
            let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
            let changes = vec![
                (name("user.a"), Some(Entry::active(at.clone(), ""))),
                (name("user.b"), Some(Entry::reserved(at.clone()))),
            ];
            list.follow(Follow { changes, position: None, complete, whole: true }).await.unwrap();
            assert!(matches!(list.find(&name("user.a")).await, Found::Active(_)));
            assert_eq!(list.find(&name("user.b")).await, Found::Reserved);
            let missing = list.find(&name("user.c")).await;
            assert_eq!(matches!(missing, Found::Missing), complete, "{missing:?}");
            assert_eq!(matches!(missing, Found::Unknown(_)), !complete, "{missing:?}");
        }
    }

    #[tokio::test]
    async fn who_administers_an_inbox_may_log_in_as_its_owner_and_nobody_else() {
        let list = List::memory();
        let at = Location::parse("be1!default").unwrap();
        let acl = "fred\tlrswipkxtecda\thelper\tlra\tgroup:desk\tla\treader\tlrs\t";
        list.commit(vec![Change::activate(name("user.fred"), at, acl)]).await.unwrap();
        let asked = inbox_acl(Namespace::default(), list);
        let desk = ["desk".to_owned()];
        for (authid, groups, userid, expected) in [
            ("helper", &[][..], "fred", true),
            ("jane", &desk[..], "fred", true),
            ("jane", &[][..], "fred", false),
            ("reader", &[][..], "fred", false),
            ("helper", &[][..], "nobody", false),
            ("helper", &[][..], "fred.x/..", false),
        ] {
            assert_eq!(asked.may_administer(authid, groups, userid), expected, "{authid} as {userid}");
        }
    }
}
