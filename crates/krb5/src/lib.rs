//! Kerberos 5 by MIT's libraries, which are looked for at run time: a program that never meets them works without, and nothing of
//! Kerberos is needed to build it.
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Library`] | the two libraries, and what they say of this host: keytabs, realm |
//! | [`Acceptor`], [`Accepting`] | the server's side of GSSAPI (RFC 2743, RFC 4121), with any key of a keytab |
//! | [`Initiating`] | the client's side, with a client keytab or a cache of tickets |
//! | [`Greeted`] | a ticket that was shown without GSSAPI (RFC 4120 section 3.2), as KPOP does it |
//!
//! All calls block: they read files, and a client's ask the KDC. There is no bound on that in the libraries; whoever calls them does it on
//! a thread of its own and waits no longer than it wants to. Wrapping is for integrity only: this crate encrypts nothing.
//!
//! The calls themselves are in `native`, the only module of this crate with unsafe code.

mod native;

use std::sync::OnceLock;

pub use native::gss::{Accepting, Acceptor, Initiating, Stepped};
pub use native::kerberos::{Greeted, Key};

/// Both libraries, loaded. They stay loaded as long as the process lives.
pub struct Library {
    gss: native::gss::Functions,
    kerberos: native::kerberos::Functions,
}

/// Why something of Kerberos did not work, in the words of its library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// The libraries are not there, or are others than those that this crate knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Kerberos library: {0}")]
pub struct Absent(String);

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library")
    }
}

impl Library {
    /// The host's libraries. The first call loads them.
    ///
    /// # Errors
    /// They are not installed (Debian: libgssapi-krb5-2). Asked again later the answer is the same.
    pub fn get() -> Result<&'static Library, Absent> {
        static LOADED: OnceLock<Result<Library, Absent>> = OnceLock::new();
        LOADED.get_or_init(|| Library::open(GSSAPI, KERBEROS)).as_ref().map_err(Absent::clone)
    }

    fn open(gssapi: &str, kerberos: &str) -> Result<Library, Absent> {
        let loaded = native::gss::Functions::load(gssapi)
            .and_then(|gss| Ok(Library { gss, kerberos: native::kerberos::Functions::load(kerberos)? }));
        loaded.map_err(|error| Absent(error.to_string()))
    }

    /// The realm whose names need no realm behind them: `default_realm` of krb5.conf, or what the library makes of the host's name.
    ///
    /// # Errors
    /// None is configured.
    pub fn default_realm(&self) -> Result<String, Error> {
        self.kerberos.default_realm()
    }

    /// The name of the keytab that is used where none is given: `KRB5_KTNAME`, else `default_keytab_name` of krb5.conf, else
    /// `FILE:/etc/krb5.keytab`.
    ///
    /// # Errors
    /// krb5.conf cannot be read.
    pub fn default_keytab(&self) -> Result<String, Error> {
        self.kerberos.default_keytab()
    }

    /// The keys of a keytab; of the default one where `name` is none.
    ///
    /// # Errors
    /// It is not there, cannot be read, or has another form.
    pub fn keys(&self, name: Option<&str>) -> Result<Vec<Key>, Error> {
        self.kerberos.keys(name)
    }

    /// A server that accepts tickets for each service of a keytab; of the default one where `keytab` is none. The file is read
    /// anew for each client, so that keys may be added and replaced.
    ///
    /// # Errors
    /// The keytab is not there, cannot be read, or is empty.
    pub fn acceptor(&'static self, keytab: Option<&str>) -> Result<Acceptor, Error> {
        self.gss.acceptor(keytab)
    }

    /// Begins as a client towards `service` (such as `imap`) on `host`. Who the client is, its environment says
    /// (`KRB5_CLIENT_KTNAME`, `KRB5CCNAME`).
    ///
    /// # Errors
    /// The name of the host is none, or there are no tickets and no client keytab; most of that only the first step finds.
    pub fn initiate(&'static self, service: &str, host: &str) -> Result<Initiating, Error> {
        self.gss.initiate(service, host)
    }

    /// Whether there is anything with which a client could begin: a cache of tickets with somebody's name, or a client keytab with a
    /// key. No KDC is asked.
    pub fn has_identity(&self) -> bool {
        self.kerberos.has_identity()
    }

    /// Takes a ticket (AP-REQ) that a client shows, with any key of the keytab.
    ///
    /// # Errors
    /// It is no ticket, not for one of our keys, too old, or was shown before.
    pub fn greet(&self, keytab: Option<&str>, request: &[u8]) -> Result<Greeted, Error> {
        self.kerberos.greet(keytab, request)
    }
}

const GSSAPI: &str = "libgssapi_krb5.so.2";
const KERBEROS: &str = "libkrb5.so.3";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_the_libraries_is_told_so_and_nothing_else_happens() {
        let absent = Library::open("libgssapi_krb5-of-nowhere.so.2", KERBEROS).unwrap_err().to_string();
        assert!(absent.contains("libgssapi_krb5-of-nowhere.so.2"), "{absent}");
    }

    #[test]
    fn a_library_without_the_functions_is_not_taken() {
        // The C library is on every host, and has none of them.
        let absent = Library::open("libc.so.6", KERBEROS).unwrap_err().to_string();
        assert!(absent.contains("gss_"), "{absent}");
    }
}
