//! Address fields for ENVELOPE: RFC 5322 section 3.4, leniently, names and mailboxes left as raw bytes.

use super::content::{quoted, skip_comment};
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
        parser.run();
        parser.found
    }
}

struct Parser<'v> {
    rest: &'v [u8],
    found: Vec<Address>,
    in_group: bool,
}

/// What has been read of the address under way.
#[derive(Default)]
struct Pending {
    /// The words before any of `<`, `@`, `:` as a name: blanks between them become one space.
    name: Vec<u8>,
    /// The same words as a local part: without blanks.
    local: Vec<u8>,
    /// Whether there was a blank since the last word.
    blank: bool,
    seen: bool,
    comment: Option<Vec<u8>>,
    angle: Option<Address>,
    host: Option<Vec<u8>>,
}

impl Parser<'_> {
    fn run(&mut self) {
        let mut now = Pending::default();
        while let Some((&byte, rest)) = self.rest.split_first() {
            if self.found.len() >= MAX_ADDRESSES {
                return;
            }
            match byte {
                b',' => {
                    self.rest = rest;
                    self.finish(std::mem::take(&mut now));
                }
                b':' if !self.in_group && now.angle.is_none() => {
                    self.rest = rest;
                    self.begin_group(std::mem::take(&mut now));
                }
                b';' => {
                    self.rest = rest;
                    self.finish(std::mem::take(&mut now));
                    self.end_group();
                }
                b'<' => {
                    self.rest = rest;
                    now.angle = Some(self.angle());
                }
                b'@' => {
                    self.rest = rest;
                    now.host = Some(self.domain());
                }
                b'(' => now.comment = Some(self.comment()),
                _ => self.word(&mut now),
            }
        }
        self.finish(now);
        self.end_group();
    }

    fn word(&mut self, now: &mut Pending) {
        match self.rest.split_first() {
            Some((b'"', rest)) => {
                let (text, rest) = quoted(rest);
                self.rest = rest;
                now.push(&text);
            }
            Some((byte, rest)) if is_special(*byte) => {
                self.rest = rest;
                now.blank = true;
            }
            _ => {
                let end = self.rest.iter().position(|&b| is_special(b)).unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                now.push(text);
            }
        }
    }

    /// `[@route:]local@domain>`, the `<` having been read.
    fn angle(&mut self) -> Address {
        let end = angle_end(self.rest);
        let (mut inside, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let mut address = Address::default();
        if inside.trim_ascii_start().starts_with(b"@")
            && let Some(colon) = inside.iter().position(|&b| b == b':')
        {
            address.route = Some(inside[..colon].trim_ascii().into());
            inside = &inside[colon + 1..];
        }
        let mut parser = Parser { rest: inside, found: Vec::new(), in_group: true };
        let mut now = Pending::default();
        while let Some((&byte, rest)) = parser.rest.split_first() {
            match byte {
                b'@' => {
                    parser.rest = rest;
                    now.host = Some(parser.domain());
                }
                b'(' => parser.rest = skip_comment(parser.rest),
                _ => parser.word(&mut now),
            }
        }
        address.mailbox = Some(now.local.into());
        address.host = Some(now.host.unwrap_or_else(|| UNSPECIFIED.to_vec()).into());
        address
    }

    fn domain(&mut self) -> Vec<u8> {
        let mut domain = Vec::new();
        while let Some(&byte) = self.rest.first() {
            match byte {
                b',' | b';' | b'<' | b'>' | b'@' => break,
                b'(' => {
                    self.rest = skip_comment(self.rest);
                    continue;
                }
                b' ' | b'\t' if domain.last().is_some_and(|&b| b != b'.') => {
                    // A domain ends at a blank unless a dot or comment follows.
                    self.rest = self.rest.trim_ascii_start();
                    if self.rest.first() != Some(&b'.') {
                        break;
                    }
                    continue;
                }
                b' ' | b'\t' => {}
                _ => domain.push(byte),
            }
            self.rest = &self.rest[1..];
        }
        domain
    }

    fn comment(&mut self) -> Vec<u8> {
        let after = skip_comment(self.rest);
        let whole = &self.rest[..self.rest.len() - after.len()];
        self.rest = after;
        let inner = whole.strip_prefix(b"(").unwrap_or(whole);
        inner.strip_suffix(b")").unwrap_or(inner).trim_ascii().to_vec()
    }

    fn finish(&mut self, now: Pending) {
        let some = |text: Vec<u8>| (!text.is_empty()).then(|| Raw::from(text));
        if let Some(mut address) = now.angle {
            address.name = some(now.name).or_else(|| now.comment.and_then(some));
            self.found.push(address);
        } else if now.seen || now.host.is_some() {
            self.found.push(Address {
                name: now.comment.and_then(some),
                route: None,
                mailbox: Some(now.local.into()),
                host: Some(now.host.unwrap_or_else(|| UNSPECIFIED.to_vec()).into()),
            });
        }
    }

    fn begin_group(&mut self, now: Pending) {
        self.in_group = true;
        self.found.push(Address { mailbox: Some(now.name.into()), ..Address::default() });
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            self.found.push(Address::default());
        }
    }
}

impl Pending {
    fn push(&mut self, word: &[u8]) {
        if std::mem::take(&mut self.blank) && self.seen {
            self.name.push(b' ');
        }
        self.seen = true;
        self.name.extend_from_slice(word);
        self.local.extend_from_slice(word);
    }
}

/// The host of an address that has none: NIL would begin a group.
const UNSPECIFIED: &[u8] = b"unspecified-domain";

fn is_special(byte: u8) -> bool {
    byte <= b' ' || b"()<>@,;:\"".contains(&byte)
}

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
