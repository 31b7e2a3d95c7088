//! Kept copies: what was given away and lies here still.

use config::imapd::Imapd;
use mailboxes::List;
use protocol::name::MailboxName;
use tracing::{info, warn};

use super::Item;
use crate::{
    Store, blocking,
    disk::{Database, mailbox_dir},
    error::StoreError,
    gates::{Gate, Gates, State, Whereabouts},
    header::{Header, Kept, MovedTo},
};

impl Store {
    /// All kept copies, in the order of their names. Reads the store's database.
    pub fn kept(&self) -> Vec<Kept> {
        let mut all = self.inner.db.kept();
        all.sort_by(|a, b| (&a.name, a.at).cmp(&(&b.name, b.at)));
        all
    }

    /// The kept copy of a unique id; none: there is none. Reads one entry of the store's database.
    pub fn kept_of(&self, uniqueid: &str) -> Option<Kept> {
        self.inner.db.kept_of(uniqueid)
    }

    /// They are not kept any more: they are this server's, or removed.
    pub(super) async fn forget_kept(&self, ids: Vec<String>) -> Result<(), StoreError> {
        let db = self.inner.db.clone();
        blocking(move || db.set_kept(ids.iter().map(|id| (id.as_str(), None)))).await
    }
}

impl Kept {
    pub(super) fn new(item: &Item, acl: &str, moved: &MovedTo) -> Kept {
        Kept {
            name: item.name.to_string(),
            uniqueid: item.uniqueid.clone(),
            partition: item.partition.clone(),
            to: moved.to.clone(),
            id: moved.id.clone(),
            at: moved.at,
            acl: acl.to_owned(),
        }
    }

    /// What is said of its name.
    pub(super) fn state(&self) -> State {
        State::Moved(Whereabouts {
            to: self.to.as_str().into(),
            acl: self.acl.as_str().into(),
            copy: self.uniqueid.as_str().into(),
        })
    }
}

/// Reads what is kept, at the start. What the list has is this server's: a crash came before it was given away, or after it was
/// taken back.
pub(crate) fn load(imapd: &Imapd, list: &List, db: &Database, gates: &Gates) -> Result<(), StoreError> {
    let mut all = db.kept();
    // Of two that had one name the later one says where it is.
    all.sort_by_key(|kept| kept.at);
    for kept in all {
        let Ok(name) = MailboxName::parse(&kept.name) else {
            warn!(name = kept.name, "a kept copy of a mailbox has no name");
            continue;
        };
        match list.get(&name)? {
            None => {
                gates.set([Gate::Name(&name)], Some(&kept.state()));
                continue;
            }
            // Another one has the name.
            Some(entry) if entry.local.as_ref().is_none_or(|local| local.uniqueid != kept.uniqueid) => {
                continue;
            }
            Some(_) => {}
        }
        if let Some(partition) = imapd.partition(&kept.partition) {
            let dir = mailbox_dir(&partition.path, &kept.uniqueid);
            let header = Header::read(&dir)?;
            if header.moved.is_some() {
                info!(mailbox = %name, to = kept.to, "a mailbox that a crash kept from being given away stays");
                header.listed().write(&dir)?;
            }
        }
        db.set_kept([(kept.uniqueid.as_str(), None)])?;
    }
    Ok(())
}
