//! `virtdomains: on`: who types no domain is of the domain of the address that he came to, by its name.
//!
//! It is looked up once for each connection, when somebody wants to log in, and not for nodes and admins: what they are called is in
//! the configuration, and whom a node acts for it names in full.

use std::net::IpAddr;

use tokio::time::timeout;
use transport::peer::{Channel, Peer};

use super::{Settings, Shared};
use crate::limits::{DOMAIN, rows};

/// How the domain of an address is found. Blocks.
pub type DomainOf = fn(IpAddr) -> Option<String>;

impl Shared {
    /// Learns of which domain this connection's users are, where the configuration wants that.
    pub(super) async fn look_up_domain(&self, channel: &Channel) {
        let Some(domain_of) = self.settings.domain_of else { return };
        let Peer::Tcp { local, .. } = &channel.peer else { return };
        if channel.conduct.domain.get().is_some() {
            return;
        }
        let address = local.ip();
        let looked = timeout(DOMAIN, tokio::task::spawn_blocking(move || domain_of(address))).await;
        let domain = looked.unwrap_or_else(|_| {
            rows::DOMAIN.met(format_args!(
                "{address} has not got a name in time (virtdomains: on): whoever types no domain is of {}",
                self.settings.defaultdomain
            ));
            Ok(None)
        });
        // Another login of the same connection may have been faster.
        let _ = channel.conduct.domain.set(domain.unwrap_or_default());
    }
}

impl Settings {
    /// The domain of a name that is typed without one; none: the default one.
    pub(super) fn domain_for<'c>(&self, local: &str, channel: &'c Channel) -> Option<&'c str> {
        let known = |list: &[String]| list.iter().any(|one| one.eq_ignore_ascii_case(local));
        let domain = channel.conduct.domain.get()?.as_deref();
        domain.filter(|_| !known(&self.admins) && !known(&self.nodes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Authenticator, Failure, Pace, Step};
    use crate::passwords::PasswordDb;

    fn channel(local: &str) -> Channel {
        let remote = "192.0.2.7:40000".parse().unwrap();
        Channel::new(Peer::Tcp { remote, local: format!("{local}:143").parse().unwrap() })
    }

    fn named(address: IpAddr) -> Option<String> {
        match address.to_string().as_str() {
            "192.0.2.1" => Some("one.org".to_owned()),
            "192.0.2.2" => Some("home.org".to_owned()),
            _ => None,
        }
    }

    #[tokio::test]
    async fn who_types_no_domain_is_of_the_one_of_the_address_that_he_came_to() {
        let dir = tempfile::tempdir().unwrap();
        let passwords = PasswordDb::new(dir.path().join("passwords"));
        for user in ["fred", "fred@one.org", "cyrus", "proxy"] {
            passwords.set(user, &format!("of {user}")).unwrap();
        }
        let settings = Settings {
            allowplaintext: true,
            unix_groups: false,
            virtdomains: true,
            domain_of: Some(named),
            defaultdomain: "home.org".into(),
            admins: vec!["cyrus".into()],
            proxyservers: vec!["proxy".into()],
            nodes: vec!["proxy".into()],
            ..Settings::default()
        };
        let auth = Authenticator::new(settings, passwords, Pace::default());
        let login = async |local: &str, typed: &str, password: &str| {
            let login = auth.login(typed, password.as_bytes(), &channel(local)).await;
            login.map(|login| login.userid)
        };
        let ok = |user: &str| Ok(user.to_owned());
        assert_eq!(login("192.0.2.1", "fred", "of fred@one.org").await, ok("fred@one.org"));
        assert_eq!(login("192.0.2.1", "fred", "of fred").await, Err(Failure::BadCredentials));
        assert_eq!(login("192.0.2.1", "fred@home.org", "of fred").await, ok("fred"));
        assert_eq!(login("192.0.2.1", "Cyrus", "of cyrus").await, ok("cyrus"));
        for local in ["192.0.2.2", "192.0.2.3"] {
            assert_eq!(login(local, "fred", "of fred").await, ok("fred"), "{local}");
            assert_eq!(login(local, "fred@one.org", "of fred@one.org").await, ok("fred@one.org"));
        }
        let sasl = async |message: &str| {
            let mut exchange = auth.start("PLAIN", &channel("192.0.2.1")).unwrap();
            match exchange.step(Some(message.as_bytes())).await {
                Step::Done(login) => Some(login.userid),
                _ => None,
            }
        };
        assert_eq!(sasl("\0fred\0of fred@one.org").await.as_deref(), Some("fred@one.org"));
        assert_eq!(sasl("fred\0fred\0of fred@one.org").await.as_deref(), Some("fred@one.org"));
        // A node says whom it means.
        assert_eq!(sasl("fred\0proxy\0of proxy").await.as_deref(), Some("fred"));
        assert_eq!(sasl("fred@one.org\0proxy\0of proxy").await.as_deref(), Some("fred@one.org"));
    }
}
