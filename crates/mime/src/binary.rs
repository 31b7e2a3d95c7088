//! Parts whose transfer encoding is binary, put in base64 where a message could not be stored as it is: RFC 3516 section 4.4 lets a
//! server do so with what comes as a literal8.
//!
//! No message on disk holds NUL, or line ends that are not CRLF: clients that do not know BINARY could not have it. What says that
//! it is binary and holds no such byte stays as it is, as does every other part: signatures are over their bytes.

use std::borrow::Cow;
use std::ops::Range;

use super::header::Fields;
use super::{Kind, Part, Span, Structure};

/// What of a message cannot be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfit {
    pub nul: bool,
    /// A line feed without a carriage return before it.
    pub bare: bool,
}

impl Unfit {
    pub fn of(bytes: &[u8]) -> Unfit {
        let mut unfit = Unfit { nul: bytes.contains(&0), bare: false };
        let mut last = 0;
        for &byte in bytes {
            unfit.bare |= byte == b'\n' && last != b'\r';
            last = byte;
        }
        unfit
    }
}

/// The message with its binary parts in base64, as far as they need it, and what still cannot be stored.
pub fn without_binary(message: &[u8]) -> (Cow<'_, [u8]>, Unfit) {
    let mut edits = Vec::new();
    // No part needs it where nothing does.
    if needs_encoding(message) {
        find(message, &Structure::parse(message).root, &mut edits);
    }
    if edits.is_empty() {
        return (Cow::Borrowed(message), Unfit::of(message));
    }
    let grown = edits.iter().map(|edit| edit.text.len()).sum::<usize>();
    let (mut out, mut at) = (Vec::with_capacity(message.len() + grown), 0);
    for Edit { range, text } in edits {
        out.extend_from_slice(message.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(&text);
        at = range.end;
    }
    out.extend_from_slice(message.get(at..).unwrap_or_default());
    let unfit = Unfit::of(&out);
    (Cow::Owned(out), unfit)
}

/// Bytes of the message that others take the place of.
struct Edit {
    range: Range<usize>,
    text: Vec<u8>,
}

/// The edits of a part and of those in it, in their order. Parts are nested no deeper than [`super::MAX_DEPTH`].
fn find(message: &[u8], part: &Part, edits: &mut Vec<Edit>) {
    match &part.kind {
        Kind::Multipart(parts) => parts.iter().for_each(|part| find(message, part, edits)),
        Kind::Message(inner) => find(message, &inner.part, edits),
        Kind::Leaf => {
            // What was to be taken apart, and could not be, has no encoding but the identity.
            let fits = !part.content.is_multipart() && !part.content.is_message();
            let body = part.body.of(message);
            if fits && part.content.encoding.as_deref() == Some(b"BINARY") && needs_encoding(body) {
                let before = edits.len();
                relabel(message, part.header, edits);
                if edits.len() > before {
                    edits.push(Edit { range: range(part.body), text: encoded(body) });
                }
            }
        }
    }
}

/// Whether bytes cannot stand in a message as they are: NUL, a line end that is none, a line longer than RFC 5322 allows.
fn needs_encoding(bytes: &[u8]) -> bool {
    let (mut last, mut line) = (0, 0);
    for &byte in bytes {
        match byte {
            0 => return true,
            b'\n' if last != b'\r' => return true,
            b'\n' => line = 0,
            _ if last == b'\r' => return true,
            _ => line += 1,
        }
        if line > LINE_MAX {
            return true;
        }
        last = byte;
    }
    last == b'\r'
}

/// Has the header say base64 where it says binary.
fn relabel(message: &[u8], header: Span, edits: &mut Vec<Edit>) {
    let mut at = header.start as usize;
    for field in Fields::new(header.of(message)) {
        let value = at + field.raw.len() - field.value.len();
        at += field.raw.len();
        if !field.is("content-transfer-encoding") {
            continue;
        }
        // In a comment too: which of them is the word, the reader of the field knows.
        let words = field.value.windows(BINARY.len()).enumerate();
        for (word, _) in words.filter(|(_, word)| word.eq_ignore_ascii_case(BINARY)) {
            let start = value + word;
            edits.push(Edit { range: start..start + BINARY.len(), text: b"base64".to_vec() });
        }
    }
}

fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end() as usize
}

/// Base64 in lines, each with its end.
fn encoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 3 * 4 + bytes.len() / (LINE / 4 * 3) * 2 + 8);
    for line in bytes.chunks(LINE / 4 * 3) {
        for group in line.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for place in 0..4 {
                let six = (bits >> (18 - 6 * place) & 63) as usize;
                let is_there = place <= group.len();
                out.push(if is_there { ALPHABET.get(six).copied().unwrap_or(b'=') } else { b'=' });
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

const BINARY: &[u8] = b"binary";
/// Characters of a line of base64, as in Cyrus.
const LINE: usize = 72;
/// Bytes of a line of a message: RFC 5322 section 2.1.1.
const LINE_MAX: usize = 998;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode_transfer;

    fn part(message: &[u8], path: &[u32]) -> (Vec<u8>, Vec<u8>) {
        let structure = Structure::parse(message);
        let part = structure.part(path).unwrap();
        let body = part.body.of(message);
        let encoding = part.content.encoding.as_deref().unwrap_or_default().to_vec();
        (encoding, decode_transfer(body, part.transfer_encoding()).into_owned())
    }

    const MIXED: &[u8] = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        --b\r\n\r\ntext\r\n--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding:\r\n Binary (as it is)\r\n\r\n\
        GIF\0\n\xff\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nplain\r\n--b--\r\n";

    #[test]
    fn a_binary_part_that_cannot_be_stored_is_put_in_base64_and_no_other() {
        let (stored, unfit) = without_binary(MIXED);
        assert_eq!(unfit, Unfit::default());
        assert_eq!(part(&stored, &[1]), (b"".to_vec(), b"text".to_vec()));
        assert_eq!(part(&stored, &[2]), (b"BASE64".to_vec(), b"GIF\0\n\xff".to_vec()));
        assert_eq!(part(&stored, &[3]), (b"BINARY".to_vec(), b"plain".to_vec()));
        let text = String::from_utf8(stored.into_owned()).unwrap();
        assert!(text.contains("Content-Transfer-Encoding:\r\n base64 (as it is)\r\n"), "{text}");
    }

    #[test]
    fn a_message_that_is_one_binary_part_is_put_in_base64() {
        let message =
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b";
        let (stored, unfit) = without_binary(message);
        assert_eq!((part(&stored, &[1]).1.as_slice(), unfit), (&b"a\0b"[..], Unfit::default()));
        assert!(stored.ends_with(b"\r\n\r\nYQBi\r\n"));
    }

    #[test]
    fn a_part_of_an_embedded_message_is_put_in_base64_too() {
        let message = b"Content-Type: message/rfc822\r\n\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\0";
        let (stored, unfit) = without_binary(message);
        assert_eq!(unfit, Unfit::default());
        assert_eq!(part(&stored, &[1, 1]).1, b"\0\0");
    }

    #[test]
    fn what_says_that_it_is_text_keeps_its_nul_and_is_told_of() {
        for message in [
            &b"A: 1\r\n\r\na\0b\r\n"[..],
            b"A: 1\0\r\nContent-Transfer-Encoding: binary\r\n\r\nab\r\n",
            b"Content-Type: multipart/mixed\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\r\n",
        ] {
            let (stored, unfit) = without_binary(message);
            assert_eq!(
                (&*stored, unfit),
                (message, Unfit { nul: true, bare: false }),
                "{}",
                message.escape_ascii()
            );
        }
        assert!(Unfit::of(b"a\nb").bare && Unfit::of(b"\n").bare && !Unfit::of(b"a\r\nb").bare);
    }

    #[test]
    fn a_message_without_such_bytes_stays_as_it_is() {
        let message = b"Content-Transfer-Encoding: binary\r\n\r\n\xc3\xa4 line\r\n";
        assert!(matches!(without_binary(message), (Cow::Borrowed(same), _) if same == message));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut message = b"Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n".to_vec();
            message.extend_from_slice(&body);
            let (stored, unfit) = without_binary(&message);
            prop_assert_eq!(unfit, Unfit::default());
            prop_assert_eq!(part(&stored, &[1]).1, body);
        }

        #[test]
        fn any_message_is_survived(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (stored, unfit) = without_binary(&message);
            prop_assert_eq!(unfit, Unfit::of(&stored));
        }
    }
}
