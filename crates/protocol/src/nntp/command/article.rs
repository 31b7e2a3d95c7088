//! ARTICLE, HEAD, BODY, STAT (RFC 3977 section 6.2): an article, or a part of it.
//!
//! ```text
//! ("ARTICLE" / "HEAD" / "BODY" / "STAT") [WS (number / message-id)]
//! ```

use super::Command;
use super::arguments::{of, optional};
use crate::grammar::{Cursor, Parsed};
use crate::nntp::words::Article;

/// What is sent of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Article,
    Head,
    Body,
    /// Nothing but that it is there.
    Stat,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Article => "ARTICLE",
            Part::Head => "HEAD",
            Part::Body => "BODY",
            Part::Stat => "STAT",
        }
    }

    /// The code of a positive answer.
    pub fn code(self) -> u16 {
        match self {
            Part::Article => 220,
            Part::Head => 221,
            Part::Body => 222,
            Part::Stat => 223,
        }
    }
}

pub(super) fn parse(part: Part, at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, which) = optional(of(Article::parse))(at)?;
    Ok((at, Command::Article(part, which.unwrap_or(Article::Current))))
}
