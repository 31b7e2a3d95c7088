//! imapd.toml: the same settings as TOML.
//!
//! Keys are those of imapd.conf. Values may be strings as there, or of TOML's own types: booleans, numbers, and arrays
//! for lists. A table's keys are joined with its name by `_` (`[lmtp] admins = ["proxy"]` is `lmtp_admins`), those of
//! `[partition]`, `[metapartition]` and `[archivepartition]` by `-`. `[hosts.be1] password = "x"` is `be1_password`.
//! `include = "file"` reads another file in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lines::{Item, Setting, beside, canonical, is_key_char};
use crate::toml_text::{comments, line_of, plain};
use crate::{Problem, Problems};

/// Whether a file is TOML, by its name.
pub fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Takes one file's text apart, as [`super::lines::items`] does for the other form. Includes are not followed.
pub fn items(file: &Arc<Path>, text: &str) -> (Vec<Item>, Problems) {
    let mut flat = Flat { file, text, items: Vec::new(), problems: Problems::default() };
    match DeTable::parse(text) {
        Err(error) => {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            flat.problems.0.push(Problem::new(file, line, "", format!("not TOML: {}", error.message())));
        }
        Ok(table) => {
            let comments = comments(text, table.get_ref());
            flat.items.extend(comments.into_iter().map(|(at, text)| (at, Item::Comment(text))));
            flat.table("", table.get_ref());
        }
    }
    flat.items.sort_by_key(|(at, _)| *at);
    (flat.items.into_iter().map(|(_, item)| item).collect(), flat.problems)
}

/// Reads a file and all that it includes.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Vec<Setting> {
    let mut reader = Reader { problems, seen: Vec::new(), settings: Vec::new() };
    reader.file(path, None);
    reader.settings
}

pub(super) fn read_text(path: &Path, text: &str, problems: &mut Problems) -> Vec<Setting> {
    let mut reader = Reader { problems, seen: vec![canonical(path)], settings: Vec::new() };
    reader.text(&Arc::from(path), text);
    reader.settings
}

struct Reader<'a> {
    problems: &'a mut Problems,
    seen: Vec<PathBuf>,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, included: Option<(&Arc<Path>, u32)>) {
        let (at, line, key) = match included {
            Some((file, line)) => (file.clone(), line, "include"),
            None => (Arc::from(path), 0, ""),
        };
        let real = canonical(path);
        if self.seen.contains(&real) {
            let message = format!("{} was read already", path.display());
            return self.problems.0.push(Problem::new(&at, line, key, message));
        }
        self.seen.push(real);
        match crate::read_text(path) {
            Ok(text) => self.text(&Arc::from(path), &text),
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                self.problems.0.push(Problem::new(&at, line, key, message));
            }
        }
    }

    fn text(&mut self, file: &Arc<Path>, text: &str) {
        let (items, mut problems) = items(file, text);
        self.problems.0.append(&mut problems.0);
        for item in items {
            match item {
                Item::Setting(setting) => self.settings.push(setting),
                Item::Include { path, line } => self.file(&beside(file, &path), Some((file, line))),
                Item::Comment(_) | Item::Wrong => {}
            }
        }
    }
}

/// One file's tables on the way to being a list.
struct Flat<'a> {
    file: &'a Arc<Path>,
    text: &'a str,
    /// With their offsets in the text.
    items: Vec<(usize, Item)>,
    problems: Problems,
}

impl Flat<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let at = key.span().start;
            let name = format!("{prefix}{}", key.get_ref()).to_ascii_lowercase();
            if name == "include" {
                self.include(at, value);
            } else if let Some(bad) = name.chars().find(|c| !is_key_char(*c)) {
                self.wrong(
                    at,
                    &name,
                    format!("'{bad}' cannot stand in a key (letters, digits, - and _ can)"),
                );
            } else if let DeValue::Table(inner) = value.get_ref() {
                if name == HOSTS {
                    self.hosts(inner);
                    continue;
                }
                let joint = if name.ends_with("partition") { '-' } else { '_' };
                self.table(&format!("{name}{joint}"), inner);
            } else {
                self.value(at, &name, value.get_ref());
            }
        }
    }

    /// A table for each host, and by its side keys that only look as if they were here.
    fn hosts(&mut self, hosts: &DeTable<'_>) {
        for (host, value) in hosts {
            let name = host.get_ref().to_ascii_lowercase();
            match value.get_ref() {
                DeValue::Table(keys) => self.table(&format!("{name}_"), keys),
                value => self.value(host.span().start, &format!("{HOSTS}_{name}"), value),
            }
        }
    }

    fn value(&mut self, at: usize, key: &str, value: &DeValue<'_>) {
        // The one option that may repeat: an array holds its lines.
        if let (true, DeValue::Array(lines)) = (key.ends_with("autocreate_acl"), value) {
            return lines.iter().for_each(|line| self.value(at, key, line.get_ref()));
        }
        match plain(value) {
            Ok(value) if value.is_empty() => {
                self.wrong(at, key, "no value (leave the line out for the default)".into());
            }
            Ok(value) => {
                if let Err(message) = crate::encoding::check(&value) {
                    return self.wrong(at, key, message);
                }
                let line = line_of(self.text, at);
                let setting = Setting { key: key.to_owned(), value, file: self.file.clone(), line };
                self.items.push((at, Item::Setting(setting)));
            }
            Err(message) => self.wrong(at, key, message),
        }
    }

    fn include(&mut self, at: usize, value: &Spanned<DeValue<'_>>) {
        let paths: Option<Vec<&str>> = match value.get_ref() {
            DeValue::String(path) => Some(vec![path.as_ref()]),
            DeValue::Array(all) => all.iter().map(|path| path.get_ref().as_str()).collect(),
            _ => None,
        };
        let Some(paths) = paths else {
            return self.wrong(at, "include", "the name of a file, or an array of them, is wanted".into());
        };
        let line = line_of(self.text, at);
        self.items.extend(paths.iter().map(|path| (at, Item::Include { path: (*path).to_owned(), line })));
    }

    fn wrong(&mut self, at: usize, key: &str, message: String) {
        self.problems.0.push(Problem::new(self.file, line_of(self.text, at), key, message));
    }
}

/// The table of what is said of single servers.
pub(super) const HOSTS: &str = "hosts";
