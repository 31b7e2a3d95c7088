//! The text of a message for SEARCH, as it is compared.
//!
//! Texts are compared without regard to case, to marks on letters (`search_skipdiacrit`) and to how many blanks and line ends stand
//! between two words (`search_whitespace: merge`), as Cyrus does by default. HTML is searched as it stands, markup and all
//! (`search_skiphtml: 0`). What cannot be read is not searched: a body in a transfer encoding that is not known, and bytes that
//! are no text of their charset.

use std::borrow::Cow;

use unicode_normalization::char::is_combining_mark;

use super::decode::{charset_text, decode_transfer};
use super::fold::casemap;
use super::words::searched_words;
use super::{Encoding, Fields, Kind, Part, Structure};

/// Counts the forms that texts have had here: what is kept of them is of no use once there is another one. It rises whenever
/// [`searched`], [`Structure::header_lines`] or [`Structure::body_texts`] gives something else for some message, be it by
/// another version of a library; a test notices most of that.
pub const SEARCH_FORM: u64 = 1;

/// A text as it is compared: two of them that are the same for SEARCH are the same bytes.
pub fn searched(text: &str) -> String {
    let folded = casemap(text);
    let mut out = String::with_capacity(folded.len());
    let mut blank = false;
    let mut push = |char: char| {
        let is_blank = char.is_whitespace();
        if !(is_blank && blank) {
            out.push(if is_blank { ' ' } else { char });
        }
        blank = is_blank;
    };
    match folded {
        Cow::Borrowed(text) => text.chars().for_each(&mut push),
        Cow::Owned(text) => text.chars().filter(|char| !is_combining_mark(*char)).for_each(&mut push),
    }
    out
}

/// The value of a header field, folds and encoded words and all.
pub fn field_text(value: &[u8]) -> String {
    searched_words(value)
}

impl Structure {
    /// The message's own header, decoded, a line for each field (SEARCH TEXT looks there too).
    pub fn header_lines(&self, message: &[u8]) -> String {
        header_lines(self.root.header.of(message))
    }

    /// What SEARCH BODY looks into: the texts, the headers of parts, and those of messages inside.
    pub fn body_texts(&self, message: &[u8]) -> Vec<String> {
        let mut texts = Vec::new();
        self.root.texts(message, &mut texts);
        texts
    }
}

impl Part {
    fn texts(&self, message: &[u8], texts: &mut Vec<String>) {
        let mut part = |part: &Part| {
            texts.push(header_lines(part.header.of(message)));
            part.texts(message, texts);
        };
        match &self.kind {
            // Nothing tells where its parts are: it is one text.
            Kind::Multipart(_) if self.content.boundary().is_none() => texts.push(self.text(message)),
            Kind::Multipart(parts) => parts.iter().for_each(part),
            Kind::Message(inner) => part(&inner.part),
            Kind::Leaf if self.content.is_text() || *self.content.media == *b"MESSAGE" => {
                texts.push(self.text(message))
            }
            Kind::Leaf => {}
        }
    }

    fn text(&self, message: &[u8]) -> String {
        let encoding = self.transfer_encoding();
        if encoding == Encoding::Unknown {
            return String::new();
        }
        let bytes = decode_transfer(self.body.of(message), encoding);
        charset_text(&bytes, self.content.parameter("CHARSET").unwrap_or_default())
    }
}

/// All fields of a header, decoded, a line each.
fn header_lines(header: &[u8]) -> String {
    let mut out = String::new();
    for field in Fields::new(header) {
        out.push_str(&String::from_utf8_lossy(field.name));
        out.push_str(if field.name.is_empty() { "" } else { ": " });
        out.push_str(&searched_words(field.value));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(message: &str) -> Vec<String> {
        let texts = Structure::parse(message.as_bytes()).body_texts(message.as_bytes());
        texts.iter().map(|text| searched(text)).collect()
    }

    fn finds(message: &str, text: &str) -> bool {
        body(message).iter().any(|found| found.contains(&searched(text)))
    }

    #[test]
    fn case_marks_and_blanks_do_not_matter() {
        for (one, other) in [
            ("Grüße", "GRUßE"),
            ("Café", "CAFE"),
            ("a  b\t\r\n c", "A B C"),
            ("ｆｕｌｌ", "full"),
            ("Ångström", "angstrom"),
            ("ΣΑΣ", "σας"),
            ("\u{a0}", " "),
        ] {
            assert_eq!(searched(one), searched(other), "{one}");
        }
        assert_ne!(searched("straße"), searched("strasse"));
        assert_ne!(searched("ab"), searched("a b"));
    }

    #[test]
    fn words_are_found_across_lines_and_folds() {
        assert!(finds("\r\none two \r\n\r\n  three\r\n", "two three"));
        assert_eq!(searched(&field_text(b" one\r\n two\r\n\tthree  four")), "ONE TWO THREE FOUR");
    }

    #[test]
    fn html_is_searched_as_it_stands() {
        let html = "Content-Type: text/html\r\n\r\n<p class=\"attr\">caf&eacute; <b>bo</b>ld</p>\r\n";
        assert!(finds(html, "attr") && finds(html, "<b>bo</b>ld") && finds(html, "&eacute;"));
        assert!(!finds(html, "bold") && !finds(html, "café"));
    }

    #[test]
    fn words_are_found_in_any_charset_and_in_none_that_the_decoder_made_up() {
        let of = |fields: &str, text: &str| format!("{fields}\r\n\r\n{text}\r\n");
        let quoted = "Content-Transfer-Encoding: quoted-printable";
        let latin =
            of(&format!("Content-Type: text/plain; charset=iso-8859-1\r\n{quoted}"), "gr=FC=DFe sp=\r\nlit");
        assert!(finds(&latin, "grüße split"));
        let none = of(quoted, "gr=FC=DFe");
        assert!(!finds(&none, "grüße") && finds(&none, "gr"));
        let unknown =
            of(&format!("Content-Type: text/plain; charset=x-unheard-of\r\n{quoted}"), "word gr=FC=DFe");
        assert!(finds(&unknown, "word") && !finds(&unknown, "grüße"));
        let utf8 = of(&format!("Content-Type: text/plain; charset=us-ascii\r\n{quoted}"), "gr=C3=BC=C3=9Fe");
        assert!(finds(&utf8, "grüße"));
        let encoding = of("Content-Transfer-Encoding: x-unheard-of", "word");
        assert!(!finds(&encoding, "word"));
        assert_eq!(field_text(b"=?x-unheard-of?q?word?= gr\xfc\xdfe"), "\u{fffd} gr\u{fffd}\u{fffd}e");
        assert_eq!(field_text("=?utf-8?q?b=C3=BC?= =?utf-8?q?ch?= bü".as_bytes()), "büch bü");
    }

    /// FNV-1a, 64 bits.
    fn hash(hash: u64, bytes: &[u8]) -> u64 {
        bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }

    #[test]
    fn a_text_that_gets_another_form_makes_indexes_of_it_useless() {
        let mut sum = 0xcbf2_9ce4_8422_2325;
        // Each character that there is, beside others: what becomes of it may depend on them.
        let chars: Vec<char> = ('\0'..='\u{323af}').chain('\u{e0000}'..='\u{e01ef}').collect();
        for some in chars.chunks(1000) {
            let text: String = some.iter().flat_map(|char| [*char, '\u{301}', ' ', *char]).collect();
            sum = hash(sum, searched(&text).as_bytes());
        }
        let bytes: Vec<u8> = (0..=255).chain(b"\x1b$B%F%9%H\x1b(B~{VPND~} +AOk- 1".iter().copied()).collect();
        for charset in [
            "",
            "us-ascii",
            "utf-8",
            "utf-7",
            "utf-16",
            "utf-16le",
            "iso-8859-1",
            "iso-8859-2",
            "iso-8859-5",
            "iso-8859-8-i",
            "iso-8859-15",
            "windows-1250",
            "windows-1251",
            "windows-1252",
            "windows-1255",
            "koi8-r",
            "koi8-u",
            "macintosh",
            "shift_jis",
            "euc-jp",
            "iso-2022-jp",
            "euc-kr",
            "gb2312",
            "gbk",
            "gb18030",
            "hz-gb-2312",
            "big5",
            "tis-620",
            "windows-874",
            "ibm866",
            "x-unheard-of",
        ] {
            sum = hash(sum, charset_text(&bytes, charset.as_bytes()).as_bytes());
            let encoded = format!("=?{charset}?q?a=E9=F0=81?= =?{charset}*en?B?gsmxoA==?= =?{charset}?x?y?=");
            sum = hash(sum, field_text(encoded.as_bytes()).as_bytes());
        }
        // Another sum: raise the first number.
        assert_eq!((SEARCH_FORM, format!("{sum:016x}")), (1, "eef89934763e5323".to_owned()));
    }

    #[test]
    fn headers_of_parts_and_messages_inside_are_body_and_the_messages_own_is_not() {
        let message = "Subject: own\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\
             Content-Description: described\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
             Subject: =?utf-8?q?inn=C3=A9r?=\r\n\r\ninside\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
             Action: failed\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\nbinary\r\n--b\r\n\r\nunclosed";
        for found in ["described", "one", "subject: inner", "inside", "action: failed", "unclosed"] {
            assert!(finds(message, found), "{found}");
        }
        for missing in ["own", "preamble", "binary"] {
            assert!(!finds(message, missing), "{missing}");
        }
        let structure = Structure::parse(message.as_bytes());
        assert!(
            structure
                .header_lines(message.as_bytes())
                .starts_with("Subject: own\nContent-Type: multipart/mixed;")
        );
        assert!(finds("Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nno boundary\r\n", "no boundary"));
    }
}
