//! Mailboxes that move between backends under everybody's hands.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use system_tests::{Murder, Plan, eventually, message};

fn plan() -> Plan {
    Plan::nodes(1, 2).option("*", "allowusermoves", "yes").user("fred", "backend1").user("wilma", "backend2")
}

/// The node whose name the master's list has for a user's INBOX.
fn home(murder: &Murder, user: &str) -> String {
    let server = murder.list("mupdate")[&format!("user.{user}")].server.clone();
    server.split('.').next().unwrap_or_default().to_owned()
}

/// `murder move` with the frontend's configuration; one that has just come waits until the backend that had it has done with it.
fn moved(murder: &Murder, user: &str, to: &str) -> String {
    let server = format!("{to}.demo.test");
    eventually("the move before is over", || {
        let done = murder.murder_with("frontend1", "move", &[user, &server], b"");
        let said =
            [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        assert!(done.status.success() || said.contains("Mailbox is locked"), "{said}");
        done.status.success().then_some(said)
    })
}

#[test]
fn clients_that_are_on_go_on_with_the_same_numbers_when_their_mailbox_moves() {
    let murder = plan().start();
    for id in ["one", "two", "three"] {
        assert!(murder.deliver("frontend1", &["fred"], id)[0].starts_with("250"));
    }
    let (mut first, mut second) = (murder.login("frontend1", "fred"), murder.login("frontend1", "fred"));
    first.must("SELECT INBOX").unwrap();
    second.must("SELECT INBOX").unwrap();
    // The second one is not told of this before it has moved.
    first.must("UID STORE 1 +FLAGS.SILENT (\\Deleted)").unwrap();
    first.must("UID EXPUNGE 1").unwrap();
    let said = moved(&murder, "fred", "backend2");
    assert!(said.contains("user.fred: backend1.demo.test!default -> backend2.demo.test"), "{said}");
    assert_eq!(home(&murder, "fred"), "backend2");
    // By number: what the client counts as the third is UID 3, though there are two left.
    let lines = second.must("FETCH 3 (UID FLAGS)").unwrap().lines;
    assert!(lines.iter().any(|line| line.starts_with("* 3 FETCH (") && line.contains("UID 3")), "{lines:?}");
    let lines = second.must("NOOP").unwrap().lines;
    assert!(lines.iter().any(|line| line == "* 1 EXPUNGE"), "{lines:?}");
    first.must("STORE 2 +FLAGS (\\Flagged)").unwrap();
    let lines = second.must("NOOP").unwrap().lines;
    assert!(
        lines.iter().any(|line| line.starts_with("* 2 FETCH") && line.contains("\\Flagged")),
        "{lines:?}"
    );
    assert!(murder.deliver("frontend1", &["fred"], "four")[0].starts_with("250"));
    let lines = second.must("NOOP").unwrap().lines;
    assert!(lines.iter().any(|line| line == "* 3 EXISTS"), "{lines:?}");
    // And back, by RENAME at the frontend, with the same session.
    let mut admin = murder.admin("frontend1");
    eventually("the move before is over", || {
        let answer = admin.command("RENAME user/fred user/fred backend1.demo.test!").unwrap();
        assert!(answer.result.starts_with("OK") || answer.result.contains("Mailbox is locked"), "{answer:?}");
        answer.result.starts_with("OK").then_some(())
    });
    let lines = second.must("UID SEARCH ALL").unwrap().lines;
    assert!(lines.iter().any(|line| line == "* SEARCH 2 3 4"), "{lines:?}");
    assert_eq!(home(&murder, "fred"), "backend1");
    // The moves are over, and their copies are shown.
    let shown = murder.murder_with("frontend1", "moves", &[], b"");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("user.fred") && shown.contains("kept"), "{shown}");
}

#[test]
fn nothing_is_lost_or_doubled_or_refused_while_a_user_moves_there_and_back() {
    let murder = plan().start();
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (murder, over, sent) = (&murder, &over, &sent);
            scope.spawn(move || {
                let (mut lmtp, mut n) = (murder.lmtp("frontend1"), 0);
                while !over.load(Ordering::Relaxed) {
                    let id = format!("w{writer}-{n}");
                    let replies = lmtp.deliver("a@b", &["fred"], &message(&id)).unwrap();
                    assert!(replies[0].starts_with("250"), "{id}: {replies:?}");
                    sent.fetch_add(1, Ordering::Relaxed);
                    n += 1;
                }
            });
        }
        scope.spawn(|| {
            let mut on = murder.login("frontend1", "fred");
            on.must("SELECT INBOX").unwrap();
            while !over.load(Ordering::Relaxed) {
                on.must("STORE 1:* +FLAGS.SILENT (x)").unwrap();
                on.must("NOOP").unwrap();
            }
        });
        let goes = || {
            for to in ["backend2", "backend1", "backend2", "backend1"] {
                let before = sent.load(Ordering::Relaxed);
                eventually("mail goes on", || (sent.load(Ordering::Relaxed) > before + 3).then_some(()));
                moved(&murder, "fred", to);
            }
        };
        let went = std::panic::catch_unwind(std::panic::AssertUnwindSafe(goes));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = went {
            std::panic::resume_unwind(panic);
        }
    });
    let mut fred = murder.login("frontend1", "fred");
    let status = fred.must("STATUS INBOX (MESSAGES UIDNEXT)").unwrap().lines.join("\n");
    let sent = sent.load(Ordering::Relaxed);
    assert!(status.contains(&format!("(MESSAGES {sent} UIDNEXT {})", sent + 1)), "{sent} sent: {status}");
    murder.agree(&["mupdate", "backend1", "backend2", "frontend1"]);
}
