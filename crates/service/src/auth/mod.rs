//! Logins: which mechanisms may be used on a connection, whether a client is who it says, and what it may then do.
//!
//! An [`Authenticator`] belongs to a listener. A protocol asks it for [`Authenticator::mechanisms`], begins an
//! [`Exchange`] with the one that the client names, and passes the client's messages to [`Exchange::step`] until it
//! is [`Step::Done`] with a [`Login`] or [`Step::Failed`]. LOGIN, USER/PASS and the like are one call of
//! [`Authenticator::login`]. Failures are slowed and logged here; a protocol only words them.
//!
//! Who one is, is verified by `rsasl` over [`crate::passwords`] or saslauthd (`sasl_pwcheck_method`). What one may
//! do follows `admins`, `proxyservers` and `loginuseacl`: see [`authorize`].

pub mod authorize;
pub mod client;
mod exchange;
mod groups;
mod pace;
mod saslauthd;
mod settings;
mod userid;
mod verify;

pub use authorize::InboxAcl;
pub use exchange::{Exchange, Step, Step64};
pub use groups::groups_of;
pub use pace::Pace;
pub use settings::Settings;

use std::sync::Arc;

use tracing::info;

use crate::deny::DenyList;
use crate::passwords::PasswordDb;
use crate::peer::Channel;
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
            groups: Vec::new(),
            mechanism: "trusted".to_owned(),
            detail: None,
        }
    }

    /// Anybody, without a password (`allowanonymouslogin`): no admin, whatever a list says, and in no group.
    fn anonymous() -> Login {
        Login { admin: false, mechanism: "plaintext".to_owned(), ..Login::trusted(ANONYMOUS) }
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
            Failure::BadCredentials => -13,
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
}

impl Authenticator {
    pub fn new(settings: Settings, passwords: PasswordDb, pace: Pace) -> Authenticator {
        Authenticator {
            shared: Arc::new(Shared { settings, passwords, pace, denied: None, inbox_acl: None }),
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
        };
        change(&mut shared);
        Authenticator { shared: Arc::new(shared) }
    }

    /// The SASL mechanisms to offer on such a connection, the strongest first.
    pub fn mechanisms(&self, channel: &Channel) -> Vec<&'static str> {
        self.shared.settings.mechanisms(channel)
    }

    /// Whether LOGIN and USER/PASS may be used (else IMAP says LOGINDISABLED).
    pub fn allows_plaintext(&self, channel: &Channel) -> bool {
        self.shared.settings.allows_plaintext(channel)
    }

    /// Begins an exchange with the mechanism that the client named, in any case.
    pub fn start(&self, mechanism: &str, channel: &Channel) -> Result<Exchange, Failure> {
        Exchange::new(self.shared.clone(), mechanism, channel).inspect_err(|failure| {
            let (mechanism, why) = (printable(mechanism), failure.log_text());
            info!(target: LOGIN_TARGET, "badlogin: {} {mechanism} [{why}]", channel.peer);
        })
    }

    /// A user name and a password, as LOGIN and USER/PASS have them. Takes its time when they are wrong.
    pub async fn login(&self, user: &str, password: &[u8], channel: &Channel) -> Result<Login, Failure> {
        let result = self.plaintext(user, password, channel).await;
        self.shared.conclude(result, "plaintext", Some(user), channel).await
    }

    async fn plaintext(&self, user: &str, password: &[u8], channel: &Channel) -> Result<Login, Failure> {
        if self.shared.settings.admits_anonymous(user, channel) {
            return Ok(Login::anonymous());
        }
        if !self.allows_plaintext(channel) {
            return Err(Failure::PlaintextRefused);
        }
        let (shared, name, password) = (self.shared.clone(), user.to_owned(), password.to_owned());
        let check = move || shared.check_password(&name, &password);
        let checked = tokio::task::spawn_blocking(check).await;
        let (authid, detail) = checked.map_err(|error| Failure::Temporary(error.to_string()))??;
        let verified = Verified { authid, authzid: None, detail };
        self.shared.authorize(verified, "plaintext").await
    }
}

impl Shared {
    /// What every login ends with: the log line, and the pause after a failure.
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
                self.pace.succeeded(&channel.peer);
                let who = if login.authid == login.userid {
                    login.userid.clone()
                } else {
                    format!("{} as {}", login.authid, login.userid)
                };
                info!(target: LOGIN_TARGET, "login: {} {who} {mechanism}{tls} User logged in", channel.peer);
                if mechanism == "plaintext" && !channel.is_encrypted() {
                    tokio::time::sleep(self.settings.plaintext_pause).await;
                }
            }
            Err(failure) => {
                let why = failure.log_text();
                match user {
                    Some(user) => {
                        let user = printable(user);
                        info!(target: LOGIN_TARGET, "badlogin: {} {mechanism} {user} {why}", channel.peer)
                    }
                    None => info!(target: LOGIN_TARGET, "badlogin: {} {mechanism} [{why}]", channel.peer),
                }
                metrics::counter!("murder_login_failures_total").increment(1);
                if matches!(failure, Failure::BadCredentials | Failure::NotAuthorized { .. }) {
                    tokio::time::sleep(self.pace.failed(&channel.peer, self.settings.failed_pause)).await;
                }
            }
        }
        result
    }
}

/// Who needs no password, where that is allowed.
pub const ANONYMOUS: &str = "anonymous";

/// A name from outside, fit for one log line.
fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Log lines of this target carry no session suffix, so that fail2ban's expressions match their end.
pub(crate) const LOGIN_TARGET: &str = "murder::login";
