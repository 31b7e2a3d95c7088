//! Header values as text: folds removed, encoded words decoded. RFC 2047.
//!
//! ```text
//! encoded-word = "=?" charset ["*" language] "?" ("B" / "Q") "?" encoded-text "?="
//! ```
//!
//! There are two readings. Who shows or sorts a header wants as much of it as there is ([`header_text`]); who searches it wants
//! nothing that is not there ([`searched_words`]).
//!
//! Blanks between two encoded words are not shown. What is no encoded word after all stands as it is.

use std::borrow::Cow;

use super::Encoding;
use super::decode::{charset_text, decode_transfer, knows_charset, to_utf8};

/// A header value with folds removed and encoded words decoded, without blanks around it. Text of a charset that is not
/// known is left encoded.
pub fn header_text(value: &[u8]) -> String {
    read(value, Reading { text: to_utf8, unknown: Unknown::Encoded })
}

/// The same for tests of scripts, which compare what stands in a word of a charset that is not known, and not the word.
pub fn decoded_text(value: &[u8]) -> String {
    read(value, Reading { text: to_utf8, unknown: Unknown::Guessed })
}

/// The same for SEARCH: bytes that are no text, and words of a charset that is not known, become U+FFFD.
pub(super) fn searched_words(value: &[u8]) -> String {
    read(value, Reading { text: charset_text, unknown: Unknown::Lost })
}

/// How bytes become text.
#[derive(Clone, Copy)]
struct Reading {
    /// Text of a charset.
    text: fn(&[u8], &[u8]) -> String,
    unknown: Unknown,
}

/// What becomes of an encoded word of a charset that is not known.
#[derive(Clone, Copy, PartialEq)]
enum Unknown {
    /// It stays as it is.
    Encoded,
    /// Its bytes are read as those of plain text are.
    Guessed,
    /// U+FFFD stands for it.
    Lost,
}

fn read(value: &[u8], reading: Reading) -> String {
    let flat = unfolded(value);
    let flat = flat.trim_ascii();
    let mut text = Text { out: String::new(), open: None, reading };
    let (mut rest, mut plain) = (flat, flat);
    while let Some(at) = rest.windows(2).position(|pair| pair == b"=?") {
        let from = rest.get(at..).unwrap_or_default();
        let word = Word::take(from);
        let known = word
            .as_ref()
            .is_some_and(|(word, _)| knows_charset(word.charset) || reading.unknown != Unknown::Encoded);
        match word.filter(|_| known) {
            Some((word, after)) => {
                text.plain(plain.get(..plain.len() - from.len()).unwrap_or_default());
                text.word(word);
                (rest, plain) = (after, after);
            }
            None => rest = from.get(2..).unwrap_or_default(),
        }
    }
    text.plain(plain);
    text.end();
    text.out
}

/// Without line ends.
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    match value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        false => Cow::Borrowed(value),
        true => Cow::Owned(value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()),
    }
}

struct Word<'v> {
    charset: &'v [u8],
    bytes: Vec<u8>,
}

impl<'v> Word<'v> {
    /// The encoded word that `text` begins with, and what follows it.
    fn take(text: &'v [u8]) -> Option<(Word<'v>, &'v [u8])> {
        let text = text.strip_prefix(b"=?")?;
        // A charset's name is short, and an encoded word has 75 bytes by the standard: a search for its parts ends.
        let end = text.iter().take(LONGEST_CHARSET).position(|&byte| byte == b'?')?;
        let (charset, rest) = (&text[..end], &text[end + 1..]);
        let charset = charset.split(|&byte| byte == b'*').next().unwrap_or(charset);
        let (how, rest) = rest.split_first()?;
        let rest = rest.strip_prefix(b"?")?;
        let end = rest.iter().take(LONGEST_WORD).position(|&byte| byte == b'?')?;
        let (encoded, rest) = rest.split_at(end);
        let rest = rest.strip_prefix(b"?=")?;
        let bytes = match how {
            b'B' | b'b' => decode_transfer(encoded, Encoding::Base64).into_owned(),
            b'Q' | b'q' => unquote(encoded),
            _ => return None,
        };
        Some((Word { charset, bytes }, rest))
    }
}

/// The Q encoding.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
                out.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Text under way.
struct Text<'v> {
    reading: Reading,
    out: String,
    /// Bytes of encoded words that are not converted yet: a character may begin in one and end in the next.
    open: Option<(&'v [u8], Vec<u8>)>,
}

impl<'v> Text<'v> {
    fn plain(&mut self, text: &[u8]) {
        if text.is_empty() || self.open.is_some() && text.trim_ascii().is_empty() {
            return;
        }
        self.end();
        self.out.push_str(&(self.reading.text)(text, b""));
    }

    fn word(&mut self, word: Word<'v>) {
        match &mut self.open {
            Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) => {
                bytes.extend_from_slice(&word.bytes);
            }
            _ => {
                self.end();
                self.open = Some((word.charset, word.bytes));
            }
        }
    }

    fn end(&mut self) {
        if let Some((charset, bytes)) = self.open.take() {
            match self.reading.unknown {
                Unknown::Lost if !knows_charset(charset) => self.out.push('\u{fffd}'),
                Unknown::Guessed if !knows_charset(charset) => {
                    self.out.push_str(&(self.reading.text)(&bytes, b""));
                }
                _ => self.out.push_str(&(self.reading.text)(&bytes, charset)),
            }
        }
    }
}

const LONGEST_CHARSET: usize = 80;
/// Bytes of encoded text. Senders write longer ones than 75.
const LONGEST_WORD: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 2047 section 8, and what senders make of it.
    #[test]
    fn encoded_words_are_read_as_senders_mean_them() {
        for (value, text) in [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            ("=?utf-8*de?q?gr=C3=BC=C3=9Fe?= an alle", "grüße an alle"),
            ("=?utf-8?b?Z3LD?= =?UTF-8?b?vMOfZQ==?=", "grüße"),
            ("a =?utf-8?q?b c?= d", "a b c d"),
            ("=?utf-8?x?abc?= =?utf-8?q?open", "=?utf-8?x?abc?= =?utf-8?q?open"),
            ("=?x-unheard-of?q?abc?=", "=?x-unheard-of?q?abc?="),
            ("=?utf-8?q?a=3?=", "a=3"),
            (" plain \r\n  text ", "plain   text"),
            ("==?us-ascii?q?a?=?=", "=a?="),
        ] {
            assert_eq!(header_text(value.as_bytes()), text, "{value}");
        }
    }
}
