//! Whether a client is who it says: the answers to what rsasl's mechanisms ask.
//!
//! rsasl runs the exchanges; every rule about names is here. What is worth knowing of it: a wrong proof ends an
//! exchange without an error, so only a value from `validate` means success; names in SCRAM arrive escaped; an
//! unknown user must be given keys, or the client sees that there is none.

use std::sync::{Arc, Mutex, PoisonError};

use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::prelude::{SessionError, Validation};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, ValidationError};

use tracing::warn;
use transport::peer::Channel;

use super::{Failure, Shared, saslauthd, userid};
use crate::passwords::{Hash, PasswordError};

/// An identity that was proven, and the one it wants to act as. Both canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) authid: String,
    pub(crate) authzid: Option<String>,
    pub(crate) detail: Option<String>,
}

/// The marker by which rsasl hands a [`Verified`] out.
pub(super) struct Identity;

impl Validation for Identity {
    type Value = Verified;
}

/// The callback of one exchange.
pub(super) struct Verifier {
    pub(super) shared: Arc<Shared>,
    pub(super) channel: Channel,
    /// Why `validate` gave nothing, if it was not simply a wrong password.
    pub(super) failure: Arc<Mutex<Option<Failure>>>,
}

impl SessionCallback for Verifier {
    fn callback(
        &self,
        session: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        if request.is::<ScramStoredPassword<'static>>() {
            let hash = match session.mechanism().mechanism.as_str().starts_with("SCRAM-SHA-256") {
                true => Hash::Sha256,
                false => Hash::Sha1,
            };
            let typed = unescape(context.get_ref::<AuthId>().unwrap_or_default());
            // A name that cannot be anybody's gets made-up keys, like any unknown one.
            let name = userid::typed_at(&self.shared.settings, &typed, &self.channel);
            let name = name.map_or(typed, |(name, _)| name);
            match self.shared.passwords.keys(&name, hash) {
                Ok((keys, _)) => {
                    let keys =
                        ScramStoredPassword::new(keys.iterations, &keys.salt, &keys.stored, &keys.server);
                    request.satisfy::<ScramStoredPassword<'static>>(&keys)?;
                }
                Err(error) => self.fail(Failure::Temporary(error.to_string())),
            }
        }
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.channel.tls.as_ref().is_some_and(|tls| tls.channel_binding.is_some())
    }

    fn validate(
        &self,
        session: &SessionData,
        context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let typed_authzid = context.get_ref::<AuthzId>().filter(|authzid| !authzid.is_empty());
        let proven = match session.mechanism().mechanism.as_str() {
            "EXTERNAL" => self.shown_name(),
            "PLAIN" | "LOGIN" => match (context.get_ref::<AuthId>(), context.get_ref::<Password>()) {
                (Some(user), Some(password)) => self.shared.check_password(user, password, &self.channel),
                _ => Err(Failure::BadCredentials),
            },
            _ => self.scram_name(context.get_ref::<AuthId>().unwrap_or_default()),
        };
        let scram = session.mechanism().mechanism.as_str().starts_with("SCRAM");
        let result = proven.and_then(|(authid, detail)| {
            let typed = typed_authzid.map(|typed| if scram { unescape(typed) } else { typed.to_owned() });
            let authzid =
                typed.map(|typed| self.shared.authzid(&authid, typed, &self.channel)).transpose()?;
            let detail = authzid.as_ref().map_or(detail, |(_, detail)| detail.clone());
            Ok(Verified { authid, authzid: authzid.map(|(name, _)| name), detail })
        });
        match result {
            Ok(verified) => validate.finalize::<Identity>(verified),
            Err(failure) => self.fail(failure),
        }
        Ok(())
    }
}

impl Verifier {
    fn fail(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    fn scram_name(&self, typed: &str) -> Result<(String, Option<String>), Failure> {
        userid::typed_at(&self.shared.settings, &unescape(typed), &self.channel)
            .ok_or(Failure::BadCredentials)
    }

    /// Who the other end is without a password: a proxy of this node, or whom its certificate names.
    fn shown_name(&self) -> Result<(String, Option<String>), Failure> {
        match self.shared.settings.proxy_beside(&self.channel) {
            Some(proxy) => Ok((proxy.to_owned(), None)),
            None => self.certificate_name(),
        }
    }

    /// The verified certificate's common name, as in Cyrus; where there is none, with `sasl_external_altname`, its first
    /// alternative name.
    fn certificate_name(&self) -> Result<(String, Option<String>), Failure> {
        let settings = &self.shared.settings;
        let tls = self.channel.tls.as_ref().filter(|tls| tls.client_certificate);
        let name = tls.and_then(|tls| {
            let other = tls.client_alt_names.first().filter(|_| settings.external_altname);
            tls.client_cn.as_ref().or(other)
        });
        let name = name.and_then(|name| userid::canonical_whole(settings, name, &self.channel));
        name.map(|name| (name, None)).ok_or(Failure::BadCredentials)
    }
}

impl Shared {
    /// As whom `authid` wants to act, and the folder behind a `+`.
    pub(super) fn authzid(
        &self,
        authid: &str,
        typed: String,
        channel: &Channel,
    ) -> Result<(String, Option<String>), Failure> {
        if self.settings.anonymous && typed.eq_ignore_ascii_case(super::ANONYMOUS) {
            return Ok((super::ANONYMOUS.to_owned(), None));
        }
        let refused =
            || Failure::NotAuthorized { authid: authid.to_owned(), authzid: super::printable(&typed) };
        let settings = &self.settings;
        // Nodes and admins say whom they mean; others mean themselves.
        let speaks_for_others = |list: &[String]| list.iter().any(|one| one == authid);
        let canonical = match speaks_for_others(&settings.nodes) || speaks_for_others(&settings.admins) {
            true => userid::canonical(settings, &typed),
            false => userid::typed_at(settings, &typed, channel),
        };
        canonical.ok_or_else(refused)
    }
}

impl Shared {
    /// The canonical name if the password is right. Blocks.
    pub(super) fn check_password(
        &self,
        typed: &str,
        password: &[u8],
        channel: &Channel,
    ) -> Result<(String, Option<String>), Failure> {
        let settings = &self.settings;
        let Some((user, detail)) = userid::typed_at(settings, typed, channel) else {
            // As slow as for a name that could be.
            let _ = self.passwords.verify("", password);
            return Err(Failure::BadCredentials);
        };
        if settings.alwaystrue {
            return Ok((user, detail));
        }
        let mut temporary = None;
        if settings.auxprop {
            match self.passwords.verify(&user, password) {
                Ok(true) => return Ok((user, detail)),
                Ok(false) => {}
                Err(error) => temporary = Some(error.to_string()),
            }
        }
        if let Some(socket) = &settings.saslauthd {
            match saslauthd::verify(socket, settings.service, &user, password) {
                Ok(true) => {
                    if settings.auto_transition {
                        self.transition(&user, password);
                    }
                    return Ok((user, detail));
                }
                Ok(false) => {}
                Err(error) => temporary = Some(format!("saslauthd at {}: {error}", socket.display())),
            }
        }
        Err(temporary.map_or(Failure::BadCredentials, Failure::Temporary))
    }
}

impl Shared {
    /// Keeps the keys of a password that saslauthd accepted. The login stands, whatever happens here.
    fn transition(&self, user: &str, password: &[u8]) {
        let kept = match std::str::from_utf8(password) {
            Ok(password) => self.passwords.set(user, password),
            Err(_) => Err(PasswordError::BadPassword),
        };
        if let Err(error) = kept {
            warn!(user, "sasl_auto_transition: {error}");
        }
    }
}

/// `=2C` is a comma, `=3D` an equals sign (RFC 5802 section 5.1).
pub(super) fn unescape(name: &str) -> String {
    name.replace("=2C", ",").replace("=3D", "=")
}
