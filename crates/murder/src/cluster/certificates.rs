//! A certificate authority for one cluster, and a certificate for all its nodes.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::{ClusterError, Node};

/// Writes `tls/ca.pem`, `tls/cert.pem` and `tls/key.pem`, unless they are there. Gives the path of the first.
pub(super) fn make(dir: &Path, nodes: &[Node]) -> Result<PathBuf, ClusterError> {
    let tls = dir.join("tls");
    let ca_path = tls.join("ca.pem");
    if ca_path.is_file() && tls.join("cert.pem").is_file() && tls.join("key.pem").is_file() {
        return Ok(ca_path);
    }
    files::directory(&tls, 0o755, None).map_err(ClusterError::at(&tls))?;
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "murder demo CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_cert = ca.self_signed(&ca_key)?;
    let mut names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    names.extend(nodes.iter().map(|node| node.ports.address.to_string()));
    names.sort();
    names.dedup();
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    // mbsync looks for the address that it was given here, and only here.
    let address = nodes.first().map_or("127.0.0.1".to_owned(), |node| node.ports.address.to_string());
    params.distinguished_name.push(DnType::CommonName, address);
    let cert = params.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;
    write(&tls.join("key.pem"), &key.serialize_pem(), 0o600)?;
    write(&tls.join("cert.pem"), &cert.pem(), 0o644)?;
    write(&ca_path, &ca_cert.pem(), 0o644)?;
    Ok(ca_path)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), ClusterError> {
    files::replace(path, mode, text.as_bytes()).map_err(ClusterError::at(path))
}
