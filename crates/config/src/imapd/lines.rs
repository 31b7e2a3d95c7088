//! The grammar of imapd.conf: lines of `key: value`, joined at backslashes, with other files read in by `@include`.
//!
//! A value is the rest of its line without the blanks round it: there is no quoting, and no comment after a value.
//! `#` begins a comment only as a line's first non-blank. A line that ends in a backslash (a comment's too) goes on
//! in the next one, whose leading blanks stay.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Problem, Problems};

/// One setting as it was written, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Lower-case.
    pub key: String,
    pub value: String,
    pub file: Arc<Path>,
    pub line: u32,
}

/// What a file consists of, in its order: all that is needed to write it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A comment (with its `#`) or an empty line, as written but for the blanks round it.
    Comment(String),
    Setting(Setting),
    /// `@include: path`.
    Include {
        path: String,
        line: u32,
    },
    /// A line that is none of these; it is among the problems.
    Wrong,
}

/// Cuts one file's text into its items. Includes are not followed.
pub fn items(file: &Arc<Path>, text: &str) -> (Vec<Item>, Problems) {
    let mut problems = Problems::default();
    let items = logical_lines(text)
        .into_iter()
        .map(|(line, text)| {
            item(file, line, &text).unwrap_or_else(|problem| {
                problems.0.push(problem);
                Item::Wrong
            })
        })
        .collect();
    (items, problems)
}

/// Reads a file and all that it includes.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Vec<Setting> {
    let mut reader = Reader { problems, seen: Vec::new(), settings: Vec::new() };
    reader.file(path, None);
    reader.settings
}

/// Reads other text than a file's, for tests and checks; includes are followed.
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
            Some((file, line)) => (file.clone(), line, "@include"),
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
            Err(error) if included.is_some() => {
                let message = format!("cannot read {}: {error}", path.display());
                self.problems.0.push(Problem::new(&at, line, key, message));
            }
            Err(error) => self.problems.0.push(Problem::new(&at, line, key, format!("cannot read: {error}"))),
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

/// A relative include is looked for beside the file that includes it (Cyrus: in the working directory, which for a
/// daemon is nowhere in particular).
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

pub(super) fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Lines joined at backslashes, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut out: Vec<(u32, String)> = Vec::new();
    let mut open = false;
    for (number, line) in (1u32..).zip(text.lines()) {
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match out.last_mut() {
            Some((_, last)) if open => last.push_str(line),
            _ => out.push((number, line.to_owned())),
        }
        open = goes_on;
    }
    out
}

fn item(file: &Arc<Path>, line: u32, text: &str) -> Result<Item, Problem> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(Item::Comment(text.to_owned()));
    }
    let wrong = |key: &str, message: &str| Problem::new(file, line, key, message);
    crate::encoding::check(text).map_err(|message| wrong("", &message))?;
    let Some((key, value)) = text.split_once(':') else {
        return Err(wrong("", &format!("'{text}' is not of the form 'key: value'")));
    };
    let value = value.trim();
    if let Some(directive) = key.strip_prefix('@') {
        return match directive {
            "include" if value.is_empty() => Err(wrong(key, "no file is named")),
            "include" => Ok(Item::Include { path: value.to_owned(), line }),
            _ => Err(wrong(key, "there is no such directive (only @include)")),
        };
    }
    if key.trim_end() != key {
        return Err(wrong(key.trim_end(), "blank between the key and its colon"));
    }
    if let Some(bad) = key.chars().find(|c| !is_key_char(*c)) {
        return Err(wrong(key, &format!("'{bad}' cannot stand in a key (letters, digits, - and _ can)")));
    }
    if key.is_empty() {
        return Err(wrong("", "no key before the colon"));
    }
    let key = key.to_ascii_lowercase();
    if value.is_empty() {
        return Err(wrong(&key, "no value (leave the line out for the default)"));
    }
    if value.contains('\0') {
        return Err(wrong(&key, "a NUL character in the value"));
    }
    Ok(Item::Setting(Setting { key, value: value.to_owned(), file: file.clone(), line }))
}

pub(super) fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}
