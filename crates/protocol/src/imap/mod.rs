//! IMAP4rev1 (RFC 3501) with the extensions that the store serves: grammar of commands and printing of responses.
//!
//! A command arrives as one frame (see [`crate::frame`]): its text with the literals in their place. [`Command::parse`]
//! turns it into a [`Command`]: a tag and a typed [`Body`], one file per family under [`command`]. A frame that is
//! wrong gives a [`Bad`], which still carries the tag wherever there is one, so that the client gets its answer.
//! APPEND alone is parsed in steps, since its literals are messages and are never collected: [`command::append`].
//!
//! What goes back: a [`Reply`] for each command, a [`Refusal`] says which where it is not done; untagged responses are printed
//! beside the grammar of their command. [`mod@print`] writes strings as atoms, quoted or literals.

pub mod assemble;
pub mod capability;
pub mod code;
pub mod command;
pub mod date;
pub mod enabled;
pub mod print;
pub mod refusal;
pub mod reply;
pub mod set;
pub mod url;

pub use crate::flag::{self, Flag};
pub use crate::grammar::{Cursor, Limits, ParseError};
pub use assemble::{Assembled, Assembler, Bounds};
pub use command::{Body, Name};
pub use date::{Date, DateTime};
pub use enabled::{Enabled, Extension};
pub use refusal::Refusal;
pub use reply::{Bye, Code, Kind, Reply};
pub use set::{SequenceSet, UidSet};

use crate::grammar::{self, run, space};

/// A command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub tag: Tag,
    pub body: Body,
}

impl Command {
    /// Parses a whole frame: one command with its literals in place and its line end.
    pub fn parse(frame: &[u8], limits: Limits) -> Result<Command, Bad> {
        let mut cursor = Cursor::new(crate::frame::trim_line(frame), limits);
        let tag = Tag::take(&mut cursor)?;
        let name = cursor.read(Name::parse).map_err(|error| Bad::new(&tag, error, ""))?;
        match command::parse(&name, &mut cursor) {
            Ok(body) => Ok(Command { tag, body }),
            Err(error) => Err(Bad::new(&tag, error, &name.title())),
        }
    }
}

/// What a client puts before its command and finds before the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag at the start of a frame, or of the first bytes of one that was skipped.
    pub fn of(start: &[u8]) -> Option<Tag> {
        Tag::take(&mut Cursor::new(start, Limits::default())).ok()
    }

    /// Takes the tag and the space after it.
    pub fn take(cursor: &mut Cursor<'_>) -> Result<Tag, Bad> {
        let none = |text: &str| Bad { tag: None, text: text.to_owned(), foreign: false, oversized: false };
        let word = cursor.read(run(is_tag_byte)).map_err(|_| none("Invalid tag"))?;
        if word.is_empty() || word.len() > TAG_MAX {
            return Err(none("Invalid tag"));
        }
        let tag = Tag(String::from_utf8_lossy(word).into_owned());
        match cursor.peek() {
            Some(b' ') | None if cursor.read(space).is_ok() => Ok(tag),
            Some(b' ') | None => {
                Err(Bad { tag: Some(tag), text: "Null command".to_owned(), foreign: false, oversized: false })
            }
            Some(_) => Err(none("Invalid tag")),
        }
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command that cannot be understood: to be answered `tag BAD text`, or `* BAD text` where even the tag is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    pub tag: Option<Tag>,
    pub text: String,
    /// It is a command of other servers: no mistake of the client's.
    pub foreign: bool,
    /// A literal that is too large to be sent unasked (RFC 7888 section 5).
    pub oversized: bool,
}

impl Bad {
    pub fn new(tag: &Tag, error: ParseError, title: &str) -> Bad {
        let foreign = error == ParseError::Unrecognized && command::is_foreign(title);
        Bad { tag: Some(tag.clone()), text: error.text(title), foreign, oversized: false }
    }
}

impl ParseError {
    /// The text of the BAD, for the command called `title`.
    pub fn text(&self, title: &str) -> String {
        match self {
            ParseError::Missing | ParseError::Incomplete => format!("Missing required argument to {title}"),
            ParseError::Extra => format!("Unexpected extra arguments to {title}"),
            ParseError::Invalid(what) => format!("Invalid {what} in {title}"),
            ParseError::Long => format!("Word too long in {title}"),
            ParseError::Unrecognized => "Unrecognized command".to_owned(),
            ParseError::Text(text) => (*text).to_owned(),
        }
    }
}

const TAG_MAX: usize = 128;

fn is_tag_byte(byte: u8) -> bool {
    grammar::is_astring_byte(byte) && byte != b'+'
}

#[cfg(test)]
mod tests;
