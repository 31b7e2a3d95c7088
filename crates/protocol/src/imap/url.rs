//! IMAP URLs of messages and of parts of them: RFC 5092, as CATENATE (RFC 4469) has them. Those with an authorisation in them
//! (URLAUTH, RFC 4467) are none of ours.
//!
//! ```text
//! url     = ["imap://" [user [";AUTH=" mechanism] "@"] host [":" port]] path
//! path    = ["/" mailbox [";UIDVALIDITY=" nz-number]] ["/"] ";UID=" nz-number [section] [partial]
//! section = "/;SECTION=" section-spec
//! partial = "/;PARTIAL=" number ["." nz-number]
//! ```
//!
//! Mailbox, section and user are UTF-8 and percent-encoded. A path without a mailbox is of the open one.

use nom::Parser;
use nom::combinator::{map, opt};
use nom::sequence::preceded;

use super::command::fetch::{self, Section};
use crate::grammar::{Cursor, Limits, ParseError, Parsed, byte, end, number, run};
use crate::mutf7;

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// None: the one that is asked.
    pub server: Option<Server>,
    /// UTF-8. None: the open one.
    pub mailbox: Option<String>,
    pub uidvalidity: Option<u32>,
    pub uid: u32,
    pub section: Section,
    /// First byte and number of bytes.
    pub partial: Option<(u32, u32)>,
    /// Bytes of the URL before its path.
    pub path: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub user: Option<String>,
    pub host: String,
}

/// Why a URL names nothing that CATENATE can use. A store and a frontend give the same reasons, and the same for a mailbox that the
/// user must not know of as for one that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    Mailbox,
    /// The user sees the mailbox, and may not read it.
    Right,
    UidValidity,
    Message,
    Section,
}

impl Lack {
    pub fn text(self) -> &'static str {
        match self {
            Lack::Mailbox => "Mailbox does not exist",
            Lack::Right => "Permission denied",
            Lack::UidValidity => "The UIDVALIDITY of the mailbox is another",
            Lack::Message => "No such message in mailbox",
            Lack::Section => "The message has no such section",
        }
    }
}

impl Url {
    pub fn parse(text: &str) -> Result<Url, ParseError> {
        let mut at = Cursor::new(text.as_bytes(), Limits::NONE);
        let server = match at.read(|at| opt(server).parse(at))? {
            Some(server) => Some(server),
            // Another scheme, or a server that is not well formed.
            None if text.starts_with(|c: char| c.is_ascii_alphabetic()) => return Err(INVALID),
            None => None,
        };
        let path = text.len() - at.rest().len();
        let mut url = at.read(path_of)?;
        at.read(end)?;
        (url.server, url.path) = (server, path);
        Ok(url)
    }

    /// Whether it names something that `user` has on the server called `host`.
    pub fn is_of(&self, host: &str, user: &str) -> bool {
        self.server.as_ref().is_none_or(|server| {
            server.host.eq_ignore_ascii_case(host) && server.user.as_deref().is_none_or(|name| name == user)
        })
    }

    /// The mailbox as a client calls it, in UTF-8 or in modified UTF-7.
    pub fn name(&self, utf8: bool) -> Option<String> {
        self.mailbox.as_ref().map(|name| if utf8 { name.clone() } else { mutf7::encode(name) })
    }
}

/// What is told of a URL in a response code, which ends with its bracket and is printed between quotes.
pub fn shown(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '"' | '\\' | ']' | '\0'..=' ' | '\x7f'..='\u{9f}' => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                bytes.for_each(|byte| out.push_str(&format!("%{byte:02X}")));
            }
            c => out.push(c),
        }
    }
    out
}

/// `"imap://" [user [";AUTH=" mechanism] "@"] host [":" port]`, up to the path.
fn server(at: Cursor<'_>) -> Parsed<'_, Server> {
    let (at, authority) = preceded(scheme, run(|byte| byte != b'/')).parse(at)?;
    let authority = str::from_utf8(authority).map_err(|_| INVALID)?;
    let (user, host) = match authority.rsplit_once('@') {
        None => (None, authority),
        Some((user, host)) => {
            let name = user.split_once(';').map_or(user, |(name, _)| name);
            (Some(decoded(name)?).filter(|name| !name.is_empty()), host)
        }
    };
    let host = host.strip_suffix(":143").unwrap_or(host);
    if host.is_empty() { Err(INVALID.into()) } else { Ok((at, Server { user, host: host.to_owned() })) }
}

/// `"imap://"`
fn scheme(at: Cursor<'_>) -> Parsed<'_, ()> {
    let (at, word) = run(|byte| byte.is_ascii_alphabetic())(at)?;
    match at.rest().strip_prefix(b"://") {
        Some(rest) if word.eq_ignore_ascii_case(b"IMAP") => Ok((at.with(rest), ())),
        _ => Err(INVALID.into()),
    }
}

fn path_of(at: Cursor<'_>) -> Parsed<'_, Url> {
    let (at, before) = run(|byte| byte != b';')(at)?;
    // The slash before `;UID=` is no part of a name.
    let before = str::from_utf8(before).map_err(|_| INVALID)?;
    let mailbox = match before.strip_prefix('/') {
        None if before.is_empty() => None,
        None => return Err(INVALID.into()),
        Some("") => None,
        Some(name) => Some(name),
    };
    let (at, uidvalidity) = opt(preceded(word("UIDVALIDITY"), number)).parse(at)?;
    let (at, name) = match (mailbox, uidvalidity) {
        (Some(name), Some(_)) => (byte(b'/')(at)?.0, Some(name)),
        (Some(name), None) => (at, Some(name.strip_suffix('/').ok_or(INVALID)?)),
        (None, Some(_)) => return Err(INVALID.into()),
        (None, None) => (at, None),
    };
    let mailbox = name.map(decoded).transpose()?;
    if mailbox.as_deref() == Some("") {
        return Err(INVALID.into());
    }
    let (at, uid) = preceded(word("UID"), number).parse(at)?;
    if uid == 0 || uidvalidity == Some(0) {
        return Err(INVALID.into());
    }
    let (at, section) = match preceded(byte(b'/'), word("SECTION")).parse(at) {
        Ok((at, ())) => section(at)?,
        Err(_) => (at, Section::default()),
    };
    let (at, partial) = opt(preceded(preceded(byte(b'/'), word("PARTIAL")), partial)).parse(at)?;
    Ok((at, Url { server: None, mailbox, uidvalidity, uid, section, partial, path: 0 }))
}

/// `";" name "="`
fn word<'a>(name: &'static str) -> impl Fn(Cursor<'a>) -> Parsed<'a, ()> {
    move |at| {
        let (at, word) = preceded(byte(b';'), run(|byte| byte.is_ascii_alphabetic())).parse(at)?;
        if !word.eq_ignore_ascii_case(name.as_bytes()) {
            return Err(INVALID.into());
        }
        byte(b'=')(at)
    }
}

/// Up to a partial, or to the end.
fn section(at: Cursor<'_>) -> Parsed<'_, Section> {
    let (behind, text) = run(|byte| byte != b';')(at)?;
    let text = str::from_utf8(text).map_err(|_| INVALID)?;
    // The slash before `;PARTIAL=`.
    let (text, slash) = match behind.at_end() {
        true => (text, 0),
        false => (text.strip_suffix('/').ok_or(INVALID)?, 1),
    };
    let decoded = decoded(text)?;
    let mut inside = Cursor::new(decoded.as_bytes(), Limits::NONE);
    let section = inside.read(fetch::section).and_then(|section| inside.read(end).map(|()| section));
    let rest = at.rest().get(at.rest().len() - behind.rest().len() - slash..).unwrap_or_default();
    section.map(|section| (at.with(rest), section)).map_err(|_| INVALID.into())
}

/// `number ["." nz-number]`: none is all that follows.
fn partial(at: Cursor<'_>) -> Parsed<'_, (u32, u32)> {
    let (at, first) = number(at)?;
    let (at, count) = map(opt(preceded(byte(b'.'), number)), |count| count.unwrap_or(u32::MAX)).parse(at)?;
    if count == 0 { Err(INVALID.into()) } else { Ok((at, (first, count))) }
}

/// Text without its percent-encoding: UTF-8 without control characters.
fn decoded(text: &str) -> Result<String, ParseError> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        (rest, _) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let (high, low) = (hex(high).ok_or(INVALID)?, hex(low).ok_or(INVALID)?);
                (after, out.push(high << 4 | low))
            }
            (b'%', _) => return Err(INVALID),
            (byte, after) => (after, out.push(byte)),
        };
    }
    let text = String::from_utf8(out).map_err(|_| INVALID)?;
    if text.chars().any(char::is_control) { Err(INVALID) } else { Ok(text) }
}

const INVALID: ParseError = ParseError::Invalid("URL");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Url, ParseError> {
        Url::parse(text)
    }

    fn printed(section: &Section) -> String {
        let mut out = Vec::new();
        section.print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_url_names_a_message_or_a_part_of_one() {
        let url = read("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=2.mime").unwrap();
        assert_eq!(
            (url.mailbox.as_deref(), url.uidvalidity, url.uid),
            (Some("Drafts"), Some(385_759_045), 20)
        );
        assert_eq!((printed(&url.section).as_str(), url.partial, url.server), ("2.MIME", None, None));
        let url = read("/a/b%20c/;UID=7/;SECTION=HEADER.FIELDS%20(TO)/;PARTIAL=5.10").unwrap();
        assert_eq!((url.mailbox.as_deref(), url.partial), (Some("a/b c"), Some((5, 10))));
        assert_eq!(printed(&url.section), "HEADER.FIELDS (TO)");
        assert_eq!(read("/x/;UID=7/;PARTIAL=5").unwrap().partial, Some((5, u32::MAX)));
    }

    #[test]
    fn one_without_a_mailbox_is_of_the_open_one() {
        for text in [";UID=3", "/;UID=3", ";uid=3/;SECTION=1"] {
            let url = read(text).unwrap();
            assert_eq!((url.mailbox, url.uid), (None, 3), "{text}");
        }
    }

    #[test]
    fn one_with_a_server_is_of_it_alone_and_of_its_user() {
        let text = "imap://joe;AUTH=*@Mail.example.org:143/INBOX/;UID=1";
        let url = read(text).unwrap();
        assert!(url.is_of("mail.example.org", "joe") && !url.is_of("mail.example.org", "ann"));
        assert!(!url.is_of("other.example.org", "joe"));
        assert_eq!(&text[url.path..], "/INBOX/;UID=1");
        assert!(read("imap://h/INBOX/;UID=1").unwrap().is_of("h", "anybody"));
        assert!(read("/INBOX/;UID=1").unwrap().is_of("whatever", "anybody"));
    }

    #[test]
    fn names_are_told_in_the_form_that_a_session_has() {
        let url = read("/Entw%C3%BCrfe%20%26%20Co/;UID=1").unwrap();
        assert_eq!(url.name(true).as_deref(), Some("Entwürfe & Co"));
        assert_eq!(url.name(false).as_deref(), Some("Entw&APw-rfe &- Co"));
    }

    #[test]
    fn what_is_no_url_of_a_message_is_refused() {
        for text in [
            "",
            "/",
            "INBOX/;UID=1",
            "/INBOX",
            "/INBOX;UID=1",
            "/INBOX;UIDVALIDITY=5",
            "/INBOX;UIDVALIDITY=5;UID=1",
            "/INBOX/;UID=0",
            "/INBOX/;UID=x",
            "/INBOX/;UID=1/;SECTION=9Z",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/INBOX/;UID=1;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=anonymous:internal:91354a473744909de610943775f92038",
            "/IN%BOX/;UID=1",
            "/IN%0ABOX/;UID=1",
            "/%FF/;UID=1",
            "//;UIDVALIDITY=1/;UID=1/",
            "http://h/INBOX/;UID=1",
            "imap:///INBOX/;UID=1",
            "imap://h",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_told_of_a_url_ends_no_code_and_no_line() {
        assert_eq!(shown("/a]\"b\r\nc/;UID=1"), "/a%5D%22b%0D%0Ac/;UID=1");
    }

    proptest! {
        #[test]
        fn any_name_and_section_come_back(name in "[^\\p{Cc}]{1,20}", uid in 1..u32::MAX, part in 1..9u32) {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let url = read(&format!("/{encoded};UIDVALIDITY=9/;UID={uid}/;SECTION={part}.TEXT")).unwrap();
            prop_assert_eq!(url.mailbox, Some(name));
            prop_assert_eq!((url.uid, printed(&url.section)), (uid, format!("{part}.TEXT")));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,60}", tail in "(/;UID=[0-9]{0,3}(/;SECTION=[0-9.]{0,4})?)?") {
            let _ = read(&format!("/{text}{tail}"));
            let _ = read(&text);
            prop_assert!(!shown(&text).contains(['"', ']']));
        }
    }
}
