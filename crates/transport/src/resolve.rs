//! From a server's name to a connection: addresses, ports, source address.
//!
//! A server string is `host`, `host:port` (a number or a service's name), either with `/tls` or `/noauth`, or the path
//! of a UNIX socket. `<shorthost>_address` and `<shorthost>_ports` of imapd.conf go before names and services;
//! names of services are those that /etc/services had when imapd.conf was read. Addresses are looked up anew each time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::imapd::Imapd;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;

use crate::settings;
use crate::stream::Stream;

/// A server string taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub place: Place,
    /// TLS: from the first byte for backends, by STARTTLS and before anything else for the MUPDATE master.
    pub tls: bool,
    pub noauth: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Path(String),
    Host { name: String, port: Option<String> },
}

impl Server {
    pub fn parse(text: &str) -> Server {
        if text.starts_with('/') {
            return Server { place: Place::Path(text.to_owned()), tls: false, noauth: true };
        }
        let mut words = text.split('/');
        let (name, port) = split_port(words.next().unwrap_or_default());
        let place = Place::Host { name: name.to_owned(), port: port.map(str::to_owned) };
        let flags: Vec<String> = words.map(str::to_ascii_lowercase).collect();
        let has = |flag: &str| flags.iter().any(|one| one == flag);
        Server { place, tls: has("tls"), noauth: has("noauth") }
    }

    /// Whether a server string is a host's name or address and nothing more: no port, path, flag or blank.
    pub fn is_plain(text: &str) -> bool {
        let server = Server::parse(text);
        let whole = Place::Host { name: text.to_owned(), port: None };
        server.place == whole
            && !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    }

    /// The name that its certificate must bear.
    pub fn host(&self) -> &str {
        match &self.place {
            Place::Path(_) => "localhost",
            Place::Host { name, .. } => name,
        }
    }

    /// All addresses of this server for a service (`imap`, `mupdate` …).
    pub async fn addresses(&self, imapd: &Imapd, service: &str) -> io::Result<Vec<SocketAddr>> {
        let Place::Host { name, port } = &self.place else { return Ok(Vec::new()) };
        let port = match port {
            Some(port) => imapd.ports().find(port, "tcp"),
            None => imapd.host_port(name, service).or_else(|| imapd.ports().find(service, "tcp")),
        };
        let unknown =
            || io::Error::new(io::ErrorKind::InvalidInput, format!("no port is known for {service}"));
        let port = port.filter(|port| *port > 0).ok_or_else(unknown)?;
        Ok(tokio::net::lookup_host((imapd.host_address(name), port)).await?.collect())
    }

    /// Connects, trying each address for `client_timeout` at most. TLS is the caller's.
    pub async fn connect(&self, imapd: &Imapd, service: &str) -> io::Result<Stream> {
        let patience = settings::client_timeout(imapd);
        if let Place::Path(path) = &self.place {
            return Stream::unix(within(patience, UnixStream::connect(path)).await?);
        }
        let addresses = within(patience, self.addresses(imapd, service)).await?;
        Stream::tcp(connect_any(imapd, addresses).await?)
    }
}

/// The domain of an address, by its name (`192.0.2.1`, which is `imap.example.org`: `example.org`); none where it has no name, or one without
/// a domain. Blocks, for as long as the system's resolver takes.
pub fn domain_of(address: IpAddr) -> Option<String> {
    let name = dns_lookup::lookup_addr(&address.to_canonical()).ok()?;
    domain_in(&name)
}

fn domain_in(name: &str) -> Option<String> {
    // The resolver gives the address itself where there is no name.
    let domain = name.trim_end_matches('.').split_once('.').filter(|_| name.parse::<IpAddr>().is_err())?.1;
    (!domain.is_empty()).then(|| domain.to_ascii_lowercase())
}

/// The addresses of a host, in the order in which they are to be tried; never none.
pub async fn addresses(imapd: &Imapd, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = within(settings::client_timeout(imapd), tokio::net::lookup_host((host, port))).await?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() { Err(no_address()) } else { Ok(addresses) }
}

/// Connects to one address, within `client_timeout`.
pub async fn connect(imapd: &Imapd, address: SocketAddr) -> io::Result<Stream> {
    Stream::tcp(connect_any(imapd, [address]).await?)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

async fn connect_any(
    imapd: &Imapd,
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> io::Result<TcpStream> {
    let mut last = no_address();
    for address in addresses {
        match within(settings::client_timeout(imapd), connect_tcp(imapd, address)).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// `[::1]:143` → (`::1`, `143`), `be1:143` → (`be1`, `143`), `fe80::1` → itself.
fn split_port(host: &str) -> (&str, Option<&str>) {
    if let Some((inside, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inside, rest.strip_prefix(':').filter(|port| !port.is_empty()));
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port).filter(|port| !port.is_empty())),
        _ => (host, None),
    }
}

/// With `client_bind`, from `client_bind_name`.
async fn connect_tcp(imapd: &Imapd, address: SocketAddr) -> io::Result<TcpStream> {
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

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_domain_of_a_name_is_what_follows_its_first_dot() {
        for (name, domain) in [
            ("imap.Example.ORG", Some("example.org")),
            ("mail.example.org.", Some("example.org")),
            ("localhost", None),
            ("localhost.", None),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(domain_in(name).as_deref(), domain, "{name}");
        }
    }

    #[tokio::test]
    async fn connections_come_from_where_client_bind_says() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for (lines, from) in [
            ("client_bind: yes\nclient_bind_name: 127.0.0.9\n", "127.0.0.9"),
            ("client_bind: yes\nservername: 127.0.0.8\n", "127.0.0.8"),
            ("client_bind: no\nclient_bind_name: 127.0.0.9\n", "127.0.0.1"),
        ] {
            let text = format!("configdirectory: /v\n{lines}");
            let imapd = Imapd::parse(Path::new("imapd.conf"), &text, "x").unwrap();
            let server = Server::parse(&format!("127.0.0.1:{port}"));
            let address = listener.local_addr().unwrap();
            for connecting in [server.connect(&imapd, "imap").await, connect(&imapd, address).await] {
                // What did not connect is never accepted.
                connecting.unwrap();
                let (_, peer) = listener.accept().await.unwrap();
                assert_eq!(peer.ip().to_string(), from);
            }
        }
    }

    #[test]
    fn server_strings_carry_ports_and_flags() {
        let host = |text: &str| match Server::parse(text) {
            Server { place: Place::Host { name, port }, tls, noauth } => (name, port, tls, noauth),
            other => panic!("{other:?}"),
        };
        assert_eq!(host("be1.x"), ("be1.x".into(), None, false, false));
        assert_eq!(host("be1.x:1143/tls"), ("be1.x".into(), Some("1143".into()), true, false));
        assert_eq!(host("[::1]:143/noauth"), ("::1".into(), Some("143".into()), false, true));
        assert_eq!(host("fe80::1").0, "fe80::1");
        assert_eq!(Server::parse("/run/lmtp").place, Place::Path("/run/lmtp".into()));
    }

    #[test]
    fn a_plain_name_has_no_port_path_flag_or_blank() {
        for name in ["be1", "be1.example.org", "192.0.2.1", "fe80::1", "be_1"] {
            assert!(Server::is_plain(name), "{name}");
        }
        for name in [
            "",
            "be1:143",
            "be1:",
            "[::1]:143",
            "/run/lmtp",
            "be1/noauth",
            "be1/",
            "be 1",
            "be1\u{a0}",
            "be1\n",
        ] {
            assert!(!Server::is_plain(name), "{name:?}");
        }
    }
}
