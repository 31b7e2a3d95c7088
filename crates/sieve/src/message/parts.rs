//! The MIME parts of a message, decoded.

use std::borrow::Cow;

use mime::{Kind, Part, Structure, decode_transfer, to_utf8};

/// The place of a part: for each multipart or message around it, which of the parts in it. The message itself has an empty one.
pub type Path = Vec<u32>;

/// All parts in the order in which they stand in the message, each before those in it, the message itself first. With their
/// places. A multipart's and a message's own parts come behind it.
pub fn all(structure: &Structure) -> Vec<(Path, &Part)> {
    below(&structure.root, Path::new())
}

/// A part, and those in it.
pub fn below(part: &Part, path: Path) -> Vec<(Path, &Part)> {
    let mut found = Vec::new();
    let mut open = vec![(path, part)];
    while let Some((path, part)) = open.pop() {
        let inside = children(part);
        for (at, child) in inside.iter().enumerate().rev() {
            let mut place = path.clone();
            place.push(u32::try_from(at).unwrap_or(u32::MAX));
            open.push((place, child));
        }
        found.push((path, part));
    }
    found
}

/// The parts right in it.
pub fn children(part: &Part) -> Vec<&Part> {
    match &part.kind {
        Kind::Leaf => Vec::new(),
        Kind::Multipart(parts) => parts.iter().collect(),
        Kind::Message(inner) => vec![&inner.part],
    }
}

/// The part at a place.
pub fn at<'s>(structure: &'s Structure, path: &[u32]) -> Option<&'s Part> {
    let mut part = &structure.root;
    for &number in path {
        part = children(part).into_iter().nth(usize::try_from(number).ok()?)?;
    }
    Some(part)
}

/// `type/subtype` in lower case.
pub fn media_type(part: &Part) -> String {
    let text = |raw: &[u8]| String::from_utf8_lossy(raw).to_ascii_lowercase();
    format!("{}/{}", text(&part.content.media), text(&part.content.subtype))
}

/// The body of a leaf without its transfer encoding; of a text, in UTF-8.
pub fn decoded<'m>(part: &Part, message: &'m [u8]) -> Cow<'m, str> {
    let bytes = decode_transfer(part.body.of(message), part.transfer_encoding());
    let charset = match part.content.is_text() {
        true => part.content.parameter("CHARSET").unwrap_or_default(),
        false => b"",
    };
    match bytes {
        Cow::Borrowed(bytes) if charset_is_plain(charset) && std::str::from_utf8(bytes).is_ok() => {
            String::from_utf8_lossy(bytes)
        }
        bytes => Cow::Owned(to_utf8(&bytes, charset)),
    }
}

fn charset_is_plain(charset: &[u8]) -> bool {
    [&b""[..], b"us-ascii", b"utf-8"].iter().any(|plain| charset.eq_ignore_ascii_case(plain))
}

/// What of a multipart stands before its first part and behind its last one: the prologue and the epilogue, without boundaries.
pub fn around(part: &Part, message: &[u8]) -> (String, String) {
    let Kind::Multipart(parts) = &part.kind else { return Default::default() };
    let body = part.body.of(message);
    let start = part.body.start as usize;
    let place = |at: u32| (at as usize).saturating_sub(start).min(body.len());
    let Some(boundary) = part.content.parameter("BOUNDARY").filter(|boundary| !boundary.is_empty()) else {
        return (to_utf8(body, b""), String::new());
    };
    let marker = [b"--".as_slice(), boundary.trim_ascii_end()].concat();
    let first = parts.first().map_or(body.len(), |part| place(part.header.start.min(part.body.start)));
    let last = parts.last().map_or(body.len(), |part| place(part.header.end().max(part.body.end())));
    let before = body.get(..first).unwrap_or_default();
    let prologue = match find_line(before, &marker) {
        Some(at) => before.get(..at).unwrap_or_default(),
        None => before,
    };
    let after = body.get(last..).unwrap_or_default();
    let epilogue = find_line(after, &marker).and_then(|at| {
        let rest = after.get(at..)?;
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        rest.get(end + 1..)
    });
    (to_utf8(prologue, b""), to_utf8(epilogue.unwrap_or_default(), b""))
}

/// Where the first line begins that starts with `marker`.
fn find_line(text: &[u8], marker: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(marker) {
            return Some(at);
        }
        at += line.len();
    }
    None
}
