//! Listeners that come and go while a daemon runs: after a reload our `master` says over the socket of `MURDER_CONTROL` which
//! there are now, and passes those that are new. Nobody who is connected notices.
//!
//! One datagram is one complete list: a JSON array of [`Entry`]s, each with `kept`; the descriptors of those that are not kept
//! come with it, in their order.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde::Deserialize;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::listen::Entry;

/// Where the changes come from.
pub(crate) struct Control {
    socket: UnixDatagram,
}

/// A listener of the new list, with its socket unless the daemon has it already.
pub(crate) type Change = (Entry, Option<OwnedFd>);

#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    entry: Entry,
    kept: bool,
}

impl Control {
    /// To be called inside a tokio runtime.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Control> {
        let socket = std::os::unix::net::UnixDatagram::from(fd);
        socket.set_nonblocking(true)?;
        Ok(Control { socket: UnixDatagram::from_std(socket)? })
    }

    /// The next complete list. Cancel-safe.
    pub(crate) async fn next(&self) -> io::Result<Vec<Change>> {
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

/// No cyrus.conf has as many listeners as fill this.
const LIST_LIMIT: usize = 128 * 1024;
/// What Linux passes in one message.
const FDS_LIMIT: usize = 253;
