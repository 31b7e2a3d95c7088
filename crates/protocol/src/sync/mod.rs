//! How mailboxes go from one server to another: the replication of Cyrus in its IMAP form (SYNCGET, SYNCAPPLY, SYNCRESTART), and
//! what servers of ours say besides.
//!
//! ```text
//! C: S1 SYNCGET USER fred                                   get.rs
//! S: * MAILBOX %(UNIQUEID … MBOXNAME user.fred …)            told.rs, mailbox.rs
//! S: S1 OK success                                          code.rs
//! C: S2 SYNCAPPLY MESSAGE (%{default <guid> 532}             apply.rs, dlist.rs
//! C: <532 octets>)
//! C: S3 SYNCAPPLY LOCAL_MAILBOX %(… RECORD (%(UID 1 …)))     apply.rs, record.rs
//! C: S4 SYNCRESTART
//! ```
//!
//! Its source is Cyrus, of which 3.6.1 was observed and the source of later ones read; there is no RFC. Values are dlists
//! ([`dlist`]). The two checksums that prove a copy are in [`crc`].

pub mod apply;
pub mod code;
pub mod crc;
pub mod dlist;
mod file;
pub mod get;
mod ids;
pub mod mailbox;
pub mod moving;
pub mod record;
pub mod told;
pub mod user;

pub use apply::{Apply, Rename, Reserve, Upload};
pub use code::{Code, Ended};
pub use crc::Crc;
pub use file::File;
pub use get::Get;
pub use ids::{Guid, UniqueId};
pub use mailbox::{FormerName, Gone, Mailbox, Options, Ours, Since};
pub use record::{Annotation, Record};
pub use told::Told;
pub use user::{HeldScript, MailboxAnnotation, Quota, Script, Seen, Subscription};

use crate::frame::trim_line;
use crate::grammar::{Cursor, Keyword, Limits, ParseError, Parsed, argument, atom, end};
use crate::imap::Tag;

/// What the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// It is told what Cyrus has keys for, in the way in which Cyrus wants it.
    Cyrus,
    Ours,
}

/// A command of replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Get(Get),
    Apply(Apply),
    /// SYNCRESTART: what was uploaded and not used is of no more use.
    Restart,
}

/// The command as it begins: its tag and which of them it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Apply,
    Restart,
}

impl Command {
    /// Whether a command that begins so is one of these: SYNCGET, SYNCAPPLY and SYNCRESTART.
    pub fn begins(text: &[u8]) -> bool {
        let start = text.get(..text.len().min(START)).unwrap_or_default();
        begin(trim_line(start)).is_some()
    }

    /// Reads a whole frame, literals in place, that [begins](Command::begins) as one of these. A command that is not understood is
    /// refused with the code that Cyrus has for it.
    pub fn parse(frame: &[u8]) -> Result<Command, Code> {
        let (verb, mut at) = begin(trim_line(frame)).ok_or(Code::ProtocolError)?;
        let parsed = match verb {
            Verb::Get => at.read(argument(Get::parse)).map(Command::Get),
            Verb::Apply => at.read(argument(Apply::parse)).map(Command::Apply),
            Verb::Restart => Ok(Command::Restart),
        };
        match parsed.and_then(|command| at.read(end).map(|()| command)) {
            Ok(command) => Ok(command),
            Err(ParseError::Unrecognized) => Err(Code::ProtocolError),
            Err(_) => Err(Code::BadParameters),
        }
    }

    /// Reads the text of a SYNCAPPLY MESSAGE up to the header of its first file, which ends it.
    pub fn upload(text: &[u8]) -> Result<File, Code> {
        match begin(trim_line(text)) {
            Some((Verb::Apply, mut at)) => {
                let file = at.read(argument(Upload::first)).map_err(|_| Code::BadParameters)?;
                if at.at_end() { Ok(file) } else { Err(Code::BadParameters) }
            }
            _ => Err(Code::ProtocolError),
        }
    }
}

fn begin(text: &[u8]) -> Option<(Verb, Cursor<'_>)> {
    let mut at = Cursor::new(text, Limits::NONE);
    Tag::take(&mut at).ok()?;
    let word = at.read(atom).ok()?;
    let verb = match Keyword::of(word.as_bytes()).as_bytes() {
        b"SYNCGET" => Verb::Get,
        b"SYNCAPPLY" => Verb::Apply,
        b"SYNCRESTART" => Verb::Restart,
        _ => return None,
    };
    Some((verb, at))
}

/// Reads a value into its place, and goes on behind it.
fn take<'a, T>(
    at: Cursor<'a>,
    mut value: impl FnMut(Cursor<'a>) -> Parsed<'a, T>,
    place: &mut T,
) -> Result<Cursor<'a>, nom::Err<ParseError>> {
    let (at, found) = value(at)?;
    *place = found;
    Ok(at)
}

/// The same of a value that may be missing.
fn set<'a, T>(
    at: Cursor<'a>,
    mut value: impl FnMut(Cursor<'a>) -> Parsed<'a, T>,
    place: &mut Option<T>,
) -> Parsed<'a, ()> {
    let (at, found) = value(at)?;
    *place = Some(found);
    Ok((at, ()))
}

/// Adds a value to those of a list.
fn push<'a, T>(
    at: Cursor<'a>,
    mut value: impl FnMut(Cursor<'a>) -> Parsed<'a, T>,
    values: &mut Vec<T>,
) -> Parsed<'a, ()> {
    let (at, found) = value(at)?;
    values.push(found);
    Ok((at, ()))
}

/// Bytes in which the tag and the name of a command stand: the longest tag, and a word.
const START: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_known_by_their_first_words() {
        for text in ["a SYNCGET", "S1 syncget USER x", "a SYNCAPPLY MESSAGE (", "a SYNCRESTART\r\n"] {
            assert!(Command::begins(text.as_bytes()), "{text}");
        }
        for text in ["SYNCGET x", "a", "a SYNCGETS", "a UID SYNCGET", "a NOOP", "", "a SYNCRESTORE x"] {
            assert!(!Command::begins(text.as_bytes()), "{text}");
        }
        assert!(!Command::begins(&vec![b'a'; 1 << 20]));
    }

    #[test]
    fn a_command_is_read_or_refused_as_cyrus_refuses_it() {
        assert_eq!(Command::parse(b"S1 SYNCGET USER alice\r\n"), Ok(Command::Get(Get::User("alice".into()))));
        assert_eq!(
            Command::parse(b"S1 SYNCGET USER {5+}\r\nalice\r\n"),
            Ok(Command::Get(Get::User("alice".into())))
        );
        assert_eq!(Command::parse(b"S1 SYNCRESTART\r\n"), Ok(Command::Restart));
        assert_eq!(Command::parse(b"S1 SYNCGET FROG x\r\n"), Err(Code::ProtocolError));
        assert_eq!(Command::parse(b"S1 SYNCAPPLY FROG x\r\n"), Err(Code::ProtocolError));
        for bad in ["S1 SYNCGET", "S1 SYNCGET USER", "S1 SYNCAPPLY LOCAL_MAILBOX %()", "S1 SYNCRESTART x"] {
            assert_eq!(Command::parse(bad.as_bytes()), Err(Code::BadParameters), "{bad}");
        }
    }

    #[test]
    fn questions_are_printed_as_they_are_read() {
        let name = |name| crate::name::MailboxName::parse(name).unwrap();
        for get in [
            Get::User("a b".into()),
            Get::Meta("alice".into()),
            Get::Mailboxes(vec![name("user.a"), name("user.a.b c")]),
            Get::Mailboxes(vec![]),
            Get::FullMailbox(name("user.a")),
            Get::Annotation(None),
            Get::Annotation(Some(name("user.a"))),
            Get::Quota(name("user.a")),
        ] {
            let mut out = Vec::new();
            get.write("S1", &mut out);
            assert_eq!(Command::parse(&out), Ok(Command::Get(get)));
        }
    }
}
