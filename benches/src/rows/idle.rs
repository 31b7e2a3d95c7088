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
    Ok(())
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
