//! Readiness, in sd_notify's format: what children tell master, and what master tells its own supervisor.
//!
//! Children send datagrams (`READY=1`, `STATUS=…`, `X_CLIENTS=n`) to the socket named in their NOTIFY_SOCKET. The kernel says
//! which process sent one; each child leads a process group, so a helper of its that sends (`systemd-notify` in a script) is
//! found by its group.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::path::{Path, PathBuf};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tracing::debug;

/// What one datagram said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Notice {
    pub ready: bool,
    pub stopping: bool,
    pub status: Option<String>,
    pub clients: Option<u64>,
    /// It takes other listeners while running, over `MURDER_CONTROL`.
    pub control: bool,
}

impl Notice {
    fn parse(text: &str) -> Self {
        let mut notice = Self::default();
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => notice.ready = true,
                Some(("STOPPING", "1")) => notice.stopping = true,
                Some(("STATUS", status)) => notice.status = Some(status.to_owned()),
                Some(("X_CONTROL", "1")) => notice.control = true,
                Some(("X_CLIENTS", count)) => notice.clients = count.parse().ok(),
                _ => {}
            }
        }
        notice
    }
}

/// The socket that children notify.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    /// The value of NOTIFY_SOCKET.
    name: String,
}

impl NotifySocket {
    /// Opens the socket in `directory`, or in the abstract namespace where that cannot be: the path is too long, the disk is
    /// full. Strangers may send to it, but only what children say counts. To be called inside a tokio runtime.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("notify");
        let (socket, name) = match bind_path(&path) {
            Ok(socket) => (socket, path.display().to_string()),
            Err(cause) => {
                debug!("cannot open {}: {cause}", path.display());
                let name = format!("murder-master-{}", std::process::id());
                (
                    StdDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes())?)?,
                    format!("@{name}"),
                )
            }
        };
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, name })
    }

    /// What to put into a child's NOTIFY_SOCKET.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next notice, with the process group of its sender. Cancel-safe.
    pub async fn recv(&self) -> io::Result<(Pid, Notice)> {
        loop {
            if let Some(found) = self.socket.async_io(Interest::READABLE, || self.try_recv()).await? {
                return Ok(found);
            }
        }
    }

    fn try_recv(&self) -> io::Result<Option<(Pid, Notice)>> {
        let mut text = [0u8; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
        )?;
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
            _ => None,
        });
        let text = String::from_utf8_lossy(text.get(..received.bytes).unwrap_or_default()).into_owned();
        Ok(sender.map(|pid| (rustix::process::getpgid(Some(pid)).unwrap_or(pid), Notice::parse(&text))))
    }
}

fn bind_path(path: &Path) -> io::Result<StdDatagram> {
    if let Some(directory) = path.parent() {
        files::directory(directory, 0o755, None)?;
    }
    files::datagrams(path, None)
}

/// The supervisor above master (systemd, or a test), when there is one.
#[derive(Debug)]
pub struct Above {
    address: Option<PathBuf>,
    abstract_name: Option<String>,
}

impl Above {
    /// Takes NOTIFY_SOCKET from the environment.
    pub fn from_env() -> Self {
        let name = std::env::var("NOTIFY_SOCKET").ok();
        match name.as_deref().and_then(|name| name.strip_prefix('@')) {
            Some(hidden) => Self { address: None, abstract_name: Some(hidden.to_owned()) },
            None => Self { address: name.map(PathBuf::from), abstract_name: None },
        }
    }

    /// Sends one state text. Nobody above, or nobody listening, is no error.
    pub fn tell(&self, state: &str) {
        let Ok(socket) = StdDatagram::unbound() else { return };
        let _ = socket.set_nonblocking(true);
        if let Some(path) = &self.address {
            let _ = socket.send_to(state.as_bytes(), path);
        } else if let Some(name) = &self.abstract_name
            && let Ok(address) = SocketAddr::from_abstract_name(name.as_bytes())
        {
            let _ = socket.send_to_addr(state.as_bytes(), &address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_line_by_line_and_unknown_lines_are_skipped() {
        let notice = Notice::parse("READY=1\nSTATUS=serving\nX_CLIENTS=12\nMAINPID=3\nnonsense");
        assert_eq!(
            notice,
            Notice {
                ready: true,
                stopping: false,
                status: Some("serving".into()),
                clients: Some(12),
                control: false
            }
        );
        assert_eq!(Notice::parse("READY=0\nX_CLIENTS=many"), Notice::default());
    }

    #[tokio::test]
    async fn a_notice_arrives_with_the_group_of_its_sender_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        for place in [directory.path().to_owned(), directory.path().join("x".repeat(120))] {
            let socket = NotifySocket::open(&place).unwrap();
            let above = match socket.name().strip_prefix('@') {
                Some(name) => Above { address: None, abstract_name: Some(name.to_owned()) },
                None => Above { address: Some(socket.name().into()), abstract_name: None },
            };
            above.tell("READY=1");
            let (sender, notice) = socket.recv().await.unwrap();
            assert_eq!(sender, rustix::process::getpgrp());
            assert!(notice.ready);
        }
    }
}
