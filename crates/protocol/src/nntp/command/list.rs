//! LIST (RFC 3977 section 7.6, RFC 6048): what there is.
//!
//! ```text
//! "LIST" ["ACTIVE" [WS wildmat]]
//! "LIST" ("NEWSGROUPS" / "ACTIVE.TIMES" / "COUNTS" / "SUBSCRIPTIONS") [WS wildmat]
//! "LIST" ("OVERVIEW.FMT" / "DISTRIBUTIONS" / "DISTRIB.PATS" / "MODERATORS" / "MOTD")
//! "LIST" "HEADERS" [WS ("MSGID" / "RANGE")]
//! ```

use std::fmt;

use super::Command;
use super::arguments::{blanks, of, optional, word};
use crate::grammar::{Cursor, Keyword, ParseError, Parsed};
use crate::nntp::wildmat::Wildmat;

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// Groups with their lowest and highest numbers.
    Active(Option<Wildmat>),
    /// Groups with their descriptions.
    Newsgroups(Option<Wildmat>),
    OverviewFmt,
    /// The fields that HDR knows.
    Headers,
    /// One that a server need not have, and this one has not (503).
    Unsupported(String),
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            List::Active(None) => f.write_str("LIST ACTIVE"),
            List::Active(Some(groups)) => write!(f, "LIST ACTIVE {groups}"),
            List::Newsgroups(None) => f.write_str("LIST NEWSGROUPS"),
            List::Newsgroups(Some(groups)) => write!(f, "LIST NEWSGROUPS {groups}"),
            List::OverviewFmt => f.write_str("LIST OVERVIEW.FMT"),
            List::Headers => f.write_str("LIST HEADERS"),
            List::Unsupported(keyword) => write!(f, "LIST {keyword}"),
        }
    }
}

pub(super) fn parse(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, keyword) = optional(word)(at)?;
    let wildmat = optional(of(|text| Wildmat::parse(text).ok()));
    let (at, list) = match Keyword::of(keyword.unwrap_or("ACTIVE").as_bytes()).as_bytes() {
        b"ACTIVE" => wildmat(at).map(|(at, groups)| (at, List::Active(groups)))?,
        b"NEWSGROUPS" => wildmat(at).map(|(at, groups)| (at, List::Newsgroups(groups)))?,
        b"OVERVIEW.FMT" => (at, List::OverviewFmt),
        b"HEADERS" => {
            let which =
                |text: &str| ["MSGID", "RANGE"].iter().any(|w| w.eq_ignore_ascii_case(text)).then_some(());
            optional(of(which))(at).map(|(at, _)| (at, List::Headers))?
        }
        known @ (b"ACTIVE.TIMES" | b"COUNTS" | b"SUBSCRIPTIONS" | b"DISTRIBUTIONS" | b"DISTRIB.PATS"
        | b"MODERATORS" | b"MOTD") => {
            let keyword = String::from_utf8_lossy(known).into_owned();
            (blanks(at).with(&[]), List::Unsupported(keyword))
        }
        _ => return Err(ParseError::Text("LIST").into()),
    };
    Ok((at, Command::List(list)))
}
