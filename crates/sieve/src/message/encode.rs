//! How a field that a script adds is written: encoded (RFC 2047) and folded (RFC 5322 section 2.2.3).

use std::ops::Range;

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
