//! What `reconstruct` does: makes indexes agree with the message files, and the list with the spool.

use mailboxes::{Change, LIST_PAGE};
use protocol::name::MailboxName;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{
    Store, blocking,
    disk::{self, USERS, mailbox_dir},
    error::StoreError,
    header::Header,
    quota::Usage,
    rebuild, text, userlog,
};

/// Which mailboxes are reconstructed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Which {
    /// Internal names; none: all.
    pub names: Vec<String>,
    /// `-r`: those below, too.
    pub recursive: bool,
    /// `-f`: mailboxes on the spool that the list does not know are taken into it.
    pub find: bool,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconstructed {
    /// `name: what was repaired`, one each.
    pub lines: Vec<String>,
    pub failed: u64,
}

impl Store {
    /// Reconstructs. Sessions in a mailbox that is reconstructed lose it.
    pub async fn reconstruct(&self, which: &Which) -> Result<Reconstructed, StoreError> {
        let mut done = Reconstructed::default();
        if which.find {
            self.find_lost(&mut done).await?;
        }
        for name in self.named(which)? {
            match self.reconstruct_one(&name).await {
                Ok(repaired) => done.lines.push(format!(
                    "{name}{}{}",
                    count(repaired.adopted, " files adopted"),
                    count(repaired.lost, " records without a file expunged")
                )),
                Err(error) => {
                    warn!(%error, mailbox = %name, "cannot reconstruct");
                    done.lines.push(format!("{name}: {error}"));
                    done.failed += 1;
                }
            }
        }
        Ok(done)
    }

    pub(crate) fn named(&self, which: &Which) -> Result<Vec<MailboxName>, StoreError> {
        let mut names = Vec::new();
        for text in &which.names {
            let name = MailboxName::parse(text)?;
            match which.recursive {
                true => names.extend(self.subtree(&name)?.into_iter().map(|(name, _)| name)),
                false => names.push(name),
            }
        }
        if !which.names.is_empty() {
            return Ok(names);
        }
        loop {
            let page = self.inner.list.scan(names.last(), LIST_PAGE)?;
            names.extend(page.entries.into_iter().map(|(name, _)| name));
            if !page.more {
                return Ok(names);
            }
        }
    }

    async fn reconstruct_one(&self, name: &MailboxName) -> Result<rebuild::Repaired, StoreError> {
        let _turns = self.turns_of(&[name]).await?;
        let entry = self.inner.list.get(name)?.ok_or_else(|| self.missing(name))?;
        let local = entry.local.as_ref().ok_or(StoreError::NoMailbox)?;
        let partition = self.partition_path(entry.location.partition().unwrap_or_default())?;
        let (dir, id) = (mailbox_dir(&partition, &local.uniqueid), local.uniqueid.clone());
        let shut = self.shut(&id).await?;
        let repaired = blocking(move || {
            let header = Header::read(&dir)?;
            // It is made again from the messages.
            disk::sweep(&dir.join(text::DIR))?;
            rebuild::repair(&dir, &header)
        });
        let repaired = repaired.await;
        drop(shut);
        let repaired = repaired?;
        let usage = Usage::of(&self.mailbox(name).await?.view());
        self.inner.shared.quotas.note(&id, Some(usage));
        Ok(repaired)
    }

    /// Takes mailboxes of the spool into the list that it does not have. The resync tells the master.
    async fn find_lost(&self, done: &mut Reconstructed) -> Result<(), StoreError> {
        let imapd = self.inner.imapd.clone();
        let users = imapd.program_directory("backend").join(USERS);
        for found in blocking(move || rebuild::mailboxes(&imapd)).await? {
            let name = found.header.name()?;
            if self.inner.list.get(&name)?.is_some() {
                continue;
            }
            let entry = self.entry_of(&found.partition, &found.header)?;
            self.commit_list(vec![Change::put(name.clone(), entry)]).await?;
            info!(mailbox = %name, dir = %found.dir.display(), "found on the spool");
            done.lines.push(format!("{name}: found in {}", found.dir.display()));
            if !userlog::without(&users, std::iter::once(&name)).is_empty() {
                done.lines.push(format!(
                    "{name}: its user has no subscriptions here: they are kept in {}, not in the spool",
                    users.display()
                ));
            }
        }
        Ok(())
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 0 { String::new() } else { format!(": {n}{what}") }
}
