//! The file itself: reading, and replacing it whole under a lock.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::keys::Secret;
use super::{PasswordError, Users};

/// What the file says.
pub(super) struct Contents {
    pub(super) secret: Vec<u8>,
    pub(super) users: Users,
}

/// Tells one version of the file from another. A replaced file has another inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    Absent,
    File { device: u64, inode: u64, length: u64, seconds: i64, nanoseconds: i64 },
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Result<Stamp, PasswordError> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Stamp::from(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stamp::Absent),
            Err(why) => Err(PasswordError::Io { path: path.to_owned(), why }),
        }
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(metadata: &fs::Metadata) -> Stamp {
        Stamp::File {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

/// Reads the file; one that is not there has no users.
pub(super) fn read(path: &Path) -> Result<(Stamp, Contents), PasswordError> {
    let io_error = |why| PasswordError::Io { path: path.to_owned(), why };
    let mut file = match files::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Stamp::Absent, Contents { secret: random_secret()?, users: Users::new() }));
        }
        Err(why) => return Err(io_error(why)),
    };
    let stamp = Stamp::from(&file.metadata().map_err(io_error)?);
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(io_error)?;
    Ok((stamp, parse(&text).map_err(|line| PasswordError::Format { path: path.to_owned(), line })?))
}

/// Changes the users under the lock. `change` tells whether there is anything to write.
pub(super) fn update(path: &Path, change: impl FnOnce(&mut Users) -> bool) -> Result<bool, PasswordError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |why| PasswordError::Io { path, why }
    };
    files::directory(directory, 0o755, None).map_err(io_error(directory))?;
    let lock = beside(path, "lock");
    // It lasts as long as the file is open; the kernel frees it when a holder dies.
    let _lock = files::locked(&lock, 0o600).map_err(io_error(&lock))?;
    let (_, mut contents) = read(path)?;
    if !change(&mut contents.users) {
        return Ok(false);
    }
    files::replace(path, 0o600, print(&contents).as_bytes()).map_err(io_error(path))?;
    Ok(true)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn parse(text: &str) -> Result<Contents, usize> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let (_, head) = lines.next().ok_or(1usize)?;
    let secret = head.strip_prefix(HEAD).and_then(|secret| BASE64.decode(secret).ok()).ok_or(1usize)?;
    let mut users = Users::new();
    for (number, line) in lines {
        let (user, keys) = line.split_once('\t').ok_or(number)?;
        users.insert(user.to_owned(), Secret::from_str(keys).map_err(|()| number)?);
    }
    Ok(Contents { secret, users })
}

fn print(contents: &Contents) -> String {
    let mut text = format!("{HEAD}{}\n", BASE64.encode(&contents.secret));
    for (user, secret) in &contents.users {
        let _ = writeln!(text, "{user}\t{secret}");
    }
    text
}

fn random_secret() -> Result<Vec<u8>, PasswordError> {
    let mut secret = vec![0; 32];
    getrandom::fill(&mut secret).map_err(|why| PasswordError::Io {
        path: "/dev/urandom".into(),
        why: io::Error::other(why.to_string()),
    })?;
    Ok(secret)
}

const HEAD: &str = "murder-passwords 1 ";
