//! Strings of a script: encoded characters (RFC 5228 section 2.4.2.4), then variables (RFC 5229 section 3).

use std::borrow::Cow;

use super::Checker;
use super::variables::is_identifier;
use crate::extension::Extension;
use crate::limits;
use crate::program::slot::Slot;
use crate::program::text::{Piece, Text};

impl Checker<'_> {
    /// A string with what the script has required. None: it has a mistake, which was reported.
    pub fn text(&mut self, line: u32, raw: &str) -> Option<Text> {
        let text = match self.required.contains(Extension::EncodedCharacter) {
            true => match decode(raw) {
                Ok(text) => text,
                Err(code) => {
                    self.problem(line, format!("no such character: {code}"));
                    return None;
                }
            },
            false => Cow::Borrowed(raw),
        };
        if !self.required.contains(Extension::Variables) || !text.contains("${") {
            return Some(Text::fixed(text.as_ref()));
        }
        self.used.insert(Extension::Variables);
        self.pieces(line, &text)
    }

    fn pieces(&mut self, line: u32, text: &str) -> Option<Text> {
        let (mut pieces, mut fixed, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            fixed.push_str(before);
            match braced(reference).filter(|(name, _)| is_reference(name)) {
                Some((name, behind)) => {
                    let slot = self.reference(line, name)?;
                    if !fixed.is_empty() {
                        pieces.push(Piece::Fixed(std::mem::take(&mut fixed).into()));
                    }
                    pieces.push(Piece::Variable(slot));
                    rest = behind;
                }
                None => {
                    fixed.push('$');
                    rest = &reference[1..];
                }
            }
        }
        fixed.push_str(rest);
        if pieces.is_empty() {
            return Some(Text::fixed(fixed));
        }
        if !fixed.is_empty() {
            pieces.push(Piece::Fixed(fixed.into()));
        }
        Some(Text::Parts(pieces.into()))
    }

    /// What stands between `${` and `}`.
    fn reference(&mut self, line: u32, name: &str) -> Option<Slot> {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(Slot::Match(name.parse().unwrap_or(usize::MAX)));
        }
        self.variable(line, name)
    }

    /// A variable by its name, made if it is not there. None: it cannot be, which was reported.
    pub fn variable(&mut self, line: u32, name: &str) -> Option<Slot> {
        let name = name.to_ascii_lowercase();
        if let Some((space, name)) = name.split_once('.') {
            if space == "global" && is_identifier(name) && self.has(Extension::Include) {
                let slot = self.variables.global(name);
                return slot.or_else(|| self.too_many(line));
            }
            self.problem(line, format!("{space}.{name}: there are no such variables"));
            return None;
        }
        if !is_identifier(&name) {
            self.problem(line, format!("{name:?} is no name of a variable"));
            return None;
        }
        match self.variables.find(&name) {
            Some(slot) => Some(slot),
            None if !self.variables.has_room() => self.too_many(line),
            None => Some(self.variables.local(name)),
        }
    }

    /// `global`: from here on the name means the variable that all scripts of a run share.
    pub fn declare_global(&mut self, line: u32, name: &str) {
        let name = name.to_ascii_lowercase();
        if !is_identifier(&name) {
            return self.problem(line, format!("{name:?} is no name of a variable"));
        }
        match self.variables.find(&name) {
            Some(Slot::Global(_)) => {}
            Some(_) => self.problem(line, format!("{name} is used before global")),
            None => match self.variables.global(&name).filter(|_| self.variables.has_room()) {
                Some(slot) => self.variables.declare(name, slot),
                None => {
                    self.too_many(line);
                }
            },
        }
    }

    fn too_many(&mut self, line: u32) -> Option<Slot> {
        self.problem(line, format!("more than {} variables", limits::VARIABLES));
        None
    }
}

/// What stands in the braces that a text begins with, behind its `$`, and what follows them. Another `$` ends the look, so that a text is
/// looked at once.
fn braced(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("${")?;
    let end = inner.find(['}', '$', '{'])?;
    let (inner, behind) = inner.split_at(end);
    Some((inner, behind.strip_prefix('}')?))
}

/// `variable-name = num-variable / *namespace identifier`; other things in braces are text.
fn is_reference(name: &str) -> bool {
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.split('.');
    let Some(last) = parts.next_back() else { return false };
    match parts.next() {
        None => is_number(last) || is_identifier(last),
        Some(first) => {
            is_identifier(first)
                && parts.all(|part| is_number(part) || is_identifier(part))
                && is_identifier(last)
        }
    }
}

/// Replaces `${hex: 24 24}` and `${unicode: 40}`. An error: a code that is no character. What is written otherwise stays.
fn decode(raw: &str) -> Result<Cow<'_, str>, String> {
    if !raw.contains("${") {
        return Ok(Cow::Borrowed(raw));
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(raw.len()), raw);
    while let Some(at) = rest.find("${") {
        let (before, encoded) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        match braced(encoded).and_then(|(inner, behind)| codes(inner).map(|codes| (codes, behind))) {
            Some((codes, behind)) => {
                bytes.extend(codes?);
                rest = behind;
            }
            None => {
                bytes.push(b'$');
                rest = &encoded[1..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// The bytes that are meant; none: these are no codes.
fn codes(inner: &str) -> Option<Result<Vec<u8>, String>> {
    let (kind, codes) = inner.split_once(':')?;
    let unicode = kind.eq_ignore_ascii_case("unicode");
    if !unicode && !kind.eq_ignore_ascii_case("hex") {
        return None;
    }
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let codes: Vec<&str> = codes.split(is_blank).filter(|code| !code.is_empty()).collect();
    let is_code =
        |code: &&str| code.bytes().all(|byte| byte.is_ascii_hexdigit()) && (unicode || code.len() <= 2);
    if codes.is_empty() || !codes.iter().all(is_code) {
        return None;
    }
    let mut bytes = Vec::new();
    for code in codes {
        let number = u32::from_str_radix(code.trim_start_matches('0'), 16);
        let number = if code.trim_start_matches('0').is_empty() { Ok(0) } else { number };
        let Some(character) = number.ok().and_then(char::from_u32) else { return Some(Err(code.to_owned())) };
        match unicode {
            true => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            false => bytes.push(character as u8),
        }
    }
    Some(Ok(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_characters_stand_for_what_they_name() {
        for (raw, text) in [
            ("$${hex:40}", "$@"),
            ("${hex: 40 }", "@"),
            ("${HEX: 40}", "@"),
            ("${hex:40", "${hex:40"),
            ("${hex:400}", "${hex:400}"),
            ("${hex:4${hex:30}}", "${hex:40}"),
            ("${unicode:40}", "@"),
            ("${ unicode:40}", "${ unicode:40}"),
            ("${UNICODE:40}", "@"),
            ("${UnICoDE:0000040}", "@"),
            ("${Unicode:40}", "@"),
            ("${Unicode:Cool}", "${Unicode:Cool}"),
            ("${unicode:200000}", "!"),
            ("${Unicode:D800}", "!"),
            ("${hex:c3}${hex:a9}${unicode: e9 e9}", "ééé"),
            ("${hex:}${unicode:}${hex}", "${hex:}${unicode:}${hex}"),
        ] {
            assert_eq!(decode(raw).unwrap_or("!".into()), text, "{raw}");
        }
    }

    #[test]
    fn what_may_stand_in_a_reference() {
        for name in ["a", "_", "a1", "1", "10", "a.b", "a.1.b"] {
            assert!(is_reference(name), "{name}");
        }
        for name in ["", "1a", "a-b", "a.", ".a", "a.1", "1.a", "a b", "ä"] {
            assert!(!is_reference(name), "{name}");
        }
    }
}
