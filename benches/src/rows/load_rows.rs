//! Writes and look-ups at the master.

use std::io;

use super::{Bench, middle};
use crate::{
    figures::{Bar, Row, Unit},
    load,
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let time = bench.size.time;
    for (connections, window, bar) in [(1, 1, 3.0), (1, 16, 20.0), (8, 1, 15.0), (8, 16, 40.0)] {
        let (ours, cyrus) = bench
            .in_turn(|system| load::pairs(system.master(), &system.account(), connections, window, time))?;
        let plural = if connections == 1 { "" } else { "s" };
        let what = format!("RESERVE+ACTIVATE pairs, {connections} connection{plural} × {window} in flight");
        let ours = middle(ours).unwrap_or_default();
        row(Row::new(what, Unit::PerSecond, Bar::Times(bar), ours, middle(cyrus)));
    }
    let (ours, cyrus) = bench.in_turn(|system| {
        let entries = bench.size.entries_of(system);
        load::finds(system.master(), &system.account(), 8, 16, entries, time)
    })?;
    let ours = middle(ours).unwrap_or_default();
    row(Row::new(
        "FIND, 8 connections × 16 in flight",
        Unit::PerSecond,
        Bar::Times(3.0),
        ours,
        middle(cyrus),
    ));
    Ok(())
}
