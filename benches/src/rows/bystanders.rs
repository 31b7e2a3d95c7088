//! How long a user's NOOP takes while another one, on the same backend, sends what costs most.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use murder::clients::{Imap, Lmtp};

use super::Bench;
use crate::{
    figures::{Bar, Row},
    system::{Node, PEOPLE, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let ours = worst(&bench.ours, bench.size.messages)?;
    // Cyrus ends the session of who sends such lines: then there is nothing to compare with.
    let cyrus = bench.cyrus.as_ref().and_then(|cyrus| worst(cyrus, bench.size.messages).ok());
    let what = format!(
        "NOOP while another user lists, searches and changes {} messages: the slowest",
        bench.size.messages
    );
    row(Row::seconds(what, Bar::AtMost(0.1), ours, cyrus));
    Ok(())
}

/// The slowest NOOP of a user whose INBOX is on the same backend as that of the hostile one.
fn worst(system: &System, messages: usize) -> io::Result<Duration> {
    // Every other user is on the same backend.
    let (hostile, bystander) = (PEOPLE[0], PEOPLE[2]);
    fill(system, hostile, messages)?;
    let mut noop = open(system, bystander)?;
    let (ready, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let attack = scope.spawn(|| {
            let attacked = attack(system, hostile, &ready);
            ready.store(true, Ordering::Relaxed);
            done.store(true, Ordering::Relaxed);
            attacked
        });
        let mut slowest = Duration::ZERO;
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            noop.must("NOOP")?;
            if ready.load(Ordering::Relaxed) {
                slowest = slowest.max(began.elapsed());
            }
            std::thread::park_timeout(PAUSE);
        }
        attack.join().map_err(|_| io::Error::other("the hostile client's thread ended"))??;
        Ok(slowest)
    })
}

fn attack(system: &System, user: &str, ready: &AtomicBool) -> io::Result<()> {
    let (mut first, mut second) = (open(system, user)?, open(system, user)?);
    ready.store(true, Ordering::Relaxed);
    for command in [
        format!("LIST \"\" {}", "a%*".repeat(30_000)),
        format!("SEARCH {}ALL", "SEEN KEYWORD $none UNFLAGGED ".repeat(1600)),
        format!("SEARCH {}ALL", "OR KEYWORD $a KEYWORD $b ".repeat(1600)),
        format!("SEARCH UID 1:3000 {}ALL", "NOT BODY none ".repeat(1500)),
        "STORE 1:* +FLAGS.SILENT (\\Flagged)".to_owned(),
        "FETCH 1:* (FLAGS UID)".to_owned(),
        "STORE 1:* -FLAGS.SILENT (\\Flagged)".to_owned(),
    ] {
        // What is refused as too much is answered too.
        first.command(&command)?;
        second.command("NOOP")?;
    }
    Ok(())
}

/// Makes one message many, by copying.
fn fill(system: &System, user: &str, messages: usize) -> io::Result<()> {
    let message = format!(
        "From: a@example.org\r\nSubject: one\r\nMessage-ID: <{}@bystanders>\r\n\r\nHello\r\n",
        std::process::id()
    );
    Lmtp::connect(system.address(Node::Frontend, "lmtp"))?.deliver("a@example.org", &[user], &message)?;
    let mut imap = open(system, user)?;
    let mut there = 1;
    while there < messages {
        let copied = there.min(messages - there);
        imap.must(&format!("COPY 1:{copied} INBOX"))?;
        imap.must("NOOP")?;
        there += copied;
    }
    Ok(())
}

fn open(system: &System, user: &str) -> io::Result<Imap> {
    let mut imap = Imap::plain(system.address(Node::Frontend, "imap"))?;
    imap.login(user, user)?;
    imap.must("SELECT INBOX")?;
    Ok(imap)
}

/// Between two NOOPs.
const PAUSE: Duration = Duration::from_millis(2);
