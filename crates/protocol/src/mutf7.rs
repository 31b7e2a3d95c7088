//! Modified UTF-7, the coding of mailbox names (RFC 3501 section 5.1.3).

use base64::engine::{Engine, general_purpose::GeneralPurpose, general_purpose::NO_PAD};

/// UTF-8 to modified UTF-7. Printable ASCII stands for itself, `&` becomes `&-`.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run: Vec<u8> = Vec::new();
    let flush = |run: &mut Vec<u8>, out: &mut String| {
        if !run.is_empty() {
            out.push('&');
            ENGINE.encode_string(&run[..], out);
            out.push('-');
            run.clear();
        }
    };
    for c in text.chars() {
        match c {
            '&' => {
                flush(&mut run, &mut out);
                out.push_str("&-");
            }
            ' '..='~' => {
                flush(&mut run, &mut out);
                out.push(c);
            }
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    run.extend_from_slice(&unit.to_be_bytes());
                }
            }
        }
    }
    flush(&mut run, &mut out);
    out
}

/// Modified UTF-7 to UTF-8; `None` where the text is not well formed: 8-bit or control bytes, a shift that is not
/// closed, bad base64, non-zero padding bits, lone surrogates, ASCII or an empty run inside base64, or two shifts
/// side by side (which one encoder could have written as one).
pub fn decode(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut shifted = false;
    while let Some(c) = rest.chars().next() {
        match c {
            '&' => {
                let (run, after) = rest.get(1..)?.split_once('-')?;
                rest = after;
                if run.is_empty() {
                    out.push('&');
                    shifted = false;
                    continue;
                }
                if shifted {
                    return None;
                }
                out.push_str(&decode_run(run)?);
                shifted = true;
            }
            ' '..='~' => {
                out.push(c);
                rest = rest.get(1..)?;
                shifted = false;
            }
            _ => return None,
        }
    }
    Some(out)
}

fn decode_run(run: &str) -> Option<String> {
    let bytes = ENGINE.decode(run).ok()?;
    if bytes.is_empty() || bytes.len() % 2 != 0 {
        return None;
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let text = char::decode_utf16(units).collect::<Result<String, _>>().ok()?;
    (!text.chars().any(|c| (' '..='~').contains(&c) || c == '\0')).then_some(text)
}

/// The alphabet of RFC 3501: `,` for `/`, no padding; trailing bits must be zero.
const ENGINE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::IMAP_MUTF7, NO_PAD);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_names() {
        assert_eq!(encode("Entwürfe"), "Entw&APw-rfe");
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(encode("Tom & Jerry"), "Tom &- Jerry");
        for bad in ["&", "&Jjo", "&Jjo!", "&U,BTFw-&ZeVnLIqe-", "&AGE-", "ü", "&APx-", "&2AA-", "a\tb"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes(text in "[ -~äöü日本\u{1f600}&]{0,40}") {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn decoding_never_panics_and_is_canonical(text in ".{0,60}") {
            if let Some(plain) = decode(&text) {
                prop_assert_eq!(encode(&plain), text);
            }
        }
    }
}
