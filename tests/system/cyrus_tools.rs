//! `mupdatetest`: Cyrus's with our server, ours with Cyrus's.

use std::process::{Command, Output, Stdio};

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    lab::{self, Profile},
};

/// Runs it until the server closed: what it says is asked after the login.
fn talk(mut tester: Command, flags: &[&str], ask: &str) -> String {
    use std::io::Write;
    tester
        .args(flags)
        .arg("mupdate.murder.test")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = tester.spawn().unwrap();
    running.stdin.take().unwrap().write_all(ask.as_bytes()).unwrap();
    let Output { stdout, stderr, .. } = running.wait_with_output().unwrap();
    String::from_utf8_lossy(&stdout).replace('\r', "") + &String::from_utf8_lossy(&stderr)
}

/// Flags, and what the talk must have in it beside an answer.
const TALKS: [(&[&str], &str); 8] = [
    (&["-m", "SCRAM-SHA-256"], "C: A01 AUTHENTICATE \"SCRAM-SHA-256\""),
    (&["-m", "SCRAM-SHA-1"], "C: A01 AUTHENTICATE \"SCRAM-SHA-1\""),
    (&["-m", "PLAIN"], "C: A01 AUTHENTICATE \"PLAIN\""),
    (&["-m", "PLAIN", "-i"], "C: A01 AUTHENTICATE \"PLAIN\"\n"),
    (&["-m", "LOGIN"], "C: A01 AUTHENTICATE \"LOGIN\""),
    (&["-m", "SCRAM-SHA-256", "-q"], "COMPRESS \"DEFLATE\""),
    (&["-m", "PLAIN", "-t", ""], "C: S01 STARTTLS"),
    (&["-m", "SCRAM-SHA-256", "-t", "", "-q"], "C: S01 STARTTLS"),
];

/// `tries`: Cyrus's mupdate dies of TLS now and then, and with it a talk.
fn each_talk(murder: &Murder, tester: impl Fn() -> Command, tries: usize) {
    murder.mupdate("mupdate").must("ACTIVATE \"user.fred\" \"be1.murder.test!default\" \"fred\tlrs\t\"");
    for (flags, mark) in TALKS {
        let identity = ["-a", "backend", "-w", "backend"];
        let flags: Vec<&str> = identity.iter().chain(flags).copied().collect();
        let ask = "F1 FIND \"user.fred\"\nF2 FIND \"user.nobody\"\nL LOGOUT\n";
        let mut talks =
            (0..tries).map(|_| talk(tester(), &flags, ask)).skip_while(|shown| !shown.contains("F2 OK"));
        let shown = talks.next().unwrap_or_else(|| talk(tester(), &flags, ask));
        for wanted in
            [mark, "S: A01 OK", "Authenticated.", "F1 OK \"Search completed\"", "F2 OK \"Search completed\""]
        {
            assert!(shown.contains(wanted), "{flags:?}: no {wanted:?} in:\n{shown}");
        }
        assert!(shown.contains("user.fred"), "{flags:?}: {shown}");
    }
    let wrong = talk(tester(), &["-a", "backend", "-w", "wrong", "-m", "SCRAM-SHA-256"], "L LOGOUT\n");
    assert!(wrong.contains("Authentication failed."), "{wrong}");
}

#[test]
fn cyruss_mupdatetest_talks_to_our_master_in_every_way() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &[("mupdate", Ours)]) else { return };
    let plan = plan.option("mupdate", "allowplaintext", "yes").option("mupdate", "failedloginpause", "0");
    let murder = plan.start();
    each_talk(&murder, lab::mupdatetest, 1);
}

#[test]
fn our_mupdatetest_talks_to_a_cyrus_master_in_every_way() {
    let Some(plan) = Plan::mixed(Profile::Defaults, &[("mupdate", Cyrus)]) else { return };
    let murder = plan.start();
    each_talk(&murder, || murder.program("mupdatetest"), 5);
}
