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
    /// Reads a part's header. `digest`: a part without Content-Type is a message.
    pub(super) fn parse(header: &[u8], digest: bool) -> Content {
        let mut content = Content::default();
        let mut typed = false;
        for field in Fields::new(header) {
            let Some(name) = strip_content(field.name) else { continue };
            let value = field.unfolded();
            if name.eq_ignore_ascii_case(b"type") && !typed {
                typed = content.set_type(&value);
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
        self.media = upper(&media);
        self.subtype = upper(&subtype);
        self.parameters = tokens.parameters();
        true
    }

    fn set_field(&mut self, name: &[u8], value: &[u8]) {
        let once = |slot: &mut Option<Raw>, value: &[u8]| {
            if slot.is_none() && !value.is_empty() {
                *slot = Some(value.into());
            }
        };
        match name.to_ascii_lowercase().as_slice() {
            b"id" => once(&mut self.id, value),
            b"description" => once(&mut self.description, value),
            b"md5" => once(&mut self.md5, value),
            b"location" => once(&mut self.location, value),
            b"transfer-encoding" => {
                if let Some(token) = (Tokens { rest: value }).token() {
                    once(&mut self.encoding, &upper(&token));
                }
            }
            b"disposition" if self.disposition.is_none() => {
                let mut tokens = Tokens { rest: value };
                if let Some(kind) = tokens.token() {
                    self.disposition =
                        Some(Disposition { kind: upper(&kind), parameters: tokens.parameters() });
                }
            }
            b"language" if self.language.is_empty() => self.language = languages(value),
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

fn upper(text: &[u8]) -> Raw {
    text.to_ascii_uppercase().into()
}

fn languages(value: &[u8]) -> Vec<Raw> {
    let mut tokens = Tokens { rest: value };
    let mut found = Vec::new();
    while let Some(tag) = tokens.token() {
        found.push(tag.into());
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

    /// `; name=value` as often as they come. A parameter that makes no sense is skipped up to the next semicolon.
    fn parameters(&mut self) -> Vec<Parameter> {
        let mut found = Vec::new();
        while self.next_semicolon() && found.len() < MAX_PARAMETERS {
            let Some(name) = self.token() else { continue };
            if !self.eat(b'=') {
                continue;
            }
            if let Some(value) = self.value() {
                found.push(Parameter { name: upper(&name), value: value.into() });
            }
        }
        found
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

    fn value(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        if self.rest.first() == Some(&b'"') {
            let (text, rest) = quoted(&self.rest[1..]);
            self.rest = rest;
            return Some(text);
        }
        // Lenient, for the many senders that do not quote: everything up to a blank or semicolon.
        let end = self.rest.iter().position(|b| matches!(b, b';' | b' ' | b'\t')).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        (end > 0).then(|| text.to_vec())
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
