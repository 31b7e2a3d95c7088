//! SASL as a client, towards backends and the MUPDATE master.
//!
//! A proxy uses only mechanisms that carry an authorisation identity: LOGIN would drop it silently, and the session
//! would be the proxy's own. A MUPDATE server asks who it is, not for whom, so that LOGIN does there. `-PLUS` is used only where `<shorthost>_mechs` names it: Cyrus's servers bind to
//! tls-unique, which rustls does not give.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use config::imapd::Imapd;
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::external::EXTERNAL;
use rsasl::mechanisms::login::LOGIN;
use rsasl::mechanisms::plain::PLAIN;
use rsasl::mechanisms::scram::properties::{Iterations, Salt, SaltedPassword};
use rsasl::mechanisms::scram::{SCRAM_SHA1, SCRAM_SHA1_PLUS, SCRAM_SHA256, SCRAM_SHA256_PLUS};
use rsasl::prelude::{Mechanism, Mechname, Registry, SASLClient, SASLConfig, Session, SessionError, State};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::NoValidation;
use sha2::{Digest, Sha256};
use transport::peer::Channel;

use super::exchange::Binding;
use super::kerberos::aside::aside;
use super::kerberos::initiate::{self, Initiate};
use super::kerberos::{GSSAPI, Target};
use crate::limits::REMEMBERED;
use crate::passwords::Hash;

/// What to log in with.
#[derive(Clone)]
pub struct Credentials {
    pub authname: String,
    /// As whom to act; `None`: as `authname`.
    pub authzid: Option<String>,
    pub password: Option<String>,
    /// Mechanisms that may be used (`<shorthost>_mechs`, else `force_sasl_client_mech`); empty: any that works.
    pub allowed: Vec<String>,
    /// LOGIN will do: nobody is acted for.
    pub only_self: bool,
    /// For whom a Kerberos ticket would be, which goes before all passwords; none: no ticket is used.
    pub target: Option<Target>,
}

/// Why a login to another server cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("mechanism {mechanism}: {why}")]
    Exchange { mechanism: String, why: String },
    #[error("{0} ended the exchange without proving that it knows the password")]
    NotMutual(&'static str),
}

impl Credentials {
    /// For a proxy that acts as `authzid` at a backend: `proxy_authname`, `<shorthost>_password` or `proxy_password`.
    pub fn proxy(imapd: &Imapd, server: &str, authzid: Option<&str>) -> Credentials {
        if imapd.short_way(server, "").is_some() {
            // The other end sees who we are.
            let (authname, authzid) = (imapd.proxy_authname.clone(), authzid.map(str::to_owned));
            return Credentials {
                authname,
                authzid,
                password: None,
                allowed: Vec::new(),
                only_self: false,
                target: None,
            };
        }
        // The password of a host is that of whoever proxies.
        let own = imapd.move_authname.as_deref() == Some(imapd.proxy_authname.as_str());
        let own = imapd.move_password.clone().filter(|_| own);
        let of_host = || imapd.of_host(server, "password").map(str::to_owned);
        let password = own.or_else(of_host).or_else(|| imapd.proxy_password.clone());
        Credentials {
            authname: imapd.proxy_authname.clone(),
            authzid: authzid.map(str::to_owned),
            password,
            allowed: allowed(imapd, server),
            only_self: false,
            target: None,
        }
    }

    /// For the MUPDATE master: `mupdate_authname`, `mupdate_username`, `mupdate_password`.
    pub fn mupdate(imapd: &Imapd, server: &str) -> Credentials {
        let username = imapd.mupdate_username.clone();
        let authname = imapd.mupdate_authname.clone().unwrap_or_else(|| username.clone());
        Credentials {
            authzid: Some(username).filter(|username| !username.is_empty() && *username != authname),
            authname,
            password: imapd.mupdate_password.clone(),
            allowed: allowed(imapd, server),
            only_self: true,
            target: None,
        }
    }

    /// With a Kerberos ticket for this service, where there is one. A server without a host's name has none.
    pub fn with_target(self, target: Option<Target>) -> Credentials {
        let target = target.filter(|target| !target.service.is_empty() && !target.host.starts_with('/'));
        Credentials { target, ..self }
    }

    /// Finds out whether there is a ticket for a server that would take one: to be called before [`Credentials::choose`], once it is known
    /// what the server offers.
    pub async fn prepare(&self, offered: &[&str]) {
        let named = |name: &&str| name.eq_ignore_ascii_case(GSSAPI);
        let allowed = self.allowed.is_empty() || self.allowed.iter().any(|one| named(&one.as_str()));
        if let Some(target) = self.target.as_ref().filter(|_| allowed && offered.iter().any(named)) {
            initiate::prepare(target, !self.allowed.is_empty()).await;
        }
    }

    /// The server has refused a ticket, or cannot be logged in to with one: for a while another mechanism is chosen.
    pub fn ticket_failed(&self, why: &str) {
        if let Some(target) = &self.target {
            initiate::failed(target, why);
        }
    }

    /// The best mechanism of those that the server offers and that we may and can use.
    pub fn choose<'a>(
        &self,
        offered: impl IntoIterator<Item = &'a str>,
        channel: &Channel,
    ) -> Option<&'static str> {
        let offered: Vec<&str> = offered.into_iter().collect();
        let named = |list: &[&str], name: &str| list.iter().any(|one| one.eq_ignore_ascii_case(name));
        let listed: Vec<&str> = self.allowed.iter().map(String::as_str).collect();
        PREFERENCE.iter().copied().find(|mechanism| {
            let allowed = match listed.is_empty() {
                true => {
                    !mechanism.ends_with("-PLUS") && (*mechanism != "EXTERNAL" || self.password.is_none())
                }
                false => named(&listed, mechanism),
            };
            let able = match *mechanism {
                GSSAPI => self.target.as_ref().is_some_and(initiate::is_usable),
                "EXTERNAL" => channel.is_encrypted() || channel.peer.ip().is_none(),
                "LOGIN" => self.only_self && self.password.is_some(),
                plus if plus.ends_with("-PLUS") => {
                    self.password.is_some()
                        && channel.tls.as_ref().is_some_and(|tls| tls.channel_binding.is_some())
                }
                _ => self.password.is_some(),
            };
            allowed && able && named(&offered, mechanism)
        })
    }

    /// Begins an exchange with one of the names that [`Credentials::choose`] gives; with it comes the initial response, where the
    /// mechanism has one. A ticket is asked for on a thread of its own, and no longer than the target's patience.
    ///
    /// # Errors
    /// There is no ticket any more, or the mechanism is none of ours.
    pub async fn begin(
        &self,
        mechanism: &'static str,
        channel: &Channel,
    ) -> Result<(ClientExchange, Option<Vec<u8>>), ClientError> {
        let Some(target) = self.target.clone().filter(|_| mechanism == GSSAPI) else {
            let mut exchange = self.start(mechanism, channel)?;
            let initial = exchange.initial()?;
            return Ok((exchange, initial));
        };
        let (authzid, patience) = (self.authzid.clone(), target.patience);
        let begun = aside(&initiate::THREADS, patience, move || Initiate::begin(&target, authzid.as_deref()));
        let begun = begun.await.unwrap_or_else(|late| Err(late.to_string()));
        match begun {
            Ok((initiate, token)) => {
                Ok((ClientExchange { running: Running::Ticket(initiate, patience), mechanism }, Some(token)))
            }
            Err(why) => {
                self.ticket_failed(&why);
                Err(ClientError::Exchange { mechanism: mechanism.to_owned(), why })
            }
        }
    }

    /// Begins an exchange with one of the names that [`Credentials::choose`] gives, but for GSSAPI.
    pub fn start(&self, mechanism: &'static str, channel: &Channel) -> Result<ClientExchange, ClientError> {
        let failed = |why: String| ClientError::Exchange { mechanism: mechanism.to_owned(), why };
        let config = SASLConfig::builder()
            .with_registry(Registry::with_mechanisms(only(mechanism)))
            .with_callback(Answers { credentials: self.clone() })
            .map_err(|error| failed(error.to_string()))?;
        let binding = Binding(channel.tls.as_ref().and_then(|tls| tls.channel_binding.clone()));
        let name = Mechname::parse(mechanism.as_bytes()).map_err(|error| failed(error.to_string()))?;
        let session = SASLClient::with_cb(config, binding)
            .start_suggested([&name])
            .map_err(|error| failed(error.to_string()))?;
        Ok(ClientExchange { running: Running::Password { session, finished: false }, mechanism })
    }
}

fn allowed(imapd: &Imapd, server: &str) -> Vec<String> {
    match imapd.of_host(server, "mechs") {
        Some(mechs) => mechs.split_whitespace().map(str::to_owned).collect(),
        None => imapd.force_sasl_client_mech.clone(),
    }
}

/// A login under way, seen from the client.
pub struct ClientExchange {
    running: Running,
    mechanism: &'static str,
}

/// Whoever runs the mechanism.
enum Running {
    Password {
        session: Session<NoValidation, Binding>,
        finished: bool,
    },
    /// And how long a step is waited for.
    Ticket(Initiate, Duration),
}

impl ClientExchange {
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// The initial response, which all our mechanisms but LOGIN have. Where the protocol cannot carry it with the command,
    /// it answers the server's first, empty challenge.
    pub fn initial(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        match &self.running {
            Running::Password { session, .. } if session.are_we_first() => self.advance(None).map(Some),
            // A ticket's first token came with it.
            Running::Password { .. } | Running::Ticket(..) => Ok(None),
        }
    }

    /// The answer to a challenge. After the server's last message that is empty.
    ///
    /// SCRAM hashes here, for some tenths of a second the first time with a server: see [`ClientExchange::step_aside`].
    pub fn step(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        if self.is_finished() {
            return Ok(Vec::new());
        }
        self.advance(Some(challenge))
    }

    /// The same on a thread that serves nobody else. After an error the exchange is over.
    pub async fn step_aside(mut self, challenge: Vec<u8>) -> Result<(ClientExchange, Vec<u8>), ClientError> {
        let mechanism = self.mechanism.to_owned();
        if let Running::Ticket(_, patience) = self.running {
            let stepped = aside(&initiate::THREADS, patience, move || {
                let answer = self.step(&challenge)?;
                Ok((self, answer))
            });
            let late = |why: String| Err(ClientError::Exchange { mechanism, why });
            return stepped.await.unwrap_or_else(|why| late(why.to_string()));
        }
        let stepped = tokio::task::spawn_blocking(move || {
            let answer = self.step(&challenge)?;
            Ok((self, answer))
        });
        stepped.await.unwrap_or_else(|error| Err(ClientError::Exchange { mechanism, why: error.to_string() }))
    }

    /// To be called when the server said OK, with the data that came with it, if any: whether it proved itself.
    pub fn succeeded(&mut self, data: Option<&[u8]>) -> Result<(), ClientError> {
        if let Some(data) = data.filter(|_| !self.is_finished()) {
            self.advance(Some(data))?;
        }
        match self.is_finished() {
            true => Ok(()),
            false => Err(ClientError::NotMutual(self.mechanism)),
        }
    }

    fn advance(&mut self, message: Option<&[u8]>) -> Result<Vec<u8>, ClientError> {
        let stepped = match &mut self.running {
            Running::Password { session, finished } => {
                let mut out = Vec::new();
                session.step(message, &mut out).map_err(|error| error.to_string()).map(|state| {
                    *finished = matches!(state, State::Finished(_));
                    out
                })
            }
            Running::Ticket(initiate, _) => initiate.step(message.unwrap_or_default()),
        };
        stepped.map_err(|why| ClientError::Exchange { mechanism: self.mechanism.to_owned(), why })
    }

    fn is_finished(&self) -> bool {
        match &self.running {
            Running::Password { finished, .. } => *finished,
            Running::Ticket(initiate, _) => initiate.is_finished(),
        }
    }
}

/// The callback of one exchange.
struct Answers {
    credentials: Credentials,
}

impl SessionCallback for Answers {
    fn callback(
        &self,
        session: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        let credentials = &self.credentials;
        request.satisfy::<AuthId>(&credentials.authname)?;
        if let Some(authzid) = credentials.authzid.as_deref().filter(|authzid| !authzid.is_empty()) {
            request.satisfy::<AuthzId>(authzid)?;
        }
        let Some(password) = &credentials.password else { return Ok(()) };
        if let (Some(salt), Some(&iterations)) = (context.get_ref::<Salt>(), context.get_ref::<Iterations>())
            && request.is::<SaltedPassword>()
        {
            let sha256 = session.mechanism().mechanism.as_str().starts_with("SCRAM-SHA-256");
            request.satisfy::<SaltedPassword>(&salted(sha256, password, salt, iterations)?)?;
        }
        request.satisfy::<Password>(password.as_bytes())?;
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.credentials.allowed.iter().any(|mechanism| mechanism.to_ascii_uppercase().ends_with("-PLUS"))
    }
}

/// The slow hash of a password, remembered: a proxy logs in to few servers very often.
fn salted(sha256: bool, password: &str, salt: &[u8], iterations: u32) -> Result<Arc<[u8]>, SessionError> {
    type Known = HashMap<[u8; 32], Arc<[u8]>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    if !ITERATIONS.contains(&iterations) {
        return Err(SessionError::Boxed(format!("the server asks for {iterations} iterations").into()));
    }
    let mut digest = Sha256::new();
    for piece in [&[u8::from(sha256)][..], password.as_bytes(), salt, &iterations.to_be_bytes()] {
        digest.update((piece.len() as u64).to_be_bytes());
        digest.update(piece);
    }
    let key: [u8; 32] = digest.finalize().into();
    if let Some(known) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(known.clone());
    }
    let hash = if sha256 { Hash::Sha256 } else { Hash::Sha1 };
    let result: Arc<[u8]> = hash.salt_password(password.as_bytes(), salt, iterations).into();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(key, result.clone());
    Ok(result)
}

fn only(mechanism: &str) -> &'static [Mechanism] {
    static LISTS: [&[Mechanism]; 8] = [
        &[],
        &[SCRAM_SHA256_PLUS],
        &[SCRAM_SHA1_PLUS],
        &[SCRAM_SHA256],
        &[SCRAM_SHA1],
        &[PLAIN],
        &[LOGIN],
        &[EXTERNAL],
    ];
    let index = PREFERENCE.iter().position(|name| *name == mechanism).unwrap_or(PLAIN_INDEX);
    LISTS[index]
}

const PREFERENCE: [&str; 8] = [
    GSSAPI,
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
    "LOGIN",
    "EXTERNAL",
];
const PLAIN_INDEX: usize = 5;
/// More would let a false server occupy a core. With fewer it learns, from the proof itself, enough to try passwords by the
/// million (RFC 7677 section 4, RFC 5802 section 9); Cyrus SASL and we keep none with fewer.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use transport::peer::Peer;

    /// What the client makes of a server that asks for so many iterations.
    fn asked_for(iterations: u32) -> Result<Vec<u8>, ClientError> {
        let text = "configdirectory: /nowhere\nproxy_password: secret\n";
        let imapd = Imapd::parse(Path::new("/nowhere/imapd.conf"), text, "imap").unwrap();
        let credentials = Credentials::proxy(&imapd, "be1", Some("fred"));
        let channel = Channel::new(Peer::Unix { uid: 0, gid: 0, pid: None });
        let mut exchange = credentials.start("SCRAM-SHA-256", &channel).unwrap();
        let first = String::from_utf8(exchange.initial().unwrap().unwrap()).unwrap();
        let (_, nonce) = first.split_once(",r=").unwrap();
        exchange.step(format!("r={nonce}more,s=c2FsdHNhbHQ=,i={iterations}").as_bytes())
    }

    #[test]
    fn a_server_that_makes_the_password_easy_to_guess_gets_no_proof() {
        assert!(asked_for(4096).is_ok() && asked_for(600_000).is_ok());
        for iterations in [1, 4095, 1_000_001] {
            let refused = asked_for(iterations).unwrap_err().to_string();
            assert!(refused.contains(&format!("asks for {iterations} iterations")), "{refused}");
        }
    }
}
