//! SORT and THREAD of a large mailbox, and a client that comes back to it after some changes (QRESYNC): bars of their own, ours alone.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Bench, fetch, least, middle};
use crate::{
    figures::{Bar, Row, Unit},
    system::Node,
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let messages = bench.size.messages;
    fetch::fill(bench.ours.address(Node::Backend, "imap"), USER, (0..messages).map(message))?;
    for (node, place) in PLACES {
        let address = bench.ours.address(*node, "imap");
        for (command, most) in COMMANDS {
            let mut client = fetch::Client::login(address, USER)?;
            client.command("ENABLE QRESYNC")?;
            client.command("SELECT INBOX")?;
            let mut times = Vec::new();
            for _ in 0..=IN_A_ROW {
                let began = Instant::now();
                client.command(command)?;
                times.push(began.elapsed().as_secs_f64());
            }
            let cold = Duration::from_secs_f64(times.first().copied().unwrap_or_default());
            let warm = least(times.split_off(1)).unwrap_or_default();
            let what = format!("{command}, {messages} messages, {place}");
            row(Row::seconds(format!("{what}: the first"), Bar::None, cold, None));
            row(Row::new(what, Unit::Seconds, Bar::AtMost(*most), warm, None));
        }
    }
    crowd(bench, row)?;
    for (node, place) in PLACES {
        come_back(bench, *node, place, row)?;
    }
    Ok(())
}

/// Copies the messages within their mailbox until it has as many as are wanted.
fn crowd(bench: &Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let (mut messages, wanted) = (bench.size.messages, bench.size.crowded);
    let mut client = fetch::Client::login(bench.ours.address(Node::Backend, "imap"), USER)?;
    client.command("SELECT INBOX")?;
    let (began, copied) = (Instant::now(), wanted.saturating_sub(messages));
    while messages < wanted {
        let more = messages.min(wanted - messages).min(COPIED);
        client.command(&format!("COPY 1:{more} INBOX"))?;
        messages += more;
    }
    let rate = copied as f64 / began.elapsed().as_secs_f64();
    row(Row::new(
        format!("COPY of {copied} messages, {COPIED} at once"),
        Unit::PerSecond,
        Bar::None,
        rate,
        None,
    ));
    Ok(())
}

/// A client that comes back to a mailbox of which it knows all but some changes.
fn come_back(bench: &Bench, node: Node, place: &str, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let messages = bench.size.crowded;
    let mut client = fetch::Client::login(bench.ours.address(node, "imap"), USER)?;
    client.command("ENABLE QRESYNC")?;
    let selected = client.answer("SELECT INBOX")?;
    let state = (number(&selected, "UIDVALIDITY ")?, number(&selected, "HIGHESTMODSEQ ")?);
    client.command("STORE 1,3,5,7,9,11,13,15,17,19 +FLAGS.SILENT (\\Flagged)")?;
    client.command("STORE 1,3,5,7,9,11,13,15,17,19 -FLAGS.SILENT (\\Flagged)")?;
    client.command("UNSELECT")?;
    let mut times = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        client.command(&format!("SELECT INBOX (QRESYNC ({} {} 1:{messages}))", state.0, state.1))?;
        times.push(began.elapsed().as_secs_f64());
        client.command("UNSELECT")?;
    }
    let what = format!("SELECT (QRESYNC) after 10 changes, {messages} messages, {place}");
    row(Row::new(what, Unit::Seconds, Bar::AtMost(0.005), middle(times).unwrap_or_default(), None));
    Ok(())
}

/// The number behind a word of a code.
fn number(told: &str, word: &str) -> io::Result<u64> {
    let digits = told.split(word).nth(1).and_then(|rest| rest.split(']').next());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no {word}in {told}")))
}

/// Small, in conversations of eight, the dates as they come.
fn message(number: usize) -> String {
    let (day, hour, minute, second) = (1 + number % 28, number / 28 % 24, number / 672 % 60, number % 60);
    let first = number - number % 8;
    format!(
        "From: \"Sender {}\" <s{}@example.org>\r\nSubject: Re: conversation {first}\r\nDate: {day} Jan 2026 \
         {hour:02}:{minute:02}:{second:02} +0000\r\nReferences: <{first}.resort@example.org>\r\nMessage-ID: \
         <{number}.resort@example.org>\r\n\r\nshort\r\n",
        number % 97,
        number % 97
    )
}

/// Commands, and how long they may take in a mailbox of 100,000 messages.
const COMMANDS: &[(&str, f64)] = &[
    ("SORT (DATE) UTF-8 ALL", 0.06),
    ("SORT (SUBJECT) UTF-8 ALL", 0.15),
    ("THREAD REFERENCES UTF-8 ALL", 0.15),
];
const PLACES: &[(Node, &str)] = &[(Node::Backend, "directly"), (Node::Frontend, "through the frontend")];
/// How often a command is repeated after the first time.
const IN_A_ROW: usize = 10;
/// Messages that are copied by one command.
const COPIED: usize = 100_000;
/// Somebody of the first backend.
const USER: &str = "erin";
