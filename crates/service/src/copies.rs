//! Copies of a daemon that must be one: a Cyrus master starts a process for each address family of a SERVICES line, for each
//! line, and for each of `prefork`, while a list or a store has one owner.
//!
//! The first copy holds the daemon's directory, and listens on `copies` in it. Another one passes its listening socket there
//! with its [`Entry`] as JSON, and then only stays, so that its master has what it counts. When either ends, the other learns
//! it from the connection: the first accepts no more on that socket; the other ends too, to be started anew (exit 75).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use supervision::listeners::Entry;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

use crate::limits::{COPY, COPY_AGAIN, COPY_ENTRY};
use crate::process::DirectoryLock;

/// The first copy's side.
pub(crate) struct Host {
    listener: UnixListener,
    path: PathBuf,
}

impl Host {
    /// To be called by whoever holds the directory.
    pub(crate) fn bind(directory: &Path) -> io::Result<Host> {
        let path = directory.join(SOCKET);
        Ok(Host { listener: UnixListener::from_std(files::listen(&path, None)?)?, path })
    }

    /// The next copy: its socket, and the connection that lasts as long as it does.
    pub(crate) async fn next(&self) -> io::Result<(Entry, OwnedFd, UnixStream)> {
        let (copy, _) = self.listener.accept().await?;
        let receiving = copy.async_io(Interest::READABLE, || receive(&copy));
        let (text, fd) = tokio::time::timeout(COPY, receiving).await??;
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok((serde_json::from_slice(&text)?, fd, copy))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = files::remove_socket(&self.path);
    }
}

/// Returns when the copy has ended.
pub(crate) async fn ended(mut copy: UnixStream) {
    let mut byte = [0];
    while let Ok(1..) = copy.read(&mut byte).await {}
}

/// The life of a copy that is not the first. It returns when the first has ended, or none is found.
pub(crate) async fn stay(directory: &Path, sockets: Vec<(Entry, OwnedFd)>) {
    let mut hosts = Vec::new();
    for (entry, fd) in sockets {
        match pass(directory, &entry, &fd).await {
            Some(host) => hosts.push(host),
            None => return,
        }
        info!(listener = entry.name, "served by the daemon that runs already");
    }
    for host in hosts {
        ended(host).await;
    }
}

/// Passes a socket on, as soon as the first copy takes it: it may be starting. None: there is none any more.
async fn pass(directory: &Path, entry: &Entry, fd: &OwnedFd) -> Option<UnixStream> {
    loop {
        if let Ok(host) = UnixStream::connect(directory.join(SOCKET)).await {
            let sent = host.async_io(Interest::WRITABLE, || send(&host, entry, fd)).await;
            match sent {
                Ok(()) => return Some(host),
                Err(why) => warn!("{}: {why}", directory.join(SOCKET).display()),
            }
        } else if DirectoryLock::take(directory).is_ok() {
            return None;
        }
        tokio::time::sleep(COPY_AGAIN).await;
    }
}

fn send(host: &UnixStream, entry: &Entry, fd: &OwnedFd) -> io::Result<()> {
    let text = serde_json::to_vec(entry)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let sent = rustix::net::sendmsg(host, &[IoSlice::new(&text)], &mut ancillary, SendFlags::DONTWAIT)?;
    if sent == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn receive(copy: &UnixStream) -> io::Result<(Vec<u8>, OwnedFd)> {
    let mut text = vec![0u8; COPY_ENTRY];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(copy, &mut [IoSliceMut::new(&mut text)], &mut ancillary, flags)?;
    text.truncate(received.bytes);
    let mut passed = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    passed.next().map(|fd| (text, fd)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

const SOCKET: &str = "copies";
