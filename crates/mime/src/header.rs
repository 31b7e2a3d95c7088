//! The fields of a header block: RFC 5322 section 2.2, with folding.

use std::collections::HashSet;

/// One field: `name: value`, the value with its folds and final line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'h> {
    /// Without the colon and the blanks before it; empty for a line that is no field.
    pub name: &'h [u8],
    /// What follows the colon, raw.
    pub value: &'h [u8],
    /// The whole field as it stands, with its line ends.
    pub raw: &'h [u8],
}

impl Field<'_> {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without line ends, and without the blanks between the colon and it where it begins on the same line: as ENVELOPE
    /// shows it.
    pub fn text(&self) -> Vec<u8> {
        let from = self.value.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(self.value.len());
        let value = self.value.get(from..).unwrap_or_default();
        value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect()
    }

    /// The value without line ends and without blanks around it.
    pub fn unfolded(&self) -> Vec<u8> {
        let kept: Vec<u8> = self.value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect();
        kept.trim_ascii().to_vec()
    }
}

/// The fields of a header in order. Ends at the blank line or where the bytes end.
#[derive(Clone, Debug)]
pub struct Fields<'h> {
    rest: &'h [u8],
}

impl<'h> Fields<'h> {
    pub fn new(header: &'h [u8]) -> Fields<'h> {
        Fields { rest: header }
    }

    /// The first field called `name`.
    pub fn first(header: &'h [u8], name: &str) -> Option<Field<'h>> {
        Fields::new(header).find(|field| field.is(name))
    }
}

impl<'h> Iterator for Fields<'h> {
    type Item = Field<'h>;

    fn next(&mut self) -> Option<Field<'h>> {
        let mut end = line_length(self.rest);
        if end == 0 || is_blank(&self.rest[..end]) {
            return None;
        }
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end += line_length(&self.rest[end..]);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (name, value) = match raw.iter().position(|b| matches!(b, b':' | b'\n')) {
            Some(colon) if raw[colon] == b':' => (raw[..colon].trim_ascii(), &raw[colon + 1..]),
            _ => (&raw[..0], raw),
        };
        Some(Field { name, value, raw })
    }
}

/// HEADER.FIELDS and HEADER.FIELDS.NOT: the fields named (or not named) in `names`, as they stand and in the header's
/// order, then the blank line that a header ends with; nothing of a header that is not there. One pass, however many names there are.
pub fn pick_fields<N: AsRef<[u8]>>(header: &[u8], names: &[N], not: bool) -> Vec<u8> {
    if header.is_empty() {
        return Vec::new();
    }
    let names: HashSet<Vec<u8>> = names.iter().map(|name| name.as_ref().to_ascii_lowercase()).collect();
    let longest = names.iter().map(Vec::len).max().unwrap_or(0);
    let (mut out, mut lower) = (Vec::new(), Vec::new());
    for field in Fields::new(header) {
        let named = field.name.len() <= longest && {
            lower.clear();
            lower.extend(field.name.iter().map(u8::to_ascii_lowercase));
            names.contains(&lower)
        };
        if named != not {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Bytes up to and with the next line feed, or all that is left.
pub(super) fn line_length(text: &[u8]) -> usize {
    text.iter().position(|&b| b == b'\n').map_or(text.len(), |at| at + 1)
}

pub(super) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n" | b"\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"From: a@b\r\nSubject: one\r\n  two\r\nnonsense\r\nTO : c@d\r\n\r\nBody: no\r\n";

    #[test]
    fn fields_are_unfolded_and_end_at_the_blank_line() {
        let names: Vec<_> =
            Fields::new(HEADER).map(|f| String::from_utf8_lossy(f.name).into_owned()).collect();
        assert_eq!(names, ["From", "Subject", "", "TO"]);
        assert_eq!(Fields::first(HEADER, "subject").unwrap().unfolded(), b"one  two");
    }

    #[test]
    fn picked_fields_keep_their_bytes_and_order() {
        assert_eq!(pick_fields(HEADER, &["to", "FROM"], false), b"From: a@b\r\nTO : c@d\r\n\r\n");
        assert_eq!(pick_fields(HEADER, &["to", "FROM"], true), b"Subject: one\r\n  two\r\nnonsense\r\n\r\n");
    }
}
