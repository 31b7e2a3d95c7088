//! TLS as a client, towards backends and the MUPDATE master.
//!
//! With `tls_server_ca_file` or `_dir` the server's chain and name are verified. Without them any certificate is
//! taken, as Cyrus does, and the log says so once: a murder that ran before must run on.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::{TlsError, Versions, pem, provider};

/// A client's TLS settings; cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    verifies: bool,
}

/// The tls_* options that concern a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientOptions {
    /// Our certificate and key, if the server wants one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    pub server_ca_file: Option<PathBuf>,
    pub server_ca_dir: Option<PathBuf>,
    pub versions: Versions,
}

impl ClientTls {
    pub fn new(options: &ClientOptions) -> Result<ClientTls, TlsError> {
        let provider = provider();
        let verifies = options.verifies();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&options.versions.supported())
            .map_err(|why| TlsError::Rejected(why.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(options.verifier(&provider)?);
        let config = match &options.certificate {
            Some((cert, key)) => {
                let own = pem::certified_key(cert, key, &provider)?;
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)))
            }
            None => builder.with_no_client_auth(),
        };
        Ok(ClientTls { config: Arc::new(config), verifies })
    }

    /// False when any certificate would do.
    pub fn verifies(&self) -> bool {
        self.verifies
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.config.clone())
    }

    /// The name that the server's certificate must bear: a host name or an address.
    pub(crate) fn server_name(host: &str) -> io::Result<ServerName<'static>> {
        let name = if host.starts_with('/') { "localhost" } else { host };
        ServerName::try_from(name.to_owned()).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))
    }
}

impl ClientOptions {
    /// Whether servers are verified: an authority is configured.
    pub fn verifies(&self) -> bool {
        self.server_ca_file.is_some() || self.server_ca_dir.is_some()
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        if !self.verifies() {
            return Ok(Arc::new(AcceptAny { provider: provider.clone() }));
        }
        let roots = pem::roots(self.server_ca_file.as_deref(), self.server_ca_dir.as_deref())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|why| TlsError::Rejected(why.to_string()))?;
        Ok(verifier)
    }
}

/// Takes any certificate, but still makes the server prove that it holds the key.
#[derive(Debug)]
struct AcceptAny {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("verifies", &self.verifies).finish_non_exhaustive()
    }
}
