//! A list that is as large as they come. Ours alone: the bars are absolute. Cyrus's listing is measured with what it has,
//! and given as a rate.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::Bench;
use crate::{
    figures::{Bar, Row, Unit},
    forwarder::Forwarder,
    load,
    system::{Node, System, smaps},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let (account, large) = (bench.ours.account(), bench.size.large);
    let took = load::fill(bench.ours.master(), &account, bench.size.entries, large)?;
    if large > bench.size.entries {
        let rate = (large - bench.size.entries) as f64 / took.as_secs_f64();
        row(Row::new("ACTIVATE, 1 connection × 200 in flight", Unit::PerSecond, Bar::None, rate, None));
    }
    listing(bench, row)?;
    memory(bench, row)?;
    stalled(bench, row)?;
    restart(bench, row)?;
    reconnect(bench, row)
}

fn listing(bench: &Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let rate = |system: &System| {
        load::listing(system.master(), &system.account())
            .map(|(entries, took)| (entries, entries as f64 / took.as_secs_f64()))
    };
    let (entries, ours) = rate(&bench.ours)?;
    let cyrus = bench.cyrus.as_ref().map(rate).transpose()?.map(|(_, rate)| rate);
    let what = format!("UPDATE listing, {entries} entries");
    row(Row::new(what, Unit::PerSecond, Bar::AtLeast(500_000.0), ours, cyrus));
    Ok(())
}

fn memory(bench: &Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let Some(pid) = bench.ours.master_process() else { return Err(io::ErrorKind::NotFound.into()) };
    let _streams = load::Streams::resume(bench.ours.master(), &bench.ours.account(), 100)?;
    let status = bench.ours.connect(bench.ours.master(), PATIENCE)?.status()?;
    let figure = |name: &str| status.get(name).and_then(serde_json::Value::as_f64).unwrap_or_default();
    let what = format!("master's memory, {} entries, 100 streams, sled included", figure("entries"));
    let resident = smaps(pid, "Rss:").unwrap_or_default() as f64 / 1000.0;
    row(Row::new(what, Unit::Megabytes, Bar::AtMost(300.0), resident, None));
    let each = figure("memory") / figure("entries").max(1.0);
    row(Row::new("all tables, an entry", Unit::Bytes, Bar::AtMost(150.0), each, None));
    Ok(())
}

/// A stream that stops reading must cost no memory that grows, delay nobody, and be dropped in the end.
fn stalled(bench: &Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let (master, account) = (bench.ours.master(), bench.ours.account());
    let Some(pid) = bench.ours.master_process() else { return Err(io::ErrorKind::NotFound.into()) };
    let mut stalled = bench.ours.connect(master, PATIENCE)?;
    stalled.say("U01 UPDATE\r\n")?;
    stalled.listing("U01 OK")?;
    let began = Instant::now();
    // each change of all names: a stalled stream with a queue would keep them all
    let names = bench.size.entries;
    load::fill(master, &account, 0, names)?;
    let before = smaps(pid, "Rss:").unwrap_or_default();
    for _ in 0..2 {
        load::fill(master, &account, 0, names)?;
    }
    let grown = smaps(pid, "Rss:").unwrap_or_default().saturating_sub(before) as f64 / 1000.0;
    let what = format!("growth by {} changes while a stream does not read", 2 * names);
    row(Row::new(what, Unit::Megabytes, Bar::AtMost(32.0), grown, None));
    let (_, worst) = load::visible(master, bench.ours.slave(), &account, 100)?;
    row(Row::seconds("the same, OK to visible at another slave: worst", Bar::AtMost(0.1), worst, None));
    if bench.size.patient {
        let mut asked = bench.ours.connect(master, PATIENCE)?;
        while asked.streams()? > FRONTENDS && began.elapsed() < PATIENCE {
            std::thread::park_timeout(Duration::from_millis(200));
        }
        row(Row::seconds("the same, until it is dropped", Bar::AtMost(90.0), began.elapsed(), None));
    }
    Ok(())
}

fn restart(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    bench.ours.stop(Node::Frontend)?;
    let last = format!("user.u{:07}", bench.size.large - 1);
    let began = bench.ours.spawn(Node::Frontend)?;
    let mut slave = bench.ours.connect(bench.ours.slave(), PATIENCE)?;
    slave.wait_for(&last, PATIENCE)?;
    let served = began.elapsed();
    slave.wait_until_complete(PATIENCE)?;
    let complete = began.elapsed();
    if let System::Ours(ours) = &mut bench.ours {
        ours.wait_ready(Node::Frontend)?;
    }
    let what = format!("restart of a slave with {} entries", bench.size.large);
    row(Row::seconds(format!("{what}: first look-up answered"), Bar::AtMost(1.0), served, None));
    row(Row::seconds(format!("{what}: complete, in memory, streaming"), Bar::AtMost(5.0), complete, None));
    Ok(())
}

/// From the moment that the slave's connection comes through again.
fn reconnect(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let detour = SocketAddr::from(([127, 78, 9, 9], 39050));
    let cable = Forwarder::start(detour, bench.ours.master())?;
    bench.ours.stop(Node::Frontend)?;
    if let System::Ours(ours) = &mut bench.ours {
        ours.detour(detour)?;
        ours.spawn(Node::Frontend)?;
        ours.wait_ready(Node::Frontend)?;
    }
    let mut slave = bench.ours.connect(bench.ours.slave(), PATIENCE)?;
    slave.wait_until_complete(PATIENCE)?;
    cable.cut();
    let from = bench.size.large;
    load::fill(bench.ours.master(), &bench.ours.account(), from, from + 100)?;
    cable.mend();
    let connected = cable.connected(PATIENCE)?;
    slave.wait_for(&format!("user.u{:07}", from + 99), PATIENCE)?;
    let what = format!("reconnect of a slave with {from} entries, 100 changes");
    row(Row::seconds(what, Bar::AtMost(0.5), connected.elapsed(), None));
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(120);
/// Streams that the frontend itself has at the master.
const FRONTENDS: u64 = 1;
