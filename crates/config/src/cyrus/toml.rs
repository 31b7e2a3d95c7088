//! cyrus.toml: the same entries as TOML tables, `[services.imap]` with `cmd`, `listen` and so on; where several lines have one name,
//! `[[events.prune]]` each.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::{Item, Raw, Section};
use crate::toml_text::{comments, line_of, plain};
use crate::{Problem, Problems};

pub(super) fn read(file: &Arc<Path>, text: &str, problems: &mut Problems) -> Vec<Item> {
    let line = |offset: usize| line_of(text, offset);
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(0, |span| line(span.start));
            problems.0.push(Problem::new(file, line, "", format!("not TOML: {}", error.message())));
            return Vec::new();
        }
    };
    let mut items: Vec<(usize, Item)> =
        comments(text, table.get_ref()).into_iter().map(|(at, text)| (at, Item::Comment(text))).collect();
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
            let tables: Vec<(usize, &DeValue<'_>)> = match settings.get_ref() {
                DeValue::Array(all) => all.iter().map(|one| (one.span().start, one.get_ref())).collect(),
                one => vec![(at, one)],
            };
            for (at, settings) in tables {
                let DeValue::Table(settings) = settings else {
                    wrong(at, name, "an entry is a table of settings: cmd, listen, …".into());
                    continue;
                };
                let mut args = Vec::new();
                for (key, value) in settings {
                    match plain(value.get_ref()) {
                        Ok(value) => {
                            args.push((key.span().start, (key.get_ref().to_ascii_lowercase(), value)));
                        }
                        Err(message) => {
                            wrong(key.span().start, name, format!("{}: {message}", key.get_ref()));
                        }
                    }
                }
                args.sort_by_key(|(at, _)| *at);
                let args = args.into_iter().map(|(_, arg)| arg).collect();
                items.push((at, Item::Entry(Raw { section, name: name.to_string(), args, line: line(at) })));
            }
        }
    }
    items.sort_by_key(|(at, _)| *at);
    items.into_iter().map(|(_, item)| item).collect()
}
