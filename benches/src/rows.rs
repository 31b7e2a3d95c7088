//! The rows of the table. Each is measured on ours and on Cyrus in turn, with the same clients, while the other one idles.

mod bystanders;
mod delivery;
mod fetch;
mod idle;
mod large;
mod load_rows;
mod logins;
mod nodes;
mod resort;
mod search;
mod slave;
mod tools;

use std::{io, time::Duration};

use clap::ValueEnum;
use murder::clients::Imap;

use crate::{figures::Row, load, system::System};

/// Both systems, and how much of everything.
pub struct Bench {
    pub ours: System,
    pub cyrus: Option<System>,
    pub size: Size,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Mailboxes in ours, and in Cyrus: its times are scaled where it has fewer.
    pub entries: usize,
    pub cyrus_entries: usize,
    /// Mailboxes in ours, for the rows that have an absolute bar.
    pub large: usize,
    /// Time of one measurement under load, and how often it is repeated.
    pub time: Duration,
    pub rounds: usize,
    /// Mailboxes in the tree that is renamed.
    pub tree: usize,
    pub sessions: usize,
    /// IMAP sessions of one frontend to one backend at the same time.
    pub crowd: usize,
    /// Messages of the mailbox that is fetched.
    pub fetched: usize,
    /// Messages in the INBOX of the user who sends what costs most, and in those that are sorted and searched.
    pub messages: usize,
    /// Messages in the mailbox to which a client comes back.
    pub crowded: usize,
    /// Users of whom each logs in once.
    pub strangers: usize,
    /// Whether to wait until a stalled stream is dropped.
    pub patient: bool,
}

impl Size {
    pub const SMALL: Size = Size {
        entries: 20_000,
        cyrus_entries: 5_000,
        large: 20_000,
        time: Duration::from_secs(1),
        rounds: 1,
        tree: 100,
        sessions: 200,
        crowd: 1000,
        fetched: 1000,
        messages: 10_000,
        crowded: 100_000,
        strangers: 16,
        patient: false,
    };

    pub const FULL: Size = Size {
        entries: 100_000,
        cyrus_entries: 100_000,
        large: 1_000_000,
        time: Duration::from_secs(4),
        rounds: 3,
        tree: 1000,
        sessions: 500,
        crowd: 10_000,
        fetched: 8000,
        messages: 100_000,
        crowded: 1_000_000,
        strangers: 64,
        patient: true,
    };
}

/// A group of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Start of a node, its supervisor
    Nodes,
    /// Memory of IMAP sessions
    Idle,
    /// LOGIN and SELECT, NOOP
    Logins,
    /// RESERVE+ACTIVATE pairs, FINDs
    Load,
    /// OK to visible, fresh slave, rename of a tree
    Slave,
    /// ctl_mboxlist -m
    Tools,
    /// FETCH and STORE over a large mailbox
    Fetch,
    /// SEARCH TEXT in a large mailbox
    Search,
    /// SORT, THREAD and QRESYNC of a mailbox that is larger still
    Resort,
    /// Messages through the frontend
    Delivery,
    /// One user's NOOP while another one sends what costs most
    Bystanders,
    /// A large list: listing, memory, reconnect, restart, a stream that stops reading
    Large,
}

impl Bench {
    /// Measures a group; each row is handed out when it is known.
    pub fn measure(&mut self, group: Group, row: &mut dyn FnMut(Row)) -> io::Result<()> {
        match group {
            Group::Nodes => nodes::measure(self, row),
            Group::Logins => logins::measure(self, row),
            Group::Load => load_rows::measure(self, row),
            Group::Slave => slave::measure(self, row),
            Group::Tools => tools::measure(self, row),
            Group::Fetch => fetch::measure(self, row),
            Group::Search => search::measure(self, row),
            Group::Resort => resort::measure(self, row),
            Group::Delivery => delivery::measure(self, row),
            Group::Bystanders => bystanders::measure(self, row),
            Group::Idle => idle::measure(self, row),
            Group::Large => large::measure(self, row),
        }
    }

    /// Fills both masters with mailboxes.
    pub fn fill(&self) -> io::Result<()> {
        for system in std::iter::once(&self.ours).chain(&self.cyrus) {
            load::fill(system.master(), &system.account(), 0, self.size.entries_of(system))?;
        }
        Ok(())
    }

    /// An administrator of each system.
    fn admins(&self) -> io::Result<Vec<Imap>> {
        std::iter::once(&self.ours).chain(&self.cyrus).map(System::admin).collect()
    }

    /// The same measurement on both in turn, as often as the size says.
    fn in_turn<T>(&self, measure: impl Fn(&System) -> io::Result<T>) -> io::Result<(Vec<T>, Vec<T>)> {
        let (mut ours, mut cyrus) = (Vec::new(), Vec::new());
        for _ in 0..self.size.rounds {
            ours.push(measure(&self.ours)?);
            if let Some(system) = &self.cyrus {
                cyrus.push(measure(system)?);
            }
        }
        Ok((ours, cyrus))
    }
}

impl Size {
    /// What a time of Cyrus's with its mailboxes would be with as many as ours has.
    fn scaled(&self, cyrus: f64) -> f64 {
        cyrus * self.entries as f64 / self.cyrus_entries as f64
    }

    fn entries_of(&self, system: &System) -> usize {
        match system {
            System::Ours(_) => self.entries,
            System::Cyrus(_) => self.cyrus_entries,
        }
    }

    fn note(&self) -> &'static str {
        if self.cyrus_entries < self.entries { " (Cyrus: scaled from fewer)" } else { "" }
    }
}

/// The median, if there are any.
fn middle(figures: Vec<f64>) -> Option<f64> {
    (!figures.is_empty()).then(|| crate::figures::median(figures))
}

/// The least, if there are any: of a machine that does other work too, the others say more of that.
fn least(figures: Vec<f64>) -> Option<f64> {
    figures.into_iter().min_by(f64::total_cmp)
}
