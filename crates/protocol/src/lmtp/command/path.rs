//! Paths: `<fred@example.com>`, `<@relay:fred@example.com>`, `<>`. RFC 5321 section 4.1.2.

use std::fmt;

use nom::Parser;
use nom::combinator::map;
use nom::sequence::{delimited, preceded};

use super::CommandError;
use crate::grammar::{Cursor, Limits, ParseError, Parsed, byte, run};

/// A mailbox address between angle brackets, the source route left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// As received, quotes and all, without brackets and route: what is forwarded to the next hop.
    raw: Vec<u8>,
    /// Without quotes and backslashes.
    local: Vec<u8>,
    domain: Option<String>,
}

impl Path {
    /// Reads a path at the start of `text`; gives what follows it: nothing, or a blank and more.
    pub fn parse(text: &[u8]) -> Result<(Path, &[u8]), CommandError> {
        let mut at = Cursor::new(text, Limits::NONE);
        let path = at.read(path).map_err(|_| CommandError::Parameters)?;
        Ok((path, at.rest()))
    }

    /// A path from its parts, the local part quoted as needed.
    pub fn new(local: &str, domain: Option<&str>) -> Path {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b) || b >= 0x80;
        let mut raw = Vec::new();
        if local.bytes().all(plain) {
            raw.extend_from_slice(local.as_bytes());
        } else {
            raw.push(b'"');
            for byte in local.bytes() {
                if matches!(byte, b'"' | b'\\') {
                    raw.push(b'\\');
                }
                raw.push(byte);
            }
            raw.push(b'"');
        }
        if let Some(domain) = domain {
            raw.push(b'@');
            raw.extend_from_slice(domain.as_bytes());
        }
        Path { raw, local: local.into(), domain: domain.map(str::to_owned) }
    }

    /// `<>`, the sender of bounces.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    pub fn local(&self) -> &[u8] {
        &self.local
    }

    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The address as it came, for the next hop; without brackets.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// The address as it came, without brackets; 8-bit bytes that are no UTF-8 are replaced.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.raw))
    }
}

/// RFC 5321 has 256; folders in details are longer.
const MAX_PATH: usize = 1500;

/// `path = "<" [route] [local-part] ["@" domain] ">"`, and then a blank or the end
pub(super) fn path(at: Cursor<'_>) -> Parsed<'_, Path> {
    let (mut at, ()) = byte(b'<')(at)?;
    if at.peek() == Some(b'@') {
        (at, ()) = route(at)?;
    }
    let (end, local) = local_part(at)?;
    let (end, domain) = if end.peek() == Some(b'@') { map(domain, Some).parse(end)? } else { (end, None) };
    let raw = at.rest().get(..at.rest().len() - end.rest().len()).unwrap_or_default();
    let (at, ()) = byte(b'>')(end)?;
    if raw.len() > MAX_PATH
        || !matches!(at.peek(), None | Some(b' '))
        || (local.is_empty() && domain.is_some())
    {
        return Err(INVALID.into());
    }
    Ok((at, Path { raw: raw.to_vec(), local, domain }))
}

/// `route = "@" *(ALPHA / DIGIT / "@" / "." / "-" / "," / "[" / "]") ":"`: passed over, as RFC 5321 appendix C wants it.
fn route(at: Cursor<'_>) -> Parsed<'_, ()> {
    let wanted = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-,[]".contains(&byte);
    map(delimited(byte(b'@'), run(wanted), byte(b':')), drop).parse(at)
}

/// `local-part = *(atext / "\" char / DQUOTE *(qtext / "\" char) DQUOTE)`, without its quotes. It ends before `>` or the last
/// `@`; an `@` before that one stands for itself.
fn local_part(at: Cursor<'_>) -> Parsed<'_, Vec<u8>> {
    let (mut at, mut local, mut quoted) = (at, Vec::new(), false);
    loop {
        let behind = match at.rest() {
            [b'>', ..] if !quoted => return Ok((at, local)),
            [b'@', behind @ ..] if !quoted && !has_later_at(behind) => return Ok((at, local)),
            [b'"', behind @ ..] => {
                quoted = !quoted;
                behind
            }
            [b'\\', byte, behind @ ..] if !byte.is_ascii_control() => {
                local.push(*byte);
                behind
            }
            [b'\\', ..] | [] => return Err(INVALID.into()),
            [b' ' | b'<', ..] if !quoted => return Err(INVALID.into()),
            [byte, ..] if byte.is_ascii_control() => return Err(INVALID.into()),
            [byte, behind @ ..] => {
                local.push(*byte);
                behind
            }
        };
        at = at.with(behind);
    }
}

/// Whether another `@` follows before the next `>`.
fn has_later_at(text: &[u8]) -> bool {
    text.iter().find(|&&byte| byte == b'@' || byte == b'>') == Some(&b'@')
}

/// `"@" domain`, in lower case.
fn domain(at: Cursor<'_>) -> Parsed<'_, String> {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    let (at, domain) = preceded(byte(b'@'), run(|byte| byte != b'>')).parse(at)?;
    let domain = str::from_utf8(domain).ok().filter(|domain| !domain.is_empty() && domain.chars().all(good));
    Ok((at, domain.ok_or(INVALID)?.to_ascii_lowercase()))
}

const INVALID: ParseError = ParseError::Invalid("path");

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, Option<String>)> {
        let (path, rest) = Path::parse(text.as_bytes()).ok()?;
        assert_eq!(rest, b"");
        Some((String::from_utf8(path.local().to_vec()).unwrap(), path.domain().map(str::to_owned)))
    }

    #[test]
    fn paths_lose_their_quotes_and_routes() {
        let domain = Some("example.com".to_owned());
        assert_eq!(read("<fred@Example.COM>"), Some(("fred".into(), domain.clone())));
        assert_eq!(read("<@a,@b:fred+x/y@example.com>"), Some(("fred+x/y".into(), domain.clone())));
        assert_eq!(
            read("<\"fred flint>stone\"@example.com>"),
            Some(("fred flint>stone".into(), domain.clone()))
        );
        assert_eq!(read("<a@@b@example.com>"), Some(("a@@b".into(), domain.clone())));
        assert_eq!(read("<a@b@example.com>"), Some(("a@b".into(), domain)));
        assert_eq!(read("<fred>"), Some(("fred".into(), None)));
        assert_eq!(read("<>"), Some(("".into(), None)));
    }

    #[test]
    fn malformed_paths_are_refused() {
        for text in [
            "fred@x",
            "<fred",
            "<fred@>",
            "<@x>",
            "<fr ed@x>",
            "<fred@x>y",
            "<\"fred@x>",
            "<fred\\",
            "<a\rb>",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_is_forwarded_as_it_came() {
        let (path, _) = Path::parse(b"<@r:\"Fred\"+Lists/x@Example.com>").unwrap();
        assert_eq!(path.raw(), b"\"Fred\"+Lists/x@Example.com");
        assert_eq!(Path::new("a \"b", Some("c")).raw(), b"\"a \\\"b\"@c");
    }
}
