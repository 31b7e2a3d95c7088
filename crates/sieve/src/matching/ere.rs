//! Regular expressions: `draft-ietf-sieve-regex` names the extended ones of POSIX (IEEE Std 1003.1, chapter 9), and scripts are written
//! for servers that have those of PCRE instead. What the two share is nearly what the crate `regex` reads; this makes the rest so.
//!
//! - Within brackets `\` takes the next character for itself, as in PCRE; where the brackets then have no end, it stands for
//!   itself, as in POSIX. `[`, `&`, `~` and `-` have no meaning there that POSIX does not give them.
//! - `{,3}` is `{0,3}`, and a brace that begins no repetition stands for itself.
//! - `.` and `[^a]` fit line ends too, as in POSIX.
//! - Of several matches that begin at the same place POSIX takes the longest, and `regex` the one that is written first, as PCRE.
//! - Back-references are no part of extended expressions, and are refused.

use std::fmt::Write;

use regex::{Regex, RegexBuilder};

use super::{Comparator, beginning};
use crate::limits;

/// A regular expression, ready to be tried.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    regex: Regex,
    /// Bytes that it takes at most: one of [`SIZES`].
    size: usize,
}

impl Expression {
    /// The expression, or what is wrong with it in one line.
    pub(super) fn new(key: &str, comparator: Comparator) -> Result<Expression, String> {
        let pattern = translate(key, Backslash::Escapes)
            .or_else(|problem| translate(key, Backslash::Itself).map_err(|_| problem))?;
        let mut builder = RegexBuilder::new(&pattern);
        builder
            .case_insensitive(comparator != Comparator::Octet)
            .dot_matches_new_line(true)
            .dfa_size_limit(DFA)
            .nest_limit(MAX_NESTING);
        // The library says only whether an expression fits.
        let mut too_big = String::new();
        for size in SIZES {
            match builder.size_limit(size).build() {
                Ok(regex) => return Ok(Expression { regex, size }),
                Err(regex::Error::CompiledTooBig(limit)) => {
                    too_big = format!("its size exceeds {limit} bytes")
                }
                Err(error) => return Err(one_line(&error)),
            }
        }
        Err(too_big)
    }

    /// The first match, and its groups; empty texts where nobody wants them.
    pub(super) fn captures(&self, text: &str, wanted: bool) -> Option<Vec<String>> {
        let text = beginning(text, self.input());
        if !wanted {
            return self.regex.is_match(text).then(Vec::new);
        }
        let found = self.regex.captures(text)?;
        let texts = found.iter().take(limits::CAPTURES);
        Some(texts.map(|group| group.map_or(String::new(), |group| group.as_str().to_owned())).collect())
    }

    /// Bytes that it takes at most.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes of work for a text of so many. Each byte may be compared with each part of the expression.
    pub(super) fn work(&self, text: usize) -> usize {
        text.min(self.input()).saturating_mul(4 + self.size / 4096)
    }

    /// Bytes of a text that it is tried on.
    fn input(&self) -> usize {
        if self.size > 128 * 1024 { limits::REGEX_INPUT / 8 } else { limits::REGEX_INPUT }
    }
}

const SIZES: [usize; 5] = [4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024, limits::REGEX];
/// Bytes of what is remembered between two matches to find the next one faster.
const DFA: usize = 256 * 1024;
const MAX_NESTING: u32 = 100;

/// What a backslash within brackets is.
#[derive(Clone, Copy, PartialEq)]
enum Backslash {
    Escapes,
    Itself,
}

fn translate(key: &str, backslash: Backslash) -> Result<String, String> {
    let mut out = String::with_capacity(key.len());
    let mut rest = key;
    while let Some(char) = rest.chars().next() {
        let tail = &rest[char.len_utf8()..];
        rest = match char {
            '[' => bracket(tail, backslash, &mut out)?,
            '\\' => escape(tail, &mut out)?,
            '{' => brace(tail, &mut out),
            '}' => {
                out.push_str("\\}");
                tail
            }
            _ => {
                out.push(char);
                tail
            }
        };
    }
    Ok(out)
}

/// What follows a backslash outside of brackets.
fn escape<'k>(rest: &'k str, out: &mut String) -> Result<&'k str, String> {
    let Some(char) = rest.chars().next() else { return Err("it ends with a backslash".to_owned()) };
    match char {
        '1'..='9' => return Err("backreferences are not supported".to_owned()),
        '`' => out.push_str("\\A"),
        '\'' => out.push_str("\\z"),
        '<' | '>' => out.extend(['\\', char]),
        _ if char.is_ascii_alphabetic() && KNOWN.contains(char) => out.extend(['\\', char]),
        _ => literal(char, out),
    }
    Ok(&rest[char.len_utf8()..])
}

/// Letters that mean the same behind a backslash in PCRE and in `regex`.
const KNOWN: &str = "wWsSdDbBAztnrfvax";

fn literal(char: char, out: &mut String) {
    match char {
        // With a backslash these are the beginning and the end of a word.
        '<' | '>' => out.push(char),
        _ if char.is_ascii_punctuation() => out.extend(['\\', char]),
        _ => out.push(char),
    }
}

/// A repetition, or a brace that is one.
fn brace<'k>(rest: &'k str, out: &mut String) -> &'k str {
    let is_bound = |text: &str| text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((inside, after)) = rest.split_once('}') {
        let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
        if is_bound(least) && is_bound(most) && inside.len() > 1 || !least.is_empty() && is_bound(inside) {
            let least = if least.is_empty() { "0" } else { least };
            let comma = if inside.contains(',') { "," } else { "" };
            let most = if comma.is_empty() { "" } else { most };
            let _ = write!(out, "{{{least}{comma}{most}}}");
            return after;
        }
    }
    out.push_str("\\{");
    rest
}

/// A bracket expression whose `[` has been read.
fn bracket<'k>(rest: &'k str, backslash: Backslash, out: &mut String) -> Result<&'k str, String> {
    out.push('[');
    let (not, mut rest) = rest.strip_prefix('^').map_or(("", rest), |rest| ("^", rest));
    out.push_str(not);
    let mut first = true;
    loop {
        let char = rest.chars().next().ok_or("unclosed brackets")?;
        let tail = &rest[char.len_utf8()..];
        rest = match (char, tail.chars().next()) {
            (']', _) if !first => {
                out.push(']');
                return Ok(tail);
            }
            ('[', Some(kind @ (':' | '.' | '='))) => named(tail, kind, out)?,
            ('\\', Some(next)) if backslash == Backslash::Escapes => {
                match KNOWN.contains(next) && next.is_ascii_alphabetic() && !"bBAz".contains(next) {
                    true => out.extend(['\\', next]),
                    false => literal(next, out),
                }
                &tail[next.len_utf8()..]
            }
            // A range: neither first nor last.
            ('-', Some(next)) if !first && next != ']' => {
                out.push('-');
                tail
            }
            _ => {
                literal(char, out);
                tail
            }
        };
        first = false;
    }
}

/// `[:alpha:]`, `[.a.]` and `[=a=]`, the `[` having been read.
fn named<'k>(rest: &'k str, kind: char, out: &mut String) -> Result<&'k str, String> {
    let end = format!("{kind}]");
    let inside = rest.get(1..).unwrap_or_default();
    let from = if kind == ':' { 0 } else { inside.chars().next().map_or(0, char::len_utf8) };
    let at = inside.get(from..).and_then(|rest| rest.find(&end)).ok_or("unclosed brackets")? + from;
    let (name, after) = (&inside[..at], &inside[at + end.len()..]);
    let mut chars = name.chars();
    match (kind, chars.next(), chars.next()) {
        (':', _, _) if CLASSES.contains(&name) => {
            let _ = write!(out, "[:{name}:]");
        }
        (':', _, _) => return Err(format!("unknown class [:{name}:]")),
        (_, Some(char), None) => literal(char, out),
        _ => return Err(format!("unknown element [{kind}{name}{kind}]")),
    }
    Ok(after)
}

const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
    "xdigit",
];

/// The last line says what is wrong; those before show where.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
