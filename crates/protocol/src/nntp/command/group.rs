//! GROUP, LISTGROUP (RFC 3977 section 6.1): the group that numbers count in.
//!
//! ```text
//! "GROUP" WS group            "LISTGROUP" [WS group [WS range]]            "NEXT"            "LAST"
//! ```

use super::Command;
use super::arguments::{of, optional};
use crate::grammar::{Cursor, Parsed};
use crate::nntp::words::{GroupName, Range};

pub(super) fn group(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, group) = of(GroupName::parse)(at)?;
    Ok((at, Command::Group(group)))
}

pub(super) fn list_group(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, group) = optional(of(GroupName::parse))(at)?;
    let (at, range) = optional(of(Range::parse))(at)?;
    Ok((at, Command::ListGroup { group, range: range.unwrap_or(Range::ALL) }))
}
