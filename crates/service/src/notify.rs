//! Telling the supervisor how we are: sd_notify's datagrams to `NOTIFY_SOCKET`, or a Cyrus master's 8-byte messages.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

use tracing::warn;

/// Where to send the news; silent when nobody listens.
#[derive(Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    cyrus: Mutex<Option<OwnedFd>>,
}

impl Notifier {
    pub(crate) fn from_environment(cyrus_status: Option<OwnedFd>) -> Notifier {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|path| match connect(&path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                warn!("NOTIFY_SOCKET {}: {error}", path.display());
                None
            }
        });
        Notifier { socket, cyrus: Mutex::new(cyrus_status) }
    }

    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// Ready, and able to take other listeners while running.
    pub(crate) fn ready_for_changes(&self) {
        self.send("READY=1\nX_CONTROL=1");
    }

    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    pub fn reloading(&self) {
        self.send("RELOADING=1");
    }

    /// One line for humans.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// The number of clients served now.
    pub fn clients(&self, count: usize) {
        self.send(&format!("X_CLIENTS={count}"));
    }

    /// One more connection: a Cyrus master counts those of a threaded service (CONNECTION_MULTI).
    pub(crate) fn connection(&self) {
        let guard = self.cyrus.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pipe) = guard.as_ref() {
            let mut message = [0; 8];
            let (code, pid) = message.split_at_mut(4);
            code.copy_from_slice(&CONNECTION_MULTI.to_ne_bytes());
            pid.copy_from_slice(&rustix::process::getpid().as_raw_nonzero().get().to_ne_bytes());
            // The pipe does not block: a master that does not read loses a count, not us.
            let _ = rustix::io::write(pipe, &message);
        }
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // A supervisor that is away is no reason to stop.
            let _ = socket.send(message.as_bytes());
        }
    }
}

fn connect(path: &std::ffi::OsStr) -> std::io::Result<UnixDatagram> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::SocketAddr;
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(path)?,
    }
    Ok(socket)
}

/// Threaded service: one more connection, stays ready.
const CONNECTION_MULTI: i32 = 4;
