//! Address fields for ENVELOPE: RFC 5322 section 3.4, leniently, names and mailboxes left as raw bytes.

use super::content::{closed, skip_comment};
use super::{MAX_ADDRESSES, Raw};

/// One address as IMAP shows it. A group begins with an address that has a mailbox (the group's name) and no host, and
/// ends with one that has neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub name: Option<Raw>,
    /// The source route, `@a,@b`.
    pub route: Option<Raw>,
    pub mailbox: Option<Raw>,
    pub host: Option<Raw>,
}

impl Address {
    /// All addresses of the (unfolded) value of a From, To, … field.
    pub fn parse_list(value: &[u8]) -> Vec<Address> {
        let mut parser = Parser { rest: value, found: Vec::new(), in_group: false };
        while !parser.rest.is_empty() && parser.found.len() < MAX_ADDRESSES {
            if parser.step().is_none() {
                break;
            }
        }
        parser.end_group();
        parser.found
    }
}

struct Parser<'v> {
    rest: &'v [u8],
    found: Vec<Address>,
    in_group: bool,
}

impl Parser<'_> {
    /// Reads a phrase and what its end says that it is. None where a quoted string does not end: nothing can be told of the rest.
    fn step(&mut self) -> Option<()> {
        let in_group = self.in_group;
        let ends = |byte: u8| matches!(byte, b',' | b';' | b'@' | b'<') || byte == b':' && !in_group;
        let phrase = phrase(&mut self.rest, ends)?;
        match self.next() {
            Some(b'@') => {
                let (host, comment) = domain(&mut self.rest);
                self.found.push(Address { name: some(comment), ..address(phrase.local, host) });
                match self.rest.first() {
                    Some(b';') => self.end_group(),
                    // The next address begins here.
                    Some(b'<') | None => return Some(()),
                    Some(_) => {}
                }
                self.next();
            }
            Some(b'<') => self.angle(some(phrase.name))?,
            Some(b':') => {
                self.in_group = true;
                self.found.push(Address { mailbox: Some(phrase.name.into()), ..Address::default() });
            }
            end => {
                if !phrase.name.is_empty() {
                    self.found.push(address(phrase.local, Vec::new()));
                }
                if end == Some(b';') {
                    self.end_group();
                }
            }
        }
        Some(())
    }

    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// `[route ":"] local-part "@" domain ">"`, the `<` having been read. What follows the domain is passed over.
    fn angle(&mut self, name: Option<Raw>) -> Option<()> {
        let end = angle_end(self.rest);
        let (inside, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let mut inside = inside.trim_ascii_start();
        let mut route = None;
        if inside.first() == Some(&b'@') {
            let end = inside.iter().position(|&byte| byte == b':').unwrap_or(inside.len());
            route = some(inside.get(..end).unwrap_or_default().trim_ascii().to_vec())
                .filter(|route| **route != *b"@");
            inside = inside.get(end + 1..).unwrap_or_default();
        }
        let phrase = phrase(&mut inside, |byte| byte == b'@')?;
        let host = inside.split_first().map(|(_, mut rest)| domain(&mut rest).0).unwrap_or_default();
        self.found.push(Address { name, route, ..address(phrase.local, host) });
        Some(())
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            self.found.push(Address::default());
        }
    }
}

fn some(text: Vec<u8>) -> Option<Raw> {
    (!text.is_empty()).then(|| text.into())
}

/// An empty host is not NIL, which would begin a group.
fn address(mailbox: Vec<u8>, host: Vec<u8>) -> Address {
    let host = if host.is_empty() { UNSPECIFIED.to_vec() } else { host };
    Address { mailbox: Some(mailbox.into()), host: Some(host.into()), ..Address::default() }
}

/// Words without their quotes; blanks and comments between them are one space.
#[derive(Default)]
struct Phrase {
    name: Vec<u8>,
    /// The same as a local part: without blanks round dots.
    local: Vec<u8>,
}

/// Words up to a byte that ends them. None where a quoted string does not end.
fn phrase(rest: &mut &[u8], ends: impl Fn(u8) -> bool) -> Option<Phrase> {
    let (mut out, mut blank) = (Phrase::default(), false);
    while let Some((&byte, tail)) = rest.split_first() {
        if ends(byte) {
            break;
        }
        match byte {
            b'(' => (*rest, blank) = (skip_comment(rest), true),
            _ if byte <= b' ' || byte == b'>' => (*rest, blank) = (tail, true),
            _ => {
                if std::mem::take(&mut blank) && !out.name.is_empty() {
                    out.name.push(b' ');
                    if byte != b'.' && out.local.last() != Some(&b'.') {
                        out.local.push(b' ');
                    }
                }
                if byte == b'"' {
                    let (text, after) = closed(tail);
                    let text = text?;
                    out.name.extend_from_slice(&text);
                    out.local.extend_from_slice(&text);
                    *rest = after;
                } else {
                    out.name.push(byte);
                    out.local.push(byte);
                    *rest = tail;
                }
            }
        }
    }
    Some(out)
}

/// A domain without blanks and comments and superfluous dots, and the comment that follows it, as old mailers write names. It is
/// read up to what cannot stand in a domain.
fn domain(rest: &mut &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut domain, mut comment) = (Vec::new(), Vec::new());
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'(' => {
                let after = skip_comment(rest);
                comment = inside(&rest[..rest.len() - after.len()]);
                *rest = after;
                continue;
            }
            b',' | b';' | b'<' | b'>' | b'"' | b')' | b'\\' => break,
            b'.' if domain.last().is_none_or(|&last| last == b'.') => {}
            _ if byte <= b' ' => {}
            _ => {
                domain.push(byte);
                comment.clear();
            }
        }
        *rest = tail;
    }
    if domain.last() == Some(&b'.') {
        domain.pop();
    }
    (domain, comment)
}

/// What a comment says.
fn inside(comment: &[u8]) -> Vec<u8> {
    let inner = comment.strip_prefix(b"(").unwrap_or(comment);
    inner.strip_suffix(b")").unwrap_or(inner).trim_ascii().to_vec()
}

/// The host of an address that has none.
const UNSPECIFIED: &[u8] = b"unspecified-domain";

/// Where the `>` stands that closes an angle address, quoted strings respected.
fn angle_end(text: &[u8]) -> usize {
    let (mut at, mut in_quotes) = (0, false);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if in_quotes => at += 1,
            b'"' => in_quotes = !in_quotes,
            b'>' if !in_quotes => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}
