//! TLS settings towards servers, read once: files are not read, and authorities not parsed, for each connection, and a
//! server that is met again resumes the session.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use config::imapd::Imapd;
use transport::tls::{ClientOptions, ClientTls};

use crate::Error;

/// What was read since the configuration was.
#[derive(Default)]
pub(crate) struct Tls {
    /// As many as there are different certificates towards servers in the configuration.
    known: Mutex<HashMap<ClientOptions, ClientTls>>,
}

impl Tls {
    /// The settings towards one server: its own client certificate, the authorities that vouch for servers.
    pub async fn towards(&self, imapd: &Imapd, server: &str) -> Result<ClientTls, Error> {
        let options = transport::settings::client_tls(imapd, server);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&options).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let wanted = options.clone();
        let failed = |text: String| Error::Tls { server: server.to_owned(), text };
        let read = tokio::task::spawn_blocking(move || ClientTls::new(&wanted)).await;
        let tls =
            read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(options, tls.clone());
        Ok(tls)
    }

    /// The configuration was read anew, and so are the files.
    pub fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn authorities_are_read_once_and_again_with_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        let made = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let text = format!("configdirectory: /nowhere\ntls_server_ca_file: {}\n", ca.display());
        let imapd = Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "test").unwrap();
        let tls = Tls::default();
        assert!(tls.towards(&imapd, "be1.test").await.unwrap().verifies());
        std::fs::remove_file(&ca).unwrap();
        assert!(tls.towards(&imapd, "be2.test").await.is_ok(), "the same settings, read already");
        tls.forget();
        assert!(matches!(tls.towards(&imapd, "be1.test").await, Err(Error::Tls { .. })));
    }
}
