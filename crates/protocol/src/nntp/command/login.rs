//! AUTHINFO (RFC 4643), STARTTLS (RFC 4642), COMPRESS (RFC 8054), MODE: what a connection is.
//!
//! ```text
//! "AUTHINFO" WS ("USER" WS user / "PASS" WS 1*OCTET / "SASL" WS mechanism [WS initial-response])
//! "STARTTLS"            "COMPRESS" WS "DEFLATE"            "MODE" WS ("READER" / "STREAM")
//! "XCLIENT" 1*(SP name "=" xtext)                                        ; see crate::origin
//! ```

use super::Command;
use super::arguments::{BAD, of, optional, rest, word};
use crate::grammar::{Cursor, Keyword, ParseError, Parsed};
use crate::origin::Origin;

pub(super) fn authinfo(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, kind) = word(at)?;
    match Keyword::of(kind.as_bytes()).as_bytes() {
        b"USER" => {
            let (at, user) = rest(at)?;
            let user = str::from_utf8(user).map_err(|_| BAD)?.trim_matches(' ');
            if user.is_empty() {
                Err(ParseError::Missing.into())
            } else {
                Ok((at, Command::AuthUser(user.to_owned())))
            }
        }
        b"PASS" => rest(at).map(|(at, password)| (at, Command::AuthPass(password.to_vec()))),
        b"SASL" => {
            let (at, mechanism) = of(|text| Some(text.to_ascii_uppercase()))(at)?;
            let (at, initial) = optional(of(|text| Some(text.to_owned())))(at)?;
            Ok((at, Command::AuthSasl { mechanism, initial }))
        }
        _ => Err(BAD.into()),
    }
}

pub(super) fn compress(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, algorithm) = word(at)?;
    match algorithm.eq_ignore_ascii_case("DEFLATE") {
        true => Ok((at, Command::Compress)),
        false => Err(BAD.into()),
    }
}

pub(super) fn mode(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, mode) = word(at)?;
    match Keyword::of(mode.as_bytes()).as_bytes() {
        b"READER" => Ok((at, Command::ModeReader)),
        b"STREAM" => Ok((at, Command::ModeStream)),
        _ => Err(BAD.into()),
    }
}

pub(super) fn xclient(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, words) = rest(at)?;
    let origin = str::from_utf8(words).ok().and_then(Origin::parse).ok_or(BAD)?;
    Ok((at, Command::XClient(origin)))
}
