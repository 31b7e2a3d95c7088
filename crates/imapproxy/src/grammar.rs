//! The little of IMAP's grammar that routing needs: tag, verb, and arguments up to the mailbox.
//!
//! A command is parsed from its raw bytes with literals in their place (`{n}` CRLF and n bytes), as
//! [`protocol::frame::Collector`] joins them; what is not needed for routing is left as it is and forwarded.

use protocol::frame::trim_line;
use std::borrow::Cow;

/// Why a command is answered BAD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Syntax {
    #[error("Null command")]
    Empty,
    #[error("Invalid tag")]
    Tag,
    #[error("Missing required argument to {0}")]
    Missing(String),
    #[error("Unexpected extra arguments to {0}")]
    Extra(String),
    #[error("Invalid arguments to {0}")]
    Invalid(String),
}

/// The head of a command: everything before its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub tag: String,
    /// Upper case. For `UID X` it is `X`.
    pub verb: String,
    pub uid: bool,
    /// Where the arguments begin in the line: at the blank after the verb, or at the line's end.
    pub arguments: usize,
}

impl Head {
    /// Reads the beginning of a command's first line.
    pub fn parse(line: &[u8]) -> Result<Head, Syntax> {
        let text = trim_line(line);
        if text.is_empty() {
            return Err(Syntax::Empty);
        }
        let mut at = Cursor::new(text);
        let tag = at.word();
        if tag.is_empty() || !tag.iter().all(|&b| is_tag(b)) || tag.len() > TAG_MAX {
            return Err(Syntax::Tag);
        }
        let tag = String::from_utf8_lossy(tag).into_owned();
        at.blank();
        let mut verb = upper(at.word());
        if verb.is_empty() {
            return Err(Syntax::Empty);
        }
        let uid = verb == "UID";
        if uid {
            let before = at;
            at.blank();
            verb = upper(at.word());
            if verb.is_empty() {
                at = before;
            }
        }
        Ok(Head { tag, verb, uid, arguments: at.position() })
    }
}

/// A tag's characters: any atom's, without `+`.
fn is_tag(b: u8) -> bool {
    is_atom(b) && b != b'+'
}

fn is_atom(b: u8) -> bool {
    b > b' ' && b < 0x7f && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

fn upper(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_uppercase()
}

/// A position in the arguments of one command. Each step returns what it read, or `None` and stays.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(all: &'a [u8]) -> Self {
        Cursor { all, at: 0 }
    }

    /// At the arguments of a collected command.
    pub fn arguments(command: &'a [u8], head: &Head) -> Self {
        Cursor { all: trim_line(command), at: head.arguments }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    /// All that follows.
    pub fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.all.len()
    }

    pub fn peek(&self) -> Option<u8> {
        self.all.get(self.at).copied()
    }

    /// Whether `byte` stands here; steps over it.
    pub fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Steps over one blank.
    pub fn blank(&mut self) -> bool {
        self.eat(b' ')
    }

    /// Bytes up to the next blank or the end.
    pub fn word(&mut self) -> &'a [u8] {
        self.while_(|b| b != b' ')
    }

    /// One atom's characters (may be empty).
    pub fn atom(&mut self) -> &'a [u8] {
        self.while_(is_atom)
    }

    fn while_(&mut self, want: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|&b| !want(b)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// An atom (`]` allowed), quoted string or literal. `None` if nothing of the kind stands here.
    pub fn astring(&mut self) -> Option<Cow<'a, [u8]>> {
        self.string_or(|b| is_atom(b))
    }

    /// As [`Cursor::astring`], with `%` and `*`: a pattern of LIST.
    pub fn pattern(&mut self) -> Option<Cow<'a, [u8]>> {
        self.string_or(|b| is_atom(b) || matches!(b, b'%' | b'*'))
    }

    /// A quoted string or literal.
    pub fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        self.string_or(|_| false)
    }

    fn string_or(&mut self, bare: impl Fn(u8) -> bool) -> Option<Cow<'a, [u8]>> {
        match self.peek()? {
            b'"' => self.quoted().map(Cow::Owned),
            b'{' => self.literal().map(Cow::Borrowed),
            b'~' if self.all.get(self.at + 1) == Some(&b'{') => {
                let before = *self;
                self.at += 1;
                let got = self.literal().map(Cow::Borrowed);
                if got.is_none() {
                    *self = before;
                }
                got
            }
            _ => {
                let word = self.while_(bare);
                (!word.is_empty()).then_some(Cow::Borrowed(word))
            }
        }
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = self.rest().iter().enumerate().skip(1);
        while let Some((at, &b)) = rest.next() {
            match b {
                b'"' => {
                    self.at += at + 1;
                    return Some(out);
                }
                b'\\' => out.push(*rest.next()?.1),
                b'\r' | b'\n' | 0 => return None,
                b => out.push(b),
            }
        }
        None
    }

    fn literal(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let line_end = rest.iter().position(|&b| b == b'\n')?;
        let header = rest.get(..=line_end)?;
        let literal = protocol::frame::literal_at_end(header)?;
        // The header must begin here: no second brace before its digits.
        if header.get(1..)?.contains(&b'{') {
            return None;
        }
        let size = usize::try_from(literal.size).ok()?;
        let from = self.at + line_end + 1;
        let bytes = self.all.get(from..from.checked_add(size)?)?;
        self.at = from + size;
        Some(bytes)
    }

    /// The raw text of a parenthesised list, parentheses included; strings inside are stepped over whole.
    pub fn list(&mut self) -> Option<&'a [u8]> {
        let from = self.at;
        let mut at = *self;
        let mut depth = 0usize;
        loop {
            match at.peek()? {
                b'(' => {
                    depth += 1;
                    at.at += 1;
                }
                b')' => {
                    at.at += 1;
                    depth = depth.checked_sub(1)?;
                }
                b'"' | b'{' => {
                    at.string()?;
                }
                _ => at.at += 1,
            }
            if depth == 0 {
                break;
            }
        }
        if at.at == from + 1 {
            return None; // not a list
        }
        *self = at;
        self.all.get(from..self.at)
    }

    /// Takes apart a flat list of atoms: `(A B C)`. `None` if it is not one; the position stays.
    pub fn atoms(&mut self) -> Option<Vec<String>> {
        let mut at = *self;
        if !at.eat(b'(') {
            return None;
        }
        let mut words = Vec::new();
        loop {
            let word = at.while_(|b| is_atom(b) || b == b'\\');
            if !word.is_empty() {
                words.push(String::from_utf8_lossy(word).into_owned());
            }
            match at.peek()? {
                b')' => break,
                b' ' => at.at += 1,
                _ => return None,
            }
        }
        at.at += 1;
        *self = at;
        Some(words)
    }
}

/// A string as it may be sent to a server: an atom where it is one, else quoted, else a non-synchronising literal.
pub fn put_astring(out: &mut Vec<u8>, text: &[u8]) {
    if !text.is_empty() && text.iter().all(|&b| is_atom(b)) && !text.eq_ignore_ascii_case(b"NIL") {
        out.extend_from_slice(text);
    } else {
        put_string(out, text);
    }
}

/// A quoted string, or a non-synchronising literal where that cannot be.
pub fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    if text.iter().any(|&b| matches!(b, 0 | b'\r' | b'\n') || b >= 0x80) || text.len() > QUOTED_MAX {
        out.extend_from_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &b in text {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
}

/// Longer strings go out as literals.
const QUOTED_MAX: usize = 1024;
/// A tag is repeated in every answer: longer ones are refused.
const TAG_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_head_of_a_command() {
        let head = Head::parse(b"a1 uid fetch 1:* (FLAGS)\r\n").unwrap();
        assert_eq!((head.tag.as_str(), head.verb.as_str(), head.uid, head.arguments), ("a1", "FETCH", true, 12));
        let head = Head::parse(b"a NOOP\n").unwrap();
        assert_eq!((head.verb.as_str(), head.uid, head.arguments), ("NOOP", false, 6));
        assert_eq!(Head::parse(b"\r\n"), Err(Syntax::Empty));
        assert_eq!(Head::parse(b"a\r\n"), Err(Syntax::Empty));
        assert_eq!(Head::parse(b"+ x\r\n"), Err(Syntax::Tag));
        assert_eq!(Head::parse(b"(a NOOP\r\n"), Err(Syntax::Tag));
    }

    #[test]
    fn strings_of_every_kind() {
        let mut at = Cursor::new(b"INBOX \"a \\\"b\" {4}\r\n)\r\nx \"open");
        assert_eq!(at.astring().unwrap().as_ref(), b"INBOX");
        assert!(at.blank());
        assert_eq!(at.astring().unwrap().as_ref(), b"a \"b");
        assert!(at.blank());
        assert_eq!(at.astring().unwrap().as_ref(), b")\r\nx");
        assert!(at.blank());
        assert_eq!(at.astring(), None);
        assert_eq!(Cursor::new(b"{9}\r\nabc").astring(), None);
        assert_eq!(Cursor::new(b"lists/%").pattern().unwrap().as_ref(), b"lists/%");
    }

    #[test]
    fn lists_are_stepped_over_whole() {
        let mut at = Cursor::new(b"(A (B \")\") {2}\r\n)( C) rest");
        assert_eq!(at.list().unwrap(), b"(A (B \")\") {2}\r\n)( C)");
        assert_eq!(at.rest(), b" rest");
        assert_eq!(Cursor::new(b"(A (B)").list(), None);
        assert_eq!(Cursor::new(b"A").list(), None);
        assert_eq!(Cursor::new(b"()").list().unwrap(), b"()");
        let mut at = Cursor::new(b"(SUBSCRIBED \\Seen) x");
        assert_eq!(at.atoms().unwrap(), ["SUBSCRIBED", "\\Seen"]);
        assert_eq!(Cursor::new(b"(A (B))").atoms(), None);
    }

    proptest! {
        #[test]
        fn a_string_that_was_put_is_read_back(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            put_astring(&mut out, &text);
            out.extend_from_slice(b" x");
            let mut at = Cursor::new(&out);
            prop_assert_eq!(at.astring().unwrap().as_ref(), text.as_slice());
            prop_assert_eq!(at.rest(), b" x");
        }

        #[test]
        fn any_bytes_are_survived(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Head::parse(&text);
            let mut at = Cursor::new(&text);
            let _ = (at.list(), at.atoms(), at.astring(), at.pattern());
            prop_assert!(at.position() <= text.len());
        }
    }
}
