//! Whose place a path is.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::limits::LINKS;

/// A user, by a directory, link or file of his.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// What is his: the first on the way.
    pub place: PathBuf,
}

/// The way to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The path, with root's links followed.
    pub path: PathBuf,
    /// None: only root can change where it leads.
    pub owner: Option<Owner>,
}

/// Looks at each directory, link and file from `/` to the path; those that are not there yet are not looked at.
///
/// # Errors
/// A directory of root's in which anybody may replace what is there.
pub fn way(path: &Path) -> io::Result<Way> {
    let path = std::path::absolute(path)?;
    let mut rest: VecDeque<OsString> = names(&path).collect();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    let mut group_writes = None;
    while let Some(name) = rest.pop_front() {
        let here =
            if name == ".." { at.parent().unwrap_or(Path::new("/")).to_owned() } else { at.join(&name) };
        let meta = match fs::symlink_metadata(&here) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                at = here;
                at.extend(rest.drain(..));
                break;
            }
            Err(error) => return Err(error),
        };
        if meta.uid() != 0 {
            let owner = Owner { uid: meta.uid(), gid: meta.gid(), place: here.clone() };
            let path = rest.iter().fold(here, |path, name| path.join(name));
            return Ok(Way { path, owner: Some(owner) });
        }
        if meta.is_symlink() && !is_kernels(&here) {
            links += 1;
            if links > LINKS {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many links on the way"));
            }
            let target = fs::read_link(&here)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            names(&target).collect::<Vec<_>>().into_iter().rev().for_each(|name| rest.push_front(name));
            continue;
        }
        at = here;
        if meta.is_dir() && meta.mode() & STICKY == 0 {
            if meta.mode() & OTHERS_WRITE != 0 {
                return Err(unsafe_place(&at, "anybody"));
            }
            if meta.mode() & GROUP_WRITES != 0 && meta.gid() != 0 {
                group_writes.get_or_insert_with(|| at.clone());
            }
        }
    }
    match group_writes {
        // Where the rest is another user's, it is that user's business with the group.
        Some(place) => Err(unsafe_place(&place, "its group")),
        None => Ok(Way { path: at, owner: None }),
    }
}

/// Links there lead to what a process has open, whatever they read; and all of it is the kernel's.
pub(crate) fn is_kernels(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev")
}

fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn unsafe_place(place: &Path, who: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("root does not write below {}: {who} may replace what is there", place.display()),
    )
}

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
