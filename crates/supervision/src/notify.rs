//! Readiness, in sd_notify's format: what a program writes to its supervisor, `master` included.
//!
//! A program sends datagrams (`READY=1`, `STATUS=…`, `X_CLIENTS=n`) to the socket named in its NOTIFY_SOCKET. The kernel says
//! which process sent one; each child of `master` leads a process group, so a helper of its that sends (`systemd-notify` in a
//! script) is found by its group.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tracing::{debug, warn};

use crate::status::{Code, Status};

/// What one datagram says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Notice {
    pub ready: bool,
    pub stopping: bool,
    pub reloading: bool,
    /// One line for humans.
    pub status: Option<String>,
    /// The process that the supervisor is to watch.
    pub main_pid: Option<u32>,
    /// It takes other listeners while running, over `MURDER_CONTROL`.
    pub control: bool,
    /// Clients served now.
    pub clients: Option<u64>,
    /// Whether it takes no clients for now, of its own accord.
    pub busy: Option<bool>,
}

impl Notice {
    /// Lines that nobody knows are skipped.
    pub fn parse(text: &str) -> Self {
        let mut notice = Self::default();
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => notice.ready = true,
                Some(("STOPPING", "1")) => notice.stopping = true,
                Some(("RELOADING", "1")) => notice.reloading = true,
                Some(("STATUS", status)) => notice.status = Some(status.to_owned()),
                Some(("MAINPID", pid)) => notice.main_pid = pid.parse().ok(),
                Some(("X_CONTROL", "1")) => notice.control = true,
                Some(("X_CLIENTS", count)) => notice.clients = count.parse().ok(),
                Some(("X_BUSY", "0")) => notice.busy = Some(false),
                Some(("X_BUSY", "1")) => notice.busy = Some(true),
                _ => {}
            }
        }
        notice
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |word: &str, is_set: bool| is_set.then(|| format!("{word}=1"));
        let lines = [
            set("READY", self.ready),
            set("STOPPING", self.stopping),
            set("RELOADING", self.reloading),
            self.status.as_ref().map(|text| format!("STATUS={}", text.replace(char::is_control, " "))),
            self.main_pid.map(|pid| format!("MAINPID={pid}")),
            set("X_CONTROL", self.control),
            self.clients.map(|count| format!("X_CLIENTS={count}")),
            self.busy.map(|busy| format!("X_BUSY={}", u8::from(busy))),
        ];
        f.write_str(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    }
}

/// The supervisor above this process: our `master`, systemd or a test by NOTIFY_SOCKET, or a Cyrus master by its status pipe.
/// Silent where there is none.
#[derive(Debug, Default)]
pub struct Notifier {
    above: Option<Above>,
    cyrus: Mutex<Option<OwnedFd>>,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Above {
    /// Not connected, so that a supervisor that starts anew gets the next notice.
    socket: StdDatagram,
    address: SocketAddr,
    name: OsString,
}

impl Notifier {
    /// Takes NOTIFY_SOCKET from the environment; `cyrus_status` is the pipe of a Cyrus master.
    pub fn from_environment(cyrus_status: Option<OwnedFd>) -> Notifier {
        let above = std::env::var_os("NOTIFY_SOCKET").and_then(|name| match Above::named(name.clone()) {
            Ok(above) => Some(above),
            Err(cause) => {
                warn!("NOTIFY_SOCKET {}: {cause}", name.display());
                None
            }
        });
        Notifier { above, cyrus: Mutex::new(cyrus_status), failed: AtomicBool::new(false) }
    }

    pub fn ready(&self) {
        self.tell(&Notice { ready: true, ..Notice::default() });
    }

    pub fn stopping(&self) {
        self.tell(&Notice { stopping: true, ..Notice::default() });
    }

    pub fn reloading(&self) {
        self.tell(&Notice { reloading: true, ..Notice::default() });
    }

    /// Sends one notice. A supervisor that is away is no reason to stop; it is logged once.
    pub fn tell(&self, notice: &Notice) {
        let Some(above) = &self.above else { return };
        let sent = above.socket.send_to_addr(notice.to_string().as_bytes(), &above.address);
        if let Err(cause) = sent
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            warn!("NOTIFY_SOCKET {}: {cause}", above.name.display());
        }
    }

    /// One more connection: a Cyrus master counts those of a threaded service.
    pub fn connection(&self) {
        let guard = self.cyrus.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = guard.as_ref() {
            let pid = rustix::process::getpid().as_raw_nonzero().get();
            // The pipe does not block: a master that does not read loses a count, not us.
            let _ = rustix::io::write(pipe, &Status { code: Code::ConnectionMulti, pid }.to_bytes());
        }
    }
}

impl Above {
    fn named(name: OsString) -> io::Result<Above> {
        let socket = StdDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(hidden) => SocketAddr::from_abstract_name(hidden)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        Ok(Above { socket, address, name })
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
        let (sender, notice) = receive(&self.socket, RecvFlags::DONTWAIT)?;
        Ok(sender.map(|pid| (rustix::process::getpgid(Some(pid)).unwrap_or(pid), notice)))
    }
}

/// One notice from a socket that is told who sends (SO_PASSCRED), and its sender.
pub fn receive(socket: impl AsFd, flags: RecvFlags) -> io::Result<(Option<Pid>, Notice)> {
    let mut text = [0u8; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut text)];
    let received = rustix::net::recvmsg(socket, parts, &mut control, flags | RecvFlags::CMSG_CLOEXEC)?;
    let sender = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
        _ => None,
    });
    let text = String::from_utf8_lossy(text.get(..received.bytes).unwrap_or_default()).into_owned();
    Ok((sender, Notice::parse(&text)))
}

fn bind_path(path: &Path) -> io::Result<StdDatagram> {
    if let Some(directory) = path.parent() {
        files::directory(directory, 0o755, None)?;
    }
    files::datagrams(path, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_notice_is_read_line_by_line_and_unknown_lines_are_skipped() {
        let notice = Notice::parse("READY=1\nSTATUS=serving\nX_CLIENTS=12\nMAINPID=3\nnonsense");
        assert_eq!(
            notice,
            Notice {
                ready: true,
                status: Some("serving".into()),
                clients: Some(12),
                main_pid: Some(3),
                ..Notice::default()
            }
        );
        assert_eq!(Notice::parse("READY=0\nX_CLIENTS=many"), Notice::default());
    }

    fn notifier(name: &str) -> Notifier {
        Notifier { above: Some(Above::named(name.into()).unwrap()), ..Notifier::default() }
    }

    #[tokio::test]
    async fn a_notice_arrives_with_the_group_of_its_sender_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        for place in [directory.path().to_owned(), directory.path().join("x".repeat(120))] {
            let socket = NotifySocket::open(&place).unwrap();
            notifier(socket.name()).ready();
            let (sender, notice) = socket.recv().await.unwrap();
            assert_eq!(sender, rustix::process::getpgrp());
            assert!(notice.ready);
        }
    }

    #[tokio::test]
    async fn a_supervisor_that_was_away_hears_the_next_notice() {
        let directory = tempfile::tempdir().unwrap();
        let notifier = notifier(directory.path().join("notify").to_str().unwrap());
        notifier.ready();
        let socket = NotifySocket::open(directory.path()).unwrap();
        notifier.stopping();
        assert_eq!(socket.recv().await.unwrap().1, Notice { stopping: true, ..Notice::default() });
    }

    fn notices() -> impl Strategy<Value = Notice> {
        let flags = any::<[bool; 4]>();
        let status = prop::option::of("[^\\p{Cc}]{0,40}");
        let (main_pid, clients) = (any::<Option<u32>>(), any::<Option<u64>>());
        let busy = any::<Option<bool>>();
        (flags, status, main_pid, clients, busy).prop_map(|(flags, status, main_pid, clients, busy)| {
            let [ready, stopping, reloading, control] = flags;
            Notice { ready, stopping, reloading, status, main_pid, control, clients, busy }
        })
    }

    proptest! {
        #[test]
        fn what_a_program_writes_its_supervisor_reads(notice in notices()) {
            prop_assert_eq!(Notice::parse(&notice.to_string()), notice);
        }
    }
}
