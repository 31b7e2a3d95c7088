//! What `cyr_expire` ends: delayed deletes, expunged messages, messages older than their mailbox allows, the memory of
//! deliveries and of what scripts have seen.

use mailboxes::LIST_PAGE;
use protocol::name::MailboxName;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Actor, Store, annotations::SHARED, blocking, error::StoreError, rebuild};

/// Ages, in seconds, after which things end; none: they stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ages {
    /// `-D`: delayed deletes.
    pub deleted: Option<u64>,
    /// `-E`: the memory of deliveries; and messages of mailboxes with an `expire` annotation, by its days.
    pub delivered: Option<u64>,
    /// `-X`: expunged messages.
    pub expunged: Option<u64>,
    /// `-a`: pass over `expire` annotations.
    pub no_annotations: bool,
    /// `-p`: only mailboxes whose internal names begin so.
    pub prefix: Option<String>,
    /// `-t`: keywords that no message has come free.
    #[serde(default)]
    pub keywords: bool,
    /// `-u`: only this user's.
    pub user: Option<String>,
}

/// What ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Looked at.
    pub mailboxes: u64,
    pub deleted: u64,
    pub expired: u64,
    pub expunged: u64,
    pub deliveries: u64,
    /// Marks of scripts that had ended.
    #[serde(default)]
    pub marks: u64,
    /// Keywords that came free.
    #[serde(default)]
    pub keywords: u64,
    /// Rows of articles that are gone.
    #[serde(default)]
    pub articles: u64,
    /// Mailboxes that could not be treated; the log says why.
    pub failed: u64,
}

impl Store {
    /// Ends what is older than `ages` allow. What fails is logged and passed over.
    pub async fn expire(&self, ages: &Ages) -> Result<Expired, StoreError> {
        let mut done = Expired::default();
        if let Some(age) = ages.delivered {
            let (duplicates, now) = (self.inner.duplicates.clone(), self.now());
            done.deliveries = blocking(move || duplicates.expire(now, age)).await? as u64;
            let marks = self.inner.marks.clone();
            done.marks = blocking(move || marks.expire(now)).await? as u64;
        }
        let mut after: Option<MailboxName> = None;
        loop {
            let page = self.inner.list.scan(after.as_ref(), LIST_PAGE)?;
            for (name, entry) in &page.entries {
                if entry.local.is_none() || !entry.is_active() || !self.is_meant(ages, name) {
                    continue;
                }
                done.mailboxes += 1;
                if let Err(error) = self.expire_one(ages, name, &mut done).await {
                    warn!(%error, mailbox = %name, "cannot expire");
                    done.failed += 1;
                }
            }
            after = page.entries.last().map(|(name, _)| name.clone());
            if !page.more {
                break;
            }
        }
        if ages.delivered.is_some() {
            done.articles = self.sweep_articles().await? as u64;
        }
        self.inner.shared.commit.free_staged();
        info!(?done, "expired");
        Ok(done)
    }

    fn is_meant(&self, ages: &Ages, name: &MailboxName) -> bool {
        let user =
            ages.user.as_ref().is_none_or(|user| self.inner.namespace.owner(name).as_ref() == Some(user));
        user && ages.prefix.as_ref().is_none_or(|prefix| name.as_str().starts_with(prefix.as_str()))
    }

    async fn expire_one(
        &self,
        ages: &Ages,
        name: &MailboxName,
        done: &mut Expired,
    ) -> Result<(), StoreError> {
        let now = self.now();
        if self.stays(name, now).await? {
            return Ok(());
        }
        if let (Some(age), Some((_, deleted))) = (ages.deleted, self.inner.namespace.undeleted(name))
            && now.saturating_sub(deleted) >= age
        {
            self.delete(&Actor::admin("cyr_expire"), name, false).await?;
            done.deleted += 1;
            return Ok(());
        }
        if ages.delivered.is_some()
            && !ages.no_annotations
            && let Some(age) = self.expire_age(name).await?
        {
            let mailbox = self.mailbox(name).await?;
            let limit = now.saturating_sub(age) as i64;
            let old: Vec<u32> =
                mailbox.view().records().iter().filter(|r| r.internaldate < limit).map(|r| r.uid).collect();
            done.expired += mailbox.remove(&old).await?.len() as u64;
        }
        if ages.keywords {
            let mailbox = self.mailbox(name).await?;
            let many = mailbox.view().exists();
            let freed = mailbox.change_of(many, |change| Ok(change.free_keywords()));
            done.keywords += freed.await? as u64;
        }
        if let Some(age) = ages.expunged {
            done.expunged += self.forget_expunged(name, now.saturating_sub(age)).await?;
            self.mailbox(name).await?.forget_texts().await;
        }
        Ok(())
    }

    /// Removes expunged messages for good: record and file, and files that no record knows.
    async fn forget_expunged(&self, name: &MailboxName, before: u64) -> Result<u64, StoreError> {
        let mailbox = self.mailbox(name).await?;
        let forgotten = mailbox.change_of(mailbox.view().expunged.len(), move |change| {
            let expunged = change.view().expunged.iter();
            let old: Vec<u32> = expunged.filter(|r| r.last_updated <= before as i64).map(|r| r.uid).collect();
            change.forget(&old);
            change.drop_tombstones();
            Ok(old.len() as u64)
        });
        let forgotten = forgotten.await?;
        blocking(move || {
            // Files first: a message that comes meanwhile is in the view by the time it is looked for.
            let files = rebuild::messages(&mailbox.dir())?;
            let view = super::lock(&mailbox.working).tip.clone();
            if view.gone {
                // The directory is somebody else's now.
                return Ok(forgotten);
            }
            for (uid, path) in files {
                let known = view.get(uid).or_else(|| view.expunged.get(uid)).is_some();
                if !known && uid <= view.last_uid {
                    // What cannot be removed now is met again the next time.
                    let _ = std::fs::remove_file(path);
                }
            }
            Ok(forgotten)
        })
        .await
    }

    /// Whether nothing of a mailbox ends now: `noexpire_until` of its user's INBOX, epoch seconds; 0 is for ever.
    async fn stays(&self, name: &MailboxName, now: u64) -> Result<bool, StoreError> {
        let name = self.inner.namespace.undeleted(name).map_or_else(|| name.clone(), |(old, _)| old);
        let Some(inbox) = name.inbox() else { return Ok(false) };
        let Some(entry) = self.inner.list.get(&inbox)? else { return Ok(false) };
        let until = self.open_entry(&entry).await?.annotation(STAYS, SHARED);
        let until = until.and_then(|until| str::from_utf8(&until).ok()?.trim().parse::<u64>().ok());
        Ok(until.is_some_and(|until| until == 0 || until > now))
    }

    /// The age in seconds that the `expire` annotation of a mailbox, of the nearest one above, or of the server names: a
    /// duration, in days where it has no unit.
    async fn expire_age(&self, name: &MailboxName) -> Result<Option<u64>, StoreError> {
        let mut above = Some(name.clone());
        while let Some(name) = above {
            if let Some(entry) = self.inner.list.get(&name)?
                && let Ok(mailbox) = self.open_entry(&entry).await
                && let Some(age) = mailbox.annotation(EXPIRE, SHARED).as_deref().and_then(age)
            {
                return Ok(Some(age).filter(|age| *age > 0));
            }
            above = name.parent();
        }
        let server = self.server_annotations(SHARED).await?;
        Ok(server.get(EXPIRE).map(|value| &**value).and_then(age).filter(|age| *age > 0))
    }
}

/// Seconds.
fn age(value: &[u8]) -> Option<u64> {
    config::imapd::duration(str::from_utf8(value).ok()?.trim(), 'd')
}

const EXPIRE: &str = "/vendor/cmu/cyrus-imapd/expire";
const STAYS: &str = "/vendor/cmu/cyrus-imapd/noexpire_until";
