//! Logins and small commands: what a webmail or a phone does all day.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use murder::clients::Imap;

use super::{Bench, middle};
use crate::{
    figures::{Bar, Row, Unit},
    system::{Node, PEOPLE, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let time = bench.size.time;
    let places = [
        (Node::Backend, "directly", Bar::None, Bar::None),
        (Node::Frontend, "through the frontend", Bar::Times(30.0), Bar::AtMost(0.00015)),
    ];
    for (node, place, logins_bar, noop_bar) in places {
        let (ours, cyrus) = bench.in_turn(|system| logins(system.address(node, "imap"), time))?;
        let what = format!("LOGIN and SELECT, {CONNECTIONS} connections, {place}");
        row(Row::new(what, Unit::PerSecond, logins_bar, middle(ours).unwrap_or_default(), middle(cyrus)));
        let (ours, cyrus) = bench.in_turn(|system| noop(system.address(node, "imap"), time))?;
        let what = format!("NOOP with a mailbox selected, {place}");
        row(Row::new(what, Unit::Seconds, noop_bar, middle(ours).unwrap_or_default(), middle(cyrus)));
    }
    for mut admin in bench.admins()? {
        for number in 1..MAILBOXES {
            admin.must(&format!("CREATE user/alice/f{number}"))?;
        }
    }
    for (node, place, bar) in
        [(Node::Backend, "directly", Bar::None), (Node::Frontend, "through the frontend", Bar::Times(3.0))]
    {
        for command in ["STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", "LIST \"\" *"] {
            let address = |system: &System| system.address(node, "imap");
            let (ours, cyrus) = bench.in_turn(|system| asked(address(system), command, time))?;
            let what = format!("{command}, {MAILBOXES} mailboxes, {place}");
            row(Row::new(what, Unit::Seconds, bar, middle(ours).unwrap_or_default(), middle(cyrus)));
        }
    }
    Ok(())
}

/// Sessions a second: each logs in, selects its INBOX and is closed.
fn logins(address: SocketAddr, time: Duration) -> io::Result<f64> {
    let began = Instant::now();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            thread::spawn(move || {
                // Those of the first backend, which is the one that is asked directly.
                let user = PEOPLE.get(2 * number % PEOPLE.len()).copied().unwrap_or("alice");
                let mut sessions = 0;
                while began.elapsed() < time {
                    let mut imap = Imap::plain(address)?;
                    imap.login(user, user)?;
                    imap.must("SELECT INBOX")?;
                    sessions += 1;
                }
                Ok::<usize, io::Error>(sessions)
            })
        })
        .collect();
    let mut sessions = 0;
    for worker in workers {
        sessions += worker.join().map_err(|_| io::Error::other("a client panicked"))??;
    }
    Ok(sessions as f64 / began.elapsed().as_secs_f64())
}

/// Seconds from a NOOP to its answer, one after the other: the middle one.
fn noop(address: SocketAddr, time: Duration) -> io::Result<f64> {
    asked(address, "NOOP", time)
}

/// The same of any command, with the INBOX selected.
fn asked(address: SocketAddr, command: &str, time: Duration) -> io::Result<f64> {
    let mut imap = Imap::plain(address)?;
    imap.login("alice", "alice")?;
    imap.must("SELECT INBOX")?;
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let asked = Instant::now();
        imap.must(command)?;
        times.push(asked.elapsed().as_secs_f64());
    }
    Ok(middle(times).unwrap_or_default())
}

const CONNECTIONS: usize = 8;
/// Mailboxes of the user whose LIST is timed.
const MAILBOXES: usize = 20;
