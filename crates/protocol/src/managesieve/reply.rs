//! What a server answers (RFC 5804 section 1.3): a condition, a code for programs, a text for people.

use crate::imap::print::between_quotes;
use std::borrow::Cow;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Ok,
    No,
    /// The server closes the connection.
    Bye,
}

/// A response code: what a program can act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    Active,
    AlreadyExists,
    /// The mechanism may be used under TLS.
    EncryptNeeded,
    NonExistent,
    Quota,
    QuotaMaxScripts,
    QuotaMaxSize,
    /// A URL of the server that has the scripts.
    Referral(String),
    /// What the server proves itself with at the end of a login, in Base64.
    Sasl(String),
    /// What NOOP gave.
    Tag(Vec<u8>),
    TryLater,
    Warnings,
}

/// The last line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub condition: Condition,
    pub code: Option<Code>,
    /// Empty: none.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// `OK` and no more.
    pub const OK: Reply = Reply { condition: Condition::Ok, code: None, text: Cow::Borrowed("") };

    pub fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { text: text.into(), ..Reply::OK }
    }

    pub fn no(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { condition: Condition::No, ..Reply::ok(text) }
    }

    pub fn bye(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { condition: Condition::Bye, ..Reply::ok(text) }
    }

    /// The same with a code.
    pub fn code(self, code: Code) -> Reply {
        Reply { code: Some(code), ..self }
    }

    /// `(OK / NO / BYE) [SP "(" code ")"] [SP string] CRLF`
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.condition {
            Condition::Ok => b"OK",
            Condition::No => b"NO",
            Condition::Bye => b"BYE",
        });
        if let Some(code) = &self.code {
            out.extend_from_slice(b" (");
            code.write(out);
            out.push(b')');
        }
        if !self.text.is_empty() {
            out.push(b' ');
            write_string(self.text.as_bytes(), out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Code {
    fn write(&self, out: &mut Vec<u8>) {
        let (word, string) = match self {
            Code::Active => ("ACTIVE", None),
            Code::AlreadyExists => ("ALREADYEXISTS", None),
            Code::EncryptNeeded => ("ENCRYPT-NEEDED", None),
            Code::NonExistent => ("NONEXISTENT", None),
            Code::Quota => ("QUOTA", None),
            Code::QuotaMaxScripts => ("QUOTA/MAXSCRIPTS", None),
            Code::QuotaMaxSize => ("QUOTA/MAXSIZE", None),
            Code::Referral(url) => ("REFERRAL", Some(url.as_bytes())),
            Code::Sasl(proof) => ("SASL", Some(proof.as_bytes())),
            Code::Tag(tag) => ("TAG", Some(tag.as_slice())),
            Code::TryLater => ("TRYLATER", None),
            Code::Warnings => ("WARNINGS", None),
        };
        out.extend_from_slice(word.as_bytes());
        if let Some(string) = string {
            out.push(b' ');
            write_string(string, out);
        }
    }
}

/// `string = quoted / literal-s2c`: quoted where that can be.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let quotable = text.len() <= LONGEST_QUOTED
        && str::from_utf8(text).is_ok()
        && !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    if !quotable {
        write_literal(text, out);
        return;
    }
    between_quotes(out, text);
}

/// `literal-s2c = "{" number "}" CRLF *OCTET`
pub(super) fn write_literal(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
}

impl Reply {
    /// Data of a script or a challenge: a literal on a line of its own.
    pub fn write_data(text: &[u8], out: &mut Vec<u8>) {
        write_literal(text, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Octets of a quoted string (RFC 5804 section 4).
const LONGEST_QUOTED: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_reply_is_a_condition_a_code_and_a_text() {
        for (reply, line) in [
            (Reply::OK, "OK\r\n"),
            (Reply::no("Say \"please\" \\"), "NO \"Say \\\"please\\\" \\\\\"\r\n"),
            (Reply::no("line 1: x\r\nline 2: y\r\n"), "NO {22}\r\nline 1: x\r\nline 2: y\r\n\r\n"),
            (Reply::bye("x").code(Code::QuotaMaxSize), "BYE (QUOTA/MAXSIZE) \"x\"\r\n"),
            (
                Reply::bye("Try Remote.").code(Code::Referral("sieve://be1".into())),
                "BYE (REFERRAL \"sieve://be1\") \"Try Remote.\"\r\n",
            ),
            (Reply::OK.code(Code::Sasl("dj0=".into())), "OK (SASL \"dj0=\")\r\n"),
            (Reply::ok("Done").code(Code::Tag(b"a\nb".to_vec())), "OK (TAG {3}\r\na\nb) \"Done\"\r\n"),
        ] {
            assert_eq!(written(&reply), line);
        }
    }

    #[test]
    fn a_long_text_is_a_literal() {
        let mut out = Vec::new();
        write_string(&[b'x'; 1025], &mut out);
        assert!(out.starts_with(b"{1025}\r\nxxx"));
    }
}
