//! Which way mails go.

use std::fmt;

use config::imapd::Imapd;

/// What imapd.conf says of it.
#[derive(Debug, Clone)]
pub enum Route {
    /// `smtp_backend: sendmail`: the program of the option `sendmail`, run as `sendmail -bs` for each mail.
    Program {
        path: String,
        /// `sendmail_auth_id`: the variable of its environment that says on whose behalf.
        variable: String,
    },
    /// `smtp_backend: host`: the server of the option `smtp_host`.
    Host(String),
}

impl Route {
    pub fn of(imapd: &Imapd) -> Route {
        match imapd.smtp_backend.as_str() {
            "host" => Route::Host(imapd.smtp_host.clone()),
            _ => Route::Program { path: imapd.sendmail.clone(), variable: imapd.sendmail_auth_id.clone() },
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Route::Program { path, .. } => f.write_str(path),
            Route::Host(server) => f.write_str(server),
        }
    }
}
