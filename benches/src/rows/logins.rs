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
    system::{Node, PEOPLE, ROUNDS, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let time = bench.size.time;
    let places = [
        (Node::Backend, "directly", Bar::None, Bar::None),
        (Node::Frontend, "through the frontend", Bar::Times(30.0), Bar::AtMost(0.00015)),
    ];
    let strangers = strangers(bench)?;
    for (node, place, logins_bar, noop_bar) in places {
        let (ours, cyrus) = bench.in_turn(|system| logins(system.address(node, "imap"), time))?;
        // Nobody of them has logged in since the node started.
        let cold = first_logins(bench.ours.address(node, "imap"), &strangers)?;
        let what = format!(
            "LOGIN and SELECT, {CONNECTIONS} connections, {place}: the first of each user, {ROUNDS} rounds"
        );
        row(Row::new(what, Unit::PerSecond, Bar::None, cold, middle(cyrus.clone())));
        let what = format!("LOGIN and SELECT, {CONNECTIONS} connections, {place}: warm");
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
    for (node, place) in [(Node::Backend, "directly"), (Node::Frontend, "through the frontend")] {
        for (command, times) in COMMANDS {
            let address = |system: &System| system.address(node, "imap");
            let (ours, cyrus) = bench.in_turn(|system| asked(address(system), command, time))?;
            let bar = if node == Node::Frontend { *times } else { times.min(2.0) };
            let what = format!("{command}, {MAILBOXES} mailboxes, {place}");
            row(Row::new(
                what,
                Unit::Seconds,
                Bar::Times(bar),
                middle(ours).unwrap_or_default(),
                middle(cyrus),
            ));
        }
    }
    Ok(())
}

/// Makes users of the first backend, with passwords of as many rounds as there are by default.
fn strangers(bench: &Bench) -> io::Result<Vec<String>> {
    let System::Ours(ours) = &bench.ours else { return Ok(Vec::new()) };
    let mut admin = bench.ours.admin()?;
    let made = (0..bench.size.strangers).map(|number| {
        let name = format!("stranger{number}");
        ours.add_user(&name)?;
        admin.must(&format!("CREATE user/{name} {}!", bench.ours.backend_name()))?;
        Ok(name)
    });
    made.collect()
}

/// Sessions a second where each user logs in once.
fn first_logins(address: SocketAddr, users: &[String]) -> io::Result<f64> {
    let began = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = users
            .chunks(users.len().div_ceil(CONNECTIONS).max(1))
            .map(|users| {
                scope.spawn(move || users.iter().try_for_each(|user| log_in(address, user).map(drop)))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| io::Error::other("a client panicked"))?)
    })?;
    Ok(users.len() as f64 / began.elapsed().as_secs_f64())
}

fn log_in(address: SocketAddr, user: &str) -> io::Result<Imap> {
    let mut imap = Imap::plain(address)?;
    imap.login(user, user)?;
    imap.must("SELECT INBOX")?;
    Ok(imap)
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
                    log_in(address, user)?;
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
    let mut imap = log_in(address, "alice")?;
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let asked = Instant::now();
        imap.must(command)?;
        times.push(asked.elapsed().as_secs_f64());
    }
    Ok(middle(times).unwrap_or_default())
}

/// What is asked of the user who has some mailboxes, and how many times Cyrus's rate it has to reach through the frontend.
const COMMANDS: &[(&str, f64)] = &[
    ("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", 3.0),
    ("LIST \"\" *", 3.0),
    ("LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN))", 2.0),
    ("LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN)", 2.0),
    ("GETMETADATA INBOX (/private/comment /shared/comment)", 2.0),
    ("GETQUOTAROOT INBOX", 2.0),
    ("UID SEARCH RETURN (MIN MAX COUNT) ALL", 2.0),
];
const CONNECTIONS: usize = 8;
/// Mailboxes of the user whose LIST is timed.
const MAILBOXES: usize = 20;
