//! Files below directories that somebody else owns, written by root.
//!
//! A node's directories belong to the user that its daemons run as. Whoever owns a directory can put a link, a FIFO or
//! another name of any file where root is about to write. So root never writes there: it becomes the owner first, for
//! good ([`become_owner`]: tools and daemons) or as long as one step lasts ([`as_owner`], [`in_directory`], and everything
//! else here: `master`, which needs root again). Then a link leads nowhere that its maker could not go himself.
//!
//! Whose place a path is, is decided from `/` down ([`way`]): root's as long as only root can change what lies there, and
//! from the first directory, link or file of another user on that user's. Links of root are followed.
//!
//! All of `murder`, `master` and `service` write through this crate; `tests/system/house_rules.rs` looks after it.
//!
//! | to | begin at |
//! | --- | --- |
//! | become the owner of a directory, for good or for one step | [`become_owner`], [`as_owner`], [`in_directory`] |
//! | know whose place a path is | [`way`] |
//! | read a file | [`open`], [`read`] |
//! | write one: whole, as a note, at its end | [`replace`], [`note`], [`append`] |
//! | hold one against other programs | [`lock_file`], [`locked`] |
//! | make a directory, give it away | [`directory`], [`give`] |
//! | listen on a socket, remove it or a file | [`listen`], [`datagrams`], [`bind`], [`remove_socket`], [`remove`] |

mod acting;
pub mod limits;
mod walk;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, fcntl_lock, flock};
use rustix::io::Errno;

use crate::limits::{AGAIN, PATIENCE};

pub use acting::{as_owner, become_owner, in_directory};
pub use walk::{Owner, Way, way};

/// A regular file for reading. Not a FIFO, on which whoever opens it would wait.
pub fn open(path: &Path) -> io::Result<File> {
    as_owner(path, |path| {
        let file = opened(path, OpenOptions::new().read(true), OFlags::NONBLOCK)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(wrong("not a regular file")) }
    })
}

/// All that is in one.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open(path)?.read_to_end(&mut text)?;
    Ok(text)
}

/// Makes the file anew with this text and mode and puts it in the place of what was there, synced: a reader sees the old
/// one or the new one, whole. Written by root in a place of root's, it goes to whom the old one belonged.
///
/// Two writers at a time need a lock of their own.
pub fn replace(path: &Path, mode: u32, text: &[u8]) -> io::Result<()> {
    put(path, mode, text, true)
}

/// As [`replace`], for what does not outlive the process: not synced.
pub fn note(path: &Path, mode: u32, text: &[u8]) -> io::Result<()> {
    put(path, mode, text, false)
}

fn put(path: &Path, mode: u32, text: &[u8], is_lasting: bool) -> io::Result<()> {
    in_directory(path, |path| {
        let new = beside(path, ".new");
        // What a crash left, or somebody planted.
        absent_is_fine(fs::remove_file(&new))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = (|| {
            if let Ok(old) = fs::symlink_metadata(path)
                && old.is_file()
                && rustix::process::geteuid().is_root()
            {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(text)?;
            if is_lasting {
                file.sync_all()?;
            }
            fs::rename(&new, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written?;
        if is_lasting { File::open(directory_of(path))?.sync_all() } else { Ok(()) }
    })
}

/// A file to be locked, made if it is not there; what it holds stays. Nothing but a regular file with this one name, and no link.
pub fn lock_file(path: &Path, mode: u32) -> io::Result<File> {
    in_directory(path, |path| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(mode);
        regular(opened(path, &mut options, OFlags::NOFOLLOW | OFlags::NONBLOCK)?)
    })
}

/// The file of this name, for this process alone, by both kinds of lock: Cyrus's programs take one or the other. Made if it is
/// not there. Who waited for it has the one that has the name now.
///
/// Read it through this: closing another descriptor of the file would end the lock.
///
/// # Errors
/// `WouldBlock`: it is still held after ten seconds.
pub fn locked(path: &Path, mode: u32) -> io::Result<File> {
    locked_within(path, mode, PATIENCE)
}

fn locked_within(path: &Path, mode: u32, patience: Duration) -> io::Result<File> {
    let until = Instant::now() + patience;
    loop {
        let file = lock_file(path, mode)?;
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive)
            .and_then(|()| fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive));
        match locked {
            Ok(()) if has_name(&file, path)? => return Ok(file),
            Ok(()) => {}
            Err(Errno::WOULDBLOCK | Errno::ACCESS) if Instant::now() < until => std::thread::sleep(AGAIN),
            Err(Errno::WOULDBLOCK | Errno::ACCESS) => {
                let message = format!("another process has locked it for {} s", patience.as_secs());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn has_name(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match in_directory(path, |path| fs::symlink_metadata(path)) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A log, made if it is not there.
pub fn append(path: &Path, mode: u32) -> io::Result<File> {
    as_owner(path, |path| {
        let links = if walk::is_kernels(path) { OFlags::empty() } else { OFlags::NOFOLLOW };
        let mut options = OpenOptions::new();
        let file = opened(path, options.append(true).create(true).mode(mode), OFlags::NONBLOCK | links)?;
        let meta = file.metadata()?;
        if meta.is_file() && meta.nlink() > 1 {
            return Err(wrong(OTHER_NAMES));
        }
        // A terminal or a pipe that is full is waited for, as ever.
        rustix::io::ioctl_fionbio(&file, false)?;
        Ok(file)
    })
}

/// Makes a directory, and those on the way to it. Made by root in a place of root's, the directory itself goes to `to`
/// (user and group).
pub fn directory(path: &Path, mode: u32, to: Option<(u32, u32)>) -> io::Result<()> {
    as_owner(path, |path| {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(above)?;
        }
        fs::DirBuilder::new().mode(mode).create(path)?;
        match to {
            Some(to) if rustix::process::geteuid().is_root() => {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
                chown(&opened(path, OpenOptions::new().read(true), flags)?, to)
            }
            _ => Ok(()),
        }
    })
}

/// Gives a regular file that root made in a place of root's to a user and a group. In another one's place it is his
/// already.
pub fn give(path: &Path, to: (u32, u32)) -> io::Result<()> {
    in_directory(path, |path| {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        chown(&regular(opened(path, OpenOptions::new().read(true), flags)?)?, to)
    })
}

/// Removes a name; true when there was one.
pub fn remove(path: &Path) -> io::Result<bool> {
    in_directory(path, |path| removed(path, |_| true))
}

/// Makes room for a UNIX socket: a socket that an earlier process left is removed, anything else is in the way.
pub fn remove_socket(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    in_directory(path, |path| removed(path, |found| found.file_type().is_socket()))
}

/// Listens on a UNIX socket, without blocking, in the place of one that an earlier process left. `mode` decides who may connect; none:
/// the umask does.
pub fn listen(path: &Path, mode: Option<u32>) -> io::Result<UnixListener> {
    let listener = bind(path, mode, |path| UnixListener::bind(path))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Receives datagrams on a UNIX socket, as [`listen`] does; it blocks.
pub fn datagrams(path: &Path, mode: Option<u32>) -> io::Result<UnixDatagram> {
    bind(path, mode, |path| UnixDatagram::bind(path))
}

/// Has `bind` make a UNIX socket in the place of one that an earlier process left.
pub fn bind<T>(path: &Path, mode: Option<u32>, bind: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    remove_socket(path)?;
    in_directory(path, |path| {
        let socket = bind(path)?;
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok(socket)
    })
}

fn removed(path: &Path, fits: impl Fn(&fs::Metadata) -> bool) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if fits(&found) => fs::remove_file(path).map(|()| true),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket is in the way"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn opened(path: &Path, options: &mut OpenOptions, flags: OFlags) -> io::Result<File> {
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

fn regular(file: File) -> io::Result<File> {
    let meta = file.metadata()?;
    match (meta.is_file(), meta.nlink()) {
        (false, _) => Err(wrong("not a regular file")),
        (true, 2..) => Err(wrong(OTHER_NAMES)),
        _ => Ok(file),
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn chown(file: &File, (uid, gid): (u32, u32)) -> io::Result<()> {
    std::os::unix::fs::fchown(file, Some(uid), Some(gid))
}

fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().as_bytes().to_vec();
    name.extend(suffix.as_bytes());
    PathBuf::from(std::ffi::OsString::from(std::ffi::OsStr::from_bytes(&name)))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

const OTHER_NAMES: &str = "the file has other names (hard links): it may be somebody else's";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_for_a_file_has_the_one_that_took_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let first = locked(&path, 0o600).unwrap();
        let error = locked_within(&path, 0o600, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| locked(&path, 0o600).unwrap());
            replace(&path, 0o600, b"new").unwrap();
            drop(first);
            let mut text = String::new();
            second.join().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "new");
        });
    }

    #[test]
    fn a_socket_takes_the_place_of_a_dead_one_and_of_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(listen(&path, Some(0o600)).unwrap());
        let listener = listen(&path, Some(0o640)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        fs::write(dir.path().join("mail"), "kept").unwrap();
        let error = listen(&dir.path().join("mail"), None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(dir.path().join("mail")).unwrap(), b"kept");
    }
}
