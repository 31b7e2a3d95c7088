//! imapd.conf as imapd.toml and back: the same settings and comments, in the same order.
//!
//! Values get TOML's own types where these say the same: switches, numbers, lists. Included files are converted by
//! themselves; the names of TOML files end in `.toml`, so an include's name changes with them.

use std::path::Path;
use std::sync::Arc;

use super::kind::{Kind, Value};
use super::lines::{self, Item, Setting};
use super::names::{Meaning, meaning};
use super::toml;
use crate::toml_text::{is_plain_number, quote};
use crate::{Problem, Problems};

/// Writes the text of an imapd.conf as TOML.
///
/// # Errors
/// Lines that are no settings, and keys that are set twice.
pub fn to_toml(path: &Path, text: &str) -> Result<String, Problems> {
    let file: Arc<Path> = Arc::from(path);
    let (items, mut problems) = lines::items(&file, text);
    let mut out = String::new();
    let mut seen: Vec<&str> = Vec::new();
    let includes: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Include { path, .. } => Some(quote(&renamed(path, "conf", "toml"))),
            _ => None,
        })
        .collect();
    for item in &items {
        match item {
            Item::Comment(text) => out.push_str(text),
            Item::Wrong => continue,
            Item::Include { .. } if seen.contains(&"include") => continue,
            Item::Include { .. } => {
                seen.push("include");
                match includes.as_slice() {
                    [one] => out.push_str(&format!("include = {one}")),
                    all => out.push_str(&format!("include = [{}]", all.join(", "))),
                }
            }
            Item::Setting(setting) if seen.contains(&setting.key.as_str()) => {
                if !setting.key.ends_with("autocreate_acl") {
                    let message = "specified twice: TOML has no way to say that";
                    problems.0.push(Problem::new(&file, setting.line, &setting.key, message));
                }
                continue;
            }
            Item::Setting(setting) => {
                seen.push(&setting.key);
                let all = items.iter().filter_map(|item| match item {
                    Item::Setting(other) if other.key == setting.key => Some(other),
                    _ => None,
                });
                out.push_str(&format!("{} = {}", setting.key, toml_value(setting, all)));
            }
        }
        out.push('\n');
    }
    problems.or(out)
}

/// Writes the text of an imapd.toml as an imapd.conf.
///
/// # Errors
/// What is no TOML or no setting, and values that imapd.conf cannot express.
pub fn to_conf(path: &Path, text: &str) -> Result<String, Problems> {
    let file: Arc<Path> = Arc::from(path);
    let (items, mut problems) = toml::items(&file, text);
    let mut out = String::new();
    for item in &items {
        match item {
            // A comment that ends in a backslash would swallow the next line.
            Item::Comment(text) if text.ends_with('\\') => out.push_str(&format!("{text} ")),
            Item::Comment(text) => out.push_str(text),
            Item::Include { path, .. } => {
                out.push_str(&format!("@include: {}", renamed(path, "toml", "conf")))
            }
            Item::Setting(Setting { key, value, line, .. }) => {
                if value.trim() != value || value.ends_with('\\') {
                    let message =
                        "imapd.conf has no way to write blanks at an end, or a backslash at the end";
                    problems.0.push(Problem::new(&file, *line, key, message));
                }
                out.push_str(&format!("{key}: {value}"));
            }
            Item::Wrong => continue,
        }
        out.push('\n');
    }
    problems.or(out)
}

fn toml_value<'a>(setting: &Setting, all: impl Iterator<Item = &'a Setting>) -> String {
    let text = setting.value.as_str();
    let Meaning::Option(option) = meaning(&setting.key) else { return quote(text) };
    if option.name == "autocreate_acl" {
        let lines: Vec<String> = all.map(|setting| quote(&setting.value)).collect();
        return match lines.as_slice() {
            [one] => one.clone(),
            lines => format!("[{}]", lines.join(", ")),
        };
    }
    match (option.kind, option.kind.read(text)) {
        (Kind::Switch, Ok((Value::Switch(on), _))) => on.to_string(),
        (Kind::List | Kind::Words(_), Ok((Value::List(words), _))) => {
            let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
            format!("[{}]", words.join(", "))
        }
        (Kind::Int { .. }, Ok(_)) => match (text.strip_prefix("0x"), text.strip_prefix('0')) {
            _ if is_plain_number(text) => text.to_owned(),
            (Some(digits), _) => format!("0x{digits}"),
            (None, Some(digits)) => format!("0o{digits}"),
            _ => quote(text),
        },
        (Kind::Bytes { .. } | Kind::Duration { .. }, Ok(_)) if is_plain_number(text) => text.to_owned(),
        _ => quote(text),
    }
}

/// The included file's name in the other form.
fn renamed(path: &str, from: &str, to: &str) -> String {
    match path.strip_suffix(from).and_then(|stem| stem.strip_suffix('.')) {
        Some(stem) => format!("{stem}.{to}"),
        None => path.to_owned(),
    }
}
