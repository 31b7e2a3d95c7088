//! `ctl_mboxlist -v`: the list against the mailboxes' directories on the partitions. It changes nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::imapd::Imapd;
use mailboxes::{Entry, Flags};
use protocol::name::MailboxName;
use store::Header;

use crate::lists::{Failure, Lists};
use crate::nodes;

/// A mailbox's directory, as its header tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    name: String,
    uniqueid: String,
    partition: String,
    directory: PathBuf,
}

/// Prints a line for each disagreement.
///
/// # Errors
/// The list cannot be read.
pub async fn run(imapd: &Imapd, other: Option<&Path>) -> Result<(), Failure> {
    let mut lists = Lists::reach(imapd, nodes::program(imapd), other).await?;
    let entries = lists.all().await?;
    lists.close().await?;
    let mut found = Vec::new();
    for partition in imapd.partitions() {
        let mut own = Vec::new();
        walk(&partition.path, &partition.name, DEPTH, &mut own);
        // A partition may lie in another: what is in it is its own.
        let inner = |at: &Path| {
            imapd.partitions().iter().any(|other| {
                other.name != partition.name
                    && other.path.starts_with(&partition.path)
                    && at.starts_with(&other.path)
            })
        };
        found.extend(own.into_iter().filter(|mailbox| !inner(&mailbox.directory)));
    }
    compare(&entries, &found).iter().for_each(|line| service::say!("{line}"));
    Ok(())
}

fn compare(entries: &[(MailboxName, Entry)], found: &[Found]) -> Vec<String> {
    let mut by_place: HashMap<(&str, &str), Vec<&Found>> = HashMap::new();
    for mailbox in found {
        by_place.entry((&mailbox.uniqueid, &mailbox.partition)).or_default().push(mailbox);
    }
    let mut lines = Vec::new();
    for (name, entry) in entries {
        let Some(local) = entry.local.as_deref() else { continue };
        if !entry.is_active() || local.flags.has(Flags::DELETED) || local.flags.has(Flags::INTERMEDIATE) {
            continue;
        }
        let partition = entry.location.partition().unwrap_or_default();
        let here = by_place.remove(&(local.uniqueid.as_str(), partition)).unwrap_or_default();
        if here.is_empty() {
            lines.push(format!("'{name}' has a DB entry but no directory on partition '{partition}'"));
        }
        for extra in here.iter().skip(1) {
            lines.push(format!(
                "'{}' has an additional match to DB entry '{name}'",
                extra.directory.display()
            ));
        }
    }
    let mut astray: Vec<&Found> = by_place.into_values().flatten().collect();
    astray.sort_by(|a, b| (&a.name, &a.directory).cmp(&(&b.name, &b.directory)));
    for mailbox in astray {
        lines.push(format!(
            "'{}' has a directory '{}' but no DB entry",
            mailbox.name,
            mailbox.directory.display()
        ));
    }
    lines
}

/// Finds the mailboxes below a directory. One that cannot be read is told, and the rest go on.
fn walk(directory: &Path, partition: &str, depth: usize, found: &mut Vec<Found>) {
    if directory.join("header").is_file() {
        return match Header::read(directory) {
            Ok(header) => found.push(Found {
                name: header.name.clone(),
                uniqueid: header.uniqueid.clone(),
                partition: partition.to_owned(),
                directory: directory.to_owned(),
            }),
            Err(error) => service::complain!("{}: {error}", directory.display()),
        };
    }
    if depth == 0 {
        return;
    }
    match std::fs::read_dir(directory) {
        Ok(inner) => {
            let mut inner: Vec<PathBuf> = inner.filter_map(Result::ok).map(|entry| entry.path()).collect();
            inner.sort();
            inner
                .iter()
                .filter(|path| path.is_dir())
                .for_each(|path| walk(path, partition, depth - 1, found));
        }
        Err(error) => service::complain!("{}: {error}", directory.display()),
    }
}

/// Levels of directories between a partition and a mailbox, at most.
const DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use mailboxes::Local;
    use protocol::location::Location;

    #[test]
    fn disagreements_are_told_in_cyruss_words() {
        let entry = |id: &str| {
            let local = Local { uniqueid: id.into(), ..Local::default() };
            Entry::active(Location::parse("be1!default").unwrap(), "").with_local(local)
        };
        let found = |name: &str, id: &str, directory: &str| Found {
            name: name.into(),
            uniqueid: id.into(),
            partition: "default".into(),
            directory: directory.into(),
        };
        let remote = Entry::active(Location::parse("be2!default").unwrap(), "");
        let entries = [("a", entry("1")), ("b", entry("2")), ("c", entry("3")), ("r", remote)]
            .map(|(name, entry)| (MailboxName::parse(name).unwrap(), entry));
        let lines = compare(
            &entries,
            &[found("a", "1", "/x"), found("c", "3", "/y"), found("c", "3", "/z"), found("d", "4", "/w")],
        );
        assert_eq!(
            lines,
            [
                "'b' has a DB entry but no directory on partition 'default'",
                "'/z' has an additional match to DB entry 'c'",
                "'d' has a directory '/w' but no DB entry",
            ]
        );
    }
}
