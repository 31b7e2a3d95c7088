//! What a server says, written.

use super::lex::{put_string, put_text};
use super::position::Position;

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub kind: Kind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ok,
    No,
    Bad,
}

impl Reply {
    pub fn ok(text: impl Into<String>) -> Self {
        Reply { kind: Kind::Ok, text: text.into() }
    }

    pub fn no(text: impl Into<String>) -> Self {
        Reply { kind: Kind::No, text: text.into() }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Reply { kind: Kind::Bad, text: text.into() }
    }

    pub fn put(&self, out: &mut Vec<u8>, tag: &str) {
        let word = match self.kind {
            Kind::Ok => "OK",
            Kind::No => "NO",
            Kind::Bad => "BAD",
        };
        out.extend_from_slice(tag.as_bytes());
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        put_text(out, &self.text);
        out.extend_from_slice(b"\r\n");
    }
}

/// The first lines of a server, and again those after STARTTLS.
#[derive(Debug, Clone)]
pub struct Banner<'a> {
    pub mechanisms: &'a [&'a str],
    pub starttls: bool,
    pub compress: bool,
    pub servername: &'a str,
    pub version: &'a str,
    /// What it knows beyond RFC 3656 and Cyrus: words of ours.
    pub extensions: &'a [&'a str],
    /// `(master)`, or `mupdate://` and the server that a slave follows.
    pub role: &'a str,
}

impl Banner<'_> {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* AUTH");
        for mechanism in self.mechanisms {
            out.extend_from_slice(format!(" \"{mechanism}\"").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        if self.starttls {
            out.extend_from_slice(b"* STARTTLS\r\n");
        }
        if self.compress {
            // Quoted as Cyrus does: its own clients then do not take it up, and have never been seen to work if they did.
            out.extend_from_slice(b"* COMPRESS \"DEFLATE\"\r\n");
        }
        out.extend_from_slice(b"* PARTIAL-UPDATE\r\n");
        out.extend_from_slice(b"* MURDER");
        for extension in self.extensions {
            out.extend_from_slice(format!(" \"{extension}\"").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(b"* OK MUPDATE");
        for text in [self.servername, "Cyrus IMAP", self.version, self.role] {
            out.push(b' ');
            put_text(out, text);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// `tag MAILBOX name location acl`
pub fn put_mailbox(out: &mut Vec<u8>, tag: &str, name: &str, location: &str, acl: &str) {
    put_data(out, tag, "MAILBOX", &[name, location, acl]);
}

/// `tag RESERVE name location`
pub fn put_reserve(out: &mut Vec<u8>, tag: &str, name: &str, location: &str) {
    put_data(out, tag, "RESERVE", &[name, location]);
}

/// `tag DELETE name`
pub fn put_delete(out: &mut Vec<u8>, tag: &str, name: &str) {
    put_data(out, tag, "DELETE", &[name]);
}

/// Extension: `tag FULL`
pub fn put_full(out: &mut Vec<u8>, tag: &str) {
    put_data(out, tag, "FULL", &[]);
}

/// Extension: `tag POSITION "id:term:seq"`
pub fn put_position(out: &mut Vec<u8>, tag: &str, position: Position) {
    put_data(out, tag, "POSITION", &[&position.to_string()]);
}

/// Extension: `tag STATUS {n+}json`
pub fn put_status(out: &mut Vec<u8>, tag: &str, json: &str) {
    put_data(out, tag, "STATUS", &[json]);
}

/// Extension: `tag SERVER server "cordoned" "epoch seconds"`, or `tag SERVER server "open"`
pub fn put_server(out: &mut Vec<u8>, tag: &str, server: &str, cordoned: Option<u64>) {
    match cordoned {
        Some(since) => put_data(out, tag, "SERVER", &[server, "cordoned", &since.to_string()]),
        None => put_data(out, tag, "SERVER", &[server, "open"]),
    }
}

/// For tools: `tag ENTRY {n+}line of a dump`
pub fn put_dumped(out: &mut Vec<u8>, tag: &str, line: &str) {
    put_data(out, tag, "ENTRY", &[line]);
}

/// `* BYE "reason"`
pub fn put_bye(out: &mut Vec<u8>, reason: &str) {
    out.extend_from_slice(b"* BYE ");
    put_text(out, reason);
    out.extend_from_slice(b"\r\n");
}

fn put_data(out: &mut Vec<u8>, tag: &str, word: &str, fields: &[&str]) {
    let start = out.len();
    out.extend_from_slice(tag.as_bytes());
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
    for field in fields {
        out.push(b' ');
        put_string(out, start, field.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mupdate::response::{Body, Response};

    #[test]
    fn a_banner_has_cyruss_lines_in_cyruss_order() {
        let mut out = Vec::new();
        let banner = Banner {
            mechanisms: &["SCRAM-SHA-256", "PLAIN"],
            starttls: true,
            compress: true,
            servername: "mupdate.example.org",
            version: "murder-0.1.0",
            extensions: &["RESUME", "FENCE"],
            role: "(master)",
        };
        banner.put(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "* AUTH \"SCRAM-SHA-256\" \"PLAIN\"\r\n* STARTTLS\r\n* COMPRESS \"DEFLATE\"\r\n* PARTIAL-UPDATE\r\n\
             * MURDER \"RESUME\" \"FENCE\"\r\n\
             * OK MUPDATE \"mupdate.example.org\" \"Cyrus IMAP\" \"murder-0.1.0\" \"(master)\"\r\n"
        );
    }

    #[test]
    fn a_server_that_is_cordoned_or_open_again_is_read_as_it_is_written() {
        for (cordoned, line) in [
            (Some(1_700_000_000), "U01 SERVER \"be1\" \"cordoned\" \"1700000000\"\r\n"),
            (None, "U01 SERVER \"be1\" \"open\"\r\n"),
        ] {
            let mut out = Vec::new();
            put_server(&mut out, "U01", "be1", cordoned);
            assert_eq!(str::from_utf8(&out).unwrap(), line);
            let read = Response::parse(&out).unwrap().body;
            assert_eq!(read, Body::Server { name: "be1".into(), cordoned });
        }
    }

    #[test]
    fn what_cannot_be_quoted_is_a_literal() {
        let mut out = Vec::new();
        let long = "x".repeat(990);
        put_mailbox(&mut out, "U01", "user.a", "be1!p", &long);
        assert!(out.starts_with(b"U01 MAILBOX \"user.a\" \"be1!p\" {990+}\r\nxxx"));
        let body = Response::parse(&out).unwrap().body;
        assert_eq!(body, Body::Mailbox { name: "user.a".into(), location: "be1!p".into(), acl: long });
    }
}
