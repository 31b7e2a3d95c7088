//! Which backend has which mailbox, while several are asked at once: about a mailbox only its own backend is believed.

use std::collections::HashMap;

use listing::Seen;

/// Mailboxes as the user calls them, each with its backend.
#[derive(Debug, Default)]
pub struct Owners(HashMap<String, String>);

impl Owners {
    pub fn of<'s>(mailboxes: impl IntoIterator<Item = &'s Seen>) -> Owners {
        mailboxes.into_iter().map(|seen| (seen.external.clone(), seen.server.clone())).collect()
    }

    /// Whether it is this backend's to speak of the mailbox.
    pub fn has(&self, server: &str, mailbox: &str) -> bool {
        self.0.get(mailbox).is_some_and(|owner| owner == server)
    }
}

impl FromIterator<(String, String)> for Owners {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Owners {
        Owners(pairs.into_iter().collect())
    }
}
