//! We show our ticket to another server: the client's side of RFC 4752.
//!
//! Whether there is a ticket for a service only the library knows, and it may ask a KDC for it. So [`prepare`] tries it first, on a
//! thread with a deadline, and what came of it is remembered: [`is_usable`] then answers at once whoever chooses a mechanism. Without a
//! ticket another mechanism is used, and the log says why.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use krb5::{Initiating, Library};
use protocol::gssapi::{Choice, NONE, Offer};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::aside::aside;
use crate::auth::Refusals;
use crate::limits::{INITIATES, TARGETS, TICKET_KNOWN};

/// A service that we want to be let in by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// `imap`, `pop`, `lmtp`, `sieve`, `nntp`, `mupdate`.
    pub service: &'static str,
    /// As the list or the configuration has it.
    pub host: String,
    /// How long a call of the library is waited for.
    pub patience: Duration,
}

/// A login under way.
pub(in crate::auth) struct Initiate {
    context: Initiating,
    authzid: Option<String>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Begun,
    Established,
    Chosen,
}

impl Target {
    fn key(&self) -> (&'static str, String) {
        (self.service, self.host.to_ascii_lowercase())
    }
}

/// Finds out whether there is a ticket. `pinned`: nothing else may be used.
pub(in crate::auth) async fn prepare(target: &Target, pinned: bool) {
    if is_usable(target) || REFUSED.answer(&target.key(), Instant::now()).is_some() {
        return;
    }
    let (service, host) = (target.service, target.host.clone());
    let tried = aside(&THREADS, target.patience, move || first_token(service, &host)).await;
    match tried {
        Ok(Ok(())) => {
            debug!("there is a Kerberos ticket for {}@{}", target.service, target.host);
            REFUSED.taken(&target.key());
            let mut usable = usable();
            if usable.len() >= TARGETS {
                usable.clear();
            }
            usable.insert(target.key(), Instant::now());
        }
        // Whoever has no tickets wants none.
        Ok(Err(None)) if !pinned => REFUSED.refused(target.key(), (), Instant::now()),
        Ok(Err(None)) => {
            failed(target, "there is no ticket and no client keytab (KRB5_CLIENT_KTNAME, KRB5CCNAME)")
        }
        Ok(Err(Some(why))) => failed(target, &why),
        Err(late) => failed(target, &late.to_string()),
    }
}

/// Whether there was a ticket lately.
pub(in crate::auth) fn is_usable(target: &Target) -> bool {
    usable().get(&target.key()).is_some_and(|since| since.elapsed() < TICKET_KNOWN)
}

/// A login by a ticket did not work: for a while another mechanism is used.
pub(in crate::auth) fn failed(target: &Target, why: &str) {
    usable().remove(&target.key());
    REFUSED.refused(target.key(), (), Instant::now());
    metrics::counter!("murder_kerberos_fallbacks_total").increment(1);
    warn!(
        "GSSAPI towards {}@{}: {why}: another mechanism is used, where there is one",
        target.service, target.host
    );
}

/// Whether there is a ticket; the error is none where there is no identity at all. Blocks.
fn first_token(service: &str, host: &str) -> Result<(), Option<String>> {
    let library = Library::get().map_err(|_| None)?;
    if !library.has_identity() {
        return Err(None);
    }
    let tried = library.initiate(service, host).and_then(|mut context| context.step(None).map(drop));
    tried.map_err(|error| Some(error.to_string()))
}

impl Initiate {
    /// The beginning, and the first token. Blocks.
    ///
    /// # Errors
    /// There is no ticket any more.
    pub fn begin(target: &Target, authzid: Option<&str>) -> Result<(Initiate, Vec<u8>), String> {
        let library = Library::get().map_err(|absent| absent.to_string())?;
        let begun = library.initiate(target.service, &target.host).and_then(|mut context| {
            let stepped = context.step(None)?;
            Ok((context, stepped.token))
        });
        let (context, token) = begun.map_err(|error| error.to_string())?;
        Ok((Initiate { context, authzid: authzid.map(str::to_owned), state: State::Begun }, token))
    }

    /// The answer to the server's message. Blocks.
    ///
    /// # Errors
    /// The server has not proved itself, or takes nobody without a layer.
    pub fn step(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        match self.state {
            State::Begun => {
                let stepped = self.context.step(Some(message)).map_err(|error| error.to_string())?;
                if stepped.complete {
                    self.state = State::Established;
                }
                Ok(stepped.token)
            }
            State::Established => {
                let offer = self.context.unwrap(message).map_err(|error| error.to_string())?;
                let offer = Offer::parse(&offer).map_err(|error| error.to_string())?;
                if offer.layers & NONE == 0 {
                    return Err(ONLY_LAYERS.to_owned());
                }
                let choice = Choice::bare(self.authzid.as_deref()).octets();
                self.state = State::Chosen;
                self.context.wrap(&choice).map_err(|error| error.to_string())
            }
            State::Chosen => Ok(Vec::new()),
        }
    }

    /// Everything was said; the server has proved itself.
    pub fn is_finished(&self) -> bool {
        self.state == State::Chosen
    }
}

/// The threads of calls.
pub(in crate::auth) static THREADS: Semaphore = Semaphore::const_new(INITIATES);

type Key = (&'static str, String);

static USABLE: LazyLock<Mutex<HashMap<Key, Instant>>> = LazyLock::new(Mutex::default);
static REFUSED: LazyLock<Refusals<Key, ()>> = LazyLock::new(|| Refusals::new(TARGETS));

fn usable() -> MutexGuard<'static, HashMap<Key, Instant>> {
    USABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

const ONLY_LAYERS: &str = "the server takes nobody without a layer of SASL's (sasl_minimum_layer there), which is not spoken here: use TLS \
                           towards it (<shorthost>_tls: yes, mupdate_tls: yes), or have sasl_minimum_layer: 0 there";
