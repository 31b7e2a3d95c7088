//! Becoming somebody else, for one step or for good.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Gid, Uid, geteuid, getgroups};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::walk::{Owner, Way, way};

/// Does `work` with the path as the user whose place that is ([`way`]): this thread alone, and root again afterwards. By
/// anybody but root it is just done.
pub fn as_owner<T>(path: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if !geteuid().is_root() {
        return work(path);
    }
    acting_on(way(path)?, work)
}

/// As [`as_owner`], where the name itself is made, replaced or removed: what has it now does not count, only who may change
/// its directory.
pub fn in_directory<T>(path: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(name), true) = (path.file_name(), geteuid().is_root()) else { return work(path) };
    let directory = std::path::absolute(path)?.parent().unwrap_or(Path::new("/")).to_owned();
    let mut way = way(&directory)?;
    way.path.push(name);
    acting_on(way, work)
}

fn acting_on<T>(way: Way, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let Some(owner) = way.owner else { return work(&way.path) };
    let acting = Acting::begin(&owner).map_err(|error| cannot_become(&owner, error))?;
    let done = work(&way.path);
    acting.end()?;
    done.map_err(|error| explained(error, &owner))
}

/// Becomes the owner of the directory for good, with all his groups, where the process is root's and the directory is not. A
/// directory that is not there changes nothing.
///
/// To be called while the process has one thread: others would stay root.
pub fn become_owner(directory: &Path) -> io::Result<()> {
    if !geteuid().is_root() || !directory.exists() {
        return Ok(());
    }
    let way = way(directory)?;
    let Some(first) = way.owner else { return Ok(()) };
    // Someone in between could have put the directory of a third one there.
    let meta = fs::metadata(directory)?;
    let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&meta), std::os::unix::fs::MetadataExt::gid(&meta));
    if uid != first.uid {
        let message = format!(
            "{} is in a place of {} ({}), and belongs to another user: work as that user",
            directory.display(),
            name(first.uid),
            first.place.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    let groups: Vec<Gid> = groups(uid, gid).into_iter().map(Gid::from_raw).collect();
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let become_it = || {
        set_thread_groups(&groups)?;
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)
    };
    become_it().map_err(|error| cannot_become(&Owner { uid, gid, ..first }, error))
}

/// The other user, as long as it lives. Real and saved ids stay root's, so that there is a way back.
struct Acting {
    groups: Vec<Gid>,
    group: Gid,
    over: bool,
}

impl Acting {
    fn begin(owner: &Owner) -> rustix::io::Result<Acting> {
        let acting = Acting { groups: getgroups()?, group: rustix::process::getegid(), over: false };
        let (user, group) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        set_thread_groups(&[group])?;
        // What fails half way is undone by the drop.
        set_thread_res_gid(acting.group, group, acting.group)?;
        set_thread_res_uid(Uid::ROOT, user, Uid::ROOT)?;
        Ok(acting)
    }

    fn end(mut self) -> io::Result<()> {
        self.back().map_err(io::Error::from)
    }

    fn back(&mut self) -> rustix::io::Result<()> {
        self.over = true;
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
        set_thread_res_gid(self.group, self.group, self.group)?;
        set_thread_groups(&self.groups)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.back();
        }
    }
}

fn cannot_become(owner: &Owner, error: rustix::io::Errno) -> io::Error {
    let error = io::Error::from(error);
    let message = format!("cannot become {}, who owns {}: {error}", name(owner.uid), owner.place.display());
    io::Error::new(error.kind(), message)
}

fn explained(error: io::Error, owner: &Owner) -> io::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let (who, place) = (name(owner.uid), owner.place.display());
            io::Error::new(
                error.kind(),
                format!("{error} (root works as {who} below {place}, which is {who}'s)"),
            )
        }
        _ => error,
    }
}

/// A user's name, or his number where /etc/passwd has none.
fn name(uid: u32) -> String {
    entry(uid).map_or_else(|| format!("user {uid}"), |(name, _)| name)
}

/// Name and primary group of a user.
fn entry(uid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let found = fields.get(2)?.parse::<u32>().ok()? == uid;
        found.then_some(((*fields.first()?).to_owned(), fields.get(3)?.parse().ok()?))
    })
}

/// The directory's group, the user's own, and those that list him.
fn groups(uid: u32, gid: u32) -> Vec<u32> {
    let mut groups = vec![gid];
    let Some((name, own)) = entry(uid) else { return groups };
    groups.push(own);
    for line in fs::read_to_string("/etc/group").unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, number, members] = fields.as_slice() else { continue };
        if members.split(',').any(|member| member == name) {
            groups.extend(number.parse::<u32>());
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}
