//! Whether a connection to another node may be used as it is: the one rule of all protocols (IMAP, POP3, LMTP, MUPDATE).
//!
//! | the server | TLS is up, or a UNIX socket | STARTTLS offered | not offered, refused, or PREAUTH |
//! |---|---|---|---|
//! | TLS is demanded of it | log in | raise TLS | refuse |
//! | a Cyrus MUPDATE master, TLS demanded only by the CA, that offers SCRAM | log in | log in by SCRAM | log in by SCRAM |
//! | TLS is not demanded of it | log in | raise TLS if a CA, a certificate or the lack of a mechanism asks for it | log in |
//!
//! TLS is demanded where servers can be verified (`tls_server_ca_file`, `tls_server_ca_dir`); `<shorthost>_tls` and `mupdate_tls`
//! go before that, and so does `/tls` in `mupdate_server`. A Cyrus `mupdate` dies of STARTTLS sooner or later, as its documentation
//! says. PLAIN and LOGIN, which tell the password, need TLS, a UNIX socket, or `allowplaintext`.

use config::imapd::Imapd;
use transport::peer::{Channel, Peer};
use transport::settings;

use crate::auth::client::Credentials;
use crate::limits::ANSWER_MAX;

/// What one server must give before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    demanded: Demanded,
    /// A CA, or (for a backend) a certificate to show, is configured: TLS is used where it is offered.
    wanted: bool,
    /// `allowplaintext`.
    plaintext: bool,
    /// What would allow the old way.
    allow: String,
}

/// What a server says of itself before the login.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub starttls: bool,
    pub mechanisms: &'a [&'a str],
    /// It greeted with PREAUTH.
    pub preauth: bool,
    /// It is a MUPDATE master of Cyrus's, by its banner.
    pub cyrus_master: bool,
}

/// What to do next with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    RaiseTls,
    /// Go on as the connection is: log in by what [`Rule::choose`] gives.
    LogIn,
    Refuse(Refusal),
}

/// Why a server is not used without TLS, and the option that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS required, {why}: not used ({allow} to allow it)")]
pub struct Refusal {
    why: String,
    allow: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demanded {
    No,
    /// By the CA alone: a Cyrus master is excepted.
    ByCa,
    ByName,
}

impl Rule {
    /// Towards a backend: `server` as the list or `serverlist` has it.
    pub fn backend(imapd: &Imapd, server: &str) -> Rule {
        let host = transport::resolve::Server::parse(server).host().to_owned();
        let options = settings::client_tls(imapd, &host);
        let allow = format!("set {}_tls: no", config::imapd::shorthost(&host));
        let certificate = options.certificate.is_some();
        Rule::new(imapd, imapd.host_tls(&host), options.verifies(), certificate, allow)
    }

    /// Towards `mupdate_server`; `named`: it was written with `/tls`.
    pub fn master(imapd: &Imapd, named: bool) -> Rule {
        let ca = settings::client_tls(imapd, "").verifies();
        let said = if named { Some(true) } else { imapd.mupdate_tls };
        let allow = if named { "set mupdate_server without /tls" } else { "set mupdate_tls: no" };
        Rule::new(imapd, said, ca, false, allow.to_owned())
    }

    /// For a person at a terminal, who names a mechanism that tells the password, or does not.
    pub fn by_hand(plaintext: bool) -> Rule {
        Rule { demanded: Demanded::No, wanted: false, plaintext, allow: String::new() }
    }

    fn new(imapd: &Imapd, said: Option<bool>, ca: bool, certificate: bool, allow: String) -> Rule {
        let demanded = match (said, ca) {
            (Some(true), _) => Demanded::ByName,
            (None, true) => Demanded::ByCa,
            (Some(false), _) | (None, false) => Demanded::No,
        };
        Rule { demanded, wanted: ca || certificate, plaintext: imapd.allowplaintext, allow }
    }

    /// What to do with a connection on which nobody has logged in.
    pub fn next(&self, seen: Seen<'_>, credentials: &Credentials, channel: &Channel) -> Step {
        if is_protected(channel) {
            return Step::LogIn;
        }
        let usable = self.choose(credentials, seen, channel).is_some();
        let spared = seen.cyrus_master && usable && !self.tells(credentials, seen, channel);
        let demanded = match self.demanded {
            Demanded::No => false,
            Demanded::ByCa => !spared,
            Demanded::ByName => true,
        };
        match (demanded, seen.starttls && !seen.preauth) {
            (true, true) => Step::RaiseTls,
            (true, false) if seen.preauth => Step::Refuse(self.refusal("but logged in without it (PREAUTH)")),
            (true, false) => Step::Refuse(self.refusal("not offered")),
            (false, true) if !usable || (self.wanted && !seen.cyrus_master) => Step::RaiseTls,
            (false, _) => Step::LogIn,
        }
    }

    /// The server offered STARTTLS and refused it.
    pub fn refused(&self, answer: &str) -> Refusal {
        let answer: String = answer.chars().take(ANSWER_MAX).collect();
        self.refusal(format!("refused ({answer})"))
    }

    /// Whether a server whose STARTTLS fails must not be used.
    pub fn demands(&self) -> bool {
        self.demanded != Demanded::No
    }

    /// After STARTTLS the server must not offer less protection than it did before: not STARTTLS again, which says that it sees no
    /// TLS, and not only mechanisms that tell the password where it had others.
    pub fn unweakened(
        &self,
        before: &[&str],
        after: Seen<'_>,
        credentials: &Credentials,
        channel: &Channel,
    ) -> Result<(), Refusal> {
        if after.starttls {
            return Err(self.refusal("but the server sees none: it offers STARTTLS again"));
        }
        let had = credentials.choose(before.iter().copied(), channel).is_some_and(|one| !is_plain(one));
        match had && self.tells(credentials, after, channel) {
            true => Err(self.refusal("and under it only mechanisms that tell the password are left")),
            false => Ok(()),
        }
    }

    /// The best mechanism of those offered: SCRAM before PLAIN, and PLAIN and LOGIN only where they may be said.
    pub fn choose(
        &self,
        credentials: &Credentials,
        seen: Seen<'_>,
        channel: &Channel,
    ) -> Option<&'static str> {
        let may_tell = self.plaintext || is_protected(channel);
        let offered = seen.mechanisms.iter().copied().filter(|name| may_tell || !is_plain(name));
        credentials.choose(offered, channel)
    }

    /// Whether a login is not possible only because the password is not told without TLS.
    pub fn withholds(&self, credentials: &Credentials, seen: Seen<'_>, channel: &Channel) -> bool {
        self.choose(credentials, seen, channel).is_none()
            && credentials.choose(seen.mechanisms.iter().copied(), channel).is_some()
    }

    fn tells(&self, credentials: &Credentials, seen: Seen<'_>, channel: &Channel) -> bool {
        self.choose(credentials, seen, channel).is_some_and(is_plain)
    }

    fn refusal(&self, why: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), allow: self.allow.clone() }
    }
}

/// Nobody on the way can read it or change it.
fn is_protected(channel: &Channel) -> bool {
    channel.is_encrypted() || matches!(channel.peer, Peer::Unix { .. })
}

/// Whether a mechanism tells the password.
pub fn is_plain(mechanism: &str) -> bool {
    ["PLAIN", "LOGIN"].iter().any(|plain| plain.eq_ignore_ascii_case(mechanism))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use transport::tls::TlsInfo;

    const ALL: &[&str] = &["PLAIN", "SCRAM-SHA-256"];
    const PLAIN: &[&str] = &["PLAIN", "LOGIN"];
    const CA: &str = "tls_server_ca_file: /ca\n";

    fn imapd(lines: &str) -> Imapd {
        let text = format!("configdirectory: /v\nproxy_password: p\nmupdate_password: p\n{lines}");
        Imapd::parse(Path::new("imapd.conf"), &text, "x").unwrap()
    }

    fn clear() -> Channel {
        let address = SocketAddr::from(([192, 0, 2, 1], 143));
        Channel {
            peer: Peer::Tcp { remote: address, local: address },
            tls: None,
            conduct: Default::default(),
        }
    }

    fn channels() -> [(&'static str, Channel); 3] {
        [
            ("clear", clear()),
            ("tls", Channel { tls: Some(Arc::new(TlsInfo::default())), ..clear() }),
            (
                "socket",
                Channel {
                    peer: Peer::Unix { uid: 0, gid: 0, pid: None },
                    tls: None,
                    conduct: Default::default(),
                },
            ),
        ]
    }

    /// The steps for STARTTLS × PREAUTH, in the clear: `(not, no) (offered, no) (not, preauth) (offered, preauth)`.
    fn row(rule: &Rule, credentials: &Credentials, mechanisms: &[&str], cyrus_master: bool) -> String {
        let mut cells = Vec::new();
        for (preauth, starttls) in [(false, false), (false, true), (true, false), (true, true)] {
            let seen = Seen { starttls, mechanisms, preauth, cyrus_master };
            cells.push(match rule.next(seen, credentials, &clear()) {
                Step::RaiseTls => "raise",
                Step::LogIn => "login",
                Step::Refuse(_) => "refuse",
            });
        }
        cells.join(" ")
    }

    #[test]
    fn every_backend_is_used_or_refused_as_the_table_has_it() {
        let demanded = "refuse raise refuse refuse";
        let wanted = "login raise login login";
        let clear_if_usable = "login login login login";
        let plain_ok = "allowplaintext: yes\n";
        for (lines, offered, expected) in [
            (CA, ALL, demanded),
            (CA, PLAIN, demanded),
            (CA, &[][..], demanded),
            ("tls_server_ca_dir: /cas\n", ALL, demanded),
            ("be2_tls: yes\n", ALL, demanded),
            ("tls_server_ca_file: /ca\nallowplaintext: yes\n", PLAIN, demanded),
            ("tls_server_ca_file: /ca\nbe2_tls: no\n", ALL, wanted),
            ("tls_server_ca_file: /ca\nbe2_tls: no\n", PLAIN, wanted),
            ("tls_client_cert: /c\n", ALL, wanted),
            ("", ALL, clear_if_usable),
            ("", PLAIN, wanted),
            ("", &[][..], wanted),
            (plain_ok, PLAIN, clear_if_usable),
            ("be3_tls: yes\nmupdate_tls: yes\n", ALL, clear_if_usable),
        ] {
            let imapd = imapd(lines);
            for server in ["be2.example.org", "be2.example.org:1143", "BE2.example.org/noauth"] {
                let credentials = Credentials::proxy(&imapd, server, Some("fred"));
                let rule = Rule::backend(&imapd, server);
                assert_eq!(
                    row(&rule, &credentials, offered, false),
                    expected,
                    "{server}: {lines:?} {offered:?}"
                );
            }
        }
    }

    #[test]
    fn every_master_is_used_or_refused_as_the_table_has_it() {
        let demanded = "refuse raise refuse refuse";
        let wanted = "login raise login login";
        let in_the_clear = "login login login login";
        // Configuration, what is offered, of ours, of Cyrus's.
        for (lines, named, offered, ours, cyrus) in [
            (CA, false, ALL, demanded, in_the_clear),
            (CA, false, PLAIN, demanded, demanded),
            ("tls_server_ca_file: /ca\nallowplaintext: yes\n", false, ALL, demanded, in_the_clear),
            ("tls_server_ca_file: /ca\nallowplaintext: yes\n", false, PLAIN, demanded, demanded),
            ("tls_server_ca_file: /ca\nmupdate_tls: yes\n", false, ALL, demanded, demanded),
            ("tls_server_ca_file: /ca\nmupdate_tls: no\n", true, ALL, demanded, demanded),
            ("", true, ALL, demanded, demanded),
            ("mupdate_tls: yes\n", false, PLAIN, demanded, demanded),
            ("tls_server_ca_file: /ca\nmupdate_tls: no\n", false, ALL, wanted, in_the_clear),
            ("tls_server_ca_file: /ca\nmupdate_tls: no\n", false, PLAIN, wanted, wanted),
            ("", false, ALL, in_the_clear, in_the_clear),
            ("", false, PLAIN, wanted, wanted),
            ("allowplaintext: yes\n", false, PLAIN, in_the_clear, in_the_clear),
        ] {
            let imapd = imapd(lines);
            let credentials = Credentials::mupdate(&imapd, "mupdate.example.org");
            let rule = Rule::master(&imapd, named);
            assert_eq!(row(&rule, &credentials, offered, false), ours, "ours: {lines:?} {named} {offered:?}");
            assert_eq!(
                row(&rule, &credentials, offered, true),
                cyrus,
                "Cyrus: {lines:?} {named} {offered:?}"
            );
        }
    }

    #[test]
    fn under_tls_and_through_a_unix_socket_nothing_more_is_demanded() {
        let imapd = imapd("tls_server_ca_file: /ca\nbe2_tls: yes\nmupdate_tls: yes\n");
        let credentials = Credentials::proxy(&imapd, "be2", None);
        for rule in
            [Rule::backend(&imapd, "be2"), Rule::master(&imapd, true), Rule::backend(&imapd, "/run/lmtp")]
        {
            for (which, channel) in channels() {
                for bits in 0..8 {
                    let (starttls, preauth, cyrus_master) = (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
                    let seen = Seen { starttls, mechanisms: ALL, preauth, cyrus_master };
                    let login = rule.next(seen, &credentials, &channel) == Step::LogIn;
                    assert!(login || which == "clear", "{which} {seen:?}");
                }
            }
        }
    }

    #[test]
    fn a_password_is_proven_before_it_is_told_and_told_only_under_tls_or_by_allowplaintext() {
        for (lines, offered, expected) in [
            ("", ALL, [Some("SCRAM-SHA-256"); 3]),
            ("", PLAIN, [None, Some("PLAIN"), Some("PLAIN")]),
            ("allowplaintext: yes\n", PLAIN, [Some("PLAIN"); 3]),
            ("allowplaintext: yes\n", ALL, [Some("SCRAM-SHA-256"); 3]),
            ("", &["login"][..], [None, Some("LOGIN"), Some("LOGIN")]),
            ("allowplaintext: yes\n", &["CRAM-MD5"][..], [None; 3]),
        ] {
            let imapd = imapd(lines);
            let credentials = Credentials::mupdate(&imapd, "m");
            let rule = Rule::master(&imapd, false);
            let seen = Seen { starttls: false, mechanisms: offered, preauth: false, cyrus_master: false };
            for ((which, channel), expected) in channels().into_iter().zip(expected) {
                assert_eq!(
                    rule.choose(&credentials, seen, &channel),
                    expected,
                    "{which} {lines:?} {offered:?}"
                );
                let told = rule.withholds(&credentials, seen, &channel);
                assert_eq!(told, expected.is_none() && offered != ["CRAM-MD5"], "{which} {offered:?}");
            }
        }
    }

    #[test]
    fn what_a_server_offers_under_tls_is_not_less_than_before() {
        let imapd = imapd(CA);
        let (rule, credentials) = (Rule::backend(&imapd, "be2"), Credentials::proxy(&imapd, "be2", None));
        let [_, (_, tls), _] = channels();
        for (before, after, starttls, holds) in [
            (ALL, ALL, false, true),
            (PLAIN, ALL, false, true),
            (&[][..], PLAIN, false, true),
            (PLAIN, PLAIN, false, true),
            (ALL, PLAIN, false, false),
            (ALL, ALL, true, false),
        ] {
            let seen = Seen { starttls, mechanisms: after, preauth: false, cyrus_master: false };
            let verdict = rule.unweakened(before, seen, &credentials, &tls);
            assert_eq!(verdict.is_ok(), holds, "{before:?} {after:?} {starttls}");
        }
    }

    #[test]
    fn a_refusal_names_the_option_that_allows_it() {
        let imapd = imapd(CA);
        let credentials = Credentials::proxy(&imapd, "be2.example.org", None);
        let seen = Seen { starttls: false, mechanisms: ALL, preauth: false, cyrus_master: false };
        let told = |rule: Rule, seen| match rule.next(seen, &credentials, &clear()) {
            Step::Refuse(refusal) => refusal.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(Rule::backend(&imapd, "be2.example.org"), seen),
            "TLS required, not offered: not used (set be2_tls: no to allow it)"
        );
        assert_eq!(
            told(Rule::master(&imapd, false), Seen { preauth: true, ..seen }),
            "TLS required, but logged in without it (PREAUTH): not used (set mupdate_tls: no to allow it)"
        );
        assert_eq!(
            Rule::backend(&imapd, "be2:143").refused("454 not now").to_string(),
            "TLS required, refused (454 not now): not used (set be2_tls: no to allow it)"
        );
    }
}
