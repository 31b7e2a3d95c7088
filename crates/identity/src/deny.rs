//! Who may not log in: Cyrus's list of denied users, in the flat format of its `user_deny.db`, so that `cyr_deny` and
//! `murder deny` work on one file.
//!
//! A line is `user TAB 2 TAB services TAB message`, the last two tabs written as FF 89 (cyrusdb_flat's escape). Services
//! are patterns, separated by commas, for names of cyrus.conf's entries; one that begins with `!` excepts, and the last
//! that matches counts. The file is read anew when it has changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::error;

/// What one user may not use, and what he is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Patterns, as `imap,pop3*` or `*`.
    pub services: String,
    pub message: String,
}

impl Denial {
    /// Whether the service of that name is meant.
    pub fn covers(&self, service: &str) -> bool {
        let last = self.services.split(',').map(str::trim).rfind(|pattern| {
            matches(pattern.strip_prefix('!').unwrap_or(pattern).as_bytes(), service.as_bytes())
        });
        last.is_some_and(|pattern| !pattern.starts_with('!'))
    }
}

/// The file as it stands. Cheap to clone; clones share what was read.
#[derive(Clone, Debug)]
pub struct DenyList {
    path: Arc<PathBuf>,
    read: Arc<Mutex<Read>>,
}

/// All denials, by user.
pub type Denials = BTreeMap<String, Denial>;

/// What was read last, and of which state of the file.
type Read = Option<(Stamp, Arc<Denials>)>;

/// Tells one state of the file from another.
type Stamp = (u64, i64, i64, u64);

impl DenyList {
    pub fn new(path: impl Into<PathBuf>) -> DenyList {
        DenyList { path: Arc::new(path.into()), read: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why a user may not use a service, if so. A file that is not there denies nobody; blocks for a look at it.
    ///
    /// # Errors
    /// The file is there and cannot be read: nobody knows who is denied.
    pub fn denial(&self, user: &str, service: &str) -> io::Result<Option<Denial>> {
        let found = self.all()?.get(user).cloned();
        Ok(found.filter(|denial| denial.covers(service)))
    }

    /// Every denial.
    pub fn all(&self) -> io::Result<Arc<Denials>> {
        let stamp = match fs::metadata(&*self.path) {
            Ok(meta) => (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => return Err(error),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, denials)) = &*read
            && *seen == stamp
        {
            return Ok(denials.clone());
        }
        let denials = Arc::new(parse(&files::read(&self.path)?, &self.path));
        *read = Some((stamp, denials.clone()));
        Ok(denials)
    }

    /// Denies a user; what was said of him before is replaced.
    pub fn deny(&self, user: &str, denial: Denial) -> io::Result<()> {
        self.update(|denials| {
            denials.insert(user.to_owned(), denial);
            true
        })?;
        Ok(())
    }

    /// Allows a user again. False when he was not denied.
    pub fn allow(&self, user: &str) -> io::Result<bool> {
        self.update(|denials| denials.remove(user).is_some())
    }

    /// Reads, changes and writes under the file's lock, which `cyr_deny` takes too: of two writers each sees what the other did.
    /// The new list is put in the place of the old one, so that a reader sees the one or the other. `change` says whether there
    /// is anything to write, and so does the result.
    fn update(&self, change: impl FnOnce(&mut Denials) -> bool) -> io::Result<bool> {
        let mut file = files::locked(&self.path, FOR_THE_DAEMONS)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let mut denials = parse(&text, &self.path);
        if !change(&mut denials) {
            return Ok(false);
        }
        let mode = file.metadata()?.mode() & 0o777;
        files::replace(&self.path, mode, &print(&denials))?;
        Ok(true)
    }
}

fn print(denials: &Denials) -> Vec<u8> {
    let mut text = Vec::new();
    for (user, denial) in denials {
        escape(user.as_bytes(), &mut text);
        text.push(b'\t');
        escape(format!("2\t{}\t{}", denial.services, denial.message).as_bytes(), &mut text);
        text.push(b'\n');
    }
    text
}
/// Lines that cannot be read are told and left out: the others count.
fn parse(text: &[u8], path: &Path) -> Denials {
    let mut denials = Denials::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.is_empty()) {
        match read(line) {
            Some((user, denial)) => {
                denials.insert(user, denial);
            }
            None => error!("{}:{number}: no denial of version 1 or 2: ignored", path.display()),
        }
    }
    denials
}

fn read(line: &[u8]) -> Option<(String, Denial)> {
    let at = line.iter().position(|byte| *byte == b'\t')?;
    let (user, value) = line.split_at(at);
    let value = unescape(value.get(1..)?)?;
    let mut fields = value.splitn(3, '\t');
    let services = match (fields.next()?, fields.next()) {
        ("2", Some(services)) if !services.is_empty() => services.to_owned(),
        // Version 1 had names with an implied `*`.
        ("1", Some(services)) => services.to_owned(),
        _ => return None,
    };
    let user = unescape(user).filter(|user| !user.is_empty())?;
    let message = fields.next().filter(|text| !text.is_empty()).unwrap_or(DEFAULT_MESSAGE);
    Some((user, Denial { services, message: message.chars().filter(|c| !c.is_control()).collect() }))
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'\0' | b'\t' | b'\r' | b'\n' => out.extend([ESCAPE, byte | 0x80]),
            ESCAPE => out.extend([ESCAPE, ESCAPE]),
            _ => out.push(byte),
        }
    }
}

fn unescape(text: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            ESCAPE => match *bytes.next()? {
                ESCAPE => ESCAPE,
                escaped => escaped & 0x7f,
            },
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

/// `*` any text, `?` any letter. Patterns are short and an operator's own.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text) || text.split_first().is_some_and(|(_, after)| matches(pattern, after))
        }
        (Some((b'?', rest)), Some((_, after))) => matches(rest, after),
        (Some((letter, rest)), Some((other, after))) => letter == other && matches(rest, after),
        _ => false,
    }
}

/// What Cyrus says where nobody wrote anything.
pub const DEFAULT_MESSAGE: &str = "Access to this service has been blocked";
/// Of a new file, which its owner's group may read.
const FOR_THE_DAEMONS: u32 = 0o640;
const ESCAPE: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_cyr_deny_is_understood_and_written_alike() {
        let dir = tempfile::tempdir().unwrap();
        let list = DenyList::new(dir.path().join("user_deny.db"));
        assert!(list.all().unwrap().is_empty());
        // As cyr_deny 3.6.1 wrote it.
        let text = b"fred\t2\xff\x89*\xff\x89Access to this service has been blocked\njim\t2\xff\x89imap,pop*\xff\x89Go away\n";
        fs::write(list.path(), text).unwrap();
        assert_eq!(list.denial("fred", "lmtp").unwrap().unwrap().message, DEFAULT_MESSAGE);
        assert_eq!(list.denial("jim", "pop3s").unwrap().unwrap().message, "Go away");
        assert_eq!(list.denial("jim", "imaps").unwrap(), None);
        assert_eq!(list.denial("jane", "imap").unwrap(), None);
        list.deny("zoe", Denial { services: "*,!imap".into(), message: "no".into() }).unwrap();
        assert!(
            list.denial("zoe", "imap").unwrap().is_none() && list.denial("zoe", "pop3").unwrap().is_some()
        );
        assert!(list.allow("zoe").unwrap() && !list.allow("zoe").unwrap());
        assert_eq!(fs::read(list.path()).unwrap(), text);
    }

    #[test]
    fn a_wrong_line_is_left_out_and_the_others_count() {
        let dir = tempfile::tempdir().unwrap();
        let list = DenyList::new(dir.path().join("user_deny.db"));
        let text = b"nonsense\nx\t3\xff\x89*\xff\x89m\ny\t2\nz\t2\xff\n\t2\xff\x89*\nfred\t2\xff\x89*\xff\x89\n\xff\x00\n";
        fs::write(list.path(), text).unwrap();
        assert_eq!(list.all().unwrap().keys().collect::<Vec<_>>(), ["fred"]);
    }

    #[test]
    fn of_many_who_deny_at_once_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user_deny.db");
        let all_at_once = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for user in 0..8 {
                let (path, all_at_once) = (&path, &all_at_once);
                scope.spawn(move || {
                    // A handle of its own, as each `murder deny` has.
                    let list = DenyList::new(path);
                    all_at_once.wait();
                    list.deny(&format!("user{user}"), Denial { services: "*".into(), message: "no".into() })
                        .unwrap();
                });
            }
        });
        assert_eq!(DenyList::new(&path).all().unwrap().len(), 8);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(DenyList::new(dir.path()).denial("fred", "imap").is_err());
    }
}
