//! What is where in etcd.
//!
//! ```text
//! PREFIX id              version, state, 128 random bits        PREFIX head         servername of whoever changed the list last
//! PREFIX n/ NAME.key()   entry, without its number              PREFIX c/ NAME.key()  conflict
//! PREFIX s/ SERVER       cordon                                 PREFIX p/ MASTER      token of that master's last write
//! PREFIX masters/ MASTER who is there (a lease)                 PREFIX keeper         who compacts (a lease)
//! ```
//!
//! Every change of the list puts `head`, last in its transaction. So its revision is the list's position, whatever else is written,
//! also by others in the same etcd; and in a watch it ends a revision.

use mailboxes::cordon;
use mailboxes::{Conflict, DecodeError, Entry};
use protocol::{location::ServerName, name::MailboxName};

#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Vec<u8>,
}

/// What a key under the prefix is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum About {
    Id,
    Head,
    Name(MailboxName),
    Conflict(MailboxName),
    Cordon(ServerName),
    /// Nothing that a list shows.
    Else,
}

impl Keys {
    pub fn new(prefix: &str) -> Keys {
        Keys { prefix: prefix.as_bytes().to_vec() }
    }

    pub fn all(&self) -> &[u8] {
        &self.prefix
    }

    pub fn id(&self) -> Vec<u8> {
        self.key(b"id", b"")
    }

    pub fn head(&self) -> Vec<u8> {
        self.key(b"head", b"")
    }

    pub fn name(&self, name: &MailboxName) -> Vec<u8> {
        self.key(NAME, &name.key())
    }

    pub fn names(&self) -> Vec<u8> {
        self.key(NAME, b"")
    }

    pub fn conflict(&self, name: &MailboxName) -> Vec<u8> {
        self.key(CONFLICT, &name.key())
    }

    pub fn conflicts(&self) -> Vec<u8> {
        self.key(CONFLICT, b"")
    }

    pub fn cordon(&self, server: &ServerName) -> Vec<u8> {
        self.key(CORDON, server.as_str().as_bytes())
    }

    pub fn cordons(&self) -> Vec<u8> {
        self.key(CORDON, b"")
    }

    pub fn proposer(&self, servername: &str) -> Vec<u8> {
        self.key(b"p/", servername.as_bytes())
    }

    pub fn master(&self, servername: &str) -> Vec<u8> {
        self.key(b"masters/", servername.as_bytes())
    }

    pub fn masters(&self) -> Vec<u8> {
        self.key(b"masters/", b"")
    }

    pub fn keeper(&self) -> Vec<u8> {
        self.key(b"keeper", b"")
    }

    pub fn about(&self, key: &[u8]) -> About {
        let Some(key) = key.strip_prefix(&self.prefix[..]) else { return About::Else };
        let name = |key| MailboxName::from_key(key).ok();
        let found = match key {
            b"id" => Some(About::Id),
            b"head" => Some(About::Head),
            key => match key.split_at_checked(2) {
                Some((NAME, key)) => name(key).map(About::Name),
                Some((CONFLICT, key)) => name(key).map(About::Conflict),
                Some((CORDON, server)) => {
                    str::from_utf8(server).ok().and_then(|s| ServerName::parse(s).ok()).map(About::Cordon)
                }
                _ => None,
            },
        };
        found.unwrap_or(About::Else)
    }

    fn key(&self, kind: &[u8], rest: &[u8]) -> Vec<u8> {
        [&self.prefix[..], kind, rest].concat()
    }
}

/// The value of a name's key, without the entry's number.
pub(crate) fn entry_value(entry: &Entry) -> Vec<u8> {
    entry.to_unnumbered()
}

pub(crate) fn entry_of(value: &[u8], revision: i64) -> Result<Entry, DecodeError> {
    Entry::from_unnumbered(value, number(revision))
}

pub(crate) fn conflict_of(name: MailboxName, value: &[u8]) -> Result<Conflict, DecodeError> {
    Conflict::decode(name, value)
}

pub(crate) fn cordon_of(value: &[u8]) -> Result<u64, DecodeError> {
    cordon::decode(value)
}

/// A revision as a number of a list. etcd gives none below 0.
pub(crate) fn number(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

/// A number of a list as a revision.
pub(crate) fn revision(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const NAME: &[u8] = b"n/";
const CONFLICT: &[u8] = b"c/";
const CORDON: &[u8] = b"s/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_is_about_is_read_back() {
        let keys = Keys::new("murder/");
        let name = MailboxName::parse("example.org!user.a^b.x").unwrap();
        let server = ServerName::parse("be1.example.org").unwrap();
        for (key, about) in [
            (keys.id(), About::Id),
            (keys.head(), About::Head),
            (keys.name(&name), About::Name(name.clone())),
            (keys.conflict(&name), About::Conflict(name.clone())),
            (keys.cordon(&server), About::Cordon(server)),
            (keys.proposer("m1"), About::Else),
            (keys.master("m1"), About::Else),
            (keys.keeper(), About::Else),
            (b"other/id".to_vec(), About::Else),
            (b"murder/n".to_vec(), About::Else),
        ] {
            assert_eq!(keys.about(&key), about, "{}", String::from_utf8_lossy(&key));
        }
    }
}
