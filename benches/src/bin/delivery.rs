//! LMTP delivery through a frontend: ours beside Cyrus, on the same host, one after the other.
//!
//! `cargo run --release -p benches --bin delivery`: build the workspace in release first. Needs root for the Cyrus side.

use std::{
    error::Error,
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use benches::{PEOPLE, System, lab};
use clap::Parser;
use murder::clients::Lmtp;

#[derive(Debug, Parser)]
struct Args {
    /// Connections that deliver at the same time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Bytes of one message.
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Seconds of load on each system.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only ours.
    #[arg(long)]
    ours: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let ours = measure("murder", System::ours()?, &args)?;
    if args.ours {
        return Ok(());
    }
    match System::cyrus(&lab())? {
        Some(cyrus) => println!("ratio   {:.2}", ours / measure("cyrus", cyrus, &args)?),
        None => println!("no Cyrus here to compare with"),
    }
    Ok(())
}

/// Messages a second.
fn measure(name: &str, system: System, args: &Args) -> io::Result<f64> {
    let address = system.frontend("lmtp");
    let (stop, count, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let body =
        "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n".repeat(args.size / 68 + 1);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for connection in 0..args.connections {
            let (stop, count, failed, body) = (&stop, &count, &failed, &body);
            scope.spawn(move || -> io::Result<()> {
                let mut lmtp = Lmtp::connect(address)?;
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let user = PEOPLE.get((connection + number) % PEOPLE.len()).copied().unwrap_or("alice");
                    let head = format!(
                        "From: load@example.org\r\nTo: {user}@example.org\r\nSubject: load\r\n\
                         Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <{connection}.{number}@load>\r\n\r\n"
                    );
                    let text = body.get(..args.size.saturating_sub(head.len())).unwrap_or(body);
                    let message = format!("{head}{text}\r\n");
                    let replies = lmtp.deliver("load@example.org", &[user], &message)?;
                    let accepted = replies.iter().all(|r| r.starts_with("250"));
                    (if accepted { count } else { failed }).fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        std::thread::park_timeout(Duration::from_secs(args.seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let rate = count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    println!("{name:<7} {rate:>8.0} messages/s  ({} refused)", failed.load(Ordering::Relaxed));
    Ok(rate)
}
