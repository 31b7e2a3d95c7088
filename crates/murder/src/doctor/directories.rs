//! Directories and their owner, and the space that is left in them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config::imapd::Imapd;

use super::report::place;
use super::{Node, Report};
use crate::runner::Runner;

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
        report.error("directories", file.to_string(), why, format!("chown {} {file}", runner.owner()));
    }
}

fn directory(imapd: &Imapd, runner: &Runner, option: &str, path: &Path, report: &mut Report) {
    let shown = path.display();
    let place = place(imapd, option);
    if !path.is_dir() {
        let message = if path.exists() { "is no directory" } else { "does not exist" };
        let make = format!("install -d -o {} -g {} -m 750 {shown}\n{place}", runner.name, runner.group);
        return report.error("directories", shown.to_string(), message, make);
    }
    if let Err(why) = runner.may(path, 7) {
        report.error(
            "directories",
            shown.to_string(),
            why,
            format!("chown {} {shown}\n{place}", runner.owner()),
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
