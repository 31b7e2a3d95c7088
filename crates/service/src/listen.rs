//! Listeners: the sockets that a daemon was given, each with its name in cyrus.conf, its arguments and its limits.
//!
//! Three ways lead to them: our `master` (LISTEN_FDS as systemd has it, and MURDER_LISTENERS with what cyrus.conf
//! says of each), systemd itself (names only), and a real Cyrus master (file descriptors 3 and 4, CYRUS_SERVICE).
//! By hand, `--listen NAME=ADDRESS` opens them. See [`crate::inherit`] for the first three.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use config::imapd::Imapd;
use protocol::spoken::Protocol;
use socket2::{SockRef, TcpKeepalive};
use supervision::listeners::Entry;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use identity::auth::{self, Authenticator, InboxAcl, Pace};
use identity::deny::DenyList;
use identity::passwords::PasswordDb;
use transport::settings;
use transport::stream::Stream;
use transport::tls::{ServerTls, TlsError};

use crate::limits::{LASTING_IDLE, LASTING_INTERVAL, LASTING_PROBES, QUEUE};

/// What is spoken on the listener of an entry.
fn protocol_of(entry: &Entry) -> Option<Protocol> {
    Protocol::of_program(&entry.program).or_else(|| Protocol::of_name(&entry.name))
}

/// One listening socket.
pub struct Listener {
    pub name: String,
    pub protocol: Protocol,
    pub args: Vec<String>,
    /// `maxchild`: clients served at a time; `None`: no limit.
    pub max_clients: Option<u32>,
    /// As cyrus.conf has it, for logs.
    pub address: String,
    socket: ArcSwap<Socket>,
    /// Closed for now.
    shut: AtomicBool,
    clients: Arc<AtomicU32>,
    /// Cancelled when the listener is gone from the configuration: it accepts no more.
    retired: CancellationToken,
    imapd: ArcSwap<Imapd>,
    tls: ArcSwapOption<ServerTls>,
    auth: ArcSwap<Authenticator>,
}

/// The socket itself.
pub enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// Opens a socket: `host:port`, or a path. An old socket file is replaced.
    pub fn bind(address: &str) -> io::Result<Socket> {
        if address.starts_with('/') {
            let path = std::path::Path::new(address);
            return Ok(Socket::Unix(UnixListener::from_std(files::listen(path, None)?)?));
        }
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Socket::Tcp(TcpListener::from_std(listener)?))
    }
}

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listener {name}: {why}")]
    Socket { name: String, why: io::Error },
    #[error("listener {0}: its protocol is not known from its program or name")]
    Protocol(String),
    #[error("listener {name}: {why}")]
    Tls { name: String, why: TlsError },
    #[error("{variable}: {why}")]
    Environment { variable: &'static str, why: String },
}

impl Listener {
    /// Puts a socket and its entry together; `imapd` is this entry's view of the file.
    pub fn new(entry: Entry, socket: Socket, imapd: Imapd, shared: &Shared) -> Result<Listener, ListenError> {
        let protocol = protocol_of(&entry).ok_or_else(|| ListenError::Protocol(entry.name.clone()))?;
        let imapd = outer_layer(&entry.args).map_or_else(|| imapd.clone(), |bits| imapd.behind_layer(bits));
        let auth = shared.authenticator(&imapd, protocol);
        let listener = Listener {
            protocol,
            max_clients: u32::try_from(entry.maxchild).ok(),
            args: entry.args,
            address: entry.address,
            socket: ArcSwap::from_pointee(socket),
            shut: AtomicBool::new(false),
            clients: Arc::default(),
            retired: CancellationToken::new(),
            tls: ArcSwapOption::empty(),
            auth: ArcSwap::from_pointee(auth),
            imapd: ArcSwap::from_pointee(imapd),
            name: entry.name,
        };
        // The other listeners of the process serve on: one that cannot do TLS offers none, and with -s turns its clients away,
        // until a reload finds its certificate.
        if let Err(why) = listener.load_tls(&listener.imapd.load()) {
            error!("{why}");
        }
        if listener.implicit_tls() && listener.tls().is_none() {
            error!(
                "listener {}: -s (TLS from the first byte) needs tls_server_cert and tls_server_key: its clients are turned away",
                listener.name
            );
        }
        Ok(listener)
    }

    /// The settings in force, as this entry sees them.
    pub fn imapd(&self) -> Imapd {
        Imapd::clone(&self.imapd.load())
    }

    /// Certificates, where there are any.
    pub fn tls(&self) -> Option<ServerTls> {
        self.tls.load().as_deref().cloned()
    }

    /// Certificates, where STARTTLS may be offered.
    pub fn starttls(&self) -> Option<ServerTls> {
        self.tls().filter(|_| self.imapd.load().offers_starttls() && !self.implicit_tls())
    }

    /// Who decides logins here.
    pub fn auth(&self) -> Authenticator {
        Authenticator::clone(&self.auth.load())
    }

    /// TLS from the first byte: `-s`.
    pub fn implicit_tls(&self) -> bool {
        self.has_flag('s')
    }

    /// Whether a flag stands among the arguments, alone (`-s`) or with others (`-sa`).
    pub fn has_flag(&self, flag: char) -> bool {
        self.args.iter().any(|arg| {
            arg.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains(flag))
        })
    }

    /// Takes the place of a listener on the same socket: its clients count here too.
    pub(crate) fn succeed(&mut self, before: &Listener) {
        self.clients = before.clients.clone();
    }

    /// True for the listener that an entry describes.
    pub(crate) fn is(&self, entry: &Entry) -> bool {
        self.name == entry.name && self.address == entry.address
    }

    /// Cancelled when it is to accept no more.
    pub(crate) fn retired(&self) -> &CancellationToken {
        &self.retired
    }

    /// Clients served at the moment.
    pub fn clients(&self) -> u32 {
        self.clients.load(Ordering::Relaxed)
    }

    /// Takes new settings in force for connections from now on. What cannot be read stays as it was.
    pub(crate) fn reload(&self, imapd: Imapd, shared: &Shared) -> Result<(), ListenError> {
        self.load_tls(&imapd)?;
        let imapd = outer_layer(&self.args).map_or_else(|| imapd.clone(), |bits| imapd.behind_layer(bits));
        self.auth.store(Arc::new(shared.authenticator(&imapd, self.protocol)));
        self.imapd.store(Arc::new(imapd));
        Ok(())
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match &*self.socket.load_full() {
            Socket::Tcp(socket) => {
                let (socket, _) = socket.accept().await?;
                self.keep_alive(&socket);
                Stream::tcp(socket)
            }
            Socket::Unix(socket) => Stream::unix(socket.accept().await?.0),
        }
    }

    /// Whoever connects is refused, in whichever process the socket is, and so is who waits to be accepted; it stays bound. UNIX
    /// sockets stay open: they are this host's.
    pub(crate) fn shut(&self) {
        // Twice would be too much: what is accepted after that would be shut as well.
        if let Socket::Tcp(socket) = &**self.socket.load()
            && !self.shut.swap(true, Ordering::AcqRel)
            && let Err(error) = rustix::net::shutdown(socket, rustix::net::Shutdown::Both)
        {
            debug!(listener = self.name, "cannot be closed: {error}");
        }
    }

    /// Clients may connect again after [`Listener::shut`].
    pub(crate) fn open_again(&self) -> io::Result<()> {
        let Socket::Tcp(socket) = &**self.socket.load() else { return Ok(()) };
        // The runtime takes what was shut for readable for ever, so that it gets another descriptor.
        if !self.shut.load(Ordering::Acquire) {
            return Ok(());
        }
        let fresh = rustix::io::fcntl_dupfd_cloexec(socket, 0)?;
        rustix::net::listen(&fresh, QUEUE)?;
        let fresh = std::net::TcpListener::from(fresh);
        fresh.set_nonblocking(true)?;
        self.socket.store(Arc::new(Socket::Tcp(TcpListener::from_std(fresh)?)));
        self.shut.store(false, Ordering::Release);
        Ok(())
    }

    /// As the tcp_keepalive options have it; 0 leaves a figure to the system. Always on MUPDATE, whose connections are there for
    /// weeks and bounded in number: after a cable was cut, those of the dead would keep the living out.
    fn keep_alive(&self, socket: &TcpStream) {
        let imapd = self.imapd.load();
        let lasting = self.protocol == Protocol::Mupdate;
        if !imapd.tcp_keepalive && !lasting {
            return;
        }
        let or = |set: Duration, lasts: Duration| if set.is_zero() && lasting { lasts } else { set };
        let idle = or(imapd.tcp_keepalive_idle, LASTING_IDLE);
        let interval = or(imapd.tcp_keepalive_intvl, LASTING_INTERVAL);
        let mut keepalive = TcpKeepalive::new();
        if !idle.is_zero() {
            keepalive = keepalive.with_time(idle);
        }
        if !interval.is_zero() {
            keepalive = keepalive.with_interval(interval);
        }
        match imapd.tcp_keepalive_cnt {
            0 if lasting => keepalive = keepalive.with_retries(LASTING_PROBES),
            0 => {}
            probes => keepalive = keepalive.with_retries(probes),
        }
        if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&keepalive) {
            debug!(listener = self.name, "tcp_keepalive: {error}");
        }
    }

    /// The address that the socket is bound to; `None` for UNIX sockets.
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        match &**self.socket.load() {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// A place among the clients, if there is one; it is given back when dropped.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Place> {
        let limit = self.max_clients.unwrap_or(u32::MAX);
        let admitted = self
            .clients
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now < limit).then_some(now + 1));
        admitted.ok().map(|_| Place { listener: self.clone() })
    }

    /// A place beyond the limit, for whoever comes as somebody else goes.
    pub(crate) fn admit_beyond(self: &Arc<Self>) -> Place {
        self.clients.fetch_add(1, Ordering::AcqRel);
        Place { listener: self.clone() }
    }

    fn load_tls(&self, imapd: &Imapd) -> Result<(), ListenError> {
        let failed = |why| ListenError::Tls { name: self.name.clone(), why };
        match (settings::server_tls(imapd), self.tls()) {
            (Some(options), Some(tls)) => tls.reload(&options).map_err(failed),
            (Some(options), None) => {
                self.tls.store(Some(Arc::new(ServerTls::new(&options).map_err(failed)?)));
                Ok(())
            }
            (None, _) => {
                self.tls.store(None);
                Ok(())
            }
        }
    }
}

/// `-p`: bits of the layer (a tunnel's) that all connections of the listener come through.
fn outer_layer(args: &[String]) -> Option<u32> {
    let at = args.iter().position(|word| word == "-p")?;
    args.get(at + 1)?.parse().ok()
}

/// One client's place on a listener.
pub(crate) struct Place {
    listener: Arc<Listener>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.listener.clients.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the listeners of a process share for logins.
#[derive(Clone)]
pub struct Shared {
    pub passwords: PasswordDb,
    pub denied: DenyList,
    pub pace: Pace,
    pub inbox_acl: Option<Arc<dyn InboxAcl>>,
}

impl Shared {
    fn authenticator(&self, imapd: &Imapd, protocol: Protocol) -> Authenticator {
        let auth = Authenticator::new(
            auth::Settings::of(imapd, protocol),
            self.passwords.clone(),
            self.pace.clone(),
        )
        .with_denied(self.denied.clone());
        match &self.inbox_acl {
            Some(acl) => auth.with_inbox_acl(acl.clone()),
            None => auth,
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_follows_from_the_program_then_from_the_name() {
        let entry = |name: &str, program: &str| {
            protocol_of(&Entry { name: name.into(), program: program.into(), ..Entry::default() })
        };
        assert_eq!(entry("mail", "proxyd"), Some(Protocol::Imap));
        assert_eq!(entry("imaps", ""), Some(Protocol::Imap));
        assert_eq!(entry("lmtpunix", "lmtpproxyd"), Some(Protocol::Lmtp));
        assert_eq!(entry("kpop", ""), Some(Protocol::Pop3));
        assert_eq!(entry("http", "httpd"), None);
    }

    #[tokio::test]
    async fn connections_are_kept_alive_as_configured() {
        let text = "configdirectory: /v\ntcp_keepalive: yes\ntcp_keepalive_idle: 77\ntcp_keepalive_intvl: 11\ntcp_keepalive_cnt: 3\n";
        let imapd = Imapd::parse(std::path::Path::new("imapd.conf"), text, "imap").unwrap();
        let passwords = PasswordDb::new("/nonexistent");
        let denied = DenyList::new("/nonexistent");
        let shared = Shared { passwords, denied, pace: Pace::default(), inbox_acl: None };
        let entry = Entry { name: "imap".to_owned(), ..Entry::default() };
        let listener = Listener::new(entry, Socket::bind("127.0.0.1:0").unwrap(), imapd, &shared).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!SockRef::from(&socket).keepalive().unwrap());
        listener.keep_alive(&socket);
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 77);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 11);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }

    #[tokio::test]
    async fn a_listener_behind_a_tunnel_takes_passwords_as_if_it_had_tls() {
        let text = "configdirectory: /v\ntls_required: yes\nsasl_minimum_layer: 56\n";
        let imapd = Imapd::parse(std::path::Path::new("imapd.conf"), text, "imap").unwrap();
        let (passwords, denied) = (PasswordDb::new("/nonexistent"), DenyList::new("/nonexistent"));
        let shared = Shared { passwords, denied, pace: Pace::default(), inbox_acl: None };
        let any = "127.0.0.1:143".parse().unwrap();
        let channel = transport::peer::Channel::new(transport::peer::Peer::Tcp { remote: any, local: any });
        for (args, takes) in [("", false), ("-p 1", false), ("-p 40", false), ("-s -p 128", true)] {
            let args = args.split_whitespace().map(str::to_owned).collect();
            let entry = Entry { name: "imap".to_owned(), args, ..Entry::default() };
            let socket = Socket::bind("127.0.0.1:0").unwrap();
            let listener = Listener::new(entry, socket, imapd.clone(), &shared).unwrap();
            assert_eq!(listener.auth().allows_plaintext(&channel), takes);
            listener.reload(imapd.clone(), &shared).unwrap();
            assert_eq!(listener.auth().allows_plaintext(&channel), takes);
        }
    }
}
