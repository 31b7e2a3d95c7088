//! imapd.toml: the same settings as TOML.
//!
//! Keys are those of imapd.conf. Values may be strings as there, or of TOML's own types: booleans, numbers, and arrays
//! for lists. A table's keys are joined with its name by `_` (`[lmtp] admins = ["proxy"]` is `lmtp_admins`), those of
//! `[partition]`, `[metapartition]` and `[archivepartition]` by `-`. `include = "file"` reads another file in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lines::{Setting, beside, canonical, is_key_char};
use crate::{Problem, Problems};

/// Whether a file is TOML, by its name.
pub fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

pub(super) fn read(path: &Path, problems: &mut Problems) -> Vec<Setting> {
    let mut reader = Reader { problems, seen: Vec::new(), settings: Vec::new() };
    reader.file(path);
    reader.settings
}

pub(super) fn read_text(path: &Path, text: &str, problems: &mut Problems) -> Vec<Setting> {
    let mut reader = Reader { problems, seen: vec![canonical(path)], settings: Vec::new() };
    reader.text(path, text);
    reader.settings
}

struct Reader<'a> {
    problems: &'a mut Problems,
    seen: Vec<PathBuf>,
    settings: Vec<Setting>,
}

/// One file under way.
struct Text<'a> {
    file: Arc<Path>,
    text: &'a str,
}

impl Text<'_> {
    fn line(&self, offset: usize) -> u32 {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        before.iter().fold(1u32, |line, byte| line.saturating_add(u32::from(*byte == b'\n')))
    }
}

impl Reader<'_> {
    fn file(&mut self, path: &Path) {
        let file: Arc<Path> = Arc::from(path);
        let real = canonical(path);
        if self.seen.contains(&real) {
            return self.problems.0.push(Problem::new(&file, 0, "include", "the file was read already"));
        }
        self.seen.push(real);
        match fs::read_to_string(path) {
            Ok(text) => self.text(path, &text),
            Err(error) => self.problems.0.push(Problem::new(&file, 0, "", format!("cannot read: {error}"))),
        }
    }

    fn text(&mut self, path: &Path, text: &str) {
        let at = Text { file: Arc::from(path), text };
        match DeTable::parse(text) {
            Err(error) => {
                let line = error.span().map_or(0, |span| at.line(span.start));
                self.problems.0.push(Problem::new(
                    &at.file,
                    line,
                    "",
                    format!("not TOML: {}", error.message()),
                ));
            }
            Ok(table) => self.table(&at, "", table.get_ref()),
        }
    }

    fn table(&mut self, at: &Text<'_>, prefix: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = at.line(key.span().start);
            let name = format!("{prefix}{}", key.get_ref()).to_ascii_lowercase();
            if name == "include" {
                self.include(at, line, value);
                continue;
            }
            if let Some(bad) = name.chars().find(|c| !is_key_char(*c)) {
                let message = format!("'{bad}' cannot stand in a key (letters, digits, - and _ can)");
                self.problems.0.push(Problem::new(&at.file, line, name, message));
                continue;
            }
            if let DeValue::Table(inner) = value.get_ref() {
                let joint = if name.ends_with("partition") { '-' } else { '_' };
                self.table(at, &format!("{name}{joint}"), inner);
                continue;
            }
            match plain(value.get_ref()) {
                Ok(value) if value.is_empty() => {
                    let message = "no value (leave the line out for the default)";
                    self.problems.0.push(Problem::new(&at.file, line, name, message));
                }
                Ok(value) => self.settings.push(Setting { key: name, value, file: at.file.clone(), line }),
                Err(message) => self.problems.0.push(Problem::new(&at.file, line, name, message)),
            }
        }
    }

    fn include(&mut self, at: &Text<'_>, line: u32, value: &Spanned<DeValue<'_>>) {
        let paths: Option<Vec<&str>> = match value.get_ref() {
            DeValue::String(path) => Some(vec![path.as_ref()]),
            DeValue::Array(all) => all.iter().map(|path| path.get_ref().as_str()).collect(),
            _ => None,
        };
        let Some(paths) = paths else {
            let message = "the name of a file, or an array of them, is wanted";
            return self.problems.0.push(Problem::new(&at.file, line, "include", message));
        };
        for path in paths {
            self.file(&beside(&at.file, path));
        }
    }
}

/// A value as imapd.conf would have it.
fn plain(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) if text.contains(['\n', '\0']) => Err("a value is one line of text".into()),
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(true) => Ok("yes".into()),
        DeValue::Boolean(false) => Ok("no".into()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err("the number is too large".into()),
        },
        DeValue::Array(all) => {
            let words: Result<Vec<String>, String> = all.iter().map(|word| plain(word.get_ref())).collect();
            let words = words?;
            match words.iter().find(|word| word.is_empty() || word.contains(char::is_whitespace)) {
                Some(word) => {
                    Err(format!("'{word}' cannot stand in a list: a word without blanks is wanted"))
                }
                None => Ok(words.join(" ")),
            }
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            Err("text, a number, true, false or an array of words is wanted".into())
        }
    }
}
