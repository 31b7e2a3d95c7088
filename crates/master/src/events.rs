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
use crate::limits::WALL_CLOCK_CHECK;
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use config::cyrus::Cron;
    use time::macros::datetime;

    use super::*;
    use crate::child::Surroundings;
    use crate::program::{Command, Program};

    /// A schedule with one event, which runs `true`, and the processes that it starts.
    struct Clockwork {
        _directory: tempfile::TempDir,
        children: Children,
        schedule: Schedule,
        began: Instant,
        noon: OffsetDateTime,
    }

    impl Clockwork {
        fn new(when: When) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let surroundings = Surroundings {
                notify: String::new(),
                conf: None,
                verbose: 0,
                wake: tokio::sync::mpsc::channel(1).0,
                processes: directory.path().to_owned(),
            };
            let children = Children::new(surroundings).unwrap();
            let noon = datetime!(2026-05-01 12:00 UTC);
            let mut clockwork = Self {
                _directory: directory,
                children,
                schedule: Schedule::default(),
                began: Instant::now(),
                noon,
            };
            clockwork.apply(when);
            clockwork
        }

        fn apply(&mut self, when: When) {
            let command = Command {
                program: Program::Foreign(PathBuf::from("/bin/true")),
                written: "true".to_owned(),
                args: Vec::new(),
                nice: 0,
            };
            let event = Event { name: "tick".to_owned(), command, when };
            self.schedule.apply(vec![event], self.began, self.noon);
        }

        /// Lets both clocks show so many minutes after noon. True when the event is started then.
        fn runs_at(&mut self, minutes: i64) -> bool {
            let now = self.began + Duration::from_secs(60 * minutes.unsigned_abs());
            let before = self.schedule.entries[0].starts;
            self.schedule.settle(&mut self.children, now, self.noon + time::Duration::minutes(minutes));
            let started = self.schedule.entries[0].starts > before;
            if let Some(pid) = self.schedule.entries[0].running {
                let (_, status) = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
                    .unwrap()
                    .unwrap();
                self.schedule.ended(pid, status);
            }
            started
        }
    }

    #[test]
    fn a_period_begins_at_the_start_and_goes_on_by_its_minutes() {
        let mut clockwork = Clockwork::new(When::Period { minutes: 30 });
        let runs: Vec<i64> = (0..100).filter(|minute| clockwork.runs_at(*minute)).collect();
        assert_eq!(runs, [0, 30, 60, 90]);
        // A reload that leaves the line alone leaves its timer alone.
        clockwork.apply(When::Period { minutes: 30 });
        assert!(!clockwork.runs_at(101) && clockwork.runs_at(120));
        // Another period is another event.
        clockwork.apply(When::Period { minutes: 5 });
        assert!(clockwork.runs_at(121));
    }

    #[test]
    fn without_any_time_an_event_runs_once() {
        let mut clockwork = Clockwork::new(When::Once);
        let runs: Vec<i64> =
            (0..10).map(|day| day * 1440).filter(|minute| clockwork.runs_at(*minute)).collect();
        assert_eq!(runs, [0]);
    }

    #[test]
    fn at_runs_daily_at_its_minute_and_not_at_the_start() {
        let local = system_offset(datetime!(2026-05-01 12:00 UTC)).whole_minutes();
        let (hour, minute) = (14, 30);
        let mut clockwork = Clockwork::new(When::At { hour, minute });
        let first = (i64::from(hour) * 60 + i64::from(minute) - i64::from(local) - 12 * 60).rem_euclid(1440);
        let runs: Vec<i64> = (0..3 * 1440).filter(|minute| clockwork.runs_at(*minute)).collect();
        assert_eq!(runs, [first, first + 1440, first + 2880]);
    }

    #[test]
    fn cron_runs_at_the_minutes_of_its_fields() {
        let mut clockwork = Clockwork::new(When::Cron(Cron::parse("*/20 * * * *").unwrap()));
        let runs: Vec<i64> = (0..61).filter(|minute| clockwork.runs_at(*minute)).collect();
        assert_eq!(runs, [20, 40, 60]);
    }

    #[test]
    fn an_event_that_has_not_ended_is_not_started_twice_and_a_missing_program_harms_nothing() {
        let mut clockwork = Clockwork::new(When::Period { minutes: 1 });
        assert!(clockwork.runs_at(0));
        clockwork.schedule.entries[0].running = Some(rustix::process::getpid());
        let now = clockwork.began + Duration::from_secs(60);
        clockwork.schedule.settle(&mut clockwork.children, now, clockwork.noon);
        assert_eq!(clockwork.schedule.entries[0].starts, 1);
        clockwork.schedule.entries[0].running = None;
        clockwork.schedule.entries[0].event.command.program = Program::Foreign(PathBuf::from("/nowhere/x"));
        assert!(!clockwork.runs_at(2));
        clockwork.schedule.entries[0].event.command.program = Program::Foreign(PathBuf::from("/bin/true"));
        assert!(clockwork.runs_at(3));
    }
}
