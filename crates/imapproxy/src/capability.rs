//! What CAPABILITY says: what every backend of the murder can serve, so that no session promises what the next
//! mailbox cannot keep.
//!
//! Each login to a backend teaches what it announces ([`Learnt`]); which words are announced to clients, and when, is
//! [`protocol::imap::capability`]'s to say.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use upstream::Capabilities;

/// Capabilities of each backend, as it announced them last.
#[derive(Default)]
pub struct Learnt {
    servers: Mutex<HashMap<String, Capabilities>>,
}

impl Learnt {
    pub fn learnt(&self, server: &str, capabilities: &Capabilities) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.get(server) != Some(capabilities) {
            servers.insert(server.to_owned(), capabilities.clone());
        }
    }

    pub fn knows(&self, server: &str) -> bool {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).contains_key(server)
    }

    /// Whether all backends that are known announce it; `None` while none is.
    pub fn all_have(&self, item: &str) -> Option<bool> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        (!servers.is_empty()).then(|| servers.values().all(|capabilities| capabilities.has(item)))
    }

    /// The value that all share of a capability with one (`APPENDLIMIT=`): the smallest number.
    pub fn smallest(&self, prefix: &str) -> Option<u64> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let value = |capabilities: &Capabilities| {
            capabilities.iter().find_map(|item| item.strip_prefix(prefix)?.parse::<u64>().ok())
        };
        if servers.is_empty() || servers.values().any(|capabilities| value(capabilities).is_none()) {
            return None;
        }
        servers.values().filter_map(value).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_backends_have_is_common() {
        let learnt = Learnt::default();
        assert_eq!(learnt.all_have("MOVE"), None, "no backend is known");
        learnt.learnt("be1", &Capabilities::from_words("IMAP4rev1 MOVE SORT APPENDLIMIT=100"));
        learnt.learnt("be2", &Capabilities::from_words("IMAP4rev1 MOVE APPENDLIMIT=50"));
        assert_eq!((learnt.all_have("MOVE"), learnt.all_have("SORT")), (Some(true), Some(false)));
        assert_eq!(learnt.smallest("APPENDLIMIT="), Some(50));
        learnt.learnt("be2", &Capabilities::from_words("IMAP4rev1 MOVE SORT"));
        assert!(learnt.all_have("SORT") == Some(true) && learnt.knows("be2") && !learnt.knows("be3"));
        assert_eq!(learnt.smallest("APPENDLIMIT="), None);
    }
}
