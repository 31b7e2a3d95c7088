//! imapd.conf as imapd.toml and back: the same settings and comments, in the same order.
//!
//! Values get TOML's own types where these say the same, so that the way back gives the same text: `yes` is `true`, but `on` stays
//! a string. Keys of partitions, TLS, SASL and hosts become dotted keys, which is TOML's way to write tables line by line. Included
//! files are converted by themselves; the names of TOML files end in `.toml`, so an include's name changes with them.

use std::path::Path;
use std::sync::Arc;

use super::kind::Kind;
use super::lines::{self, Item, Setting};
use super::names::{HOST_KEYS, Meaning, meaning};
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
    let tables = Tables::without(&items);
    let mut out = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for item in &items {
        match item {
            Item::Comment(text) => out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c })),
            Item::Wrong => continue,
            Item::Include { .. } if seen.contains(&INCLUDE) => continue,
            Item::Include { .. } => {
                seen.push(INCLUDE);
                out.push_str(&includes(&items));
            }
            Item::Setting(setting) if setting.key == INCLUDE => {
                let message = "TOML has no way to say that: there it reads another file in";
                problems.0.push(Problem::new(&file, setting.line, &setting.key, message));
                continue;
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
                out.push_str(&format!("{} = {}", tables.nested(&setting.key), toml_value(setting, all)));
            }
        }
        out.push('\n');
    }
    problems.or(out)
}

/// All included files, as one line: a key can stand only once.
fn includes(items: &[Item]) -> String {
    let paths: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Include { path, .. } => Some(quote(&renamed(path, "conf", "toml"))),
            _ => None,
        })
        .collect();
    match paths.as_slice() {
        [one] => format!("{INCLUDE} = {one}"),
        all => format!("{INCLUDE} = [{}]", all.join(", ")),
    }
}

/// The tables that keys are put into, as dotted keys, so that the order of the lines can stay.
struct Tables<'a> {
    /// Keys that stand for themselves, so that no table can have their name.
    taken: Vec<&'a str>,
}

impl<'a> Tables<'a> {
    fn without(items: &'a [Item]) -> Tables<'a> {
        let key = |item: &'a Item| match item {
            Item::Setting(setting) => Some(setting.key.as_str()),
            _ => None,
        };
        Tables { taken: items.iter().filter_map(key).collect() }
    }

    /// `tls.server_cert` for `tls_server_cert`, and so on.
    fn nested(&self, key: &str) -> String {
        let free = |table: &str| !self.taken.contains(&table);
        for (prefix, table) in PREFIXES {
            if let Some(rest) = key.strip_prefix(prefix).filter(|rest| !rest.is_empty() && free(table)) {
                return format!("{table}.{rest}");
            }
        }
        if matches!(meaning(key), Meaning::Overflow) && free(toml::HOSTS) {
            for what in HOST_KEYS {
                let host = key.strip_suffix(what).and_then(|rest| rest.strip_suffix('_'));
                if let Some(host) = host.filter(|host| !host.is_empty()) {
                    return format!("{}.{host}.{what}", toml::HOSTS);
                }
            }
        }
        key.to_owned()
    }
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
    match option.kind {
        Kind::Switch if text == "yes" => "true".to_owned(),
        Kind::Switch if text == "no" => "false".to_owned(),
        Kind::List | Kind::Items | Kind::Words(_) => {
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            if words.join(" ") != text {
                return quote(text);
            }
            let words: Vec<String> = words.into_iter().map(quote).collect();
            format!("[{}]", words.join(", "))
        }
        Kind::Int { .. } | Kind::Bytes { .. } | Kind::Duration { .. } if is_plain_number(text) => {
            text.to_owned()
        }
        Kind::Int { .. } => based_number(text).unwrap_or_else(|| quote(text)),
        _ => quote(text),
    }
}

/// An octal or hexadecimal number that comes back as it was.
fn based_number(text: &str) -> Option<String> {
    if let Some(digits) = text.strip_prefix("0x") {
        let number = i64::from_str_radix(digits, 16).ok()?;
        return (format!("{number:#x}") == text).then(|| text.to_owned());
    }
    let digits = text.strip_prefix('0')?;
    let number = i64::from_str_radix(digits, 8).ok()?;
    (format!("0{number:o}") == text).then(|| format!("0o{digits}"))
}

/// The included file's name in the other form.
fn renamed(path: &str, from: &str, to: &str) -> String {
    match path.strip_suffix(from).and_then(|stem| stem.strip_suffix('.')) {
        Some(stem) => format!("{stem}.{to}"),
        None => path.to_owned(),
    }
}

const INCLUDE: &str = "include";
const PREFIXES: &[(&str, &str)] = &[
    ("partition-", "partition"),
    ("metapartition-", "metapartition"),
    ("archivepartition-", "archivepartition"),
    ("tls_", "tls"),
    ("sasl_", "sasl"),
];
