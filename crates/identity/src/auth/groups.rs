//! Membership in the system's groups, for `group:x` in ACLs and lists of users.
//!
//! The files `/etc/group` and `/etc/passwd` are read, and kept until one of them changes. **Deviation:** Cyrus asks
//! the C library, which may also ask a directory; here such groups must be in the files.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use protocol::acl::UNKNOWN_GROUPS;

use super::Settings;

/// The groups of `user`, sorted, as far as the settings let them be known. Blocks for a look at the files.
pub(super) fn groups_of(settings: &Settings, user: &str) -> Vec<String> {
    if settings.unknown_groups {
        return vec![UNKNOWN_GROUPS.to_owned()];
    }
    if !settings.unix_groups {
        return Vec::new();
    }
    current().by_user.get(user).cloned().unwrap_or_default()
}

#[derive(Default)]
struct Groups {
    stamp: [Option<SystemTime>; 2],
    by_user: HashMap<String, Vec<String>>,
}

static CURRENT: Mutex<Option<Arc<Groups>>> = Mutex::new(None);

fn current() -> Arc<Groups> {
    let stamp =
        [GROUP_FILE, PASSWD_FILE].map(|file| fs::metadata(file).and_then(|meta| meta.modified()).ok());
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(groups) = current.as_ref()
        && groups.stamp == stamp
    {
        return groups.clone();
    }
    let read = |file: &str| fs::read_to_string(Path::new(file)).unwrap_or_default();
    let groups = Arc::new(Groups { stamp, by_user: by_user(&read(GROUP_FILE), &read(PASSWD_FILE)) });
    *current = Some(groups.clone());
    groups
}

/// group(5): `name:password:gid:member,member`; passwd(5): `name:password:uid:gid:…`
fn by_user(group: &str, passwd: &str) -> HashMap<String, Vec<String>> {
    let mut by_user: HashMap<String, Vec<String>> = HashMap::new();
    let mut by_gid: HashMap<&str, &str> = HashMap::new();
    for line in group.lines() {
        let mut fields = line.split(':');
        let (Some(name), _, Some(gid)) = (fields.next(), fields.next(), fields.next()) else { continue };
        by_gid.insert(gid, name);
        for member in fields.next().unwrap_or_default().split(',').filter(|member| !member.is_empty()) {
            by_user.entry(member.to_owned()).or_default().push(name.to_owned());
        }
    }
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let (Some(user), Some(gid)) = (fields.next(), fields.nth(2)) else { continue };
        if let Some(group) = by_gid.get(gid) {
            by_user.entry(user.to_owned()).or_default().push((*group).to_owned());
        }
    }
    for groups in by_user.values_mut() {
        groups.sort();
        groups.dedup();
    }
    by_user
}

const GROUP_FILE: &str = "/etc/group";
const PASSWD_FILE: &str = "/etc/passwd";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_primary_groups_count() {
        let groups = by_user("staff:x:50:fred,jim\nusers:x:100:\nbroken\n", "fred:x:1:100:F:/:/bin/sh\nx\n");
        assert_eq!(groups["fred"], ["staff", "users"]);
        assert_eq!(groups["jim"], ["staff"]);
    }

    #[test]
    fn a_name_with_a_domain_is_a_name_like_any_other() {
        let groups = by_user("staff@example.org:x:50:fred@example.org\nstaff:x:51:fred\n", "");
        assert_eq!(groups["fred@example.org"], ["staff@example.org"]);
        assert_eq!(groups["fred"], ["staff"]);
    }
}
