//! What a slave sees, and when.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Bench, middle};
use crate::{
    figures::{Bar, Row, Unit},
    load,
    system::{Node, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    visible(bench, row)?;
    fresh(bench, row)?;
    rename(bench, row)
}

fn visible(bench: &Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let measure = |system: &System, streams: usize, count: usize| {
        let _streams = load::Streams::open(system.master(), &system.account(), streams)?;
        load::visible(system.master(), system.slave(), &system.account(), count)
    };
    let (median, worst) = measure(&bench.ours, 100, 500)?;
    // Cyrus serves each stream from a thread of its fifty, and tells of changes every five seconds.
    let cyrus = bench.cyrus.as_ref().map(|cyrus| measure(cyrus, 40, 5)).transpose()?;
    let what = "master's OK to visible at a slave, 100 streams attached (Cyrus: 40)";
    row(Row::seconds(format!("{what}: median"), Bar::AtMost(0.002), median, cyrus.map(|(median, _)| median)));
    row(Row::seconds(format!("{what}: worst"), Bar::AtMost(0.02), worst, cyrus.map(|(_, worst)| worst)));
    Ok(())
}

/// From the start of the node to the answer of a FIND.
fn fresh(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let size = bench.size;
    let (mut ours, mut cyrus) = (Vec::new(), Vec::new());
    for _ in 0..bench.size.rounds {
        ours.push(serving(&mut bench.ours, size.entries)?);
        if let Some(system) = &mut bench.cyrus {
            cyrus.push(size.scaled(serving(system, size.cyrus_entries)?));
        }
    }
    let what = format!("fresh slave, {} entries, start to serving{}", size.entries, size.note());
    row(Row::new(what, Unit::Seconds, Bar::Times(8.0), middle(ours).unwrap_or_default(), middle(cyrus)));
    Ok(())
}

fn serving(system: &mut System, entries: usize) -> io::Result<f64> {
    let last = format!("user.u{:07}", entries - 1);
    system.stop(Node::Frontend)?;
    system.forget_slave()?;
    let began = system.spawn(Node::Frontend)?;
    system.connect(system.slave(), PATIENCE)?.wait_for(&last, PATIENCE)?;
    let time = began.elapsed().as_secs_f64();
    if let System::Ours(ours) = system {
        ours.wait_ready(Node::Frontend)?;
    }
    Ok(time)
}

fn rename(bench: &Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let tree = bench.size.tree;
    let (took, behind) = renamed(&bench.ours, tree)?;
    let cyrus = bench.cyrus.as_ref().map(|cyrus| renamed(cyrus, tree)).transpose()?;
    let what = format!("RENAME of a tree of {tree} mailboxes");
    row(Row::seconds(format!("{what}: the command"), Bar::None, took, cyrus.map(|(took, _)| took)));
    let cyrus = cyrus.map(|(_, behind)| behind);
    row(Row::seconds(format!("{what}: from its OK to all at a slave"), Bar::AtMost(0.1), behind, cyrus));
    Ok(())
}

/// How long the command takes, and how long after it the slave has the last name.
fn renamed(system: &System, tree: usize) -> io::Result<(Duration, Duration)> {
    // At the backend itself: a frontend answers after its own list has the change.
    let mut admin = murder::clients::Imap::plain(system.address(Node::Backend, "imap"))?;
    admin.login("cyrus", "cyrus")?;
    admin.must("CREATE user/alice/tree")?;
    for n in 0..tree {
        admin.must(&format!("CREATE user/alice/tree/m{n:04}"))?;
    }
    let mut slave = system.connect(system.slave(), PATIENCE)?;
    slave.wait_for(&format!("user.alice.tree.m{:04}", tree - 1), PATIENCE)?;
    let began = Instant::now();
    admin.must("RENAME user/alice/tree user/alice/wood")?;
    let (took, done) = (began.elapsed(), Instant::now());
    slave.wait_for(&format!("user.alice.wood.m{:04}", tree - 1), PATIENCE)?;
    Ok((took, done.elapsed()))
}

const PATIENCE: Duration = Duration::from_secs(120);
