//! Which annotations of messages a client is told of without being asked (RFC 5257 section 4.2).

use std::collections::BTreeSet;

use store::{Record, SHARED};

use super::limits::{NOTES_TOLD, rows};

/// How many names of annotations may still be told unasked.
pub struct Told {
    left: usize,
}

impl Default for Told {
    fn default() -> Told {
        Told { left: NOTES_TOLD }
    }
}

impl Told {
    /// The names of a message's annotations that changed, as far as the user sees them (RFC 5257 section 4.2).
    pub fn changed<'r>(&mut self, before: &'r Record, now: &'r Record, user: &str) -> Vec<&'r str> {
        if before.annotations == now.annotations {
            return Vec::new();
        }
        let (before, now) = (visible(before, user), visible(now, user));
        let mut names: Vec<&str> = before.symmetric_difference(&now).map(|(name, ..)| *name).collect();
        names.dedup();
        if names.len() > self.left {
            rows::NOTES_TOLD
                .met("the names of annotations that changed are left out of what a client is told");
            names.clear();
        }
        self.left = self.left.saturating_sub(names.len());
        names
    }
}

/// Names, owners and values.
fn visible<'r>(record: &'r Record, user: &str) -> BTreeSet<(&'r str, &'r str, &'r [u8])> {
    let all = record.annotations.iter().flat_map(|all| all.iter());
    let own = all.filter(|annotation| annotation.user == SHARED || annotation.user == user);
    own.map(|a| (a.entry.as_str(), a.user.as_str(), a.value.as_slice())).collect()
}
