//! Where a mailbox lives: a server and a partition on it, written `server!partition` (RFC 3656 section 3).

use std::{fmt, sync::Arc};

/// A backend's `servername`, exactly as configured there: compares are case-sensitive, as in Cyrus.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// 1 to 511 bytes without `!`, control characters or blanks.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if text.is_empty() || text.len() > 511 || text.bytes().any(|b| b == b'!' || b <= b' ' || b == 0x7f) {
            return Err(LocationError::Server(text.chars().take(SHOWN).collect()));
        }
        Ok(ServerName(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name up to its first dot: the prefix of per-server options.
    pub fn short(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A mailbox's place. The MUPDATE master compares it as one string, so its text is kept byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(Arc<str>);

impl Location {
    pub fn new(server: &ServerName, partition: &str) -> Self {
        Location(format!("{server}!{partition}").into())
    }

    /// Any text with at most one `!`: without one, the whole is the server and there is no partition.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if text.matches('!').count() > 1 || text.bytes().any(|b| b < b' ' || b == 0x7f) || text.len() > 1023 {
            return Err(LocationError::Location(text.chars().take(SHOWN).collect()));
        }
        Ok(Location(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text before `!`.
    pub fn server(&self) -> &str {
        self.0.split('!').next().unwrap_or_default()
    }

    /// The text after `!`, if there is one and it is not empty.
    pub fn partition(&self) -> Option<&str> {
        self.0.split_once('!').map(|(_, partition)| partition).filter(|p| !p.is_empty())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("not a server name: {0:?}")]
    Server(String),
    #[error("not a location: {0:?}")]
    Location(String),
}

/// Characters of a wrong text that its error has.
const SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_has_a_server_and_perhaps_a_partition() {
        let l = Location::parse("be1.example.org!default").unwrap();
        assert_eq!((l.server(), l.partition()), ("be1.example.org", Some("default")));
        let l = Location::parse("be1").unwrap();
        assert_eq!((l.server(), l.partition()), ("be1", None));
        let l = Location::parse("be1!").unwrap();
        assert_eq!((l.server(), l.partition(), l.as_str()), ("be1", None, "be1!"));
        assert!(Location::parse("a!b!c").is_err());
        assert_eq!(ServerName::parse("mail4.example.org").unwrap().short(), "mail4");
        assert!(ServerName::parse("a!b").is_err());
    }
}
