//! One SASL exchange on the server's side.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsasl::callback::SessionCallback;
use rsasl::mechanisms::external::EXTERNAL;
use rsasl::mechanisms::login::LOGIN;
use rsasl::mechanisms::plain::PLAIN;
use rsasl::mechanisms::scram::{SCRAM_SHA1, SCRAM_SHA1_PLUS, SCRAM_SHA256, SCRAM_SHA256_PLUS};
use rsasl::prelude::{
    ChannelBindingCallback, Mechanism, Mechname, MessageSent, Registry, SASLConfig, SASLServer, Session,
    State,
};
use tokio::sync::Semaphore;
use transport::peer::Channel;

use super::kerberos::accept::{Accept, Accepted};
use super::kerberos::aside::aside;
use super::kerberos::{GSSAPI, names};
use super::verify::{Identity, Verified, Verifier, unescape};
use super::{Failure, Login, Shared};
use crate::limits::{ACCEPT_PATIENCE, ACCEPTS};

/// An exchange under way.
pub struct Exchange {
    shared: Arc<Shared>,
    mechanism: &'static str,
    channel: Channel,
    failure: Arc<Mutex<Option<Failure>>>,
    phase: Phase,
    /// As the client gave it, for logs and for the pace.
    user: Option<String>,
    /// Messages of the client's.
    messages: u32,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// To be sent to the client (base64 in most protocols), whose answer goes into the next step.
    Challenge(Vec<u8>),
    Done(Login),
    Failed(Failure),
}

/// As [`Step`], with the challenge in base64.
#[derive(Debug)]
pub enum Step64 {
    Challenge(String),
    Done(Login),
    Failed(Failure),
}

type ServerSession = Session<Identity, Binding>;

/// Whoever runs the mechanism.
enum Running {
    Passwords(Box<ServerSession>),
    Tickets(Box<Accept>),
}

enum Phase {
    Begun(Running),
    Running(Running),
    /// The last message was sent; the client acknowledges it.
    Proven(Verified),
    Over,
}

impl Exchange {
    pub(super) fn new(shared: Arc<Shared>, mechanism: &str, channel: &Channel) -> Result<Exchange, Failure> {
        let offered = shared.settings.mechanisms(channel);
        let named = offered.iter().find(|offer| offer.eq_ignore_ascii_case(mechanism)).copied();
        let Some(mechanism) = named else {
            let plaintext = ["PLAIN", "LOGIN"].iter().any(|plain| plain.eq_ignore_ascii_case(mechanism));
            return Err(match plaintext && !shared.settings.allows_plaintext(channel) {
                true => Failure::PlaintextRefused,
                false => Failure::NoMechanism(super::printable(mechanism)),
            });
        };
        let failure = Arc::new(Mutex::new(None));
        let running = match shared.settings.tickets.as_ref().filter(|_| mechanism == GSSAPI) {
            Some(tickets) => Running::Tickets(Box::new(Accept::new(tickets))),
            None => {
                let verifier =
                    Verifier { shared: shared.clone(), channel: channel.clone(), failure: failure.clone() };
                let binding = offered.iter().any(|offer| offer.ends_with("-PLUS"));
                Running::Passwords(Box::new(begin(mechanism, binding, verifier, channel)?))
            }
        };
        Ok(Exchange {
            shared,
            mechanism,
            channel: channel.clone(),
            failure,
            phase: Phase::Begun(running),
            user: None,
            messages: 0,
        })
    }

    /// The mechanism's name.
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// Whether the challenge that was given last is the server's proof, and the client's empty answer to it all that is missing: a
    /// protocol that can say it with its yes need not wait for that.
    pub fn is_proven(&self) -> bool {
        matches!(self.phase, Phase::Proven(_))
    }

    /// The client's message; `None` only at the start, when it sent no initial response. Waits for its turn before a
    /// password is checked. After `Done` or `Failed` the exchange is over.
    pub async fn step(&mut self, message: Option<&[u8]>) -> Step {
        self.shared.look_up_domain(&self.channel).await;
        match self.advance(message).await {
            Ok(Some(challenge)) => Step::Challenge(challenge),
            Ok(None) => self.conclude().await,
            Err(failure) => self.fail(failure).await,
        }
    }

    /// As [`Exchange::step`], for protocols that send base64: `=` is an empty message, `*` gives up.
    pub async fn step64(&mut self, message: Option<&[u8]>) -> Step64 {
        let decoded = match message {
            None => Ok(None),
            Some(b"*") => Err(Failure::Cancelled),
            Some(b"=") => Ok(Some(Vec::new())),
            Some(text) => BASE64.decode(text).map(Some).map_err(|_| Failure::Malformed("not base64".into())),
        };
        let step = match decoded {
            Ok(message) => self.step(message.as_deref()).await,
            Err(failure) => self.fail(failure).await,
        };
        match step {
            Step::Challenge(challenge) => Step64::Challenge(BASE64.encode(challenge)),
            Step::Done(login) => Step64::Done(login),
            Step::Failed(failure) => Step64::Failed(failure),
        }
    }

    /// A challenge, or `None` when the client is proven.
    async fn advance(&mut self, message: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
        let (running, first) = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Begun(running) => (running, true),
            Phase::Running(running) => (running, false),
            Phase::Proven(verified) => {
                self.phase = Phase::Proven(verified);
                return Ok(None);
            }
            Phase::Over => return Err(Failure::Malformed("the exchange is over".into())),
        };
        let server_first = self.mechanism == "LOGIN";
        if first && message.is_none() && !server_first {
            self.phase = Phase::Running(running);
            return Ok(Some(Vec::new()));
        }
        match running {
            Running::Passwords(session) => self.compare(session, message, first && server_first).await,
            Running::Tickets(accept) => self.look_at(accept, message.unwrap_or_default().to_vec()).await,
        }
    }

    /// A ticket, or what follows one.
    async fn look_at(
        &mut self,
        mut accept: Box<Accept>,
        message: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let permit = match accept.awaits_ticket() {
            true => Some(self.shared.admit_unnamed(&self.channel).await?),
            false => None,
        };
        let looked = aside(&THREADS, ACCEPT_PATIENCE, move || {
            let stepped = accept.step(&message);
            // Here, and not where the answer is awaited: the client may be gone by then.
            if let Some(permit) = permit {
                permit.judge(&stepped);
            }
            (accept, stepped)
        });
        let (accept, stepped) = looked.await.map_err(|late| Failure::Temporary(late.to_string()))?;
        match stepped? {
            Accepted::Challenge(challenge) => {
                self.phase = Phase::Running(Running::Tickets(accept));
                Ok(Some(challenge))
            }
            Accepted::Proven { principal, authzid } => {
                self.user = Some(principal.clone());
                self.phase = Phase::Proven(self.identity(&principal, authzid)?);
                Ok(None)
            }
        }
    }

    /// Who a principal is here, and as whom it wants to act. Its own name may be said in full.
    fn identity(&self, principal: &str, authzid: Option<String>) -> Result<Verified, Failure> {
        let settings = &self.shared.settings;
        let realms = settings.tickets.as_ref().map(|tickets| tickets.realms()).unwrap_or_default();
        let authid = names::userid(settings, realms, principal, &self.channel);
        let authid = authid.ok_or_else(|| Failure::BadTicket(format!("{principal} is nobody here")))?;
        let authzid = authzid.filter(|typed| typed != principal && *typed != authid);
        let authzid = authzid.map(|typed| self.shared.authzid(&authid, typed, &self.channel)).transpose()?;
        let (authzid, detail) = authzid.map_or((None, None), |(authzid, detail)| (Some(authzid), detail));
        Ok(Verified { authid, authzid, detail })
    }

    /// A password, or a proof of one. `prompt_first`: LOGIN begins with a prompt, which an initial response answers unseen.
    async fn compare(
        &mut self,
        session: Box<ServerSession>,
        message: Option<&[u8]>,
        prompt_first: bool,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let permit = match message.is_some_and(|message| self.is_proof(message)) {
            true => Some(self.shared.admit(self.user.as_deref().unwrap_or_default(), &self.channel).await?),
            false => None,
        };
        let message = message.map(<[u8]>::to_vec);
        let failure = self.failure.clone();
        // Checking may read files, hash for milliseconds or ask saslauthd.
        let stepped = tokio::task::spawn_blocking(move || {
            let mut session = session;
            let mut out = Vec::new();
            if prompt_first {
                let state = session.step(None, &mut out);
                if message.is_none() || state.is_err() {
                    return (session, state, out, None);
                }
                out.clear();
            }
            let state = session.step(message.as_deref(), &mut out);
            let verified = matches!(state, Ok(State::Finished(_))).then(|| session.validation()).flatten();
            // Here, and not where the answer is awaited: the client may be gone by then.
            if let Some(permit) = permit {
                let reason = failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
                permit.judge(&verified.as_ref().ok_or_else(|| reason.unwrap_or(Failure::BadCredentials)));
            }
            (session, state, out, verified)
        });
        let (session, state, out, verified) =
            stepped.await.map_err(|error| Failure::Temporary(error.to_string()))?;
        match state {
            Ok(State::Running) => {
                let challenge = self.prompt(out);
                self.phase = Phase::Running(Running::Passwords(session));
                Ok(Some(challenge))
            }
            Ok(State::Finished(sent)) => {
                let verified = verified.ok_or_else(|| self.reason(Failure::BadCredentials))?;
                self.phase = Phase::Proven(verified);
                Ok((sent == MessageSent::Yes && !out.is_empty()).then_some(out))
            }
            Err(error) => Err(self.reason(Failure::Malformed(error.to_string()))),
        }
    }

    /// Notes whom a message names, and tells whether a password is checked with it.
    fn is_proof(&mut self, message: &[u8]) -> bool {
        self.messages = self.messages.saturating_add(1);
        let text = String::from_utf8_lossy(message);
        match (self.mechanism, self.messages) {
            ("PLAIN", _) => self.user = text.split('\0').nth(1).map(str::to_owned),
            ("LOGIN", 1) => self.user = Some(text.into_owned()),
            ("EXTERNAL", _) => return false,
            // SCRAM: a header of two fields, then `n=` and the name (RFC 5802 section 7).
            (_, 1) => {
                let name = text.split(',').skip(2).find_map(|field| field.strip_prefix("n="));
                self.user = name.map(unescape);
            }
            _ => {}
        }
        self.mechanism == "PLAIN" || self.messages > 1
    }

    /// LOGIN's prompts in the words that old clients look for.
    fn prompt(&self, out: Vec<u8>) -> Vec<u8> {
        match (self.mechanism, out.first()) {
            ("LOGIN", Some(b'U')) => b"Username:".to_vec(),
            ("LOGIN", Some(b'P')) => b"Password:".to_vec(),
            _ => out,
        }
    }

    fn reason(&self, otherwise: Failure) -> Failure {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(otherwise)
    }

    async fn conclude(&mut self) -> Step {
        let result = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Proven(verified) => {
                let (shared, mechanism) = (self.shared.clone(), self.mechanism);
                super::off_the_reactor(move || shared.authorize(verified, mechanism)).await
            }
            _ => Err(Failure::BadCredentials),
        };
        match self.shared.conclude(result, self.mechanism, self.user.as_deref(), &self.channel).await {
            Ok(login) => Step::Done(login),
            Err(failure) => Step::Failed(failure),
        }
    }

    async fn fail(&mut self, failure: Failure) -> Step {
        self.phase = Phase::Over;
        let user = self.user.as_deref();
        let _ = self.shared.conclude(Err(failure.clone()), self.mechanism, user, &self.channel).await;
        Step::Failed(failure)
    }
}

fn begin<C>(mechanism: &str, binding: bool, callback: C, channel: &Channel) -> Result<ServerSession, Failure>
where
    C: SessionCallback + 'static,
{
    let unavailable = || Failure::NoMechanism(mechanism.to_owned());
    // A server that has -PLUS in its registry refuses clients that could have used it and believe it absent.
    let registry = Registry::with_mechanisms(if binding { WITH_BINDING } else { WITHOUT_BINDING });
    let config =
        SASLConfig::builder().with_registry(registry).with_callback(callback).map_err(|_| unavailable())?;
    let exporter = channel.tls.as_ref().and_then(|tls| tls.channel_binding.clone());
    let name = Mechname::parse(mechanism.as_bytes()).map_err(|_| unavailable())?;
    SASLServer::<Identity, Binding>::with_cb(config, Binding(exporter))
        .start_suggested(name)
        .map_err(|_| unavailable())
}

/// Channel binding data of the connection.
pub(super) struct Binding(pub(super) Option<Vec<u8>>);

impl ChannelBindingCallback for Binding {
    fn get_cb_data(&self, name: &str) -> Option<&[u8]> {
        self.0.as_deref().filter(|_| name == "tls-exporter")
    }
}

/// Threads for tickets.
pub(super) static THREADS: Semaphore = Semaphore::const_new(ACCEPTS);

static WITHOUT_BINDING: &[Mechanism] = &[SCRAM_SHA256, SCRAM_SHA1, PLAIN, LOGIN, EXTERNAL];
static WITH_BINDING: &[Mechanism] =
    &[SCRAM_SHA256_PLUS, SCRAM_SHA1_PLUS, SCRAM_SHA256, SCRAM_SHA1, PLAIN, LOGIN, EXTERNAL];
