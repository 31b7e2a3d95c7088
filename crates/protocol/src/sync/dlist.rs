//! dlists, the values of Cyrus's replication: its grammar, its printer, and file literals.
//!
//! ```text
//! value  = word / quoted / literal / list / fields / file / "NIL"
//! list   = "(" [value *(SP value)] ")"
//! fields = "%(" [key SP value *(SP key SP value)] ")"
//! file   = "%{" partition SP guid SP size "}" CRLF *OCTET
//! word   = 1*<any byte but blanks, control characters, "(", ")" and DQUOTE>, no "{" or "%" first
//! ```
//!
//! No tree is built. [`fields`] and [`list`] hand each value to whoever knows what it is, and [`skip`] passes over the rest: a reader
//! takes keys in any order and knows nothing of those of a newer peer. A list of a hundred thousand records costs its records alone.
//!
//! The bytes of a file are no part of a frame: [`File::at_end`](super::File::at_end) finds its header where a line ends, and whoever cuts the stream takes
//! the bytes. What Cyrus prints and reads was observed of 3.6.1.

use std::borrow::Cow;

use crate::grammar::{self, Cursor, ParseError, Parsed, number64, run};

/// `fields`: each key with a cursor at its value, which `each` reads.
pub fn fields<'a>(
    at: Cursor<'a>,
    mut each: impl FnMut(&[u8], Cursor<'a>) -> Parsed<'a, ()>,
) -> Parsed<'a, ()> {
    const WHAT: &str = "list of keys and values";
    let Some(rest) = at.rest().strip_prefix(b"%(") else { return Err(at.no(WHAT)) };
    let mut at = at.with(rest);
    loop {
        at = blanks(at);
        if let [b')', rest @ ..] = at.rest() {
            return Ok((at.with(rest), ()));
        }
        let (behind, key) = text(at)?;
        let value = blanks(behind);
        if value.rest().len() == behind.rest().len() {
            return Err(behind.no(WHAT));
        }
        (at, ()) = each(&key, value)?;
    }
}

/// `list`: a cursor at each value, which `each` reads.
pub fn list<'a>(at: Cursor<'a>, mut each: impl FnMut(Cursor<'a>) -> Parsed<'a, ()>) -> Parsed<'a, ()> {
    let (mut at, ()) = grammar::parenthesis(b'(')(at)?;
    loop {
        at = blanks(at);
        if let [b')', rest @ ..] = at.rest() {
            return Ok((at.with(rest), ()));
        }
        (at, ()) = each(at)?;
    }
}

/// Text, which may be empty, and may hold any byte where it comes as a literal.
pub fn text(at: Cursor<'_>) -> Parsed<'_, Cow<'_, [u8]>> {
    match at.peek() {
        Some(b'"') => grammar::quoted_with(|_| true)(at),
        Some(b'{') => {
            let (at, size) = grammar::literal_header(at)?;
            let (bytes, rest) = at.rest().split_at_checked(size).ok_or(ParseError::Incomplete)?;
            Ok((at.with(rest), Cow::Borrowed(bytes)))
        }
        Some(b'%') => Err(ParseError::Invalid("string").into()),
        _ => match run(is_word_byte)(at)? {
            (_, b"") => Err(at.no("string")),
            (at, word) => Ok((at, Cow::Borrowed(word))),
        },
    }
}

/// Text, or none where the word `NIL` stands.
pub fn optional(at: Cursor<'_>) -> Parsed<'_, Option<Cow<'_, [u8]>>> {
    let (rest, found) = text(at)?;
    let is_nil = at.peek().is_some_and(|first| first.eq_ignore_ascii_case(&b'n'))
        && found.eq_ignore_ascii_case(b"NIL");
    Ok((rest, (!is_nil).then_some(found)))
}

/// Text that is UTF-8 without control characters but TAB.
pub fn string(at: Cursor<'_>) -> Parsed<'_, String> {
    let (rest, found) = text(at)?;
    let found = String::from_utf8(found.into_owned()).ok();
    let fit = found.filter(|text| !text.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f));
    Ok((rest, fit.ok_or(ParseError::Invalid("text"))?))
}

/// A point in time, epoch seconds. One before 1970 comes as Cyrus prints it, in two's complement.
pub fn time(at: Cursor<'_>) -> Parsed<'_, i64> {
    let (at, seconds) = number64(at)?;
    Ok((at, seconds.cast_signed()))
}

/// Passes over a value, whatever it is.
pub fn skip(at: Cursor<'_>) -> Parsed<'_, ()> {
    skip_within(at, DEPTH)
}

fn skip_within(at: Cursor<'_>, depth: usize) -> Parsed<'_, ()> {
    let deeper =
        || depth.checked_sub(1).ok_or(nom::Err::Error(ParseError::Invalid("value, nested too deep,")));
    match at.rest() {
        [b'(', ..] => {
            let depth = deeper()?;
            list(at, |at| skip_within(at, depth))
        }
        [b'%', b'(', ..] => {
            let depth = deeper()?;
            fields(at, |_, at| skip_within(at, depth))
        }
        _ => text(at).map(|(at, _)| (at, ())),
    }
}

/// Prints values, each a blank behind the one before.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Literals are sent without being asked for (RFC 7888): in commands.
    unasked: bool,
    /// A blank belongs before the next value.
    apart: bool,
}

impl<'a> Writer<'a> {
    /// For a command to another server, of which something stands in `out` already.
    pub fn command(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out, unasked: true, apart: true }
    }

    /// For an untagged response, of which `*` stands in `out` already.
    pub fn response(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out, unasked: false, apart: true }
    }

    /// The blank before the next value.
    fn apart(&mut self) {
        if self.apart {
            self.out.push(b' ');
        }
        self.apart = true;
    }

    /// A key or a verb.
    pub fn key(&mut self, key: &str) -> &mut Self {
        self.word(key)
    }

    /// A word as it stands: a flag, say. It must be one.
    pub fn word(&mut self, word: &str) -> &mut Self {
        self.apart();
        self.out.extend_from_slice(word.as_bytes());
        self
    }

    pub fn text(&mut self, text: impl AsRef<[u8]>) {
        self.apart();
        put_text(self.out, text.as_ref(), self.unasked);
    }

    /// Text, or NIL.
    pub fn optional(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.text(text),
            None => self.nil(),
        }
    }

    pub fn number(&mut self, number: impl Into<u64>) {
        self.apart();
        self.out.extend_from_slice(number.into().to_string().as_bytes());
    }

    /// A point in time, epoch seconds; see [`time()`].
    pub fn time(&mut self, seconds: i64) {
        self.number(seconds.cast_unsigned());
    }

    pub fn nil(&mut self) {
        self.word("NIL");
    }

    pub fn list(&mut self, values: impl FnOnce(&mut Self)) {
        self.within(b"(", values);
    }

    pub fn fields(&mut self, fields: impl FnOnce(&mut Self)) {
        self.within(b"%(", fields);
    }

    fn within(&mut self, open: &[u8], inner: impl FnOnce(&mut Self)) {
        self.apart();
        self.out.extend_from_slice(open);
        self.apart = false;
        inner(self);
        self.out.push(b')');
        self.apart = true;
    }

    /// Ends the line.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// As a word where every reader takes it as one, else quoted, else as a literal.
pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8], unasked: bool) {
    let is_word = !text.is_empty()
        && text.len() < QUOTED_MAX
        && text.iter().all(|&b| grammar::is_astring_byte(b))
        && !text.eq_ignore_ascii_case(b"NIL");
    // Cyrus quotes nothing that would need a backslash.
    let is_quotable = text.len() < QUOTED_MAX
        && text.iter().all(|&b| (b' '..0x7f).contains(&b) && !matches!(b, b'"' | b'\\' | b'%') || b == b'\t');
    if is_word {
        out.extend_from_slice(text);
    } else if is_quotable {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        let plus = if unasked { "+" } else { "" };
        out.extend_from_slice(format!("{{{}{plus}}}\r\n", text.len()).as_bytes());
        out.extend_from_slice(text);
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !matches!(byte, b'(' | b')' | b'"')
}

/// Behind the blanks that stand here.
fn blanks(at: Cursor<'_>) -> Cursor<'_> {
    let blanks = at.rest().iter().take_while(|&&byte| byte == b' ').count();
    at.with(at.rest().get(blanks..).unwrap_or_default())
}

/// Lists within lists of a value that nobody knows.
pub const DEPTH: usize = 16;
/// Longer text goes as a literal.
const QUOTED_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grammar::Limits;

    fn cursor(text: &[u8]) -> Cursor<'_> {
        Cursor::new(text, Limits::NONE)
    }

    /// A value of any form, as it is printed and as it is kept here.
    #[derive(Debug, Clone, PartialEq)]
    enum Value {
        Text(Vec<u8>),
        Nil,
        Number(u64),
        List(Vec<Value>),
        Fields(Vec<(String, Value)>),
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::Text),
            "[ -~]{0,12}".prop_map(|text| Value::Text(text.into())),
            Just(Value::Nil),
            any::<u64>().prop_map(Value::Number),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                proptest::collection::vec(("[A-Z_]{1,8}", inner), 0..5).prop_map(Value::Fields),
            ]
        })
    }

    fn write(value: &Value, out: &mut Writer<'_>) {
        match value {
            Value::Text(text) => out.text(text),
            Value::Nil => out.nil(),
            Value::Number(number) => out.number(*number),
            Value::List(values) => out.list(|out| values.iter().for_each(|value| write(value, out))),
            Value::Fields(fields) => out.fields(|out| {
                for (key, value) in fields {
                    write(value, out.key(key));
                }
            }),
        }
    }

    /// Reads a value of the same form as `like`.
    fn read<'a>(like: &Value, at: Cursor<'a>) -> Parsed<'a, Value> {
        match like {
            Value::Text(_) | Value::Nil => {
                let (at, found) = optional(at)?;
                Ok((at, found.map_or(Value::Nil, |text| Value::Text(text.into_owned()))))
            }
            Value::Number(_) => number64(at).map(|(at, number)| (at, Value::Number(number))),
            Value::List(values) => {
                let (mut like, mut found) = (values.iter(), Vec::new());
                let (at, ()) = list(at, |at| {
                    let (at, value) = read(like.next().expect("no more values than were written"), at)?;
                    found.push(value);
                    Ok((at, ()))
                })?;
                Ok((at, Value::List(found)))
            }
            Value::Fields(fields_) => {
                let (mut like, mut found) = (fields_.iter(), Vec::new());
                let (at, ()) = fields(at, |key, at| {
                    let (_, like) = like.next().expect("no more keys than were written");
                    let (at, value) = read(like, at)?;
                    found.push((String::from_utf8(key.to_vec()).unwrap(), value));
                    Ok((at, ()))
                })?;
                Ok((at, Value::Fields(found)))
            }
        }
    }

    #[test]
    fn values_are_printed_as_cyrus_prints_them() {
        let mut out = b"*".to_vec();
        let mut writer = Writer::response(&mut out);
        writer.key("MAILBOX").fields(|out| {
            out.key("MBOXNAME").text("user.alice");
            out.key("ACL").text("alice\tlrswipkxtecdan\t");
            out.key("OPTIONS").text("");
            out.key("ODD").text("50% \"x\"");
            out.key("NAME").text("nil");
            out.key("RECORD").list(|out| out.fields(|out| out.key("UID").number(1u32)));
            out.key("NONE").list(|_| {});
        });
        writer.end();
        let wanted = "* MAILBOX %(MBOXNAME user.alice ACL \"alice\tlrswipkxtecdan\t\" OPTIONS \"\" ODD {7}\r\n50% \"x\" \
                      NAME \"nil\" RECORD (%(UID 1)) NONE ())\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        for text in [
            &b""[..],
            b")",
            b"%",
            b"%x",
            b"%{a b 1}",
            b"(1 2",
            b"%(A 1",
            b"%(A)",
            b"%(A(1))",
            b"%((A) 1)",
            b"{5}\r\nabc",
            b"{5}",
            b"\"a",
        ] {
            assert!(cursor(text).read(skip).is_err(), "{}", text.escape_ascii());
        }
        let deep = |depth: usize| [b"(".repeat(depth), b")".repeat(depth)].concat();
        assert!(cursor(&deep(DEPTH)).read(skip).is_ok());
        assert!(cursor(&deep(DEPTH + 1)).read(skip).is_err());
        assert!(cursor(&deep(1_000_000)).read(skip).is_err());
    }

    #[test]
    fn a_time_before_1970_is_kept() {
        let mut out = Vec::new();
        Writer::command(&mut out).time(-5);
        assert_eq!(cursor(out.trim_ascii()).read(time), Ok(-5));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(value in value(), unasked: bool) {
            let mut out = Vec::new();
            let mut writer = if unasked { Writer::command(&mut out) } else { Writer::response(&mut out) };
            write(&value, &mut writer);
            let text = out.strip_prefix(b" ").expect("a blank");
            let mut at = cursor(text);
            prop_assert_eq!(at.read(|at| read(&value, at)), Ok(value));
            prop_assert!(at.at_end());
            let mut at = cursor(text);
            prop_assert_eq!(at.read(skip), Ok(()));
            prop_assert!(at.at_end());
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(text in "[%(){}\"\\\\ A-C0-3\r\n]{0,40}") {
            let _ = cursor(text.as_bytes()).read(skip);
        }
    }
}
