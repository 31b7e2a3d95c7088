//! How much of a list another server may make this process hold. A master that is broken, or not ours, can say entries without
//! end; what is beyond all measure is not taken over, and the list that was there is served on.
//!
//! | of | at most |
//! |---|---|
//! | entries of a list, changes between two positions | `mupdate_entries_max` |
//! | octets of their names, places and ACLs together | 256 for each of those entries |
//! | octets of one ACL | [`ACL`] |
//! | octets of a name, a place | those of `MailboxName` and `Location`: others are passed over |

use config::imapd::Imapd;
use mailboxes::Entry;
use protocol::name::MailboxName;

use crate::replica::limits::{ACL, LEAST, OCTETS};

/// The bounds; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    pub entries: usize,
    pub octets: usize,
}

/// What was taken so far.
#[derive(Debug)]
pub(crate) struct Meter {
    measure: Measure,
    entries: usize,
    octets: usize,
}

/// A list that is beyond measure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absurd {
    #[error("more than {0} entries (set mupdate_entries_max to allow more)")]
    Entries(usize),
    #[error("more than {0} octets of names, places and ACLs (set mupdate_entries_max to allow more)")]
    Octets(usize),
    #[error("an ACL of {octets} octets, for {name}")]
    Acl { name: String, octets: usize },
}

impl Measure {
    /// No bound.
    pub(crate) const fn none() -> Measure {
        Measure { entries: usize::MAX, octets: usize::MAX }
    }

    /// By `mupdate_entries_max`; 0 is no bound.
    pub fn new(imapd: &Imapd) -> Measure {
        match imapd.mupdate_entries_max as usize {
            0 => Measure::none(),
            entries => Measure { entries, octets: entries.saturating_mul(OCTETS).max(LEAST) },
        }
    }
}

impl Meter {
    pub fn new(measure: Measure) -> Meter {
        Meter { measure, entries: 0, octets: 0 }
    }

    /// What was taken is gone, or belongs to the list now.
    pub fn reset(&mut self) {
        (self.entries, self.octets) = (0, 0);
    }

    /// One more line of the other's. `entry`: what it puts there; none for a removal, or for what was passed over.
    pub fn count(&mut self, name: Option<&MailboxName>, entry: Option<&Entry>) -> Result<(), Absurd> {
        let name_octets = name.map_or(0, |name| name.as_str().len());
        let entry_octets = entry.map_or(0, |entry| entry.location.as_str().len() + entry.acl.len());
        if let (Some(name), Some(entry)) = (name, entry)
            && entry.acl.len() > ACL
        {
            return Err(Absurd::Acl { name: name.as_str().to_owned(), octets: entry.acl.len() });
        }
        self.entries += 1;
        self.octets = self.octets.saturating_add(name_octets + entry_octets);
        if self.entries > self.measure.entries {
            return Err(Absurd::Entries(self.measure.entries));
        }
        if self.octets > self.measure.octets {
            return Err(Absurd::Octets(self.measure.octets));
        }
        Ok(())
    }

    pub fn octets(&self) -> usize {
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::location::Location;

    #[test]
    fn entries_octets_and_acls_are_bounded() {
        let name = MailboxName::parse("user.a").unwrap();
        let entry = |acl: &str| Entry::active(Location::parse("be1!p").unwrap(), acl);
        let mut meter = Meter::new(Measure { entries: 3, octets: 1000 });
        for _ in 0..3 {
            meter.count(Some(&name), Some(&entry("a\tlrs\t"))).unwrap();
        }
        assert_eq!(meter.octets(), 3 * 17);
        assert_eq!(meter.count(None, None), Err(Absurd::Entries(3)));
        meter.reset();
        assert_eq!(meter.count(Some(&name), Some(&entry(&"x".repeat(1000)))), Err(Absurd::Octets(1000)));
        let long = entry(&"x".repeat(ACL + 1));
        assert!(matches!(meter.count(Some(&name), Some(&long)), Err(Absurd::Acl { .. })));
    }
}
