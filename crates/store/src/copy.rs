//! COPY and MOVE between mailboxes of this store.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use work::aside::weighed;

use super::{
    Store,
    annotations::{Annotations, carried},
    blocking,
    change::Change,
    disk::{self, link},
    error::{Doing, StoreError},
    mailbox::{FlagMask, Mailbox},
    record::{Record, System},
    stage::{Content, STAGE, Staged, fresh},
    view::View,
};
use crate::limits::{MANY, THROUGH_LOG};

/// What goes along with a message that is copied.
#[derive(Debug, Clone)]
pub struct Along {
    pub flags: FlagMask,
    /// UIDs of messages that are \Seen, where the user has a seen state of their own; none: it is that of the shared flags.
    pub seen: Option<Arc<HashSet<u32>>>,
    /// The user whose own annotations go along; none: nobody's do.
    pub own_annotations: Option<String>,
    pub shared_annotations: bool,
}

impl Along {
    /// All that is everybody's, and this user's annotations.
    pub fn all_of(user: &str) -> Along {
        Along {
            flags: FlagMask::ALL,
            seen: None,
            own_annotations: Some(user.to_owned()),
            shared_annotations: true,
        }
    }

    fn annotations_of(&self, record: &Record) -> Annotations {
        carried(&record.annotations, self.own_annotations.as_deref(), self.shared_annotations)
    }

    /// Gives messages that have come the annotations that they had.
    fn annotate(
        &self,
        change: &mut Change,
        source: &View,
        old: &[u32],
        new: &[u32],
    ) -> Result<(), StoreError> {
        for (old, new) in old.iter().zip(new) {
            let annotations = source.get(*old).and_then(|record| self.annotations_of(record));
            change.arrive(*new, annotations, Some(source))?;
        }
        Ok(())
    }
}

impl Store {
    /// Copies messages to a mailbox, which may be the same one: pairs of UIDs, old and new.
    pub async fn copy(
        &self,
        from: &Arc<Mailbox>,
        uids: Vec<u32>,
        to: &Arc<Mailbox>,
        along: Along,
        ignore_quota: bool,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        let (view, many) = (from.view(), uids.len());
        let Some(staged) = self.stage_for(from, uids, to).await? else { return Ok(Vec::new()) };
        to.change_of(many, move |change| {
            if ignore_quota {
                change.ignore_quota();
            }
            let mut messages = Vec::with_capacity(staged.len());
            for (record, staged) in &staged {
                messages.push(arrival(change, (record, &view), staged, &along)?);
            }
            let new = change.append(&messages)?;
            for ((record, _), uid) in staged.iter().zip(&new) {
                change.arrive(*uid, along.annotations_of(record), Some(&view))?;
            }
            Ok(staged.iter().map(|(record, _)| record.uid).zip(new).collect())
        })
        .await
    }

    /// Moves messages in one commit: pairs of UIDs, old and new. What two sessions move at once arrives once, and the second finds
    /// it gone. Within one quota root as much is freed as is taken. The arguments are those of [`Store::copy`].
    pub async fn relocate(
        &self,
        from: &Arc<Mailbox>,
        uids: Vec<u32>,
        to: &Arc<Mailbox>,
        along: Along,
        ignore_quota: bool,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        let many = uids.len();
        let Some(staged) = self.stage_for(from, uids, to).await? else { return Ok(Vec::new()) };
        let (unlink, forget) = self.inner.shared.expunge_mode();
        if from.uniqueid() == to.uniqueid() {
            return to
                .change_of(many, move |change| {
                    let source = change.view().clone();
                    let (messages, old) = arrivals(change, &source, &staged, &along)?;
                    let new = change.append(&messages)?;
                    // Nothing more is in the mailbox when the others are gone.
                    change.expunge(&old, unlink, forget);
                    along.annotate(change, &source, &old, &new)?;
                    Ok(old.into_iter().zip(new).collect())
                })
                .await;
        }
        to.change_both(from, many, move |change, source| {
            if ignore_quota {
                change.ignore_quota();
            }
            let (messages, old) = arrivals(change, source.view(), &staged, &along)?;
            let new = change.append(&messages)?;
            along.annotate(change, source.view(), &old, &new)?;
            source.expunge(&old, unlink, forget);
            Ok(old.into_iter().zip(new).collect())
        })
        .await
    }

    /// The messages of these UIDs that are there, ready for the partition of a mailbox; none: there is none of them.
    async fn stage_for(
        &self,
        from: &Arc<Mailbox>,
        uids: Vec<u32>,
        to: &Arc<Mailbox>,
    ) -> Result<Option<Vec<(Record, Arc<Staged>)>>, StoreError> {
        let (view, many) = (from.view(), uids.len());
        let records = weighed(many, move || -> Vec<Record> {
            uids.iter().filter_map(|uid| view.get(*uid)).cloned().collect()
        });
        let records = records.await;
        if records.is_empty() {
            return Ok(None);
        }
        let bytes: u64 = records.iter().map(|r| r.size).sum();
        self.check_room(&to.partition(), bytes).await?;
        let (source, target) = (from.clone(), to.partition());
        let staged = blocking(move || {
            let staged = stage(&source, &records, &target)?;
            Ok(records.into_iter().zip(staged).collect::<Vec<_>>())
        });
        staged.await.map(Some)
    }
}

/// A message that comes to a mailbox, as [`Change::append`] takes it.
type Arrival = (Arc<Staged>, System, u128, i64);

/// A message of another mailbox with what goes along of its flags.
fn arrival(
    change: &mut Change,
    (record, view): (&Record, &View),
    staged: &Arc<Staged>,
    Along { flags: keep, seen, .. }: &Along,
) -> Result<Arrival, StoreError> {
    let mut flags = record.flags;
    if let Some(seen) = seen {
        flags = flags.without(System::SEEN);
        flags = if seen.contains(&record.uid) { flags.with(System::SEEN) } else { flags };
    }
    let mut keywords = 0;
    for (n, word) in view.keywords().iter().enumerate().filter(|_| keep.others) {
        if record.keywords >> n & 1 == 1 {
            keywords |= change.keyword(word)?;
        }
    }
    Ok((staged.clone(), System(flags.0 & keep.system().0), keywords, record.internaldate))
}

/// The messages that are still where they are moved from, as they are now, and their UIDs there.
fn arrivals(
    change: &mut Change,
    source: &View,
    staged: &[(Record, Arc<Staged>)],
    along: &Along,
) -> Result<(Vec<Arrival>, Vec<u32>), StoreError> {
    let (mut messages, mut old) = (Vec::with_capacity(staged.len()), Vec::with_capacity(staged.len()));
    for (record, staged) in staged {
        if let Some(now) = source.get(record.uid) {
            messages.push(arrival(change, (now, source), staged, along)?);
            old.push(record.uid);
        }
    }
    Ok((messages, old))
}

/// Makes messages of one mailbox ready for another: a few small ones through the commit log, the rest as links (or
/// copies, on another partition) that one sync of the file system makes safe.
fn stage(from: &Mailbox, records: &[Record], partition: &Path) -> Result<Vec<Arc<Staged>>, StoreError> {
    let bytes: u64 = records.iter().map(|r| r.size).sum();
    let many = records.len() > MANY;
    let small = bytes <= THROUGH_LOG && !many;
    let dir = partition.join(STAGE);
    if !small {
        fs::create_dir_all(&dir).doing("create", &dir)?;
    }
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        let content = match small {
            true => Content::Memory(from.read_blocking(record.uid, 0..u64::MAX)?),
            false => {
                let (source, path) = (from.dir().join(format!("{}.", record.uid)), fresh(&dir)?);
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
    // Many are synced once they are in their places.
    if !small && !many {
        disk::sync_filesystem(partition)?;
    }
    Ok(all)
}
