//! LIST with its extensions (RFC 5258, RFC 5819, RFC 6154, RFC 8440), LSUB, and Cyrus's XLIST, RLIST, RLSUB; and what
//! NAMESPACE (RFC 2342) is answered with.

use super::Body;
use super::status::{self, StatusItem};
use crate::imap::cursor::{Cursor, ParseError};
use crate::imap::print;

/// `LIST [SP "(" select-option … ")"] SP reference SP patterns [SP "RETURN" SP "(" return-option … ")"]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    pub reference: String,
    pub patterns: Vec<String>,
    /// Options, several patterns or RETURN were used: the answer follows RFC 5258.
    pub extended: bool,
    /// It was XLIST: the answers are called so, and INBOX bears `\Inbox`.
    pub xlist: bool,
    pub select: Selection,
    pub returns: Returns,
}

impl List {
    /// `foolstupidclients`: a client that asks for everything gets the personal namespace.
    pub fn narrowed(mut self, narrow: bool) -> List {
        if narrow && self.reference.is_empty() && self.patterns == ["*"] {
            self.patterns = vec!["INBOX*".to_owned()];
        }
        self
    }
}

/// Which mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selection {
    pub subscribed: bool,
    pub remote: bool,
    pub recursive_match: bool,
    pub special_use: bool,
}

/// What of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Returns {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    pub my_rights: bool,
    pub status: Vec<StatusItem>,
}

/// `LSUB SP reference SP pattern`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsub {
    pub reference: String,
    pub pattern: String,
}

pub fn list(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let mut list = List::default();
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.select = selection(cursor)?;
        cursor.space()?;
    }
    list.reference = cursor.list_mailbox()?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = cursor.list(PATTERNS, Cursor::list_mailbox)?;
    } else {
        list.patterns = vec![cursor.list_mailbox()?];
    }
    if cursor.space().is_ok() {
        if !cursor.eat_word("RETURN") {
            return Err(ParseError::Extra);
        }
        list.extended = true;
        cursor.space()?;
        returns(cursor, &mut list.returns)?;
    }
    list.returns.subscribed |= list.select.subscribed;
    list.returns.special_use |= list.select.special_use;
    Ok(Body::List(list))
}

/// XLIST is LIST with special-use attributes.
pub fn xlist(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (reference, pattern) = plain(cursor)?;
    let returns = Returns { special_use: true, children: true, ..Returns::default() };
    Ok(Body::List(List { reference, patterns: vec![pattern], returns, xlist: true, ..List::default() }))
}

/// RLIST is LIST of a client that follows referrals.
pub fn rlist(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (reference, pattern) = plain(cursor)?;
    Ok(Body::List(List { reference, patterns: vec![pattern], ..List::default() }))
}

pub fn lsub(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (reference, pattern) = plain(cursor)?;
    Ok(Body::Lsub(Lsub { reference, pattern }))
}

fn plain(cursor: &mut Cursor<'_>) -> Result<(String, String), ParseError> {
    cursor.space()?;
    let reference = cursor.list_mailbox()?;
    cursor.space()?;
    Ok((reference, cursor.list_mailbox()?))
}

fn selection(cursor: &mut Cursor<'_>) -> Result<Selection, ParseError> {
    let mut select = Selection::default();
    cursor.list(16, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => select.subscribed = true,
            "REMOTE" => select.remote = true,
            "RECURSIVEMATCH" => select.recursive_match = true,
            "SPECIAL-USE" => select.special_use = true,
            _ => return Err(ParseError::Invalid("LIST selection option")),
        }
        Ok(())
    })?;
    if select.recursive_match && !(select.subscribed || select.special_use) {
        let text = "LIST selection options must include other options in addition to RECURSIVEMATCH";
        return Err(ParseError::Text(text.to_owned()));
    }
    Ok(select)
}

fn returns(cursor: &mut Cursor<'_>, returns: &mut Returns) -> Result<(), ParseError> {
    cursor.list(16, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "MYRIGHTS" => returns.my_rights = true,
            "STATUS" => {
                cursor.space()?;
                returns.status = status::items(cursor)?;
            }
            _ => return Err(ParseError::Invalid("LIST return option")),
        }
        Ok(())
    })?;
    Ok(())
}

/// What a line of an answer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    List,
    Xlist,
    Lsub,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::List => "LIST",
            Kind::Xlist => "XLIST",
            Kind::Lsub => "LSUB",
        }
    }
}

/// One line of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Line<'l> {
    pub kind: Kind,
    /// With blanks between them.
    pub attributes: &'l str,
    pub separator: char,
    pub name: &'l str,
    /// RFC 5258 section 4: the selection that a mailbox below it fulfils.
    pub child_info: Option<&'static str>,
}

impl Line<'_> {
    /// The answer to a pattern that asks for the separator alone (RFC 3501 section 6.3.8).
    pub fn of_separator(kind: Kind, separator: char) -> Line<'static> {
        Line { kind, attributes: "\\Noselect", separator, name: "", child_info: None }
    }

    /// `* LIST SP "(" attributes ")" SP separator SP mailbox [SP "(" extension ")"]`
    pub fn print(&self, out: &mut Vec<u8>) {
        let Line { kind, attributes, separator, name, child_info } = self;
        out.extend_from_slice(format!("* {} ({attributes}) \"{separator}\" ", kind.name()).as_bytes());
        print::astring(out, name.as_bytes());
        if let Some(selection) = child_info {
            out.extend_from_slice(format!(" (\"CHILDINFO\" (\"{selection}\"))").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// `* NAMESPACE SP personal SP others SP shared`: the prefix of each, or none.
pub fn print_namespace(out: &mut Vec<u8>, separator: char, prefixes: [Option<&str>; 3]) {
    out.extend_from_slice(b"* NAMESPACE");
    for prefix in prefixes {
        let told = match prefix {
            Some(prefix) => format!(" (({} \"{separator}\"))", print::quoted(prefix)),
            None => " NIL".to_owned(),
        };
        out.extend_from_slice(told.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Patterns in one LIST.
const PATTERNS: usize = 256;
