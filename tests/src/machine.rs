//! A machine with a real systemd as its process 1, for as long as a test needs it: the host's own files under an overlay in
//! memory, and namespaces for everything else. What happens in it is gone with it.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A running machine.
#[derive(Debug)]
pub struct Machine {
    /// `unshare`, whose death is the machine's.
    parent: Child,
    /// Its process 1, as the host counts.
    init: u32,
    cgroup: PathBuf,
    _dir: tempfile::TempDir,
}

impl Machine {
    /// None, and told aloud, where none can run.
    pub fn boot() -> Option<Machine> {
        match Machine::try_boot() {
            Ok(machine) => Some(machine),
            Err(why) => {
                test_host::skip(&format!("a machine with systemd: {why}"));
                None
            }
        }
    }

    fn try_boot() -> Result<Machine, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can make one".into());
        }
        if !Path::new("/lib/systemd/systemd").exists() {
            return Err("systemd is not installed".into());
        }
        let dir = tempfile::Builder::new().prefix("machine").tempdir_in("/tmp").map_err(|e| e.to_string())?;
        let (root, log) = (dir.path().join("m"), dir.path().join("log"));
        fs::create_dir(&root).map_err(|e| e.to_string())?;
        let cgroup = own_cgroup()?;
        let said = File::create(&log).map_err(|e| e.to_string())?;
        let script = "echo $$ >\"$1/cgroup.procs\" && exec unshare --mount --net --uts --ipc --cgroup --pid --fork --kill-child \
                      sh -c \"$2\" sh \"$3\"";
        let parent = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&cgroup)
            .arg(include_str!("machine.sh"))
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(said.try_clone().map_err(|e| e.to_string())?)
            .stderr(said)
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut machine = Machine { parent, init: 0, cgroup, _dir: dir };
        let until = Instant::now() + BOOT;
        while Instant::now() < until {
            if machine.parent.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(fs::read_to_string(&log).unwrap_or_default().trim().replace('\n', "; "));
            }
            if machine.is_up() {
                return Ok(machine);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Err(format!("it does not come up: {}", fs::read_to_string(&log).unwrap_or_default()))
    }

    fn is_up(&mut self) -> bool {
        if self.init == 0 {
            self.init = child_of(self.parent.id()).unwrap_or(0);
        }
        self.init != 0
            && matches!(
                self.run(&["systemctl", "is-system-running"]).stdout.trim_ascii(),
                b"running" | b"degraded"
            )
    }

    /// A command run in it to its end.
    pub fn run(&self, words: &[&str]) -> Output {
        let namespaces = ["-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w"];
        let mut command = Command::new("nsenter");
        command.arg("-t").arg(self.init.to_string()).args(namespaces).arg("--").args(words);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).output().expect("nsenter runs")
    }

    /// What a command says that must succeed.
    #[track_caller]
    pub fn must(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text.trim_end().to_owned()
    }

    /// A line of a shell that must succeed.
    #[track_caller]
    pub fn shell(&self, line: &str) -> String {
        self.must(&["sh", "-c", line])
    }

    /// A file of it, as the host sees it.
    pub fn file(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    pub fn write(&self, path: &str, text: &str) {
        let file = self.file(path);
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("permissions");
    }

    /// Does something in its network.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.init)).expect("its network");
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                use std::os::fd::AsFd;
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may");
                work()
            });
            there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.run(&["journalctl", "--no-pager", "-n", "100", "-o", "short-monotonic"]);
            eprintln!("---- journal ----\n{}", String::from_utf8_lossy(&journal.stdout));
        }
        let _ = self.parent.kill();
        let _ = self.parent.wait();
        remove_cgroup(&self.cgroup);
    }
}

/// A cgroup below the host's own, for systemd to have as its root.
fn own_cgroup() -> Result<PathBuf, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mounts = fs::read_to_string("/proc/mounts").map_err(|e| e.to_string())?;
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mounted = fields.find_map(|fields| match fields.as_slice() {
        [_, place, "cgroup2", ..] => Some(PathBuf::from(place)),
        _ => None,
    });
    let name = format!("murder-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let cgroup = mounted.ok_or("no cgroup2 is mounted here")?.join(name);
    fs::create_dir(&cgroup).map_err(|error| format!("{}: {error}", cgroup.display()))?;
    Ok(cgroup)
}

/// From the leaves to the root, as soon as the killed are gone.
fn remove_cgroup(cgroup: &Path) {
    let until = Instant::now() + Duration::from_secs(5);
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_cgroup(&entry.path());
        }
    }
    while fs::remove_dir(cgroup).is_err() && cgroup.exists() && Instant::now() < until {
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn child_of(parent: u32) -> Option<u32> {
    let wanted = format!("PPid:\t{parent}\n");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| text.contains(&wanted))
    })
}

/// How long a boot may take on a busy machine.
const BOOT: Duration = Duration::from_secs(60);
