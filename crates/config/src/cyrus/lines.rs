//! The grammar of cyrus.conf.
//!
//! ```text
//! SECTION {
//!     name  key=value key="value with blanks"    # a comment, also inside quotes
//! }
//! ```

use std::path::Path;
use std::sync::Arc;

use super::{Item, Raw, Section};
use crate::{Problem, Problems};

/// Longest line, in bytes, as in Cyrus.
const MAX_LINE: usize = 4095;
/// Most `key=value`s of an entry, as in Cyrus.
const MAX_ARGS: usize = 64;

/// Where the reader is.
enum State {
    Outside,
    In(Section, String, u32),
    /// In a section that nobody knows: it is skipped, braces counted.
    Skipping(usize, String, u32),
}

pub(super) fn read(file: &Arc<Path>, text: &str, problems: &mut Problems) -> Vec<Item> {
    let mut state = State::Outside;
    let mut items = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        let mut wrong =
            |key: &str, message: String| problems.0.push(Problem::new(file, number, key, message));
        if line.len() > MAX_LINE {
            wrong("", format!("the line is longer than {MAX_LINE} bytes"));
            continue;
        }
        let (line, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
        let line = line.trim();
        if line.is_empty() || !comment.is_empty() {
            items.push(Item::Comment(comment.trim_end().to_owned()));
        }
        if line.is_empty() {
            continue;
        }
        state = match state {
            State::Outside => match section(line) {
                Ok(name) => match Section::from_word(name) {
                    Some(section) => State::In(section, name.to_owned(), number),
                    None => State::Skipping(1, name.to_owned(), number),
                },
                Err(message) => {
                    wrong("", message);
                    State::Outside
                }
            },
            State::In(..) if line.starts_with('}') => State::Outside,
            State::In(section, name, opened) => {
                match crate::encoding::check(line).map_err(|m| (String::new(), m)).and_then(|()| entry(line))
                {
                    Ok((name, args)) => items.push(Item::Entry(Raw { section, name, args, line: number })),
                    Err((name, message)) => wrong(&name, message),
                }
                State::In(section, name, opened)
            }
            State::Skipping(depth, name, opened) => {
                items.push(Item::Comment(format!("# {name}: {line}")));
                let depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
                if depth == 0 { State::Outside } else { State::Skipping(depth, name, opened) }
            }
        };
    }
    if let State::In(_, name, opened) | State::Skipping(_, name, opened) = state {
        problems.0.push(Problem::new(file, opened, name, "the section is not closed by a line with }"));
    }
    items
}

/// The name in `NAME {`.
fn section(line: &str) -> Result<&str, String> {
    let outside = || format!("'{line}' stands outside any section (SECTION {{ … }})");
    let end = line.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return Err(outside());
    }
    match rest.trim() {
        "{" => Ok(name),
        "" => Err(format!("'{{' is wanted after {name}, on the same line")),
        rest if rest.starts_with('{') => Err(format!("nothing may follow '{name} {{' on its line")),
        _ => Err(outside()),
    }
}

type Entry = (String, Vec<(String, String)>);

/// Takes an entry apart. An error carries the entry's name as far as known.
fn entry(line: &str) -> Result<Entry, (String, String)> {
    let (name, mut rest) = word(line).map_err(|message| (String::new(), message))?;
    if !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        return Err((name.to_owned(), bad_character(rest, "an entry's name")));
    }
    let fail = |message: String| (name.to_owned(), message);
    let mut args = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok((name.to_owned(), args));
        }
        if args.len() == MAX_ARGS {
            return Err(fail(format!("more than {MAX_ARGS} settings")));
        }
        let (key, after) = word(rest).map_err(fail)?;
        let Some(value) = after.strip_prefix('=') else {
            return Err(fail(match after.trim_start().starts_with('=') {
                true => format!("blank between {key} and ="),
                false if after.is_empty() || after.starts_with(char::is_whitespace) => {
                    format!("'{key}' has no value (key=value is wanted)")
                }
                false => bad_character(after, "a key"),
            }));
        };
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| {
                fail(format!(
                    "{key}: the quote is not closed on its line (a # begins a comment even inside quotes)"
                ))
            })?,
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        args.push((key.to_ascii_lowercase(), value.to_owned()));
        rest = after;
    }
}

/// A word of letters and digits, and what follows it.
fn word(text: &str) -> Result<(&str, &str), String> {
    let (word, rest) = text.split_at(text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len()));
    if word.is_empty() { Err(bad_character(rest, "a name")) } else { Ok((word, rest)) }
}

fn bad_character(text: &str, what: &str) -> String {
    let c = text.chars().next().unwrap_or(' ');
    format!("bad character '{c}' in {what} (letters and digits only)")
}
