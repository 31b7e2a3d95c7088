//! The rows of several masters.

use std::{error::Error, io, time::Duration};

use super::{Masters, Used, bare};
use crate::{
    figures::{self, Bar, Row, Unit},
    load,
};

pub fn measure(time: Duration, entries: usize, row: &mut dyn FnMut(Row)) -> Result<(), Box<dyn Error>> {
    let all = Masters::start()?;
    let filled = load::fill(all.first()?, &all.account(), 0, entries)?;
    println!("{}", figures::head());
    let rate = entries as f64 / filled.as_secs_f64();
    row(Row::new("filling, one connection × 200 in flight", Unit::PerSecond, Bar::None, rate, None));
    in_flight(&all, time, row)?;
    alone(&all, time, row)?;
    finds(&all, entries, time, row)?;
    let (median, worst) = load::visible(all.first()?, all.slave, &all.account(), 300)?;
    let what = "OK to visible at a slave of another master";
    row(Row::seconds(format!("{what}: median"), Bar::AtMost(0.005), median, None));
    row(Row::seconds(format!("{what}: worst"), Bar::None, worst, None));
    Ok(())
}

/// Pairs at all masters at once, and by a bare client, in turn: the quickest of each, since what else runs here only slows.
fn in_flight(all: &Masters, time: Duration, row: &mut dyn FnMut(Row)) -> Result<(), Box<dyn Error>> {
    let (mut ours, mut bare, mut used) = (0f64, 0f64, Used::default());
    for _ in 0..ROUNDS {
        let before = all.used();
        let rate = everywhere(all, time)?;
        if rate > ours {
            (ours, used) = (rate, all.used().since(before));
        }
        bare = bare.max(bare::pairs(&all.etcd, 1, time)?);
    }
    let what = "RESERVE+ACTIVATE pairs, three masters, each 4 connections × 120 in flight";
    row(Row::new(what, Unit::PerSecond, Bar::AtLeast(4000.0), ours, None));
    let what = format!(
        "the same, of a bare etcd client at each member in groups of 120 ({bare:.0} pairs/s; of the CPU, etcd {:.1} s, masters {:.1} s)",
        used.etcd, used.masters
    );
    row(Row::new(what, Unit::Percent, Bar::AtLeast(80.0), ours / bare.max(1.0) * 100.0, None));
    Ok(())
}

fn everywhere(all: &Masters, time: Duration) -> io::Result<f64> {
    let account = all.account();
    std::thread::scope(|scope| {
        let loads: Vec<_> = all
            .masters
            .iter()
            .map(|master| scope.spawn(|| load::pairs(*master, &account, 4, 120, time)))
            .collect();
        let rates =
            loads.into_iter().map(|load| load.join().map_err(|_| io::Error::other("a load broke off"))?);
        rates.sum()
    })
}

/// Also by the CPU that everything took: what two processors that do nothing else would do.
fn finds(all: &Masters, entries: usize, time: Duration, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let before = all.used();
    let rate = load::finds(all.first()?, &all.account(), 8, 16, entries, time)?;
    let used = all.used().since(before).all().max(0.01);
    let by_cpu = rate * time.as_secs_f64() / used * 2.0;
    let what = format!(
        "FIND, 8 connections × 16 in flight, one master (by the CPU of all: {by_cpu:.0}/s on two cores)"
    );
    row(Row::new(what, Unit::PerSecond, Bar::AtLeast(30_000.0), rate, None));
    Ok(())
}

/// One change at a time: where several masters are slower, and by how much.
fn alone(all: &Masters, time: Duration, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    for (server, what) in [(all.first()?, "one of three masters"), (all.single, "a single master")] {
        let rate = load::pairs(server, &all.account(), 1, 1, time)?;
        let what = format!("RESERVE+ACTIVATE pairs, 1 connection × 1 in flight, {what}");
        row(Row::new(what, Unit::PerSecond, Bar::None, rate, None));
    }
    Ok(())
}

impl Masters {
    fn first(&self) -> io::Result<std::net::SocketAddr> {
        self.masters.first().copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

const ROUNDS: usize = 3;
