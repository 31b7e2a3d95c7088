//! What CAPABILITY says: what every backend of the murder can serve, so that no session promises what the next
//! mailbox cannot keep.
//!
//! Each login to a backend teaches what it announces ([`Learnt`]); what is announced to clients is the intersection,
//! with what this proxy serves itself, in Cyrus's order and less `suppress_capabilities`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use upstream::Capabilities;

use crate::session::Session;

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

    /// Whether all backends that are known announce it; while none is, whether any backend does.
    pub fn all_have(&self, item: &str) -> bool {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.is_empty() {
            return COMMON.contains(&item);
        }
        servers.values().all(|capabilities| capabilities.has(item))
    }

    /// The value that all share of a capability with one (`APPENDLIMIT=`): the smallest number.
    fn smallest(&self, prefix: &str) -> Option<u64> {
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

/// Who serves a capability.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// This proxy, whatever the backends are.
    Proxy,
    /// The backends; the proxy carries it through.
    Backends,
}

/// What our backends and Cyrus's from 3.6 on serve alike.
const COMMON: &[&str] = &[
    "ACL",
    "BINARY",
    "CONDSTORE",
    "CREATE-SPECIAL-USE",
    "ESEARCH",
    "LIST-STATUS",
    "MOVE",
    "MULTIAPPEND",
    "OBJECTID",
    "QUOTA",
    "RIGHTS=kxten",
    "SAVEDATE",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "UIDPLUS",
    "UNSELECT",
    "WITHIN",
];

/// The order is Cyrus's.
const AFTER_LOGIN: &[(&str, By)] = &[
    ("IMAP4rev1", By::Proxy),
    ("ENABLE", By::Proxy),
    ("ID", By::Proxy),
    ("LITERAL+", By::Proxy),
    ("ACL", By::Backends),
    ("ANNOTATE-EXPERIMENT-1", By::Backends),
    ("BINARY", By::Backends),
    ("CHILDREN", By::Proxy),
    ("CONDSTORE", By::Backends),
    ("CREATE-SPECIAL-USE", By::Backends),
    ("ESEARCH", By::Backends),
    ("ESORT", By::Backends),
    ("LIST-EXTENDED", By::Proxy),
    ("LIST-MYRIGHTS", By::Proxy),
    ("LIST-STATUS", By::Backends),
    ("METADATA", By::Backends),
    ("MOVE", By::Backends),
    ("MULTIAPPEND", By::Backends),
    ("NAMESPACE", By::Proxy),
    ("OBJECTID", By::Backends),
    ("PARTIAL", By::Backends),
    ("PREVIEW", By::Backends),
    ("QRESYNC", By::Backends),
    ("QUOTA", By::Backends),
    ("QUOTA=RES-STORAGE", By::Backends),
    ("QUOTA=RES-MESSAGE", By::Backends),
    ("QUOTA=RES-ANNOTATION-STORAGE", By::Backends),
    ("QUOTA=RES-MAILBOX", By::Backends),
    ("QUOTASET", By::Backends),
    ("RIGHTS=kxten", By::Backends),
    ("SAVEDATE", By::Backends),
    ("SEARCH=FUZZY", By::Backends),
    ("SEARCHRES", By::Backends),
    ("SORT", By::Backends),
    ("SORT=DISPLAY", By::Backends),
    ("SPECIAL-USE", By::Backends),
    ("STATUS=SIZE", By::Backends),
    ("THREAD=ORDEREDSUBJECT", By::Backends),
    ("THREAD=REFERENCES", By::Backends),
    ("UIDPLUS", By::Backends),
    ("UNSELECT", By::Backends),
    ("WITHIN", By::Backends),
    ("DIGEST=SHA1", By::Backends),
    ("SORT=MODSEQ", By::Backends),
    ("SORT=UID", By::Backends),
    ("THREAD=REFS", By::Backends),
    ("X-CREATEDMODSEQ", By::Backends),
    ("XLIST", By::Proxy),
];

/// The words before login, in the greeting.
pub fn before_login(session: &Session) -> String {
    let words = words_before_login(session);
    shown(words, &session.listener.imapd().suppress_capabilities)
}

/// The answer to CAPABILITY before login: what there will be after it, too, since cyradm asks but once, at that time. Not
/// MAILBOX-REFERRALS: who knows of them only then is better served without.
fn asked_before_login(session: &Session) -> String {
    let mut words = words_before_login(session);
    for (item, by) in AFTER_LOGIN {
        let served = *by == By::Proxy || session.node.capabilities.all_have(item);
        if served && !words.iter().any(|word| word == item) {
            words.push((*item).to_owned());
        }
        if *item == "ESORT" && !session.listener.imapd().imapidlepoll.is_zero() {
            words.push("IDLE".to_owned());
        }
    }
    shown(words, &session.listener.imapd().suppress_capabilities)
}

fn words_before_login(session: &Session) -> Vec<String> {
    let (imapd, channel) = (&session.listener.imapd(), session.client.peer.stream.channel());
    let mut words: Vec<String> = ["IMAP4rev1", "ENABLE", "ID", "LITERAL+"].map(str::to_owned).to_vec();
    let auth = session.listener.auth();
    let mechanisms = auth.mechanisms(channel);
    if channel.tls.is_none() && session.listener.starttls().is_some() {
        words.push("STARTTLS".to_owned());
    }
    words.extend(mechanisms.iter().map(|mechanism| format!("AUTH={mechanism}")));
    if !auth.allows_plaintext(channel) {
        words.push("LOGINDISABLED".to_owned());
    }
    words.push("SASL-IR".to_owned());
    if let Some(master) = &imapd.mupdate_server {
        words.push(format!("MUPDATE=mupdate://{master}/"));
    }
    words
}

/// The words after login.
pub fn after_login(session: &Session) -> String {
    let imapd = session.listener.imapd();
    let learnt = &session.node.capabilities;
    let mut words = Vec::new();
    for (item, by) in AFTER_LOGIN {
        if *by == By::Proxy || learnt.all_have(item) {
            words.push((*item).to_owned());
        }
        match *item {
            "ACL" => {
                words.extend(learnt.smallest("APPENDLIMIT=").map(|limit| format!("APPENDLIMIT={limit}")))
            }
            "CHILDREN" if !session.client.peer.stream.is_compressed() => {
                words.push("COMPRESS=DEFLATE".to_owned())
            }
            "ESORT" if !imapd.imapidlepoll.is_zero() => words.push("IDLE".to_owned()),
            "LIST-STATUS" if !imapd.proxyd_disable_mailbox_referrals => {
                words.push("MAILBOX-REFERRALS".to_owned())
            }
            "THREAD=REFERENCES" if session.user.as_ref().is_some_and(|user| user.is_admin()) => {
                words.push("UNAUTHENTICATE".to_owned());
            }
            _ => {}
        }
    }
    if let Some(master) = &imapd.mupdate_server {
        words.push(format!("MUPDATE=mupdate://{master}/"));
    }
    shown(words, &imapd.suppress_capabilities)
}

/// The words that hold now.
pub fn current(session: &Session) -> String {
    if session.user.is_some() { after_login(session) } else { asked_before_login(session) }
}

fn shown(words: Vec<String>, suppressed: &[String]) -> String {
    words.into_iter().filter(|word| !suppressed.contains(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_backends_have_is_common() {
        let learnt = Learnt::default();
        assert!(learnt.all_have("MOVE") && !learnt.all_have("METADATA"), "no backend is known");
        learnt.learnt("be1", &Capabilities::from_words("IMAP4rev1 MOVE SORT APPENDLIMIT=100"));
        learnt.learnt("be2", &Capabilities::from_words("IMAP4rev1 MOVE APPENDLIMIT=50"));
        assert!(learnt.all_have("MOVE") && !learnt.all_have("SORT"));
        assert_eq!(learnt.smallest("APPENDLIMIT="), Some(50));
        learnt.learnt("be2", &Capabilities::from_words("IMAP4rev1 MOVE SORT"));
        assert!(learnt.all_have("SORT") && learnt.knows("be2") && !learnt.knows("be3"));
        assert_eq!(learnt.smallest("APPENDLIMIT="), None);
    }
}
