//! Who master is: started as root it becomes the configured user, keeping the right to bind privileged ports at a reload.

use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use config::imapd::Imapd;

use crate::os::{self, User};

/// Why master cannot be who it should be.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    #[error("no user '{name}' on this system: create it, or set cyrus_user in imapd.conf")]
    NoUser { name: String },
    #[error("no group '{name}' on this system: create it, or correct cyrus_group in imapd.conf")]
    NoGroup { name: String },
    #[error("cannot become user '{name}': {cause}")]
    Refused { name: String, cause: rustix::io::Errno },
}

/// The user to become, when master runs as root and that user is not root; none: stay.
///
/// Not started as root, master runs as whoever started it, whatever `cyrus_user` says: a difference from Cyrus, which
/// refuses, so that an ordinary user can run a node of his own.
pub fn target_user(imapd: &Imapd) -> Result<Option<User>, PrivilegeError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let name = set("CYRUS_USER").or_else(|| imapd.cyrus_user.clone()).unwrap_or_else(|| "cyrus".to_owned());
    let mut user = os::user_by_name(&name).ok_or(PrivilegeError::NoUser { name })?;
    if let Some(name) = set("CYRUS_GROUP").or_else(|| imapd.cyrus_group.clone()) {
        let gid = os::group_by_name(&name).ok_or(PrivilegeError::NoGroup { name })?;
        user.gid = gid;
        if !user.groups.contains(&gid) {
            user.groups.push(gid);
        }
    }
    Ok(if user.uid == 0 { None } else { Some(user) })
}

/// Becomes `user` for good, with CAP_NET_BIND_SERVICE and nothing else. To be called while single-threaded.
pub fn drop_to(user: &User) -> Result<(), PrivilegeError> {
    become_user(user).map_err(|cause| PrivilegeError::Refused { name: user.name.clone(), cause })
}

fn become_user(user: &User) -> rustix::io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let kept = CapabilitySet::NET_BIND_SERVICE;
    // A container may not have it to give; then a reload cannot open privileged ports, and says so when it tries.
    if rustix::thread::set_capabilities(None, sets(kept)).is_err() {
        rustix::thread::set_capabilities(None, sets(CapabilitySet::empty()))?;
    }
    rustix::thread::set_keep_capabilities(false)
}

fn sets(kept: CapabilitySet) -> CapabilitySets {
    CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() }
}
