//! Annotations of messages (RFC 5257) in FETCH, STORE, APPEND, SEARCH and SORT.
//!
//! ```text
//! fetch     = "ANNOTATION" SP "(" entries SP attributes ")"
//! entries   = entry-match / "(" entry-match *(SP entry-match) ")"      ; may hold "*" and "%"
//! attributes = attribute / "(" attribute *(SP attribute) ")"
//! attribute = ("value" / "size") [".priv" / ".shared"]                 ; both kinds where none is named
//! store     = "ANNOTATION" SP "(" entry SP "(" attribute SP value *(SP attribute SP value) ")" *(SP entry …) ")"
//! search    = "ANNOTATION" SP entry-match SP attribute SP value
//! sort      = "ANNOTATION" SP entry SP attribute
//! ```

use std::borrow::Cow;
use std::collections::HashSet;

use nom::Parser;
use nom::combinator::map;
use nom::sequence::terminated;

use super::metadata::{self, print_value};
use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, astring, atom, list, list_mailbox, parenthesis, space,
};
use crate::imap::print;

/// What FETCH asks of a message's annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    /// Names or patterns, in lower case.
    pub entries: Vec<String>,
    pub attributes: Vec<Attribute>,
}

/// An attribute of an annotation, of one kind or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    pub what: What,
    /// None: the private and the shared one.
    pub private: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Value,
    Size,
}

/// An annotation that is set, or (none) removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub entry: String,
    pub private: bool,
    pub value: Option<Vec<u8>>,
}

/// What SEARCH looks for: a value that has a text in it; none: no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// A name or a pattern, in lower case.
    pub entry: String,
    /// None: of either kind.
    pub private: Option<bool>,
    pub text: Option<Vec<u8>>,
}

/// What SORT compares: the private value or the shared one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    pub entry: String,
    pub private: bool,
}

impl Wanted {
    /// Whether it means the annotation of this name, of this kind.
    pub fn means(&self, entry: &str, private: bool) -> bool {
        self.private.is_none_or(|only| only == private)
            && match is_pattern(&self.entry) {
                true => metadata::wild(self.entry.as_bytes(), entry.as_bytes()),
                false => self.entry == entry,
            }
    }
}

impl Notes {
    /// What comparing its patterns with names of so many bytes costs.
    pub fn steps(&self, names: usize) -> usize {
        let patterns = self.entries.iter().filter(|asked| is_pattern(asked));
        patterns.map(String::len).fold(0, usize::saturating_add).saturating_mul(names)
    }
}

impl Attribute {
    /// The kinds that it means: private first, as the answer has them.
    pub fn kinds(self) -> impl Iterator<Item = bool> {
        [true, false].into_iter().filter(move |kind| self.private.is_none_or(|only| only == *kind))
    }

    pub fn name(self, private: bool) -> &'static str {
        match (self.what, private) {
            (What::Value, true) => "value.priv",
            (What::Value, false) => "value.shared",
            (What::Size, true) => "size.priv",
            (What::Size, false) => "size.shared",
        }
    }
}

/// Behind the word ANNOTATION of FETCH.
pub fn fetch(at: Cursor<'_>) -> Parsed<'_, Notes> {
    let one_or_more = |at| match Cursor::peek(&at) {
        Some(b'(') => list(ENTRIES, pattern)(at),
        _ => map(pattern, |entry| vec![entry]).parse(at),
    };
    let attributes = |at| match Cursor::peek(&at) {
        Some(b'(') => list(ATTRIBUTES, attribute)(at),
        _ => map(attribute, |attribute| vec![attribute]).parse(at),
    };
    let (at, ((), entries, ())) = (parenthesis(b'('), one_or_more, space).parse(at)?;
    let (at, attributes) = terminated(attributes, parenthesis(b')')).parse(at)?;
    match entries.is_empty() || attributes.is_empty() {
        true => Err(ParseError::Missing.into()),
        false => Ok((at, Notes { entries, attributes })),
    }
}

/// Behind the word ANNOTATION of STORE and APPEND.
pub fn store(at: Cursor<'_>) -> Parsed<'_, Vec<Note>> {
    let (at, notes) = notes(at)?;
    if notes.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, notes)) }
}

/// Behind the word ANNOTATION in an answer to FETCH that asked for private and shared values: those that there are.
pub fn fetched(at: Cursor<'_>) -> Parsed<'_, Vec<Note>> {
    let (at, mut notes) = notes(at)?;
    notes.retain(|note| note.value.is_some());
    Ok((at, notes))
}

fn notes(at: Cursor<'_>) -> Parsed<'_, Vec<Note>> {
    let entry = |at| {
        let (at, entry) = terminated(name, space).parse(at)?;
        let value = |at| {
            let (at, attribute) = terminated(attribute, space).parse(at)?;
            let Attribute { what: What::Value, private: Some(private) } = attribute else {
                return Err(ParseError::Invalid("annotation attribute").into());
            };
            let (at, value) = metadata::value(at)?;
            Ok((at, Note { entry: entry.clone(), private, value: value.map(Cow::into_owned) }))
        };
        list(ATTRIBUTES, value)(at)
    };
    let (at, notes) = list(NOTES, entry)(at)?;
    Ok((at, notes.into_iter().flatten().collect()))
}

/// `ANNOTATION SP "(" entry SP "(" attribute SP value ")" *(SP entry …) ")"`, as APPEND takes it. Literals are not waited for; none
/// where one of them would be longer than `unasked`.
pub fn append(notes: &[Note], unasked: u64) -> Option<Vec<u8>> {
    let mut out = b"ANNOTATION (".to_vec();
    for (at, Note { entry, private, value }) in notes.iter().enumerate() {
        let blank = if at > 0 { " " } else { "" };
        out.extend_from_slice(blank.as_bytes());
        print::astring(&mut out, entry.as_bytes());
        out.extend_from_slice(if *private { b" (value.priv " } else { b" (value.shared " });
        metadata::put_value(&mut out, value.as_deref(), unasked)?;
        out.push(b')');
    }
    out.push(b')');
    Some(out)
}

/// Behind the word ANNOTATION of SEARCH, and the blank.
pub fn search(at: Cursor<'_>) -> Parsed<'_, Wanted> {
    let (at, (entry, attribute)) = (pattern, argument(attribute)).parse(at)?;
    if attribute.what != What::Value {
        return Err(ParseError::Invalid("annotation attribute").into());
    }
    let (at, text) = argument(|at| match metadata::value(at) {
        Err(nom::Err::Error(ParseError::Incomplete)) => Err(ParseError::Incomplete.into()),
        Ok(read) => Ok(read),
        // Cyrus takes an atom too.
        Err(_) => map(astring, Some).parse(at),
    })(at)?;
    Ok((at, Wanted { entry, private: attribute.private, text: text.map(Cow::into_owned) }))
}

/// Behind the word ANNOTATION of SORT, and the blank.
pub fn sort(at: Cursor<'_>) -> Parsed<'_, SortKey> {
    let (at, (entry, attribute)) = (name, argument(attribute)).parse(at)?;
    match attribute {
        Attribute { what: What::Value, private: Some(private) } => Ok((at, SortKey { entry, private })),
        _ => Err(ParseError::Invalid("annotation attribute").into()),
    }
}

fn attribute(at: Cursor<'_>) -> Parsed<'_, Attribute> {
    let (at, word) = match at.peek() {
        Some(b'"') => map(astring, |word| String::from_utf8_lossy(&word).into_owned()).parse(at)?,
        _ => map(atom, str::to_owned).parse(at)?,
    };
    let (what, private) = match Keyword::of(word.as_bytes()).as_bytes() {
        b"VALUE" => (What::Value, None),
        b"VALUE.PRIV" => (What::Value, Some(true)),
        b"VALUE.SHARED" => (What::Value, Some(false)),
        b"SIZE" => (What::Size, None),
        b"SIZE.PRIV" => (What::Size, Some(true)),
        b"SIZE.SHARED" => (What::Size, Some(false)),
        _ => return Err(ParseError::Invalid("annotation attribute").into()),
    };
    Ok((at, Attribute { what, private }))
}

fn name(at: Cursor<'_>) -> Parsed<'_, String> {
    match pattern(at)? {
        (_, entry) if is_pattern(&entry) => Err(INVALID.into()),
        read => Ok(read),
    }
}

/// `/name/…`; part numbers come first; `/flags/…` are no annotations here.
fn pattern(at: Cursor<'_>) -> Parsed<'_, String> {
    let (at, text) = list_mailbox(at)?;
    let text = text.to_ascii_lowercase();
    let whole = text.len() > 1 && text.starts_with('/') && !text.ends_with('/') && !text.contains("//");
    let fits = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    let known = !text.starts_with("/flags/") && text != "/flags";
    if whole && fits && known && text.len() <= NAME_MAX { Ok((at, text)) } else { Err(INVALID.into()) }
}

fn is_pattern(entry: &str) -> bool {
    entry.contains(['*', '%'])
}

/// `ANNOTATION SP "(" entry SP "(" attribute SP value *(SP attribute SP value) ")" *(SP entry …) ")"`. `value`: that of a name, the
/// private one or the shared one; `names`: all that there are, in order.
pub fn print_notes<'v>(
    out: &mut Vec<u8>,
    notes: &Notes,
    names: &[&str],
    value: impl Fn(&str, bool) -> Option<&'v [u8]>,
) {
    out.extend_from_slice(b"ANNOTATION (");
    let mut told: HashSet<&str> = HashSet::new();
    for asked in &notes.entries {
        let fits = |name: &&str| metadata::wild(asked.as_bytes(), name.as_bytes());
        let fitting: Vec<&str> = match is_pattern(asked) {
            true => names.iter().copied().filter(fits).collect(),
            false => vec![asked],
        };
        for name in fitting {
            let blank = if told.is_empty() { "" } else { " " };
            if !told.insert(name) {
                continue;
            }
            out.extend_from_slice(blank.as_bytes());
            print::astring(out, name.as_bytes());
            out.extend_from_slice(b" (");
            let mut first = true;
            for attribute in &notes.attributes {
                for private in attribute.kinds() {
                    let blank = if std::mem::take(&mut first) { "" } else { " " };
                    print::text(out, format_args!("{blank}{} ", attribute.name(private)));
                    let value = value(name, private);
                    match attribute.what {
                        What::Value => print_value(out, value),
                        What::Size => print::text(out, format_args!("\"{}\"", value.map_or(0, <[u8]>::len))),
                    }
                }
            }
            out.push(b')');
        }
    }
    out.push(b')');
}

/// `ANNOTATION SP "(" entry *(SP entry) ")"`: the names of annotations that changed, as they are told unasked.
pub fn print_names<'n>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'n str>) {
    out.extend_from_slice(b"ANNOTATION (");
    for (at, name) in names.into_iter().enumerate() {
        out.extend_from_slice(if at > 0 { b" " } else { b"" });
        print::astring(out, name.as_bytes());
    }
    out.push(b')');
}

const INVALID: ParseError = ParseError::Invalid("annotation entry");
/// Entries in one command, attributes of each, bytes of a name.
const ENTRIES: usize = 64;
const ATTRIBUTES: usize = 8;
const NOTES: usize = 1000;
const NAME_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Limits;
    use proptest::prelude::*;

    fn cursor(text: &[u8]) -> Cursor<'_> {
        Cursor::new(text, Limits::default())
    }

    #[test]
    fn what_is_asked_of_annotations() {
        let notes = cursor(b"(/Comment value.priv)").read(fetch).unwrap();
        assert_eq!(notes.entries, ["/comment"]);
        assert_eq!(notes.attributes, [Attribute { what: What::Value, private: Some(true) }]);
        let notes = cursor(b"((/* /1/comment) (value \"size.shared\"))").read(fetch).unwrap();
        assert_eq!((notes.entries.len(), notes.attributes.len()), (2, 2));
        for wrong in [
            "(/comment)",
            "(/comment colour)",
            "(comment value)",
            "(/flags/x value)",
            "() value",
            "(/a/ value)",
        ] {
            assert!(cursor(wrong.as_bytes()).read(fetch).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_set_is_private_or_shared() {
        let notes =
            cursor(b"(/comment (value.priv \"x\" value.shared NIL) /1/comment (value.shared ~{1+}\r\n\0))")
                .read(store)
                .unwrap();
        let told: Vec<_> = notes.iter().map(|n| (n.entry.as_str(), n.private, n.value.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("/comment", true, Some(&b"x"[..])),
                ("/comment", false, None),
                ("/1/comment", false, Some(&b"\0"[..]))
            ]
        );
        for wrong in [
            "(/comment (value \"x\"))",
            "(/* (value.priv \"x\"))",
            "(/comment ())",
            "()",
            "(/comment (size.priv \"1\"))",
        ] {
            assert!(cursor(wrong.as_bytes()).read(store).is_err(), "{wrong}");
        }
        assert_eq!(cursor(b"(/comment (value.priv {3}\r\n").read(store), Err(ParseError::Incomplete));
    }

    #[test]
    fn what_was_fetched_is_appended_elsewhere() {
        let text =
            b"(/a (value.priv NIL value.shared {2}\r\n\r\n) /b (value.priv \"x\" value.shared ~{1}\r\n\0))";
        let notes = cursor(text).read(fetched).unwrap();
        assert_eq!(notes.len(), 3);
        assert_eq!(
            append(&notes, 4096).unwrap(),
            b"ANNOTATION (/a (value.shared {2+}\r\n\r\n) /b (value.priv \"x\") /b (value.shared ~{1+}\r\n\0))"
        );
        assert_eq!(append(&notes, 1), None);
        assert_eq!(cursor(b"()").read(fetched), Ok(vec![]));
    }

    #[test]
    fn what_is_searched_and_sorted_by() {
        let wanted = cursor(b"/Comment value \"IMAP4\"").read(search).unwrap();
        assert_eq!(wanted, Wanted { entry: "/comment".into(), private: None, text: Some(b"IMAP4".to_vec()) });
        assert!(
            wanted.means("/comment", true)
                && wanted.means("/comment", false)
                && !wanted.means("/1/comment", true)
        );
        let none = cursor(b"/* value.priv NIL").read(search).unwrap();
        assert!(none.text.is_none() && none.means("/1/comment", true) && !none.means("/comment", false));
        let level = cursor(b"/%/comment value.shared ~{3+}\r\n\0a\0").read(search).unwrap();
        assert!(level.means("/1/comment", false) && !level.means("/1/2/comment", false));
        assert_eq!(level.text.as_deref(), Some(&b"\0a\0"[..]));
        assert_eq!(cursor(b"/comment value {3}\r\n").read(search), Err(ParseError::Incomplete));
        for wrong in
            ["/comment size \"1\"", "/comment value", "/comment", "comment value x", "/flags/x value x"]
        {
            assert!(cursor(wrong.as_bytes()).read(search).is_err(), "{wrong}");
        }
        let key = cursor(b"/altsubject value.shared").read(sort).unwrap();
        assert_eq!(key, SortKey { entry: "/altsubject".into(), private: false });
        for wrong in ["/altsubject value", "/a* value.priv", "/altsubject size.priv", "/altsubject"] {
            assert!(cursor(wrong.as_bytes()).read(sort).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_has_each_entry_once_with_its_attributes() {
        let notes = cursor(b"((/comment /%) (value size.priv))").read(fetch).unwrap();
        let mut out = Vec::new();
        let value = |name: &str, private: bool| (name == "/altsubject" && private).then_some(&b"x y"[..]);
        print_notes(&mut out, &notes, &["/1/comment", "/altsubject", "/comment"], value);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "ANNOTATION (/comment (value.priv NIL value.shared NIL size.priv \"0\") \
             /altsubject (value.priv \"x y\" value.shared NIL size.priv \"3\"))"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-z/*%(). \"{}~+0-9\r\n]{0,60}") {
            let _ = cursor(text.as_bytes()).read(fetch);
            let _ = cursor(text.as_bytes()).read(store);
            let _ = cursor(text.as_bytes()).read(search);
            let _ = cursor(text.as_bytes()).read(sort);
        }
    }
}
