//! MAIL: RFC 5321, RFC 1870 (SIZE), RFC 4954 (AUTH), RFC 6152 (BODY), RFC 6531 (SMTPUTF8).
//!
//! ```text
//! mail      = "MAIL" SP "FROM:" path *(SP parameter)
//! parameter = "AUTH=" (xtext / "<>") / "BODY=" ("7BIT" / "8BITMIME") / "SIZE=" 1*DIGIT / "SMTPUTF8"
//! ```

use super::{CommandError, Path};

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
        let (from, parameters) = Path::parse(super::rcpt::after_keyword(rest, b"FROM:")?)?;
        let mut mail = Mail { from, ..Mail::default() };
        for parameter in super::rcpt::words(parameters) {
            let text = std::str::from_utf8(parameter).map_err(|_| CommandError::Parameters)?;
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            match key.to_ascii_uppercase().as_str() {
                "AUTH" => mail.auth = identity(value)?,
                "BODY" => mail.body = Some(body(value)?),
                "SMTPUTF8" if text.len() == key.len() => mail.smtputf8 = true,
                "SIZE" => mail.size = Some(value.parse().map_err(|_| CommandError::Parameters)?),
                _ => return Err(CommandError::Unrecognized),
            }
        }
        Ok(mail)
    }
}

fn body(value: &str) -> Result<Body, CommandError> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Ok(Body::SevenBit),
        "8BITMIME" => Ok(Body::EightBitMime),
        _ => Err(CommandError::Parameters),
    }
}

/// An xtext (RFC 3461 section 4) as a user id; `<>` is nobody.
fn identity(value: &str) -> Result<Option<String>, CommandError> {
    if value == "<>" {
        return Ok(None);
    }
    let mut out = Vec::new();
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => {
                let mut digit =
                    || bytes.next().and_then(|b| (b as char).to_digit(16)).ok_or(CommandError::Parameters);
                (digit()? * 16 + digit()?) as u8
            }
            _ => byte,
        });
    }
    let text = String::from_utf8(out).map_err(|_| CommandError::Parameters)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(CommandError::Parameters);
    }
    Ok(Some(text))
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
