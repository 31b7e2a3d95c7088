//! TLS by rustls: what we present and demand as a server ([`ServerTls`]), what we present and check as a client
//! ([`ClientTls`]), and what a finished handshake told us ([`TlsInfo`]).
//!
//! Both are made from imapd.conf and can be made anew while connections live on: a connection keeps the
//! configuration it began with, and a file that cannot be read leaves the old one in place.

mod client;
mod info;
mod inspect;
mod names;
mod pem;
mod server;

pub use client::{ClientOptions, ClientTls};
pub use info::TlsInfo;
pub use inspect::{Inspected, expires, inspect};
pub use server::{ClientCertificates, ServerOptions, ServerTls};

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::{self, SupportedProtocolVersion};

/// Why TLS cannot be set up; always names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {why}", file.display())]
    File { file: PathBuf, why: String },
    #[error("{} certificates for {} private keys", .certificates, .keys)]
    Unpaired { certificates: usize, keys: usize },
    #[error("{}: certificate and key do not fit: {why}", file.display())]
    Mismatch { file: PathBuf, why: rustls::Error },
    #[error("tls: {0}")]
    Rejected(String),
}

/// The protocol versions of `tls_versions`. rustls has no version older than 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Versions {
    pub tls12: bool,
    pub tls13: bool,
}

impl Default for Versions {
    fn default() -> Self {
        Versions { tls12: true, tls13: true }
    }
}

impl Versions {
    fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
        if self.tls13 {
            versions.push(&rustls::version::TLS13);
        }
        if self.tls12 || versions.is_empty() {
            versions.push(&rustls::version::TLS12);
        }
        versions
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
