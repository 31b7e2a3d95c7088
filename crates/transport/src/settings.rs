//! From imapd.conf to what TLS and connections need.

use std::path::PathBuf;
use std::time::Duration;

use config::imapd::{ClientCerts, Imapd};

use crate::limits::CLIENT_TIMEOUT;
use crate::tls::{ClientCertificates, ClientOptions, ServerOptions, Versions};

/// The tls_* options of a server; `None` without a certificate.
pub fn server_tls(imapd: &Imapd) -> Option<ServerOptions> {
    if !imapd.has_certificate() {
        return None;
    }
    let client_certificates = match imapd.tls_client_certs {
        ClientCerts::Off => ClientCertificates::Off,
        ClientCerts::Optional => ClientCertificates::Optional,
        ClientCerts::Require => ClientCertificates::Require,
    };
    Some(ServerOptions {
        certificates: paths(imapd.tls_server_cert.as_deref()),
        keys: paths(imapd.tls_server_key.as_deref()),
        client_certificates,
        client_ca_file: path(imapd.tls_client_ca_file.as_deref()),
        client_ca_dir: path(imapd.tls_client_ca_dir.as_deref()),
        crl_file: path(imapd.tls_crl_file.as_deref()),
        versions: versions(imapd),
        no_resumption: imapd.tls_session_timeout.is_zero(),
        own_cipher_order: imapd.tls_prefer_server_ciphers,
    })
}

/// The tls_* options of a client, towards `server`.
pub fn client_tls(imapd: &Imapd, server: &str) -> ClientOptions {
    let certificate = imapd.of_host(server, "client_cert").or(imapd.tls_client_cert.as_deref());
    let key = imapd.of_host(server, "client_key").or(imapd.tls_client_key.as_deref()).or(certificate);
    ClientOptions {
        certificate: path(certificate).zip(path(key)),
        server_ca_file: path(imapd.tls_server_ca_file.as_deref()),
        server_ca_dir: path(imapd.tls_server_ca_dir.as_deref()),
        versions: versions(imapd),
    }
}

/// `client_timeout`, and never nothing.
pub fn client_timeout(imapd: &Imapd) -> Duration {
    imapd.client_timeout.max(CLIENT_TIMEOUT)
}

fn versions(imapd: &Imapd) -> Versions {
    let named = |version: &str| imapd.tls_versions.iter().any(|word| word == version);
    Versions { tls12: named("tls1_2"), tls13: named("tls1_3") }
}

fn path(text: Option<&str>) -> Option<PathBuf> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn paths(list: Option<&str>) -> Vec<PathBuf> {
    list.unwrap_or_default().split(',').filter_map(|one| path(Some(one))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(text: &str) -> Imapd {
        Imapd::parse(Path::new("imapd.conf"), &format!("configdirectory: /v\n{text}"), "imap").unwrap()
    }

    #[test]
    fn tls_options_reach_a_server_and_a_client() {
        assert!(server_tls(&parse("tls_server_cert: /c")).is_none());
        assert!(server_tls(&parse("tls_server_cert: disabled\ntls_server_key: /k")).is_none());
        let imapd = parse(
            "tls_server_cert: /c1, /c2\ntls_server_key: /k1,/k2\ntls_client_certs: require\ntls_client_ca_file: /ca\n\
             tls_client_ca_dir: /cas\ntls_crl_file: /crl\ntls_versions: tls1_3\ntls_session_timeout: 0\n\
             tls_prefer_server_ciphers: yes\ntls_client_cert: /own\ntls_client_key: /ownkey\nbe1_client_cert: /be1\n\
             tls_server_ca_file: /sca\ntls_server_ca_dir: /scas\nallowstarttls: no",
        );
        let server = server_tls(&imapd).unwrap();
        assert_eq!(server.certificates, [PathBuf::from("/c1"), PathBuf::from("/c2")]);
        assert_eq!(server.keys, [PathBuf::from("/k1"), PathBuf::from("/k2")]);
        assert_eq!(server.client_certificates, ClientCertificates::Require);
        assert_eq!((server.client_ca_file, server.client_ca_dir), (Some("/ca".into()), Some("/cas".into())));
        assert_eq!(server.crl_file, Some("/crl".into()));
        assert!(server.no_resumption && server.own_cipher_order);
        assert!(server.versions.tls13 && !server.versions.tls12);
        assert!(
            !imapd.offers_starttls() && parse("tls_server_cert: /c\ntls_server_key: /k").offers_starttls()
        );
        let other = client_tls(&imapd, "be2.example.org");
        assert_eq!(other.certificate, Some(("/own".into(), "/ownkey".into())));
        assert_eq!((other.server_ca_file, other.server_ca_dir), (Some("/sca".into()), Some("/scas".into())));
        let be1 = client_tls(&imapd, "be1.example.org").certificate;
        assert_eq!(be1, Some(("/be1".into(), "/ownkey".into())));
    }
}
