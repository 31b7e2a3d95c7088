//! Header fields and bodies. RFC 5322, RFC 2047, RFC 2045.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mime::Address;

/// Writes a field whose value is text: beyond ASCII as encoded words, long ones folded at blanks.
pub fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut line = format!("{name}: ");
    let value = one_line(value);
    match is_plain(&value) {
        true => fold(&mut line, &value),
        false => encode(&mut line, &value),
    }
    line.push_str("\r\n");
    out.extend_from_slice(line.as_bytes());
}

/// Writes a field whose value is structure already: nothing is encoded, line ends and controls become blanks.
pub fn raw_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(format!("{name}: {}\r\n", one_line(value)).as_bytes());
}

/// An address of a script (`Fred <fred@a>`, `fred@a`): as a From field has it, and the bare address. None: it is not one address.
pub fn address(text: &str) -> Option<(String, String)> {
    if text.contains(char::is_control) {
        return None;
    }
    let list = Address::parse_list(text.trim().as_bytes());
    let [one] = list.as_slice() else { return None };
    let part = |raw: &Option<mime::Raw>| {
        let part = raw.as_ref().map(|raw| String::from_utf8_lossy(raw).into_owned());
        part.filter(|part| !part.is_empty())
    };
    let host = part(&one.host).filter(|host| text.contains('@') && is_domain(host))?;
    let bare = format!("{}@{host}", local_part(&part(&one.mailbox)?));
    let Some(name) = part(&one.name) else { return Some((bare.clone(), bare)) };
    let mut shown = String::new();
    match is_plain(&name) {
        true => shown.push_str(&quoted(&name)),
        false => encode(&mut shown, &name),
    }
    Some((format!("{shown} <{bare}>"), bare))
}

/// A body of text: the value of Content-Transfer-Encoding, and the body with CRLF. Text stays readable where its lines can be sent.
pub fn body(text: &str) -> (&'static str, Vec<u8>) {
    let body = with_crlf(text.as_bytes());
    let longest = body.split(|&byte| byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
    if longest > LINE || body.contains(&0) {
        return ("base64", base64_lines(&body));
    }
    (if body.is_ascii() { "7bit" } else { "8bit" }, body)
}

/// The bytes with CRLF where a line ends, and at their end.
pub fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    let mut before = 0;
    for &byte in bytes {
        if byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        if before == b'\r' && byte != b'\n' {
            out.push(b'\n');
        }
        out.push(byte);
        before = byte;
    }
    match before {
        b'\n' => {}
        b'\r' => out.push(b'\n'),
        _ => out.extend_from_slice(b"\r\n"),
    }
    out
}

/// Two addresses are the same one: letters' case does not count.
pub fn same_address(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// An address without its `+detail`.
pub fn without_detail(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').map_or((address, None), |(local, d)| (local, Some(d)));
    let user = local.split_once('+').map(|(user, _)| user).filter(|user| !user.is_empty()).unwrap_or(local);
    match domain {
        Some(domain) => format!("{user}@{domain}"),
        None => user.to_owned(),
    }
}

/// The text with blanks in place of line ends and other controls, of which a field must have none.
pub fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    flat.trim().to_owned()
}

pub(super) fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 3 / 2);
    for piece in bytes.chunks(57) {
        out.extend_from_slice(BASE64_STANDARD.encode(piece).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A domain, or an address in brackets (RFC 5321, section 4.1.3).
fn is_domain(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let label =
        |c: char| c.is_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii() && !c.is_whitespace();
    match inside {
        Some(literal) => literal.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-')),
        None => host.split('.').all(|one| !one.is_empty() && one.chars().all(label)),
    }
}

fn local_part(local: &str) -> String {
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || !c.is_ascii();
    let dots = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    match local.chars().all(atom) && dots {
        true => local.to_owned(),
        false => quoted(local),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Text that can stand as it is, and that nobody takes for an encoded word.
fn is_plain(text: &str) -> bool {
    text.is_ascii() && !text.contains("=?")
}

fn fold(line: &mut String, text: &str) {
    let mut width = line.len();
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            // A line of blanks alone ends nothing, but some take it for the header's end.
            let fold = !word.is_empty() && width + 1 + word.len() > WIDTH;
            line.push_str(if fold { "\r\n " } else { " " });
            width = if fold { 1 } else { width + 1 };
        }
        line.push_str(word);
        width += word.len();
    }
}

/// Encoded words of 75 characters at most, cut between characters.
fn encode(line: &mut String, text: &str) {
    let mut word = String::new();
    let mut first = true;
    let mut end = |word: &mut String, line: &mut String| {
        if !std::mem::take(&mut first) {
            line.push_str("\r\n ");
        }
        line.push_str(&format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(word.as_bytes())));
        word.clear();
    };
    for c in text.chars() {
        if word.len() + c.len_utf8() > ENCODED {
            end(&mut word, line);
        }
        word.push(c);
    }
    if !word.is_empty() {
        end(&mut word, line);
    }
}

/// RFC 5322 section 2.1.1: 998 without CRLF.
const LINE: usize = 998;
const WIDTH: usize = 78;
/// Octets of which the base64 fits into an encoded word beside a name of some length.
const ENCODED: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &str) -> String {
        let mut out = Vec::new();
        field(&mut out, "Subject", value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_beyond_ascii_is_encoded_and_long_text_folded() {
        assert_eq!(written("Auto: hello"), "Subject: Auto: hello\r\n");
        assert_eq!(written("Grüße"), "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n");
        assert_eq!(written("a\r\nBcc: b@c"), "Subject: a  Bcc: b@c\r\n");
        let long = written(&"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= WIDTH), "{long}");
    }

    #[test]
    fn one_address_is_read_and_nothing_else() {
        let read = |text: &str| address(text).map(|(shown, bare)| format!("{shown} / {bare}"));
        for (text, expected) in [
            ("fred@a.org", Some("fred@a.org / fred@a.org")),
            ("Fred <fred@a.org>", Some("\"Fred\" <fred@a.org> / fred@a.org")),
            ("\"Fr, ed\" <fred@a.org>", Some("\"Fr, ed\" <fred@a.org> / fred@a.org")),
            ("Frédé <f@a>", Some("=?UTF-8?B?RnLDqWTDqQ==?= <f@a> / f@a")),
            ("f@a\r\nBcc: x@y", None),
            ("a@b, c@d", None),
            ("fred", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn bodies_have_lines_that_mail_servers_take() {
        assert_eq!(body("a\nb"), ("7bit", b"a\r\nb\r\n".to_vec()));
        assert_eq!(body("ü\r\n").0, "8bit");
        assert_eq!(body(&"x".repeat(999)).0, "base64");
        assert_eq!(with_crlf(b"a\rb\r\nc\n"), b"a\r\nb\r\nc\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_is_one_field(value in "[ -~äß漢\r\n]{0,120}") {
            let line = written(&value);
            let fields: Vec<_> = mime::Fields::new(line.as_bytes()).collect();
            prop_assert_eq!(fields.len(), 1, "{}", line);
            // RFC 2047: no line with an encoded word is longer.
            prop_assert!(!line.contains("=?UTF-8") || line.lines().all(|line| line.len() <= 76));
            if !is_plain(&value) {
                prop_assert_eq!(mime::header_text(fields[0].value), one_line(&value));
            }
        }
    }
}
