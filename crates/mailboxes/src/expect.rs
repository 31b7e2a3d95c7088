//! What a change relies on, and what the MUPDATE master has of a name.
//!
//! A place alone does not say whether a mailbox went away and came back meanwhile: be1, be2, be1 looks as if nothing had
//! happened. With a [`Fence`] it does: each change of an entry has a number of its own in the master's list.
//!
//! ```text
//! expect = "none" / ("reserved@" / "active@" / "ours@") place [ "#" list ":" number ]
//! ```

use std::fmt;

use protocol::{
    location::Location,
    mupdate::position::{ListId, Position},
};

use crate::entry::Entry;

/// The state a change relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    None,
    Reserved(Place),
    Active(Place),
    /// Nothing, or an entry of this place: what whoever has it may change, and nobody who has given it away meanwhile.
    Ours(Place),
}

/// A server, or a whole location where it holds a `!`; and, where it matters, by which change the entry got there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    at: String,
    fence: Option<Fence>,
}

/// One change of one entry: its number, and the list that gave it. A list that was lost and filled again gives the same
/// numbers to other changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    pub list: ListId,
    pub seq: u64,
}

/// What the MUPDATE master has of one name: its answer to `STATUS name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtMaster {
    /// Where its list stands. What another list than this one had, or would have got, it cannot tell.
    pub position: Position,
    /// `seq` is the number of its last change, `mtime` the time of it.
    pub entry: Option<Entry>,
}

impl Expect {
    /// Whether it holds of an entry of this list.
    pub fn holds(&self, current: Option<&Entry>, list: ListId) -> bool {
        match (self, current) {
            (Expect::None | Expect::Ours(_), None) => true,
            (Expect::Reserved(place), Some(entry)) => !entry.is_active() && place.has(entry, list),
            (Expect::Active(place), Some(entry)) => entry.is_active() && place.has(entry, list),
            (Expect::Ours(place), Some(entry)) => place.has(entry, list),
            (Expect::None, Some(_)) | (Expect::Reserved(_) | Expect::Active(_), None) => false,
        }
    }

    /// Whether only a master with `FENCE` understands it.
    pub fn needs_fence(&self) -> bool {
        match self {
            Expect::None => false,
            Expect::Reserved(place) | Expect::Active(place) => place.fence.is_some(),
            Expect::Ours(_) => true,
        }
    }

    /// What [`fmt::Display`] gives. A place is not checked further: one that cannot be holds of nothing.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('@') {
            None => (text == "none").then_some(Expect::None),
            Some(("reserved", place)) => Some(Expect::Reserved(Place::parse(place))),
            Some(("active", place)) => Some(Expect::Active(Place::parse(place))),
            Some(("ours", place)) => Some(Expect::Ours(Place::parse(place))),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::None => f.write_str("none"),
            Expect::Reserved(place) => write!(f, "reserved@{place}"),
            Expect::Active(place) => write!(f, "active@{place}"),
            Expect::Ours(place) => write!(f, "ours@{place}"),
        }
    }
}

impl Place {
    /// The same place, by this change and no other.
    pub fn fenced(self, fence: Fence) -> Place {
        Place { fence: Some(fence), ..self }
    }

    fn has(&self, entry: &Entry, list: ListId) -> bool {
        let there = match self.at.contains('!') {
            true => entry.location.as_str() == self.at,
            false => entry.server() == self.at,
        };
        there && self.fence.is_none_or(|fence| fence == Fence { list, seq: entry.seq })
    }

    fn parse(text: &str) -> Place {
        let fenced = text.rsplit_once('#').and_then(|(at, fence)| Some((at, Fence::parse(fence)?)));
        match fenced {
            Some((at, fence)) => Place::from(at).fenced(fence),
            None => Place::from(text),
        }
    }
}

impl From<&str> for Place {
    fn from(at: &str) -> Place {
        Place { at: at.to_owned(), fence: None }
    }
}

impl From<String> for Place {
    fn from(at: String) -> Place {
        Place { at, fence: None }
    }
}

impl From<&Location> for Place {
    fn from(at: &Location) -> Place {
        Place::from(at.as_str())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fence {
            Some(fence) => write!(f, "{}#{fence}", self.at),
            None => f.write_str(&self.at),
        }
    }
}

impl Fence {
    /// What [`fmt::Display`] gives: 32 hexadecimal digits, a colon, decimal digits.
    pub fn parse(text: &str) -> Option<Fence> {
        let (list, seq) = text.split_once(':')?;
        let decimal = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
        decimal.then(|| Some(Fence { list: ListId::parse(list)?, seq: seq.parse().ok()? }))?
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.list, self.seq)
    }
}

impl AtMaster {
    /// The change that made the entry what it is.
    pub fn fence(&self) -> Option<Fence> {
        self.entry.as_ref().map(|entry| Fence { list: self.position.list, seq: entry.seq })
    }

    /// What a change expects that relies on exactly this, and on nothing having happened since.
    pub fn expect(&self) -> Expect {
        let Some(entry) = &self.entry else { return Expect::None };
        let place = Place::from(&entry.location).fenced(Fence { list: self.position.list, seq: entry.seq });
        if entry.is_active() { Expect::Active(place) } else { Expect::Reserved(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: ListId = ListId(7);

    fn entry() -> Entry {
        Entry { seq: 40, ..Entry::active(Location::parse("be1!default").unwrap(), "") }
    }

    #[test]
    fn expectations_read_as_they_print_and_compare_servers_or_locations() {
        for (text, holds) in [
            ("none", false),
            ("active@be1", true),
            ("active@be1!default", true),
            ("active@be1!x", false),
            ("reserved@be1", false),
            ("ours@be1", true),
            ("ours@be2", false),
        ] {
            let expect = Expect::parse(text).unwrap();
            assert_eq!(expect.to_string(), text);
            assert_eq!(expect.holds(Some(&entry()), LIST), holds, "{text}");
        }
        assert!(Expect::None.holds(None, LIST) && Expect::Ours("be2".into()).holds(None, LIST));
        assert_eq!(Expect::parse("active"), None);
    }

    #[test]
    fn a_mailbox_that_went_away_and_came_back_is_not_the_one_that_was_expected() {
        let at = AtMaster { position: Position { list: LIST, term: 1, seq: 99 }, entry: Some(entry()) };
        let expect = at.expect();
        assert_eq!(expect.to_string(), format!("active@be1!default#{LIST}:40"));
        assert!(expect.holds(Some(&entry()), LIST));
        let again = Entry { seq: 42, ..entry() };
        assert!(!expect.holds(Some(&again), LIST));
        assert!(Expect::parse("active@be1!default").unwrap().holds(Some(&again), LIST));
        // A list that was filled anew may have come to the same number.
        assert!(!expect.holds(Some(&entry()), ListId(8)));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            which in 0..3usize,
            at in "[a-z0-9.#:]{1,9}(![a-z#0-9]{0,9})?",
            fence in prop::option::of((any::<u128>(), any::<u64>())),
        ) {
            let mut place = Place::from(at);
            if let Some((list, seq)) = fence {
                place = place.fenced(Fence { list: ListId(list), seq });
            }
            let expect = [Expect::Active, Expect::Reserved, Expect::Ours][which](place);
            prop_assert_eq!(Expect::parse(&expect.to_string()), Some(expect));
        }
    }
}
