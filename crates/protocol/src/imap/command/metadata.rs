//! GETMETADATA and SETMETADATA (RFC 5464); and GETANNOTATION and SETANNOTATION before them, by which older frontends and `cyradm`
//! asked where a mailbox is and how much room a backend has.
//!
//! ```text
//! getmetadata = "GETMETADATA" [SP options] SP mailboxes [SP options] SP entries
//! mailboxes   = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"     ; more than one: as in Cyrus
//! options     = "(" option *(SP option) ")"
//! option      = "MAXSIZE" SP number / "DEPTH" SP ("0" / "1" / "infinity")
//! entries     = entry / "(" entry *(SP entry) ")"
//! setmetadata = "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"
//! value       = nstring / literal8 / atom                                  ; the last: from Cyrus's frontends
//! ```
//!
//! The RFC's grammar has options before the mailbox and its examples behind it: they are taken in both places.

use std::borrow::Cow;
use std::collections::BTreeSet;

use nom::Parser;
use nom::combinator::{map, opt};
use nom::sequence::{preceded, terminated};

use super::mailbox::one;
use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, astring, atom, byte, keyword, list, list_mailbox,
    literal_header, mailbox, number, space, string,
};
use crate::imap::print;

/// What is asked of annotations; see the grammar above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// Names or patterns; one that is empty is the server's.
    pub mailboxes: Vec<String>,
    pub options: Options,
    pub entries: Vec<Entry>,
}

/// What is asked for beside names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    pub depth: Depth,
    /// Longer values are left out.
    pub max_size: Option<u32>,
}

/// How far below an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    #[default]
    Zero,
    One,
    Infinity,
}

/// Annotations that are set, or (none) removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMetadata {
    /// Empty for the server.
    pub mailbox: String,
    pub values: Vec<(Entry, Option<Vec<u8>>)>,
}

/// The name of an annotation, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    pub private: bool,
    /// Without `/private` or `/shared`: begins with `/`, or is empty.
    pub name: String,
}

impl Entry {
    pub fn shared(name: &str) -> Entry {
        Entry { private: false, name: name.to_owned() }
    }

    /// An entry as a client writes it. `pattern`: it may hold `*` and `%`, or be no more than its first part.
    pub fn read(text: &[u8], pattern: bool) -> Option<Entry> {
        let text = str::from_utf8(text).ok()?.to_ascii_lowercase();
        let (private, name) = match (text.strip_prefix("/private"), text.strip_prefix("/shared")) {
            (Some(name), _) => (true, name),
            (None, Some(name)) => (false, name),
            (None, None) => return None,
        };
        let whole = name.starts_with('/') && !name.ends_with('/');
        let fits = |b: u8| b.is_ascii_graphic() && (pattern || !matches!(b, b'*' | b'%')) || b == b' ';
        let fit = (whole || (pattern && name.is_empty())) && name.bytes().all(fits);
        (fit && !name.contains("//") && name.len() <= NAME_MAX)
            .then(|| Entry { private, name: name.to_owned() })
    }

    pub fn is_pattern(&self) -> bool {
        self.name.contains(['*', '%'])
    }

    /// Whether it means more, asked for with `depth`, than the one of its name.
    pub fn is_wide(&self, depth: Depth) -> bool {
        self.is_pattern() || self.name.is_empty() || depth != Depth::Zero
    }

    /// Whether this one, asked for with `depth`, means `name` of the same kind.
    pub fn means(&self, name: &str, depth: Depth) -> bool {
        if self.is_pattern() {
            return wild(self.name.as_bytes(), name.as_bytes());
        }
        let Some(below) = name.strip_prefix(self.name.as_str()) else { return false };
        match depth {
            Depth::Zero => below.is_empty(),
            Depth::One => below.is_empty() || below.strip_prefix('/').is_some_and(|b| !b.contains('/')),
            Depth::Infinity => below.is_empty() || below.starts_with('/'),
        }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.private { "/private" } else { "/shared" }, self.name)
    }
}

/// Whether a name fits a pattern: `*` is any text, `%` any without `/`. In time of their product at most.
pub(super) fn wild(pattern: &[u8], name: &[u8]) -> bool {
    // Which beginnings of the name the pattern so far fits.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for &p in pattern {
        let mut next = vec![false; name.len() + 1];
        match p {
            b'*' | b'%' => {
                let mut on = false;
                for (at, slot) in next.iter_mut().enumerate() {
                    on &= p == b'*' || at.checked_sub(1).and_then(|at| name.get(at)) != Some(&b'/');
                    on |= fits.get(at) == Some(&true);
                    *slot = on;
                }
            }
            _ => {
                for (at, slot) in next.iter_mut().skip(1).enumerate() {
                    *slot = fits.get(at) == Some(&true) && name.get(at) == Some(&p);
                }
            }
        }
        fits = next;
    }
    fits.last() == Some(&true)
}

pub fn get(at: Cursor<'_>) -> Parsed<'_, GetMetadata> {
    let (mut at, ()) = space(at)?;
    let mut options = None;
    if let Ok((rest, read)) = terminated(self::options, space).parse(at) {
        (at, options) = (rest, Some(read));
    }
    let (mut at, mailboxes) = terminated(words, space).parse(at)?;
    if options.is_none()
        && let Ok((rest, read)) = terminated(self::options, space).parse(at)
    {
        (at, options) = (rest, Some(read));
    }
    let (at, entries) = entries(at)?;
    Ok((at, GetMetadata { mailboxes, options: options.unwrap_or_default(), entries }))
}

/// The name of an annotation, with what of it may be a pattern.
fn entry(at: Cursor<'_>, pattern: bool) -> Parsed<'_, Entry> {
    let (at, text) = match at.peek() {
        Some(b'"' | b'{') => map(astring, Cow::into_owned).parse(at)?,
        _ => map(list_mailbox, String::into_bytes).parse(at)?,
    };
    Ok((at, Entry::read(&text, pattern).ok_or(INVALID)?))
}

/// `entry / "(" entry *(SP entry) ")"`
pub fn entries(at: Cursor<'_>) -> Parsed<'_, Vec<Entry>> {
    let entry = |at| entry(at, true);
    let (at, entries) = match at.peek() {
        Some(b'(') => list(ENTRIES, entry)(at)?,
        _ => map(entry, |entry| vec![entry]).parse(at)?,
    };
    if entries.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, entries)) }
}

/// `"(" option *(SP option) ")"`
pub fn options(at: Cursor<'_>) -> Parsed<'_, Options> {
    let mut options = Options::default();
    let option = |at| {
        let (at, name) = terminated(atom, space).parse(at)?;
        let invalid = || nom::Err::Error(ParseError::Invalid("option"));
        match Keyword::of(name.as_bytes()).as_bytes() {
            b"MAXSIZE" => {
                let (at, size) = number(at)?;
                options.max_size = Some(size);
                Ok((at, ()))
            }
            b"DEPTH" => {
                let (at, word) = astring(at)?;
                options.depth = match Keyword::of(&word).as_bytes() {
                    b"0" => Depth::Zero,
                    b"1" => Depth::One,
                    b"INFINITY" => Depth::Infinity,
                    _ => return Err(invalid()),
                };
                Ok((at, ()))
            }
            _ => Err(invalid()),
        }
    };
    let (at, read) = list(4, option)(at)?;
    if read.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, options)) }
}

pub fn set(at: Cursor<'_>) -> Parsed<'_, SetMetadata> {
    let value = |at| {
        let (at, entry) = terminated(|at| entry(at, false), space).parse(at)?;
        let (at, value) = set_value(at)?;
        Ok((at, (entry, value.map(Cow::into_owned))))
    };
    let (at, (mailbox, values)) = (argument(mailbox), argument(list(ENTRIES, value))).parse(at)?;
    if values.is_empty() {
        Err(ParseError::Missing.into())
    } else {
        Ok((at, SetMetadata { mailbox, values }))
    }
}

/// A value that is set: Cyrus's frontends write a short one as an atom.
fn set_value(at: Cursor<'_>) -> Parsed<'_, Option<Cow<'_, [u8]>>> {
    value(at).or_else(|_| map(astring, Some).parse(at))
}

/// `nstring / literal8`
pub fn value(at: Cursor<'_>) -> Parsed<'_, Option<Cow<'_, [u8]>>> {
    if at.peek() == Some(b'~') {
        return map(literal8, |bytes| Some(Cow::Borrowed(bytes))).parse(at);
    }
    let (at, nil) = opt(keyword("NIL")).parse(at)?;
    match nil {
        Some(()) => Ok((at, None)),
        None => map(string, Some).parse(at),
    }
}

/// `literal8 = "~{" number ["+"] "}" CRLF *OCTET` (RFC 3516, RFC 7888)
fn literal8(at: Cursor<'_>) -> Parsed<'_, &[u8]> {
    let (at, size) = preceded(byte(b'~'), literal_header).parse(at)?;
    let (bytes, rest) = at.rest().split_at_checked(size).ok_or(ParseError::Incomplete)?;
    Ok((at.with(rest), bytes))
}

/// `word / "(" word *(SP word) ")"`
fn words(at: Cursor<'_>) -> Parsed<'_, Vec<String>> {
    match at.peek() {
        Some(b'(') => list(MAILBOXES, list_mailbox)(at),
        _ => map(list_mailbox, |word| vec![word]).parse(at),
    }
}

/// `GETANNOTATION SP mailbox SP entries [SP attributes]`
///
/// Without attributes it is a frontend of Cyrus's that asks, of what its client has asked by GETMETADATA: the entries have that
/// command's names, and the client gets the answer as it comes ([`GetAnnotation::of_frontend`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetAnnotation {
    pub mailbox: String,
    pub entries: Vec<String>,
    pub attributes: Option<Vec<String>>,
}

pub fn annotation(at: Cursor<'_>) -> Parsed<'_, GetAnnotation> {
    let (at, (mailbox, entries)) = (one, argument(words)).parse(at)?;
    let (at, attributes) = opt(argument(words)).parse(at)?;
    Ok((at, GetAnnotation { mailbox, entries, attributes }))
}

impl GetAnnotation {
    /// What a frontend of Cyrus's means.
    pub fn of_frontend(&self) -> GetMetadata {
        let entries = meant(self.entries.iter().map(String::as_str));
        GetMetadata { mailboxes: vec![self.mailbox.clone()], options: Options::default(), entries }
    }
}

impl GetMetadata {
    /// What a frontend means, Cyrus's among them.
    pub fn of_frontend(mut self) -> GetMetadata {
        let words: Vec<String> = self.entries.iter().map(Entry::to_string).collect();
        self.entries = meant(words.iter().map(String::as_str));
        self
    }
}

/// Each entry once.
fn meant<'w>(words: impl Iterator<Item = &'w str>) -> Vec<Entry> {
    let mut told = BTreeSet::new();
    let first = words.enumerate().flat_map(|(at, word)| if at == 0 { parted(word) } else { vec![word] });
    let entries = first.filter_map(|word| Entry::read(word.as_bytes(), true));
    entries.filter(|entry| told.insert(entry.clone())).collect()
}

/// Cyrus's frontends ask for both kinds of the first entry without a blank in between: `/shared/comment/private/comment`.
fn parted(word: &str) -> Vec<&str> {
    let kinds = "/shared/private".len();
    let name = word.len().saturating_sub(kinds) / 2;
    for (first, second) in [("/shared", "/private"), ("/private", "/shared")] {
        if let Some((one, two)) = word.split_at_checked(first.len() + name)
            && let (Some(name), Some(again)) = (one.strip_prefix(first), two.strip_prefix(second))
            && name == again
            && !name.is_empty()
        {
            return vec![one, two];
        }
    }
    vec![word]
}

/// `SETANNOTATION SP mailbox SP …`: nobody is served, so that the rest is not looked at.
pub fn set_annotation(at: Cursor<'_>) -> Parsed<'_, String> {
    let (at, mailbox) = argument(mailbox)(at)?;
    let (at, ()) = space(at)?;
    Ok((at.with(&[]), mailbox))
}

/// `* METADATA SP mailbox SP "(" entry SP value *(SP entry SP value) ")"`; none is NIL. The entries are quoted whatever they hold:
/// Cyrus's frontends read them by their quotes.
pub fn print_metadata(out: &mut Vec<u8>, mailbox: &str, values: &[(Entry, Option<impl AsRef<[u8]>>)]) {
    out.extend_from_slice(b"* METADATA ");
    print::mailbox(out, mailbox);
    out.extend_from_slice(b" (");
    for (at, (entry, value)) in values.iter().enumerate() {
        let blank = if at > 0 { " " } else { "" };
        out.extend_from_slice(blank.as_bytes());
        out.extend_from_slice(print::quoted(&entry.to_string()).as_bytes());
        out.push(b' ');
        print_value(out, value.as_ref().map(AsRef::as_ref));
    }
    out.extend_from_slice(b")\r\n");
}

/// The same for one entry of the server's, with its value as a literal whatever it holds: Cyrus's frontends, which ask for it, read
/// no other form.
pub fn print_of_murder(out: &mut Vec<u8>, entry: &str, value: &[u8]) {
    out.extend_from_slice(format!("* METADATA \"\" (\"{entry}\" ").as_bytes());
    print::literal(out, value);
    out.extend_from_slice(b")\r\n");
}

/// A value: quoted, a literal, or a literal8 where it holds NUL; NIL.
pub fn print_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) if value.contains(&0) => {
            out.push(b'~');
            print::literal(out, value);
        }
        value => print::nstring(out, value),
    }
}

/// A value for a server, whose go-ahead is not waited for; none where it would be a literal longer than `unasked`.
pub fn put_value(out: &mut Vec<u8>, value: Option<&[u8]>, unasked: u64) -> Option<()> {
    let mut form = Vec::new();
    print_value(&mut form, value);
    match (value, form.first()) {
        (Some(value), Some(b'~' | b'{')) => {
            let tilde = if form.starts_with(b"~") { "~" } else { "" };
            out.extend_from_slice(format!("{tilde}{{{}+}}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
            (value.len() as u64 <= unasked).then_some(())
        }
        _ => {
            out.extend_from_slice(&form);
            Some(())
        }
    }
}

/// `* ANNOTATION SP mailbox SP entry SP "(" "value.shared" SP value ")"`
pub fn print_annotation(out: &mut Vec<u8>, mailbox: &str, entry: &str, value: &[u8]) {
    out.extend_from_slice(b"* ANNOTATION ");
    print::string(out, mailbox.as_bytes());
    out.extend_from_slice(format!(" \"{entry}\" (\"value.shared\" ").as_bytes());
    print::string(out, value);
    out.extend_from_slice(b")\r\n");
}

/// Values as a response has them.
pub type Values = Vec<(Entry, Option<Vec<u8>>)>;

/// What follows `* METADATA `: `mailbox SP "(" entry SP value *(SP entry SP value) ")"`, as a backend writes it.
pub fn response(at: Cursor<'_>) -> Parsed<'_, (String, Values)> {
    let value = |at| {
        let (at, entry) = terminated(|at| entry(at, false), space).parse(at)?;
        let (at, value) = set_value(at)?;
        Ok((at, (entry, value.map(Cow::into_owned))))
    };
    (mailbox, argument(list(usize::MAX, value))).parse(at)
}

const INVALID: ParseError = ParseError::Invalid("metadata entry");
/// Bytes of an entry's name.
const NAME_MAX: usize = 1024;
/// Entries, and mailboxes, in one command.
const ENTRIES: usize = 256;
const MAILBOXES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Limits;
    use proptest::prelude::*;

    #[test]
    fn what_a_frontend_joins_is_parted_and_nothing_else() {
        for (word, parts) in [
            ("/shared/comment/private/comment", vec!["/shared/comment", "/private/comment"]),
            ("/private/*/shared/*", vec!["/private/*", "/shared/*"]),
            ("/shared/comment/private/other", vec!["/shared/comment/private/other"]),
            ("/shared/comment", vec!["/shared/comment"]),
            ("/shared/private", vec!["/shared/private"]),
            ("", vec![""]),
        ] {
            assert_eq!(parted(word), parts);
        }
    }

    fn cursor(text: &[u8]) -> Cursor<'_> {
        Cursor::new(text, Limits::default())
    }

    #[test]
    fn options_stand_on_either_side_of_the_mailbox() {
        for text in [
            " (MAXSIZE 10 DEPTH infinity) INBOX (/shared/comment)",
            " INBOX (DEPTH INFINITY MAXSIZE 10) /SHARED/Comment",
            " (INBOX) (maxsize 10 depth \"infinity\") \"/shared/comment\"",
        ] {
            let get = cursor(text.as_bytes()).read(get).unwrap();
            assert_eq!(get.mailboxes, ["INBOX"]);
            assert_eq!(get.options, Options { depth: Depth::Infinity, max_size: Some(10) });
            assert_eq!(get.entries, [Entry::shared("/comment")]);
        }
        let get = cursor(b" (a b) (/shared/x /private/y)").read(get).unwrap();
        assert_eq!((get.mailboxes.len(), get.entries.len(), get.options), (2, 2, Options::default()));
    }

    #[test]
    fn an_entry_is_private_or_shared_and_whole() {
        for wrong in [
            "comment",
            "/comment",
            "/privatex/y",
            "/shared/",
            "/shared//x",
            "/shared/x/",
            "/shared/a*",
            "/shared",
        ] {
            assert_eq!(Entry::read(wrong.as_bytes(), false), None, "{wrong}");
        }
        assert_eq!(Entry::read("/shared/\u{e9}".as_bytes(), true), None);
        assert!(Entry::read(b"/private", true).is_some() && Entry::read(b"/shared/*", true).is_some());
        let long = format!("/shared/{}", "x".repeat(1024));
        assert!(
            Entry::read(long.as_bytes(), false).is_none()
                && Entry::read(&long.as_bytes()[1..], false).is_none()
        );
    }

    #[test]
    fn an_entry_means_those_below_it_as_deep_as_is_asked() {
        let meant = |entry: &str, depth| {
            let entry = Entry::read(entry.as_bytes(), true).unwrap();
            ["/a", "/a/b", "/a/b/c", "/ab"].map(|name| u8::from(entry.means(name, depth)))
        };
        assert_eq!(meant("/shared/a", Depth::Zero), [1, 0, 0, 0]);
        assert_eq!(meant("/shared/a", Depth::One), [1, 1, 0, 0]);
        assert_eq!(meant("/shared/a", Depth::Infinity), [1, 1, 1, 0]);
        assert_eq!(meant("/shared", Depth::Infinity), [1, 1, 1, 1]);
        assert_eq!(meant("/shared/*", Depth::Zero), [1, 1, 1, 1]);
        assert_eq!(meant("/shared/%", Depth::Zero), [1, 0, 0, 1]);
        assert_eq!(meant("/shared/a/*", Depth::Zero), [0, 1, 1, 0]);
        assert_eq!(meant("/shared/%/b%", Depth::Zero), [0, 1, 0, 0]);
    }

    #[test]
    fn a_value_is_a_string_a_literal8_or_nothing() {
        let set =
            cursor(b" INBOX (/private/a \"x\" /shared/b NIL /shared/c ~{3+}\r\na\0\xff /shared/d \"NIL\")")
                .read(set)
                .unwrap();
        let values: Vec<Option<&[u8]>> = set.values.iter().map(|(_, value)| value.as_deref()).collect();
        assert_eq!(values, [Some(&b"x"[..]), None, Some(b"a\0\xff"), Some(b"NIL")]);
        for wrong in [
            &b" INBOX (/private/a)"[..],
            b" INBOX ()",
            b" INBOX (/private/a {1+}\r\n\0)",
            b" INBOX (/private/* \"x\")",
            b" INBOX (/private/a ~{9+}\r\nx)",
            b" INBOX",
        ] {
            assert!(cursor(wrong).read(self::set).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            values in proptest::collection::vec(
                ("/(shared|private)/[a-z/]{0,6}[a-z]", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9))), 1..4,
            ),
        ) {
            let entry = |text: &String| Entry::read(text.as_bytes(), false);
            let values: Values = values.iter().filter_map(|(e, value)| Some((entry(e)?, value.clone()))).collect();
            let mut out = Vec::new();
            print_metadata(&mut out, "a b", &values);
            let text = out.strip_prefix(b"* METADATA ").unwrap().strip_suffix(b"\r\n").unwrap();
            prop_assert_eq!(cursor(text).read(response), Ok(("a b".to_owned(), values)));
        }
    }
}
