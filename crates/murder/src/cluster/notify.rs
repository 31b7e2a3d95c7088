//! The socket on which a node's `master` says that it is ready, as systemd's.

use std::{io, os::unix::net::UnixDatagram, path::Path, time::Duration};

use rustix::net::RecvFlags;
use supervision::notify::{self, Notice};

/// Others cannot reach it, unless they may do all that the node's user may; and they are not heard.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
}

impl NotifySocket {
    /// Takes the place of a socket that an earlier run left.
    pub(super) fn bind(path: &Path) -> io::Result<NotifySocket> {
        let socket = files::datagrams(path, Some(0o600))?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok(NotifySocket { socket })
    }

    /// The next message of this process. None: nothing came in that time, or from somebody else.
    pub(super) fn hear(&self, pid: u32, within: Duration) -> io::Result<Option<Notice>> {
        self.socket.set_read_timeout(Some(within))?;
        match notify::receive(&self.socket, RecvFlags::empty()) {
            Ok((sender, notice)) => {
                let of_process =
                    sender.is_some_and(|sender| sender.as_raw_nonzero().get().cast_unsigned() == pid);
                Ok(of_process.then_some(notice))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_stranger_is_not_heard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = NotifySocket::bind(&path).unwrap();
        let above = UnixDatagram::unbound().unwrap();
        let own = std::process::id();
        for (expected, answer) in [(own, Some(Notice { ready: true, ..Notice::default() })), (own + 1, None)]
        {
            above.send_to(b"READY=1", &path).unwrap();
            assert_eq!(socket.hear(expected, Duration::from_secs(20)).unwrap(), answer);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(socket.hear(own, Duration::from_millis(1)).unwrap(), None);
        drop(socket);
        NotifySocket::bind(&path).unwrap();
    }
}
