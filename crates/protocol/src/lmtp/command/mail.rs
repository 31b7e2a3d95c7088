//! MAIL: RFC 5321, RFC 1870 (SIZE), RFC 4954 (AUTH), RFC 6152 (BODY), RFC 6531 (SMTPUTF8).
//!
//! ```text
//! mail      = "MAIL" SP "FROM:" path *(SP parameter)
//! parameter = "AUTH=" (xtext / "<>") / "BODY=" ("7BIT" / "8BITMIME") / "SIZE=" 1*DIGIT / "SMTPUTF8"
//! ```

use nom::Parser;
use nom::sequence::preceded;

use super::path::path;
use super::rcpt::{INVALID, label, parameters, whole};
use super::{CommandError, Path};
use crate::grammar::{Cursor, Keyword, Limits, ParseError, Parsed, number64, run};

/// The beginning of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    pub from: Path,
    /// Whom the sender's system authenticated: the identity that ACLs are asked for. None: nobody (`AUTH=<>` or no
    /// parameter).
    pub auth: Option<String>,
    pub body: Option<Body>,
    /// Bytes that the client announced.
    pub size: Option<u64>,
    /// Addresses and header may be UTF-8 (RFC 6531, RFC 6532).
    pub smtputf8: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    SevenBit,
    EightBitMime,
}

impl Mail {
    /// Reads what follows the verb.
    pub(super) fn parse(rest: &[u8]) -> Result<Mail, CommandError> {
        Ok(Cursor::new(rest, Limits::NONE).read(mail)?)
    }
}

fn mail(at: Cursor<'_>) -> Parsed<'_, Mail> {
    let (at, from) = preceded(label("FROM:"), path).parse(at)?;
    let mut mail = Mail { from, auth: None, body: None, size: None, smtputf8: false };
    let (at, ()) = parameters(at, |key, value| {
        match (Keyword::of(key).as_bytes(), value) {
            (b"AUTH", Some(value)) => mail.auth = identity(value)?,
            (b"BODY", Some(value)) => mail.body = Some(body(value)?),
            (b"SIZE", Some(value)) => mail.size = Some(whole(value, number64)?),
            (b"SMTPUTF8", None) => mail.smtputf8 = true,
            (b"AUTH" | b"BODY" | b"SIZE", None) => return Err(INVALID),
            _ if [key, value.unwrap_or_default()].iter().all(|part| str::from_utf8(part).is_ok()) => {
                return Err(ParseError::Unrecognized);
            }
            _ => return Err(INVALID),
        }
        Ok(())
    })?;
    Ok((at, mail))
}

fn body(value: &[u8]) -> Result<Body, ParseError> {
    match Keyword::of(value).as_bytes() {
        b"7BIT" => Ok(Body::SevenBit),
        b"8BITMIME" => Ok(Body::EightBitMime),
        _ => Err(INVALID),
    }
}

/// `xtext = *(xchar / "+" 2HEXDIG)` (RFC 3461 section 4), as a user id; `<>` is nobody.
fn identity(value: &[u8]) -> Result<Option<String>, ParseError> {
    if value == b"<>" {
        return Ok(None);
    }
    let text = whole(value, xtext_bytes)?;
    let text = String::from_utf8(text).map_err(|_| INVALID)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(INVALID);
    }
    Ok(Some(text))
}

fn xtext_bytes(at: Cursor<'_>) -> Parsed<'_, Vec<u8>> {
    let (mut at, plain) = run(|byte| byte != b'+')(at)?;
    let mut out = plain.to_vec();
    while let [b'+', high, low, rest @ ..] = at.rest() {
        let digit = |byte: &u8| (*byte as char).to_digit(16).ok_or(INVALID);
        out.push((digit(high)? * 16 + digit(low)?) as u8);
        let (behind, plain) = run(|byte| byte != b'+')(at.with(rest))?;
        out.extend_from_slice(plain);
        at = behind;
    }
    Ok((at, out))
}

/// A user id as xtext.
pub fn xtext(text: &str) -> String {
    let plain = |b: u8| (b'!'..=b'~').contains(&b) && b != b'+' && b != b'=';
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("+{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read() {
        let mail = Mail::parse(b"FROM:<a@b> AUTH=fred+2Bx SIZE=12 body=8bitmime").unwrap();
        assert_eq!(mail.auth.as_deref(), Some("fred+x"));
        assert_eq!((mail.size, mail.body), (Some(12), Some(Body::EightBitMime)));
        assert_eq!(Mail::parse(b"from: <> AUTH=<>"), Ok(Mail::default()));
        assert!(!mail.smtputf8);
        let mail = Mail::parse("FROM:<jürgen@bücher.example> smtputf8 BODY=8BITMIME".as_bytes()).unwrap();
        assert_eq!((mail.smtputf8, mail.from.local()), (true, "jürgen".as_bytes()));
        assert_eq!(Mail::parse(b"FROM:<a> SMTPUTF8=yes"), Err(CommandError::Unrecognized));
        assert_eq!(xtext("fred+x=y z"), "fred+2Bx+3Dy+20z");
    }

    #[test]
    fn bad_parameters_are_refused() {
        for text in
            ["FROM:<a> SIZE=", "FROM:<a> SIZE=-1", "FROM:<a> AUTH=+G0", "FROM:<a> BODY=x", "TO:<a>", "FROM:"]
        {
            assert_eq!(Mail::parse(text.as_bytes()), Err(CommandError::Parameters), "{text}");
        }
        assert_eq!(Mail::parse(b"FROM:<a> FOO=bar"), Err(CommandError::Unrecognized));
    }
}
