//! cyrus.conf as cyrus.toml and back: the same entries and comments, in the same order.

use std::path::Path;
use std::sync::Arc;

use super::{Item, Raw, Section, lines, toml};
use crate::toml_text::{is_plain_number, quote};
use crate::{Problem, Problems};

/// Writes the text of a cyrus.conf as TOML.
///
/// # Errors
/// Wrong lines.
pub fn to_toml(path: &Path, text: &str) -> Result<String, Problems> {
    let file: Arc<Path> = Arc::from(path);
    let mut problems = Problems::default();
    let items = lines::read(&file, text, &mut problems);
    let mut out = String::new();
    for item in &items {
        let raw = match item {
            Item::Comment(text) => {
                out.push_str(&format!("{text}\n"));
                continue;
            }
            Item::Entry(raw) => raw,
        };
        let namesakes = items.iter().filter(|item| match item {
            Item::Entry(other) => other.section == raw.section && other.name == raw.name,
            Item::Comment(_) => false,
        });
        let header = format!("{}.{}", raw.section.word().to_ascii_lowercase(), raw.name);
        // Lines of one name, which START and EVENTS may have, are an array of tables.
        match namesakes.count() {
            1 => out.push_str(&format!("[{header}]\n")),
            _ => out.push_str(&format!("[[{header}]]\n")),
        }
        for (i, (key, value)) in raw.args.iter().enumerate() {
            // The first of several counts.
            if !raw.args.iter().take(i).any(|(other, _)| other == key) {
                let value = if is_plain_number(value) { value.clone() } else { quote(value) };
                out.push_str(&format!("{key} = {value}\n"));
            }
        }
    }
    problems.or(out)
}

/// Writes the text of a cyrus.toml as a cyrus.conf.
///
/// # Errors
/// What is no TOML or no entry, and values that cyrus.conf cannot express.
pub fn to_conf(path: &Path, text: &str) -> Result<String, Problems> {
    let file: Arc<Path> = Arc::from(path);
    let mut problems = Problems::default();
    let items = toml::read(&file, text, &mut problems);
    let mut out = String::new();
    let mut open: Option<Section> = None;
    let mut pending = String::new();
    for item in &items {
        let raw = match item {
            Item::Comment(text) => {
                pending.push_str(&format!("{text}\n"));
                continue;
            }
            Item::Entry(raw) => raw,
        };
        if open != Some(raw.section) {
            if open.is_some() {
                out.push_str("}\n");
            }
            out.push_str(&std::mem::take(&mut pending));
            out.push_str(&format!("{} {{\n", raw.section.word()));
            open = Some(raw.section);
        }
        out.push_str(&std::mem::take(&mut pending));
        out.push_str(&entry(raw, &file, &mut problems));
    }
    if open.is_some() {
        out.push_str("}\n");
    }
    out.push_str(&pending);
    problems.or(out)
}

fn entry(raw: &Raw, file: &Arc<Path>, problems: &mut Problems) -> String {
    let mut out = format!("  {}", raw.name);
    for (key, value) in &raw.args {
        let quotes = value.is_empty() || value.contains(char::is_whitespace) || value.starts_with('"');
        if value.contains('#') || quotes && value.contains('"') {
            let message = format!("{key}: cyrus.conf has no way to write # or these quotes");
            problems.0.push(Problem::new(file, raw.line, &raw.name, message));
        }
        match quotes || (key == "cmd" || key == "listen") && !value.contains('"') {
            true => out.push_str(&format!(" {key}=\"{value}\"")),
            false => out.push_str(&format!(" {key}={value}")),
        }
    }
    out.push('\n');
    out
}
