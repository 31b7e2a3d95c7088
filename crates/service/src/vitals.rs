//! What a process tells of itself beside its work: memory, descriptors, processor, and how long its certificates hold. Read when
//! somebody asks for the metrics.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{counter, gauge};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use transport::{settings, tls};

use crate::context::Context;

pub(crate) struct Vitals {
    context: Context,
    certificates: Mutex<Option<Loaded>>,
}

/// The certificates in force.
#[derive(Clone)]
struct Loaded {
    /// The reload since which they are.
    reload: u64,
    /// Each with the second at which it ends.
    ends: Vec<(PathBuf, u64)>,
}

impl Vitals {
    pub fn new(context: Context) -> Vitals {
        Vitals { context, certificates: Mutex::new(None) }
    }

    /// Sets the gauges. Reads a few small files.
    pub fn refresh(&self) {
        process();
        for (file, end) in self.certificates() {
            let left = (i64::try_from(end).unwrap_or(i64::MAX) - now()) as f64 / 86_400.0;
            gauge!("murder_certificate_days_left", "file" => file.display().to_string()).set(left);
        }
    }

    /// Those that the listeners got at the last reload, not what the files hold by now: it is them that clients see.
    fn certificates(&self) -> Vec<(PathBuf, u64)> {
        let reload = *self.context.reloads().borrow();
        let mut known = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.reload != reload) {
            let files = settings::server_tls(&self.context.imapd()).map(|options| options.certificates);
            let ends = files.into_iter().flatten();
            let ends = ends.filter_map(|file| tls::expires(&file).map(|end| (file, end))).collect();
            *known = Some(Loaded { reload, ends });
        }
        known.as_ref().map(|known| known.ends.clone()).unwrap_or_default()
    }
}

/// The names are those that Prometheus's own clients use.
fn process() {
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let number = |key: &str| field(&status, key);
        gauge!("process_resident_memory_bytes").set(number("VmRSS").saturating_mul(1024) as f64);
        gauge!("process_threads").set(number("Threads") as f64);
    }
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    counter!("process_cpu_seconds_total").absolute(u64::try_from(used).unwrap_or(0));
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the directory itself.
        gauge!("process_open_fds").set(open.count().saturating_sub(1) as f64);
    }
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    gauge!("process_max_fds").set(most as f64);
}

/// A number of /proc/self/status, of memory in KiB (proc_pid_status(5)); 0 where it is missing.
fn field(status: &str, key: &str) -> u64 {
    let mut values = status.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let value = values.next().and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.unwrap_or(0)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    i64::try_from(now).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_threads_of_a_process_are_read() {
        let status = "Name:\tVmRSS: 9\nVmRSS:\t   22616 kB\nThreads:\t7\n";
        assert_eq!((field(status, "VmRSS"), field(status, "Threads"), field(status, "Vm")), (22_616, 7, 0));
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(field(&own, "VmRSS") > 0 && field(&own, "Threads") > 0, "{own}");
    }
}
