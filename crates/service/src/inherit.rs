//! Sockets that whoever started this process left open for it.
//!
//! * `LISTEN_PID` is our own pid: the systemd convention. Sockets from fd 3 on, named by `LISTEN_FDNAMES`, of which `imaps`
//!   and `pop3s` have TLS from the first byte; our `master` adds [`listeners::VARIABLE`] with one [`Entry`] per socket.
//! * otherwise, with `CYRUS_SERVICE`: a real Cyrus master. fd 4 is the one socket; to fd 3 go 8-byte messages.
//!
//! This is the one module that makes file descriptors out of numbers, hence the unsafe code; each number is taken
//! once, at start, before anything else could have opened it.
#![allow(unsafe_code)]

use std::env;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::net::AddressFamily;
use supervision::control;
use supervision::listeners::{self, Entry, Listeners};

use crate::limits::MAX_SOCKETS;
use crate::listen::{ListenError, Socket};

/// What was inherited.
#[derive(Default)]
pub(crate) struct Inherited {
    pub(crate) sockets: Vec<(Entry, OwnedFd)>,
    /// The status pipe of a Cyrus master.
    pub(crate) cyrus_status: Option<OwnedFd>,
    /// Its end of file means that our master died.
    pub(crate) lifeline: Option<OwnedFd>,
    /// Says which listeners there are after a reload.
    pub(crate) control: Option<OwnedFd>,
}

/// Takes over all that was inherited. To be called once, before any file is opened; `args` are the words of our own
/// command line, which stand for each listener where nobody says more.
pub(crate) fn take(args: &[String]) -> Result<Inherited, ListenError> {
    let mut inherited = Inherited {
        lifeline: numbered("MURDER_LIFELINE")?,
        control: numbered(control::VARIABLE)?,
        ..Inherited::default()
    };
    let own_pid = rustix::process::getpid().as_raw_nonzero().to_string();
    if env::var("LISTEN_PID").is_ok_and(|pid| pid == own_pid) {
        inherited.sockets = systemd(args)?;
    } else if let Ok(name) = env::var("CYRUS_SERVICE")
        && is_socket(CYRUS_LISTEN)
    {
        let (program, args) = (own_program(), args.to_vec());
        let entry = Entry { name, program, args, maxchild: -1, ..Entry::default() };
        inherited.sockets.push((entry, own(CYRUS_LISTEN)?));
        inherited.cyrus_status = Some(own(CYRUS_STATUS)?);
    }
    Ok(inherited)
}

/// The name under which we were started: it tells the protocol where the entry has a name of its admin's choice.
fn own_program() -> String {
    let path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn systemd(args: &[String]) -> Result<Vec<(Entry, OwnedFd)>, ListenError> {
    let bad = |variable, why: String| ListenError::Environment { variable, why };
    let text = env::var("LISTEN_FDS").unwrap_or_default();
    let count: usize = text.parse().map_err(|_| bad("LISTEN_FDS", format!("not a number: {text}")))?;
    if count > MAX_SOCKETS {
        return Err(bad("LISTEN_FDS", format!("{count} is more than {MAX_SOCKETS}")));
    }
    let entries = match env::var(listeners::VARIABLE) {
        Ok(text) => {
            let Listeners(entries) =
                text.parse().map_err(|why: serde_json::Error| bad(listeners::VARIABLE, why.to_string()))?;
            if entries.len() != count {
                let why = format!("{} entries for {count} sockets", entries.len());
                return Err(bad(listeners::VARIABLE, why));
            }
            entries
        }
        Err(_) => {
            let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
            let mut names = names.split(':');
            let entry = |_| {
                let name = names.next().unwrap_or_default().to_owned();
                let mut args = args.to_vec();
                if matches!(name.as_str(), "imaps" | "pop3s") {
                    args.push("-s".to_owned());
                }
                Entry { name, program: own_program(), args, maxchild: -1, ..Entry::default() }
            };
            (0..count).map(entry).collect()
        }
    };
    let fds = (FIRST..).take(count);
    entries.into_iter().zip(fds).map(|(entry, fd)| Ok((entry, own(fd)?))).collect()
}

/// The descriptor whose number is in a variable.
fn numbered(variable: &'static str) -> Result<Option<OwnedFd>, ListenError> {
    match env::var(variable) {
        Ok(text) => {
            let fd = text
                .parse()
                .map_err(|_| ListenError::Environment { variable, why: format!("not a number: {text}") })?;
            own(fd).map(Some)
        }
        Err(_) => Ok(None),
    }
}

/// Makes the number ours: checked to be open, not to be passed to children, not blocking.
fn own(fd: RawFd) -> Result<OwnedFd, ListenError> {
    let failed = |why: rustix::io::Errno| ListenError::Socket { name: format!("fd {fd}"), why: why.into() };
    // SAFETY: the number comes from the convention by which our parent left this descriptor for us, nobody else in
    // this process knows it, and it is taken once. A number that is not open is found out by the next call.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Err(why) = rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC) {
        std::mem::forget(owned);
        return Err(failed(why));
    }
    rustix::io::ioctl_fionbio(&owned, true).map_err(failed)?;
    Ok(owned)
}

fn is_socket(fd: RawFd) -> bool {
    // SAFETY: borrowed for one call that fails cleanly on a closed descriptor.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    rustix::net::sockopt::socket_type(borrowed).is_ok()
}

/// A listening socket for the reactor.
pub(crate) fn socket(fd: OwnedFd) -> io::Result<Socket> {
    if rustix::net::sockopt::socket_domain(&fd)? == AddressFamily::UNIX {
        let listener = std::os::unix::net::UnixListener::from(fd);
        Ok(Socket::Unix(tokio::net::UnixListener::from_std(listener)?))
    } else {
        let listener = std::net::TcpListener::from(fd);
        Ok(Socket::Tcp(tokio::net::TcpListener::from_std(listener)?))
    }
}

const FIRST: RawFd = 3;
const CYRUS_STATUS: RawFd = 3;
const CYRUS_LISTEN: RawFd = 4;
