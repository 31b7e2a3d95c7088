//! Words and strings of one whole command or response (RFC 3656 section 2), literals in their place.
//!
//! Liberal in what is read: bare LF, `\x` escapes in quoted strings, 8-bit text. What is written: quoted where that is
//! safe and short, else a non-synchronising literal.

use std::borrow::Cow;

use crate::frame::literal_at_end;

/// The rest of a command.
#[derive(Debug, Clone, Copy)]
pub struct Lexer<'a> {
    rest: &'a [u8],
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<'a> {
    Atom(&'a [u8]),
    String(Cow<'a, [u8]>),
}

/// Why there is no further argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    #[error("the line ended")]
    End,
    #[error("not separated by a blank")]
    Separator,
    #[error("malformed string")]
    Malformed,
}

impl<'a> Lexer<'a> {
    pub fn new(frame: &'a [u8]) -> Self {
        Lexer { rest: frame }
    }

    /// The atom that stands here, perhaps empty: a tag or a command.
    pub fn atom(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|b| b" \t\r\n()\"".contains(b)).unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at(end);
        self.rest = rest;
        atom
    }

    /// Takes the blank before an argument, if one stands here.
    pub fn blank(&mut self) -> bool {
        match self.rest.split_first() {
            Some((b' ', rest)) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Whether the line ends here.
    pub fn at_end(&self) -> bool {
        matches!(self.rest, b"" | b"\n" | b"\r\n" | b"\r")
    }

    /// The rest of the line, as it is.
    pub fn line(&self) -> &'a [u8] {
        crate::frame::trim_line(self.rest)
    }

    /// A blank and the word after it.
    pub fn word(&mut self) -> Result<Word<'a>, LexError> {
        if self.at_end() {
            return Err(LexError::End);
        }
        if !self.blank() {
            return Err(LexError::Separator);
        }
        match self.rest.first() {
            Some(b'"') => self.quoted().map(Word::String),
            Some(b'{') => self.literal().map(|data| Word::String(Cow::Borrowed(data))),
            _ => match self.atom() {
                b"" if self.at_end() => Err(LexError::End),
                b"" => Err(LexError::Malformed),
                atom => Ok(Word::Atom(atom)),
            },
        }
    }

    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, LexError> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let end = inside.iter().position(|b| b"\"\\\r\n\0".contains(b)).ok_or(LexError::Malformed)?;
        if inside.get(end) == Some(&b'"') {
            self.rest = inside.get(end + 1..).unwrap_or_default();
            return Ok(Cow::Borrowed(inside.get(..end).unwrap_or_default()));
        }
        let mut text = Vec::new();
        let mut bytes = inside.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = inside.get(at + 1..).unwrap_or_default();
                    return Ok(Cow::Owned(text));
                }
                b'\\' => match bytes.next() {
                    Some((_, &escaped)) if !b"\r\n\0".contains(&escaped) => text.push(escaped),
                    _ => return Err(LexError::Malformed),
                },
                b'\r' | b'\n' | 0 => return Err(LexError::Malformed),
                other => text.push(other),
            }
        }
        Err(LexError::Malformed)
    }

    fn literal(&mut self) -> Result<&'a [u8], LexError> {
        let end = self.rest.iter().position(|&b| b == b'\n').ok_or(LexError::Malformed)?;
        let (header, rest) = self.rest.split_at(end + 1);
        let size = literal_at_end(header).ok_or(LexError::Malformed)?.size;
        // The header must be all that stands between the blank and the line end.
        if header.iter().filter(|&&b| b == b'{').count() != 1 {
            return Err(LexError::Malformed);
        }
        let size = usize::try_from(size).map_err(|_| LexError::Malformed)?;
        let data = rest.get(..size).ok_or(LexError::Malformed)?;
        if data.contains(&0) {
            return Err(LexError::Malformed);
        }
        self.rest = rest.get(size..).unwrap_or_default();
        Ok(data)
    }
}

/// Writes a string towards a client: quoted where it is plain and the line stays short, since the clients of 3.6.5 and
/// 3.8.3 do not take a literal.
pub fn put_string(out: &mut Vec<u8>, line_start: usize, text: &[u8]) {
    let plain = text.iter().all(|&b| b < 0x80 && !b"\r\n\0\"\\".contains(&b));
    if plain && out.len() - line_start + text.len() < QUOTED_LINE {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        put_literal(out, text);
    }
}

/// Writes a string as Cyrus's clients do.
pub fn put_literal(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
}

/// Writes the text of a reply: quoted, with what may not stand there replaced.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend(
        text.bytes().map(|b| if !(b' '..0x7f).contains(&b) || b"\"\\".contains(&b) { b'\'' } else { b }),
    );
    out.push(b'"');
}

/// RFC 3656: lines of fewer octets must be accepted. Room is left for quotes, blanks and the line end.
const QUOTED_LINE: usize = 1008;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, LexError> {
        let mut lexer = Lexer::new(text);
        let mut out = vec![lexer.atom().to_vec()];
        while !lexer.at_end() {
            out.push(match lexer.word()? {
                Word::Atom(a) => a.to_vec(),
                Word::String(s) => s.into_owned(),
            });
        }
        Ok(out)
    }

    #[test]
    fn words_strings_and_literals() {
        assert_eq!(
            words(b"X0 \"a b\" {3+}\r\nq\"\n \"x\\\"y\" =\r\n").unwrap(),
            [&b"X0"[..], b"a b", b"q\"\n", b"x\"y", b"="]
        );
        assert_eq!(words(b"t {0+}\r\n\n").unwrap(), [&b"t"[..], b""]);
        for wrong in
            [&b"t \"a\r\n"[..], b"t \"a\"\"b\"\r\n", b"t {4+}\r\nabc", b"t {2+}\r\na\0\r\n", b"t (\r\n"]
        {
            assert!(words(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in proptest::collection::vec("[^\u{0}]{0,40}", 0..5), literal in any::<bool>()) {
            let mut out = b"tag".to_vec();
            for text in &texts {
                out.push(b' ');
                if literal { put_literal(&mut out, text.as_bytes()) } else { put_string(&mut out, 0, text.as_bytes()) }
            }
            out.extend_from_slice(b"\r\n");
            let mut expected = vec![b"tag".to_vec()];
            expected.extend(texts.iter().map(|t| t.as_bytes().to_vec()));
            prop_assert_eq!(words(&out).unwrap(), expected);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = words(&bytes);
        }
    }
}
