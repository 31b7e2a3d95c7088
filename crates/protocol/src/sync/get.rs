//! SYNCGET: what the other side has.
//!
//! ```text
//! get = "USER" SP user / "META" SP user / "MAILBOXES" SP "(" *name ")" / "FULLMAILBOX" SP name / "ANNOTATION" SP name / "QUOTA" SP root
//! ```

use crate::grammar::{Cursor, Keyword, ParseError, Parsed, argument, atom};
use crate::name::MailboxName;

use super::dlist::{self, Writer};
use super::user::name;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Get {
    /// The user's mailboxes, without their messages, and all that goes with the user. An unknown user has nothing.
    User(String),
    /// What goes with the user alone.
    Meta(String),
    /// These mailboxes, without their messages. Those that do not exist are passed over.
    Mailboxes(Vec<MailboxName>),
    /// A mailbox with its messages.
    FullMailbox(MailboxName),
    /// Annotations of a mailbox; none: the server's.
    Annotation(Option<MailboxName>),
    Quota(MailboxName),
}

impl Get {
    /// Reads what stands behind `SYNCGET SP`.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Get> {
        let (at, word) = atom(at)?;
        match Keyword::of(word.as_bytes()).as_bytes() {
            b"USER" => argument(dlist::string)(at).map(|(at, user)| (at, Get::User(user))),
            b"META" => argument(dlist::string)(at).map(|(at, user)| (at, Get::Meta(user))),
            b"MAILBOXES" => {
                let mut names = Vec::new();
                let (at, ()) = argument(|at| dlist::list(at, |at| super::push(at, name, &mut names)))(at)?;
                Ok((at, Get::Mailboxes(names)))
            }
            b"FULLMAILBOX" => argument(name)(at).map(|(at, name)| (at, Get::FullMailbox(name))),
            b"ANNOTATION" => {
                let (at, text) = argument(dlist::string)(at)?;
                let name = (!text.is_empty()).then(|| MailboxName::parse(&text)).transpose();
                Ok((at, Get::Annotation(name.map_err(|_| ParseError::Invalid("mailbox name"))?)))
            }
            b"QUOTA" => argument(name)(at).map(|(at, root)| (at, Get::Quota(root))),
            _ => Err(ParseError::Unrecognized.into()),
        }
    }

    /// Prints `tag SYNCGET …` with its line end.
    pub fn write(&self, tag: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{tag} SYNCGET").as_bytes());
        let mut out = Writer::command(out);
        match self {
            Get::User(user) => out.key("USER").text(user),
            Get::Meta(user) => out.key("META").text(user),
            Get::Mailboxes(names) => {
                out.key("MAILBOXES").list(|out| names.iter().for_each(|name| out.text(name.as_str())));
            }
            Get::FullMailbox(name) => out.key("FULLMAILBOX").text(name.as_str()),
            Get::Annotation(name) => {
                out.key("ANNOTATION").text(name.as_ref().map_or("", MailboxName::as_str));
            }
            Get::Quota(root) => out.key("QUOTA").text(root.as_str()),
        }
        out.end();
    }
}
