//! STATUS: RFC 3501, RFC 7162 (HIGHESTMODSEQ), RFC 8438 (SIZE), RFC 8474 (MAILBOXID), RFC 9051 (DELETED),
//! RFC 9208 (DELETED-STORAGE), RFC 7889 (APPENDLIMIT).

use nom::Parser;

use super::mailbox::one;
use crate::grammar::{Cursor, ParseError, Parsed, argument, atom, list};
use crate::imap::print;

/// `STATUS SP mailbox SP "(" item *(SP item) ")"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub mailbox: String,
    pub items: Vec<StatusItem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Size,
    HighestModseq,
    MailboxId,
    Deleted,
    /// Bytes of what is \Deleted.
    DeletedStorage,
    /// Bytes of a message that can be appended.
    AppendLimit,
}

impl StatusItem {
    pub fn name(self) -> &'static str {
        match self {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Size => "SIZE",
            StatusItem::HighestModseq => "HIGHESTMODSEQ",
            StatusItem::MailboxId => "MAILBOXID",
            StatusItem::Deleted => "DELETED",
            StatusItem::DeletedStorage => "DELETED-STORAGE",
            StatusItem::AppendLimit => "APPENDLIMIT",
        }
    }

    const ALL: [StatusItem; 11] = [
        StatusItem::Messages,
        StatusItem::Recent,
        StatusItem::UidNext,
        StatusItem::UidValidity,
        StatusItem::Unseen,
        StatusItem::Size,
        StatusItem::HighestModseq,
        StatusItem::MailboxId,
        StatusItem::Deleted,
        StatusItem::DeletedStorage,
        StatusItem::AppendLimit,
    ];
}

pub fn parse(at: Cursor<'_>) -> Parsed<'_, Status> {
    let (at, (mailbox, items)) = (one, argument(items)).parse(at)?;
    Ok((at, Status { mailbox, items }))
}

/// `"(" item *(SP item) ")"`
pub fn items(at: Cursor<'_>) -> Parsed<'_, Vec<StatusItem>> {
    let (at, items) = list(32, item)(at)?;
    if items.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, items)) }
}

fn item(at: Cursor<'_>) -> Parsed<'_, StatusItem> {
    let (at, word) = atom(at)?;
    let found = StatusItem::ALL.into_iter().find(|item| item.name().eq_ignore_ascii_case(word));
    Ok((at, found.ok_or(ParseError::Invalid("status attribute"))?))
}

/// The value of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    /// An id, in parentheses.
    Id(String),
}

/// `* STATUS SP mailbox SP "(" [item SP value *(SP item SP value)] ")"`
pub fn print_status(out: &mut Vec<u8>, mailbox: &str, values: &[(StatusItem, Value)]) {
    out.extend_from_slice(b"* STATUS ");
    print::mailbox(out, mailbox);
    let told: Vec<String> = (values.iter())
        .map(|(item, value)| match value {
            Value::Number(number) => format!("{} {number}", item.name()),
            Value::Id(id) => format!("{} ({id})", item.name()),
        })
        .collect();
    out.extend_from_slice(format!(" ({})\r\n", told.join(" ")).as_bytes());
}
