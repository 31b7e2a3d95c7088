//! A backend that is dead for good: its mailboxes are given up by the operator, and by nobody else.

use std::fs;
use std::io::{Read, Write};
use std::process::{Output, Stdio};

use serde_json::Value;
use system_tests::{Murder, Plan, eventually};

/// `murder forget` on a node, with what is typed.
fn forget(system: &Murder, node: &str, words: &[&str], typed: &str) -> Output {
    system.murder_with(node, "forget", words, typed.as_bytes())
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Alice is on backend1, which is dead, and was last seen two hours ago.
fn dead_backend() -> Murder {
    let plan = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2");
    let mut system = plan.option("*", "mupdate_retry_delay", "1").start();
    let mut alice = system.login("frontend1", "alice");
    alice.must("CREATE Work").unwrap();
    system.deliver("frontend1", &["alice"], "before");
    system.agree(&["mupdate", "frontend1"]);
    let alive = text(&forget(&system, "mupdate", &["backend1.demo.test"], "backend1.demo.test\n"));
    assert!(alive.contains("was seen by the master") && alive.contains("nothing is changed"), "{alive}");
    system.stop("backend1");
    // As the master would remember it.
    system.stop("mupdate");
    let seen = system.node("mupdate").conf_dir().join("murder/mupdate/seen.json");
    let mut times: Value = serde_json::from_slice(&fs::read(&seen).unwrap()).unwrap();
    let time = times["backend1.demo.test"].as_u64().unwrap();
    times["backend1.demo.test"] = (time - 7200).into();
    fs::write(&seen, times.to_string()).unwrap();
    system.start("mupdate");
    eventually("the master has listened long enough", || {
        let asked = forget(&system, "mupdate", &["--dry-run", "backend1.demo.test"], "");
        asked.status.success().then_some(())
    });
    system
}

/// What becomes of a message for alice.
fn delivered(system: &Murder, id: &str) -> String {
    system.deliver("frontend1", &["alice"], id).remove(0)
}

#[test]
fn the_mailboxes_of_a_dead_backend_are_given_up_by_name_and_their_users_stay_temporary() {
    let mut system = dead_backend();
    let name = "backend1.demo.test";
    // Another name, or none, changes nothing.
    for typed in ["", "yes\n", "backend2.demo.test\n"] {
        let refused = forget(&system, "mupdate", &[name], typed);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused).contains("nothing is changed"), "{}", text(&refused));
    }
    let before = system.list("mupdate");
    assert_eq!(before.len(), 3, "{before:?}");
    // One that lives is not forgotten, whatever is typed.
    let alive = forget(&system, "mupdate", &["backend2.demo.test"], "backend2.demo.test\n");
    assert_eq!(alive.status.code(), Some(1), "{}", text(&alive));

    let dump = system.node("mupdate").conf_dir().join("given-up.json");
    let words = ["--dump", dump.to_str().unwrap(), name];
    let done = forget(&system, "mupdate", &words, &format!("{name}\n"));
    let said = text(&done);
    assert!(done.status.success(), "{said}");
    for line in ["mailboxes   2", "users       1: alice", "last seen   2 h ago", "are reserved, 0 left alone"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    // Mail waits at its sender, and clients are told to wait.
    eventually("the frontend has heard of it", || {
        let mut alice = system.login("frontend1", "alice");
        let answer = alice.command("SELECT INBOX").ok()?.result;
        (answer == "NO [UNAVAILABLE] Mailbox is currently reserved").then_some(())
    });
    assert!(delivered(&system, "meanwhile").starts_with("451"), "{}", delivered(&system, "again"));
    assert!(system.deliver("frontend1", &["bob"], "bob")[0].starts_with("250"));
    // Taken back, whole.
    let undone = system.tool_with("mupdate", "ctl_mboxlist", &["-u"], &fs::read(&dump).unwrap());
    assert!(undone.status.success(), "{}", text(&undone));
    assert_eq!(system.list("mupdate"), before);
    system.start("backend1");
    eventually("alice has her mail again", || {
        let mut alice = system.try_imap("frontend1")?;
        alice.login("alice", &system.password("alice")).ok()?;
        let answer = alice.command("SELECT INBOX").ok()?;
        (answer.is_ok() && answer.lines.concat().contains("* 1 EXISTS")).then_some(())
    });
}

#[test]
fn a_backend_that_comes_back_while_its_name_is_typed_is_not_forgotten() {
    let mut system = dead_backend();
    let before = system.list("mupdate");
    let mut forget = system.program("murder");
    forget.args(["forget", "-C"]).arg(system.node("mupdate").imapd_conf()).arg("backend1.demo.test");
    forget.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut forget = forget.spawn().unwrap();
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(b"to go on: ") && forget.stdout.as_mut().unwrap().read(&mut byte).unwrap() > 0 {
        said.extend_from_slice(&byte);
    }
    system.start("backend1");
    forget.stdin.take().unwrap().write_all(b"backend1.demo.test\n").unwrap();
    let refused = forget.wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("nothing is changed"), "{}", text(&refused));
    assert_eq!(system.list("mupdate"), before);
}

#[test]
fn a_dump_that_may_undo_another_change_is_not_replaced() {
    let system = dead_backend();
    let dump = system.node("mupdate").conf_dir().join("given-up.json");
    fs::write(&dump, "precious").unwrap();
    let name = "backend1.demo.test";
    let words = ["--dump", dump.to_str().unwrap(), name];
    let refused = forget(&system, "mupdate", &words, &format!("{name}\n"));
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert_eq!(fs::read_to_string(&dump).unwrap(), "precious");
}

#[test]
fn a_backend_that_was_forgotten_takes_its_mailboxes_back_when_it_lives_after_all() {
    let mut system = dead_backend();
    let before = system.list("mupdate");
    let name = "backend1.demo.test";
    // From a frontend, too, whose identity the master lets change its list.
    let done = forget(&system, "frontend1", &[name], &format!("{name}\n"));
    assert!(done.status.success(), "{}", text(&done));
    system.start("backend1");
    eventually("the master has them again", || (system.list("mupdate") == before).then_some(()));
}

#[test]
fn with_bounce_mail_for_the_users_of_a_forgotten_backend_is_refused_for_good() {
    let system = dead_backend();
    let name = "backend1.demo.test";
    let done = forget(&system, "mupdate", &[name], &format!("{name}\n"));
    assert!(done.status.success(), "{}", text(&done));
    let again = forget(&system, "mupdate", &["--bounce", name], &format!("{name}\n"));
    assert!(text(&again).contains("are deleted, 0 left alone"), "{}", text(&again));
    eventually("no such user", || delivered(&system, "bounced").starts_with("550").then_some(()));
    // The name is free, and bob was never touched.
    let mut admin = system.admin("frontend1");
    admin.must("CREATE user/alice backend2.demo.test!").unwrap();
    eventually("alice has an INBOX elsewhere", || delivered(&system, "new").starts_with("250").then_some(()));
    assert!(system.deliver("frontend1", &["bob"], "bob")[0].starts_with("250"));
}
