//! The commands of a client: a keyword and its arguments (RFC 3977, 4642, 4643, 4644, 8054, and what was before them, RFC 2980).
//!
//! ```text
//! command = keyword *(WS argument) [WS]
//!
//! "CAPABILITIES" [WS keyword]   "DATE"   "HELP"   "QUIT"   "SLAVE"   "NEXT"   "LAST"          the others: in their files
//! ```

mod arguments;
mod article;
mod group;
mod list;
mod login;
mod news;
mod over;
mod post;

use std::fmt;

use super::wildmat::Wildmat;
use super::words::{Article, Articles, GroupName, MessageId, Range};
use crate::grammar::{Cursor, Keyword, Limits, ParseError, Parsed, run};
use crate::origin::Origin;

pub use article::Part;
pub use list::List;
pub use news::Since;
pub use over::Form;

/// One command. Printed it is what is sent to a server; a password or SASL response is among it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Article(Part, Article),
    AuthUser(String),
    AuthPass(Vec<u8>),
    AuthSasl {
        mechanism: String,
        initial: Option<String>,
    },
    Capabilities,
    /// Any word may stand for a message-id.
    Check(String),
    /// With DEFLATE, the one algorithm.
    Compress,
    Date,
    Group(GroupName),
    Hdr {
        form: Form,
        field: String,
        which: Articles,
    },
    Help,
    Ihave(MessageId),
    Last,
    List(List),
    ListGroup {
        group: Option<GroupName>,
        range: Range,
    },
    ModeReader,
    ModeStream,
    NewGroups(Since),
    NewNews {
        groups: Wildmat,
        since: Since,
    },
    Next,
    Over {
        form: Form,
        which: Articles,
    },
    Post,
    Quit,
    Slave,
    StartTls,
    /// The article follows at once, whatever becomes of it. Anything may stand for a message-id, and nothing.
    TakeThis(String),
    /// Where the session comes from, by a frontend of this project.
    XClient(Origin),
    XPat {
        field: String,
        which: Articles,
        patterns: Vec<Wildmat>,
    },
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("Unrecognized command")]
    Unknown,
    #[error("Missing argument")]
    Missing,
    #[error("Unexpected extra argument")]
    Extra,
    #[error("Bad argument")]
    Bad,
    /// A LIST whose keyword nobody knows.
    #[error("Unrecognized LIST command")]
    UnknownList,
}

impl Command {
    /// Reads a line without its line end.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        if line.contains(&0) {
            return Err(CommandError::Bad);
        }
        Cursor::new(line, Limits::NONE).read(command).map_err(CommandError::from)
    }

    /// Whether an answer with this code has lines behind it, up to a lone dot.
    pub fn has_block(&self, code: u16) -> bool {
        match code {
            100 | 101 | 215 | 220 | 222 | 224 | 225 | 230 | 231 => true,
            211 => matches!(self, Command::ListGroup { .. }),
            // HEAD's, and XHDR's.
            221 => true,
            _ => false,
        }
    }

    /// Whether an article follows the line at once, whatever becomes of it.
    pub fn brings_article(line: &[u8]) -> bool {
        let keyword = line.split(|&b| arguments::is_blank(b)).next().unwrap_or_default();
        keyword.eq_ignore_ascii_case(b"TAKETHIS")
    }

    /// Whether a line of this command may be longer than others: what SASL needs (RFC 4643 section 2.4.2).
    pub fn may_be_long(line: &[u8]) -> bool {
        let keyword = line.split(|&b| arguments::is_blank(b)).next().unwrap_or_default();
        keyword.eq_ignore_ascii_case(b"AUTHINFO") || keyword.eq_ignore_ascii_case(b"XCLIENT")
    }
}

fn command(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, word) = run(|byte| !arguments::is_blank(byte))(at)?;
    let (at, command) = match Keyword::of(word).as_bytes() {
        b"ARTICLE" => article::parse(Part::Article, at),
        b"AUTHINFO" => login::authinfo(at),
        b"BODY" => article::parse(Part::Body, at),
        b"CAPABILITIES" => {
            arguments::optional(arguments::word)(at).map(|(at, _)| (at, Command::Capabilities))
        }
        b"CHECK" => post::check(at),
        b"COMPRESS" => login::compress(at),
        b"DATE" => Ok((at, Command::Date)),
        b"GROUP" => group::group(at),
        b"HDR" => over::hdr(Form::Rfc3977, at),
        b"HEAD" => article::parse(Part::Head, at),
        b"HELP" => Ok((at, Command::Help)),
        b"IHAVE" => post::ihave(at),
        b"LAST" => Ok((at, Command::Last)),
        b"LIST" => list::parse(at),
        b"LISTGROUP" => group::list_group(at),
        b"MODE" => login::mode(at),
        b"NEWGROUPS" => news::new_groups(at),
        b"NEWNEWS" => news::new_news(at),
        b"NEXT" => Ok((at, Command::Next)),
        b"OVER" => over::over(Form::Rfc3977, at),
        b"POST" => Ok((at, Command::Post)),
        b"QUIT" => Ok((at, Command::Quit)),
        b"SLAVE" => Ok((at, Command::Slave)),
        b"STARTTLS" => Ok((at, Command::StartTls)),
        b"STAT" => article::parse(Part::Stat, at),
        b"TAKETHIS" => post::takethis(at),
        b"XCLIENT" => login::xclient(at),
        b"XHDR" => over::hdr(Form::Old, at),
        b"XOVER" => over::over(Form::Old, at),
        b"XPAT" => over::xpat(at),
        _ => Err(ParseError::Unrecognized.into()),
    }?;
    match arguments::blanks(at) {
        at if at.at_end() => Ok((at, command)),
        _ => Err(ParseError::Extra.into()),
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |form: &Form, new: &'static str, old: &'static str| match form {
            Form::Rfc3977 => new,
            Form::Old => old,
        };
        match self {
            Command::Article(part, which) => write!(f, "{}{which}", part.name()),
            Command::AuthUser(user) => write!(f, "AUTHINFO USER {user}"),
            Command::AuthPass(password) => write!(f, "AUTHINFO PASS {}", String::from_utf8_lossy(password)),
            Command::AuthSasl { mechanism, initial: None } => write!(f, "AUTHINFO SASL {mechanism}"),
            Command::AuthSasl { mechanism, initial: Some(initial) } => {
                write!(f, "AUTHINFO SASL {mechanism} {initial}")
            }
            Command::Capabilities => f.write_str("CAPABILITIES"),
            Command::Check(id) => write!(f, "CHECK {id}"),
            Command::Compress => f.write_str("COMPRESS DEFLATE"),
            Command::Date => f.write_str("DATE"),
            Command::Group(group) => write!(f, "GROUP {group}"),
            Command::Hdr { form, field, which } => write!(f, "{} {field}{which}", name(form, "HDR", "XHDR")),
            Command::Help => f.write_str("HELP"),
            Command::Ihave(id) => write!(f, "IHAVE {id}"),
            Command::Last => f.write_str("LAST"),
            Command::List(list) => write!(f, "{list}"),
            Command::ListGroup { group: None, .. } => f.write_str("LISTGROUP"),
            Command::ListGroup { group: Some(group), range } => write!(f, "LISTGROUP {group} {range}"),
            Command::ModeReader => f.write_str("MODE READER"),
            Command::ModeStream => f.write_str("MODE STREAM"),
            Command::NewGroups(since) => write!(f, "NEWGROUPS {since}"),
            Command::NewNews { groups, since } => write!(f, "NEWNEWS {groups} {since}"),
            Command::Next => f.write_str("NEXT"),
            Command::Over { form, which } => write!(f, "{}{which}", name(form, "OVER", "XOVER")),
            Command::Post => f.write_str("POST"),
            Command::Quit => f.write_str("QUIT"),
            Command::Slave => f.write_str("SLAVE"),
            Command::StartTls => f.write_str("STARTTLS"),
            Command::TakeThis(id) => write!(f, "TAKETHIS {id}"),
            Command::XClient(origin) => f.write_str(&origin.command()),
            Command::XPat { field, which, patterns } => {
                write!(f, "XPAT {field}{which}")?;
                patterns.iter().try_for_each(|pattern| write!(f, " {pattern}"))
            }
        }
    }
}

impl From<ParseError> for CommandError {
    fn from(error: ParseError) -> CommandError {
        match error {
            ParseError::Missing => CommandError::Missing,
            ParseError::Extra => CommandError::Extra,
            ParseError::Unrecognized => CommandError::Unknown,
            ParseError::Text(_) => CommandError::UnknownList,
            ParseError::Invalid(_) | ParseError::Incomplete | ParseError::Long => CommandError::Bad,
        }
    }
}

#[cfg(test)]
mod tests;
