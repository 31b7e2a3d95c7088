//! Moves as an operator reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use moves::journal::{Record, Role};
use moves::order::Shown;
use moves::source::Phase;
use moves::{MoveId, destination};

use crate::status::date;
use crate::who::age;

/// All of them, by the backend that has the journal.
pub fn table(moves: &BTreeMap<String, Vec<Shown>>, now: u64) -> String {
    let mut out = String::from(
        "ID        MAILBOX                  FROM -> TO                     STATE       SINCE     SENT\n",
    );
    let (mut count, mut kept) = (0usize, 0u64);
    for (server, all) in moves {
        let mut all: Vec<&Shown> = all.iter().collect();
        all.sort_by_key(|shown| (shown.record.started, shown.record.id.clone()));
        for shown in all {
            count += 1;
            let record = &shown.record;
            let (way, sent) = match &record.role {
                Role::Source { to, messages, bytes: sent, .. } => {
                    if record.is_kept() {
                        kept = kept.saturating_add(*sent);
                    }
                    (format!("{server} -> {to}"), format!("{messages} messages, {}", bytes(*sent)))
                }
                Role::Destination { from, .. } => (format!("{from} -> {server}"), "(comes in)".to_owned()),
            };
            let _ = writeln!(
                out,
                "{:<9} {:<24} {way:<30} {:<11} {:<9} {sent}",
                short(&record.id),
                record.root,
                state(record),
                age(now.saturating_sub(record.started)),
            );
            for line in more(shown) {
                let _ = writeln!(out, "          {line}");
            }
        }
    }
    let copies = if kept > 0 { format!("; copies that are kept: {}", bytes(kept)) } else { String::new() };
    let _ = writeln!(out, "{count} moves{copies}");
    out
}

/// What stands below a move's line.
fn more(shown: &Shown) -> Vec<String> {
    let (record, mut lines) = (&shown.record, Vec::new());
    if shown.live.is_some() {
        lines.push(progress(shown));
    }
    match (&shown.waits, &record.why) {
        (Some(why), _) | (None, Some(why)) if shown.live.is_none() => lines.push(why.clone()),
        _ => {}
    }
    if let Role::Source { keep_until: Some(until), .. } = record.role
        && record.is_kept()
    {
        let pause = record.pause.map_or(String::new(), |ms| format!("; changes waited for {ms} ms"));
        lines.push(format!("the copy is kept until {}{pause}", date(until)));
    }
    if let Some(plan) = &record.wishes.plan {
        lines.push(format!("of {plan}"));
    }
    lines
}

/// How far a move is.
pub fn progress(shown: &Shown) -> String {
    if let Some(why) = &shown.waits {
        return why.clone();
    }
    let Some(live) = &shown.live else { return state(&shown.record).to_owned() };
    let left =
        live.left.filter(|_| live.round <= 1).map_or(String::new(), |left| format!(", {} left", age(left)));
    format!(
        "round {}, {} of {} messages, {} of {}, {}/s{left}",
        live.round,
        live.messages,
        live.total_messages.max(live.messages),
        bytes(live.bytes),
        bytes(live.total_bytes.max(live.bytes)),
        bytes(live.rate),
    )
}

/// One word for where a move stands.
pub fn state(record: &Record) -> &'static str {
    match &record.role {
        Role::Source { phase, .. } => match phase {
            Phase::Queued if record.wishes.stopped => "stopped",
            Phase::Queued => "queued",
            Phase::Copying => "copying",
            Phase::Switching => "switching",
            Phase::Switched => "switched",
            Phase::Kept if record.purged.is_some() => "done",
            Phase::Kept => "kept",
            Phase::Aborted => "aborted",
        },
        Role::Destination { phase, .. } => match phase {
            destination::Phase::Incoming => "incoming",
            destination::Phase::Prepared => "prepared",
            destination::Phase::Committed => "committed",
            destination::Phase::Done => "done",
            destination::Phase::Aborted => "aborted",
        },
    }
}

/// Enough of an id to name a move.
pub fn short(id: &MoveId) -> &str {
    id.as_str().get(..SHORT).unwrap_or(id.as_str())
}

/// `3.1 GB`, `12 kB`.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

const SHORT: usize = 8;

#[cfg(test)]
mod tests {
    use moves::order::Live;
    use moves::wishes::Wishes;

    use super::*;

    fn shown(phase: Phase) -> Shown {
        let role = Role::Source {
            phase,
            to: "be2".to_owned(),
            messages: 10,
            bytes: 2_500_000,
            asked_by: "cyrus".to_owned(),
            frozen_at: None,
            keep_until: Some(1_700_000_000),
            followed: true,
        };
        let record = Record {
            id: MoveId::parse("0123456789abcdef").unwrap(),
            root: "user.fred".to_owned(),
            items: Vec::new(),
            round: 1,
            started: 1_699_999_000,
            expected: None,
            why: None,
            wishes: Wishes::default(),
            ended: None,
            purged: None,
            pause: Some(35),
            role,
        };
        Shown { record, mailboxes: 3, waits: None, live: None }
    }

    #[test]
    fn a_move_that_does_not_go_on_says_why_and_one_that_does_how_far_it_is() {
        let mut held = shown(Phase::Queued);
        held.waits = Some("be2 takes 2 moves at once".to_owned());
        let mut runs = shown(Phase::Copying);
        runs.live = Some(Live {
            round: 1,
            messages: 20,
            bytes: 30_000_000,
            total_messages: 400,
            total_bytes: 90_000_000,
            rate: 3_000_000,
            left: Some(20),
        });
        let kept = shown(Phase::Kept);
        let text = table(&BTreeMap::from([("be1".to_owned(), vec![held, runs, kept])]), 1_699_999_060);
        assert_eq!(
            text,
            "ID        MAILBOX                  FROM -> TO                     STATE       SINCE     SENT\n\
             01234567  user.fred                be1 -> be2                     queued      1 min     10 messages, 2.5 MB\n          \
             be2 takes 2 moves at once\n\
             01234567  user.fred                be1 -> be2                     copying     1 min     10 messages, 2.5 MB\n          \
             round 1, 20 of 400 messages, 30.0 MB of 90.0 MB, 3.0 MB/s, 20 s left\n\
             01234567  user.fred                be1 -> be2                     kept        1 min     10 messages, 2.5 MB\n          \
             the copy is kept until 2023-11-14T22:13:20Z; changes waited for 35 ms\n\
             3 moves; copies that are kept: 2.5 MB\n"
        );
    }
}
