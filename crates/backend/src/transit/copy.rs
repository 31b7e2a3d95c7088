//! One mailbox that comes in.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::name::MailboxName;
use protocol::sync::moving::Item;
use protocol::sync::{Annotation, Code, Crc, Guid, Mailbox, Since, UniqueId};
use store::{Difference, Header, Incoming, Limits, Round, Snapshot, Store, StoreError};
use work::aside::weighed;

use super::{Move, Refused, Transit, Uploads, convert, is_same};

/// A copy, from its first change until it is adopted or forgotten.
pub struct Copy {
    uniqueid: UniqueId,
    of: Move,
    partition: String,
    incoming: Mutex<Option<Arc<Incoming>>>,
    told: Mutex<Told>,
    /// One change at a time.
    turn: tokio::sync::Mutex<Sums>,
    /// Nothing came of it by this process yet, and its source knows of none: what lies there of an earlier stay is no part of it.
    fresh: AtomicBool,
    /// The last checksums that came with a change were the copy's; also of one that came before a restart.
    proven: AtomicBool,
}

/// What the source said of it last, and the store does not keep.
#[derive(Debug, Clone)]
struct Told {
    name: MailboxName,
    recenttime: i64,
    pop3_show_after: i64,
}

/// The checksums of the copy as it was when they were last asked for.
#[derive(Default)]
struct Sums(Option<(Snapshot, Crc)>);

impl Copy {
    pub(super) fn new(of: Move, mailbox: &Mailbox, incoming: Incoming) -> Copy {
        Copy {
            uniqueid: mailbox.uniqueid.clone(),
            of,
            partition: mailbox.partition.clone(),
            incoming: Mutex::new(Some(Arc::new(incoming))),
            told: Mutex::new(Told { name: mailbox.name.clone(), recenttime: 0, pop3_show_after: 0 }),
            turn: tokio::sync::Mutex::default(),
            fresh: AtomicBool::new(true),
            proven: AtomicBool::new(false),
        }
    }

    /// Of what an earlier move has left here, under the name that the mailbox has now.
    pub(super) fn left(of: Move, item: &Item, incoming: Incoming) -> Copy {
        Copy {
            uniqueid: item.uniqueid.clone(),
            of,
            partition: incoming.partition().to_owned(),
            incoming: Mutex::new(Some(Arc::new(incoming))),
            told: Mutex::new(Told { name: item.name.clone(), recenttime: 0, pop3_show_after: 0 }),
            turn: tokio::sync::Mutex::default(),
            fresh: AtomicBool::new(false),
            proven: AtomicBool::new(true),
        }
    }

    /// One that came before a restart. None: its id is none that one can tell.
    pub(super) fn resumed(of: Move, name: MailboxName, incoming: Incoming) -> Option<Copy> {
        Some(Copy {
            uniqueid: UniqueId::new(incoming.uniqueid())?,
            of,
            partition: incoming.partition().to_owned(),
            incoming: Mutex::new(Some(Arc::new(incoming))),
            told: Mutex::new(Told { name, recenttime: 0, pop3_show_after: 0 }),
            turn: tokio::sync::Mutex::default(),
            fresh: AtomicBool::new(false),
            proven: AtomicBool::new(true),
        })
    }

    /// Whether it is what its source said last.
    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Acquire)
    }

    pub fn uniqueid(&self) -> &str {
        self.uniqueid.as_str()
    }

    /// The move that it belongs to.
    pub fn of(&self) -> &Move {
        &self.of
    }

    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The name that it has, and will have here.
    pub fn name(&self) -> MailboxName {
        lock(&self.told).name.clone()
    }

    /// It has another name at the source: what is said of it comes later, and another mailbox may come by the old one first.
    pub(super) fn is_called(&self, name: &MailboxName) {
        lock(&self.told).name.clone_from(name);
    }

    /// The store's side of it; none: it was taken.
    pub fn incoming(&self) -> Option<Arc<Incoming>> {
        lock(&self.incoming).clone()
    }

    /// The copy as another server is told of it, with its messages or without.
    pub async fn mailbox(&self, with_records: bool) -> Result<Mailbox, Refused> {
        let mut sums = self.turn.lock().await;
        let snapshot = self.held()?.snapshot();
        let crc = sums.of(&snapshot).await;
        let Told { name, recenttime, pop3_show_after } = lock(&self.told).clone();
        let partition = self.partition.clone();
        let told = move || {
            let mailbox = convert::mailbox(&snapshot, &partition, with_records)?;
            Some(Mailbox { name, recenttime, pop3_show_after, crc: Some(crc), ..mailbox })
        };
        let weight = if with_records { usize::MAX } else { 0 };
        weighed(weight, told).await.ok_or(Refused::Code(Code::MailboxNonexistent))
    }

    /// Makes the copy what the source says; the checksums that it tells must be the copy's then. What was changed is on disk when this
    /// returns, if `kept`: otherwise with the store's next round.
    ///
    /// # Errors
    /// [`Code::SyncChecksum`]: the copy is ahead of what is said, or is not what it should be afterwards. [`Code::SyncChanged`]: it is
    /// not what the change is the difference to.
    pub async fn apply(
        &self,
        store: &Store,
        transit: &Transit,
        mailbox: Mailbox,
        uploads: &mut Uploads,
        kept: bool,
    ) -> Result<(), Refused> {
        let mut sums = self.turn.lock().await;
        let incoming = self.held()?;
        let before = incoming.snapshot();
        let anew = self.fresh.load(Ordering::Acquire) && mailbox.ours.is_none();
        if !anew {
            check(&before, &mailbox)?;
        }
        if let Some(since) = mailbox.since {
            let now = Since { highestmodseq: before.numbers().highestmodseq, crc: sums.of(&before).await };
            if since != now {
                return Err(Code::SyncChanged.into());
            }
        }
        let told = Told {
            name: mailbox.name.clone(),
            recenttime: mailbox.recenttime,
            pop3_show_after: mailbox.pop3_show_after,
        };
        let (wanted, limits) = (mailbox.crc, transit.limits(&mailbox.name));
        let records = mailbox.records.as_ref().map_or(0, Vec::len);
        let (taking, earlier) = (incoming.clone(), before.clone());
        let difference =
            weighed(records * 8, move || convert::difference(&taking, &earlier, &mailbox, limits, anew))
                .await?;
        self.proven.store(false, Ordering::Release);
        self.take_in(transit, &incoming, &before, difference, uploads).await?;
        self.fresh.store(false, Ordering::Release);
        *lock(&self.told) = told;
        if kept {
            store.keep_round(&[&incoming]).await?;
        }
        match wanted {
            Some(wanted) if sums.of(&incoming.snapshot()).await != wanted => Err(Code::SyncChecksum.into()),
            _ => {
                self.proven.store(true, Ordering::Release);
                Ok(())
            }
        }
    }

    /// Has the store apply a difference, with the messages that the connection brought, or that other copies of the move have.
    async fn take_in(
        &self,
        transit: &Transit,
        incoming: &Incoming,
        before: &Snapshot,
        difference: Difference,
        uploads: &mut Uploads,
    ) -> Result<(), Refused> {
        let is_there = |uid: u32, guid: &[u8; 20]| {
            let there = before.records().get(uid).or_else(|| before.expunged().get(uid));
            there.is_some_and(|there| there.guid == *guid)
        };
        let (mut brought, mut missing) = (Round::new(), HashSet::new());
        for record in difference.records.iter().chain(&difference.expunged) {
            let guid = Guid(record.guid);
            if is_there(record.uid, &record.guid) || brought.contains_key(&record.guid) {
                continue;
            }
            match uploads.take(&guid) {
                Some(message) => drop(brought.insert(record.guid, message)),
                None => drop(missing.insert(guid)),
            }
        }
        let mut messages = transit.messages(&self.of.root, missing).await?;
        messages.extend(brought.iter().map(|(guid, message)| (*guid, message.clone())));
        let applied = incoming.apply(difference, &messages).await;
        if applied.is_err() {
            uploads.put_back(brought);
        }
        match applied {
            // The source sends what is missing where it is told that the copies differ.
            Err(StoreError::NoMessage) => Err(Code::SyncChecksum.into()),
            other => Ok(other?),
        }
    }

    /// Gives the mailbox these limits: it is a quota root.
    pub(super) async fn set_limits(&self, store: &Store, limits: Option<Limits>) -> Result<(), Refused> {
        self.set_header(store, |header| header.limits = limits).await
    }

    /// Sets or (none) removes an annotation of the mailbox itself.
    pub async fn annotate(&self, store: &Store, annotation: Annotation) -> Result<(), Refused> {
        if convert::is_in_header(&annotation) {
            let Annotation { entry, user, value, .. } = annotation;
            let value = value.map(|value| String::from_utf8_lossy(&value).into_owned());
            return self.set_header(store, |header| header.annotate(&entry, &user, value.as_deref())).await;
        }
        let _turn = self.turn.lock().await;
        let incoming = self.held()?;
        let before = incoming.snapshot();
        let mut all = before.annotations();
        all.retain(|setting| (&setting.entry, &setting.user) != (&annotation.entry, &annotation.user));
        all.push(convert::setting(annotation));
        let change = Difference { annotations: Some(all), ..unchanged(&before) };
        self.keep(store, &incoming, change).await
    }

    /// Gives the copy another name.
    pub async fn rename(&self, store: &Store, name: MailboxName) -> Result<(), Refused> {
        self.set_header(store, |header| header.name = name.as_str().to_owned()).await?;
        lock(&self.told).name = name;
        Ok(())
    }

    async fn set_header(&self, store: &Store, change: impl FnOnce(&mut Header)) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        let incoming = self.held()?;
        let before = incoming.snapshot();
        let mut header = Header::clone(before.header());
        change(&mut header);
        if is_same(&header, before.header()) {
            return Ok(());
        }
        let change = Difference { header: Some(Arc::new(header)), ..unchanged(&before) };
        self.keep(store, &incoming, change).await
    }

    async fn keep(&self, store: &Store, incoming: &Incoming, change: Difference) -> Result<(), Refused> {
        incoming.apply(change, &Round::new()).await?;
        Ok(store.keep_round(&[incoming]).await?)
    }

    pub(super) fn take(&self) -> Result<Incoming, Refused> {
        let mut incoming = lock(&self.incoming);
        let Some(held) = incoming.take() else { return Err(Code::MailboxNonexistent.into()) };
        match Arc::try_unwrap(held) {
            Ok(alone) => Ok(alone),
            Err(shared) => {
                *incoming = Some(shared);
                Err(StoreError::Busy.into())
            }
        }
    }

    fn held(&self) -> Result<Arc<Incoming>, Refused> {
        self.incoming().ok_or(Refused::Code(Code::MailboxNonexistent))
    }
}

impl Sums {
    /// Of a copy as it is now. Costs what changed since they were last asked for.
    async fn of(&mut self, now: &Snapshot) -> Crc {
        let (before, later) = (self.0.take(), now.clone());
        let weight = match &before {
            Some((before, _)) => now.records().weight_since(before.numbers().highestmodseq),
            None => now.records().len(),
        };
        let crc = weighed(weight, move || match before {
            Some((before, crc)) => convert::crc_after(crc, &before, &later),
            None => convert::crc(&later),
        });
        let crc = crc.await;
        self.0 = Some((now.clone(), crc));
        crc
    }
}

/// A copy that is ahead of what is said cannot become that.
fn check(before: &Snapshot, mailbox: &Mailbox) -> Result<(), Refused> {
    let numbers = before.numbers();
    let is_ahead = mailbox.last_uid < numbers.last_uid
        || mailbox.highestmodseq < numbers.highestmodseq
        || mailbox.uidvalidity < before.header().uidvalidity;
    let is_whole = mailbox.ours.as_ref().is_some_and(|ours| ours.whole);
    if is_ahead && !is_whole { Err(Code::SyncChecksum.into()) } else { Ok(()) }
}

/// No change of a copy.
fn unchanged(before: &Snapshot) -> Difference {
    Difference { numbers: before.numbers(), ..Difference::default() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
