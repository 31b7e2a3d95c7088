//! A blocking connection to a server, in the clear or under TLS, read by lines and by counts. Every wait is bounded.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: Transport,
    held: Vec<u8>,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// While a connection goes over to TLS.
    None,
}

/// Which servers are believed: those whose certificate one authority signed.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    pub fn in_authority(pem: &Path) -> io::Result<Trust> {
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_file_iter(pem).map_err(io::Error::other)? {
            roots.add(cert.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        Ok(Trust(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())))
    }
}

impl Wire {
    pub fn connect(address: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream: Transport::Plain(stream), held: Vec::new() })
    }

    /// Goes over to TLS, verifying the server's certificate and its name.
    pub fn start_tls(&mut self, trust: &Trust, name: &str) -> io::Result<()> {
        let Transport::Plain(stream) = std::mem::replace(&mut self.stream, Transport::None) else {
            return Err(io::Error::other("TLS twice"));
        };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(trust.0.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        stream.conn.complete_io(&mut stream.sock)?;
        self.stream = Transport::Tls(Box::new(stream));
        self.held.clear();
        Ok(())
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Transport::Plain(stream) => stream.write_all(bytes),
            Transport::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Transport::None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// One line without its line end.
    pub fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.held.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            self.fill()?;
        }
    }

    /// Just so many bytes.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < count {
            self.fill()?;
        }
        Ok(self.held.drain(..count).collect())
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.held.len() > LIMIT {
            return Err(io::Error::other("the server sends without end"));
        }
        let mut run = [0; 16 * 1024];
        let count = match &mut self.stream {
            Transport::Plain(stream) => stream.read(&mut run)?,
            Transport::Tls(stream) => stream.read(&mut run)?,
            Transport::None => return Err(io::ErrorKind::NotConnected.into()),
        };
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.held.extend_from_slice(run.get(..count).unwrap_or_default());
        Ok(())
    }
}

/// Longer than any wait that a healthy cluster imposes, a client's time-out towards a dead backend included.
const PATIENCE: Duration = Duration::from_secs(30);
const LIMIT: usize = 64 * 1024 * 1024;
