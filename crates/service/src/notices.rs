//! What an operator tells everyone: `{configdirectory}/msg/shutdown` (nobody but admins is served while it exists) and
//! `msg/motd` (told after an IMAP greeting; the other protocols have no place for it).

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The two files. The first one is looked at once a second at most.
#[derive(Debug)]
pub struct Notices {
    directory: PathBuf,
    shutdown: Mutex<Option<(Instant, Option<String>)>>,
}

impl Notices {
    pub fn new(configdirectory: &str) -> Notices {
        Notices { directory: Path::new(configdirectory).join("msg"), shutdown: Mutex::default() }
    }

    /// Why nobody is served, if so.
    pub fn shutdown(&self) -> Option<String> {
        let mut seen = self.shutdown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, text)) = &*seen
            && when.elapsed() < LOOK
        {
            return text.clone();
        }
        let text = first_line(&self.directory.join("shutdown"));
        *seen = Some((Instant::now(), text.clone()));
        text
    }

    pub fn motd(&self) -> Option<String> {
        first_line(&self.directory.join("motd")).filter(|text| !text.is_empty())
    }
}

/// The first line of a file, fit for one line of a protocol. Every client waits for it: no FIFO, and not the whole of a large one.
fn first_line(file: &Path) -> Option<String> {
    let mut text = Vec::new();
    files::open(file).ok()?.take(READ_MAX).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    Some(line.chars().filter(|c| !c.is_control()).take(LINE_MAX).collect())
}

const LOOK: Duration = Duration::from_secs(1);
const LINE_MAX: usize = 900;
/// Bytes.
const READ_MAX: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("msg")).unwrap();
        let notices = Notices::new(dir.path().to_str().unwrap());
        assert_eq!((notices.motd(), notices.shutdown()), (None, None));
        std::fs::write(dir.path().join("msg/motd"), "hello\r\nworld\n").unwrap();
        assert_eq!(notices.motd().as_deref(), Some("hello"));
    }

    #[test]
    fn a_fifo_in_the_place_of_a_notice_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("msg")).unwrap();
        for name in ["msg/motd", "msg/shutdown"] {
            let path = dir.path().join(name);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        }
        let notices = Notices::new(dir.path().to_str().unwrap());
        assert_eq!((notices.motd(), notices.shutdown()), (None, None));
    }
}
