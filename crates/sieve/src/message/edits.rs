//! A header that a script has edited: RFC 5293.

use std::ops::Range;

use super::{Field, Message, Origin};

/// A header as `addheader` and `deleteheader` have left it. It is a list of fields, so that the message itself stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    fields: Vec<Field>,
    /// Bytes of the fields that scripts added, deleted ones too.
    added: usize,
}

impl Edits {
    /// The header of `message` before any edit.
    pub fn new(message: &dyn Message) -> Edits {
        Edits { fields: message.fields().to_vec(), added: 0 }
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Bytes of all fields that were ever added.
    pub fn added(&self) -> usize {
        self.added
    }

    /// Puts a field before all others, or behind them.
    pub fn add(&mut self, field: Field, last: bool) {
        if let Origin::Script(raw) = field.origin() {
            self.added += raw.len();
        }
        let at = if last { self.fields.len() } else { 0 };
        self.fields.insert(at, field);
    }

    /// Keeps the fields of which `keep` is true, by their place in the list.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut at = 0..;
        self.fields.retain(|_| at.next().is_none_or(&mut keep));
    }

    /// The message with this header: what is stored and sent. What was not edited is there byte by byte.
    pub fn apply(&self, message: &dyn Message) -> Vec<u8> {
        let (raw, body) = (message.raw(), message.body());
        let mut out = Vec::with_capacity(raw.len() + self.added);
        for field in &self.fields {
            match field.origin() {
                Origin::Message(place) => {
                    out.extend_from_slice(raw.get(place.clone()).unwrap_or_default());
                    // A message that ends within its header.
                    if !out.ends_with(b"\n") {
                        out.extend_from_slice(b"\r\n");
                    }
                }
                Origin::Script(lines) => out.extend_from_slice(lines),
            }
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        out
    }
}

/// The lines of a field: `name: value`, encoded and folded.
pub(super) fn lines(name: &str, value: &str) -> Vec<u8> {
    let mut out = format!("{name}:");
    let mut column = out.len();
    for word in encoded(value.trim_ascii(), name.len() + 2) {
        if column + 1 + word.len() > LINE && column > name.len() + 1 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(&word);
        column += 1 + word.len();
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// The words of a value, which a blank divides. What is not ASCII, and all between, becomes encoded words. `column`: where it begins.
fn encoded(value: &str, column: usize) -> Vec<String> {
    let words: Vec<&str> = value.split(' ').collect();
    let odd = |word: &&str| !word.bytes().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e));
    let (Some(first), Some(last)) = (words.iter().position(odd), words.iter().rposition(odd)) else {
        return kept_blanks(&words);
    };
    let part = |range: Range<usize>| words.get(range).unwrap_or_default();
    let mut out = kept_blanks(part(0..first));
    let column = if out.is_empty() { column } else { 0 };
    out.extend(encoded_words(&part(first..last + 1).join(" "), column));
    out.extend(kept_blanks(part(last + 1..words.len())));
    out
}

/// Words, each with the blanks before it but the last of them: a line is not to begin with nothing but blanks.
fn kept_blanks(words: &[&str]) -> Vec<String> {
    let (mut out, mut blanks) = (Vec::new(), String::new());
    for word in words {
        if word.is_empty() {
            blanks.push(' ');
        } else {
            out.push(std::mem::take(&mut blanks) + word);
        }
    }
    out
}

/// RFC 2047 section 4.2, cut between two characters so that none is longer than a line may be.
fn encoded_words(text: &str, column: usize) -> Vec<String> {
    let (mut out, mut word) = (Vec::new(), String::new());
    let mut room = ENCODED.saturating_sub(column).max(ENCODED / 2);
    for char in text.chars() {
        let mut buffer = [0; 4];
        let piece: String = match char {
            ' ' => "_".to_owned(),
            _ if char.is_ascii_alphanumeric() => char.to_string(),
            _ => char.encode_utf8(&mut buffer).bytes().map(|byte| format!("={byte:02X}")).collect(),
        };
        if word.len() + piece.len() > room {
            room = ENCODED;
            out.push(format!("=?UTF-8?Q?{}?=", std::mem::take(&mut word)));
        }
        word.push_str(&piece);
    }
    out.push(format!("=?UTF-8?Q?{word}?="));
    out
}

/// RFC 5322 section 2.1.1.
const LINE: usize = 78;
/// What of an encoded word's 75 characters is text.
const ENCODED: usize = 75 - 12;
