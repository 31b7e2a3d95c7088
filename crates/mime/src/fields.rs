//! The header fields that SEARCH has keys for (FROM, SUBJECT, …), as a message's frame in the cache keeps them, so that no message
//! is read for them.

use super::Fields;
use super::search::{field_text, searched};
use super::values::{Reader, Writer};

/// One of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchField {
    From,
    To,
    Cc,
    Bcc,
    Subject,
    MessageId,
    InReplyTo,
}

impl SearchField {
    const ALL: [SearchField; 7] = [
        SearchField::From,
        SearchField::To,
        SearchField::Cc,
        SearchField::Bcc,
        SearchField::Subject,
        SearchField::MessageId,
        SearchField::InReplyTo,
    ];

    /// By its name, in any case.
    pub fn of_name(name: &str) -> Option<SearchField> {
        SearchField::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(name))
    }

    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            SearchField::From => "from",
            SearchField::To => "to",
            SearchField::Cc => "cc",
            SearchField::Bcc => "bcc",
            SearchField::Subject => "subject",
            SearchField::MessageId => "message-id",
            SearchField::InReplyTo => "in-reply-to",
        }
    }

    /// Whether of a field that stands several times the last one alone is looked into, as ENVELOPE and SORT have it, and Cyrus in SEARCH:
    /// by a key of its own and by HEADER alike. Of the others each is.
    pub fn last_counts(self) -> bool {
        self != SearchField::InReplyTo
    }

    /// What [`section`] wrote of it, as far as it is looked into.
    pub(super) fn read(self, section: &[u8]) -> Option<&str> {
        let mut reader = Reader::new(section);
        for _ in 0..self as usize {
            reader.slice()?;
        }
        let lines = std::str::from_utf8(reader.slice()?).ok()?;
        let last = || lines.strip_suffix('\n').unwrap_or(lines).rsplit('\n').next().unwrap_or_default();
        Some(if self.last_counts() { last() } else { lines })
    }
}

/// The fields in their order, each with its length: as they are compared ([`searched`]), of a repeated one each a line. None where
/// they are long: then the header is read.
pub(super) fn section(header: &[u8]) -> Option<Vec<u8>> {
    let mut texts: [String; 7] = Default::default();
    let mut room = LONGEST;
    for field in Fields::new(header) {
        let Some(which) = SearchField::ALL.into_iter().find(|which| field.is(which.name())) else { continue };
        room = room.checked_sub(field.value.len())?;
        let text = &mut texts[which as usize];
        text.push_str(&searched(&field_text(field.value)));
        text.push('\n');
    }
    let mut out = Writer::new(Vec::new());
    texts.iter().for_each(|text| out.string(text.as_bytes()));
    Some(out.into_bytes())
}

/// Bytes of all these fields.
const LONGEST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::cached;

    #[test]
    fn fields_are_kept_as_search_compares_them() {
        let of = cached(
            "From: \"Quoted, Name\" <q@x> (Comment)\r\nSubject: one\r\nSUBJECT: =?utf-8?q?Caf=C3=A9?=\r\n\ttwo\r\nX: y\r\n\
             Bcc: b@x\r\nBcc:\r\nIn-Reply-To: <1>\r\nIn-Reply-To: <2>\r\n\r\nTo: no\r\n",
        );
        let field = |name| of.searched(SearchField::of_name(name).unwrap());
        assert_eq!(field("FROM"), Some("\"QUOTED, NAME\" <Q@X> (COMMENT)"));
        assert_eq!(field("subject"), Some("CAFE TWO"));
        assert_eq!((field("to"), field("bcc")), (Some(""), Some("")));
        assert_eq!(field("in-reply-to"), Some("<1>\n<2>\n"));
        assert_eq!(SearchField::of_name("x"), None);
    }

    #[test]
    fn long_fields_are_left_to_the_header() {
        let of = cached(&format!("To: {}\r\n\r\n", "a@b, ".repeat(1000)));
        assert_eq!((of.searched(SearchField::To), of.searched(SearchField::From)), (None, None));
        assert!(of.has_keys());
    }
}
