//! What imapd.conf says of etcd.

use std::net::IpAddr;

use config::imapd::Imapd;
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

use crate::limits::{ALIVE, CONNECT};

/// The way to etcd.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http://` or `https://`, host and port. Without TLS only on this host.
    pub endpoints: Vec<String>,
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    /// Name and password.
    pub user: Option<(String, String)>,
    /// What all keys begin with.
    pub prefix: String,
    /// Names of one transaction.
    pub names: usize,
    /// Which master this is: no two have the same name.
    pub servername: String,
}

/// What is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {why}")]
pub struct BadSettings {
    pub option: &'static str,
    pub why: String,
}

impl Settings {
    /// None where the list is not in etcd.
    pub fn of(imapd: &Imapd) -> Result<Option<Settings>, BadSettings> {
        if imapd.etcd_endpoints.is_empty() {
            return Ok(None);
        }
        let bad = |option, why: &str| Err(BadSettings { option, why: why.to_owned() });
        let user = match (&imapd.etcd_username, &imapd.etcd_password) {
            (Some(name), Some(password)) => Some((name.clone(), password.clone())),
            (None, None) => None,
            (Some(_), None) => return bad("etcd_password", "etcd_username is set, and this is not"),
            (None, Some(_)) => return bad("etcd_username", "etcd_password is set, and this is not"),
        };
        match (&imapd.etcd_cert_file, &imapd.etcd_key_file) {
            (Some(_), None) => return bad("etcd_key_file", "etcd_cert_file is set, and this is not"),
            (None, Some(_)) => return bad("etcd_cert_file", "etcd_key_file is set, and this is not"),
            _ => {}
        }
        if imapd.etcd_txn_names == 0 {
            return bad("etcd_txn_names", "a transaction has one name at least");
        }
        let settings = Settings {
            endpoints: imapd.etcd_endpoints.clone(),
            ca_file: imapd.etcd_ca_file.clone(),
            cert_file: imapd.etcd_cert_file.clone(),
            key_file: imapd.etcd_key_file.clone(),
            user,
            prefix: imapd.etcd_prefix.clone(),
            names: imapd.etcd_txn_names as usize,
            servername: imapd.servername.clone(),
        };
        settings.check()?;
        Ok(Some(settings))
    }

    fn check(&self) -> Result<(), BadSettings> {
        let bad = |why: String| Err(BadSettings { option: "etcd_endpoints", why });
        for endpoint in &self.endpoints {
            let Some((scheme, rest)) = endpoint.split_once("://") else {
                return bad(format!("{endpoint}: begins with neither https:// nor http://"));
            };
            match scheme {
                "https" => {}
                "http" if is_this_host(rest) => {}
                "http" => {
                    return bad(format!(
                        "{endpoint}: without TLS etcd is asked on this host alone: use https://"
                    ));
                }
                _ => return bad(format!("{endpoint}: begins with neither https:// nor http://")),
            }
        }
        Ok(())
    }

    /// Reads the certificates.
    pub(crate) fn options(&self) -> Result<ConnectOptions, BadSettings> {
        let read = |option: &'static str, path: &str| {
            std::fs::read(path).map_err(|why| BadSettings { option, why: format!("{path}: {why}") })
        };
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(ALIVE, ALIVE)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if self.endpoints.iter().any(|endpoint| endpoint.starts_with("https://")) {
            let mut tls = TlsOptions::new();
            if let Some(path) = &self.ca_file {
                tls = tls.ca_certificate(Certificate::from_pem(read("etcd_ca_file", path)?));
            }
            if let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) {
                let (cert, key) = (read("etcd_cert_file", cert)?, read("etcd_key_file", key)?);
                tls = tls.identity(Identity::from_pem(cert, key));
            }
            options = options.with_tls(tls);
        }
        if let Some((name, password)) = &self.user {
            options = options.with_user(name, password).with_auto_token_refresh(true);
        }
        Ok(options)
    }
}

/// Whether `host:port` is on this host.
fn is_this_host(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Settings>, BadSettings> {
        let text = format!("configdirectory: /v\nservername: m1\n{text}");
        Settings::of(&Imapd::parse("imapd.conf".as_ref(), &text, "mupdate").unwrap())
    }

    #[test]
    fn without_tls_etcd_is_asked_on_this_host_alone() {
        assert!(of("").unwrap().is_none());
        for good in
            ["http://127.0.0.1:2379 http://[::1]:2379 http://localhost:1", "https://e1:2379 https://e2:2379"]
        {
            assert!(of(&format!("etcd_endpoints: {good}\n")).unwrap().is_some(), "{good}");
        }
        for bad in ["http://e1:2379", "e1:2379", "ftp://127.0.0.1:1", "https://e1:1 http://10.0.0.1:1"] {
            let error = of(&format!("etcd_endpoints: {bad}\n")).unwrap_err();
            assert_eq!(error.option, "etcd_endpoints", "{bad}");
        }
    }

    #[test]
    fn half_a_login_is_refused_by_the_name_of_the_other_half() {
        for (text, option) in [
            ("etcd_username: m", "etcd_password"),
            ("etcd_password: p", "etcd_username"),
            ("etcd_cert_file: /c", "etcd_key_file"),
            ("etcd_key_file: /k", "etcd_cert_file"),
            ("etcd_txn_names: 0", "etcd_txn_names"),
        ] {
            let error = of(&format!("etcd_endpoints: https://e1:2379\n{text}\n")).unwrap_err();
            assert_eq!(error.option, option);
        }
    }
}
