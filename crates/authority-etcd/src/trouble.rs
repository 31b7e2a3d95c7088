//! What goes wrong with etcd, and what that means for what was asked.

use mailboxes::{Error, store::StoreError};

/// Why etcd did not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// No answer, or one that says nothing of what was asked. What was to be written may have been, or may be later.
    #[error("no answer from etcd: {0}")]
    Unreachable(String),
    /// etcd says no: nothing was written.
    #[error("{0}")]
    Refused(String),
    /// What is under the prefix is not a list that this program can use.
    #[error("{0}")]
    NoList(String),
    /// History before a revision is gone.
    #[error("etcd has compacted what was asked for")]
    Compacted,
}

impl Trouble {
    /// What an error of the client's means. Whatever is not known to have been refused may have happened.
    pub(crate) fn of(error: &etcd_client::Error) -> Trouble {
        let etcd_client::Error::GRpcStatus(status) = error else {
            return Trouble::Unreachable(error.to_string());
        };
        let said = status.message();
        if said.contains("database space exceeded") {
            return Trouble::Refused("etcd is full".to_owned());
        }
        if said.contains("required revision has been compacted") {
            return Trouble::Compacted;
        }
        let refusals = [
            "too many operations",
            "request is too large",
            "duplicate key",
            "permission denied",
            "user name is empty",
            "invalid auth token",
            "authentication failed",
        ];
        match refusals.iter().any(|refusal| said.contains(refusal)) {
            true => Trouble::Refused(said.trim_start_matches("etcdserver: ").to_owned()),
            false => Trouble::Unreachable(said.to_owned()),
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Error {
        StoreError::Io { doing: "the masters' database", why: trouble.to_string() }.into()
    }
}
