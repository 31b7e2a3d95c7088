//! What an operator tells everyone: `{configdirectory}/msg/shutdown` (nobody but admins is served while it exists) and
//! `msg/motd` (shown after an IMAP greeting; the other protocols have no place for it).
//!
//! Sessions ask at each command, so that the answer stands in memory, and no file is read on the threads that serve. The
//! kernel reports changes in the directory (inotify), and the runtime hears of that beside the commands of clients: a question costs
//! no call of the system. Whoever asks after a change waits for a fresh look, on a blocking thread.
//!
//! | bound | value |
//! | --- | --- |
//! | age of an answer | [`LOOK`]: what another host changes on a network file system is not reported |
//! | how long one waits for a look | [`NOTICE_PATIENCE`]; then the last answer stands |
//! | looks at once | one |

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::inotify::WatchFlags;
use tokio::time::{Instant, timeout};

use crate::limits::{LOOK, NOTICE_LINE, NOTICE_PATIENCE, NOTICE_READ, rows};
use crate::reports::Reports;

/// The two files. Cheap to clone; clones share what was read.
#[derive(Debug, Clone)]
pub struct Notices {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    configdirectory: PathBuf,
    /// Where the kernel reports changes, from the first question on; `None`: it has no more such descriptors, and each question is
    /// a look.
    changes: OnceLock<Option<Reports>>,
    seen: Mutex<Seen>,
    /// Held by whoever looks.
    looking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    when: Option<Instant>,
    /// The number of the look that is needed, and of the last one that was had.
    needed: u64,
    had: u64,
    shutdown: Option<String>,
    motd: Option<String>,
}

impl Notices {
    pub fn new(configdirectory: &str) -> Notices {
        let (changes, seen, looking) = (OnceLock::new(), Mutex::default(), Arc::default());
        let configdirectory = PathBuf::from(configdirectory);
        Notices { inner: Arc::new(Inner { configdirectory, changes, seen, looking }) }
    }

    /// Why nobody is served, if so.
    pub async fn shutdown(&self) -> Option<String> {
        self.look().await;
        self.inner.seen().shutdown.clone()
    }

    /// The news of the day, unless empty.
    pub async fn motd(&self) -> Option<String> {
        self.look().await;
        self.inner.seen().motd.clone()
    }

    /// Sees to it that what is in memory is not older than what the caller may know.
    async fn look(&self) {
        let Some(needed) = self.inner.needed() else { return };
        let look = async {
            let turn = self.inner.looking.clone().lock_owned().await;
            if self.inner.seen().had >= needed {
                return;
            }
            let inner = self.inner.clone();
            // The turn ends with the look, also where nobody waits for it any longer: a disk that hangs holds one thread.
            let read = move || {
                inner.read();
                drop(turn);
            };
            // It fails only while the runtime ends.
            let _ = tokio::task::spawn_blocking(read).await;
        };
        if timeout(NOTICE_PATIENCE, look).await.is_err() {
            let directory = self.inner.directory();
            rows::NOTICE_PATIENCE.met(format_args!(
                "{}: not readable within {NOTICE_PATIENCE:?}: what was read last stands",
                directory.display()
            ));
        }
    }
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    Motd,
    Shutdown,
}

impl Notices {
    /// Writes one of the files anew, or removes it. Only its first line is ever shown.
    pub async fn set(&self, notice: Notice, text: Option<Vec<u8>>) -> std::io::Result<()> {
        let inner = self.inner.clone();
        let write = move || {
            let directory = inner.directory();
            let path = directory.join(match notice {
                Notice::Motd => "motd",
                Notice::Shutdown => "shutdown",
            });
            match text {
                Some(text) => {
                    files::directory(&directory, 0o755, None)?;
                    files::replace(&path, 0o644, &text)?;
                }
                None if path.exists() => drop(files::remove(&path)?),
                None => {}
            }
            inner.read();
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)?
    }
}

impl Inner {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self) -> PathBuf {
        self.configdirectory.join("msg")
    }

    /// Within a runtime.
    fn changes(&self) -> Option<&Reports> {
        self.changes.get_or_init(Reports::open).as_ref()
    }

    /// The look that a caller needs, unless what is in memory will do. Touches no file system.
    fn needed(&self) -> Option<u64> {
        let changed = self.changes().is_none_or(Reports::take);
        let mut seen = self.seen();
        let old = seen.when.is_none_or(|when| when.elapsed() >= LOOK);
        if changed || (old && seen.had == seen.needed) {
            seen.needed += 1;
        }
        (seen.had < seen.needed).then_some(seen.needed)
    }

    fn read(&self) {
        let had = self.seen().needed;
        // Before the files are read, so that a change in between is reported.
        if let Some(changes) = self.changes() {
            changes.watch(&self.directory(), NOTICE_CHANGES);
        }
        let shutdown = first_line(&self.directory().join("shutdown"));
        let motd = first_line(&self.directory().join("motd")).filter(|text| !text.is_empty());
        let mut seen = self.seen();
        *seen = Seen { when: Some(Instant::now()), needed: seen.needed, had, shutdown, motd };
    }
}

/// The first line of a file, fit for one line of a protocol. Every client waits for it: no FIFO, and not the whole of a large one.
fn first_line(file: &Path) -> Option<String> {
    let mut text = Vec::new();
    files::open(file).ok()?.take(NOTICE_READ).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    Some(line.chars().filter(|c| !c.is_control()).take(NOTICE_LINE).collect())
}

/// What can change a notice.
const NOTICE_CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn notices(dir: &tempfile::TempDir) -> Notices {
        Notices::new(dir.path().to_str().unwrap())
    }

    /// As a client's next command is: it comes by way of the runtime, after what was before it.
    async fn shutdown(notices: &Notices) -> Option<String> {
        tokio::task::yield_now().await;
        notices.shutdown().await
    }

    #[tokio::test]
    async fn the_first_line_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let notices = notices(&dir);
        assert_eq!((notices.motd().await, notices.shutdown().await), (None, None));
        fs::create_dir(dir.path().join("msg")).unwrap();
        fs::write(dir.path().join("msg/motd"), "hello\r\nworld\n").unwrap();
        tokio::task::yield_now().await;
        assert_eq!(notices.motd().await.as_deref(), Some("hello"));
    }

    #[tokio::test]
    async fn what_the_operator_writes_counts_from_the_next_question_on_and_no_longer_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (notices, msg) = (notices(&dir), dir.path().join("msg"));
        for round in ["Back at noon", "Back at one"] {
            assert_eq!(shutdown(&notices).await, None);
            fs::create_dir(&msg).unwrap();
            assert_eq!(shutdown(&notices).await, None);
            fs::write(msg.join("new"), format!("{round}\n")).unwrap();
            fs::rename(msg.join("new"), msg.join("shutdown")).unwrap();
            assert_eq!(shutdown(&notices).await.as_deref(), Some(round));
            fs::write(msg.join("shutdown"), "Soon").unwrap();
            assert_eq!(shutdown(&notices.clone()).await.as_deref(), Some("Soon"));
            fs::remove_file(msg.join("shutdown")).unwrap();
            assert_eq!(shutdown(&notices).await, None);
            fs::write(msg.join("shutdown"), "Soon").unwrap();
            fs::remove_dir_all(&msg).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_questions_are_one_look_and_one_more_a_second_later() {
        let dir = tempfile::tempdir().unwrap();
        let notices = notices(&dir);
        let looks = || notices.inner.seen().had;
        notices.shutdown().await;
        if notices.inner.changes().is_none() {
            return;
        }
        let first = looks();
        for _ in 0..1000 {
            assert_eq!(notices.shutdown().await, None);
        }
        assert_eq!(looks(), first);
        tokio::time::advance(LOOK).await;
        notices.shutdown().await;
        notices.shutdown().await;
        assert_eq!(looks(), first + 1);
    }

    #[tokio::test]
    async fn a_fifo_in_the_place_of_a_notice_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("msg")).unwrap();
        for name in ["msg/motd", "msg/shutdown"] {
            let path = dir.path().join(name);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        }
        let notices = notices(&dir);
        assert_eq!((notices.motd().await, notices.shutdown().await), (None, None));
    }
}
