//! What a node is, and what cannot be on it together.
//!
//! Any programs may share a host, each with an imapd.conf of its own. Within one imapd.conf a node is a frontend, a backend or neither
//! (see [`config::imapd::Role`]), and a line that cannot work there is refused before anything starts: it would fail later and with
//! less to go by.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::Problem;
use config::cyrus::Place;
use config::imapd::{Imapd, MupdateConfig, Role};

use crate::program::Command;

/// The lines that decide what a node is.
#[derive(Debug, Default)]
pub struct Roles {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    name: String,
    written: String,
    part: Part,
    conf: PathBuf,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Master,
    Slave,
    Proxy,
    Store,
}

/// What cannot work.
#[derive(Debug, Default)]
pub struct Objections {
    /// No node can be made of these.
    pub wrong: Vec<Problem>,
    /// The names of lines that are left out of a node that works without them.
    pub skipped: Vec<(String, Problem)>,
}

impl Roles {
    /// Notes a line of SERVICES.
    pub fn note(&mut self, name: &str, command: &Command, conf: &Path, place: &Place) {
        if let Some(part) = part(command) {
            let (name, written) = (name.to_owned(), command.written.clone());
            self.lines.push(Line { name, written, part, conf: conf.to_owned(), place: place.clone() });
        }
    }

    /// The lines that cannot work, given what their files say. Files that are wrong are told elsewhere.
    pub fn check(&self, confs: &HashMap<PathBuf, Option<Imapd>>) -> Objections {
        let mut found = Objections::default();
        for line in &self.lines {
            let Some(Some(imapd)) = confs.get(&line.conf) else { continue };
            let Some(why) = self.objection(line, imapd) else { continue };
            let problem = |why| Problem::new(&line.place.file, line.place.line, &line.name, why);
            // In Cyrus such lines fail at each client, and the list of mailboxes is served all the same.
            if line.part == Part::Store && self.other(line, Part::Master).is_some() {
                found.skipped.push((line.name.clone(), problem(format!("{why}: the line is skipped"))));
            } else {
                found.wrong.push(problem(why));
            }
        }
        found
    }

    /// A line of that part which reads the same imapd.conf.
    fn other(&self, line: &Line, part: Part) -> Option<&Line> {
        self.lines.iter().find(|other| other.conf == line.conf && other.part == part)
    }

    fn objection(&self, line: &Line, imapd: &Imapd) -> Option<String> {
        let (written, file) = (&line.written, imapd.path().display());
        match (line.part, imapd.role()) {
            (Part::Store, Role::Backend | Role::Frontend)
                if imapd.mupdate_config == MupdateConfig::Replicated =>
            {
                Some(format!(
                    "{written} keeps mail on this node, and mupdate_config in {file} is replicated: no two nodes can share a spool, since one \
                     process owns a store; make it standard"
                ))
            }
            (Part::Proxy, Role::Backend) if imapd.is_unified() => None,
            (Part::Slave, Role::Backend) if imapd.is_unified() => self.slave(line, imapd),
            (Part::Proxy, Role::Backend) => Some(format!(
                "{written} is a proxy, but proxyservers is set in {file}, which makes this node a backend: remove proxyservers, or \
                 give the line a frontend's file with -C"
            )),
            (Part::Slave, Role::Backend) => Some(format!(
                "mupdate without -m is a frontend's slave, but proxyservers is set in {file}, which makes this node a backend: \
                 remove one of the two"
            )),
            (Part::Proxy, Role::Alone) if self.other(line, Part::Master).is_none() => Some(format!(
                "{written} is a proxy, and needs mupdate_server in {file}, or a line with mupdate -m, to know where mailboxes are"
            )),
            (Part::Slave, _) => self.slave(line, imapd),
            (Part::Store, _) if imapd.partitions().is_empty() => Some(format!(
                "{written} keeps mail on this node, but no partition-NAME is set in {file}: set partition-default to a directory, \
                 or, for a frontend, mupdate_server"
            )),
            (Part::Master | Part::Proxy | Part::Store, _) => None,
        }
    }

    fn slave(&self, line: &Line, imapd: &Imapd) -> Option<String> {
        let file = imapd.path().display();
        if let Some(master) = self.other(line, Part::Master) {
            let there = master.place.line;
            return Some(format!(
                "a slave on the master's own host: line {there} runs mupdate -m, and proxies here follow that: remove this line"
            ));
        }
        let upstreams = imapd.mupdate_upstreams();
        if upstreams.is_empty() {
            return Some(format!("mupdate without -m is a slave, and needs mupdate_server in {file}"));
        }
        upstreams.iter().any(|upstream| upstream.host.eq_ignore_ascii_case(&imapd.servername)).then(|| {
            format!(
                "a slave of itself: mupdate_server in {file} is this node's own servername, {}: make it mupdate -m",
                imapd.servername
            )
        })
    }
}

fn part(command: &Command) -> Option<Part> {
    let has = |flag: char| {
        let among = |word: &String| word.strip_prefix('-').is_some_and(|letters| letters.contains(flag));
        command.args.iter().any(among)
    };
    let program = command.path()?.file_name()?.to_str()?;
    match program {
        "mupdate" if has('m') => Some(Part::Master),
        // -a: master or slave is found out from addresses, at run time.
        "mupdate" if has('a') => None,
        "mupdate" => Some(Part::Slave),
        "imapproxy" | "pop3proxy" | "lmtpproxy" | "sieveproxy" | "nntpproxy" => Some(Part::Proxy),
        "backend" => Some(Part::Store),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::program::Program;

    /// What is said about lines of `program args` under an imapd.conf, each as `line: words`.
    fn said(conf: &str, lines: &[&str]) -> Vec<String> {
        let path = PathBuf::from("imapd.conf");
        let text = format!("configdirectory: /v\nservername: here.example\n{conf}");
        let imapd = Imapd::parse(&path, &text, "master").unwrap();
        let mut roles = Roles::default();
        for (number, line) in (1u32..).zip(lines) {
            let (written, args) = line.split_once(' ').unwrap_or((line, ""));
            let command = Command {
                program: Program::Ours(PathBuf::from("/bin").join(written)),
                written: written.to_owned(),
                args: args.split_whitespace().map(str::to_owned).collect(),
                nice: 0,
            };
            let place = Place { file: Arc::from(Path::new("cyrus.conf")), line: number };
            roles.note("x", &command, &path, &place);
        }
        let found = roles.check(&HashMap::from([(path, Some(imapd))]));
        let skipped = found.skipped.iter().map(|(_, problem)| problem);
        found
            .wrong
            .iter()
            .chain(skipped)
            .map(|problem| format!("{}: {}", problem.line, problem.message))
            .collect()
    }

    #[test]
    fn what_goes_together_is_not_spoken_of() {
        let frontend = "mupdate_server: m.example\n";
        let backend = "mupdate_server: m.example\nproxyservers: p\npartition-default: /s\n";
        let all = "mupdate_server: here.example\nproxyservers: p\npartition-default: /s\n";
        let unified =
            "mupdate_config: unified\nmupdate_server: m.example\nproxyservers: p\npartition-default: /s\n";
        for (conf, lines) in [
            (frontend, &["mupdate", "imapproxy", "pop3proxy -s", "lmtpproxy"][..]),
            (backend, &["backend", "backend -s"]),
            ("", &["mupdate -m"]),
            ("", &["mupdate -m", "imapproxy"]),
            ("mupdate_server: here.example\n", &["mupdate -m", "imapproxy"]),
            (all, &["mupdate -m", "backend"]),
            (unified, &["mupdate", "imapproxy", "pop3proxy", "lmtpproxy", "sieveproxy", "backend"]),
            ("mupdate_config: replicated\n", &["mupdate -m"]),
            ("partition-default: /s\n", &["backend"]),
            ("", &["mupdate -a"]),
        ] {
            assert_eq!(said(conf, lines), Vec::<String>::new(), "{conf} {lines:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        let frontend = "mupdate_server: m.example\n";
        let backend = "mupdate_server: m.example\nproxyservers: p\npartition-default: /s\n";
        let shared =
            "mupdate_config: replicated\nmupdate_server: m.example\nproxyservers: p\npartition-default: /s\n";
        for (conf, lines, words) in [
            (backend, &["imapproxy"][..], "1: imapproxy is a proxy, but proxyservers is set in imapd.conf"),
            (
                backend,
                &["backend", "mupdate"],
                "2: mupdate without -m is a frontend's slave, but proxyservers",
            ),
            (
                shared,
                &["backend"],
                "1: backend keeps mail on this node, and mupdate_config in imapd.conf is replicated",
            ),
            ("", &["imapproxy"], "1: imapproxy is a proxy, and needs mupdate_server"),
            ("", &["mupdate"], "1: mupdate without -m is a slave, and needs mupdate_server"),
            (
                frontend,
                &["mupdate -m", "mupdate"],
                "2: a slave on the master's own host: line 1 runs mupdate -m",
            ),
            ("mupdate_server: HERE.example:3905\n", &["mupdate"], "1: a slave of itself"),
            ("", &["mupdate -m", "backend -s"], "2: backend keeps mail on this node, but no partition-NAME"),
            ("", &["backend"], "1: backend keeps mail on this node, but no partition-NAME is set"),
        ] {
            let said = said(conf, lines);
            assert!(said.len() == 1 && said[0].starts_with(words), "{said:?}");
        }
    }
}
