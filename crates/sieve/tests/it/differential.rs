//! The same cases on another server's engine: `sieve-test` of Pigeonhole. Where the two differ a case says why.
//!
//! What is compared is what happens to the message: where it is put and with which flags, where it is sent, or that the script has
//! mistakes or breaks off. Words of errors, answers and edited headers are not.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::brief;
use crate::case::{self, Case};

#[test]
fn pigeonhole_does_the_same_with_each_case_that_it_can_run() {
    if !test_host::has(&["sieve-test"]) {
        return;
    }
    let cases: Vec<(String, Case)> = case::all().into_iter().chain(brief::all()).collect();
    let cases: Vec<&(String, Case)> = cases.iter().filter(|(_, case)| case.is_portable()).collect();
    let compared: Vec<Option<String>> = std::thread::scope(|scope| {
        let shares = cases.chunks(cases.len().div_ceil(THREADS)).enumerate();
        let compare = |(number, share): (usize, &[&(String, Case)])| {
            let place = Place::new(number);
            let found: Vec<_> = share.iter().filter_map(|(table, case)| place.compare(table, case)).collect();
            fs::remove_dir_all(&place.directory).expect("the directory goes");
            found
        };
        let running: Vec<_> = shares.map(|share| scope.spawn(move || compare(share))).collect();
        running.into_iter().flat_map(|share| share.join().expect("no comparison panics")).collect()
    });
    let failed: Vec<&str> = compared.iter().flatten().map(String::as_str).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), compared.len(), failed.join("\n"));
    assert!(compared.len() > 1000, "{} cases were compared", compared.len());
}

/// A directory for the other server.
struct Place {
    directory: PathBuf,
}

impl Place {
    fn new(number: usize) -> Place {
        let name = format!("sieve-differential-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("scripts")).expect("a file of the test");
        let settings = format!(
            "mail_location = maildir:{0}/mail\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nlog_path = /dev/stderr\nplugin {{\n\
             sieve_dir = {0}/scripts\nsieve = {0}/none\nsieve_global = {0}/scripts\n\
             sieve_extensions = +vacation-seconds +editheader +mboxmetadata +servermetadata +special-use\n\
             sieve_max_redirects = 64\nsieve_max_actions = 64\n}}\n",
            directory.display()
        );
        fs::write(directory.join("settings"), settings).expect("a file of the test");
        Command::new("chmod").args(["-R", "a+rwX"]).arg(&directory).status().expect("a file of the test");
        Place { directory }
    }

    /// What is otherwise than it should be, if anything is. None: that server lacks an extension.
    fn compare(&self, table: &str, case: &Case) -> Option<Option<String>> {
        let (theirs, ours) = (self.run(case)?, normal(case.run()));
        let title = &case.title;
        Some(match (ours == theirs, &case.pigeonhole) {
            (true, None) | (false, Some(_)) => None,
            (true, Some(why)) => Some(format!("{table}: {title}: no difference any more: {why}")),
            (false, None) => Some(format!("{table}: {title}\n  ours:  {ours:?}\n  Pigeonhole:  {theirs:?}")),
        })
    }

    /// What becomes of the message. None: that server lacks an extension.
    fn run(&self, case: &Case) -> Option<Vec<String>> {
        let path = |name: &str| self.directory.join(name);
        fs::write(path("script.sieve"), &case.script).expect("a file of the test");
        fs::write(path("message"), case.message()).expect("a file of the test");
        for entry in fs::read_dir(path("scripts")).expect("a file of the test") {
            fs::remove_file(entry.expect("a file of the test").path()).expect("a file of the test");
        }
        for ((_, name), script) in &case.server.scripts {
            fs::write(path("scripts").join(format!("{name}.sieve")), script).expect("a file of the test");
        }
        let (_, envelope) = case.server.build();
        let mut command = Command::new("sieve-test");
        command.arg("-C").arg("-c").arg(path("settings")).args(["-f", &envelope.from]);
        command.args(["-r", &envelope.to, "-a", &envelope.to]);
        command.arg(path("script.sieve")).arg(path("message")).env("HOME", &self.directory);
        if is_root() {
            // It refuses to run as root.
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().expect("a file of the test");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (shown, problems) = (text(&output.stdout), text(&output.stderr));
        if problems.contains("unknown Sieve capability") || problems.contains("unknown comparator") {
            return None;
        }
        if problems.contains("failed to compile sieve script") {
            return Some(vec!["mistakes".to_owned()]);
        }
        let mut lines = actions(&shown);
        if !output.status.success() {
            lines = vec![
                format!("error {}", if problems.contains("panic") { "panic" } else { "" }).trim().to_owned(),
            ];
        }
        lines.sort();
        Some(lines)
    }
}

impl Case {
    /// Whether it needs nothing of its server that `sieve-test` has not.
    fn is_portable(&self) -> bool {
        self.server.lines.iter().all(|line| ["from ", "to "].iter().any(|known| line.starts_with(known)))
    }
}

/// What `sieve-test` shows, in our words.
fn actions(shown: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in shown.lines() {
        let found = line.strip_prefix(" * ");
        if let Some(name) = found.and_then(|line| line.strip_prefix("store message in folder: ")) {
            lines.push(format!("store {name}"));
        } else if let Some(to) = found.and_then(|line| line.strip_prefix("redirect message to: ")) {
            lines.push(format!("redirect {}", to.trim_matches(['<', '>']).to_ascii_lowercase()));
        } else if let Some(flags) = line.trim_start().strip_prefix("+ add IMAP flags: ")
            && let Some(last) = lines.last_mut()
        {
            *last += &sorted_flags(flags);
        } else if let Some(other) = found.and_then(|line| line.split(' ').next()) {
            match other {
                "reject" | "discard" => lines.push(other.to_owned()),
                "send" if line.contains("vacation") => lines.push("vacation".to_owned()),
                "send" if line.contains("notification") => lines.push("notify".to_owned()),
                _ => {}
            }
        }
    }
    lines
}

fn sorted_flags(flags: &str) -> String {
    let mut flags: Vec<String> = flags.split_whitespace().map(str::to_ascii_lowercase).collect();
    flags.sort();
    if flags.is_empty() { String::new() } else { format!(" ({})", flags.join(" ")) }
}

/// Our lines, as far as the other server shows the same.
fn normal(ours: Vec<String>) -> Vec<String> {
    if ours.iter().any(|line| line.starts_with("line ")) {
        return vec!["mistakes".to_owned()];
    }
    if ours.iter().any(|line| line.starts_with("error ")) {
        return vec!["error".to_owned()];
    }
    let mut lines: Vec<String> = ours.iter().filter_map(|line| normal_line(line)).collect();
    lines.sort();
    // keep and a fileinto of INBOX are one action in delivery.
    lines.dedup_by(|one, other| one == other && one.starts_with("store "));
    lines
}

fn normal_line(line: &str) -> Option<String> {
    let line = line.split(" edited ").next().unwrap_or_default();
    let line = line.strip_prefix("implicit ").unwrap_or(line);
    let (line, flags) = match line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")) {
        Some((line, flags)) => (line, sorted_flags(flags)),
        None => (line, String::new()),
    };
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "keep" => Some(format!("store INBOX{flags}")),
        "fileinto" => {
            let name = rest.split(" use=").next().unwrap_or_default();
            Some(format!("store {}{flags}", name.strip_suffix(" create").unwrap_or(name)))
        }
        "redirect" => {
            let (local, rest) = rest.split_once('@').unwrap_or((rest, ""));
            let domain = rest.split(' ').next().unwrap_or_default();
            Some(format!("redirect {local}@{domain}").to_ascii_lowercase())
        }
        "reject" | "ereject" => Some("reject".to_owned()),
        "discard" | "vacation" | "notify" => Some(word.to_owned()),
        _ => None,
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

const NOBODY: u32 = 65534;
const THREADS: usize = 4;
