//! Two backends that claim one mailbox: the later writer wins, as in Cyrus, and the clash is kept to be shown.

use protocol::{location::Location, name::MailboxName};

use crate::codec::{DecodeError, Reader, put_bytes, put_number};

/// An ACTIVATE that took an active mailbox from another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub name: MailboxName,
    pub lost: Location,
    pub won: Location,
    /// Epoch seconds of the first and of the latest take-over between any servers.
    pub first: u64,
    pub last: u64,
    pub times: u64,
}

impl Conflict {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_bytes(&mut out, self.lost.as_str().as_bytes());
        put_bytes(&mut out, self.won.as_str().as_bytes());
        put_number(&mut out, self.first);
        put_number(&mut out, self.last);
        put_number(&mut out, self.times);
        out
    }

    pub(crate) fn decode(name: MailboxName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(bytes);
        r.version(VERSION)?;
        let mut place = || Location::parse(r.text()?).map_err(|_| DecodeError::Damaged("location"));
        let (lost, won) = (place()?, place()?);
        Ok(Conflict { name, lost, won, first: r.number()?, last: r.number()?, times: r.number()? })
    }
}

const VERSION: u8 = 1;
