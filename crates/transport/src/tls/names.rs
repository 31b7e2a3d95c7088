//! The names in an X.509 certificate (RFC 5280 section 4.1): subject common name, and DNS and mail alternative names.
//!
//! The chain was verified by rustls before; this only walks the DER of a trusted certificate, and gives nothing
//! where the bytes are not as expected.

/// The subject's common name; the last one where there are several (the most specific).
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let fields = tbs_fields(certificate)?;
    let subject = fields.get(SUBJECT)?;
    let mut found = None;
    for set in elements(subject.body) {
        for attribute in elements(set.body) {
            let mut parts = elements(attribute.body);
            let (kind, value) = (parts.next()?, parts.next()?);
            if kind.tag == OBJECT_ID && kind.body == OID_COMMON_NAME {
                found = text(&value).or(found);
            }
        }
    }
    found
}

/// The subject's alternative names that are DNS names or mail addresses, in order.
pub(super) fn alternative_names(certificate: &[u8]) -> Vec<String> {
    let Some(fields) = tbs_fields(certificate) else { return Vec::new() };
    let Some(extensions) = fields.iter().find(|field| field.tag == EXTENSIONS) else { return Vec::new() };
    let mut names = Vec::new();
    for extension in elements(extensions.body).flat_map(|list| elements(list.body)) {
        let parts: Vec<Element<'_>> = elements(extension.body).collect();
        let is_alt_name =
            parts.first().is_some_and(|kind| kind.tag == OBJECT_ID && kind.body == OID_ALT_NAME);
        let Some(value) = parts.last().filter(|value| is_alt_name && value.tag == OCTETS) else { continue };
        let general = elements(value.body).flat_map(|list| elements(list.body));
        names.extend(
            general
                .filter(|name| name.tag == MAIL_NAME || name.tag == DNS_NAME)
                .filter_map(|name| std::str::from_utf8(name.body).ok().map(str::to_owned)),
        );
    }
    names
}

/// The times between which a certificate holds, in seconds since 1970.
pub(super) fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let fields = tbs_fields(certificate)?;
    let mut times = elements(fields.get(VALIDITY)?.body).map(|element| seconds(&element));
    Some((times.next()??, times.next()??))
}

/// UTCTime (`YYMMDDhhmmssZ`, the years from 1950 to 2049) or GeneralizedTime (`YYYYMMDDhhmmssZ`): section 4.1.2.5.
fn seconds(time: &Element<'_>) -> Option<u64> {
    let text = std::str::from_utf8(time.body).ok()?.strip_suffix('Z')?;
    let number = |at: usize, length: usize| text.get(at..at + length)?.parse::<u64>().ok();
    let (year, rest) = match time.tag {
        UTC_TIME => (number(0, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        GENERALIZED_TIME => (number(0, 4)?, 4),
        _ => return None,
    };
    let field = |index: usize| number(rest + 2 * index, 2);
    let days = days_since_1970(year, field(0)?, field(1)?)?;
    Some(days * 86_400 + field(2)? * 3600 + field(3)? * 60 + field(4)?)
}

/// Days of a date since 1970-01-01; none before it.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date =
        time::Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    u64::try_from(date.to_julian_day() - EPOCH).ok()
}

/// The Julian day of 1970-01-01.
const EPOCH: i32 = 2_440_588;

/// The fields of the to-be-signed part, without the optional version, so that the subject has a fixed place.
fn tbs_fields(certificate: &[u8]) -> Option<Vec<Element<'_>>> {
    let outer = elements(certificate).next().filter(|element| element.tag == SEQUENCE)?;
    let tbs = elements(outer.body).next().filter(|element| element.tag == SEQUENCE)?;
    Some(elements(tbs.body).filter(|field| field.tag != VERSION).collect())
}

fn text(value: &Element<'_>) -> Option<String> {
    match value.tag {
        UTF8 | PRINTABLE | IA5 | TELETEX => std::str::from_utf8(value.body).ok().map(str::to_owned),
        BMP => {
            let units: Vec<u16> =
                value.body.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

struct Element<'a> {
    tag: u8,
    body: &'a [u8],
}

/// The elements that follow each other in `bytes`, up to the first that is not well formed.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = element(bytes)?;
        bytes = rest;
        Some(element)
    })
}

fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (body, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, body }, rest))
}

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const TELETEX: u8 = 0x14;
const IA5: u8 = 0x16;
const BMP: u8 = 0x1e;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const MAIL_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// serialNumber, signature, issuer, validity, subject
const VALIDITY: usize = 3;
const SUBJECT: usize = 4;
const OID_COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const OID_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A certificate's skeleton: SEQUENCE { SEQUENCE { [0], serial, algorithm, issuer, validity, subject } }.
    fn certificate(subject: &[u8]) -> Vec<u8> {
        let element = |tag: u8, body: &[u8]| {
            let mut bytes = vec![tag, 0x82];
            bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
            bytes.extend(body);
            bytes
        };
        let empty = element(SEQUENCE, b"");
        let fields =
            [&element(VERSION, b"\x02\x01\x02"), &empty, &empty, &empty, &empty, &element(SEQUENCE, subject)];
        element(SEQUENCE, &element(SEQUENCE, &fields.map(Vec::as_slice).concat()))
    }

    #[test]
    fn the_last_common_name_counts() {
        let subject =
            b"\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01a\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x13\x01b";
        assert_eq!(common_name(&certificate(subject)).as_deref(), Some("b"));
        assert_eq!(common_name(&certificate(b"")), None);
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let at = |tag, text: &str| seconds(&Element { tag, body: text.as_bytes() });
        assert_eq!(at(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(at(UTC_TIME, "000229000000Z"), Some(951_782_400));
        assert_eq!(at(GENERALIZED_TIME, "20241231235959Z"), Some(1_735_689_599));
        for (tag, text) in
            [(UTC_TIME, "000229000000"), (UTC_TIME, "001329000000Z"), (4, "000229000000Z"), (UTC_TIME, "Z")]
        {
            assert_eq!(at(tag, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (common_name(&bytes), alternative_names(&bytes), validity(&bytes));
            let inside = certificate(bytes.as_slice());
            let _ = (common_name(&inside), alternative_names(&inside));
        }
    }
}
