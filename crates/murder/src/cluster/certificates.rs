//! A certificate authority for one cluster, and a certificate for all its nodes.

use std::path::{Path, PathBuf};

use super::{ClusterError, Node};
use crate::certificate::Authority;

/// Writes `tls/ca.pem`, `tls/cert.pem` and `tls/key.pem`, unless they are there. Gives the path of the first.
pub(super) fn make(dir: &Path, nodes: &[Node]) -> Result<PathBuf, ClusterError> {
    let tls = dir.join("tls");
    let ca_path = tls.join("ca.pem");
    if ca_path.is_file() && tls.join("cert.pem").is_file() && tls.join("key.pem").is_file() {
        return Ok(ca_path);
    }
    files::directory(&tls, 0o755, None).map_err(ClusterError::at(&tls))?;
    let authority = Authority::new("murder demo CA")?;
    let mut names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    names.extend(nodes.iter().map(|node| node.ports.address.to_string()));
    names.sort();
    names.dedup();
    // mbsync looks for the address that it was given here, and only here.
    let address = nodes.first().map_or("127.0.0.1".to_owned(), |node| node.ports.address.to_string());
    let made = authority.issue(&address, names, DAYS)?;
    write(&tls.join("key.pem"), &made.key, 0o600)?;
    write(&tls.join("cert.pem"), &made.certificate, 0o644)?;
    write(&ca_path, &authority.certificate, 0o644)?;
    Ok(ca_path)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), ClusterError> {
    files::replace(path, mode, text.as_bytes()).map_err(ClusterError::at(path))
}

/// A demonstration that is kept goes on for years.
const DAYS: i64 = 3650;
