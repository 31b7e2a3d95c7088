//! Partitions: `partition-NAME: directory`, the spools of a store.

use std::path::{Path, PathBuf};

use super::lines::Setting;
use super::names::Names;
use super::registry::Settings;
use crate::{Problem, Problems};

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Lower-case letters and digits.
    pub name: String,
    /// Absolute.
    pub path: PathBuf,
}

/// Longest name of a partition, in octets.
pub const MAX_NAME: usize = 63;

/// Finds and checks all partitions, in the file's order.
pub(super) fn read(
    names: &Names,
    settings: &Settings,
    problems: &mut Problems,
    warnings: &mut Vec<Problem>,
) -> Vec<Partition> {
    let mut found: Vec<(&Setting, Partition)> = Vec::new();
    for setting in names.overflow_settings() {
        let Some(name) = setting.key.strip_prefix("partition-") else { continue };
        let path = PathBuf::from(&setting.value);
        match check(name, &path, &found) {
            Ok(doubt) => {
                warnings
                    .extend(doubt.map(|said| Problem::new(&setting.file, setting.line, &setting.key, said)));
                found.push((setting, Partition { name: name.to_owned(), path }));
            }
            Err(message) => problems.0.push(Problem::new(&setting.file, setting.line, &setting.key, message)),
        }
    }
    let found: Vec<Partition> = found.into_iter().map(|(_, partition)| partition).collect();
    if let Some(default) = &settings.defaultpartition {
        let known = found.iter().any(|partition| partition.name == default.to_ascii_lowercase());
        if let (false, false, Some(at)) = (known, found.is_empty(), names.option("", "defaultpartition")) {
            let message = format!("there is no partition-{default}");
            problems.0.push(Problem::new(&at.file, at.line, "defaultpartition", message));
        }
    }
    found
}

/// Whether `inner` lies where a store on the partition `outer` keeps messages: in `<two hexadecimal digits>/` or `stage./`. What
/// lies there is taken for a mailbox, and removed with it; everything else below a partition is nobody's.
pub fn is_among_messages(outer: &Path, inner: &Path) -> bool {
    let Some(first) = inner.strip_prefix(outer).ok().and_then(|rest| rest.components().next()) else {
        return false;
    };
    let first = first.as_os_str().as_encoded_bytes();
    first == b"stage." || first == b".." || (first.len() == 2 && first.iter().all(u8::is_ascii_hexdigit))
}

/// What is doubtful of a partition; or why it cannot be one.
fn check(name: &str, path: &Path, others: &[(&Setting, Partition)]) -> Result<Option<String>, String> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("a partition's name consists of letters and digits".into());
    }
    if name.len() > MAX_NAME {
        return Err(format!("a partition's name has at most {MAX_NAME} letters"));
    }
    if !path.is_absolute() {
        return Err(format!("'{}' is not an absolute path", path.display()));
    }
    let mut nested = None;
    for (setting, other) in others {
        if *path == other.path {
            return Err(format!("the same directory as {} in line {}", setting.key, setting.line));
        }
        if is_among_messages(path, &other.path) || is_among_messages(&other.path, path) {
            return Err(format!(
                "one of it and {} in line {} lies in the other's message directories: mail would be lost",
                setting.key, setting.line
            ));
        }
        if path.starts_with(&other.path) || other.path.starts_with(path) {
            nested = Some(format!(
                "nested with {} in line {}: it works, but whatever copies, measures or removes the one takes the other too. The way \
                 out: stop the node, move the inner directory beside the outer one (mv keeps everything), change this line",
                setting.key, setting.line
            ));
        }
    }
    Ok(nested)
}
