//! What belongs to a user across mailboxes: one append-only, checksummed log per user, in
//! `<configdirectory>/murder/backend/users/<hash>/<user>/log`. Subscriptions, seen states, annotations of the server, Sieve scripts; a
//! move takes it along.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use protocol::name::MailboxName;
use tokio::sync::oneshot;
use tracing::warn;

use super::{
    annotations::Setting,
    blocking,
    codec::{Reader, Truncated, put_bytes, put_frame, put_number, take_frame},
    commit::{Content, Job, Log, Target},
    disk::{Noted, USER_LOG, user_dir, user_of},
    error::{Doing, StoreError},
    gates::Gate,
    header::{replace_file, sync_dir},
    lock, logfile,
    openings::Place,
    script::{ScriptOp, UserScripts},
    shared::Shared,
};

/// A user's log, open.
pub struct UserLog {
    log: Arc<Log>,
    working: Mutex<Working>,
    /// What holds.
    state: Mutex<Arc<State>>,
    user: String,
    shared: Arc<Shared>,
    _place: Place<UserLog>,
}

/// What the log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub subscriptions: BTreeSet<MailboxName>,
    /// By the unique ids of mailboxes.
    pub seen: BTreeMap<String, Seen>,
    /// The user's annotations of the server (RFC 5464), by entry.
    pub annotations: Arc<BTreeMap<String, Arc<[u8]>>>,
    pub scripts: Arc<UserScripts>,
}

/// A user's seen state in a mailbox of somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages above are \Recent to the user's next session.
    pub recentuid: u32,
    /// When it last changed, epoch seconds.
    pub lastchange: i64,
    /// Ranges of UIDs seen, ascending, inclusive.
    pub uids: Vec<(u32, u32)>,
}

/// One operation on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Subscribe(MailboxName),
    Unsubscribe(MailboxName),
    Seen(String, Seen),
    Annotate(Vec<Setting>),
    Script(ScriptOp),
}

struct Working {
    /// Changed in its place, and so apart from what holds: no operation copies what others have left.
    tip: Arc<State>,
    end: u64,
    /// Up to this end the log is not too long for what it says.
    fits: u64,
    generation: u64,
    version: u32,
    saved: (u64, u64, u32),
}

impl UserLog {
    /// Opens a user's log; makes it where there is none. Blocks.
    pub fn open(
        shared: &Arc<Shared>,
        users: &Path,
        userid: &str,
        place: Place<UserLog>,
    ) -> Result<Arc<UserLog>, StoreError> {
        let target = Target::User(userid.to_owned());
        shared.replay.play(&target)?;
        let dir = user_dir(users, userid);
        let path = dir.join(USER_LOG);
        if !path.exists() {
            fs::create_dir_all(&dir).doing("create", &dir)?;
            replace_file(&path, &logfile::header(MAGIC, FORMAT, 1))?;
            for above in dir.ancestors().skip(1).take(2) {
                sync_dir(above)?;
            }
        }
        let bytes = fs::read(&path).doing("read", &path)?;
        let wrong = || StoreError::damaged(&path, "not a user's log, or one of a newer version");
        let generation = logfile::parse(&bytes, FORMAT).map_err(|_| wrong())?;
        let version = logfile::version(&bytes).ok_or_else(wrong)?;
        let (state, len) = parse(&bytes, generation);
        let file = File::options().read(true).write(true).open(&path).doing("open", &path)?;
        if len < bytes.len() as u64 {
            warn!(log = %path.display(), at = len, "user's log cut at its last good record");
            file.set_len(len).doing("cut", &path)?;
        }
        let state = Arc::new(state);
        let working = Working {
            tip: state.clone(),
            end: len,
            fits: COMPACT_FROM,
            generation,
            version,
            saved: (len, generation, version),
        };
        Ok(Arc::new(UserLog {
            log: Arc::new(Log::new(target, dir, USER_LOG, file)),
            working: Mutex::new(working),
            state: Mutex::new(state),
            user: userid.to_owned(),
            shared: shared.clone(),
            _place: place,
        }))
    }

    pub fn state(&self) -> Arc<State> {
        lock(&self.state).clone()
    }

    /// Returns when nobody is about to change it who has looked at its gates already.
    pub fn let_pass(&self) {
        drop(lock(&self.working));
    }

    /// Does an operation; on return it is on disk.
    pub async fn apply(self: &Arc<Self>, op: Op) -> Result<(), StoreError> {
        self.apply_all(vec![op]).await
    }

    /// Does operations in their order, as one write; on return all are on disk.
    pub async fn apply_all(self: &Arc<Self>, ops: Vec<Op>) -> Result<(), StoreError> {
        self.apply_when_open(ops, true).await
    }

    /// The same for who brings what a move has taken along: gates do not count.
    pub async fn apply_moved(self: &Arc<Self>, ops: Vec<Op>) -> Result<(), StoreError> {
        self.apply_when_open(ops, false).await
    }

    async fn apply_when_open(self: &Arc<Self>, ops: Vec<Op>, gated: bool) -> Result<(), StoreError> {
        self.apply_judged(ops, gated, |_| Ok(())).await
    }

    /// Does operations if the state that they change is judged to be fit for them: nobody changes it in between.
    pub async fn apply_if<E: From<StoreError>>(
        self: &Arc<Self>,
        ops: Vec<Op>,
        judge: impl Fn(&State) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        self.apply_judged(ops, true, judge).await
    }

    async fn apply_judged<E: From<StoreError>>(
        self: &Arc<Self>,
        mut ops: Vec<Op>,
        gated: bool,
        judge: impl Fn(&State) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let scripted = ops.iter().any(is_of_scripts);
        let held = loop {
            for gate in self.gates(&ops).filter(|_| gated) {
                self.shared.gates.pass(gate).await?;
            }
            let permit = self.shared.commit.permit().await?;
            let mut working = lock(&self.working);
            if gated && self.gates(&ops).any(|gate| self.shared.gates.state(gate).is_some()) {
                continue;
            }
            judge(&working.tip)?;
            let mut first_seen = Vec::new();
            let tip = Arc::make_mut(&mut working.tip);
            ops.retain(|op| {
                let new = match op {
                    Op::Seen(id, _) => Some(id).filter(|id| !tip.seen.contains_key(*id)),
                    _ => None,
                };
                first_seen.extend(new.cloned());
                tip.apply(op.clone())
            });
            if ops.is_empty() {
                break None;
            }
            let (done, held) = oneshot::channel();
            let job = self.job(&mut working, ops, first_seen, done);
            self.shared.commit.submit(job, permit);
            break Some(held);
        };
        if let Some(held) = held {
            held.await.unwrap_or(Err(StoreError::Closed))?;
        }
        if scripted {
            self.settle_active_script().await?;
        }
        Ok(())
    }

    /// Has delivery find whether a script runs, also after a crash: on disk when it returns. It is said anew where nothing was to be
    /// changed: a crash may have come between the log and that.
    async fn settle_active_script(self: &Arc<Self>) -> Result<(), StoreError> {
        self.note_active_script()?;
        let user = self.clone();
        blocking(move || user.shared.replay.db.flush()).await
    }

    /// Has the database say whether a script runs. Under the lock of what it is said of, so that the last word is the right one.
    fn note_active_script(&self) -> Result<(), StoreError> {
        let state = lock(&self.state);
        self.shared.replay.db.set_active_script(&self.user, state.scripts.active().is_some())
    }

    /// What must not be closed for these operations: a seen state goes with its mailbox, the rest with the user.
    fn gates<'a>(&'a self, ops: &'a [Op]) -> impl Iterator<Item = Gate<'a>> {
        ops.iter().map(|op| match op {
            Op::Seen(id, _) => Gate::Mailbox(id),
            Op::Subscribe(_) | Op::Unsubscribe(_) | Op::Annotate(_) | Op::Script(_) => Gate::User(&self.user),
        })
    }

    fn job(
        self: &Arc<Self>,
        working: &mut Working,
        ops: Vec<Op>,
        first_seen: Vec<String>,
        done: oneshot::Sender<Result<(), StoreError>>,
    ) -> Job {
        let bloated = working.is_bloated();
        let scripted = ops.iter().any(is_of_scripts);
        // A file of an earlier version is written anew, with the operation in it.
        let content = if bloated || ops.iter().any(|op| working.version < op.version()) {
            working.generation += 1;
            working.version = FORMAT;
            let bytes = working.tip.snapshot(working.generation);
            working.end = bytes.len() as u64;
            Content::Replace(bytes)
        } else {
            let mut frame = Vec::new();
            for op in &ops {
                let mut payload = Vec::new();
                op.encode(&mut payload);
                put_frame(&mut frame, working.generation, &payload);
            }
            let offset = working.end;
            working.end += frame.len() as u64;
            Content::Append { offset, frame }
        };
        let saved = (working.end, working.generation, working.version);
        let subscribed = |op: &Op| match op {
            Op::Subscribe(name) | Op::Unsubscribe(name) => Some(name.clone()),
            Op::Seen(..) | Op::Annotate(_) | Op::Script(_) => None,
        };
        let subscribed: Vec<MailboxName> = ops.iter().filter_map(subscribed).collect();
        let (user, epoch) = (self.clone(), self.log.epoch());
        let done = move |result: Result<(), StoreError>| {
            match &result {
                Ok(()) => {
                    lock(&user.working).saved = saved;
                    let mut state = lock(&user.state);
                    let holds = Arc::make_mut(&mut state);
                    for op in ops {
                        holds.apply(op);
                    }
                    drop(state);
                    if let Err(error) = user.shared.replay.db.add_seers(&user.user, &first_seen) {
                        warn!(%error, user = user.user, "a move of a mailbox will not find what this user has seen of it");
                    }
                    if scripted && let Err(error) = user.note_active_script() {
                        warn!(%error, user = user.user, "delivery does not know whether this user has a script that runs");
                    }
                    if !subscribed.is_empty() {
                        user.shared.hub.tell_subscribed(&user.user, &subscribed);
                    }
                }
                Err(_) => user.set_back(epoch),
            }
            // Who asked may have gone away; the change holds all the same.
            let _ = done.send(result);
        };
        Job::new(self.log.clone(), epoch, saved.1, content, Box::new(done))
    }

    fn set_back(&self, epoch: u64) {
        let mut working = lock(&self.working);
        if self.log.epoch() == epoch {
            self.log.void();
            working.tip = lock(&self.state).clone();
            (working.end, working.generation, working.version) = working.saved;
        }
    }
}

impl Working {
    /// Whether the log is far longer than what it says. Weighs that only where the log has grown since.
    fn is_bloated(&mut self) -> bool {
        if self.end <= self.fits {
            return false;
        }
        self.fits = (4 * self.tip.weight()).max(COMPACT_FROM);
        self.end > self.fits
    }
}

impl State {
    /// Whether that changed anything.
    fn apply(&mut self, op: Op) -> bool {
        match op {
            Op::Subscribe(name) => self.subscriptions.insert(name),
            Op::Unsubscribe(name) => self.subscriptions.remove(&name),
            // Nothing seen, ever, is no state.
            Op::Seen(id, seen) if seen == Seen::default() => self.seen.remove(&id).is_some(),
            Op::Seen(id, seen) => self.seen.insert(id, seen.clone()) != Some(seen),
            Op::Annotate(settings) => {
                let annotations = Arc::make_mut(&mut self.annotations);
                let mut changed = false;
                for Setting { entry, value, .. } in settings {
                    let value: Option<Arc<[u8]>> = value.map(Arc::from);
                    changed |= match value {
                        Some(value) => annotations.insert(entry, value.clone()) != Some(value),
                        None => annotations.remove(&entry).is_some(),
                    };
                }
                changed
            }
            Op::Script(op) => Arc::make_mut(&mut self.scripts).apply(op),
        }
    }

    /// Bytes of a compacted log, about.
    fn weight(&self) -> u64 {
        let names: usize = self.subscriptions.iter().map(|n| n.as_str().len() + 16).sum();
        let seen: usize = self.seen.values().map(|s| s.uids.len() * 6 + 80).sum();
        let annotations: usize = self.annotations.iter().map(|(e, value)| e.len() + value.len() + 16).sum();
        (names + seen + annotations) as u64 + self.scripts.bytes()
    }

    fn snapshot(&self, generation: u64) -> Vec<u8> {
        let mut out = logfile::header(MAGIC, FORMAT, generation);
        let subscriptions = self.subscriptions.iter().cloned().map(Op::Subscribe);
        let seen = self.seen.iter().map(|(id, seen)| Op::Seen(id.clone(), seen.clone()));
        let annotations = self.annotations.iter().map(|(entry, value)| {
            Op::Annotate(vec![Setting {
                entry: entry.clone(),
                user: String::new(),
                value: Some(value.to_vec()),
            }])
        });
        let scripts =
            (!self.scripts.is_empty()).then(|| Op::Script(ScriptOp::Replace((*self.scripts).clone())));
        for op in subscriptions.chain(seen).chain(annotations).chain(scripts) {
            let mut payload = Vec::new();
            op.encode(&mut payload);
            put_frame(&mut out, generation, &payload);
        }
        out
    }
}

impl Op {
    /// The version of the file that knows the operation.
    fn version(&self) -> u32 {
        match self {
            Op::Script(_) => 3,
            Op::Annotate(_) => 2,
            _ => 1,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Op::Subscribe(name) => {
                out.push(1);
                put_bytes(out, name.as_str().as_bytes());
            }
            Op::Unsubscribe(name) => {
                out.push(2);
                put_bytes(out, name.as_str().as_bytes());
            }
            Op::Seen(id, seen) => {
                out.push(3);
                put_bytes(out, id.as_bytes());
                put_number(out, u64::from(seen.recentuid));
                out.extend_from_slice(&seen.lastchange.to_le_bytes());
                put_number(out, seen.uids.len() as u64);
                for (first, last) in &seen.uids {
                    put_number(out, u64::from(*first));
                    put_number(out, u64::from(*last));
                }
            }
            Op::Annotate(settings) => {
                out.push(4);
                put_number(out, settings.len() as u64);
                settings.iter().for_each(|setting| setting.encode(out));
            }
            Op::Script(op) => {
                out.push(5);
                op.encode(out);
            }
        }
    }

    fn decode(payload: &[u8]) -> Result<Op, Truncated> {
        let mut r = Reader(payload);
        let kind = r.byte()?;
        if kind == 4 {
            let mut settings = Vec::new();
            for _ in 0..r.number()? {
                settings.push(Setting::decode(&mut r)?);
            }
            return Ok(Op::Annotate(settings));
        }
        if kind == 5 {
            return Ok(Op::Script(ScriptOp::decode(&mut r)?));
        }
        let text = r.text()?;
        let name = || MailboxName::parse(text).map_err(|_| Truncated);
        Ok(match kind {
            1 => Op::Subscribe(name()?),
            2 => Op::Unsubscribe(name()?),
            3 => {
                let (recentuid, lastchange) = (r.number32()?, r.time()?);
                let mut uids = Vec::new();
                for _ in 0..r.number()? {
                    uids.push((r.number32()?, r.number32()?));
                }
                Op::Seen(text.to_owned(), Seen { recentuid, lastchange, uids })
            }
            _ => return Err(Truncated),
        })
    }
}

fn parse(bytes: &[u8], generation: u64) -> (State, u64) {
    let (mut state, mut at) = (State::default(), logfile::HEADER as usize);
    while let Some((payload, len)) = bytes.get(at..).and_then(|rest| take_frame(rest, generation)) {
        match Op::decode(payload) {
            Ok(op) => state.apply(op),
            Err(_) => break,
        };
        at += len;
    }
    (state, at as u64)
}

/// What is to be noted of a log. Blocks.
pub fn noted_in(log: &Path) -> Result<Noted, StoreError> {
    let bytes = fs::read(log).doing("read", log)?;
    let wrong = |_| StoreError::damaged(log, "not a user's log, or one of a newer version");
    let (state, _) = parse(&bytes, logfile::parse(&bytes, FORMAT).map_err(wrong)?);
    let scripted = state.scripts.active().is_some();
    Ok(Noted { seen: state.seen.into_keys().collect(), scripted })
}

/// The same of all users. Blocks.
pub fn all_noted(users: &Path) -> Result<Vec<(String, Noted)>, StoreError> {
    let mut all = Vec::new();
    for hash in directories(users)? {
        for dir in directories(&hash)? {
            let user = dir.file_name().and_then(|name| name.to_str()).and_then(user_of);
            let log = dir.join(USER_LOG);
            let Some(user) = user.filter(|_| log.exists()) else { continue };
            match noted_in(&log) {
                Ok(noted) => all.push((user, noted)),
                // Whoever opens it meets the same.
                Err(error) => warn!(%error, user, "a user's log cannot be read"),
            }
        }
    }
    Ok(all)
}

fn directories(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let items = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        items => items.doing("read", dir)?,
    };
    let paths = items.filter_map(Result::ok).map(|item| item.path());
    Ok(paths.filter(|path| path.is_dir()).collect())
}

/// Of these users, those who have no log: what the spool does not have, subscriptions and seen states, is not there.
pub fn without<'n>(users: &Path, names: impl Iterator<Item = &'n MailboxName>) -> Vec<String> {
    let owners = names.filter(|name| name.is_inbox()).filter_map(MailboxName::owner);
    owners.filter(|owner| !user_dir(users, owner).join(USER_LOG).exists()).collect()
}

const MAGIC: &[u8; 8] = b"MURDERUL";
/// 1 knew no annotations, 2 no scripts. A file of them is written anew before the first.
const FORMAT: u32 = 3;
const COMPACT_FROM: u64 = 32 << 10;

fn is_of_scripts(op: &Op) -> bool {
    matches!(op, Op::Script(_))
}

#[cfg(test)]
mod tests {
    use protocol::script::ScriptName;

    use super::*;
    use crate::script::Script;

    #[test]
    fn a_log_cut_anywhere_gives_a_prefix_of_its_operations() {
        let name = |n: &str| MailboxName::parse(n).unwrap();
        let ops = [
            Op::Subscribe(name("user.fred")),
            Op::Seen("id".into(), Seen { recentuid: 3, lastchange: 9, uids: vec![(1, 3), (7, 9)] }),
            Op::Subscribe(name("shared")),
            Op::Unsubscribe(name("user.fred")),
            Op::Annotate(vec![Setting {
                entry: "/comment".into(),
                user: String::new(),
                value: Some(b"a\0b".to_vec()),
            }]),
            Op::Script(ScriptOp::Put(Script::new(ScriptName::parse("é").unwrap(), *b"keep;", 7))),
            Op::Script(ScriptOp::Activate(Some(ScriptName::parse("é").unwrap()))),
        ];
        let mut log = logfile::header(MAGIC, FORMAT, 4);
        let mut ends = vec![log.len()];
        for op in &ops {
            let mut payload = Vec::new();
            op.encode(&mut payload);
            put_frame(&mut log, 4, &payload);
            ends.push(log.len());
        }
        for cut in ends[0]..=log.len() {
            let (state, len) = parse(&log[..cut], 4);
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let mut wanted = State::default();
            ops[..whole].iter().for_each(|op| assert!(wanted.apply(op.clone())));
            assert_eq!((state, len), (wanted, ends[whole] as u64), "cut at {cut}");
        }
    }

    #[test]
    fn no_user_name_leaves_the_user_dir() {
        for user in ["../../etc", "a/b", ".", "..", "", "\0"] {
            let dir = user_dir(Path::new("/users"), user);
            assert_eq!(dir.components().count(), if user.is_empty() { 3 } else { 4 }, "{dir:?}");
        }
    }
}
