//! What meets a move on its way: mail that is sent again, and mail for people on both sides of it.

use std::sync::atomic::{AtomicBool, Ordering};

use system_tests::{Murder, Plan, eventually, message};

fn plan() -> Plan {
    Plan::nodes(1, 2).option("*", "allowusermoves", "yes").user("fred", "backend1").user("wilma", "backend2")
}

/// Moves somebody, as soon as the move before is over.
fn go(murder: &Murder, user: &str, to: &str) {
    let mut admin = murder.admin("frontend1");
    eventually("the move before is over", || {
        let answer = admin.command(&format!("RENAME user/{user} user/{user} {to}.demo.test!")).unwrap();
        assert!(answer.is_ok() || answer.result.contains("Mailbox is locked"), "{answer:?}");
        answer.is_ok().then_some(())
    });
}

/// How many messages somebody has in INBOX.
fn count(murder: &Murder, user: &str) -> String {
    let lines = murder.login("frontend1", user).must("STATUS INBOX (MESSAGES)").unwrap().lines;
    lines.first().and_then(|line| line.split_once("MESSAGES ")).map_or(String::new(), |(_, n)| n.to_owned())
}

#[test]
fn a_message_that_is_sent_again_after_its_mailbox_moved_is_there_once() {
    let murder = plan().start();
    // Without a message, too.
    go(&murder, "fred", "backend2");
    assert!(murder.deliver("frontend1", &["fred"], "first")[0].starts_with("250"));
    go(&murder, "fred", "backend1");
    // Whoever sent it never heard that it had arrived.
    assert!(murder.deliver("frontend1", &["fred"], "first")[0].starts_with("250"));
    assert_eq!(count(&murder, "fred"), "1)");
    assert!(murder.deliver("frontend1", &["fred"], "second")[0].starts_with("250"));
    go(&murder, "fred", "backend2");
    assert!(murder.deliver("frontend1", &["fred"], "second")[0].starts_with("250"));
    assert_eq!(count(&murder, "fred"), "2)");
}

#[test]
fn a_message_for_people_on_both_sides_of_a_move_reaches_each_once() {
    let murder = plan().start();
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let (mut lmtp, mut sent) = (murder.lmtp("frontend1"), 0u32);
            while !over.load(Ordering::SeqCst) {
                let text = message(&format!("both-{sent}"));
                let replies = lmtp.deliver("a@b", &["fred", "wilma"], &text).unwrap();
                assert!(replies.iter().all(|reply| reply.starts_with("250")), "{sent}: {replies:?}");
                sent += 1;
            }
            sent
        });
        let moves = || {
            for (user, to) in
                [("fred", "backend2"), ("wilma", "backend1"), ("fred", "backend1"), ("wilma", "backend2")]
            {
                go(&murder, user, to);
            }
        };
        let went = std::panic::catch_unwind(std::panic::AssertUnwindSafe(moves));
        over.store(true, Ordering::SeqCst);
        let sent = sender.join().unwrap();
        if let Err(panic) = went {
            std::panic::resume_unwind(panic);
        }
        sent
    });
    for user in ["fred", "wilma"] {
        assert_eq!(count(&murder, user), format!("{sent})"), "{user}");
    }
}
