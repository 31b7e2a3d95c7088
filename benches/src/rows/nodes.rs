//! Start of whole nodes with empty databases, and what a supervisor costs. Ours alone.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use super::Bench;
use crate::{
    figures::{Bar, Row, Unit},
    system::{Node, Ours, System, smaps},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let System::Ours(ours) = &mut bench.ours else { return Ok(()) };
    for (node, name) in
        [(Node::Mupdate, "MUPDATE master"), (Node::Backend, "backend"), (Node::Frontend, "frontend")]
    {
        let mut times = Vec::new();
        for _ in 0..3 {
            times.push(start(ours, node)?);
        }
        times.sort();
        let what = format!("start of a {name}, exec to ready");
        row(Row::seconds(what, Bar::AtMost(0.2), times.get(1).copied().unwrap_or_default(), None));
    }
    ours.tell_master()?;
    let Some(pid) = ours.supervisor(Node::Frontend) else { return Ok(()) };
    let resident = smaps(pid, "Rss:").unwrap_or_default() as f64 / 1000.0;
    row(Row::new("resident memory of a supervisor", Unit::Megabytes, Bar::AtMost(10.0), resident, None));
    let (before, began) = (ticks(pid), Instant::now());
    std::thread::park_timeout(IDLE);
    let used = (ticks(pid) - before) as f64 / TICKS / began.elapsed().as_secs_f64();
    row(Row::new("CPU of an idle supervisor", Unit::Percent, Bar::AtMost(0.1), used * 100.0, None));
    Ok(())
}

fn start(ours: &mut Ours, node: Node) -> io::Result<Duration> {
    ours.stop(node)?;
    ours.forget(node)?;
    let began = Instant::now();
    ours.spawn(node)?;
    ours.wait_ready(node)?;
    Ok(began.elapsed())
}

/// User and system time of a process, in clock ticks.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// How long it is watched, and ticks in a second.
const IDLE: Duration = Duration::from_secs(10);
const TICKS: f64 = 100.0;
