//! LMTP delivery through the frontend.

use std::{
    io,
    sync::Barrier,
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
    let time = bench.size.time.max(LEAST);
    let (ours, cyrus) = bench.in_turn(|system| delivered(system, time))?;
    let what = format!("delivery of 4 kB messages through the frontend, {CONNECTIONS} connections");
    row(Row::new(what, Unit::PerSecond, Bar::Times(12.0), middle(ours).unwrap_or_default(), middle(cyrus)));
    Ok(())
}

/// Messages a second. One that is refused ends the measurement.
fn delivered(system: &System, time: Duration) -> io::Result<f64> {
    let address = system.address(Node::Frontend, "lmtp");
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let run = std::process::id();
    let started = Instant::now();
    // A server that starts a process a connection, on the frontend and on each backend, does so before the clock runs.
    let warm = Barrier::new(CONNECTIONS + 1);
    let elapsed = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let (stop, count, warm) = (&stop, &count, &warm);
                scope.spawn(move || -> io::Result<()> {
                    let send = |lmtp: &mut Lmtp, number: usize| {
                        let user =
                            PEOPLE.get((connection + number) % PEOPLE.len()).copied().unwrap_or("alice");
                        let id = format!("{run}.{:x}.{connection}.{number}", started.elapsed().as_nanos());
                        let replies = lmtp.deliver("load@example.org", &[user], &message(user, &id))?;
                        match replies.into_iter().find(|reply| !reply.starts_with("250")) {
                            Some(refused) => Err(io::Error::other(refused)),
                            None => Ok(()),
                        }
                    };
                    // People lie on both backends by turns: so the frontend has a connection to each.
                    let first = Lmtp::connect(address).and_then(|mut lmtp| {
                        (0..BACKENDS).try_for_each(|n| send(&mut lmtp, n)).map(|()| lmtp)
                    });
                    warm.wait();
                    let mut lmtp = first?;
                    for number in BACKENDS.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        send(&mut lmtp, number)?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        warm.wait();
        let began = Instant::now();
        std::thread::park_timeout(time);
        stop.store(true, Ordering::Relaxed);
        let ended = threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| io::Error::other("a connection's thread ended"))?
        });
        ended.map(|()| began.elapsed())
    })?;
    Ok(count.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64())
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

/// A shorter round says little of a server with a process a connection.
const LEAST: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 16;
const BACKENDS: usize = 2;
const SIZE: usize = 4096;
