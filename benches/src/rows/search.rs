//! SEARCH TEXT of a rare word in a large mailbox, directly: ours with its index, Cyrus as it comes, without one.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use super::{Bench, fetch, least};
use crate::{
    figures::{Bar, Row, Unit},
    system::{Node, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let messages = bench.size.messages;
    for system in std::iter::once(&bench.ours).chain(&bench.cyrus) {
        fetch::fill(system.address(Node::Backend, "imap"), USER, (0..messages).map(message))?;
    }
    if let System::Ours(ours) = &bench.ours {
        let before = processor_time(&bench.ours);
        // That user alone: the list may hold names of another group's, without a message behind them.
        if !ours.tool("squatter").args(["-u", USER]).status()?.success() {
            return Err(io::Error::other("squatter failed"));
        }
        let took = processor_time(&bench.ours).saturating_sub(before).as_secs_f64() / messages as f64;
        let bytes = indexes(ours.dir()) as f64 / messages as f64;
        row(Row::new("index of texts, a message of 4 kB: size", Unit::Bytes, Bar::None, bytes, None));
        row(Row::new(
            "the same: time of the processor for what was missing",
            Unit::Seconds,
            Bar::None,
            took,
            None,
        ));
    }
    for (what, command, bar) in [
        ("a rare word", "SEARCH TEXT xylophone", Bar::AtMost(0.05)),
        ("a word that is nowhere", "SEARCH BODY ytterbium", Bar::AtMost(0.05)),
        ("a word of every tenth message", "SEARCH TEXT often", Bar::None),
    ] {
        let (ours, cyrus) = bench.in_turn(|system| timed(system, command))?;
        let what = format!("{command} in {messages} messages of 4 kB, {what}");
        row(Row::new(what, Unit::Seconds, bar, least(ours).unwrap_or_default(), least(cyrus)));
    }
    Ok(())
}

/// Seconds of a search, with what it needs in memory.
fn timed(system: &System, command: &str) -> io::Result<f64> {
    let mut client = fetch::Client::login(system.address(Node::Backend, "imap"), USER)?;
    client.command("SELECT INBOX")?;
    client.command(command)?;
    let mut times = Vec::new();
    // Cyrus reads all messages for each.
    let repeats = if matches!(system, System::Ours(_)) { IN_A_ROW } else { 1 };
    for _ in 0..repeats {
        let began = Instant::now();
        client.command(command)?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(least(times).unwrap_or_default())
}

/// What all processes of the system have had of the processor so far.
fn processor_time(system: &System) -> Duration {
    let ticks = |pid: u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    };
    Duration::from_millis(10 * system.processes("backend").into_iter().filter_map(ticks).sum::<u64>())
}

/// Bytes of all text indexes below a directory.
fn indexes(dir: &Path) -> u64 {
    let items = fs::read_dir(dir).into_iter().flatten().flatten().map(|item| item.path());
    items
        .map(|path| match path.is_dir() {
            true => indexes(&path),
            false if dir.ends_with("text") => fs::metadata(&path).map_or(0, |file| file.len()),
            false => 0,
        })
        .sum()
}

/// Words that differ from message to message, as those of a language do: a few in most messages, many in few.
fn message(number: usize) -> String {
    let mut state = number as u64 + 1;
    let mut roll = move |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    let mut text = format!(
        "From: \"Some Sender\" <sender{number}@example.org>\r\nTo: Somebody <{USER}@example.org>\r\nSubject: Number {number}\r\n\
         Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <{number}.search@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    if number == RARE {
        text.push_str("xylophone ");
    }
    if number.is_multiple_of(10) {
        text.push_str("often ");
    }
    let mut line = 0;
    while text.len() < SIZE {
        // The lower of three: small numbers are frequent.
        let word = (0..3).map(|_| roll(WORDS)).min().unwrap_or_default();
        let before = text.len();
        let (mut rest, mut letters) = (word.wrapping_mul(7919) % WORDS + 40, 0);
        while rest > 0 || letters < 2 {
            text.push_str(SYLLABLES[(rest % SYLLABLES.len() as u64) as usize]);
            (rest, letters) = (rest / SYLLABLES.len() as u64, letters + 1);
        }
        line += text.len() - before;
        text.push_str(if line > 64 { "\r\n" } else { " " });
        line = if line > 64 { 0 } else { line };
    }
    text.push_str("\r\n");
    text
}

const SYLLABLES: [&str; 24] = [
    "an", "be", "ter", "ing", "con", "de", "al", "re", "mo", "sta", "li", "un", "ver", "so", "e", "tu", "ra",
    "per", "ni", "da", "ch", "fo", "w", "ga",
];
/// Different words.
const WORDS: u64 = 30_000;
/// The message that has the rare word.
const RARE: usize = 777;
/// How often a search of ours is repeated.
const IN_A_ROW: usize = 10;
/// Somebody of the first backend.
const USER: &str = "grace";
const SIZE: usize = 4096;
