//! Directories and their owner, and the space that is left in them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config::imapd::Imapd;

use super::report::place;
use super::{Node, Report};

/// The user that the daemons run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runner {
    pub name: String,
    pub uid: u32,
    pub groups: Vec<u32>,
}

impl Runner {
    /// `cyrus_user` with all its groups. Started by anybody but root, master becomes nobody else.
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
            if let [_, _, gid, members] = fields.as_slice()
                && members.split(',').any(|member| member == name)
            {
                groups.extend(gid.parse::<u32>());
            }
        }
        Some(Runner { name: name.to_owned(), uid, groups })
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
}

pub(super) fn check(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    let Some(runner) = Runner::of(imapd) else {
        let name = imapd.cyrus_user.as_deref().unwrap_or("cyrus");
        let message = format!("there is no user {name} for the daemons to run as");
        return report.error("directories", name, message, place(imapd, "cyrus_user"));
    };
    let mut directories = vec![("configdirectory".to_owned(), PathBuf::from(&imapd.configdirectory))];
    for partition in imapd.partitions() {
        directories.push((format!("partition-{}", partition.name), partition.path.clone()));
    }
    directories.push(("temp_path".to_owned(), PathBuf::from(&imapd.temp_path)));
    for (option, path) in directories {
        directory(imapd, &runner, &option, &path, report);
    }
    let passwords = imapd.password_db();
    if let Ok(meta) = fs::metadata(passwords)
        && meta.mode() & 0o077 != 0
    {
        let file = passwords.display();
        let mode = meta.mode() & 0o777;
        report.warn(
            "directories",
            file.to_string(),
            format!("can be read by others (mode {mode:o})"),
            format!("chmod 600 {file}"),
        );
    }
    if passwords.exists()
        && let Err(why) = runner.may(passwords, 4)
    {
        let file = passwords.display();
        report.error("directories", file.to_string(), why, format!("chown {} {file}", runner.name));
    }
}

fn directory(imapd: &Imapd, runner: &Runner, option: &str, path: &Path, report: &mut Report) {
    let shown = path.display();
    let place = place(imapd, option);
    if !path.is_dir() {
        let message = if path.exists() { "is no directory" } else { "does not exist" };
        let make = format!("install -d -o {} -m 750 {shown}\n{place}", runner.name);
        return report.error("directories", shown.to_string(), message, make);
    }
    if let Err(why) = runner.may(path, 7) {
        report.error(
            "directories",
            shown.to_string(),
            why,
            format!("chown {} {shown}\n{place}", runner.name),
        );
        return;
    }
    match space(path) {
        Some((free, total, inodes)) if total > 0 => {
            let percent = free.saturating_mul(100) / total;
            let told = format!("{} MiB ({percent}%) are free", free >> 20);
            match percent {
                0 => report.error(
                    "space",
                    shown.to_string(),
                    told,
                    "deliveries are refused when nothing is left",
                ),
                1..5 => report.warn("space", shown.to_string(), told, "make room, or move users"),
                _ => report.pass(format!("{option} {shown}: {told}")),
            }
            if inodes.is_some_and(|percent| percent < 5) {
                report.warn(
                    "space",
                    shown.to_string(),
                    "fewer than 5% of the inodes are free",
                    "a message takes one each",
                );
            }
        }
        _ => report.pass(format!("{option} {shown}")),
    }
}

/// Bytes free for users and in all; percent of inodes free, where the filesystem has a number of them.
fn space(path: impl AsRef<OsStr>) -> Option<(u64, u64, Option<u64>)> {
    let stat = rustix::fs::statvfs(Path::new(path.as_ref())).ok()?;
    let inodes = (stat.f_files > 0).then(|| stat.f_favail.saturating_mul(100) / stat.f_files);
    Some((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize), inodes))
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
        let owner = Runner { name: "o".into(), uid: meta.uid().max(1), groups: vec![] };
        let stranger = Runner { name: "s".into(), uid: 61_234, groups: vec![61_234] };
        let member = Runner { name: "m".into(), uid: 61_234, groups: vec![meta.gid()] };
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
}
