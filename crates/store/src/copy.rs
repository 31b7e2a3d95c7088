//! COPY and MOVE between mailboxes of this store.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use work::aside::weighed;

use super::{
    Store, blocking,
    commit::recover::link,
    disk,
    error::{Doing, StoreError},
    mailbox::{FlagMask, Mailbox},
    record::{Record, System},
    stage::{Content, STAGE, Staged, fresh},
};
use crate::limits::THROUGH_LOG;

impl Store {
    /// Copies messages to a mailbox, which may be the same one: pairs of UIDs, old and new. `keep`: the flags that go
    /// along; \Seen is that of the shared flags, or of `seen` (UIDs) where the user has a seen state of their own.
    pub async fn copy(
        &self,
        from: &Arc<Mailbox>,
        uids: Vec<u32>,
        to: &Arc<Mailbox>,
        keep: FlagMask,
        seen: Option<Arc<HashSet<u32>>>,
        ignore_quota: bool,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        let view = from.view();
        let many = uids.len();
        let records = {
            let view = view.clone();
            weighed(many, move || -> Vec<Record> {
                uids.iter().filter_map(|uid| view.get(*uid)).cloned().collect()
            })
        };
        let records = records.await;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let bytes: u64 = records.iter().map(|r| r.size).sum();
        self.check_room(&to.partition(), bytes).await?;
        let (source, target) = (from.clone(), to.partition());
        let staged = blocking(move || {
            let staged = stage(&source, &records, &target)?;
            Ok(records.into_iter().zip(staged).collect::<Vec<_>>())
        });
        let staged = staged.await?;
        to.change_of(many, move |change| {
            if ignore_quota {
                change.ignore_quota();
            }
            let mut messages = Vec::with_capacity(staged.len());
            let mask = keep.system();
            for (record, staged) in &staged {
                let mut flags = record.flags;
                if let Some(seen) = &seen {
                    flags = flags.without(System::SEEN);
                    flags = if seen.contains(&record.uid) { flags.with(System::SEEN) } else { flags };
                }
                let mut keywords = 0;
                for (n, word) in view.keywords().iter().enumerate().filter(|_| keep.others) {
                    if record.keywords >> n & 1 == 1 {
                        keywords |= change.keyword(word)?;
                    }
                }
                messages.push((staged.clone(), System(flags.0 & mask.0), keywords, record.internaldate));
            }
            let new = change.append(&messages)?;
            Ok(staged.iter().map(|(record, _)| record.uid).zip(new).collect())
        })
        .await
    }

    /// Moves messages: what two sessions move at once arrives once, and the second finds it gone.
    pub async fn relocate(
        &self,
        from: &Arc<Mailbox>,
        uids: Vec<u32>,
        to: &Arc<Mailbox>,
        keep: FlagMask,
        seen: Option<Arc<HashSet<u32>>>,
        ignore_quota: bool,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        let _turn = self.inner.turns.take(&format!("moves from {}", from.uniqueid())).await?;
        // Within one quota root as much is freed as is taken.
        let stays = from.quota_root() == to.quota_root();
        let pairs = self.copy(from, uids, to, keep, seen, ignore_quota || stays).await?;
        let moved: Vec<u32> = pairs.iter().map(|(from, _)| *from).collect();
        from.remove(&moved).await?;
        Ok(pairs)
    }
}

/// Makes messages of one mailbox ready for another: a few small ones through the commit log, the rest as links (or
/// copies, on another partition) that one sync of the file system makes safe.
fn stage(from: &Mailbox, records: &[Record], partition: &Path) -> Result<Vec<Arc<Staged>>, StoreError> {
    let bytes: u64 = records.iter().map(|r| r.size).sum();
    let small = bytes <= THROUGH_LOG;
    let dir = partition.join(STAGE);
    if !small {
        fs::create_dir_all(&dir).doing("create", &dir)?;
    }
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        let content = match small {
            true => Content::Memory(from.read_blocking(record.uid, 0..u64::MAX)?),
            false => {
                let (source, path) = (from.dir.join(format!("{}.", record.uid)), fresh(&dir)?);
                if !source.exists() {
                    return Err(StoreError::NoMessage);
                }
                if link(&source, &path).is_err() {
                    fs::copy(&source, &path).doing("copy", &source)?;
                }
                Content::File { path, partition: partition.to_owned() }
            }
        };
        let cached = from.cached(record)?;
        all.push(Arc::new(Staged::copied(record.size, record.header_size, record.guid, cached, content)));
    }
    if !small {
        disk::sync_filesystem(partition)?;
    }
    Ok(all)
}
