//! What others will think of our own certificate: for `murder doctor`, which asks before they do.

use std::path::Path;
use std::time::Duration;

use rustls_pki_types::UnixTime;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::server::ParsedCertificate;

use super::{ClientTls, TlsError, names, pem, provider};

/// A server's certificate, as a client sees it.
#[derive(Debug)]
pub struct Inspected {
    /// Seconds since 1970.
    pub valid: Option<(u64, u64)>,
    /// The names that it has.
    pub names: Vec<String>,
    /// Whether the server's name is among them; the text says why not.
    pub covers: Result<(), String>,
    /// Whether a client that trusts these authorities takes it; `None` without authorities.
    pub trusted: Option<Result<(), String>>,
}

/// When the certificate in a file ends, in seconds since 1970; `None` where there is none that can be read.
pub fn expires(file: &Path) -> Option<u64> {
    names::validity(pem::certificates(file).ok()?.first()?).map(|(_, end)| end)
}

/// Looks at the certificate of `host` at a moment (seconds since 1970), as clients with these authorities do.
pub fn inspect(
    file: &Path,
    host: &str,
    ca_file: Option<&Path>,
    ca_dir: Option<&Path>,
    now: u64,
) -> Result<Inspected, TlsError> {
    let chain = pem::certificates(file)?;
    let Some((own, intermediates)) = chain.split_first() else {
        return Err(TlsError::File { file: file.to_owned(), why: "holds no certificate".to_owned() });
    };
    let rejected = |why: String| TlsError::File { file: file.to_owned(), why };
    let parsed = ParsedCertificate::try_from(own).map_err(|why| rejected(why.to_string()))?;
    let name = ClientTls::server_name(host).map_err(|why| rejected(why.to_string()))?;
    let trusted = match (ca_file, ca_dir) {
        (None, None) => None,
        _ => {
            let roots = pem::roots(ca_file, ca_dir)?;
            let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build();
            let verifier = verifier.map_err(|why| TlsError::Rejected(why.to_string()))?;
            let at = UnixTime::since_unix_epoch(Duration::from_secs(now));
            let verdict = verifier.verify_server_cert(own, intermediates, &name, &[], at);
            Some(verdict.map(drop).map_err(|why| why.to_string()))
        }
    };
    Ok(Inspected {
        valid: names::validity(own),
        names: names::alternative_names(own),
        covers: verify_server_name(&parsed, &name).map_err(|why| why.to_string()),
        trusted,
    })
}
