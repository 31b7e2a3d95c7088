//! ESEARCH, a search in several mailboxes at once (RFC 7377), whose sources are NOTIFY's (RFC 5465 section 6); and UIDBATCHES.

use nom::Parser;
use nom::combinator::{cut, map, opt};
use nom::sequence::preceded;

use super::search::{Key, Partial, Returns, opt_returns, program};
use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, atom, byte, keyword, list, mailbox, number, optional,
    parenthesis, space,
};

/// `ESEARCH [SP "IN" SP "(" source *(SP source) [SP "(" option … ")"] ")"] [SP "RETURN" SP "(" option … ")"] [SP "CHARSET" SP
/// astring] 1*(SP key)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiSearch {
    /// One at least: without IN it is the selected mailbox.
    pub sources: Vec<Source>,
    pub returns: Returns,
    /// Upper case.
    pub charset: Option<String>,
    pub key: Key,
    /// Where what follows the sources begins in the arguments that were parsed: as it is passed on.
    pub rest: usize,
}

/// Where to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Selected,
    /// Those into which mail may come: a server that cannot tell takes all personal ones.
    Inboxes,
    Personal,
    Subscribed,
    /// These and all below them.
    Subtree(Vec<String>),
    /// These and what is directly below them.
    SubtreeOne(Vec<String>),
    Mailboxes(Vec<String>),
}

impl MultiSearch {
    /// Whether the selected mailbox is the only source: then what is found can become `$`.
    pub fn is_of_selected(&self) -> bool {
        self.sources.iter().all(|source| *source == Source::Selected)
    }
}

pub fn parse(at: Cursor<'_>) -> Parsed<'_, MultiSearch> {
    let whole = at.rest().len();
    let (at, ()) = space(at)?;
    let (at, sources) = opt(preceded(keyword("IN"), cut(argument(sources)))).parse(at)?;
    let (at, sources) = match sources {
        Some(sources) => (space(at)?.0, sources),
        None => (at, vec![Source::Selected]),
    };
    let rest = whole - at.rest().len();
    let (at, returns) = opt_returns(at)?;
    let (at, (charset, key)) = program(at)?;
    let returns = returns.unwrap_or(Returns { all: true, ..Returns::default() });
    let search = MultiSearch { sources, returns, charset, key, rest };
    let alone = search.is_of_selected();
    // RFC 7377 section 2.2: what is saved, and what `$` and numbers are, belongs to the selected mailbox.
    if !alone && (search.returns.save || search.key.names_saved()) {
        return Err(ParseError::Invalid("Search return option").into());
    }
    Ok((at, search))
}

/// `"(" source *(SP source) [SP "(" option … ")"] ")"`. No option of a scope is known.
fn sources(at: Cursor<'_>) -> Parsed<'_, Vec<Source>> {
    let (mut at, ()) = parenthesis(b'(')(at)?;
    let mut sources = Vec::new();
    loop {
        let (rest, one) = source(at)?;
        sources.push(one);
        at = rest;
        if at.peek() == Some(b')') {
            return Ok((byte(b')')(at)?.0, sources));
        }
        if sources.len() >= SOURCES {
            return Err(ParseError::Invalid("list, too long,").into());
        }
        (at, _) = space(at).map_err(|_| WRONG)?;
    }
}

/// One of them, as NOTIFY has them too.
pub(super) fn source(at: Cursor<'_>) -> Parsed<'_, Source> {
    let (at, word) = atom(at).map_err(|_| WRONG)?;
    match Keyword::of(word.as_bytes()).as_bytes() {
        b"SELECTED" => Ok((at, Source::Selected)),
        b"INBOXES" => Ok((at, Source::Inboxes)),
        b"PERSONAL" => Ok((at, Source::Personal)),
        b"SUBSCRIBED" => Ok((at, Source::Subscribed)),
        b"SUBTREE" => map(argument(mailboxes), Source::Subtree).parse(at),
        b"SUBTREE-ONE" => map(argument(mailboxes), Source::SubtreeOne).parse(at),
        b"MAILBOXES" => map(argument(mailboxes), Source::Mailboxes).parse(at),
        _ => Err(WRONG.into()),
    }
}

/// `mailbox / "(" mailbox *(SP mailbox) ")"`
fn mailboxes(at: Cursor<'_>) -> Parsed<'_, Vec<String>> {
    if at.peek() != Some(b'(') {
        return map(mailbox, |one| vec![one]).parse(at);
    }
    let (at, names) = list(NAMES, mailbox)(at)?;
    if names.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, names)) }
}

const WRONG: ParseError = ParseError::Invalid("search source");
const SOURCES: usize = 100;
/// Mailboxes named in one source.
pub const NAMES: usize = 10_000;

/// `UIDBATCHES SP size [SP range]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidBatches {
    pub size: u32,
    /// Which batches, from 1: the newest.
    pub batches: Option<Partial>,
}

pub fn uid_batches(at: Cursor<'_>) -> Parsed<'_, UidBatches> {
    let (at, size) = argument(number)(at)?;
    let (at, batches) = optional(Partial::parse)(at)?;
    if size == 0 || batches.is_some_and(Partial::is_backwards) {
        return Err(ParseError::Invalid("range").into());
    }
    Ok((at, UidBatches { size, batches }))
}

/// `* UIDBATCHES (TAG "t") [SP last:first *("," last:first)]`: each batch as its highest and its lowest UID, the newest first.
pub fn print_batches(out: &mut Vec<u8>, tag: &str, batches: &[(u32, u32)]) {
    out.extend_from_slice(format!("* UIDBATCHES (TAG \"{tag}\")").as_bytes());
    for (at, (highest, lowest)) in batches.iter().enumerate() {
        out.push(if at == 0 { b' ' } else { b',' });
        out.extend_from_slice(format!("{highest}:{lowest}").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::Limits;

    fn read(text: &str) -> Result<MultiSearch, ParseError> {
        Cursor::new(text.as_bytes(), Limits::default()).read(parse)
    }

    #[test]
    fn sources_are_read() {
        let text = " IN (mailboxes (a \"b c\") subtree-one {1}\r\nx selected personal) RETURN (COUNT) UNSEEN";
        let parsed = read(text).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(
            parsed.sources,
            [
                Source::Mailboxes(names(&["a", "b c"])),
                Source::SubtreeOne(names(&["x"])),
                Source::Selected,
                Source::Personal
            ]
        );
        assert!(parsed.returns.count && !parsed.returns.all);
        assert_eq!(&text[parsed.rest..], "RETURN (COUNT) UNSEEN");
        let parsed = read(" UNSEEN").unwrap();
        assert!(parsed.is_of_selected() && parsed.returns.all);
    }

    #[test]
    fn what_is_saved_is_of_the_selected_mailbox_alone() {
        assert!(read(" RETURN (SAVE) ALL").is_ok() && read(" IN (selected) RETURN (SAVE) $").is_ok());
        assert!(read(" IN (selected personal) RETURN (SAVE) ALL").is_err());
        assert!(read(" IN (personal) $").is_err());
    }

    #[test]
    fn what_is_no_search_in_mailboxes() {
        for text in [
            "",
            " IN ALL",
            " IN () ALL",
            " IN (foo) ALL",
            " IN (selected-delayed) ALL",
            " IN (mailboxes ()) ALL",
            " IN (mailboxes) ALL",
            " IN (personal",
            " IN (personal)ALL",
            " IN (personal)",
            " IN (personal (DEPTH 1)) ALL",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let many = format!(" IN (personal{}) ALL", " personal".repeat(SOURCES));
        assert!(read(&many).is_err());
    }

    #[test]
    fn batches_are_asked_for_and_printed() {
        let read = |text: &str| Cursor::new(text.as_bytes(), Limits::default()).read(uid_batches);
        assert_eq!(read(" 500"), Ok(UidBatches { size: 500, batches: None }));
        assert!(read(" 500 1:3").unwrap().batches.is_some());
        for wrong in ["", " 0", " 500 0:1", " 500 -1:-2", " 500 x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let mut out = Vec::new();
        print_batches(&mut out, "a", &[(500, 251), (250, 1)]);
        print_batches(&mut out, "a", &[]);
        assert_eq!(out, b"* UIDBATCHES (TAG \"a\") 500:251,250:1\r\n* UIDBATCHES (TAG \"a\")\r\n");
    }
}
