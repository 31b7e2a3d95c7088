//! The words of RFC 3501 section 9: atoms, quoted strings, literals, numbers, lists.

/// A position in the text of one command.
///
/// Methods consume what they recognise and leave the rest; after an error the position means nothing.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    limits: Limits,
}

pub use crate::grammar::{Limits, ParseError};
type Parsed<T> = Result<T, ParseError>;

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8], limits: Limits) -> Self {
        Cursor { rest: text, limits }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Whether nothing follows.
    pub fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may follow (blanks at the end are forgiven).
    pub fn end(&mut self) -> Parsed<()> {
        self.take_while(|b| b == b' ');
        if self.at_end() { Ok(()) } else { Err(ParseError::Extra) }
    }

    pub fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&b| !wanted(b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes `byte` if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `word` if it is next, whatever its case, and is not the beginning of a longer atom.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let Some((head, tail)) = self.rest.split_at_checked(word.len()) else { return false };
        let ends = tail.first().is_none_or(|&b| !is_atom_byte(b));
        if head.eq_ignore_ascii_case(word.as_bytes()) && ends {
            self.rest = tail;
            return true;
        }
        false
    }

    /// One space before a required argument (more are forgiven).
    pub fn space(&mut self) -> Parsed<()> {
        if self.take_while(|b| b == b' ').is_empty() || self.at_end() {
            return Err(ParseError::Missing);
        }
        Ok(())
    }

    pub fn open(&mut self) -> Parsed<()> {
        self.expect(b'(')
    }

    pub fn close(&mut self) -> Parsed<()> {
        self.expect(b')')
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        match self.eat(byte) {
            true => Ok(()),
            false if self.at_end() => Err(ParseError::Missing),
            false => Err(ParseError::Invalid("parenthesized list")),
        }
    }

    /// `(item item …)`, at most `max` items; the empty list too.
    pub fn list<T>(&mut self, max: usize, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.open()?;
        let mut items = Vec::new();
        self.take_while(|b| b == b' ');
        while !self.eat(b')') {
            if items.len() >= max {
                return Err(ParseError::Invalid("list, too long,"));
            }
            items.push(item(self)?);
            if self.take_while(|b| b == b' ').is_empty() && self.peek() != Some(b')') {
                return Err(ParseError::Invalid("parenthesized list"));
            }
        }
        Ok(items)
    }

    pub fn atom(&mut self) -> Parsed<&'a str> {
        let word = self.take_while(is_atom_byte);
        self.word(word)
    }

    fn word(&self, word: &'a [u8]) -> Parsed<&'a str> {
        if word.is_empty() {
            return Err(if self.at_end() { ParseError::Missing } else { ParseError::Invalid("word") });
        }
        if word.len() > self.limits.word {
            return Err(ParseError::Long);
        }
        std::str::from_utf8(word).map_err(|_| ParseError::Invalid("word"))
    }

    /// An atom or a string: what most arguments are. Any bytes but NUL.
    pub fn astring(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(<[u8]>::to_vec),
            _ => {
                let word = self.take_while(|b| is_astring_byte(b) || b >= 0x80);
                if word.is_empty() {
                    return Err(if self.at_end() {
                        ParseError::Missing
                    } else {
                        ParseError::Invalid("string")
                    });
                }
                if word.len() > self.limits.word {
                    return Err(ParseError::Long);
                }
                Ok(word.to_vec())
            }
        }
    }

    /// A quoted string or a literal.
    pub fn string(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(<[u8]>::to_vec),
            None => Err(ParseError::Missing),
            Some(_) => Err(ParseError::Invalid("string")),
        }
    }

    /// A string, or `NIL`.
    pub fn nstring(&mut self) -> Parsed<Option<Vec<u8>>> {
        if self.eat_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// An astring as text; bytes that are not UTF-8 are replaced, so that no name matches them.
    pub fn text(&mut self) -> Parsed<String> {
        let bytes = self.astring()?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()))
    }

    /// A mailbox name as the client writes it.
    pub fn mailbox(&mut self) -> Parsed<String> {
        self.text()
    }

    /// A mailbox name or pattern: wildcards and `]` may stand in an atom.
    pub fn list_mailbox(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(b'"' | b'{') => self.text(),
            _ => {
                let word = self.take_while(|b| is_astring_byte(b) || b >= 0x80 || b == b'%' || b == b'*');
                if word.is_empty() {
                    return Err(if self.at_end() {
                        ParseError::Missing
                    } else {
                        ParseError::Invalid("pattern")
                    });
                }
                if word.len() > self.limits.word {
                    return Err(ParseError::Long);
                }
                Ok(String::from_utf8_lossy(word).into_owned())
            }
        }
    }

    pub fn quoted(&mut self) -> Parsed<Vec<u8>> {
        let invalid = ParseError::Invalid("quoted string");
        if !self.eat(b'"') {
            return Err(invalid);
        }
        let mut text = Vec::new();
        loop {
            let run = self.take_while(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0));
            text.extend_from_slice(run);
            if text.len() > self.limits.quoted {
                return Err(ParseError::Long);
            }
            if self.eat(b'"') {
                return Ok(text);
            }
            if !self.eat(b'\\') {
                return Err(invalid);
            }
            match self.rest.split_first() {
                Some((&escaped @ (b'"' | b'\\'), rest)) => {
                    text.push(escaped);
                    self.rest = rest;
                }
                _ => return Err(invalid),
            }
        }
    }

    /// `{n}`, `{n+}` or `{n-}`, a line end, and n bytes without a NUL.
    pub fn literal(&mut self) -> Parsed<&'a [u8]> {
        let size = self.literal_header()?;
        let Some((bytes, rest)) = self.rest.split_at_checked(size) else {
            return Err(ParseError::Incomplete);
        };
        if bytes.contains(&0) {
            return Err(ParseError::Invalid("NUL byte"));
        }
        self.rest = rest;
        Ok(bytes)
    }

    fn literal_header(&mut self) -> Parsed<usize> {
        let invalid = ParseError::Invalid("literal");
        if !self.eat(b'{') {
            return Err(invalid);
        }
        let digits = self.take_while(|b| b.is_ascii_digit());
        let size = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).ok_or(invalid.clone())?;
        if !self.eat(b'+') {
            self.eat(b'-');
        }
        if !self.eat(b'}') {
            return Err(invalid);
        }
        if self.at_end() {
            return Err(ParseError::Incomplete);
        }
        self.eat(b'\r');
        if self.eat(b'\n') { Ok(size) } else { Err(invalid) }
    }

    pub fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).map_err(|_| ParseError::Invalid("number"))
    }

    pub fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        if digits.is_empty() && self.at_end() {
            return Err(ParseError::Missing);
        }
        let text = std::str::from_utf8(digits).map_err(|_| ParseError::Invalid("number"))?;
        text.parse().map_err(|_| ParseError::Invalid("number"))
    }
}

/// ATOM-CHAR.
pub fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// ASTRING-CHAR.
pub fn is_astring_byte(byte: u8) -> bool {
    is_atom_byte(byte) || byte == b']'
}
