//! Whoever shows half a ticket, one that was shown before, or none at all is refused in the protocol's words, and others go on.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::Site;
use crate::bad_input::exchange_at;

/// What a client sent in its first message, in base64, as Cyrus's clients print it.
fn shown(said: &str) -> String {
    let token = said.split_whitespace().find(|word| word.starts_with("YII"));
    token.unwrap_or_else(|| panic!("no ticket in {said}")).to_owned()
}

#[test]
fn tickets_that_are_none_are_refused_on_every_protocol_and_others_go_on() {
    let Some(site) =
        Site::of("hostile::tickets_that_are_none_are_refused_on_every_protocol_and_others_go_on")
    else {
        return;
    };
    let commands = [
        ("frontend1", "imap", "a AUTHENTICATE GSSAPI ", "\na NO "),
        ("backend1", "imap", "a AUTHENTICATE GSSAPI ", "\na NO "),
        ("frontend1", "pop3", "AUTH GSSAPI ", "\n-ERR "),
        ("backend1", "pop3", "AUTH GSSAPI ", "\n-ERR "),
        ("frontend1", "nntp", "AUTHINFO SASL GSSAPI ", "\n48"),
        ("backend1", "nntp", "AUTHINFO SASL GSSAPI ", "\n48"),
        ("backend1", "lmtp", "LHLO x\r\nAUTH GSSAPI ", "\n5"),
        ("mupdate", "mupdate", "a AUTHENTICATE \"GSSAPI\" ", "\na NO "),
        ("frontend1", "sieve", "AUTHENTICATE \"GSSAPI\" ", "\nNO "),
        ("backend1", "sieve", "AUTHENTICATE \"GSSAPI\" ", "\nNO "),
    ];
    for (node, service, command, refusal) in commands {
        let at = site.address(node, service);
        let quoted = |token: &str| match service {
            "sieve" | "mupdate" => format!("{{{}+}}\r\n{token}", token.len()),
            _ => token.to_owned(),
        };
        let refused = |what: &str, token: &str| {
            let said = exchange_at(at, format!("{command}{}\r\n{END}", quoted(token)).as_bytes());
            assert!(said.contains(refusal), "{node} {service}, {what}: {said}");
        };
        // A ticket for this very service, which somebody has seen on its way.
        let tester = match service {
            "imap" => "imtest",
            "pop3" => "pop3test",
            "nntp" => "nntptest",
            "lmtp" => "lmtptest",
            "sieve" => "sivtest",
            _ => "mupdatetest",
        };
        let token = shown(&site.client("mailproxy", tester, at, &[]));
        refused("shown before", &token);
        let half = BASE64_STANDARD.decode(&token).unwrap();
        refused("half", &BASE64_STANDARD.encode(&half[..half.len() / 2]));
        let mut other = half.clone();
        other[half.len() - 20] ^= 1;
        refused("changed", &BASE64_STANDARD.encode(&other));
        refused("none", "YWxpY2U=");
        let endless = exchange_at(at, format!("{command}{}", "YWxp".repeat(1 << 20)).as_bytes());
        assert!(!endless.contains("Authenticated"), "{node} {service}: {endless}");
    }
    for node in ["frontend1", "backend1"] {
        nobody_is_let_in_by_half_of_kpop(&site, node);
    }
    let said = site.client("alice", "imtest", site.address("frontend1", "imap"), &[]);
    assert!(said.contains("\nAuthenticated."), "{said}");
}

/// One of them ends the session in each protocol.
pub(super) const END: &str = "Q LOGOUT\r\nQUIT\r\nLOGOUT\r\n";

fn nobody_is_let_in_by_half_of_kpop(site: &Site, node: &str) {
    let at = site.address(node, "kpop");
    let sendauth = b"\0\0\0\x13KRB5_SENDAUTH_V1.0\0";
    let kpop = b"\0\0\0\x09KPOPV1.0\0";
    let begun = [&sendauth[..], kpop].concat();
    for (input, answer) in [
        (b"\0\0\0\x02V2".to_vec(), "\x01"),
        ([&sendauth[..], b"\0\0\0\x02V2"].concat(), "\x02"),
        (b"\0\xff\xff\xff".to_vec(), ""),
        ([&begun[..], b"\0\0\0\x05alice"].concat(), "\0"),
        ([&begun[..], b"\0\xff\xff\xffx"].concat(), "\0"),
        ([&begun[..], b"\0\0\0\0"].concat(), "\0"),
        ([&begun[..], b"USER alice\r\nPASS x\r\nSTAT\r\n"].concat(), "\0"),
        (sendauth[..10].to_vec(), ""),
    ] {
        assert_eq!(exchange_at(at, &input), answer, "{node}: {}", input.escape_ascii());
    }
    let said = exchange_at(at, b"USER alice\r\nPASS x\r\nSTAT\r\nQUIT\r\n");
    assert!(said.starts_with("+OK ") && !said.contains("+OK Mailbox"), "{node}: {said}");
}
