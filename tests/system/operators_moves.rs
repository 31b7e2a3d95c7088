//! What operators do with many mailboxes: a backend is emptied, its copies go, and it is removed; a move is undone.

use std::process::Output;

use system_tests::{Murder, Plan, eventually};

fn plan() -> Plan {
    let mut plan = Plan::nodes(1, 2).option("*", "allowusermoves", "yes");
    for n in 0..5 {
        plan = plan.user(&format!("user{n}"), "backend1");
    }
    plan.user("wilma", "backend2")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(murder: &Murder, verb: &str, words: &[&str], typed: &str) -> (bool, String) {
    let output = murder.murder_with("frontend1", verb, words, typed.as_bytes());
    (output.status.success(), text(&output))
}

#[test]
fn a_backend_is_emptied_while_its_users_are_on_and_removed_when_nothing_is_left() {
    let murder = plan().start();
    let be1 = "backend1.demo.test";
    let mut on = murder.login("frontend1", "user3");
    on.must("SELECT INBOX").unwrap();
    on.must("CREATE Archive").unwrap();
    // The plan first; and nothing without the name.
    let (done, said) = run(&murder, "drain", &[be1, "--dry-run"], "");
    assert!(done && said.contains("backend1.demo.test -> backend2.demo.test: 5 users"), "{said}");
    let (done, said) = run(&murder, "drain", &[be1], "backend2.demo.test\n");
    assert!(!done && said.contains("nothing is moved"), "{said}");
    assert!(murder.list("mupdate").values().any(|entry| entry.server == be1));
    let (done, said) = run(&murder, "remove", &[be1], "");
    assert!(!done && said.contains("murder drain backend1.demo.test"), "{said}");
    let (done, said) = run(&murder, "drain", &[be1], "backend1.demo.test\n");
    assert!(
        done && said.contains("5 moved, 0 go on, 0 queued") && said.contains("0 mailboxes are left"),
        "{said}"
    );
    assert!(murder.list("mupdate").values().all(|entry| entry.server != be1));
    // Who was on has heard nothing.
    assert!(murder.deliver("frontend1", &["user3"], "after")[0].starts_with("250"));
    eventually("the mail is there", || {
        let lines = on.must("NOOP").unwrap().lines;
        lines.iter().any(|line| line == "* 1 EXISTS").then_some(())
    });
    // No move to where nothing is to be.
    let (done, said) = run(&murder, "move", &["user3", be1], "");
    assert!(
        !done && said.contains("backend1.demo.test gets no mailboxes: murder uncordon backend1.demo.test"),
        "{said}"
    );
    // The copies are there still.
    let (done, said) = run(&murder, "remove", &[be1, "--dry-run"], "");
    assert!(!done && said.contains("copies that moves left"), "{said}");
    for n in 0..5 {
        let (done, said) = run(&murder, "moves", &["--confirm", &format!("user.user{n}")], "");
        assert!(done, "{said}");
    }
    let (_, said) = run(&murder, "moves", &[], "");
    assert!(said.contains("0 moves"), "{said}");
    // This node would choose it still.
    let (done, said) = run(&murder, "remove", &[be1], "");
    assert_eq!(done, !said.contains("murder remove:"), "{said}");
    assert!(done || said.contains("serverlist"), "{said}");
}

#[test]
fn a_move_is_undone_with_the_mail_that_came_since() {
    let murder = plan().start();
    assert!(murder.deliver("frontend1", &["user0"], "before")[0].starts_with("250"));
    let (done, said) = run(&murder, "move", &["user0", "backend2.demo.test", "--dry-run"], "");
    assert!(
        done && said.contains("1 mailboxes, 1 messages") && said.contains("are free on default there"),
        "{said}"
    );
    let (done, said) = run(&murder, "move", &["user0", "backend2.demo.test", "--keep", "14d"], "");
    assert!(done && said.contains("user.user0 is on backend2.demo.test; changes waited for"), "{said}");
    assert!(murder.deliver("frontend1", &["user0"], "since")[0].starts_with("250"));
    let (_, said) = run(&murder, "moves", &[], "");
    assert!(said.contains("kept") && said.contains("the copy is kept until"), "{said}");
    let said = eventually("the move before is over", || {
        let (done, said) = run(&murder, "moves", &["--undo", "user0"], "");
        assert!(done || said.contains("locked") || said.contains("keeps a copy"), "{said}");
        done.then_some(said)
    });
    assert!(said.contains("user.user0 is on backend1.demo.test"), "{said}");
    let mut on = murder.login("frontend1", "user0");
    let status = on.must("STATUS INBOX (MESSAGES)").unwrap().lines.join("\n");
    assert!(status.contains("(MESSAGES 2)"), "{status}");
    let (done, said) = run(&murder, "rebalance", &["--by", "users", "--dry-run"], "");
    assert!(done && said.contains("backend1.demo.test -> backend2.demo.test: 2 users"), "{said}");
}
