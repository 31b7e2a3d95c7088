//! Logins: which mechanisms may be used on a connection, whether a client is who it says, and what it may then do.
//!
//! An [`Authenticator`] belongs to a listener. A protocol asks it for [`Authenticator::mechanisms`], begins an
//! [`Exchange`] with the one that the client names, and passes the client's messages to [`Exchange::step`] until it
//! is [`Step::Done`] with a [`Login`] or [`Step::Failed`]. LOGIN, USER/PASS and the like are one call of
//! [`Authenticator::login`]. Who guesses is slowed ([`pace`]) and logged here; a protocol only words the failures.
//!
//! Who one is, is verified by `rsasl` over [`crate::passwords`] or saslauthd (`sasl_pwcheck_method`), or by a Kerberos ticket ([`kerberos`]). What one may
//! do follows `admins`, `proxyservers` and `loginuseacl`: see [`authorize`].

pub mod authorize;
pub mod client;
mod domain;
mod exchange;
mod groups;
mod kerberos;
mod pace;
mod refusals;
mod saslauthd;
mod settings;
mod userid;
mod verify;

pub use authorize::InboxAcl;
pub use exchange::{Exchange, Step, Step64};
pub use kerberos::{GSSAPI, Target, Tickets};
pub use pace::Pace;
pub use refusals::Refusals;
pub use settings::Settings;

use std::sync::Arc;

use protocol::imap::Refusal;
use tracing::info;

use logs::LOGIN_TARGET;
use transport::peer::Channel;

use crate::deny::DenyList;
use crate::limits::{FAILURES, NAME_SHOWN, rows};
use crate::passwords::PasswordDb;
use kerberos::kpop::{KPOP, Kpop};
use verify::Verified;

/// Who is logged in, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whose password (or certificate) it was.
    pub authid: String,
    /// As whom the session acts; usually the same.
    pub userid: String,
    /// `authid` is one of `admins` and acts as itself.
    pub admin: bool,
    /// Another (a proxy, an admin) acts as `userid`, who is one of `admins`: an admin for CREATE, DELETE, SETACL,
    /// quotas and moves, but not for RENAME of users, RECONSTRUCT and the like.
    pub proxy_admin: bool,
    /// `authid` is one of `proxyservers`: a frontend, which has counted its clients itself, and whose word on where they
    /// come from is taken.
    pub proxy: bool,
    /// The session counts to `maxlogins_per_user` and `_per_host`: neither an admin's nor that of one of `proxyservers`, as
    /// themselves or for another.
    pub counted: bool,
    /// Groups of `userid`, without the `group:` before them.
    pub groups: Vec<String>,
    /// `PLAIN`, `SCRAM-SHA-256`, `plaintext` for LOGIN and USER/PASS …
    pub mechanism: String,
    /// What stood after a `+` in the user name, where `imapmagicplus` or `popsubfolders` allow that.
    pub detail: Option<String>,
}

impl Login {
    /// A client that is trusted for where it comes from: `lmtpd -a`, a UNIX socket, an internal caller.
    pub fn trusted(userid: &str) -> Login {
        Login {
            authid: userid.to_owned(),
            userid: userid.to_owned(),
            admin: true,
            proxy_admin: false,
            proxy: false,
            counted: false,
            groups: Vec::new(),
            mechanism: "trusted".to_owned(),
            detail: None,
        }
    }

    /// Anybody, without a password (`allowanonymouslogin`): no admin, whatever a list says, and in no group.
    pub fn anonymous() -> Login {
        Login { admin: false, counted: true, mechanism: PLAINTEXT.to_owned(), ..Login::trusted(ANONYMOUS) }
    }

    /// Admin rights of either kind.
    pub fn is_any_admin(&self) -> bool {
        self.admin || self.proxy_admin
    }
}

/// Why there is no login. The text is for logs; clients learn the kind only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("authentication failure: checkpass failed")]
    BadCredentials,
    /// A Kerberos ticket that is not valid here.
    #[error("authentication failure: {0}")]
    BadTicket(String),
    #[error("authorization failure: {authid} may not act as {authzid}")]
    NotAuthorized { authid: String, authzid: String },
    /// An operator's decision; the client is told the message.
    #[error("user '{userid}' denied access to service '{service}': {message}")]
    Denied { userid: String, service: String, message: String },
    #[error("no mechanism available: {0}")]
    NoMechanism(String),
    #[error("plaintext passwords need TLS here")]
    PlaintextRefused,
    #[error("bad protocol: {0}")]
    Malformed(String),
    #[error("cancelled by the client")]
    Cancelled,
    /// Not the client's fault; it may try again.
    #[error("temporary failure: {0}")]
    Temporary(String),
}

impl Failure {
    /// The number and words that libsasl has for it, as log readers such as fail2ban know them.
    fn log_text(&self) -> String {
        let code = match self {
            Failure::BadCredentials | Failure::BadTicket(_) => -13,
            Failure::NotAuthorized { .. } | Failure::Denied { .. } => -14,
            Failure::NoMechanism(_) => -4,
            Failure::PlaintextRefused => -16,
            Failure::Malformed(_) => -5,
            Failure::Cancelled => -1,
            Failure::Temporary(_) => -8,
        };
        format!("SASL({code}): {self}")
    }
}

/// What an IMAP client learns of a failure; the log has the rest.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        match failure {
            Failure::BadCredentials | Failure::BadTicket(_) => Refusal::BadCredentials,
            Failure::NotAuthorized { .. } => Refusal::NotAuthorized,
            Failure::Denied { message, .. } => Refusal::DeniedUser(message),
            Failure::NoMechanism(_) => Refusal::NoMechanism,
            Failure::PlaintextRefused => Refusal::NeedsEncryption,
            Failure::Malformed(_) => Refusal::BadBase64,
            Failure::Cancelled => Refusal::Cancelled,
            Failure::Temporary(_) => Refusal::LoginUnavailable,
        }
    }
}

/// Decides logins on one listener. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) passwords: PasswordDb,
    pub(crate) pace: Pace,
    pub(crate) denied: Option<DenyList>,
    pub(crate) inbox_acl: Option<Arc<dyn InboxAcl>>,
    /// One connection of a listener with `-k`.
    kpop: Option<Kpop>,
}

impl Authenticator {
    pub fn new(settings: Settings, passwords: PasswordDb, pace: Pace) -> Authenticator {
        Authenticator {
            shared: Arc::new(Shared { settings, passwords, pace, denied: None, inbox_acl: None, kpop: None }),
        }
    }

    /// Where `loginuseacl` looks for the `a` right on an INBOX.
    pub fn with_inbox_acl(self, acl: Arc<dyn InboxAcl>) -> Authenticator {
        self.with(|shared| shared.inbox_acl = Some(acl))
    }

    /// Who may not log in.
    pub fn with_denied(self, denied: DenyList) -> Authenticator {
        self.with(|shared| shared.denied = Some(denied))
    }

    fn with(self, change: impl FnOnce(&mut Shared)) -> Authenticator {
        let mut shared = Shared {
            settings: self.shared.settings.clone(),
            passwords: self.shared.passwords.clone(),
            pace: self.shared.pace.clone(),
            denied: self.shared.denied.clone(),
            inbox_acl: self.shared.inbox_acl.clone(),
            kpop: self.shared.kpop.clone(),
        };
        change(&mut shared);
        Authenticator { shared: Arc::new(shared) }
    }

    /// The SASL mechanisms to offer on such a connection, the strongest first.
    pub fn mechanisms(&self, channel: &Channel) -> Vec<&'static str> {
        let mut mechanisms = self.shared.settings.mechanisms(channel);
        mechanisms.retain(|name| self.shared.kpop.is_none() || *name == GSSAPI);
        mechanisms
    }

    /// Whether LOGIN and USER/PASS may be used (else IMAP says LOGINDISABLED).
    pub fn allows_plaintext(&self, channel: &Channel) -> bool {
        match &self.shared.kpop {
            None => self.shared.settings.allows_plaintext(channel),
            Some(Kpop::Nothing) => channel.is_encrypted(),
            // The password is not looked at.
            Some(Kpop::Ticket(_)) => true,
        }
    }

    /// Begins an exchange with the mechanism that the client named, in any case.
    pub fn start(&self, mechanism: &str, channel: &Channel) -> Result<Exchange, Failure> {
        let begun = match too_many_failures(channel) {
            Some(failure) => return Err(failure),
            None => match self.shared.kpop.is_some() && !mechanism.eq_ignore_ascii_case(GSSAPI) {
                true => Err(Failure::NoMechanism(printable(mechanism))),
                false => Exchange::new(self.shared.clone(), mechanism, channel),
            },
        };
        begun.inspect_err(|failure| self.shared.log_failure(failure, &printable(mechanism), None, channel))
    }

    /// A user name and a password, as LOGIN and USER/PASS have them. Takes its time where others were wrong before.
    pub async fn login(&self, user: &str, password: &[u8], channel: &Channel) -> Result<Login, Failure> {
        if let Some(failure) = too_many_failures(channel) {
            return Err(failure);
        }
        if let Some(Kpop::Ticket(principal)) = &self.shared.kpop {
            let result = self.by_ticket(principal, user, channel).await;
            return self.shared.conclude(result, KPOP, Some(user), channel).await;
        }
        let result = self.plaintext(user, password, channel).await;
        self.shared.conclude(result, PLAINTEXT, Some(user), channel).await
    }

    /// Whether one who has logged in before would be let in again, but for the password: nobody has denied it meanwhile.
    ///
    /// # Errors
    /// [`Failure::Denied`], or the list of denied users cannot be read.
    pub async fn admits(&self, login: &Login) -> Result<(), Failure> {
        let (shared, login) = (self.shared.clone(), login.clone());
        off_the_reactor(move || shared.refuse_denied(&login)).await
    }

    async fn plaintext(&self, user: &str, password: &[u8], channel: &Channel) -> Result<Login, Failure> {
        if self.shared.settings.admits_anonymous(user, channel) {
            return Ok(Login::anonymous());
        }
        if !self.allows_plaintext(channel) {
            return Err(Failure::PlaintextRefused);
        }
        self.shared.look_up_domain(channel).await;
        let permit = self.shared.admit(user, channel).await?;
        let (shared, name, password) = (self.shared.clone(), user.to_owned(), password.to_owned());
        let channel = channel.clone();
        // All in one go: each hop to another thread and back costs as much as the check itself, where it is remembered.
        off_the_reactor(move || {
            let checked = shared.check_password(&name, &password, &channel);
            permit.judge(&checked);
            let (authid, detail) = checked?;
            shared.authorize(Verified { authid, authzid: None, detail }, PLAINTEXT)
        })
        .await
    }
}

/// Has `work` done that looks at files.
async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::Temporary(error.to_string()))?
}

/// Whoever failed so often on one connection is no user who mistyped: nothing is checked for him any longer, none of his logins is
/// logged, and the time before login runs out.
fn too_many_failures(channel: &Channel) -> Option<Failure> {
    let failed = channel.conduct.failed_logins();
    if failed < FAILURES {
        return None;
    }
    rows::FAILURES.met("too many failed logins on one connection: no more of its passwords are checked");
    Some(Failure::Temporary("too many failed logins on this connection".to_owned()))
}

impl Shared {
    /// Waits until a password of this user's may be checked.
    async fn admit(&self, typed: &str, channel: &Channel) -> Result<pace::Permit, Failure> {
        let canonical = userid::typed_at(&self.settings, typed, channel).map(|(name, _)| name);
        let user = canonical.unwrap_or_else(|| typed.trim().to_lowercase());
        self.admit_one(Some(&user), channel).await
    }

    /// The same for whoever proves itself before it has a name: its address alone counts.
    async fn admit_unnamed(&self, channel: &Channel) -> Result<pace::Permit, Failure> {
        self.admit_one(None, channel).await
    }

    async fn admit_one(&self, user: Option<&str>, channel: &Channel) -> Result<pace::Permit, Failure> {
        let address = channel.peer.ip();
        let many = |ip| self.settings.shared_addresses.iter().any(|network| network.contains(ip));
        let attempt = pace::Attempt {
            address,
            user,
            shared: address.is_some_and(many),
            node: user.is_some_and(|user| self.settings.nodes.iter().any(|node| node == user)),
            pause: self.settings.failed_pause,
            gone: &channel.conduct.gone,
        };
        self.pace.admit(attempt).await
    }

    /// What every login ends with: the log line.
    pub(crate) async fn conclude(
        &self,
        result: Result<Login, Failure>,
        mechanism: &str,
        user: Option<&str>,
        channel: &Channel,
    ) -> Result<Login, Failure> {
        let tls = if channel.is_encrypted() { "+TLS" } else { "" };
        match &result {
            Ok(login) => {
                channel.conduct.logged_in();
                let who = if login.authid == login.userid {
                    login.userid.clone()
                } else {
                    format!("{} as {}", login.authid, login.userid)
                };
                info!(target: LOGIN_TARGET, "login: {} {who} {mechanism}{tls} User logged in", channel.peer);
                if mechanism == PLAINTEXT && !channel.is_encrypted() {
                    tokio::time::sleep(self.settings.plaintext_pause).await;
                }
            }
            Err(failure) => {
                metrics::counter!("murder_login_failures_total").increment(1);
                self.log_failure(failure, mechanism, user, channel);
            }
        }
        result
    }

    /// The line of a failed login, in Cyrus's shape, by which fail2ban finds the address. The name is as it was typed.
    fn log_failure(&self, failure: &Failure, mechanism: &str, user: Option<&str>, channel: &Channel) {
        channel.conduct.login_failed();
        let (peer, why) = (&channel.peer, failure.log_text());
        match user.map(printable) {
            Some(user) if mechanism == PLAINTEXT => {
                info!(target: LOGIN_TARGET, "badlogin: {peer} {mechanism} {user} {why}");
            }
            Some(user) => info!(target: LOGIN_TARGET, "badlogin: {peer} {mechanism} ({user}) [{why}]"),
            None => info!(target: LOGIN_TARGET, "badlogin: {peer} {mechanism} [{why}]"),
        }
    }
}

/// Who needs no password, where that is allowed.
pub const ANONYMOUS: &str = protocol::userid::ANONYMOUS;

/// What LOGIN and USER/PASS are called in logs.
const PLAINTEXT: &str = "plaintext";

/// A name from outside, fit for one log line.
fn printable(text: &str) -> String {
    text.chars().take(NAME_SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use logs::logged;
    use transport::peer::Peer;

    use super::*;

    fn channel() -> Channel {
        let remote = "192.0.2.7:40000".parse().unwrap();
        Channel::new(Peer::Tcp { remote, local: remote })
    }

    fn authenticator() -> (Authenticator, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let passwords = PasswordDb::new(dir.path().join("passwords"));
        passwords.set("fred", "secret").unwrap();
        let settings = Settings { allowplaintext: true, unix_groups: false, ..Settings::default() };
        (Authenticator::new(settings, passwords, Pace::default()), dir)
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(work)
    }

    #[test]
    fn a_failed_login_is_logged_with_the_name_whatever_the_mechanism() {
        let (auth, _dir) = authenticator();
        let lines = logged(|| {
            run(async {
                let exchange = async |mechanism: &str, messages: &[&[u8]]| {
                    let mut exchange = auth.start(mechanism, &channel()).unwrap();
                    for message in messages {
                        let _ = exchange.step64(Some(BASE64.encode(message).as_bytes())).await;
                    }
                };
                assert!(auth.login("fred", b"wrong", &channel()).await.is_err());
                exchange("PLAIN", &[b"\0fred\0wrong"]).await;
                exchange("LOGIN", &[b"jane", b"wrong"]).await;
                exchange("SCRAM-SHA-256", &[b"n,,n=a=2Cb,r=abc", b"c=biws,r=nonsense,p=AAAA"]).await;
                let _ = auth.start("KERBEROS_V4", &channel());
            });
        });
        let expected = [
            "badlogin: [192.0.2.7] plaintext fred SASL(-13): authentication failure: checkpass failed",
            "badlogin: [192.0.2.7] PLAIN (fred) [SASL(-13): authentication failure: checkpass failed]",
            "badlogin: [192.0.2.7] LOGIN (jane) [SASL(-13): authentication failure: checkpass failed]",
        ];
        assert_eq!(lines[..3], expected);
        assert!(lines[3].starts_with("badlogin: [192.0.2.7] SCRAM-SHA-256 (a,b) [SASL("), "{}", lines[3]);
        assert_eq!(
            lines[4],
            "badlogin: [192.0.2.7] KERBEROS_V4 [SASL(-4): no mechanism available: KERBEROS_V4]"
        );
    }

    #[test]
    fn one_connection_does_not_fill_the_log_with_failed_logins() {
        let (auth, _dir) = authenticator();
        let lines = logged(|| {
            let channel = channel();
            (0..1000).for_each(|_| drop(auth.start("NONE", &channel)));
            let refused = run(auth.login("fred", b"secret", &channel));
            assert!(matches!(refused, Err(Failure::Temporary(_))), "{refused:?}");
        });
        let (logins, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("badlogin"));
        assert_eq!(logins.len(), 10);
        // That the bound was met is said once a minute.
        assert!(others.len() <= 1, "{others:?}");
    }

    #[test]
    fn guesses_on_many_connections_are_checked_one_after_the_other() {
        let (auth, _dir) = authenticator();
        run(async {
            let mut guesses = tokio::task::JoinSet::new();
            for n in 0..200 {
                let auth = auth.clone();
                guesses.spawn(async move { auth.login("fred", format!("{n}").as_bytes(), &channel()).await });
            }
            let outcomes = guesses.join_all().await;
            let checked = outcomes.iter().filter(|outcome| **outcome == Err(Failure::BadCredentials)).count();
            assert!((1..6).contains(&checked), "{checked} guesses in half a minute");
            let refused = |outcome: &&Result<Login, Failure>| matches!(outcome, Err(Failure::Temporary(_)));
            assert_eq!(outcomes.iter().filter(refused).count(), 200 - checked);
        });
    }
}
