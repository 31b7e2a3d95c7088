//! EVENTS: commands that run at times and end by themselves.
//!
//! Periods go by the monotonic clock, `at` and `cron` by the clock on the wall. An event whose last run has not ended is not
//! started a second time. A reload leaves the timers of unchanged lines alone.

use std::time::{Duration, Instant};

use config::cyrus::When;
use rustix::process::{Pid, WaitStatus};
use time::OffsetDateTime;
use tracing::{debug, error, info};

use crate::board::{self, Process};
use crate::calendar::{next_at, next_cron, system_offset};
use crate::child::{Children, Extras, Owner, earlier, is_failure};
use crate::plan::Event;

/// All events.
#[derive(Debug, Default)]
pub struct Schedule {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    event: Event,
    due: Due,
    running: Option<Pid>,
    starts: u64,
    deaths: u64,
    last: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Due {
    Never,
    After(Instant),
    /// By the clock on the wall, which may jump.
    At(OffsetDateTime),
}

impl Schedule {
    /// Takes the events of a plan over. New ones with a period, or without any time, are due at once.
    pub fn apply(&mut self, events: Vec<Event>, now: Instant, wall: OffsetDateTime) {
        let mut before = std::mem::take(&mut self.entries);
        for event in events {
            let known = before.iter().position(|entry| entry.event == event);
            self.entries.push(match known {
                Some(place) => before.swap_remove(place),
                None => Entry {
                    due: first_due(&event.when, now, wall),
                    event,
                    running: None,
                    starts: 0,
                    deaths: 0,
                    last: "never ran",
                },
            });
        }
    }

    /// Starts what is due. Gives the moment at which to look again.
    pub fn settle(&mut self, children: &mut Children, now: Instant, wall: OffsetDateTime) -> Option<Instant> {
        let mut next = None;
        for entry in &mut self.entries {
            let due = match entry.due {
                Due::Never => false,
                Due::After(moment) => moment <= now,
                Due::At(moment) => moment <= wall,
            };
            if due {
                entry.run(children, now);
                entry.due = next_due(&entry.event.when, now, wall);
            }
            next = earlier(next, entry.look_again(now, wall));
        }
        next
    }

    /// An event's process ended.
    pub fn ended(&mut self, pid: Pid, status: WaitStatus) {
        for entry in self.entries.iter_mut().filter(|entry| entry.running == Some(pid)) {
            let failed = is_failure(status);
            entry.running = None;
            entry.deaths += u64::from(failed);
            entry.last = if failed { "the last run failed" } else { "the last run went well" };
        }
    }

    /// For the status page.
    pub fn describe(&self) -> impl Iterator<Item = Process> {
        self.entries.iter().map(|entry| Process {
            kind: "EVENT",
            name: entry.event.name.clone(),
            program: entry.event.command.path().map(|path| path.display().to_string()).unwrap_or_default(),
            state: if entry.running.is_some() { board::State::Ready } else { board::State::Waiting },
            pid: entry.running.map(|pid| pid.as_raw_nonzero().get()),
            starts: entry.starts,
            failures: entry.deaths,
            status: entry.last.to_owned(),
            ..Process::default()
        })
    }
}

impl Entry {
    fn run(&mut self, children: &mut Children, now: Instant) {
        let name = &self.event.name;
        if let Some(pid) = self.running {
            info!(
                "event {name} is due, but its last run (pid {}) has not ended: skipped",
                pid.as_raw_nonzero()
            );
            return;
        }
        let owner = Owner::Event(name.clone());
        match children.start(owner, name, &self.event.command, Extras::default(), now) {
            Ok(pid) => {
                debug!("event {name} started, pid {}", pid.as_raw_nonzero());
                self.running = Some(pid);
                self.starts += 1;
            }
            Err(cause) => {
                let path =
                    self.event.command.path().map(|path| path.display().to_string()).unwrap_or_default();
                error!("can't exec {path} on schedule: {cause}");
            }
        }
    }

    fn look_again(&self, now: Instant, wall: OffsetDateTime) -> Option<Instant> {
        match self.due {
            Due::Never => None,
            Due::After(moment) => Some(moment),
            Due::At(moment) => {
                let left = Duration::try_from(moment - wall).unwrap_or(Duration::ZERO);
                Some(now + left.min(WALL_CLOCK_CHECK))
            }
        }
    }
}

fn first_due(when: &When, now: Instant, wall: OffsetDateTime) -> Due {
    match when {
        When::Once | When::Period { .. } => Due::After(now),
        When::At { .. } | When::Cron(_) => next_due(when, now, wall),
    }
}

fn next_due(when: &When, now: Instant, wall: OffsetDateTime) -> Due {
    match when {
        When::Once => Due::Never,
        When::Period { minutes } => Due::After(now + Duration::from_secs(60 * u64::from(*minutes))),
        When::At { hour, minute } => {
            next_at(*hour, *minute, wall, &system_offset).map_or(Due::Never, Due::At)
        }
        When::Cron(cron) => next_cron(cron, wall, &system_offset).map_or(Due::Never, Due::At),
    }
}

/// How often a time by the wall is looked at again, in case somebody sets the clock.
const WALL_CLOCK_CHECK: Duration = Duration::from_secs(60);
