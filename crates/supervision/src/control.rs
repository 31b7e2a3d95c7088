//! Listeners that come and go while a program of ours runs, so that a reload which adds, changes or removes a line of SERVICES
//! costs nobody a connection. Our `master` writes to the socket of `MURDER_CONTROL`.
//!
//! One datagram is one complete list: a JSON array of [`Entry`]s, each with `kept`; the descriptors of those that are not kept
//! come with it, in their order.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;

use crate::limits::{FDS_LIMIT, LIST_LIMIT};
use crate::listeners::Entry;

/// The environment variable: the number of the program's descriptor.
pub const VARIABLE: &str = "MURDER_CONTROL";

/// Master's end of the channel to one process.
#[derive(Debug)]
pub struct Control {
    socket: UnixDatagram,
}

/// The process's end.
#[derive(Debug)]
pub struct Changes {
    socket: tokio::net::UnixDatagram,
}

/// A listener as `master` knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listened {
    pub entry: Entry,
    /// Which socket it is.
    pub serial: u64,
}

/// A listener of the new list, with its socket unless the process has it already.
pub type Change = (Entry, Option<OwnedFd>);

#[derive(Deserialize, Serialize)]
struct Line {
    #[serde(flatten)]
    entry: Entry,
    kept: bool,
}

impl Control {
    /// A channel, and the process's end of it.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, other) = UnixDatagram::pair()?;
        own.set_nonblocking(true)?;
        Ok((Self { socket: own }, other.into()))
    }

    /// Tells the process its new listeners; `before` is what it has, `sockets` belongs to `after`.
    ///
    /// An error means that it has to be replaced instead.
    pub fn tell(
        &self,
        before: &[Listened],
        after: &[Listened],
        sockets: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let line =
            |listened: &Listened| Line { entry: listened.entry.clone(), kept: before.contains(listened) };
        let lines: Vec<Line> = after.iter().map(line).collect();
        let fresh: Vec<BorrowedFd<'_>> =
            lines.iter().zip(sockets).filter(|(line, _)| !line.kept).map(|(_, socket)| *socket).collect();
        if fresh.len() > FDS_LIMIT {
            return Err(io::Error::from(io::ErrorKind::ArgumentListTooLong));
        }
        let text = serde_json::to_vec(&lines)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_LIMIT))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fresh.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&fresh));
        }
        rustix::net::sendmsg(
            self.socket.as_fd(),
            &[IoSlice::new(&text)],
            &mut ancillary,
            SendFlags::DONTWAIT,
        )?;
        Ok(())
    }
}

impl Changes {
    /// To be called inside a tokio runtime.
    pub fn new(fd: OwnedFd) -> io::Result<Changes> {
        let socket = UnixDatagram::from(fd);
        socket.set_nonblocking(true)?;
        Ok(Changes { socket: tokio::net::UnixDatagram::from_std(socket)? })
    }

    /// The next complete list. Cancel-safe.
    pub async fn next(&self) -> io::Result<Vec<Change>> {
        let (text, fds) = self.socket.async_io(Interest::READABLE, || self.receive()).await?;
        let lines: Vec<Line> = serde_json::from_slice(&text)?;
        let mut fds = fds.into_iter();
        let change = |line: Line| {
            let fd = if line.kept { None } else { Some(fds.next().ok_or(io::ErrorKind::InvalidData)?) };
            Ok((line.entry, fd))
        };
        lines.into_iter().map(change).collect()
    }

    fn receive(&self) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut text = vec![0u8; LIST_LIMIT];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_LIMIT))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut ancillary,
            RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
        )?;
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                fds.extend(passed);
            }
        }
        for fd in &fds {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        text.truncate(received.bytes);
        Ok((text, fds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listened(name: &str, maxchild: i64, serial: u64) -> Listened {
        let (program, address) = ("imapd".to_owned(), "127.0.0.1:143".to_owned());
        Listened {
            entry: Entry { name: name.to_owned(), program, args: Vec::new(), maxchild, address },
            serial,
        }
    }

    #[test]
    fn only_new_and_changed_listeners_come_with_a_socket() {
        let (control, other) = Control::pair().unwrap();
        let before = [listened("imap", 5, 1), listened("pop3", 5, 2)];
        let after = [listened("imap", 5, 1), listened("pop3", 6, 2)];
        let file = std::fs::File::open("/dev/null").unwrap();
        control.tell(&before, &after, &[file.as_fd(), file.as_fd()]).unwrap();
        let mut text = [0u8; 1000];
        let length = UnixDatagram::from(other).recv(&mut text).unwrap();
        let lines: serde_json::Value = serde_json::from_slice(&text[..length]).unwrap();
        assert_eq!(lines[0]["kept"], true);
        assert_eq!(lines[1]["kept"], false);
        assert_eq!(lines[1]["maxchild"], 6);
        assert!(lines[0].get("serial").is_none());
    }

    #[tokio::test]
    async fn the_process_hears_the_list_that_master_told_with_the_sockets_that_it_lacks() {
        let (control, other) = Control::pair().unwrap();
        let changes = Changes::new(other).unwrap();
        let before = [listened("imap", 5, 1)];
        let after = [listened("imap", 5, 1), listened("pop3", 6, 2)];
        let socket = UnixDatagram::unbound().unwrap();
        control.tell(&before, &after, &[socket.as_fd(), socket.as_fd()]).unwrap();
        let heard = changes.next().await.unwrap();
        let entries: Vec<&Entry> = heard.iter().map(|(entry, _)| entry).collect();
        assert_eq!(entries, [&after[0].entry, &after[1].entry]);
        assert_eq!(heard.iter().map(|(_, fd)| fd.is_some()).collect::<Vec<_>>(), [false, true]);
    }
}
