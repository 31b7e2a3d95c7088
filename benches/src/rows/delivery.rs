//! LMTP delivery through the frontend.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use murder::clients::Lmtp;

use super::{Bench, middle};
use crate::{
    figures::{Bar, Row, Unit},
    system::{Node, PEOPLE, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let time = bench.size.time;
    let (ours, cyrus) = bench.in_turn(|system| delivered(system, time))?;
    let what = format!("delivery of 4 kB messages through the frontend, {CONNECTIONS} connections");
    row(Row::new(what, Unit::PerSecond, Bar::Times(3.0), middle(ours).unwrap_or_default(), middle(cyrus)));
    Ok(())
}

/// Messages a second. One that is refused ends the measurement.
fn delivered(system: &System, time: Duration) -> io::Result<f64> {
    let address = system.address(Node::Frontend, "lmtp");
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let run = std::process::id();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let (stop, count) = (&stop, &count);
                scope.spawn(move || -> io::Result<()> {
                    let mut lmtp = Lmtp::connect(address)?;
                    for number in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let user =
                            PEOPLE.get((connection + number) % PEOPLE.len()).copied().unwrap_or("alice");
                        let id = format!("{run}.{:x}.{connection}.{number}", began.elapsed().as_nanos());
                        let replies = lmtp.deliver("load@example.org", &[user], &message(user, &id))?;
                        if let Some(refused) = replies.iter().find(|reply| !reply.starts_with("250")) {
                            return Err(io::Error::other(refused.clone()));
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        std::thread::park_timeout(time);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| io::Error::other("a connection's thread ended"))?
        })
    })?;
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

fn message(user: &str, id: &str) -> String {
    let head = format!(
        "From: load@example.org\r\nTo: {user}@example.org\r\nSubject: load\r\n\
         Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <{id}@load>\r\n\r\n"
    );
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n";
    let body = line.repeat(SIZE / line.len() + 1);
    format!("{head}{}\r\n", body.get(..SIZE - head.len()).unwrap_or(&body))
}

const CONNECTIONS: usize = 16;
const SIZE: usize = 4096;
