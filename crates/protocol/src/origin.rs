//! Where a proxied session comes from: what a frontend of this project tells a backend of it, by XCLIENT in IMAP, POP3 and
//! ManageSieve.
//!
//! ```text
//! xclient = "XCLIENT" 1*(SP name "=" value)
//! name    = "ADDR" / "SESSION" / "SERVICE" / "NODE" / "SINCE" / "TLS" / "PARKED" / "ADOPTS"      others are skipped
//! value   = xtext                                                          RFC 3461 section 4
//! ```
//!
//! Postfix and Dovecot have a command of that name and form; NODE, SERVICE and SINCE are ours. A backend announces XCLIENT, and
//! believes it of those whom `proxyservers` lists.
//!
//! A frontend that keeps an IMAP connection for its user's next session says so with `PARKED=yes`, under the name of the session
//! that has ended, and later gives the next one's. It does that where XCLIENT=PARKED is announced: such a backend keeps nothing of
//! the one for the other, and refuses the command where there is something to keep.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// A client's session at a frontend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The client's address, or what stands for one.
    pub client: String,
    /// The session's name at the frontend.
    pub session: String,
    /// The entry of the frontend's cyrus.conf.
    pub service: String,
    /// The frontend's `servername`.
    pub node: String,
    /// When the session began, in seconds since 1970.
    pub since: u64,
    pub tls: bool,
    /// The session has ended: its connection waits at the frontend for the user's next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// The frontend goes after a selected mailbox that moves: it knows what to do with XMOVED.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopts: bool,
}

impl Origin {
    /// The command without its line end: `XCLIENT ADDR=192.0.2.1 …`.
    pub fn command(&self) -> String {
        format!("XCLIENT {self}")
    }

    /// Reads the arguments. `None`: a word is malformed or too long, or the session is not named.
    pub fn parse(words: &str) -> Option<Origin> {
        let mut origin = Origin::default();
        for word in words.split_ascii_whitespace() {
            let (name, value) = word.split_once('=')?;
            let value = from_xtext(value)?;
            match name.to_ascii_uppercase().as_str() {
                "ADDR" => origin.client = value,
                "SESSION" => origin.session = value,
                "SERVICE" => origin.service = value,
                "NODE" => origin.node = value,
                "SINCE" => origin.since = value.parse().ok()?,
                "TLS" => origin.tls = value.eq_ignore_ascii_case("yes"),
                "ADOPTS" => origin.adopts = value.eq_ignore_ascii_case("yes"),
                "PARKED" => origin.parked = value.eq_ignore_ascii_case("yes"),
                _ => {}
            }
        }
        (!origin.session.is_empty()).then_some(origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.to_string();
        let words = [
            ("ADDR", self.client.as_str()),
            ("SESSION", &self.session),
            ("SERVICE", &self.service),
            ("NODE", &self.node),
            ("SINCE", &since),
            ("TLS", if self.tls { "yes" } else { "no" }),
        ];
        for (at, (name, value)) in words.into_iter().enumerate() {
            write!(f, "{}{name}={}", if at == 0 { "" } else { " " }, to_xtext(value))?;
        }
        f.write_str(if self.parked { " PARKED=yes" } else { "" })?;
        f.write_str(if self.adopts { " ADOPTS=yes" } else { "" })
    }
}

fn to_xtext(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes().take(VALUE) {
        match byte {
            b'+' | b'=' => {}
            b'!'..=b'~' => {
                out.push(char::from(byte));
                continue;
            }
            _ => {}
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "+{byte:02X}");
    }
    out
}

fn from_xtext(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                high * 16 + low
            }
            b'!'..=b'~' => byte,
            _ => return None,
        });
    }
    let value = String::from_utf8(bytes).ok()?;
    // It goes into logs and tables.
    (value.len() <= VALUE && !value.chars().any(char::is_control)).then_some(value)
}

/// Bytes of a value.
const VALUE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_session_is_told_in_one_line_and_what_is_unknown_is_skipped() {
        let origin = Origin {
            client: "unix socket".into(),
            session: "imapproxy-1-2".into(),
            service: "imaps".into(),
            node: "fe1.example.org".into(),
            since: 1_700_000_000,
            tls: true,
            parked: false,
            adopts: false,
        };
        let line = "XCLIENT ADDR=unix+20socket SESSION=imapproxy-1-2 SERVICE=imaps NODE=fe1.example.org SINCE=1700000000 TLS=yes";
        assert_eq!(origin.command(), line);
        let words = line.strip_prefix("XCLIENT").unwrap();
        assert_eq!(Origin::parse(&format!("{words} PORT=99")), Some(origin.clone()));
        let parked = Origin { parked: true, adopts: true, ..origin };
        assert_eq!(parked.command(), format!("{line} PARKED=yes ADOPTS=yes"));
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        let long = format!("SESSION={}", "x".repeat(VALUE + 1));
        for words in [
            "",
            "ADDR=192.0.2.1",
            "SESSION",
            "SESSION=",
            "SESSION=a+2",
            "SESSION=a+0A",
            "SESSION=a+zz",
            "SESSION=\u{e4}",
            "SESSION=a SINCE=soon",
            "SESSION=a SINCE=99999999999999999999999",
            &long,
        ] {
            assert_eq!(Origin::parse(words), None, "{words}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(client in "[ -~\u{e4}]{0,40}", session in "[!-~]{1,40}", since: u64, tls: bool, parked: bool) {
            let origin = Origin { client, session, since, tls, parked, ..Origin::default() };
            prop_assert_eq!(Origin::parse(&origin.to_string()), Some(origin));
        }

        #[test]
        fn any_text_is_survived(words in "\\PC{0,100}") {
            let _ = Origin::parse(&words);
        }
    }
}
