//! Opening the sockets of SERVICES. One socket is opened for every address that a host resolves to; without a host that is the wildcard of
//! each family. IPv6 sockets take IPv6 only, so that the families can be bound independently.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use config::cyrus::{Listen, Proto};
use config::ports::Ports;
use socket2::{Domain, Protocol, SockAddr, Type};
use tracing::warn;

use crate::limits::RETRY;

/// An open listening socket.
#[derive(Debug)]
pub struct Socket {
    /// None: closed, because what was started for it kept failing; its place among its service's sockets stays.
    fd: Option<OwnedFd>,
    /// `ipv4`, `ipv6` or `unix`, as in Cyrus's log lines.
    pub family: &'static str,
    /// Where it listens, with the port that the system chose for port 0.
    pub address: String,
    /// Tells it from every other socket that master ever opened.
    pub serial: u64,
    is_udp: bool,
}

/// One address that could not be opened.
#[derive(Debug)]
pub struct OpenError {
    /// `ipv4`, `ipv6`, `unix`, or empty where it did not come to a family.
    pub family: &'static str,
    pub address: String,
    pub step: &'static str,
    pub cause: io::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.step, self.address, self.cause)
    }
}

/// How sockets are opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// Length of the queue of connections not accepted yet.
    pub backlog: i32,
    /// How long to wait for an address in use: the children of a master that was killed need a moment to end.
    pub patience: Duration,
    /// `qosmarking`: the class-of-service byte of packets; accepted connections have their listener's.
    pub marking: u8,
    /// User and group of a directory that has to be made for a UNIX socket; none: whoever makes it.
    pub owner: Option<(u32, u32)>,
}

impl Socket {
    /// Nobody listens on it any longer, in no process that has it.
    pub fn close(&mut self) {
        if let Some(fd) = self.fd.take() {
            // On a datagram's or a broken socket it fails, and there is nothing to be done.
            let _ = rustix::net::shutdown(&fd, rustix::net::Shutdown::Both);
        }
    }

    pub fn is_closed(&self) -> bool {
        self.fd.is_none()
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }
}

/// Opens every address of a service. Both lists may be non-empty: one family may work and the other not.
pub fn open(address: &Listen, proto: Proto, opening: Opening) -> (Vec<Socket>, Vec<OpenError>) {
    Addresses::of(address, proto).open(opening)
}

/// The addresses of a service, each with its socket where there is one already.
#[derive(Debug)]
pub struct Addresses {
    proto: Proto,
    targets: Vec<(Target, Option<Socket>)>,
    unresolved: Option<OpenError>,
}

impl Addresses {
    pub fn of(address: &Listen, proto: Proto) -> Addresses {
        let (targets, unresolved) = match targets(address, proto) {
            Ok(targets) => (targets, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Addresses { proto, targets: targets.into_iter().map(|target| (target, None)).collect(), unresolved }
    }

    /// Takes over those of the spare sockets that listen on one of these addresses: who waits there notices nothing.
    pub fn adopt(&mut self, spare: &mut Vec<Socket>) {
        let is_udp = self.proto.is_udp();
        for (target, adopted) in self.targets.iter_mut().filter(|(_, adopted)| adopted.is_none()) {
            let fits = |socket: &Socket| {
                socket.family == target.family() && socket.address == target.name() && socket.is_udp == is_udp
            };
            if let Some(place) = spare.iter().position(fits) {
                *adopted = Some(spare.swap_remove(place));
            }
        }
    }

    /// Opens the rest.
    pub fn open(self, opening: Opening) -> (Vec<Socket>, Vec<OpenError>) {
        let deadline = Instant::now() + opening.patience;
        let (mut sockets, mut errors) = (Vec::new(), Vec::from_iter(self.unresolved));
        for (target, adopted) in self.targets {
            let opened = match adopted {
                Some(socket) => Ok(socket),
                None => open_patiently(&target, self.proto, opening, deadline),
            };
            match opened {
                Ok(socket) => sockets.push(socket),
                // A host without IPv6 still has the wildcard of IPv4.
                Err(error) if target.is_wildcard() && error.cause.raw_os_error() == Some(EAFNOSUPPORT) => {}
                Err(error) => errors.push(error),
            }
        }
        (sockets, errors)
    }
}

fn open_patiently(
    target: &Target,
    proto: Proto,
    opening: Opening,
    deadline: Instant,
) -> Result<Socket, OpenError> {
    loop {
        match target.open(proto, opening) {
            Err(error) if error.cause.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(RETRY);
            }
            outcome => return outcome,
        }
    }
}

fn admits(proto: Proto, address: &SocketAddr) -> bool {
    match proto {
        Proto::Tcp | Proto::Udp => true,
        Proto::Tcp4 | Proto::Udp4 => address.is_ipv4(),
        Proto::Tcp6 | Proto::Udp6 => address.is_ipv6(),
    }
}

/// One address to be bound.
#[derive(Debug)]
enum Target {
    Unix(PathBuf),
    Inet(SocketAddr),
}

fn targets(address: &Listen, proto: Proto) -> Result<Vec<Target>, OpenError> {
    let failed =
        |step, address: &str, cause| OpenError { family: "", address: address.to_owned(), step, cause };
    let (host, port_name) = match address {
        Listen::Unix(path) => return Ok(vec![Target::Unix(path.clone())]),
        Listen::Inet { host, port } => (host, port),
    };
    let port =
        Ports::read().find(port_name, if proto.is_udp() { "udp" } else { "tcp" }).ok_or_else(|| {
            let cause = io::Error::new(io::ErrorKind::NotFound, "unknown service name");
            failed("resolve port", port_name, cause)
        })?;
    let found: Vec<SocketAddr> = match host {
        None => [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
            .map(|address| SocketAddr::new(address, port))
            .to_vec(),
        Some(host) => match (host.as_str(), port).to_socket_addrs() {
            Ok(found) => found.collect(),
            // A host whose files do not know the name has the addresses all the same (RFC 6761 section 6.3).
            Err(_) if host == "localhost" => {
                vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
            }
            Err(cause) => return Err(failed("resolve", host, cause)),
        },
    };
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in found.into_iter().filter(|address| admits(proto, address)) {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    if unique.is_empty() {
        let cause =
            io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of the family that proto asks for");
        return Err(failed("resolve", host.as_deref().unwrap_or("*"), cause));
    }
    Ok(unique.into_iter().map(Target::Inet).collect())
}

impl Target {
    fn is_wildcard(&self) -> bool {
        matches!(self, Self::Inet(address) if address.ip().is_unspecified())
    }

    fn family(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::Inet(SocketAddr::V4(_)) => "ipv4",
            Self::Inet(SocketAddr::V6(_)) => "ipv6",
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Inet(address) => address.to_string(),
        }
    }

    fn open(&self, proto: Proto, opening: Opening) -> Result<Socket, OpenError> {
        let failed =
            |step| move |cause| OpenError { family: self.family(), address: self.name(), step, cause };
        let (domain, protocol) = match self {
            Self::Unix(_) => (Domain::UNIX, None),
            Self::Inet(address) => (
                Domain::for_address(*address),
                Some(if proto.is_udp() { Protocol::UDP } else { Protocol::TCP }),
            ),
        };
        let kind = if proto.is_udp() { Type::DGRAM } else { Type::STREAM };
        let socket = socket2::Socket::new(domain, kind, protocol).map_err(failed("create socket for"))?;
        match self {
            Self::Unix(path) => bind_path(&socket, path, opening.owner).map_err(failed("bind"))?,
            Self::Inet(address) => {
                mark(&socket, address, opening.marking);
                bind_inet(&socket, address).map_err(failed("bind"))?;
            }
        }
        if !proto.is_udp() {
            socket.listen(opening.backlog).map_err(failed("listen on"))?;
        }
        let address = socket.local_addr().ok().and_then(|bound| bound.as_socket());
        let address = address.map_or_else(|| self.name(), |bound| bound.to_string());
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let is_udp = proto.is_udp();
        Ok(Socket { fd: Some(socket.into()), family: self.family(), address, serial, is_udp })
    }
}

/// Marking is a wish: a system that refuses it still serves.
fn mark(socket: &socket2::Socket, address: &SocketAddr, marking: u8) {
    let marked = match (marking, address) {
        (0, _) => Ok(()),
        (_, SocketAddr::V4(_)) => socket.set_tos_v4(marking.into()),
        (_, SocketAddr::V6(_)) => socket.set_tclass_v6(marking.into()),
    };
    if let Err(cause) = marked {
        warn!("cannot mark packets of {address}: {cause}");
    }
}

fn bind_inet(socket: &socket2::Socket, address: &SocketAddr) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(*address))
}

/// Binds with mode 0777, as Cyrus does: who may connect is decided by the directory, and by the daemon. A directory that is made
/// here is open to its owner and the owner's group.
fn bind_path(socket: &socket2::Socket, path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        files::directory(parent, 0o750, owner)?;
    }
    files::bind(path, None, |path| {
        let before = rustix::process::umask(rustix::fs::Mode::empty());
        let bound = socket.bind(&SockAddr::unix(path)?);
        rustix::process::umask(before);
        bound
    })
}

static SERIAL: AtomicU64 = AtomicU64::new(0);
const EAFNOSUPPORT: i32 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OPENING: Opening = Opening { backlog: 16, patience: Duration::ZERO, marking: 0xb8, owner: None };

    fn inet(host: Option<&str>, port: &str) -> Listen {
        Listen::Inet { host: host.map(str::to_owned), port: port.to_owned() }
    }

    #[test]
    fn proto_chooses_the_families() {
        let (v4, v6) = ("127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        assert!(admits(Proto::Tcp, &v4) && admits(Proto::Tcp, &v6));
        assert!(admits(Proto::Tcp4, &v4) && !admits(Proto::Tcp4, &v6));
        assert!(!admits(Proto::Udp6, &v4) && admits(Proto::Udp6, &v6));
    }

    #[test]
    fn a_port_in_use_is_named() {
        let tcp = Proto::Tcp;
        let (sockets, errors) = open(&inet(Some("127.0.0.1"), "0"), tcp, OPENING);
        assert!(errors.is_empty());
        let port = sockets[0].address.rsplit_once(':').unwrap().1.to_owned();
        assert_eq!(socket2::SockRef::from(&sockets[0].fd().unwrap()).tos_v4().unwrap(), 0xb8);
        let (again, errors) = open(&inet(Some("127.0.0.1"), &port), tcp, OPENING);
        assert!(again.is_empty());
        assert_eq!(errors[0].family, "ipv4");
        assert!(errors[0].to_string().contains(&format!("bind 127.0.0.1:{port}: Address already in use")));
    }

    #[test]
    fn an_unknown_service_name_is_an_error_that_names_it() {
        let (_, errors) = open(&inet(None, "no-such-service"), Proto::Tcp, OPENING);
        assert_eq!(errors[0].to_string(), "resolve port no-such-service: unknown service name");
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_but_a_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let tcp = Proto::Tcp;
        let path = directory.path().join("socket/lmtp");
        let (first, errors) = open(&Listen::Unix(path.clone()), tcp, OPENING);
        assert!(errors.is_empty() && first[0].family == "unix");
        let (second, errors) = open(&Listen::Unix(path), tcp, OPENING);
        assert!(errors.is_empty() && second.len() == 1);
        let file = directory.path().join("file");
        fs::write(&file, "precious").unwrap();
        let (none, errors) = open(&Listen::Unix(file.clone()), tcp, OPENING);
        assert!(none.is_empty() && errors[0].to_string().contains("not a socket"));
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    }
}
