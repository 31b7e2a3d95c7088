//! Memory of idle IMAP sessions through a frontend: what all processes of both nodes grow by, a session.

use std::{error::Error, io};

use benches::{PEOPLE, System, lab};
use clap::Parser;
use murder::clients::Imap;

#[derive(Debug, Parser)]
struct Args {
    /// Sessions that are logged in, have INBOX selected, and do nothing.
    #[arg(long, default_value_t = 500)]
    sessions: usize,
    /// Only ours.
    #[arg(long)]
    ours: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    measure("murder", System::ours()?, args.sessions)?;
    if !args.ours
        && let Some(cyrus) = System::cyrus(&lab())?
    {
        // a process each: fewer will do
        measure("cyrus", cyrus, args.sessions.min(100))?;
    }
    Ok(())
}

fn measure(name: &str, system: System, sessions: usize) -> io::Result<()> {
    let address = system.frontend("imap");
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
    println!(
        "{name:<7} {:>8} kB a session ({sessions} sessions, {before} kB before)",
        (after - before) / sessions as u64
    );
    drop((warm, open));
    Ok(())
}
