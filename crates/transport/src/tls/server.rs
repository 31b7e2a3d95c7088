//! TLS as a server: certificates, client certificates, reload.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::warn;

use super::{TlsError, Versions, pem, provider};

/// A server's TLS settings in force; clones share them, and [`ServerTls::reload`] changes all of them at once.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ArcSwap<ServerConfig>>,
}

impl ServerTls {
    pub fn new(options: &ServerOptions) -> Result<ServerTls, TlsError> {
        Ok(ServerTls { config: Arc::new(ArcSwap::new(options.build()?)) })
    }

    /// Reads all files again. Handshakes from now on use them; on an error everything stays as it was.
    pub fn reload(&self, options: &ServerOptions) -> Result<(), TlsError> {
        self.config.store(options.build()?);
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

/// The tls_* options that concern a server.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// `tls_server_cert` and `tls_server_key`, pairwise: one per key type, say RSA and ECDSA.
    pub certificates: Vec<PathBuf>,
    pub keys: Vec<PathBuf>,
    pub client_certificates: ClientCertificates,
    pub client_ca_file: Option<PathBuf>,
    pub client_ca_dir: Option<PathBuf>,
    pub crl_file: Option<PathBuf>,
    pub versions: Versions,
    /// `tls_session_timeout: 0`: no session is resumed.
    pub no_resumption: bool,
    /// `tls_prefer_server_ciphers`
    pub own_cipher_order: bool,
}

/// `tls_client_certs`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    Off,
    #[default]
    Optional,
    Require,
}

impl ServerOptions {
    fn build(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = provider();
        let certificates = Certificates { keys: self.load_keys(&provider)? };
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions.supported())
            .map_err(|why| TlsError::Rejected(why.to_string()))?
            .with_client_cert_verifier(self.verifier(provider)?)
            .with_cert_resolver(Arc::new(certificates));
        config.ignore_client_order = self.own_cipher_order;
        if self.no_resumption {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }

    fn load_keys(&self, provider: &CryptoProvider) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
        // One file may hold chain and key both.
        let keys = if self.keys.is_empty() { &self.certificates } else { &self.keys };
        if keys.len() != self.certificates.len() {
            return Err(TlsError::Unpaired { certificates: self.certificates.len(), keys: keys.len() });
        }
        let pairs = self.certificates.iter().zip(keys);
        pairs.map(|(cert, key)| pem::certified_key(cert, key, provider).map(Arc::new)).collect()
    }

    /// Without CAs nothing could be verified, so no certificate is asked for, unless one is required.
    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let no_ca = self.client_ca_file.is_none() && self.client_ca_dir.is_none();
        match self.client_certificates {
            ClientCertificates::Off => return Ok(Arc::new(NoClientAuth)),
            ClientCertificates::Optional if no_ca => return Ok(Arc::new(NoClientAuth)),
            ClientCertificates::Require if no_ca => {
                return Err(TlsError::Rejected(
                    "tls_client_certs: require needs tls_client_ca_file or _dir".into(),
                ));
            }
            ClientCertificates::Optional | ClientCertificates::Require => {}
        }
        let roots = match pem::roots(self.client_ca_file.as_deref(), self.client_ca_dir.as_deref()) {
            Ok(roots) => roots,
            // As in Cyrus: what nobody has to show need not be checkable.
            Err(why) if self.client_certificates == ClientCertificates::Optional => {
                warn!("clients' certificates are not asked for: {why}");
                return Ok(Arc::new(NoClientAuth));
            }
            Err(why) => return Err(why),
        };
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let Some(file) = &self.crl_file {
            builder = builder.with_crls(pem::revocation_lists(file)?).allow_unknown_revocation_status();
        }
        if self.client_certificates == ClientCertificates::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|why| TlsError::Rejected(why.to_string()))?;
        Ok(verifier)
    }
}

/// The configured certificates; the first whose key the client can check is presented.
struct Certificates {
    keys: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        self.keys.iter().find(fits).or_else(|| self.keys.first()).cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.keys.len())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}
