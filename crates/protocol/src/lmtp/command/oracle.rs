//! The parsers before nom, to which the grammars are held.

use super::{Body, CommandError, Mail, Path, Rcpt};

pub fn mail(rest: &[u8]) -> Result<Mail, CommandError> {
    let (from, parameters) = Path::parse(after_keyword(rest, b"FROM:")?)?;
    let mut mail = Mail { from, ..Mail::default() };
    for parameter in words(parameters) {
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

pub fn rcpt(rest: &[u8]) -> Result<Rcpt, CommandError> {
    let (to, parameters) = Path::parse(after_keyword(rest, b"TO:")?)?;
    if to.is_empty() {
        return Err(CommandError::Parameters);
    }
    let mut rcpt = Rcpt { to, ignore_quota: false };
    for parameter in words(parameters) {
        match parameter.to_ascii_uppercase().as_slice() {
            b"IGNOREQUOTA" => rcpt.ignore_quota = true,
            _ => return Err(CommandError::Unrecognized),
        }
    }
    Ok(rcpt)
}

/// What follows `FROM:` or `TO:`, blanks after the colon tolerated.
fn after_keyword<'t>(text: &'t [u8], keyword: &[u8]) -> Result<&'t [u8], CommandError> {
    let (head, tail) = text.split_at_checked(keyword.len()).ok_or(CommandError::Parameters)?;
    if head.eq_ignore_ascii_case(keyword) {
        Ok(tail.trim_ascii_start())
    } else {
        Err(CommandError::Parameters)
    }
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b' ').filter(|word| !word.is_empty())
}
