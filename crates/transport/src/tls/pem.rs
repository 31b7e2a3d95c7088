//! Certificates, keys and trust anchors from PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::TlsError;

/// A certificate chain and its private key, checked to fit.
pub(super) fn certified_key(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(cert)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|why| file_error(key, why))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|why| TlsError::Mismatch { file: cert.to_owned(), why })
}

/// All certificates of a file; none at all is an error.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(file)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|why| file_error(file, why))?;
    if chain.is_empty() {
        return Err(file_error(file, "holds no certificate"));
    }
    Ok(chain)
}

/// Trust anchors from a file, a directory of PEM files (OpenSSL's hashed links are such), or both.
pub(super) fn roots(file: Option<&Path>, dir: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        add_all(&mut roots, file)?;
    }
    if let Some(dir) = dir {
        for file in files_of(dir)? {
            // A directory may hold other things (revocation lists, notes): only what parses counts.
            let _ = add_all(&mut roots, &file);
        }
    }
    if roots.is_empty() {
        let place = file.or(dir).map(Path::to_owned).unwrap_or_default();
        return Err(file_error(&place, "holds no usable CA certificate"));
    }
    Ok(roots)
}

pub(super) fn revocation_lists(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    CertificateRevocationListDer::pem_file_iter(file)
        .and_then(|lists| lists.collect::<Result<Vec<_>, _>>())
        .map_err(|why| file_error(file, why))
}

fn add_all(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|why| file_error(file, why))?;
    }
    Ok(())
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>, TlsError> {
    let entries = fs::read_dir(dir).map_err(|why| file_error(dir, why))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn file_error(file: &Path, why: impl ToString) -> TlsError {
    TlsError::File { file: file.to_owned(), why: why.to_string() }
}
