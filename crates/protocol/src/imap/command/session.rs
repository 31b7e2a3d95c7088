//! Who the client is and what it can do: LOGIN, AUTHENTICATE (RFC 3501, RFC 4959), ID (RFC 2971), ENABLE (RFC 5161),
//! COMPRESS (RFC 4978).

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};
use crate::imap::print;

/// `LOGIN SP astring SP astring`
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: Vec<u8>,
    pub password: Vec<u8>,
}

impl std::fmt::Debug for Login {
    /// Never the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", String::from_utf8_lossy(&self.user))
    }
}

/// `AUTHENTICATE SP mechanism [SP initial-response]`
#[derive(Clone, PartialEq, Eq)]
pub struct Authenticate {
    /// Upper case.
    pub mechanism: String,
    /// As on the wire: base64, or `=` for an empty one.
    pub initial: Option<String>,
}

impl std::fmt::Debug for Authenticate {
    /// Never the response.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticate({})", self.mechanism)
    }
}

/// What a client says of itself: pairs of field and value.
pub type Id = Vec<(Vec<u8>, Option<Vec<u8>>)>;

pub fn login(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    let user = cursor.astring()?;
    cursor.space()?;
    let password = cursor.astring()?;
    Ok(Body::Login(Login { user, password }))
}

pub fn authenticate(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    let mechanism = cursor.atom()?.to_ascii_uppercase();
    let initial = match cursor.space() {
        Ok(()) => Some(cursor.atom()?.to_owned()),
        Err(_) => None,
    };
    Ok(Body::Authenticate(Authenticate { mechanism, initial }))
}

pub fn id(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    if cursor.eat_word("NIL") {
        return Ok(Body::Id(Vec::new()));
    }
    let fields = cursor.list(ID_FIELDS, |cursor| {
        let field = cursor.string()?;
        cursor.space()?;
        let value = cursor.nstring()?;
        let fits = field.len() <= 30 && value.as_ref().is_none_or(|v| v.len() <= 1024);
        if fits { Ok((field, value)) } else { Err(ParseError::Text("Invalid ID: too long".to_owned())) }
    })?;
    Ok(Body::Id(fields))
}

pub fn enable(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let mut wanted = Vec::new();
    cursor.space()?;
    loop {
        wanted.push(cursor.atom()?.to_ascii_uppercase());
        if wanted.len() > 64 || cursor.space().is_err() {
            return Ok(Body::Enable(wanted));
        }
    }
}

pub fn compress(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    Ok(Body::Compress(cursor.atom()?.to_ascii_uppercase()))
}

/// Fields of one ID (RFC 2971 section 3.3).
const ID_FIELDS: usize = 30;

/// `* CAPABILITY *(SP word)`
pub fn print_capability(out: &mut Vec<u8>, words: &str) {
    out.extend_from_slice(format!("* CAPABILITY {words}\r\n").as_bytes());
}

/// `* ID SP params`: who the server is (name and version), or NIL.
pub fn print_id(out: &mut Vec<u8>, server: Option<(&str, &str)>) {
    match server {
        None => out.extend_from_slice(b"* ID NIL\r\n"),
        Some((name, version)) => {
            out.extend_from_slice(b"* ID (\"name\" ");
            print::string(out, name.as_bytes());
            out.extend_from_slice(b" \"version\" ");
            print::string(out, version.as_bytes());
            out.extend_from_slice(b")\r\n");
        }
    }
}
