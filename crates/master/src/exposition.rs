//! Metrics in Prometheus's text format: master's own, and those of its processes merged into one page.
//!
//! A family's HELP and TYPE may stand only once on a page, with all its samples below; so what several processes report under
//! one name is brought together.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::board::{Board, Process, State};

/// A page under construction.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
struct Family {
    help: Option<String>,
    kind: Option<String>,
    samples: Vec<String>,
}

impl Exposition {
    /// Adds a page of a process. Lines that are no part of the format are left out.
    pub fn merge(&mut self, page: &str) {
        let mut current = String::new();
        for line in page.lines().filter(|line| !line.trim().is_empty()) {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                name.clone_into(&mut current);
                self.family(name).help.get_or_insert_with(|| help.to_owned());
            } else if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
            {
                name.clone_into(&mut current);
                self.family(name).kind.get_or_insert_with(|| kind.to_owned());
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                // Samples of a histogram carry its name and a suffix.
                let family = if !current.is_empty() && name.starts_with(&current) {
                    current.clone()
                } else {
                    name.to_owned()
                };
                self.family(&family).samples.push(line.to_owned());
            }
        }
    }

    /// Adds what master itself knows.
    pub fn add_board(&mut self, board: &Board) {
        self.add(
            "murder_master_uptime_seconds",
            "gauge",
            "Time since master started.",
            "",
            board.uptime_seconds,
        );
        let help = "1 when every process of the boot is ready. Alert when 0 for minutes.";
        self.add("murder_node_ready", "gauge", help, "", u64::from(board.takes_clients()));
        let help = "1 while an operator has clients sent elsewhere (murder drain). Alert when it is forgotten: 1 for days.";
        self.add("murder_node_draining", "gauge", help, "", u64::from(board.draining));
        for process in &board.processes {
            self.add_process(process);
        }
        for disk in &board.disks {
            let labels = format!("{{disk=\"{}\"}}", escape(&disk.name));
            let help = "Room in configdirectory or a partition. Alert below a tenth of murder_disk_size_bytes: at 0 mail is refused.";
            self.add("murder_disk_free_bytes", "gauge", help, &labels, disk.free_bytes);
            self.add(
                "murder_disk_size_bytes",
                "gauge",
                "Size of the file system of a disk.",
                &labels,
                disk.total_bytes,
            );
        }
    }

    fn add_process(&mut self, process: &Process) {
        let labels =
            format!("{{kind=\"{}\",service=\"{}\"}}", process.kind.to_lowercase(), escape(&process.name));
        let up = u64::from(process.state == State::Ready);
        self.add("murder_process_ready", "gauge", "1 while the process is ready.", &labels, up);
        let help = "1 when master has given the service up. Alert at once: it needs a SIGHUP.";
        self.add(
            "murder_process_disabled",
            "gauge",
            help,
            &labels,
            u64::from(process.state == State::Disabled),
        );
        self.add("murder_process_starts_total", "counter", "Starts of the process.", &labels, process.starts);
        let help = "Ends that master did not ask for. Alert when it grows.";
        self.add("murder_process_failures_total", "counter", help, &labels, process.failures);
        if let Some(clients) = process.clients {
            self.add("murder_process_clients", "gauge", "Clients that the process serves.", &labels, clients);
        }
        if let Some(workers) = process.workers {
            let (service, family) = process.name.split_once('/').unwrap_or((&process.name, ""));
            let labels = format!("{{service=\"{}\",family=\"{}\"}}", escape(service), escape(family));
            self.add(
                "cyrus_master_ready_workers",
                "gauge",
                "Workers that wait for a client.",
                &labels,
                workers.ready,
            );
            self.add("cyrus_master_active_children", "gauge", "Workers that run.", &labels, workers.active);
            if let Some(limit) = workers.limit {
                self.add("cyrus_master_max_children", "gauge", "Most workers at a time.", &labels, limit);
            }
            self.add("cyrus_master_forks_total", "counter", "Workers started.", &labels, process.starts);
            self.add(
                "cyrus_master_ready_fails_total",
                "counter",
                "Deaths of waiting workers.",
                &labels,
                process.failures,
            );
        }
    }

    fn add(&mut self, name: &str, kind: &str, help: &str, labels: &str, value: impl Into<u64>) {
        let family = self.family(name);
        family.help.get_or_insert_with(|| help.to_owned());
        family.kind.get_or_insert_with(|| kind.to_owned());
        family.samples.push(format!("{name}{labels} {}", value.into()));
    }

    fn family(&mut self, name: &str) -> &mut Family {
        self.families.entry(name.to_owned()).or_default()
    }

    /// The samples by themselves, for the status page.
    pub fn figures(&self) -> Figures {
        let samples = self.families.iter().flat_map(|(name, family)| {
            family.samples.iter().filter_map(move |line| Some((name.clone(), sample(name, line)?)))
        });
        let mut figures = Figures::default();
        for (name, sample) in samples {
            figures.by_name.entry(name).or_default().push(sample);
        }
        figures
    }

    /// The whole page.
    pub fn render(&self) -> String {
        let mut page = String::new();
        for (name, family) in self.families.iter().filter(|(_, family)| !family.samples.is_empty()) {
            if let Some(help) = &family.help {
                let _ = writeln!(page, "# HELP {name} {help}");
            }
            let _ = writeln!(page, "# TYPE {name} {}", family.kind.as_deref().unwrap_or("untyped"));
            for sample in &family.samples {
                let _ = writeln!(page, "{sample}");
            }
        }
        page
    }
}

/// Samples by the names of their families, each with its labels.
#[derive(Debug, Default)]
pub struct Figures {
    by_name: BTreeMap<String, Vec<Sample>>,
}

/// Labels and value.
type Sample = (BTreeMap<String, String>, f64);

impl Figures {
    /// All samples of a family.
    pub fn all(&self, name: &str) -> Vec<Sample> {
        self.by_name.get(name).cloned().unwrap_or_default()
    }

    /// The sum of those samples whose label has this value; `None` without any.
    pub fn of(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        let samples = self.by_name.get(name)?.iter();
        let matching = samples.filter(|(labels, _)| labels.get(label).is_some_and(|found| found == value));
        matching.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }

    /// What an operator should look at.
    pub fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        // Some are bad when they are 0, some when they are not.
        let rules = [
            ("murder_list_complete", false, "its list of mailboxes is not complete"),
            ("murder_replica_live", false, "does not follow the MUPDATE master"),
            ("murder_list_conflicts", true, "two servers claim one mailbox: see murder status"),
            ("murder_replica_held_removals", true, "removals are held back: see murder status"),
        ];
        for (labels, _) in self.all("murder_backend_reachable").into_iter().filter(|(_, value)| *value == 0.0)
        {
            let of = |label| labels.get(label).map_or("", String::as_str);
            found.push(format!("{}: {} does not answer by {}", of("program"), of("server"), of("protocol")));
        }
        for (labels, days) in self.all("murder_certificate_days_left") {
            let file = labels.get("file").map_or("", String::as_str);
            if days < SOON {
                found.push(format!("{file}: {}", certificate_words(days)));
            }
        }
        for (name, bad, words) in rules {
            for (labels, _) in self.all(name).into_iter().filter(|(_, value)| (*value > 0.0) == bad) {
                found.push(format!("{}: {words}", labels.get("program").map_or("", String::as_str)));
            }
        }
        found
    }
}

/// How long a certificate holds.
pub fn certificate_words(days: f64) -> String {
    match days < 0.0 {
        true => "the certificate has ended".to_owned(),
        false => format!("the certificate ends in {} days", days.floor()),
    }
}

/// `name{label="value",…} 1.5`
fn sample(name: &str, line: &str) -> Option<Sample> {
    let rest = line.strip_prefix(name)?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once('}')?,
        None => ("", rest),
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    // Values of ours hold no commas within quotes but those of names of servers, which have none.
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let labels = pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect();
    Some((labels, value))
}

/// Days before the end of a certificate at which it should have been renewed.
const SOON: f64 = 14.0;

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_several_processes_are_one_with_each_family_once() {
        let mut page = Exposition::default();
        page.merge("# HELP a_total As.\n# TYPE a_total counter\na_total{program=\"x\"} 1\n\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 3\n");
        page.merge("# TYPE a_total counter\na_total{program=\"y\"} 4\nloose 5\n");
        assert_eq!(
            page.render(),
            "# HELP a_total As.\n# TYPE a_total counter\na_total{program=\"x\"} 1\na_total{program=\"y\"} 4\n\
             # TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 3\n# TYPE loose untyped\nloose 5\n"
        );
    }

    #[test]
    fn workers_are_reported_under_the_names_that_cyrus_uses() {
        let workers = crate::board::Workers { ready: 2, active: 3, limit: Some(9), connections: 40 };
        let process = Process {
            kind: "SERVICE",
            name: "notify/unix".to_owned(),
            workers: Some(workers),
            starts: 7,
            ..Process::default()
        };
        let mut page = Exposition::default();
        page.add_process(&process);
        let text = page.render();
        assert!(
            text.contains("cyrus_master_ready_workers{service=\"notify\",family=\"unix\"} 2\n"),
            "{text}"
        );
        assert!(text.contains("cyrus_master_forks_total{service=\"notify\",family=\"unix\"} 7\n"), "{text}");
    }
}
