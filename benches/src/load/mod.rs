//! Load on a MUPDATE server: plain blocking sockets and threads, the same bytes for every implementation.

mod connection;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

pub use connection::Connection;

/// Who logs in, with PLAIN.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: String,
    pub password: String,
}

/// Fills a server with active mailboxes `user.u0000000`, pipelining. Returns how long it took.
pub fn fill(server: SocketAddr, account: &Account, from: usize, to: usize) -> io::Result<Duration> {
    let mut connection = Connection::open(server, account)?;
    let began = Instant::now();
    let activate = |n: usize| {
        let user = format!("u{n:07}");
        format!(
            "F{n} ACTIVATE \"user.{user}\" \"be{}.example.org!default\" \"{user}\tlrswipkxtecda\tanyone\tp\t\"\r\n",
            n % 10
        )
    };
    pipeline(&mut connection, (from..to).map(activate))?;
    Ok(began.elapsed())
}

/// Sends commands, so many at a time, and waits for all answers.
fn pipeline(connection: &mut Connection, commands: impl Iterator<Item = String>) -> io::Result<()> {
    let mut waiting = 0;
    for command in commands {
        while waiting >= FILL_WINDOW {
            waiting -= connection.replies()?;
        }
        connection.say(&command)?;
        waiting += 1;
    }
    while waiting > 0 {
        waiting -= connection.replies()?;
    }
    Ok(())
}

/// RESERVE+ACTIVATE pairs a second: `connections` at once, each with `window` commands in flight. All of them are
/// deleted afterwards, so that who is quick has no longer list for it.
pub fn pairs(
    server: SocketAddr,
    account: &Account,
    connections: usize,
    window: usize,
    time: Duration,
) -> io::Result<f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = now.as_nanos() as u64;
    let name = move |connection: usize, pair: u64| format!("user.l{run:x}-{connection}-{pair}");
    let done = run_for(server, account, connections, window, time, move |connection, n| {
        let name = name(connection, n / 2);
        match n % 2 {
            0 => format!("R{n} RESERVE \"{name}\" \"be1.example.org!default\"\r\n"),
            _ => format!("A{n} ACTIVATE \"{name}\" \"be1.example.org!default\" \"anyone\tlrs\t\"\r\n"),
        }
    })?;
    let made =
        |(connection, sent): (usize, u64)| (0..sent.div_ceil(2)).map(move |pair| name(connection, pair));
    let names = done.sent.into_iter().enumerate().flat_map(made);
    let delete = names.enumerate().map(|(n, name)| format!("D{n} DELETE \"{name}\"\r\n"));
    pipeline(&mut Connection::open(server, account)?, delete)?;
    Ok(done.rate / 2.0)
}

/// FINDs a second of names that [`fill`] made.
pub fn finds(
    server: SocketAddr,
    account: &Account,
    connections: usize,
    window: usize,
    filled: usize,
    time: Duration,
) -> io::Result<f64> {
    run_for(server, account, connections, window, time, move |connection, n| {
        let which = (n as usize).wrapping_mul(7919).wrapping_add(connection * 104_729) % filled;
        format!("X{n} FIND \"user.u{which:07}\"\r\n")
    })
    .map(|done| done.rate)
}

/// Entries a second of one UPDATE, up to its OK.
pub fn listing(server: SocketAddr, account: &Account) -> io::Result<(usize, Duration)> {
    let mut connection = Connection::open(server, account)?;
    let began = Instant::now();
    connection.say("U01 UPDATE\r\n")?;
    let entries = connection.listing("U01 OK")?;
    Ok((entries, began.elapsed()))
}

/// Streams that are open and read, until dropped: by one thread, so that a hundred of them are not a hundred to wake.
pub struct Streams {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Streams {
    /// Streams that began with a listing each.
    pub fn open(server: SocketAddr, account: &Account, count: usize) -> io::Result<Streams> {
        Self::begin(server, account, count, "UPDATE")
    }

    /// Streams of slaves that have the list already: a server of ours sends only what changes.
    pub fn resume(server: SocketAddr, account: &Account, count: usize) -> io::Result<Streams> {
        let position = Connection::open(server, account)?.position()?;
        Self::begin(server, account, count, &format!("RESUME \"{position}\""))
    }

    fn begin(server: SocketAddr, account: &Account, count: usize, command: &str) -> io::Result<Streams> {
        let mut streams = Vec::new();
        for _ in 0..count {
            let mut connection = Connection::open(server, account)?;
            connection.say(&format!("U01 {command}\r\n"))?;
            connection.listing("U01 OK")?;
            streams.push(connection);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) && connection::drain(&mut streams).is_ok() {}
        });
        Ok(Streams { stop, thread: Some(thread) })
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// How long after the master's OK a slave finds the mailbox: median and worst of `count`.
pub fn visible(
    master: SocketAddr,
    slave: SocketAddr,
    account: &Account,
    count: usize,
) -> io::Result<(Duration, Duration)> {
    let (mut writer, mut reader) = (Connection::open(master, account)?, Connection::open(slave, account)?);
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut delays = Vec::with_capacity(count);
    for n in 0..count {
        writer.say(&format!(
            "A{n} ACTIVATE \"user.v{run}-{n}\" \"be1.example.org!default\" \"anyone\tl\t\"\r\n"
        ))?;
        writer.replies()?;
        let began = Instant::now();
        loop {
            reader.say(&format!("X{n} FIND \"user.v{run}-{n}\"\r\n"))?;
            if reader.found()? {
                break;
            }
            if began.elapsed() > Duration::from_secs(30) {
                return Err(io::Error::other("never visible"));
            }
        }
        delays.push(began.elapsed());
    }
    delays.sort();
    let median = delays.get(delays.len() / 2).copied().unwrap_or_default();
    Ok((median, delays.last().copied().unwrap_or_default()))
}

/// What a load came to.
struct Done {
    /// Commands a second that were answered in time.
    rate: f64,
    /// Commands of each connection.
    sent: Vec<u64>,
}

/// Sends commands for `time`, and waits for the last answers.
fn run_for(
    server: SocketAddr,
    account: &Account,
    connections: usize,
    window: usize,
    time: Duration,
    command: impl Fn(usize, u64) -> String + Clone + Send + 'static,
) -> io::Result<Done> {
    let answered = Arc::new(AtomicU64::new(0));
    let opened: Vec<Connection> =
        (0..connections).map(|_| Connection::open(server, account)).collect::<io::Result<_>>()?;
    let began = Instant::now();
    let threads: Vec<_> = opened
        .into_iter()
        .enumerate()
        .map(|(number, mut connection)| {
            let (command, answered) = (command.clone(), answered.clone());
            thread::spawn(move || -> io::Result<u64> {
                let (mut sent, mut done) = (0u64, 0u64);
                while began.elapsed() < time {
                    let mut batch = String::new();
                    while sent - done < window as u64 {
                        batch.push_str(&command(number, sent));
                        sent += 1;
                    }
                    connection.say(&batch)?;
                    let replies = connection.replies()? as u64;
                    done += replies;
                    answered.fetch_add(replies, Ordering::Relaxed);
                }
                while done < sent {
                    done += connection.replies()? as u64;
                }
                Ok(sent)
            })
        })
        .collect();
    thread::sleep(time.saturating_sub(began.elapsed()));
    let rate = answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    let mut sent = Vec::with_capacity(connections);
    for thread in threads {
        sent.push(thread.join().map_err(|_| io::Error::other("a connection's thread ended"))??);
    }
    Ok(Done { rate, sent })
}

const FILL_WINDOW: usize = 200;
