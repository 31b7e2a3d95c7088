//! The id of a move, and the form of mailboxes' ids: both become names of files.

use std::fmt;

use protocol::sync::UniqueId;
use serde::{Deserialize, Serialize};

use crate::limits::ID;

/// The id of a move: the same on both sides. 1 to 64 letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MoveId(UniqueId);

/// An id that another server sent, and that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no id of a move")]
pub struct IdError(String);

impl MoveId {
    /// A new one: 128 random bits, which nobody guesses.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new() -> Result<MoveId, IdError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| IdError(error.to_string()))?;
        MoveId::parse(&format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The same for a move from or to a server of Cyrus: whoever reads the id knows how the other side is asked.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn with_cyrus() -> Result<MoveId, IdError> {
        MoveId::parse(&format!("{CYRUS}{}", MoveId::new()?))
    }

    /// This one for a move with a server of Cyrus.
    ///
    /// # Errors
    /// It is too long then.
    pub fn named_with_cyrus(self) -> Result<MoveId, IdError> {
        if self.is_with_cyrus() { Ok(self) } else { MoveId::parse(&format!("{CYRUS}{}", self.0)) }
    }

    /// Whether the other server of the move is Cyrus's.
    pub fn is_with_cyrus(&self) -> bool {
        self.as_str().starts_with(CYRUS)
    }

    /// # Errors
    /// The text is longer, or has other characters.
    pub fn parse(text: &str) -> Result<MoveId, IdError> {
        let wrong = || IdError(text.chars().filter(|c| !c.is_control()).take(ID).collect());
        UniqueId::new(text).map(MoveId).ok_or_else(wrong)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id as it is said on the wire.
    pub fn wire(&self) -> UniqueId {
        self.0.clone()
    }
}

impl fmt::Display for MoveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for MoveId {
    type Error = IdError;

    fn try_from(text: String) -> Result<MoveId, IdError> {
        MoveId::parse(&text)
    }
}

impl From<MoveId> for String {
    fn from(id: MoveId) -> String {
        id.as_str().to_owned()
    }
}

/// Whether a text can be the id of a mailbox, which names its directory: 1 to 64 letters, digits and hyphens.
pub fn is_uniqueid(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

const CYRUS: &str = "cyrus-";
