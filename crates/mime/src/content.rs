//! The Content-* fields of a part: RFC 2045, RFC 2183, RFC 3282, RFC 2557.

use super::header::Fields;
use super::{MAX_PARAMETERS, Raw};

/// What the Content-* fields say, with the defaults of RFC 2045 filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Upper-case, as are subtype, parameter names and encoding.
    pub media: Raw,
    pub subtype: Raw,
    pub parameters: Vec<Parameter>,
    pub id: Option<Raw>,
    pub description: Option<Raw>,
    /// As written, upper-case; none when absent (7BIT).
    pub encoding: Option<Raw>,
    pub md5: Option<Raw>,
    pub disposition: Option<Disposition>,
    pub language: Vec<Raw>,
    pub location: Option<Raw>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: Raw,
    pub value: Raw,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    pub kind: Raw,
    pub parameters: Vec<Parameter>,
}

/// The transfer encodings that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit and binary.
    Identity,
    Base64,
    QuotedPrintable,
    /// Anything else: its bytes have no known meaning.
    Unknown,
}

impl Content {
    /// Reads a part's header. `digest`: a part without Content-Type is a message. Of fields that are repeated the last counts.
    pub(super) fn parse(header: &[u8], digest: bool) -> Content {
        let mut content = Content::default();
        let mut typed = false;
        for field in Fields::new(header) {
            let Some(name) = strip_content(field.name) else { continue };
            let value = field.unfolded();
            if name.eq_ignore_ascii_case(b"type") {
                typed |= content.set_type(&value);
            } else {
                content.set_field(name, &value);
            }
        }
        if !typed {
            content.set_default(digest);
        }
        content
    }

    pub fn is_multipart(&self) -> bool {
        *self.media == *b"MULTIPART"
    }

    pub fn is_message(&self) -> bool {
        *self.media == *b"MESSAGE" && *self.subtype == *b"RFC822"
    }

    pub fn is_text(&self) -> bool {
        *self.media == *b"TEXT"
    }

    /// The value of a parameter of Content-Type, by its upper-case name.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|p| *p.name == *name.as_bytes()).map(|p| &*p.value)
    }

    pub fn transfer_encoding(&self) -> Encoding {
        match self.encoding.as_deref() {
            None | Some(b"7BIT" | b"8BIT" | b"BINARY") => Encoding::Identity,
            Some(b"BASE64") => Encoding::Base64,
            Some(b"QUOTED-PRINTABLE") => Encoding::QuotedPrintable,
            Some(_) => Encoding::Unknown,
        }
    }

    pub(super) fn boundary(&self) -> Option<Vec<u8>> {
        let value = self.parameter("BOUNDARY")?.trim_ascii_end();
        (!value.is_empty() && value.len() <= MAX_BOUNDARY).then(|| value.to_vec())
    }

    fn set_type(&mut self, value: &[u8]) -> bool {
        let mut tokens = Tokens { rest: value };
        let (Some(media), true, Some(subtype)) = (tokens.token(), tokens.eat(b'/'), tokens.token()) else {
            return false;
        };
        if !tokens.is_at_parameters() {
            return false;
        }
        self.media = upper(&media);
        self.subtype = upper(&subtype);
        self.parameters = tokens.parameters();
        true
    }

    fn set_field(&mut self, name: &[u8], value: &[u8]) {
        match name.to_ascii_lowercase().as_slice() {
            b"id" => self.id = Some(value.into()),
            b"description" => self.description = Some(value.into()),
            b"md5" => self.md5 = Some(value.into()),
            b"location" => self.location = Some(value.into()),
            b"transfer-encoding" => self.encoding = encoding(value),
            b"disposition" => {
                let mut tokens = Tokens { rest: value };
                let kind = match tokens.token() {
                    None if !tokens.is_at_parameters() || tokens.rest.is_empty() => return,
                    kind => kind.unwrap_or_default(),
                };
                self.disposition = Some(Disposition { kind: upper(&kind), parameters: tokens.parameters() });
            }
            b"language" => self.language = languages(value),
            _ => {}
        }
    }

    /// Takes a part for plain text after all.
    pub(super) fn become_text(&mut self) {
        self.set_default(false);
    }

    fn set_default(&mut self, digest: bool) {
        let (media, subtype): (&[u8], &[u8]) =
            if digest { (b"MESSAGE", b"RFC822") } else { (b"TEXT", b"PLAIN") };
        (self.media, self.subtype) = (media.into(), subtype.into());
        if !digest {
            self.parameters =
                vec![Parameter { name: b"CHARSET".as_slice().into(), value: b"us-ascii".as_slice().into() }];
        }
    }
}

/// Longest boundary that is believed; RFC 2046 allows 70.
const MAX_BOUNDARY: usize = 250;

fn strip_content(name: &[u8]) -> Option<&[u8]> {
    let (head, tail) = name.split_at_checked(8)?;
    head.eq_ignore_ascii_case(b"content-").then_some(tail)
}

/// A token and nothing behind it; otherwise it is as if it were not there.
fn encoding(value: &[u8]) -> Option<Raw> {
    let mut tokens = Tokens { rest: value };
    let token = tokens.token()?;
    tokens.skip_blanks();
    tokens.rest.is_empty().then(|| upper(&token))
}

fn upper(text: &[u8]) -> Raw {
    text.to_ascii_uppercase().into()
}

fn languages(value: &[u8]) -> Vec<Raw> {
    let mut tokens = Tokens { rest: value };
    let mut found = Vec::new();
    while let Some(tag) = tokens.token() {
        found.push(upper(&tag));
        if found.len() >= MAX_PARAMETERS || !tokens.eat(b',') {
            break;
        }
    }
    found
}

/// Tokens, quoted strings and comments of RFC 2045 fields.
struct Tokens<'v> {
    rest: &'v [u8],
}

impl Tokens<'_> {
    fn token(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        let end = self.rest.iter().position(|&b| !is_token(b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (end > 0).then(|| token.to_vec())
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        match self.rest.split_first() {
            Some((&b, rest)) if b == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Whether nothing comes but parameters.
    fn is_at_parameters(&mut self) -> bool {
        self.skip_blanks();
        matches!(self.rest.first(), None | Some(b';'))
    }

    /// `; name=value` as often as they come. A parameter that makes no sense is skipped up to the next semicolon.
    fn parameters(&mut self) -> Vec<Parameter> {
        let mut found = Vec::new();
        while self.next_semicolon() && found.len() < MAX_PARAMETERS {
            let name = self.token().unwrap_or_default();
            if !self.eat(b'=') {
                continue;
            }
            if let Some(value) = self.value() {
                found.push(Parameter { name: upper(&name), value: value.into() });
            }
        }
        joined(found)
    }

    fn next_semicolon(&mut self) -> bool {
        self.skip_blanks();
        match self.rest.iter().position(|&b| b == b';') {
            Some(at) => {
                self.rest = &self.rest[at + 1..];
                true
            }
            None => false,
        }
    }

    /// None where it is empty, or a quoted one does not end.
    fn value(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        if self.rest.first() == Some(&b'"') {
            let (text, rest) = closed(&self.rest[1..]);
            self.rest = rest;
            return text;
        }
        // Lenient, for the many senders that do not quote: everything up to a semicolon or comment.
        let end = self.rest.iter().position(|b| matches!(b, b';' | b'(')).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let text = text.trim_ascii_end();
        (!text.is_empty()).then(|| text.to_vec())
    }

    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_ascii_start();
            match self.rest.first() {
                Some(b'(') => self.rest = skip_comment(self.rest),
                _ => return,
            }
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !br#"()<>@,;:\"/[]?="#.contains(&byte)
}

/// Parameters whose value stands in numbered pieces, joined: RFC 2231 section 3. A value with charset and percent signs in any
/// piece stays as it stands, its name with a star, as the client wants it.
fn joined(list: Vec<Parameter>) -> Vec<Parameter> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    // Of the parameter that is under way: its name without stars, and the number of its next piece.
    let mut open: Option<(Vec<u8>, u32)> = None;
    for Parameter { name, value } in list {
        let Some((base, number, extended)) = piece(&name) else {
            open = None;
            found.push((name.into_vec(), value.into_vec()));
            continue;
        };
        match (&mut open, found.last_mut()) {
            (Some((under_way, next)), Some(last)) if under_way.as_slice() == base && *next == number => {
                last.1.extend_from_slice(&value);
                if extended && !last.0.ends_with(b"*") {
                    last.0.push(b'*');
                }
                *next += 1;
            }
            _ if number == 0 => {
                open = Some((base.to_vec(), 1));
                let star: &[u8] = if extended { b"*" } else { b"" };
                found.push(([base, star].concat(), value.into_vec()));
            }
            _ => {
                open = None;
                found.push((name.into_vec(), value.into_vec()));
            }
        }
    }
    found.into_iter().map(|(name, value)| Parameter { name: name.into(), value: value.into() }).collect()
}

/// `name*0` and `name*0*`: the name, the number, and whether the star follows.
fn piece(name: &[u8]) -> Option<(&[u8], u32, bool)> {
    let (name, extended) = name.strip_suffix(b"*").map_or((name, false), |name| (name, true));
    let at = name.iter().position(|&byte| byte == b'*')?;
    let (name, digits) = (name.get(..at)?, name.get(at + 1..)?);
    let number =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((name, number.parse().ok()?, extended))
}

/// As [`quoted`]; none where it does not end.
pub(super) fn closed(text: &[u8]) -> (Option<Vec<u8>>, &[u8]) {
    let (value, rest) = quoted(text);
    let read = text.get(..text.len() - rest.len()).unwrap_or_default();
    // The last byte read is the quote that ends it, unless a backslash before it made it part of the text.
    let slashes = read.iter().rev().skip(1).take_while(|&&byte| byte == b'\\').count();
    (read.ends_with(b"\"").then_some(value).filter(|_| slashes % 2 == 0), rest)
}

/// The text of a quoted string whose opening quote has been read, and what follows it.
pub(super) fn quoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                value.extend(text.get(at));
                at += 1;
            }
            _ => value.push(byte),
        }
    }
    (value, text.get(at..).unwrap_or_default())
}

/// What follows the comment that `text` begins with; comments nest.
pub(super) fn skip_comment(text: &[u8]) -> &[u8] {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    text.get(at..).unwrap_or_default()
}
