//! The partitions of a store, each locked by whoever works on it: the daemon, or a tool where none runs. Two stores with directories of
//! their own could still share a spool, by a slip in imapd.conf, and ruin it.

use std::fs::{self, File};
use std::io;

use config::imapd::{Imapd, Partition, is_among_messages};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use service::Exit;
use tokio::time::{Instant, sleep};

use crate::limits::{PARTITIONS_FREE, STARTING_STEP};

/// The locks; dropped, they are free.
pub struct Partitions {
    _locks: Vec<File>,
}

/// Why they are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    InUse(String),
    #[error("partition-{0}: {1}")]
    Io(String, io::Error),
    #[error("{0}")]
    Apart(String),
}

impl Error {
    /// How the daemon ends.
    pub fn exit(self) -> Exit {
        match self {
            Error::InUse(_) | Error::Io(..) => Exit::new(75, self.to_string()),
            Error::Apart(_) => Exit::config(self.to_string()),
        }
    }
}

/// As [`hold`], for the daemon: a tool that has them just now is waited for, [`PARTITIONS_FREE`] at most.
pub async fn hold_when_free(imapd: &Imapd) -> Result<Partitions, Error> {
    let until = Instant::now() + PARTITIONS_FREE;
    loop {
        match hold(imapd) {
            Err(Error::InUse(_)) if Instant::now() < until => sleep(STARTING_STEP).await,
            other => return other,
        }
    }
}

/// Locks all partitions, and makes those that are not there.
pub fn hold(imapd: &Imapd) -> Result<Partitions, Error> {
    let hold = |partition: &Partition| {
        let shown = partition.path.display();
        let failed = |why: io::Error| Error::Io(format!("{}: {shown}", partition.name), why);
        fs::create_dir_all(&partition.path).map_err(failed)?;
        let directory = File::open(&partition.path).map_err(failed)?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(directory),
            Err(Errno::WOULDBLOCK) => Err(Error::InUse(format!(
                "partition-{}: {shown} is in use by another store: each needs its own; or a tool works on it",
                partition.name
            ))),
            Err(error) => Err(failed(error.into())),
        }
    };
    let locks = imapd.partitions().iter().map(hold).collect::<Result<_, _>>()?;
    apart(imapd)?;
    Ok(Partitions { _locks: locks })
}

/// imapd.conf is judged by its words; a link may still lead from one partition into another's messages.
fn apart(imapd: &Imapd) -> Result<(), Error> {
    let real = |partition: &Partition| {
        let path = &partition.path;
        fs::canonicalize(path)
            .map_err(|why| Error::Io(format!("{}: {}", partition.name, path.display()), why))
    };
    let places = imapd.partitions().iter().map(real).collect::<Result<Vec<_>, Error>>()?;
    for (inner, at) in imapd.partitions().iter().zip(&places) {
        for (outer, around) in imapd.partitions().iter().zip(&places) {
            if at != around && is_among_messages(around, at) {
                return Err(Error::Apart(format!(
                    "partition-{}: {} lies in the message directories of partition-{}: mail would be lost",
                    inner.name,
                    at.display(),
                    outer.name
                )));
            }
        }
    }
    Ok(())
}
