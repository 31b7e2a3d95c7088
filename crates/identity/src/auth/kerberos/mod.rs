//! GSSAPI with Kerberos 5 (RFC 4752), on both sides, on MIT's libraries where they are installed.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`accept`] | a client of ours shows its ticket |
//! | [`initiate`] | we show ours to another server |
//! | [`kpop`] | tickets that are shown before POP3 begins |
//! | [`names`] | who a principal is here |
//! | [`aside`] | the libraries' calls, which block, on threads with a deadline |
//!
//! **Deviation:** Cyrus's servers offer SASL's own layers for integrity and confidentiality. We offer none: TLS does this, and where a
//! layer is demanded (`sasl_minimum_layer`) nothing is offered before TLS.

pub(super) mod accept;
pub(super) mod aside;
pub(super) mod initiate;
pub(super) mod kpop;
pub(super) mod names;

use std::sync::{Arc, Mutex, PoisonError};

use config::imapd::Imapd;
use krb5::{Acceptor, Library};
use tracing::{info, warn};

pub use initiate::Target;

/// The mechanism's name.
pub const GSSAPI: &str = "GSSAPI";

/// What a listener needs for tickets: there is a library, and a keytab that can be read.
#[derive(Clone, Debug)]
pub struct Tickets {
    acceptor: Arc<Acceptor>,
    /// None: the host's default.
    keytab: Option<String>,
    /// Whose names are known without the realm.
    realms: Vec<String>,
}

impl Tickets {
    /// None: there is no library, or no keytab. Where the configuration names either Kerberos or a keytab, the log says why. Reads files.
    pub(super) fn of(imapd: &Imapd) -> Option<Tickets> {
        let named = |list: &[String]| list.iter().any(|name| name.eq_ignore_ascii_case(GSSAPI));
        if !imapd.sasl_mech_list.is_empty() && !named(&imapd.sasl_mech_list) {
            return None;
        }
        match Tickets::open(imapd) {
            Ok(tickets) => Some(tickets),
            Err(why) => {
                let wanted = imapd.sasl_keytab.is_some() || named(&imapd.sasl_mech_list);
                say_once(&why, wanted);
                None
            }
        }
    }

    fn keytab(&self) -> Option<&str> {
        self.keytab.as_deref()
    }

    pub(super) fn realms(&self) -> &[String] {
        &self.realms
    }

    /// The same as [`Tickets::of`], with the reason.
    ///
    /// # Errors
    /// Why GSSAPI is not offered, for an operator.
    pub fn open(imapd: &Imapd) -> Result<Tickets, String> {
        let library = Library::get().map_err(|absent| absent.to_string())?;
        let keytab = imapd.sasl_keytab.as_deref();
        let name = || keytab.map(str::to_owned).or_else(|| library.default_keytab().ok()).unwrap_or_default();
        let acceptor = library.acceptor(keytab).map_err(|error| format!("keytab {}: {error}", name()))?;
        let realms = match imapd.gssapi_realms.is_empty() {
            false => imapd.gssapi_realms.clone(),
            true => library.default_realm().into_iter().collect(),
        };
        Ok(Tickets { acceptor: Arc::new(acceptor), keytab: keytab.map(str::to_owned), realms })
    }
}

/// Each listener finds the same, at each reload.
fn say_once(why: &str, wanted: bool) {
    static SAID: Mutex<String> = Mutex::new(String::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if *said == why {
        return;
    }
    why.clone_into(&mut said);
    match wanted {
        true => warn!("GSSAPI is not offered: {why} (sasl_keytab, KRB5_KTNAME)"),
        false => info!("GSSAPI is not offered: {why}"),
    }
}
