//! Mailboxes as scripts name them, and what their owner may do there.

use mailboxes::Entry;
use protocol::acl::{Rights, UNKNOWN_GROUPS, Who};
use protocol::mutf7;
use protocol::name::MailboxName;
use protocol::namespace::View;
use store::{Store, StoreError};

use super::super::recipient::{check, groups_are_unknown};

/// The mailbox that a name means, as its owner sees mailboxes: the namespace's form, in UTF-8. A name of ASCII alone that is modified
/// UTF-7 is one where there is such a mailbox: scripts were written so for Cyrus.
pub(super) fn mailbox(store: &Store, userid: &str, name: &str) -> Option<MailboxName> {
    let view = |utf8| View { userid, admin: false, utf8 };
    if name.is_ascii() && name.contains('&') && mutf7::decode(name).is_some() {
        let coded = store.namespace().internal(name, &view(false)).ok();
        if let Some(coded) = coded.filter(|coded| matches!(store.list().get(coded), Ok(Some(_)))) {
            return Some(coded);
        }
    }
    let name = store.namespace().internal(name, &view(true)).ok()?;
    (!store.namespace().is_hidden(&name) && !store.namespace().is_deleted(&name)).then_some(name)
}

/// What a user may do with a mailbox.
pub(super) fn rights(store: &Store, userid: &str, name: &MailboxName, entry: &Entry) -> Rights {
    let unknown = [UNKNOWN_GROUPS.to_owned()];
    let groups = if groups_are_unknown(store) { &unknown[..] } else { &[] };
    store.rights(name, &entry.acl, Who { userid, groups })
}

/// Whether mail may be filed into a mailbox by its user: it is here, takes mail, and the user may post to it.
pub(super) fn takes(store: &Store, userid: &str, name: &MailboxName) -> Result<bool, StoreError> {
    let Some(entry) = store.list().get(name)? else { return Ok(false) };
    Ok(check(&entry).is_ok() && rights(store, userid, name, &entry).contains(Rights::POST))
}

/// The mailbox of a MAILBOXID (RFC 9042) among those that the user sees. Looks through all of them.
pub(super) fn of_id(store: &Store, userid: &str, id: &str) -> Option<MailboxName> {
    let visible = store.list().visible_to(None, userid, &[]).ok()?;
    let is_it = |entry: &Entry| entry.local.as_ref().is_some_and(|local| local.uniqueid == id);
    visible.into_iter().find(|(_, entry)| is_it(entry)).map(|(name, _)| name)
}

/// The mailbox of the user's with a special use.
pub(super) async fn of_use(
    store: &Store,
    userid: &str,
    special_use: &str,
) -> Result<Option<MailboxName>, StoreError> {
    if special_use.eq_ignore_ascii_case("\\Inbox") {
        return Ok(store.namespace().inbox(userid).ok());
    }
    let uses = store.special_uses(userid).await?;
    let has = |uses: &Vec<String>| uses.iter().any(|one| one.eq_ignore_ascii_case(special_use));
    Ok(uses.into_iter().find(|(_, uses)| has(uses)).map(|(name, _)| name))
}
