//! What names a message and a mailbox wherever they are.

use std::fmt;

use crate::grammar::{Cursor, ParseError, Parsed};

use super::dlist;

/// A message's GUID: SHA-1 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 20]);

impl Guid {
    /// 40 hexadecimal digits, as a value of a dlist.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Guid> {
        let (rest, text) = dlist::text(at)?;
        Ok((rest, Guid::from_hex(&text).ok_or(ParseError::Invalid("GUID"))?))
    }

    pub fn from_hex(text: &[u8]) -> Option<Guid> {
        hex(text).map(Guid)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// So many bytes, two hexadecimal digits each.
pub(super) fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = [digits.first()?, digits.get(1)?].map(|digit| char::from(*digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(bytes)
}

/// A mailbox's id, which names its directory: nothing in it can lead out of one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UniqueId(String);

impl UniqueId {
    /// 1 to 64 letters, digits and hyphens.
    pub fn new(text: &str) -> Option<UniqueId> {
        let fit =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        fit.then(|| UniqueId(text.to_owned()))
    }

    pub fn parse(at: Cursor<'_>) -> Parsed<'_, UniqueId> {
        let (rest, text) = dlist::text(at)?;
        let id = str::from_utf8(&text).ok().and_then(UniqueId::new);
        Ok((rest, id.ok_or(ParseError::Invalid("unique id"))?))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UniqueId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Limits;

    #[test]
    fn no_unique_id_leads_out_of_its_directory() {
        for good in ["7c9ee58d-63a5-4a2e-9c1f-0a1b2c3d4e5f", "2bakz8xxq8q9nmtfx", "A"] {
            assert_eq!(UniqueId::new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(65);
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", "a.b", "a b", "a\0b", "ä", "a%2f", &long] {
            assert_eq!(UniqueId::new(bad), None, "{bad:?}");
            let mut text = Vec::new();
            dlist::Writer::command(&mut text).text(bad);
            assert!(Cursor::new(text.trim_ascii(), Limits::NONE).read(UniqueId::parse).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_guid_has_forty_digits() {
        let text = b"0123456789abcdef0123456789ABCDEF01234567";
        let guid = Guid::from_hex(text).unwrap();
        assert_eq!(guid.to_string().as_bytes(), text.to_ascii_lowercase());
        for bad in [&text[1..], b"", b"0123456789abcdef0123456789abcdef0123456g"] {
            assert_eq!(Guid::from_hex(bad), None);
        }
    }
}
