//! An incoming copy: a mailbox that a move brings here, before it is this server's.

mod apply;

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{
    batch::Batch,
    digest::Digest,
    snapshot::{Difference, Snapshot},
};
use crate::{
    Staged, Staging, Store, blocking,
    disk::{self, mailbox_dir},
    duplicate::Duplicates,
    error::{Doing, StoreError},
    header::{self, Header},
    index,
    limits::KEYWORDS,
    lock,
    mailbox::CACHE,
    openings::Shut,
    record::Record,
    stage::partition_of,
    view::View,
};

/// A mailbox that a move brings here. It is in no list, and a rebuild passes over it; its files lie where they will stay. Only one
/// holds it at a time. What was not kept by [`Store::keep_round`] may be lost in a crash, and comes once more.
pub struct Incoming {
    id: String,
    partition: String,
    state: Arc<Mutex<State>>,
    /// Nobody opens it meanwhile.
    _shut: Shut<crate::Mailbox>,
}

/// Messages of a round, by their SHA-1.
pub type Round = HashMap<[u8; 20], Arc<Staged>>;

/// What is known of the copy.
struct State {
    dir: PathBuf,
    header: Arc<Header>,
    view: Arc<View>,
    generation: u64,
    cache: File,
    cache_end: u64,
    /// Files may lie there that the index does not know.
    fresh: bool,
    /// Message files that came since the last round.
    placed: Vec<PathBuf>,
    /// Deliveries were noted since then.
    noted: bool,
    /// What the files lack of header and view.
    header_differs: bool,
    index_differs: bool,
    /// The last one whose sum is known.
    digested: Option<Snapshot>,
    duplicates: Arc<Duplicates>,
    now: fn() -> i64,
}

impl Store {
    /// Begins to take in an incoming copy, or goes on with the one that is there: of a move that was given up, or one that was given
    /// away from here. `header` is the source's; its unique id must be `[A-Za-z0-9-]{1,64}` ([`StoreError::BadName`]). `move_id` is
    /// written into the header.
    ///
    /// [`StoreError::Exists`]: this server has a mailbox of that id. [`StoreError::Busy`]: somebody holds it.
    pub async fn incoming(
        &self,
        move_id: &str,
        partition: &str,
        header: Header,
    ) -> Result<Incoming, StoreError> {
        apply::check_header(&header)?;
        let header = Header { incoming: true, incoming_id: Some(move_id.to_owned()), moving: None, ..header };
        self.take_up(partition, &header.uniqueid.clone(), move |dir, there| match there {
            Some(there) => Ok(Header { moved: there.moved, ..header }),
            None => {
                disk::sweep(dir)?;
                fs::create_dir_all(dir).doing("create", dir)?;
                let header = Header { moved: None, ..header };
                let path = dir.join(header::FILE);
                fs::write(&path, header.encode(dir)?).doing("write", &path)?;
                Ok(header)
            }
        })
        .await
    }

    /// The incoming or kept copy of a unique id that is there, after a restart; none: there is none. [`StoreError::Exists`]: it is in
    /// the list, adopted already or never given away. [`StoreError::Busy`]: somebody holds it.
    pub async fn resume_incoming(
        &self,
        move_id: &str,
        partition: &str,
        uniqueid: &str,
    ) -> Result<Option<Incoming>, StoreError> {
        let id = Some(move_id.to_owned());
        let found = self.take_up(partition, uniqueid, move |_, there| {
            let there = there.ok_or(StoreError::NoMailbox)?;
            Ok(Header { incoming: true, incoming_id: id, ..there })
        });
        match found.await {
            Ok(incoming) => Ok(Some(incoming)),
            Err(StoreError::NoMailbox) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the copy in a directory. `begin` has the header that is there, where it is a copy's, and gives the one that counts.
    async fn take_up(
        &self,
        partition: &str,
        id: &str,
        begin: impl FnOnce(&Path, Option<Header>) -> Result<Header, StoreError> + Send + 'static,
    ) -> Result<Incoming, StoreError> {
        if !is_fit(id) {
            return Err(StoreError::BadName);
        }
        let dir = mailbox_dir(&self.partition_path(partition)?, id);
        if self.is_listed(&dir, id).await? {
            return Err(StoreError::Exists);
        }
        let shut = self.shut(id).await?;
        let (duplicates, now) = (self.inner.duplicates.clone(), self.inner.shared.clock);
        let state = blocking(move || {
            let there = Header::read(&dir).ok();
            let there = match there {
                // It was being adopted, or it is what is left of something else, and nobody's to take.
                Some(there) if !there.incoming && there.incoming_id.is_none() => {
                    return Err(StoreError::Exists);
                }
                there => there,
            };
            let header = begin(&dir, there.clone())?;
            State::open(dir, header, there, duplicates, now)
        });
        let state = Arc::new(Mutex::new(state.await?));
        Ok(Incoming { id: id.to_owned(), partition: partition.to_owned(), state, _shut: shut })
    }

    /// Whether the list has the mailbox in a directory.
    async fn is_listed(&self, dir: &Path, id: &str) -> Result<bool, StoreError> {
        let (store, dir, id) = (self.clone(), dir.to_owned(), id.to_owned());
        blocking(move || {
            let Ok(name) = Header::read(&dir).and_then(|header| header.name()) else { return Ok(false) };
            let listed = store.inner.list.get(&name)?;
            Ok(listed.and_then(|entry| entry.local).is_some_and(|local| local.uniqueid == id))
        })
        .await
    }

    /// Begins to receive a message of a move, of so many bytes, for a partition; to be ended by [`Staging::arrived`].
    pub async fn arriving(&self, partition: &str, size: u64) -> Result<Staging, StoreError> {
        let partition = self.partition_path(partition)?;
        self.check_room(&partition, size).await?;
        // The source has it: whatever the limit is here, it comes.
        Ok(Staging::new(partition, size))
    }

    /// Ends a round: what was applied to these copies is on disk when this returns.
    pub async fn keep_round(&self, copies: &[&Incoming]) -> Result<(), StoreError> {
        let states: Vec<_> = copies.iter().map(|copy| copy.state.clone()).collect();
        let db = self.inner.db.clone();
        blocking(move || {
            if states.iter().any(|state| lock(state).noted) {
                db.flush()?;
            }
            let mut batch = Batch::default();
            for state in &states {
                lock(state).enlist(&mut batch)?;
            }
            batch.write(|file| file.parent().and_then(partition_of).unwrap_or(file).to_owned())?;
            states.iter().for_each(|state| lock(state).is_kept());
            Ok(())
        })
        .await
    }

    /// Removes an incoming copy: the move came to nothing. A copy that was given away from here stays kept, as it is now.
    pub async fn forget_incoming(&self, copy: Incoming) -> Result<(), StoreError> {
        let state = copy.state.clone();
        blocking(move || {
            let state = lock(&state);
            match state.header.moved {
                Some(_) => Ok(()),
                None => disk::sweep(&state.dir),
            }
        })
        .await
    }
}

impl Staging {
    /// The message is whole: it must have this SHA-1 ([`StoreError::Damaged`]). It is not synced: [`Store::keep_round`] does that for
    /// all of a round.
    pub async fn arrived(self, guid: [u8; 20]) -> Result<Arc<Staged>, StoreError> {
        let staged = self.finish_unsynced().await?;
        match staged.guid == guid {
            true => Ok(Arc::new(staged)),
            false => Err(StoreError::Damaged {
                file: guid.iter().map(|byte| format!("{byte:02x}")).collect(),
                what: "a message that is moved has another SHA-1 than the source says".into(),
            }),
        }
    }
}

impl Incoming {
    /// The mailbox's id.
    pub fn uniqueid(&self) -> &str {
        &self.id
    }

    /// The partition that it lies on.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The copy as it is now, kept or not.
    pub fn snapshot(&self) -> Snapshot {
        lock(&self.state).snapshot()
    }

    /// The bit of a keyword in [`Record::keywords`] of this copy; it is defined where it is new. For differences that have none of
    /// their own.
    pub fn keyword(&self, word: &str) -> Result<u128, StoreError> {
        let mut state = lock(&self.state);
        if let Some(bit) = state.view.keyword_bit(word) {
            return Ok(bit);
        }
        if word.is_empty() || state.view.keywords.len() >= KEYWORDS {
            return Err(StoreError::TooManyKeywords);
        }
        let bit = 1 << state.view.keywords.len();
        Arc::make_mut(&mut Arc::make_mut(&mut state.view).keywords).push(word.into());
        state.index_differs = true;
        Ok(bit)
    }

    /// A message of the copy, for another copy that has the same. Blocks.
    pub fn message(&self, uid: u32) -> Result<Arc<Staged>, StoreError> {
        lock(&self.state).lend(uid)
    }

    /// What two copies are compared by, as [`Snapshot::digest`] of the source. Takes no time in proportion to the messages, but for a
    /// copy that was not changed since it was resumed.
    pub async fn digest(&self) -> Result<Digest, StoreError> {
        let state = self.state.clone();
        blocking(move || {
            let (now, before) = {
                let state = lock(&state);
                (state.snapshot(), state.digested.clone())
            };
            before.iter().for_each(|before| now.follow(before));
            let digest = now.digest();
            lock(&state).digested = Some(now);
            Ok(digest)
        })
        .await
    }

    /// Makes the copy what the difference says. The files of messages that are new come from `messages`, or are in the copy already
    /// under another UID. [`StoreError::NoMessage`]: one of a message that is not expunged is missing; nothing is changed.
    pub async fn apply(&self, difference: Difference, messages: &Round) -> Result<(), StoreError> {
        let (state, messages) = (self.state.clone(), messages.clone());
        blocking(move || lock(&state).apply(difference, &messages)).await
    }

    /// Its header as it is to be in the list, and its view.
    pub(super) fn listed(&self) -> (Header, Arc<View>) {
        let state = lock(&self.state);
        ((*state.header).clone().listed(), state.view.clone())
    }
}

impl State {
    /// Opens the copy. `there`: the header that was in the directory, where it was one of a copy.
    fn open(
        dir: PathBuf,
        header: Header,
        there: Option<Header>,
        duplicates: Arc<Duplicates>,
        now: fn() -> i64,
    ) -> Result<State, StoreError> {
        // What cannot be read comes once more.
        let loaded = there.as_ref().and_then(|_| index::load(&dir).ok());
        let (generation, view) = loaded.map_or((0, None), |loaded| (loaded.generation, Some(loaded.view)));
        let path = dir.join(CACHE);
        let mut options = File::options();
        let cache =
            options.read(true).write(true).create(true).truncate(false).open(&path).doing("open", &path)?;
        let cache_end = cache.metadata().doing("read", &path)?.len();
        let index_differs = view.is_none();
        let view = view.unwrap_or_else(|| View { uidvalidity: header.uidvalidity, ..View::default() });
        Ok(State {
            fresh: there.is_none(),
            header_differs: there.as_ref() != Some(&header) || there.is_none(),
            index_differs,
            dir,
            header: Arc::new(header),
            view: Arc::new(view),
            generation,
            cache,
            cache_end,
            placed: Vec::new(),
            noted: false,
            digested: None,
            duplicates,
            now,
        })
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.header.clone(), self.view.clone(), self.dir.clone(), self.view.recentuid)
    }

    /// What is to be written of it.
    fn enlist(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        self.placed.iter().for_each(|path| batch.after(path));
        if self.index_differs {
            self.generation += 1;
            batch.replace(self.dir.join(index::FILE), index::snapshot(&self.view, self.generation));
        }
        if self.header_differs {
            batch.replace(self.dir.join(header::FILE), self.header.encode(&self.dir)?);
        }
        Ok(())
    }

    fn is_kept(&mut self) {
        self.placed.clear();
        self.noted = false;
        (self.index_differs, self.header_differs) = (false, false);
    }

    fn record(&self, uid: u32) -> Option<&Record> {
        self.view.records.get(uid).or_else(|| self.view.expunged.get(uid))
    }
}

/// Whether an id may name a directory.
fn is_fit(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
