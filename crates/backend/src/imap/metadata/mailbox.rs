//! Annotations of one mailbox.

use std::sync::Arc;

use protocol::acl::Rights;
use protocol::imap::command::metadata::{Depth, Entry, GetMetadata};
use protocol::imap::refusal::may_annotate;
use protocol::imap::{DateTime, Refusal};
use protocol::name::MailboxName;
use store::{DUPLICATE_DELIVER, Mailbox, POP3_NEW_UIDL, SHARED, SHARED_SEEN, Setting};

use super::definitions::Scope;
use super::{May, Present, known, settable};
use crate::imap::cmd::list::unlisted;
use crate::imap::reply::Stop;
use crate::imap::session::Session;

/// Option bits, and the annotations that stand for them.
const OPTIONS: [(&str, u64); 3] = [
    (known::DUPLICATE_DELIVER, DUPLICATE_DELIVER),
    (known::POP3_NEW_UIDL, POP3_NEW_UIDL),
    (known::SHARED_SEEN, SHARED_SEEN),
];

/// Whether somebody with these rights may read annotations (RFC 5464 section 3.3), and set private ones.
pub fn may_read(session: &Session, rights: Rights) -> Result<(), Refusal> {
    may_annotate(rights, session.user.as_ref().is_some_and(|user| user.is_admin()))
}

/// What the list knows, where nothing else is asked for: the mailbox need not be opened.
pub fn listed(session: &Session, name: &MailboxName, get: &GetMetadata) -> Result<Option<Present>, Stop> {
    let in_list = |entry: &Entry| {
        !entry.private
            && [known::SERVER_NAME, known::PARTITION, known::UNIQUE_ID].contains(&entry.name.as_str())
    };
    if get.options.depth != Depth::Zero || !get.entries.iter().all(in_list) {
        return Ok(None);
    }
    let Some(entry) = session.server.store.list().get(name).map_err(unlisted)? else { return Ok(None) };
    let mut present = Present::new();
    let mut put = |entry: &str, value: &str| {
        present.insert(Entry::shared(entry), Arc::from(value.as_bytes()));
    };
    put(known::SERVER_NAME, entry.location.server());
    put(known::PARTITION, entry.location.partition().unwrap_or_default());
    if let Some(local) = &entry.local {
        put(known::UNIQUE_ID, &local.uniqueid);
    }
    Ok(Some(present))
}

/// All that the user sees of a mailbox's annotations.
pub async fn present(session: &Session, name: &MailboxName) -> Result<Present, Stop> {
    let (store, user) = (&session.server.store, session.user()?.id());
    let mailbox = store.mailbox(name).await?;
    let mut present = made(&mailbox);
    for (entry, private, value) in mailbox.annotations(user) {
        present.insert(Entry { private, name: entry }, value);
    }
    if let Some(root) = store.quota_root(name).filter(|root| root == name)
        && let Some(quota) = store.quota(&root).await
        && let Some(limit) = quota.limits.storage
    {
        let text = format!("(STORAGE {} {limit})", crate::imap::cmd::quota::kib(quota.usage.storage));
        present.insert(Entry::shared(known::RAW_QUOTA), Arc::from(text.into_bytes()));
    }
    Ok(present)
}

/// What is known of the mailbox rather than kept as an annotation.
fn made(mailbox: &Mailbox) -> Present {
    let (view, header, location) = (mailbox.view(), mailbox.header(), mailbox.location());
    let mut present = Present::new();
    let mut put = |entry: &str, value: String| {
        present.insert(Entry::shared(entry), Arc::from(value.into_bytes()));
    };
    let date = |epoch: i64| DateTime::utc(epoch).to_string();
    put(known::ANNOTATION_SIZE, view.annotation_bytes().to_string());
    put(known::SIZE, view.bytes().to_string());
    put(known::FOLDER_MODSEQ, header.foldermodseq.to_string());
    put(known::LAST_UPDATE, date(view.last_append.max(i64::try_from(header.mtime).unwrap_or(0))));
    if view.pop3_last_login > 0 {
        put(known::LAST_POP, date(view.pop3_last_login));
    }
    for (entry, bit) in OPTIONS {
        put(entry, (header.options & bit != 0).to_string());
    }
    put(known::SERVER_NAME, location.server().to_owned());
    put(known::PARTITION, location.partition().unwrap_or_default().to_owned());
    put(known::UNIQUE_ID, mailbox.uniqueid());
    present
}

/// Sets annotations, all or none.
pub async fn set(
    session: &mut Session,
    external: &str,
    values: Vec<(Entry, Option<Vec<u8>>)>,
) -> Result<(), Stop> {
    let (name, _, rights) = session.find(external).await?;
    may_read(session, rights)?;
    let user = session.user()?;
    let (id, admin) = (user.id().to_owned(), user.is_admin());
    let shared = rights.contains(Rights::LOOKUP | Rights::READ | Rights::WRITE);
    let may = May {
        shared: admin || shared,
        admin: admin || (shared && rights.contains(Rights::ADMIN)),
        private: true,
        rights: if admin { Rights::ALL } else { rights },
    };
    let owner = session.server.namespace.owner(&name);
    let (mut settings, mut options, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, value) in values {
        let value = settable(session, Scope::Mailbox, may, &entry, value.as_deref())?;
        if entry.name == known::SPECIAL_USE && owner.as_deref() != Some(id.as_str()) {
            return Err(Refusal::Denied.into());
        }
        if entry.name == known::FUZZY && !name.is_inbox() {
            return Err(Refusal::Denied.into());
        }
        let user = if entry.private { id.clone() } else { SHARED.to_owned() };
        told.push((entry.name.clone(), user.clone()));
        if let Some((_, bit)) = OPTIONS.iter().find(|(option, _)| *option == entry.name) {
            options.push((*bit, value.as_deref() == Some(b"true")));
            continue;
        }
        settings.push(Setting { entry: entry.name, user, value });
    }
    let store = &session.server.store;
    store.annotate(&name, settings, options).await?;
    store.hub().tell_annotated(Some(&name), &told, session.watcher());
    Ok(())
}
