//! From raw entries to typed ones: what each section's keys mean.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{Cron, CyrusConf, Daemon, Event, Listen, Place, Proto, Raw, Section, Service, Start, When};
use crate::{Problem, Problems};

pub(super) fn build(file: &Arc<Path>, raw: Vec<Raw>, problems: Problems) -> (CyrusConf, Problems) {
    let conf = CyrusConf {
        path: file.to_path_buf(),
        start: Vec::new(),
        services: Vec::new(),
        events: Vec::new(),
        daemons: Vec::new(),
        warnings: Vec::new(),
    };
    let mut builder = Builder { file, conf, problems, lines: HashMap::new() };
    for entry in &raw {
        builder.entry(entry);
    }
    builder.problems.0.sort_by_key(|problem| problem.line);
    (builder.conf, builder.problems)
}

struct Builder<'a> {
    file: &'a Arc<Path>,
    conf: CyrusConf,
    problems: Problems,
    /// Lines of the services and daemons by name.
    lines: HashMap<String, u32>,
}

impl Builder<'_> {
    fn entry(&mut self, raw: &Raw) {
        let Some(cmd) = self.cmd(raw) else { return };
        if matches!(raw.section, Section::Services | Section::Daemon) && !self.is_first(raw) {
            return;
        }
        let name = raw.name.clone();
        let place = Place { file: self.file.clone(), line: raw.line };
        match raw.section {
            Section::Start => self.conf.start.push(Start { name, cmd, place }),
            Section::Services => self.service(raw, cmd, place),
            Section::Events => {
                let when = self.when(raw);
                self.conf.events.push(Event { name, cmd, when, place });
            }
            Section::Daemon => {
                let maxfds = self.count(raw, "maxfds", 0);
                let maxforkrate = match self.count(raw, "maxforkrate", 0) {
                    0 => 10,
                    rate => rate,
                };
                let wait = self.switch(raw, "wait");
                self.conf.daemons.push(Daemon { name, cmd, maxfds, maxforkrate, wait, place });
            }
        }
    }

    fn service(&mut self, raw: &Raw, cmd: Vec<String>, place: Place) {
        let Some(listen) = raw.get("listen") else {
            return self.problem(raw, "listen is missing".into());
        };
        let listen = match Listen::parse(listen) {
            Ok(listen) => listen,
            Err(message) => return self.warn(raw, format!("listen: {message}: the service is disabled")),
        };
        let proto = match raw.get("proto") {
            None => Proto::Tcp,
            Some(word) => match Proto::from_word(word) {
                Some(proto) => proto,
                None => {
                    let all = Proto::WORDS.join(", ");
                    return self
                        .warn(raw, format!("proto: '{word}' is not one of {all}: the service is disabled"));
                }
            },
        };
        let babysit = self.switch(raw, "babysit");
        let mut service = Service {
            name: raw.name.clone(),
            cmd,
            listen,
            proto,
            prefork: self.count(raw, "prefork", 0),
            maxchild: u32::try_from(self.int(raw, "maxchild", -1)).ok(),
            maxfds: self.count(raw, "maxfds", 0),
            maxforkrate: self.count(raw, "maxforkrate", 0),
            babysit,
            place,
        };
        if babysit {
            service.prefork = service.prefork.max(1);
            if service.maxforkrate == 0 {
                service.maxforkrate = 10;
            }
        }
        if service.proto.is_udp() {
            service.prefork = service.prefork.min(1);
            service.maxchild = Some(1);
        }
        self.conf.services.push(service);
    }

    fn when(&mut self, raw: &Raw) -> When {
        if let Some(text) = raw.get("cron") {
            match Cron::parse(text) {
                Ok(cron) => return When::Cron(cron),
                Err(message) => self.problem(raw, format!("cron: {message}")),
            }
        }
        if let Some(text) = raw.get("at") {
            match at(text) {
                Some((hour, minute)) => return When::At { hour, minute },
                None => {
                    self.warn(raw, format!("at: '{text}' is not a time of day (hhmm, such as 0400): ignored"))
                }
            }
        }
        match self.count(raw, "period", 0) {
            0 => When::Once,
            minutes => When::Period { minutes },
        }
    }

    fn cmd(&mut self, raw: &Raw) -> Option<Vec<String>> {
        let cmd: Vec<String> =
            raw.get("cmd").unwrap_or("").split_ascii_whitespace().map(str::to_owned).collect();
        if cmd.is_empty() {
            self.problem(raw, "cmd is missing".into());
            return None;
        }
        Some(cmd)
    }

    fn is_first(&mut self, raw: &Raw) -> bool {
        if let Some(line) = self.lines.get(&raw.name) {
            self.problem(raw, format!("the name is used twice: first in line {line}"));
            return false;
        }
        self.lines.insert(raw.name.clone(), raw.line);
        true
    }

    /// A number as Cyrus reads it: what follows the digits is ignored, and what has none is the default.
    fn int(&mut self, raw: &Raw, key: &str, default: i64) -> i64 {
        let Some(text) = raw.get(key) else { return default };
        let sign = usize::from(text.starts_with('-'));
        let end =
            text.char_indices().skip(sign).find(|(_, c)| !c.is_ascii_digit()).map_or(text.len(), |(i, _)| i);
        let (digits, junk) = text.split_at(end);
        match digits.parse::<i32>() {
            Ok(number) if junk.is_empty() => i64::from(number),
            Ok(number) => {
                self.warn(raw, format!("{key}: '{junk}' after the number {number} is ignored"));
                i64::from(number)
            }
            Err(_) => {
                self.warn(raw, format!("{key}: '{text}' is not a number: {default} is used"));
                default
            }
        }
    }

    fn count(&mut self, raw: &Raw, key: &str, default: u32) -> u32 {
        u32::try_from(self.int(raw, key, i64::from(default))).unwrap_or(0)
    }

    fn switch(&mut self, raw: &Raw, key: &str) -> bool {
        let text = raw.get(key).unwrap_or("no");
        match crate::imapd::kind::Kind::Switch.read(text) {
            Ok((value, _)) => value == crate::imapd::kind::Value::Switch(true),
            Err(message) => {
                self.warn(raw, format!("{key}: {message}: no is used"));
                false
            }
        }
    }

    fn problem(&mut self, raw: &Raw, message: String) {
        self.problems.0.push(Problem::new(self.file, raw.line, &raw.name, message));
    }

    fn warn(&mut self, raw: &Raw, message: String) {
        self.conf.warnings.push(Problem::new(self.file, raw.line, &raw.name, message));
    }
}

fn at(text: &str) -> Option<(u8, u8)> {
    let number: u16 =
        if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok()? } else { return None };
    let (hour, minute) = (number / 100, number % 100);
    (text.len() <= 4 && hour < 24 && minute < 60).then_some((hour as u8, minute as u8))
}
