//! Undoing transfer encodings and charsets. Lenient: what is broken is skipped or replaced, never refused, since the
//! result is searched, not stored.

use super::content::Encoding;
use mail_parser::decoders::charsets::map::charset_decoder;
use std::borrow::Cow;

/// The bytes of a body without its transfer encoding. An unknown encoding is left as it is.
pub fn decode_transfer(body: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Identity | Encoding::Unknown => Cow::Borrowed(body),
        Encoding::Base64 => Cow::Owned(base64(body)),
        Encoding::QuotedPrintable => Cow::Owned(quoted_printable(body)),
    }
}

/// Text of a charset as UTF-8. An unknown charset is read as UTF-8, and what is not UTF-8 as Windows-1252.
pub fn to_utf8(text: &[u8], charset: &[u8]) -> String {
    if !is_plain(charset)
        && let Some(decode) = charset_decoder(charset)
    {
        return decode(text);
    }
    match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => charset_decoder(b"windows-1252")
            .map_or_else(|| String::from_utf8_lossy(text).into_owned(), |decode| decode(text)),
    }
}

/// Text of a charset as UTF-8, and nothing that it does not say: a byte that is no text of the charset, or not ASCII where the
/// charset is not known, becomes U+FFFD. UTF-8 is read where ASCII or nothing is named.
pub(super) fn charset_text(text: &[u8], charset: &[u8]) -> String {
    let charset = charset.trim_ascii();
    if is_plain(charset) {
        return String::from_utf8_lossy(text).into_owned();
    }
    match charset_decoder(charset) {
        Some(decode) => decode(text),
        None => text
            .iter()
            .map(|&byte| if byte.is_ascii() { byte as char } else { char::REPLACEMENT_CHARACTER })
            .collect(),
    }
}

/// Whether text of a charset can be read.
pub fn knows_charset(charset: &[u8]) -> bool {
    is_plain(charset) || charset_decoder(charset).is_some()
}

fn is_plain(charset: &[u8]) -> bool {
    let plain = [b"us-ascii".as_slice(), b"utf-8", b"utf8", b"ascii", b""];
    plain.iter().any(|name| charset.eq_ignore_ascii_case(name))
}

fn base64(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for &byte in body {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                // Padding ends a piece; some senders concatenate several.
                (bits, held) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|&b| b == b'\n') {
        let text = line.trim_ascii_end();
        let end = &line[line.len() - line.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count()..];
        let soft = text.ends_with(b"=");
        let mut rest = if soft { &text[..text.len() - 1] } else { text };
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match (byte, hex_pair(tail)) {
                (b'=', Some(value)) => {
                    out.push(value);
                    rest = &tail[2..];
                }
                _ => out.push(byte),
            }
        }
        if !soft {
            out.extend_from_slice(end);
        }
    }
    out
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |b: u8| (b as char).to_digit(16);
    match text {
        [high, low, ..] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_encodings_are_undone() {
        let decode = |body: &[u8], encoding| decode_transfer(body, encoding).into_owned();
        assert_eq!(decode(b"SGVs\r\nbG8=\r\n", Encoding::Base64), b"Hello");
        assert_eq!(decode(b"SGVs!bG8", Encoding::Base64), b"Hello");
        assert_eq!(decode(b"a=3Db=\r\nc =20 \r\nd=\n=4", Encoding::QuotedPrintable), b"a=bc  \r\nd=4");
    }

    #[test]
    fn charsets_become_utf8() {
        assert_eq!(to_utf8(b"gr\xfc\xdfe", b"iso-8859-1"), "grüße");
        assert_eq!(to_utf8("grüße".as_bytes(), b"us-ascii"), "grüße");
        assert_eq!(to_utf8(b"gr\xfc\xdfe", b"x-unheard-of"), "grüße");
        assert_eq!(to_utf8(b"\x1b$B%F%9%H\x1b(B", b"ISO-2022-JP"), "テスト");
    }
}
