//! The life of one entry on the MUPDATE master: RFC 3656 section 3, with Cyrus's answers where the RFC is silent.
//!
//! An entry is absent, reserved at a location, or active at a location with an ACL. A command's location is *same* when
//! its text equals the entry's, partition included, and *other* else. [`step`] is the whole of it, one arm per cell of:
//!
//! | | none | R same | R other | A same | A other |
//! |---|---|---|---|---|---|
//! | RESERVE | reserve | reserve | NO exists | reserve, ACL lost | NO exists |
//! | ACTIVATE | activate | activate | activate | activate | activate |
//! | DEACTIVATE | NO missing | NO not active | NO not active | reserve | reserve |
//! | DELETE | NO missing | delete | delete | delete | delete |
//!
//! Every OK is told to all streams, also where nothing changed.

use std::sync::Arc;

use crate::location::Location;

/// A command that changes an entry. DELETE names no location, so that every entry is the same to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Reserve(Location),
    Activate(Location, Arc<str>),
    Deactivate(Location),
    Delete,
}

/// The entry as a command meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    Absent,
    ReservedSame,
    ReservedOther,
    ActiveSame,
    ActiveOther,
}

/// What an accepted command makes of the entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Reserved(Location),
    Active(Location, Arc<str>),
    Gone,
}

/// A NO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("mailbox already exists")]
    Exists,
    #[error("mailbox doesn't exist")]
    Missing,
    #[error("mailbox not currently active")]
    NotActive,
}

/// Judges one command on one entry.
pub fn step(write: Write, met: Met) -> Result<Next, Refusal> {
    use Met::{Absent, ActiveOther, ActiveSame, ReservedOther, ReservedSame};
    use Write::{Activate, Deactivate, Delete, Reserve};
    match (write, met) {
        (Reserve(at), Absent) => Ok(Next::Reserved(at)),
        (Reserve(at), ReservedSame) => Ok(Next::Reserved(at)),
        (Reserve(_), ReservedOther) => Err(Refusal::Exists),
        (Reserve(at), ActiveSame) => Ok(Next::Reserved(at)),
        (Reserve(_), ActiveOther) => Err(Refusal::Exists),

        (Activate(at, acl), Absent) => Ok(Next::Active(at, acl)),
        (Activate(at, acl), ReservedSame) => Ok(Next::Active(at, acl)),
        (Activate(at, acl), ReservedOther) => Ok(Next::Active(at, acl)),
        (Activate(at, acl), ActiveSame) => Ok(Next::Active(at, acl)),
        (Activate(at, acl), ActiveOther) => Ok(Next::Active(at, acl)),

        (Deactivate(_), Absent) => Err(Refusal::Missing),
        (Deactivate(_), ReservedSame) => Err(Refusal::NotActive),
        (Deactivate(_), ReservedOther) => Err(Refusal::NotActive),
        (Deactivate(at), ActiveSame) => Ok(Next::Reserved(at)),
        (Deactivate(at), ActiveOther) => Ok(Next::Reserved(at)),

        (Delete, Absent) => Err(Refusal::Missing),
        (Delete, ReservedSame) => Ok(Next::Gone),
        (Delete, ReservedOther) => Ok(Next::Gone),
        (Delete, ActiveSame) => Ok(Next::Gone),
        (Delete, ActiveOther) => Ok(Next::Gone),
    }
}

impl Write {
    /// The column of the table: the entry given as (is it active, where), if there is one.
    pub fn meets(&self, entry: Option<(bool, &Location)>) -> Met {
        let same = |place: &Location| match self {
            Write::Reserve(at) | Write::Activate(at, _) | Write::Deactivate(at) => at == place,
            Write::Delete => true,
        };
        match entry {
            None => Met::Absent,
            Some((false, place)) if same(place) => Met::ReservedSame,
            Some((false, _)) => Met::ReservedOther,
            Some((true, place)) if same(place) => Met::ActiveSame,
            Some((true, _)) => Met::ActiveOther,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sheet's table, cell by cell: what the entry is afterwards, or the refusal's text.
    const TABLE: &str = "\
        |            | none              | R same            | R other           | A same            | A other
        | RESERVE    | R new             | R new             | NO already exists | R new             | NO already exists
        | ACTIVATE   | A new             | A new             | A new             | A new             | A new
        | DEACTIVATE | NO doesn't exist  | NO not currently  | NO not currently  | R new             | R new
        | DELETE     | NO doesn't exist  | gone              | gone              | gone              | gone";

    fn entry(column: &str) -> Option<(bool, Location)> {
        let at = Location::parse(if column.ends_with("same") { "be1!new" } else { "be1!old" }).unwrap();
        match column.chars().next() {
            Some('R') => Some((false, at)),
            Some('A') => Some((true, at)),
            _ => None,
        }
    }

    fn write(command: &str) -> Write {
        let at = Location::parse("be1!new").unwrap();
        match command {
            "RESERVE" => Write::Reserve(at),
            "ACTIVATE" => Write::Activate(at, "fred\tlrs\t".into()),
            "DEACTIVATE" => Write::Deactivate(at),
            "DELETE" => Write::Delete,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_cell_is_as_the_sheet_has_it() {
        let rows: Vec<Vec<&str>> =
            TABLE.lines().map(|row| row.split('|').skip(1).map(str::trim).collect()).collect();
        let mut cells = 0;
        for row in &rows[1..] {
            for (column, cell) in rows[0].iter().zip(row).skip(1) {
                let (entry, write) = (entry(column), write(row[0]));
                let met = write.meets(entry.as_ref().map(|(active, at)| (*active, at)));
                let got = match step(write, met) {
                    Ok(Next::Reserved(at)) => format!("R {}", at.partition().unwrap()),
                    Ok(Next::Active(at, acl)) => {
                        assert_eq!(&*acl, "fred\tlrs\t");
                        format!("A {}", at.partition().unwrap())
                    }
                    Ok(Next::Gone) => "gone".into(),
                    Err(refusal) => format!("NO {refusal}"),
                };
                match cell.strip_prefix("NO ") {
                    Some(part) => {
                        assert!(got.starts_with("NO ") && got.contains(part), "{row:?} {column}: {got}")
                    }
                    None => assert_eq!(&got, cell, "{row:?} {column}"),
                }
                cells += 1;
            }
        }
        assert_eq!(cells, 20);
    }
}
