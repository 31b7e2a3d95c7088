//! Where a list stands: what the resuming extension carries and every database of mailboxes keeps.

use std::fmt;

/// Identifies a list: new whenever a database was created, undumped or restored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ListId(pub u128);

impl ListId {
    /// 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hexadecimal = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        hexadecimal.then(|| u128::from_str_radix(text, 16).ok().map(ListId))?
    }
}

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Up to where a list has come. Two lists at the same position are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    pub list: ListId,
    /// Grows at each promotion of a standby.
    pub term: u64,
    /// One per change.
    pub seq: u64,
}

impl Position {
    /// The form that [`fmt::Display`] gives: `id:term:seq`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (list, term, seq) = (parts.next()?, parts.next()?, parts.next()?);
        let done = parts.next().is_none();
        done.then(|| {
            Some(Position { list: ListId::parse(list)?, term: term.parse().ok()?, seq: seq.parse().ok()? })
        })?
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.list, self.term, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_prints() {
        let position = Position { list: ListId(0xabc), term: 2, seq: 77 };
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        for wrong in
            ["", "abc:1:2", "00000000000000000000000000000abc:1", "+0000000000000000000000000000abc:1:2"]
        {
            assert_eq!(Position::parse(wrong), None, "{wrong}");
        }
    }
}
