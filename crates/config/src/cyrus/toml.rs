//! cyrus.toml: the same entries as TOML tables, `[services.imap]` with `cmd`, `listen` and so on.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::{Raw, Section};
use crate::{Problem, Problems};

pub(super) fn read(file: &Arc<Path>, text: &str, problems: &mut Problems) -> Vec<Raw> {
    let line = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        before.iter().fold(1u32, |line, byte| line.saturating_add(u32::from(*byte == b'\n')))
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(0, |span| line(span.start));
            problems.0.push(Problem::new(file, line, "", format!("not TOML: {}", error.message())));
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    let mut wrong = |at: usize, key: &str, message: String| {
        problems.0.push(Problem::new(file, line(at), key, message));
    };
    for (section, inner) in table.get_ref() {
        let at = section.span().start;
        let name = section.get_ref();
        let Some(section) = Section::from_word(name) else {
            wrong(at, name, "there is no such section (start, services, events, daemon)".into());
            continue;
        };
        let DeValue::Table(inner) = inner.get_ref() else {
            wrong(at, name, "a section holds tables: [services.imap]".into());
            continue;
        };
        for (entry, settings) in inner {
            let at = entry.span().start;
            let name = entry.get_ref();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
                wrong(at, name, "an entry's name consists of letters and digits".into());
                continue;
            }
            let DeValue::Table(settings) = settings.get_ref() else {
                wrong(at, name, "an entry is a table of settings: cmd, listen, …".into());
                continue;
            };
            let mut args = Vec::new();
            for (key, value) in settings {
                match plain(value.get_ref()) {
                    Some(value) => args.push((key.get_ref().to_string(), value)),
                    None => wrong(
                        key.span().start,
                        name,
                        format!("{}: text, number or switch is wanted", key.get_ref()),
                    ),
                }
            }
            entries.push((at, Raw { section, name: name.to_string(), args, line: line(at) }));
        }
    }
    entries.sort_by_key(|(at, _)| *at);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) if !text.contains(['\n', '\0']) => Some(text.to_string()),
        DeValue::Boolean(true) => Some("yes".into()),
        DeValue::Boolean(false) => Some("no".into()),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| n.to_string()),
        _ => None,
    }
}
