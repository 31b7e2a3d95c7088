//! Memory of idle IMAP sessions through the frontend: what all processes of the nodes grow by, a session.

use std::io;

use murder::clients::Imap;

use super::Bench;
use crate::{
    figures::{Bar, Row, Unit},
    system::{Node, PEOPLE, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let ours = session(&bench.ours, bench.size.sessions)?;
    // a process each: fewer will do
    let cyrus = bench.cyrus.as_ref().map(|cyrus| session(cyrus, bench.size.sessions.min(100))).transpose()?;
    let what = "memory of an idle IMAP session, frontend and backend together";
    row(Row::new(what, Unit::Kilobytes, Bar::AtMost(200.0), ours, cyrus));
    let crowd = bench.size.crowd.min(possible()?);
    let what =
        "sessions through one frontend to one backend at the same time, each with a mailbox, each answering";
    row(Row::new(what, Unit::Count, Bar::AtLeast(crowd as f64), answering(&bench.ours, crowd)? as f64, None));
    Ok(())
}

/// Sessions for which a frontend may open descriptors: two each, beside those that it keeps for what is open.
fn possible() -> io::Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let hard = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().nth(1));
    // "unlimited"
    let hard: usize = hard.and_then(|hard| hard.parse().ok()).unwrap_or(usize::MAX);
    Ok((hard - hard / 16) / 2 - hard.min(400) / 2)
}

/// How many of so many sessions of users of one backend answer a NOOP once all are there.
fn answering(system: &System, crowd: usize) -> io::Result<usize> {
    let address = system.address(Node::Frontend, "imap");
    let users: Vec<&str> = PEOPLE.iter().step_by(2).copied().collect();
    let login = |number: usize| -> io::Result<Imap> {
        let user = users.get(number % users.len()).copied().unwrap_or("alice");
        let mut imap = Imap::plain(address)?;
        imap.login(user, user)?;
        imap.must("SELECT INBOX")?;
        Ok(imap)
    };
    let mut open: Vec<Imap> = (0..crowd).map_while(|number| login(number).ok()).collect();
    Ok(open.iter_mut().filter_map(|imap| imap.must("NOOP").ok()).count())
}

fn session(system: &System, sessions: usize) -> io::Result<f64> {
    let address = system.address(Node::Frontend, "imap");
    let login = |number: usize| -> io::Result<Imap> {
        let user = PEOPLE.get(number % PEOPLE.len()).copied().unwrap_or("alice");
        let mut imap = Imap::plain(address)?;
        imap.login(user, user)?;
        imap.must("SELECT INBOX")?;
        Ok(imap)
    };
    // what is made once is not a session's
    let warm: Vec<Imap> = (0..PEOPLE.len()).map(login).collect::<io::Result<_>>()?;
    let before = system.resident();
    let open: Vec<Imap> = (0..sessions).map(login).collect::<io::Result<_>>()?;
    let after = system.resident();
    drop((warm, open));
    Ok(after.saturating_sub(before) as f64 / sessions as f64)
}
