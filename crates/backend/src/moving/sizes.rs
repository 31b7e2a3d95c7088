//! What there is to move, and how large it is: for an operator's plans.

use std::os::unix::fs::MetadataExt;

use mailboxes::LIST_PAGE;
use moves::order::{Plan, Size};
use protocol::name::MailboxName;
use store::{Store, StoreError};

use super::Moving;
use super::room::{No, fits, no_room};
use crate::limits::SIZES;

impl Moving {
    /// What would move.
    pub(super) async fn plan(
        &self,
        root: &MailboxName,
        to: &str,
        partition: Option<&str>,
        tree: bool,
    ) -> Result<Plan, String> {
        let items = self.items(root, partition.unwrap_or_default(), tree).await;
        let items = items.map_err(|error| error.to_string())?;
        let Some(first) = items.iter().find(|item| item.name == root.as_str()) else {
            return Err(StoreError::NoMailbox.to_string());
        };
        let partition = match partition {
            Some(partition) => partition.to_owned(),
            None => self.place_at(to, &first.partition).await,
        };
        let ids: Vec<String> = items.iter().map(|item| item.uniqueid.clone()).collect();
        let usage = self.store.usage_of_all(&ids);
        let names = items.iter().filter_map(|item| MailboxName::parse(&item.name).ok());
        let roots = names.filter(|name| self.store.quota_root(name).as_ref() == Some(name)).count();
        let above = self.store.quota_root(root).filter(|above| above != root).map(|above| above.to_string());
        let mut plan = Plan {
            mailboxes: items.len(),
            messages: usage.message,
            bytes: usage.storage,
            partition,
            free: None,
            roots,
            above,
            trouble: None,
        };
        if self.under_way(root).is_some() {
            plan.trouble = Some("it is being moved already".to_owned());
        }
        if self.is_cordoned(to).await {
            plan.trouble = Some(format!("{to} is cordoned"));
        }
        match self.takes(to).await {
            Ok(welcome) => match welcome.partitions.get(&plan.partition) {
                Some(free) => {
                    let free = free.saturating_mul(1024);
                    plan.free = Some(free);
                    if !fits(free, plan.bytes) {
                        plan.trouble = Some(no_room(to, &plan.partition, free, plan.bytes));
                    }
                }
                None if !welcome.partitions.is_empty() => {
                    plan.trouble = Some(format!("{to} has no partition {}", plan.partition));
                }
                None => {}
            },
            Err(No::Now(why) | No::Never(why)) => plan.trouble = Some(why),
        }
        Ok(plan)
    }

    /// Some of what can move from here, in the order of names, behind `after`. None: it cannot be read.
    pub async fn sizes(&self, after: Option<&str>) -> Option<Vec<Size>> {
        let (store, after) = (self.store.clone(), after.map(MailboxName::parse).transpose().ok()?);
        let read = move || sizes(&store, after).ok();
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }
}

fn sizes(store: &Store, mut after: Option<MailboxName>) -> Result<Vec<Size>, StoreError> {
    let mut found = Vec::<Size>::new();
    let list = |error: mailboxes::Error| StoreError::List(error.to_string());
    loop {
        let page = store.list().scan(after.as_ref(), LIST_PAGE).map_err(list)?;
        for (name, entry) in &page.entries {
            let Some(local) = entry.local.as_ref().filter(|_| entry.is_active()) else { continue };
            let usage = store.usage_of_all(std::slice::from_ref(&local.uniqueid));
            let user = store.namespace().owner(name).is_some();
            // A user's folders stand behind the INBOX.
            let of_user = user && !name.is_inbox();
            match found.last_mut() {
                Some(last) if of_user && name.as_str().starts_with(&format!("{}.", last.root)) => {
                    last.mailboxes += 1;
                    last.bytes = last.bytes.saturating_add(usage.storage);
                }
                // Its INBOX is elsewhere, or it waits for its end.
                _ if of_user || store.namespace().is_deleted(name) => {}
                _ => {
                    if found.len() >= SIZES {
                        return Ok(found);
                    }
                    let partition = entry.location.partition().unwrap_or_default();
                    let last = store.directory_of(partition, &local.uniqueid).and_then(|dir| {
                        std::fs::metadata(dir).ok().and_then(|found| u64::try_from(found.mtime()).ok())
                    });
                    found.push(Size {
                        root: name.to_string(),
                        mailboxes: 1,
                        bytes: usage.storage,
                        last: last.unwrap_or(0),
                    });
                }
            }
        }
        after = page.entries.last().map(|(name, _)| name.clone());
        if !page.more || after.is_none() {
            return Ok(found);
        }
    }
}
