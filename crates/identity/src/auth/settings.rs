//! The options that decide logins on a listener.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::imapd::networks::{self, Network};
use config::imapd::{GroupSource, Imapd, VirtDomains};
use protocol::spoken::Protocol;

use transport::peer::{Channel, Peer};

use super::Tickets;
use crate::limits::FAILED_PAUSE;

/// How the domain of an address is found. Blocks.
pub type DomainOf = fn(IpAddr) -> Option<String>;

/// As imapd.conf has them for one listener.
#[derive(Clone, Debug)]
pub struct Settings {
    pub allowplaintext: bool,
    pub tls_required: bool,
    /// `sasl_minimum_layer`: 0 none, else TLS is needed.
    pub minimum_layer: u32,
    /// `sasl_mech_list`; empty: all that can work.
    pub mech_list: Vec<String>,
    /// Passwords are in our database (`auxprop`).
    pub auxprop: bool,
    /// saslauthd's socket, when it is asked.
    pub saslauthd: Option<PathBuf>,
    /// `sasl_auto_transition`: a password that saslauthd accepts is added to our database.
    pub auto_transition: bool,
    /// `alwaystrue`: for tests only.
    pub alwaystrue: bool,
    /// What saslauthd and PAM call this service.
    pub service: &'static str,
    /// The entry of cyrus.conf, by which users are denied.
    pub entry: String,
    pub admins: Vec<String>,
    pub proxyservers: Vec<String>,
    /// The names that other nodes log in with: `proxyservers`, and where MUPDATE is spoken `admins` and `mupdate_readers`.
    pub nodes: Vec<String>,
    pub loginuseacl: bool,
    /// `allowanonymouslogin`: the user `anonymous` needs no password (IMAP, NNTP).
    pub anonymous: bool,
    pub username_tolower: bool,
    /// Virtual domains: `user@domain` is a name, and the default domain's is stored without it.
    pub virtdomains: bool,
    pub defaultdomain: String,
    /// `virtdomains: on`: how the domain of an address is found, of which users are who type none.
    pub domain_of: Option<DomainOf>,
    pub loginrealms: Vec<String>,
    /// `user+detail` at login.
    pub plus_detail: bool,
    pub unix_groups: bool,
    /// Users have groups that cannot be looked up (`auth_mech: pts`): each may be in any.
    pub unknown_groups: bool,
    /// On a unified node: as whom its own proxies log in on a UNIX socket, by nothing but who they are.
    pub own_proxy: Option<String>,
    /// `sasl_external_altname`: a certificate without a common name is known by its first alternative name.
    pub external_altname: bool,
    pub failed_pause: Duration,
    /// `failedlogin_shared_addresses`: failed logins from there count by user only.
    pub shared_addresses: Vec<Network>,
    pub plaintext_pause: Duration,
    /// Kerberos tickets can be taken.
    pub tickets: Option<Tickets>,
}

impl Default for Settings {
    /// The defaults of imapd.conf.
    fn default() -> Settings {
        Settings {
            allowplaintext: false,
            tls_required: false,
            minimum_layer: 0,
            mech_list: Vec::new(),
            auxprop: true,
            saslauthd: None,
            auto_transition: false,
            alwaystrue: false,
            service: "imap",
            entry: String::new(),
            admins: Vec::new(),
            proxyservers: Vec::new(),
            nodes: Vec::new(),
            loginuseacl: false,
            anonymous: false,
            username_tolower: true,
            virtdomains: false,
            defaultdomain: String::new(),
            domain_of: None,
            loginrealms: Vec::new(),
            plus_detail: false,
            unix_groups: true,
            unknown_groups: false,
            own_proxy: None,
            external_altname: false,
            failed_pause: FAILED_PAUSE,
            shared_addresses: Vec::new(),
            plaintext_pause: Duration::ZERO,
            tickets: None,
        }
    }
}

impl Settings {
    /// The options that decide logins on a listener of `protocol`. Reads the keytab.
    pub fn of(imapd: &Imapd, protocol: Protocol) -> Settings {
        let nodes = match protocol {
            Protocol::Mupdate => [&imapd.proxyservers[..], &imapd.admins, &imapd.mupdate_readers].concat(),
            Protocol::Imap | Protocol::Pop3 | Protocol::Lmtp | Protocol::Sieve | Protocol::Nntp => {
                imapd.proxyservers.clone()
            }
        };
        let methods = |name: &str| imapd.sasl_pwcheck_method.iter().any(|method| method == name);
        Settings {
            allowplaintext: imapd.allowplaintext,
            tls_required: imapd.tls_required,
            minimum_layer: imapd.sasl_minimum_layer,
            mech_list: imapd.sasl_mech_list.clone(),
            auxprop: methods("auxprop"),
            saslauthd: methods("saslauthd").then(|| saslauthd_socket(&imapd.sasl_saslauthd_path)),
            auto_transition: imapd.sasl_auto_transition,
            alwaystrue: methods("alwaystrue"),
            service: protocol.sasl_service(),
            entry: imapd.identity().to_owned(),
            admins: imapd.admins.clone(),
            proxyservers: imapd.proxyservers.clone(),
            nodes,
            loginuseacl: imapd.loginuseacl,
            anonymous: imapd.allowanonymouslogin && matches!(protocol, Protocol::Imap | Protocol::Nntp),
            username_tolower: imapd.username_tolower,
            virtdomains: imapd.virtdomains != VirtDomains::Off,
            defaultdomain: imapd.defaultdomain.clone(),
            domain_of: (imapd.virtdomains == VirtDomains::On).then_some(transport::resolve::domain_of),
            loginrealms: imapd.loginrealms.clone(),
            plus_detail: match protocol {
                Protocol::Imap => imapd.imapmagicplus,
                Protocol::Pop3 => imapd.popsubfolders,
                _ => false,
            },
            unix_groups: imapd.groups() == GroupSource::System,
            unknown_groups: imapd.groups() == GroupSource::Unknown,
            own_proxy: imapd.proxyservers.first().filter(|_| imapd.is_unified()).cloned(),
            external_altname: imapd.sasl_external_altname,
            failed_pause: imapd.failedloginpause,
            shared_addresses: networks::parse_all(&imapd.failedlogin_shared_addresses),
            plaintext_pause: imapd.plaintextloginpause,
            tickets: Tickets::of(imapd),
        }
    }

    pub(super) fn mechanisms(&self, channel: &Channel) -> Vec<&'static str> {
        let tls = channel.tls.as_deref();
        if tls.is_none() && (self.tls_required || self.minimum_layer > 0) {
            return Vec::new();
        }
        let plaintext = self.allows_plaintext(channel);
        let binding = tls.is_some_and(|tls| tls.channel_binding.is_some());
        let certificate = tls.is_some_and(|tls| tls.client_certificate);
        MECHANISMS
            .iter()
            .filter(|(name, needs)| match needs {
                Needs::Keys => self.auxprop && self.lists(name, true),
                // libsasl's clients bind to tls-unique, which TLS 1.3 does not have, as soon as -PLUS is offered:
                // only where an admin names it.
                Needs::KeysAndBinding => self.auxprop && binding && self.lists(name, false),
                Needs::Plaintext => plaintext && self.lists(name, true),
                Needs::Certificate => {
                    (certificate && self.lists(name, true)) || self.proxy_beside(channel).is_some()
                }
                Needs::Keytab => self.tickets.is_some() && self.lists(name, true),
            })
            .map(|(name, _)| *name)
            .collect()
    }

    pub(super) fn allows_plaintext(&self, channel: &Channel) -> bool {
        let refused = self.tls_required || self.minimum_layer > 0 || !self.allowplaintext;
        channel.is_encrypted() || !refused
    }

    /// As whom the other end of a UNIX socket is known, where it is a process of this node's own user.
    pub(super) fn proxy_beside(&self, channel: &Channel) -> Option<&str> {
        let own = rustix::process::geteuid().as_raw();
        let is_own = matches!(channel.peer, Peer::Unix { uid, .. } if uid == own);
        self.own_proxy.as_deref().filter(|_| is_own)
    }

    /// What one who is nobody gives as a password (by custom, an address) is no secret, and needs no TLS.
    pub(super) fn admits_anonymous(&self, user: &str, channel: &Channel) -> bool {
        let in_time = channel.is_encrypted() || !(self.tls_required || self.minimum_layer > 0);
        self.anonymous && in_time && user.eq_ignore_ascii_case(super::ANONYMOUS)
    }

    fn lists(&self, mechanism: &str, by_default: bool) -> bool {
        match self.mech_list.is_empty() {
            true => by_default,
            false => self.mech_list.iter().any(|listed| listed.eq_ignore_ascii_case(mechanism)),
        }
    }
}

/// Sites write the directory or the socket in it.
fn saslauthd_socket(written: &str) -> PathBuf {
    let path = PathBuf::from(written);
    if path.is_dir() { path.join("mux") } else { path }
}

/// What a mechanism needs to work.
enum Needs {
    Keys,
    KeysAndBinding,
    Plaintext,
    Certificate,
    Keytab,
}

const MECHANISMS: &[(&str, Needs)] = &[
    (super::GSSAPI, Needs::Keytab),
    ("SCRAM-SHA-256-PLUS", Needs::KeysAndBinding),
    ("SCRAM-SHA-1-PLUS", Needs::KeysAndBinding),
    ("SCRAM-SHA-256", Needs::Keys),
    ("SCRAM-SHA-1", Needs::Keys),
    ("EXTERNAL", Needs::Certificate),
    ("PLAIN", Needs::Plaintext),
    ("LOGIN", Needs::Plaintext),
];

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn parse(text: &str) -> Imapd {
        Imapd::parse(Path::new("imapd.conf"), &format!("configdirectory: /v\n{text}"), "imap").unwrap()
    }
    use transport::tls::TlsInfo;

    fn clear() -> Channel {
        let any = "127.0.0.1:143".parse().unwrap();
        Channel::new(Peer::Tcp { remote: any, local: any })
    }

    fn tls(certificate: bool) -> Channel {
        let info = TlsInfo {
            channel_binding: Some(vec![1; 32]),
            client_certificate: certificate,
            ..TlsInfo::default()
        };
        Channel { tls: Some(Arc::new(info)), ..clear() }
    }

    #[test]
    fn plaintext_mechanisms_need_tls_or_allowplaintext() {
        let strict = Settings::default();
        assert_eq!(strict.mechanisms(&clear()), ["SCRAM-SHA-256", "SCRAM-SHA-1"]);
        assert_eq!(strict.mechanisms(&tls(false)), ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]);
        let loose = Settings { allowplaintext: true, ..Settings::default() };
        assert!(loose.mechanisms(&clear()).contains(&"PLAIN"));
    }

    #[test]
    fn nothing_is_offered_before_tls_where_that_is_required() {
        let strict = Settings { tls_required: true, allowplaintext: true, ..Settings::default() };
        assert!(strict.mechanisms(&clear()).is_empty());
        assert!(!strict.allows_plaintext(&clear()));
        assert!(strict.allows_plaintext(&tls(false)));
    }

    #[test]
    fn a_list_restricts_and_alone_admits_channel_binding() {
        let mech_list = vec!["scram-sha-256-plus".to_owned(), "plain".to_owned()];
        let listed = Settings { mech_list, ..Settings::default() };
        assert_eq!(listed.mechanisms(&tls(true)), ["SCRAM-SHA-256-PLUS", "PLAIN"]);
    }

    #[test]
    fn external_needs_a_certificate_and_scram_needs_keys() {
        let saslauthd = Settings { auxprop: false, ..Settings::default() };
        assert_eq!(saslauthd.mechanisms(&tls(true)), ["EXTERNAL", "PLAIN", "LOGIN"]);
    }

    #[test]
    fn login_options_reach_an_authenticator() {
        let dir = tempfile::tempdir().unwrap();
        let imapd = parse(&format!(
            "sasl_pwcheck_method: saslauthd\nsasl_saslauthd_path: {}\nsasl_auto_transition: yes\nsasl_minimum_layer: 56\n\
             sasl_mech_list: PLAIN LOGIN\nplaintextloginpause: 2\nfailedloginpause: 1m\nloginuseacl: yes\nimapmagicplus: yes\n\
             popsubfolders: no\nsasl_external_altname: yes\nfailedlogin_shared_addresses: 192.0.2.0/24\nallowanonymouslogin: yes\ntls_required: yes\nloginrealms: a b\nunix_group_enable: no",
            dir.path().display()
        ));
        let settings = Settings::of(&imapd, Protocol::Imap);
        assert_eq!(settings.saslauthd, Some(dir.path().join("mux")));
        assert!(
            !settings.auxprop && !settings.alwaystrue && settings.auto_transition && settings.tls_required
        );
        assert_eq!((settings.minimum_layer, settings.mech_list.len()), (56, 2));
        assert_eq!(settings.plaintext_pause, Duration::from_secs(2));
        assert_eq!(settings.failed_pause, Duration::from_secs(60));
        assert!(settings.external_altname && settings.shared_addresses.len() == 1);
        assert!(settings.loginuseacl && settings.plus_detail && settings.anonymous && !settings.unix_groups);
        assert_eq!(settings.loginrealms, ["a", "b"]);
        let pop3 = Settings::of(&imapd, Protocol::Pop3);
        assert!(!pop3.plus_detail && !pop3.anonymous);
        assert!(Settings::of(&parse("sasl_pwcheck_method: alwaystrue"), Protocol::Imap).alwaystrue);
    }
}
