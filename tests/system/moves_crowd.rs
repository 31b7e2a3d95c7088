//! Very many sessions of one frontend whose mailboxes move, at rest and at work, while mail comes: none of them ends.
//!
//! `MURDER_SESSIONS` and `MURDER_MOVES` make it a crowd (see `tests/long`). It prints how long changes waited, as the backends noted it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use system_tests::{Murder, Plan, eventually, message};

const USERS: [&str; 4] = ["fred", "wilma", "barney", "betty"];

fn asked(option: &str) -> Option<usize> {
    std::env::var(option).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{option} is a number")))
}

/// What goes on beside the moves.
struct Crowd<'a> {
    murder: &'a Murder,
    over: AtomicBool,
    on: AtomicUsize,
    sent: AtomicUsize,
    /// Refused for now, and sent again.
    again: AtomicUsize,
}

impl Crowd<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// A session in IDLE until the end.
    fn rests(&self, user: &str) {
        let mut imap = self.murder.login("frontend1", user);
        imap.must("SELECT INBOX").unwrap();
        let idle = imap.idle().unwrap();
        self.on.fetch_add(1, Ordering::SeqCst);
        while !self.is_over() {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        let told = idle.done().unwrap_or_else(|error| panic!("{user}, who idles: {error}"));
        assert!(told.is_ok() && !told.lines.iter().any(|line| line.starts_with("* BYE")), "{user}: {told:?}");
    }

    /// A session that asks and writes; `pause`: between two commands.
    fn works(&self, user: &str, pause: Duration) {
        let mut imap = self.murder.login("frontend1", user);
        imap.must("SELECT INBOX").unwrap();
        self.on.fetch_add(1, Ordering::SeqCst);
        for command in
            ["NOOP", "STORE 1:* +FLAGS (x)", "FETCH 1:* (UID)", "STORE 1 -FLAGS.SILENT (x)"].iter().cycle()
        {
            if self.is_over() {
                break;
            }
            imap.must(command).unwrap_or_else(|error| panic!("{user}, who works: {error}"));
            std::thread::park_timeout(pause);
        }
    }

    /// Mail for all, without pause.
    fn sends(&self, sender: usize) {
        let mut lmtp = self.murder.lmtp("frontend1");
        for (n, user) in (0..).zip(USERS.iter().cycle()) {
            if self.is_over() {
                break;
            }
            let text = message(&format!("{sender}-{n}"));
            // As an MTA does: a host that is busy with very much else may not decide a move in time.
            eventually("mail is taken", || {
                let replies = lmtp.deliver("a@b", &[user], &text).unwrap();
                let taken = replies[0].starts_with("250");
                assert!(taken || replies[0].starts_with('4'), "{user}: {replies:?}");
                self.again.fetch_add(usize::from(!taken), Ordering::SeqCst);
                taken.then_some(())
            });
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// How many milliseconds changes waited in each move, in their order.
fn pauses(murder: &Murder) -> Vec<u64> {
    let mut pauses: Vec<u64> = ["backend1", "backend2"]
        .iter()
        .flat_map(|node| {
            std::fs::read_dir(murder.node(node).conf_dir().join("murder/backend/moves")).unwrap()
        })
        .filter_map(|file| {
            let text = std::fs::read_to_string(file.unwrap().path()).ok()?;
            let (_, rest) = text.split_once("\"pause\":")?;
            rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        })
        .collect();
    pauses.sort_unstable();
    pauses
}

#[test]
fn no_session_of_a_crowd_ends_when_its_mailbox_moves() {
    let (sessions, moves) = (asked("MURDER_SESSIONS").unwrap_or(40), asked("MURDER_MOVES").unwrap_or(6));
    let plan = Plan::nodes(1, 2).option("*", "allowusermoves", "yes");
    let murder = USERS.iter().fold(plan, |plan, user| plan.user(user, "backend1")).start();
    for user in USERS {
        assert!(murder.deliver("frontend1", &[user], "first")[0].starts_with("250"));
    }
    let crowd = Crowd {
        murder: &murder,
        over: AtomicBool::new(false),
        on: AtomicUsize::new(0),
        sent: AtomicUsize::new(0),
        again: AtomicUsize::new(0),
    };
    std::thread::scope(|scope| {
        let crowd = &crowd;
        for (n, user) in (0..sessions).zip(USERS.iter().cycle()) {
            match n {
                // Eight write as fast as they can.
                0..8 => drop(scope.spawn(move || crowd.works(user, Duration::ZERO))),
                _ if n % 8 < 4 => drop(scope.spawn(move || crowd.works(user, Duration::from_secs(1)))),
                _ => drop(scope.spawn(move || crowd.rests(user))),
            }
        }
        let go = || {
            eventually("all are on", || (crowd.on.load(Ordering::SeqCst) == sessions).then_some(()));
            (0..16.min(sessions / 20)).for_each(|sender| drop(scope.spawn(move || crowd.sends(sender))));
            let mut admin = murder.admin("frontend1");
            for (n, user) in (0..moves).zip(USERS.iter().cycle()) {
                let to = if (n / USERS.len()).is_multiple_of(2) { "backend2" } else { "backend1" };
                eventually("the move before is over", || {
                    let rename = format!("RENAME user/{user} user/{user} {to}.demo.test!");
                    let answer = admin.command(&rename).unwrap();
                    assert!(answer.is_ok() || answer.result.contains("Mailbox is locked"), "{answer:?}");
                    answer.is_ok().then_some(())
                });
            }
        };
        let went = std::panic::catch_unwind(std::panic::AssertUnwindSafe(go));
        crowd.over.store(true, Ordering::SeqCst);
        if let Err(panic) = went {
            std::panic::resume_unwind(panic);
        }
    });
    let pauses = pauses(&murder);
    assert_eq!(pauses.len(), moves, "each move has a pause: {pauses:?}");
    let (median, worst) = (pauses[moves / 2], pauses[moves - 1]);
    let sent = crowd.sent.load(Ordering::SeqCst);
    let again = crowd.again.load(Ordering::SeqCst);
    eprintln!(
        "{sessions} sessions, {moves} moves, {sent} messages, {again} replies 4xx: changes waited {median} ms, {worst} ms at most"
    );
    let mut found = 0;
    for user in USERS {
        let lines = murder.login("frontend1", user).must("STATUS INBOX (MESSAGES)").unwrap().lines;
        let messages = lines[0].split_once("MESSAGES ").unwrap().1.trim_end_matches(')').to_owned();
        found += messages.parse::<usize>().unwrap();
    }
    assert_eq!(found, sent + USERS.len());
}
