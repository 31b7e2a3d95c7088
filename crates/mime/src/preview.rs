//! The preview of a message: RFC 8970. The beginning of its first text that says something, without markup, quoted lines
//! and superfluous blanks.

use mail_parser::decoders::html::html_to_text;

use super::fold::cut;
use super::{Kind, Part, Span, Structure, decode_transfer, to_utf8};

/// The texts of a message that are looked into for its preview, each no further than [`LONGEST_SOURCE`] bytes.
pub(super) fn sources(structure: &Structure) -> Vec<&Part> {
    let mut found = Vec::new();
    texts(&structure.root, &mut found);
    found
}

fn texts<'s>(part: &'s Part, found: &mut Vec<&'s Part>) {
    if found.len() >= MOST_SOURCES {
        return;
    }
    match &part.kind {
        Kind::Multipart(parts) => parts.iter().for_each(|part| texts(part, found)),
        Kind::Message(inner) => texts(&inner.part, found),
        Kind::Leaf if part.content.is_text() && !is_attachment(part) => found.push(part),
        Kind::Leaf => {}
    }
}

fn is_attachment(part: &Part) -> bool {
    part.content.disposition.as_ref().is_some_and(|disposition| *disposition.kind == *b"ATTACHMENT")
}

impl Structure {
    /// The preview, empty where no text says anything: at most [`LONGEST`] characters. `read` gives bytes of the message.
    pub fn preview<E>(&self, mut read: impl FnMut(Span) -> Result<bytes::Bytes, E>) -> Result<String, E> {
        for part in sources(self) {
            let span = Span { start: part.body.start, len: part.body.len.min(LONGEST_SOURCE) };
            let preview = beginning(part, &read(span)?);
            if !preview.is_empty() {
                return Ok(preview);
            }
        }
        Ok(String::new())
    }
}

/// The preview of a text part whose body begins with these bytes.
fn beginning(part: &Part, body: &[u8]) -> String {
    let bytes = decode_transfer(body, part.content.transfer_encoding());
    // Where what was read ends within a character, the rest is still UTF-8.
    let end = match std::str::from_utf8(&bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    let bytes = bytes.get(..end).unwrap_or_default();
    let text = to_utf8(bytes, part.content.parameter("CHARSET").unwrap_or_default());
    let text = match *part.content.subtype == *b"HTML" {
        true => html_to_text(&parted(&text)),
        false => text,
    };
    let own = squeezed(text.lines().take_while(|line| *line != SIGNATURE).filter(|line| !is_quoted(line)));
    // What was forwarded without a word says something too.
    if own.is_empty() { squeezed(text.lines().map(unquoted)) } else { own }
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

fn unquoted(line: &str) -> &str {
    line.trim_start_matches(['>', ' '])
}

/// Blanks, and what is as good as invisible, become one space; no more than a preview has.
fn squeezed<'t>(lines: impl Iterator<Item = &'t str>) -> String {
    let (mut out, mut count, mut blank) = (String::new(), 0, false);
    for char in lines.flat_map(|line| line.chars().chain(['\n'])) {
        if is_invisible(char) {
            continue;
        }
        if char.is_whitespace() || char.is_control() {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) && !out.is_empty() {
            out.push(' ');
            count += 1;
        }
        if count >= LONGEST {
            break;
        }
        out.push(char);
        count += 1;
    }
    // A character that the last byte that was read cut off.
    let out = out.trim_end_matches(char::REPLACEMENT_CHARACTER);
    cut(out, LONGEST_BYTES).trim_end().to_owned()
}

/// Zero-width characters, with which senders fill the line that a client shows.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// HTML with a blank before each tag that parts two texts.
fn parted(html: &str) -> String {
    let mut out = String::with_capacity(html.len() + html.len() / 8);
    for (at, piece) in html.split('<').enumerate() {
        if at > 0 {
            let tag = piece.strip_prefix('/').unwrap_or(piece);
            let end = tag.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(tag.len());
            let name = tag.get(..end).unwrap_or_default();
            if PARTING.iter().any(|parting| name.eq_ignore_ascii_case(parting)) {
                out.push(' ');
            }
            out.push('<');
        }
        out.push_str(piece);
    }
    out
}

const PARTING: [&str; 20] = [
    "address",
    "article",
    "blockquote",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "hr",
    "li",
    "ol",
    "p",
    "table",
    "td",
    "tr",
    "ul",
];
/// RFC 3676 section 4.3: what follows is not the message's.
const SIGNATURE: &str = "-- ";
/// Characters of a preview: RFC 8970 section 3.1.
const LONGEST: usize = 200;
const LONGEST_BYTES: usize = 800;
/// Bytes of a part that are looked into, and parts.
const LONGEST_SOURCE: u32 = 64 << 10;
const MOST_SOURCES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn preview(message: &str) -> String {
        let (structure, bytes) = (Structure::parse(message.as_bytes()), message.as_bytes());
        let read = |span: Span| Ok::<_, ()>(bytes::Bytes::copy_from_slice(span.of(bytes)));
        structure.preview(read).unwrap()
    }

    #[test]
    fn the_beginning_of_the_first_text_is_shown() {
        for (message, shown) in [
            ("\r\nHello\r\n\r\n  there,   Fred.\r\n", "Hello there, Fred."),
            ("Subject: x\r\n\r\n", ""),
            ("", ""),
            ("\r\n> quoted\r\nnot quoted\r\n >> this too\r\n-- \r\nFred\r\n", "not quoted"),
            ("\r\n> all\r\n> > of it\r\n", "all of it"),
            (
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=FC=DFe\r\n",
                "grüße",
            ),
            (
                "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+Ym9sZDwvYj4=\r\n",
                "bold",
            ),
            (
                "Content-Type: text/html\r\n\r\n<html><head><title>t</title><style>b { }</style></head><body><!-- no -->\
                 <div>one</div><div>two<br>three</div><td>fo&uuml;r</td>&nbsp;&zwnj;&nbsp;five<script>x()</script>\r\n",
                "one two three foür five",
            ),
            ("Content-Type: image/png\r\n\r\nabc\r\n", ""),
            (
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n--b\r\n\r\n \r\n\
                 --b\r\nContent-Type: text/html\r\n\r\n<p>yes\r\n--b--\r\n",
                "yes",
            ),
            ("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninside\r\n", "inside"),
        ] {
            assert_eq!(preview(message), shown, "{message}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(preview(&format!("\r\n{}", "ab ".repeat(3 << 20))), "ab ".repeat(67)[..200].trim_end());
        let wide =
            preview(&format!("Content-Type: text/plain; charset=utf-8\r\n\r\nx{}", "😀".repeat(100_000)));
        assert_eq!((wide.chars().count(), wide.len()), (200, 797));
        // 64 KiB end within the only character that is not blank.
        let cut = format!("Content-Type: text/plain; charset=utf-8\r\n\r\nx{}😀", " ".repeat((64 << 10) - 3));
        assert_eq!(preview(&cut), "x");
    }

    proptest! {
        #[test]
        fn any_text_has_a_preview_that_is_short_and_one_line(text in ".{0,500}", html in any::<bool>()) {
            let subtype = if html { "html" } else { "plain" };
            let shown = preview(&format!("Content-Type: text/{subtype}; charset=utf-8\r\n\r\n{text}"));
            prop_assert!(shown.chars().count() <= 200 && shown.len() <= 800);
            prop_assert!(!shown.contains(char::is_control) && shown.trim() == shown && !shown.contains("  "));
        }
    }
}
