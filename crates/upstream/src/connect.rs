//! From a server's name to an authenticated connection.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use config::imapd::Imapd;
use service::stream::Stream;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::breaker::{Breaker, Todo, probe_pause};
use crate::dialog::Dialog;
use crate::handshake;
use crate::sasl;
use crate::target::{Place, Target};
use crate::{Capabilities, Error};

/// What is spoken to the backend. The names are those of `<shorthost>_ports` and of the service table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proto {
    Imap,
    Pop3,
    Lmtp,
}

impl Proto {
    pub fn service(self) -> &'static str {
        match self {
            Proto::Imap => "imap",
            Proto::Pop3 => "pop3",
            Proto::Lmtp => "lmtp",
        }
    }
}

/// An authenticated connection to a backend.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    /// Bytes that came behind the last answer of the handshake.
    pub input: BytesMut,
    /// What the server announced last: after the login, where the protocol repeats it.
    pub capabilities: Capabilities,
    /// The text of the answer that ended the login, without its code: `[CAPABILITY …] SESSIONID=<…>`.
    pub text: String,
}

/// The way to all backends; cheap to clone, one per process.
#[derive(Clone)]
pub struct Upstream {
    shared: Arc<Shared>,
}

struct Shared {
    imapd: RwLock<Imapd>,
    breakers: Mutex<HashMap<(String, Proto), Breaker>>,
}

impl Upstream {
    pub fn new(imapd: &Imapd) -> Upstream {
        Upstream {
            shared: Arc::new(Shared { imapd: RwLock::new(imapd.clone()), breakers: Mutex::default() }),
        }
    }

    /// Takes a configuration that was read anew; connections that exist are not touched.
    pub fn reload(&self, imapd: &Imapd) {
        *self.shared.imapd.write().unwrap_or_else(PoisonError::into_inner) = imapd.clone();
    }

    pub fn imapd(&self) -> Imapd {
        self.shared.imapd.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connects and logs in. `user` is who shall be acted for; `None` (LMTP) acts as `proxy_authname` itself.
    pub async fn connect(&self, server: &str, proto: Proto, user: Option<&str>) -> Result<Connection, Error> {
        self.admit(server, proto)?;
        let imapd = self.imapd();
        let result = establish(&imapd, server, proto, user).await;
        self.note(server, proto, result.as_ref().err());
        result
    }

    /// Whether a server that seems to hang still greets: bounded by `client_timeout`. A failure opens its breaker.
    pub async fn greets(&self, server: &str, proto: Proto) -> Result<(), Error> {
        let imapd = self.imapd();
        let result = greeted(&imapd, server, proto).await.map(drop);
        self.note(server, proto, result.as_ref().err());
        result
    }

    /// Why the server would not be tried at this moment, if so.
    pub fn admit(&self, server: &str, proto: Proto) -> Result<(), Error> {
        let breakers = self.shared.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        match breakers.get(&(server.to_owned(), proto)) {
            Some(breaker) => {
                breaker.admit(Instant::now()).map_err(|why| Error::Down { server: server.to_owned(), why })
            }
            None => Ok(()),
        }
    }

    fn note(&self, server: &str, proto: Proto, error: Option<&Error>) {
        let todo = {
            let mut breakers = self.shared.breakers.lock().unwrap_or_else(PoisonError::into_inner);
            match error {
                Some(error) if error.is_unreachable() => {
                    let slow = matches!(error, Error::Timeout { .. });
                    let breaker = breakers.entry((server.to_owned(), proto)).or_default();
                    breaker.failed(Instant::now(), slow, error.to_string())
                }
                _ => {
                    breakers.remove(&(server.to_owned(), proto));
                    Todo::Nothing
                }
            }
        };
        match error {
            Some(error) => warn!(server, protocol = proto.service(), "{error}"),
            None => debug!(server, protocol = proto.service(), "connected"),
        }
        if todo == Todo::Probe {
            tokio::spawn(probe(Arc::downgrade(&self.shared), server.to_owned(), proto));
        }
    }
}

/// Tries a server until it greets. Ends with the [`Upstream`] itself.
async fn probe(shared: std::sync::Weak<Shared>, server: String, proto: Proto) {
    for attempt in 0u32.. {
        tokio::time::sleep(probe_pause(attempt)).await;
        let Some(shared) = shared.upgrade() else { return };
        let imapd = shared.imapd.read().unwrap_or_else(PoisonError::into_inner).clone();
        if greeted(&imapd, &server, proto).await.is_ok() {
            let mut breakers = shared.breakers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(breaker) = breakers.get_mut(&(server.clone(), proto)) {
                breaker.succeeded();
            }
            info!(server, protocol = proto.service(), "is back");
            return;
        }
    }
}

async fn establish(
    imapd: &Imapd,
    server: &str,
    proto: Proto,
    user: Option<&str>,
) -> Result<Connection, Error> {
    let mut dialog = open(imapd, server, proto).await?;
    match proto {
        Proto::Imap => handshake::imap::log_in(&mut dialog, imapd, user).await,
        Proto::Pop3 => handshake::pop3::log_in(&mut dialog, imapd, user).await,
        Proto::Lmtp => handshake::lmtp::log_in(&mut dialog, imapd, user).await,
    }?;
    Ok(dialog.finish())
}

async fn greeted(imapd: &Imapd, server: &str, proto: Proto) -> Result<String, Error> {
    open(imapd, server, proto).await?.line("greeting").await
}

/// Connects, with TLS from the first byte where the server string says so.
async fn open(imapd: &Imapd, server: &str, proto: Proto) -> Result<Dialog, Error> {
    let bound = imapd.client_timeout;
    let target = Target::parse(server);
    let stream = dial(imapd, server, &target, proto, bound).await?;
    let mut dialog = Dialog::new(stream, server, bound);
    if target.tls {
        dialog.start_tls(&sasl::client_tls(imapd, server)?).await?;
    }
    Ok(dialog)
}

async fn dial(
    imapd: &Imapd,
    server: &str,
    target: &Target<'_>,
    proto: Proto,
    bound: Duration,
) -> Result<Stream, Error> {
    let (name, port) = match target.place {
        Place::Path(path) => {
            let socket = within(bound, server, "connect", UnixStream::connect(path)).await?;
            return Stream::unix(socket).map_err(|source| failed(server, "connect", source));
        }
        Place::Host { name, port } => (name, port),
    };
    let addresses = within(bound, server, "resolve", addresses(imapd, name, port, proto)).await?;
    let mut last = failed(server, "resolve", io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in addresses {
        match within(bound, server, "connect", connect_tcp(imapd, address)).await {
            Ok(socket) => {
                keep_alive(&socket);
                return Stream::tcp(socket).map_err(|source| failed(server, "connect", source));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// All addresses of a server, asked anew each time. `<shorthost>_address` and `_ports` go before the names.
async fn addresses(
    imapd: &Imapd,
    name: &str,
    port: Option<&str>,
    proto: Proto,
) -> io::Result<Vec<std::net::SocketAddr>> {
    let known = |service: &str| SERVICES.iter().find(|(name, _)| *name == service).map(|(_, port)| *port);
    let port = match port {
        Some(port) => port.parse().ok().or_else(|| known(port)),
        None => imapd.host_port(name, proto.service()).or_else(|| known(proto.service())),
    };
    let port = port.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such service"))?;
    Ok(tokio::net::lookup_host((imapd.host_address(name), port)).await?.collect())
}

/// Ports by name, for what may be embedded in a server string or follows from the protocol.
const SERVICES: [(&str, u16); 5] =
    [("imap", 143), ("imaps", 993), ("pop3", 110), ("pop3s", 995), ("lmtp", 24)];

async fn connect_tcp(imapd: &Imapd, address: std::net::SocketAddr) -> io::Result<TcpStream> {
    if !imapd.client_bind {
        return TcpStream::connect(address).await;
    }
    let own = imapd.client_bind_name.as_deref().unwrap_or(&imapd.servername);
    let source =
        tokio::net::lookup_host((own, 0)).await?.find(|source| source.is_ipv4() == address.is_ipv4());
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind(source)?;
    }
    socket.connect(address).await
}

/// A host that vanished is noticed by the kernel, also where nothing is being sent.
fn keep_alive(socket: &TcpStream) {
    let settings =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(KEEPALIVE_INTERVAL);
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_keepalive(&settings) {
        debug!("keepalive: {error}");
    }
}

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

async fn within<T>(
    bound: Duration,
    server: &str,
    doing: &'static str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    match timeout(bound, work).await {
        Ok(result) => result.map_err(|source| failed(server, doing, source)),
        Err(_) => Err(Error::Timeout { server: server.to_owned(), doing, bound }),
    }
}

fn failed(server: &str, doing: &'static str, source: io::Error) -> Error {
    Error::Io { server: server.to_owned(), doing, source }
}
