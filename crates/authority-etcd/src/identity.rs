//! Which list is in etcd: the murder's 128 random bits, whether the list is whole, and the cluster that has it.

use mailboxes::{ListId, Position};
use sha2::{Digest, Sha256};

use crate::trouble::Trouble;

/// What `PREFIX id` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub murder: u128,
    pub state: State,
    /// etcd's; a snapshot that was restored has another one.
    pub cluster: u64,
    /// The revision at which it was written.
    pub written: i64,
}

/// What may be done with a list in etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being filled: not whole yet.
    Copying,
    Ready,
    /// It went back to a single master: nobody changes it any more.
    Left,
}

impl Identity {
    /// What a list has whose numbers are these revisions: of the same murder in another cluster it is another list.
    pub fn list(&self) -> ListId {
        let hash =
            Sha256::new().chain_update(self.murder.to_be_bytes()).chain_update(self.cluster.to_be_bytes());
        let first = hash.finalize().iter().take(16).fold(0u128, |id, &byte| id << 8 | u128::from(byte));
        // 0 stands for a list that is not whole.
        ListId(first.max(1))
    }

    pub(crate) fn position(&self, seq: u64) -> Position {
        Position { list: self.list(), term: 1, seq }
    }

    /// Fails where it is no list that a master may serve.
    pub(crate) fn ready(self) -> Result<Identity, Trouble> {
        match self.state {
            State::Ready => Ok(self),
            State::Copying => Err(Trouble::NoList(
                "etcd has a list that is only half copied: murder ha init was not finished".into(),
            )),
            State::Left => Err(Trouble::NoList(
                "the list was taken out of etcd (murder ha leave): remove etcd_endpoints, or murder ha init"
                    .into(),
            )),
        }
    }

    pub(crate) fn value(murder: u128, state: State) -> Vec<u8> {
        let mut out = vec![VERSION, state.letter()];
        out.extend_from_slice(&murder.to_be_bytes());
        out
    }

    pub(crate) fn read(value: &[u8], cluster: u64, written: i64) -> Result<Identity, Trouble> {
        let damaged = || Trouble::NoList("the identity of the list in etcd is damaged".to_owned());
        match value.split_first() {
            Some((&VERSION, rest)) => {
                let (&letter, bits) = rest.split_first().ok_or_else(damaged)?;
                let bits: [u8; 16] = bits.try_into().map_err(|_| damaged())?;
                let state = State::of(letter).ok_or_else(damaged)?;
                Ok(Identity { murder: u128::from_be_bytes(bits), state, cluster, written })
            }
            Some((version, _)) if *version > VERSION => Err(Trouble::NoList(format!(
                "the list in etcd has format version {version}, which is newer than this program"
            ))),
            _ => Err(damaged()),
        }
    }
}

impl State {
    fn letter(self) -> u8 {
        match self {
            State::Copying => b'c',
            State::Ready => b'r',
            State::Left => b'l',
        }
    }

    fn of(letter: u8) -> Option<State> {
        [State::Copying, State::Ready, State::Left].into_iter().find(|state| state.letter() == letter)
    }
}

/// A number that never comes twice.
pub(crate) fn chance() -> u128 {
    (mailboxes::Options::replica().chance)()
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_murder_in_another_cluster_is_another_list() {
        let here = Identity { murder: 7, state: State::Ready, cluster: 1, written: 2 };
        let restored = Identity { cluster: 2, ..here };
        assert_ne!(here.list(), restored.list());
        assert_eq!(here.list(), Identity { written: 9, ..here }.list());
    }

    #[test]
    fn what_is_written_is_read_back_and_a_newer_format_is_refused_by_name() {
        for state in [State::Copying, State::Ready, State::Left] {
            let value = Identity::value(u128::MAX - 5, state);
            let read = Identity::read(&value, 3, 4).unwrap();
            assert_eq!(read, Identity { murder: u128::MAX - 5, state, cluster: 3, written: 4 });
            assert_eq!(read.ready().is_ok(), state == State::Ready);
            for cut in 0..value.len() {
                assert!(Identity::read(&value[..cut], 3, 4).is_err());
            }
        }
        assert!(Identity::read(&[9, b'r'], 0, 0).unwrap_err().to_string().contains("version 9"));
    }
}
