//! Opening the store: see what a crash left to be played back, put operations right, rebuild what is missing, begin. What is
//! to be played back is, before it is opened, while the store serves already.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use config::imapd::{Imapd, SearchEngine};
use mailboxes::{Entry, Failure, LIST_PAGE, List, Options, hub::Hub};
use protocol::{location::ServerName, name::MailboxName, namespace::Namespace};
use tracing::{info, warn};

use super::{
    Inner, Shared, Store, articles, blocking,
    commit::{Commit, Faults, Surroundings, Target, recover::Found},
    disk::{self, Database, USER_LOG, USERS, mailbox_dir, user_dir},
    duplicate::Duplicates,
    error::{Doing, StoreError},
    gates::{Gate, Gates},
    journal::{Journal, Listed},
    lock,
    mailbox::Mailbox,
    marks::tree::Marks,
    master::Master,
    moves::kept,
    openings::{Openings, Place, Shut, Shutting, Sought},
    ops::FORCED,
    place::Partitions,
    quota::{Delta, Limits, Quotas, Usage},
    rebuild,
    replay::{self, Replay},
    text::desk::Desk,
    turns::Turns,
    userlog::{self, UserLog},
};
use crate::limits::{LOOK, OPEN};

impl Store {
    /// Opens the store. What a crash left in the commit log is played back behind it. `master`: none stands alone.
    pub async fn open(
        imapd: &Imapd,
        namespace: Namespace,
        master: Option<Arc<dyn Master>>,
    ) -> Result<Store, StoreError> {
        Store::open_with(imapd, namespace, master, Arc::default()).await
    }

    /// As [`Store::open`], with failures to order.
    pub(crate) async fn open_with(
        imapd: &Imapd,
        namespace: Namespace,
        master: Option<Arc<dyn Master>>,
        faults: Arc<Faults>,
    ) -> Result<Store, StoreError> {
        let (imapd, dir) = (imapd.clone(), imapd.program_directory("backend"));
        let begin = move || begin(imapd.clone(), namespace.clone(), master.clone(), faults.clone());
        let inner = blocking(move || match begin() {
            Err(StoreError::DamagedList(why)) => {
                set_list_aside(&dir, &why)?;
                begin()
            }
            begun => begun,
        });
        let inner = Arc::new(inner.await?);
        let (watch, weak) = (inner.list.watch(), Arc::downgrade(&inner));
        let list = move || weak.upgrade().map(|inner| inner.list.clone());
        // Ends with the list, which this keeps from nobody.
        tokio::spawn(inner.shared.hub.clone().follow(watch, list));
        Ok(Store { inner })
    }

    /// Puts a list that cannot be read out of the way: the next start makes it anew from the spool.
    pub fn set_list_aside(&self, why: &str) -> Result<(), StoreError> {
        set_list_aside(&self.inner.dir, why)
    }

    /// Finishes what is under way and syncs everything; later changes are refused.
    pub async fn close(&self) {
        let shared = self.inner.shared.clone();
        // An error means that the runtime ends: then the commit log is played back at the next start.
        let _ = blocking(move || {
            shared.texts.close();
            shared.commit.close();
            Ok(())
        })
        .await;
        if let Err(error) = self.inner.list.close().await {
            warn!(%error, "the mailbox list is closed");
        }
    }

    /// Why changes are refused until the store is opened again, if so.
    pub fn failure(&self) -> Option<Failure> {
        let failed = self.inner.shared.commit.poison().map(|why| Failure { why, damaged: false });
        self.inner.list.failure().or(failed)
    }

    /// Returns when that is so.
    pub async fn failed(&self) -> Failure {
        loop {
            if let Some(failure) = self.failure() {
                return failure;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The open mailbox of an entry of the list.
    pub(crate) async fn open_entry(&self, entry: &Entry) -> Result<Arc<Mailbox>, StoreError> {
        if !entry.is_active() {
            return Err(StoreError::Reserved);
        }
        if entry.server() != self.inner.server.as_str() {
            return Err(StoreError::Elsewhere(entry.server().to_owned()));
        }
        let local = entry.local.as_ref().ok_or(StoreError::NoMailbox)?;
        if let Some(server) = self.inner.shared.gates.moved(Gate::Mailbox(&local.uniqueid)) {
            return Err(StoreError::Moved(server));
        }
        let partition = self.partition_path(entry.location.partition().unwrap_or_default())?;
        let dir = mailbox_dir(&partition, &local.uniqueid);
        let (shared, location) = (self.inner.shared.clone(), entry.location.clone());
        let open = move |place| Mailbox::open(&shared, location, dir, place);
        opened(&self.inner.open, &local.uniqueid, open).await
    }

    pub(crate) async fn user_log(&self, userid: &str) -> Result<Arc<UserLog>, StoreError> {
        let (shared, dir, user) = (self.inner.shared.clone(), self.inner.dir.join(USERS), userid.to_owned());
        let open = move |place| UserLog::open(&shared, &dir, &user, place);
        opened(&self.inner.users, userid, open).await
    }

    /// Whether anything is kept for a user: asking makes no log.
    pub(crate) async fn has_user_log(&self, userid: &str) -> Result<bool, StoreError> {
        let (replay, target) = (self.inner.shared.replay.clone(), Target::User(userid.to_owned()));
        let log = user_dir(&self.inner.dir.join(USERS), userid).join(USER_LOG);
        blocking(move || {
            replay.play(&target)?;
            Ok(log.exists())
        })
        .await
    }

    /// Ends all use of a mailbox, and lets nobody open it while the result is held: its directory is to be copied, repaired
    /// or removed. Its sessions are told to leave; what is under way is on disk, or refused, when this returns.
    pub(crate) async fn shut(&self, id: &str) -> Result<Shut<Mailbox>, StoreError> {
        let (replay, mailbox) = (self.inner.shared.replay.clone(), id.to_owned());
        blocking(move || replay.play_mailbox(&mailbox)).await?;
        let (shut, mailbox) = loop {
            match self.inner.open.shut(id) {
                Shutting::Done(shut, mailbox) => break (shut, mailbox),
                // How the opening ends does not matter.
                Shutting::Wait(told) => drop(told.await),
                Shutting::Already => return Err(StoreError::Busy),
            }
        };
        if let Some(mailbox) = mailbox {
            mailbox.leave();
            // A large change that is being written ends, and takes back what it wrote.
            drop(mailbox.turn.lock().await);
            self.inner.shared.commit.settle().await;
            // Whoever is at its text index sees that it is gone at the next message.
            blocking(move || {
                drop(lock(&mailbox.texts.building));
                Ok(())
            })
            .await?;
        }
        Ok(shut)
    }
}

/// The open value of a key. It is opened to the end though whoever asked goes away: somebody else may wait for it.
async fn opened<T: Send + Sync + 'static>(
    openings: &Openings<T>,
    key: &str,
    open: impl FnOnce(Place<T>) -> Result<Arc<T>, StoreError> + Send + 'static,
) -> Result<Arc<T>, StoreError> {
    let told = match openings.seek(key) {
        Sought::Open(value) => return Ok(value),
        Sought::Shut => return Err(StoreError::Busy),
        Sought::Wait(told) => told,
        Sought::Vacant(ticket, told) => {
            tokio::task::spawn_blocking(move || ticket.finish(open));
            told
        }
    };
    told.await.unwrap_or(Err(StoreError::Closed))
}

fn begin(
    imapd: Imapd,
    namespace: Namespace,
    master: Option<Arc<dyn Master>>,
    faults: Arc<Faults>,
) -> Result<Inner, StoreError> {
    let server = ServerName::parse(&imapd.servername)
        .map_err(|_| StoreError::List(format!("servername '{}' is no server name", imapd.servername)))?;
    let dir = directories(&imapd)?;
    let fresh_list = !dir.join("list.sled").exists();
    let list = List::open_when_free(&dir, Options::owner())?;
    let db = Database::open(&dir)?;
    let journal = Journal::open(&dir)?;
    let duplicates = Arc::new(Duplicates::new(db.deliveries()?));
    let found = Found::read(&dir, faults.clone())?;
    for note in &found.notes {
        duplicates.put(note)?;
    }
    let replay = Arc::new(Replay {
        recovery: found.recovery,
        users: dir.join(USERS),
        noted_in: userlog::noted_in,
        imapd: imapd.clone(),
        list: list.clone(),
        db: db.clone(),
        quotas: Arc::new(Quotas::default()),
        uncounted: Mutex::default(),
    });
    match fresh_list || !db.is_complete() {
        true => make_anew(&replay, &server, &journal)?,
        false => recover_journal(&journal, &imapd, &list, &db)?,
    }
    let gates = Gates::default();
    kept::load(&imapd, &list, &db, &gates)?;
    replay::clear_stages(&imapd, &found.segments);
    let uidvalidity = load_quotas(&dir, &replay)?;
    let commit = Commit::start(surroundings(&dir, &replay, &duplicates, faults), found.segments)?;
    Ok(Inner {
        shared: Arc::new(shared(&imapd, commit, replay, gates)?),
        list,
        namespace,
        server,
        master,
        open: Openings::new(OPEN),
        users: Openings::new(OPEN),
        duplicates,
        marks: Arc::new(Marks::new(db.marks()?)),
        db,
        turns: Turns::default(),
        journal,
        partitions: Partitions::new(&imapd),
        special_uses: Mutex::default(),
        uidvalidity: Mutex::new(uidvalidity),
        dir,
        policy: ArcSwap::from_pointee(imapd.clone()),
        imapd,
    })
}

/// What all open mailboxes have of the store.
fn shared(imapd: &Imapd, commit: Commit, replay: Arc<Replay>, gates: Gates) -> Result<Shared, StoreError> {
    Ok(Shared {
        commit,
        quotas: replay.quotas.clone(),
        gates,
        hub: Hub::default(),
        texts: desk(imapd.search_engine),
        articles: articles::open(replay.db.articles()?),
        replay,
        expunge_mode: imapd.expunge_mode,
        history: i64::try_from(imapd.expunge_history.as_secs()).unwrap_or(i64::MAX),
        clock: || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64),
    })
}

/// Makes the store's directory and those of the partitions, where they lack.
fn directories(imapd: &Imapd) -> Result<PathBuf, StoreError> {
    let dir = imapd.program_directory("backend");
    fs::create_dir_all(&dir).doing("create", &dir)?;
    for partition in imapd.partitions() {
        fs::create_dir_all(&partition.path).doing("create", &partition.path)?;
    }
    Ok(dir)
}

/// Makes the list and the database from the spool, with what the commit log has for it.
fn make_anew(replay: &Replay, server: &ServerName, journal: &Journal) -> Result<(), StoreError> {
    replay.play_all()?;
    rebuild::all(&replay.imapd, server, &replay.list, &replay.db)?;
    journal.forget()?;
    replay.db.set_complete()
}

/// There is one kind of text index, whatever `search_engine` calls it; or none.
fn desk(engine: SearchEngine) -> Desk {
    if engine == SearchEngine::Xapian {
        info!(
            "search_engine: xapian is not there; squat is taken instead, which finds the same as a search without an index"
        );
    }
    Desk::new(engine != SearchEngine::None)
}

/// Only the latest one that was set aside is kept.
fn set_list_aside(dir: &Path, why: &str) -> Result<(), StoreError> {
    let (path, aside) = (dir.join("list.sled"), dir.join("list.sled.damaged"));
    warn!(why, aside = %aside.display(), "the mailbox list is set aside, and made anew from the spool");
    disk::sweep(&aside)?;
    fs::rename(&path, &aside).doing("set aside", &path)
}

/// What syncs all that the commit log was applied to.
fn surroundings(
    dir: &Path,
    replay: &Arc<Replay>,
    duplicates: &Arc<Duplicates>,
    faults: Arc<Faults>,
) -> Surroundings {
    let mut places: Vec<PathBuf> = replay.imapd.partitions().iter().map(|p| p.path.clone()).collect();
    places.push(dir.to_owned());
    let (replay, duplicates) = (replay.clone(), duplicates.clone());
    let sync_all = move || {
        replay.play_all()?;
        for (id, usage) in replay.quotas.take_dirty() {
            replay.db.set_usage(&id, usage)?;
        }
        replay.db.flush()?;
        places.iter().try_for_each(|place| disk::sync_filesystem(place))
    };
    Surroundings {
        dir: dir.to_owned(),
        sync_all: Box::new(sync_all),
        note: Box::new(move |note| duplicates.put(note)),
        faults,
    }
}

fn recover_journal(journal: &Journal, imapd: &Imapd, list: &List, db: &Database) -> Result<(), StoreError> {
    let placed = |record: &super::journal::Record| {
        for name in &record.names {
            let Some(entry) = list.get(&MailboxName::parse(name)?)? else { continue };
            if entry.local.as_ref().is_some_and(|local| local.uniqueid == record.id) {
                let partition = entry.location.partition().unwrap_or_default().to_owned();
                return Ok(Some(Listed { name: name.clone(), partition, acl: entry.acl.to_string() }));
            }
        }
        Ok(None)
    };
    // A mailbox that was to be a quota root, and is not there.
    let unmade = |record: &super::journal::Record| {
        for name in &record.names {
            let name = MailboxName::parse(name)?;
            if list.get(&name)?.is_none() {
                db.set_limits(&name, None)?;
            }
        }
        db.flush()
    };
    let put_right =
        journal.recover(&placed, &|name| imapd.partition(name).map(|p| p.path.clone()), &unmade)?;
    if put_right > 0 {
        info!(put_right, "operations that a crash interrupted were put right");
    }
    Ok(())
}

/// Fills the quota roots from the database and the list. The highest UIDVALIDITY of all mailboxes.
fn load_quotas(dir: &Path, replay: &Replay) -> Result<u32, StoreError> {
    let Replay { list, db, quotas, .. } = replay;
    let forced = forced_limits(&dir.join(FORCED));
    for (root, limits) in db.limits().into_iter().chain(forced) {
        quotas.set_limits(&root, Some(limits));
    }
    let (mut after, mut highest) = (None::<MailboxName>, 0);
    loop {
        let page = list.scan(after.as_ref(), LIST_PAGE)?;
        for (name, entry) in &page.entries {
            let Some(local) = &entry.local else { continue };
            highest = highest.max(local.uidvalidity);
            if let Some(root) = quotas.root_of(name) {
                let usage = db.usage(&local.uniqueid).unwrap_or(Usage { mailbox: 1, ..Usage::default() });
                quotas.add(Some(&root), Delta::between(&Usage::default(), &usage), false)?;
                replay.expect(&root, entry.location.partition().unwrap_or_default(), &local.uniqueid);
            }
        }
        after = page.entries.last().map(|(name, _)| name.clone());
        if !page.more {
            return Ok(highest);
        }
    }
}

/// Limits of quota roots that are no mailboxes.
fn forced_limits(path: &Path) -> BTreeMap<MailboxName, Limits> {
    let all: BTreeMap<String, Limits> =
        fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    all.into_iter().filter_map(|(name, limits)| Some((MailboxName::parse(&name).ok()?, limits))).collect()
}
