//! The user that a node's daemons run as, and what that one may do with files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use config::imapd::Imapd;

/// The user that the daemons run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    pub name: String,
    pub uid: u32,
    pub groups: Vec<u32>,
    /// The name of the first of them.
    pub group: String,
}

impl Runner {
    /// `cyrus_user` with all its groups, `cyrus_group` before others. Started by anybody but root, master becomes nobody else.
    pub fn of(imapd: &Imapd) -> Option<Runner> {
        let own = rustix::process::getuid();
        let name = std::env::var("CYRUS_USER").ok().or_else(|| imapd.cyrus_user.clone());
        let name = name.unwrap_or_else(|| "cyrus".to_owned());
        let passwd = fs::read_to_string("/etc/passwd").ok()?;
        let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut users =
            fields.filter_map(|f| Some((*f.first()?, f.get(2)?.parse().ok()?, f.get(3)?.parse().ok()?)));
        let wanted = |(found, uid, _): &(&str, u32, u32)| match own.is_root() {
            true => *found == name,
            false => *uid == own.as_raw(),
        };
        let (name, uid, gid) = users.find(wanted)?;
        let mut groups = vec![gid];
        let text = fs::read_to_string("/etc/group").unwrap_or_default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let [group, _, gid, members] = fields.as_slice() else { continue };
            let Ok(gid) = gid.parse() else { continue };
            if imapd.cyrus_group.as_deref() == Some(group) {
                groups.insert(0, gid);
            } else if members.split(',').any(|member| member == name) {
                groups.push(gid);
            }
        }
        let first = groups.first().copied().unwrap_or(gid);
        let named = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut named = named.filter(|fields| fields.get(2).is_some_and(|gid| *gid == first.to_string()));
        let group = named.find_map(|fields| fields.first().map(|name| (*name).to_owned()));
        Some(Runner { name: name.to_owned(), uid, groups, group: group.unwrap_or_else(|| first.to_string()) })
    }

    /// `user:group`, as the command that changes owners takes it.
    pub fn owner(&self) -> String {
        format!("{}:{}", self.name, self.group)
    }

    /// Whether the permissions let the user do it: 4 to read, 2 to write, 1 to search. The way there counts too.
    pub fn may(&self, path: &Path, wanted: u32) -> Result<(), String> {
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let mut steps: Vec<(&Path, u32)> = path.ancestors().skip(1).map(|step| (step, 1)).collect();
        steps.reverse();
        steps.push((&path, wanted));
        for (step, wanted) in steps {
            let meta = fs::metadata(step).map_err(|error| format!("{}: {error}", step.display()))?;
            let shift = match (meta.uid() == self.uid, self.groups.contains(&meta.gid())) {
                (true, _) => 6,
                (false, true) => 3,
                (false, false) => 0,
            };
            if self.uid != 0 && meta.mode() >> shift & wanted != wanted {
                let mode = meta.mode() & 0o7777;
                return Err(format!("{} is closed to {} (mode {mode:o})", step.display(), self.name));
            }
        }
        Ok(())
    }

    /// The user's own group.
    pub fn gid(&self) -> Option<u32> {
        self.groups.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn permissions_count_for_owner_group_and_others_and_on_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "").unwrap();
        let meta = fs::metadata(&file).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let owner = Runner { name: "o".into(), uid: meta.uid().max(1), groups: vec![], group: "g".into() };
        let stranger = Runner { name: "s".into(), uid: 61_234, groups: vec![61_234], group: "g".into() };
        let member = Runner { name: "m".into(), uid: 61_234, groups: vec![meta.gid()], group: "g".into() };
        mode(dir.path(), 0o755);
        mode(&file, 0o640);
        assert!(member.may(&file, 4).is_ok() && member.may(&file, 2).is_err());
        assert!(stranger.may(&file, 4).unwrap_err().contains("closed to s (mode 640)"));
        mode(dir.path(), 0o700);
        assert!(member.may(&file, 4).unwrap_err().contains("mode 700"));
        if meta.uid() != 0 {
            assert!(owner.may(&file, 6).is_ok());
        }
        assert!(stranger.may(&dir.path().join("none"), 4).unwrap_err().contains("No such file"));
    }

    #[test]
    fn the_users_own_group_is_named_whatever_it_is_called() {
        let conf = "configdirectory: /v\ncyrus_user: root\n";
        let imapd = Imapd::parse(Path::new("imapd.conf"), conf, "murder").unwrap();
        if rustix::process::getuid().is_root() && std::env::var_os("CYRUS_USER").is_none() {
            assert_eq!(Runner::of(&imapd).unwrap().owner(), "root:root");
            let conf = format!("{conf}cyrus_group: mail\n");
            let imapd = Imapd::parse(Path::new("imapd.conf"), &conf, "murder").unwrap();
            assert_eq!(Runner::of(&imapd).unwrap().owner(), "root:mail");
        }
    }
}
