//! Telling a running process of ours which listeners there are now, so that a reload which adds, changes or removes a line of
//! SERVICES costs nobody a connection. The other side is the `service` crate's `control`.
//!
//! One datagram is one complete list, in the words of `MURDER_LISTENERS` and with `kept` for each; the sockets that the process
//! does not have yet come with it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde::Serialize;

/// A listener as a process knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listened {
    pub name: String,
    pub program: String,
    pub args: Vec<String>,
    /// -1: no limit.
    pub maxchild: i64,
    pub address: String,
    /// Which socket it is.
    #[serde(skip)]
    pub serial: u64,
}

/// Master's end of the channel to one process.
#[derive(Debug)]
pub struct Control {
    socket: UnixDatagram,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    listened: &'a Listened,
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
        let lines: Vec<Line<'_>> =
            after.iter().map(|listened| Line { listened, kept: before.contains(listened) }).collect();
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

/// What Linux passes in one message.
const FDS_LIMIT: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_and_changed_listeners_come_with_a_socket() {
        let listened = |name: &str, maxchild, serial| Listened {
            name: name.to_owned(),
            program: "imapd".to_owned(),
            args: Vec::new(),
            maxchild,
            address: "127.0.0.1:143".to_owned(),
            serial,
        };
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
}
