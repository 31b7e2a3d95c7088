//! `keep` and `fileinto`: which mailbox each means, and the delivery into it.

use std::sync::Arc;

use bytes::Bytes;
use protocol::acl::Rights;
use protocol::flag::Flag;
use protocol::name::MailboxName;
use sieve::{Mail, Message, Target};
use store::{Actor, Create, Staged, Store, StoreError};
use work::aside::weighed;

use super::super::limits::LOT;
use super::names;

/// Where one action puts a message.
pub(super) struct Place {
    pub mailbox: MailboxName,
    pub flags: Vec<Flag>,
    pub edits: Option<Arc<sieve::Edits>>,
    /// It is to be made first, with these special uses.
    pub make: Option<Vec<String>>,
    /// It is where a message goes without a script.
    pub keep: bool,
}

/// Whose mail it is.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub store: &'a Store,
    pub userid: &'a str,
    pub inbox: &'a MailboxName,
}

impl Owner<'_> {
    /// Where a `fileinto` goes. An error says why nowhere.
    pub async fn place(&self, wanted: &sieve::Store, keep: &MailboxName) -> Result<Place, String> {
        let mut make = None;
        let mailbox = match &wanted.target {
            Target::Keep => keep.clone(),
            Target::Mailbox { name, id, special_use } => {
                let found = match self.particular(name, id.as_deref(), special_use.as_deref()).await? {
                    Some(found) => found,
                    None => names::mailbox(self.store, self.userid, name)
                        .ok_or_else(|| format!("Fileinto ({name}): no mailbox can have that name"))?,
                };
                let fails = |why: &str| format!("Fileinto ({name}): {why}");
                let entry = self.store.list().get(&found).map_err(|error| fails(&error.to_string()))?;
                match entry {
                    Some(_)
                        if names::takes(self.store, self.userid, &found)
                            .map_err(|error| fails(&error.to_string()))? => {}
                    Some(_) => return Err(fails("Permission denied")),
                    None if wanted.create || self.makes(&found) => {
                        make = Some(special_use.iter().cloned().collect());
                    }
                    None => return Err(fails("Mailbox does not exist")),
                }
                found
            }
        };
        let keep = wanted.target == Target::Keep;
        let flags = self.flags(&mailbox, &wanted.flags, make.is_some());
        Ok(Place { mailbox, flags, edits: wanted.edits.clone(), make, keep })
    }

    /// The mailbox of an id or of a special use, where there is one. A name that begins with a backslash is a special use.
    async fn particular(
        &self,
        name: &str,
        id: Option<&str>,
        special_use: Option<&str>,
    ) -> Result<Option<MailboxName>, String> {
        if let Some(id) = id {
            let (store, userid, id) = (self.store.clone(), self.userid.to_owned(), id.to_owned());
            let looked = tokio::task::spawn_blocking(move || names::of_id(&store, &userid, &id)).await;
            if let Some(found) = looked.map_err(|error| error.to_string())? {
                return Ok(Some(found));
            }
        }
        let special_use = special_use.or_else(|| name.starts_with('\\').then_some(name));
        match special_use {
            Some(special_use) => {
                let found = names::of_use(self.store, self.userid, special_use).await;
                found.map_err(|error| format!("Fileinto ({name}): {error}"))
            }
            None => Ok(None),
        }
    }

    /// Whether a missing mailbox is made without `:create`: `anysievefolder`, `autocreate_sieve_folders`.
    fn makes(&self, name: &MailboxName) -> bool {
        let imapd = self.store.policy();
        let listed = imapd.autocreate_sieve_folders.as_deref().unwrap_or_default().split('|').map(str::trim);
        let mut listed = listed.filter(|folder| !folder.is_empty());
        imapd.anysievefolder
            || listed
                .any(|folder| self.store.namespace().folder(self.inbox, folder).is_ok_and(|one| one == *name))
    }

    /// The flags that the owner may set there.
    fn flags(&self, mailbox: &MailboxName, wanted: &[String], new: bool) -> Vec<Flag> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let rights = match self.store.list().get(mailbox) {
            Ok(Some(entry)) => names::rights(self.store, self.userid, mailbox, &entry),
            _ if new => Rights::ALL,
            _ => Rights::NONE,
        };
        let may = |flag: &Flag| match flag {
            Flag::Seen => rights.contains(Rights::SEEN),
            Flag::Deleted => rights.contains(Rights::DELETE_MESSAGES),
            _ => rights.contains(Rights::WRITE),
        };
        wanted.iter().filter_map(|flag| read_flag(flag)).filter(may).collect()
    }

    /// Makes a mailbox; its owner is subscribed to it.
    pub async fn make(&self, name: &MailboxName, special_use: Vec<String>) -> Result<(), StoreError> {
        let actor = Actor::user(self.userid);
        match self.store.create(&actor, name, Create { special_use, ..Create::default() }).await {
            Ok(_) => {}
            // Another delivery was quicker.
            Err(StoreError::Exists) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.store.subscribe(self.userid, name, true).await
    }

    /// A message of which a script has changed the header, ready for a mailbox.
    pub async fn staged(&self, mailbox: &MailboxName, message: &[u8]) -> Result<Arc<Staged>, StoreError> {
        let mut staging = self.store.stage(mailbox, Some(message.len() as u64)).await?;
        staging.write(message).await?;
        Ok(Arc::new(staging.finish().await?))
    }
}

/// The message with the header that a script has left.
pub(super) async fn edited(mail: &Arc<Mail<Bytes>>, edits: Option<&Arc<sieve::Edits>>) -> Option<Vec<u8>> {
    let (mail, edits) = (mail.clone(), edits?.clone());
    Some(weighed(mail.raw().len() / LOT, move || edits.apply(&*mail)).await)
}

fn read_flag(text: &str) -> Option<Flag> {
    use protocol::grammar::{Cursor, Limits};
    let mut at = Cursor::new(text.as_bytes(), Limits::NONE);
    let flag = at.read(Flag::parse).ok()?;
    at.rest().is_empty().then_some(flag)
}
