//! From imapd.conf to what the parts of this crate take.

use std::path::PathBuf;
use std::time::Duration;

use config::imapd::{ClientCerts, Imapd, VirtDomains};

use crate::auth;
use crate::listen::Protocol;
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

/// The options that decide logins on a listener of `protocol`.
pub fn auth(imapd: &Imapd, protocol: Protocol) -> auth::Settings {
    let methods = |name: &str| imapd.sasl_pwcheck_method.iter().any(|method| method == name);
    auth::Settings {
        allowplaintext: imapd.allowplaintext,
        tls_required: imapd.tls_required,
        minimum_layer: imapd.sasl_minimum_layer,
        mech_list: imapd.sasl_mech_list.clone(),
        auxprop: methods("auxprop"),
        saslauthd: methods("saslauthd").then(|| saslauthd_socket(&imapd.sasl_saslauthd_path)),
        auto_transition: imapd.sasl_auto_transition,
        alwaystrue: methods("alwaystrue"),
        service: protocol.sasl_service(),
        entry: imapd.identity().to_owned(),
        admins: imapd.admins.clone(),
        proxyservers: imapd.proxyservers.clone(),
        loginuseacl: imapd.loginuseacl,
        anonymous: imapd.allowanonymouslogin && protocol == Protocol::Imap,
        username_tolower: imapd.username_tolower,
        virtdomains: imapd.virtdomains != VirtDomains::Off,
        defaultdomain: imapd.defaultdomain.clone(),
        loginrealms: imapd.loginrealms.clone(),
        plus_detail: match protocol {
            Protocol::Imap => imapd.imapmagicplus,
            Protocol::Pop3 => imapd.popsubfolders,
            _ => false,
        },
        unix_groups: imapd.unix_group_enable,
        failed_pause: imapd.failedloginpause,
        plaintext_pause: imapd.plaintextloginpause,
    }
}

/// `client_timeout`, and never nothing.
pub fn client_timeout(imapd: &Imapd) -> Duration {
    imapd.client_timeout.max(Duration::from_secs(1))
}

/// Sites write the directory or the socket in it.
fn saslauthd_socket(written: &str) -> PathBuf {
    let path = PathBuf::from(written);
    if path.is_dir() { path.join("mux") } else { path }
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
