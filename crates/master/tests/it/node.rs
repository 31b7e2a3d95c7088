//! A node for a test: a directory with programs and configuration, and a `master` on it whose log is read line by line.
//!
//! Nothing here waits for time to pass: a test waits for a line of the log, an answer on a socket, or the end of a process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::stand_in;

/// How long anything may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(20);

/// The directory of a node.
pub struct Node {
    directory: tempfile::TempDir,
}

/// A running master.
pub struct Master {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Node {
    /// A node with the programs `imapd` and friends resolve to, `foreign` and `touch.sh`, and this cyrus.conf. In the text `@`
    /// stands for the node's directory.
    pub fn new(cyrus_conf: &str) -> Self {
        let node = Self { directory: tempfile::tempdir().unwrap() };
        for name in ["bin", "var", "spool"] {
            fs::create_dir(node.path(name)).unwrap();
        }
        // In the node's own directory, where another user may run them, too.
        for (program, name) in [(env!("CARGO_BIN_EXE_master").into(), "master"), (itself(), "stand-in")] {
            let place = node.path("bin").join(name);
            if fs::hard_link(&program, &place).is_err() {
                fs::copy(&program, &place).unwrap();
            }
        }
        for name in ["backend", "mupdate"] {
            node.stand_in(name, "ours");
        }
        node.stand_in("foreign", "foreign");
        for name in ["ctl_cyrusdb", "ctl_mboxlist", "say"] {
            node.program(
                name,
                &format!("#!/bin/sh\necho \"{name} $*\" >&2\ncase \"$*\" in *-fail*) exit 9;; esac\n"),
            );
        }
        node.imapd_conf("");
        node.cyrus_conf(cyrus_conf);
        node
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A program that plays this part of `stand_in`.
    pub fn stand_in(&self, name: &str, part: &str) {
        let prefix = if part == "keeper" { String::new() } else { format!("{part}: ") };
        self.program(name, &stand_in::script(part, &prefix, &self.path("bin/stand-in")));
    }

    pub fn cyrus_conf(&self, text: &str) {
        // The words of `stand_in::ours` are no options of a daemon: they come as values of one that is passed on.
        let text = WORDS
            .iter()
            .fold(self.expand(text), |text, word| text.replace(word, &format!(" --listen{word}")));
        fs::write(self.path("cyrus.conf"), text).unwrap();
    }

    pub fn imapd_conf(&self, more: &str) {
        let text =
            format!("configdirectory: @/var\npartition-default: @/spool\ncyrus_user: {}\n{more}\n", user());
        fs::write(self.path("imapd.conf"), self.expand(&text)).unwrap();
    }

    pub fn expand(&self, text: &str) -> String {
        text.replace('@', &self.directory.path().display().to_string())
    }

    /// Lets another user run the node.
    pub fn give_to(&self, uid: u32) {
        fs::set_permissions(self.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["var", "spool"] {
            std::os::unix::fs::chown(self.path(name), Some(uid), Some(uid)).unwrap();
        }
    }

    /// The command line of a master on this node, without words of its own.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.path("bin/master"));
        command.arg("-C").arg(self.path("imapd.conf")).arg("-M").arg(self.path("cyrus.conf"));
        command.stdin(Stdio::null());
        for name in ["NOTIFY_SOCKET", "JOURNAL_STREAM", "MURDER_LOG", "RUST_LOG", "CYRUS_VERBOSE"] {
            command.env_remove(name);
        }
        command
    }

    /// Starts a master without waiting for anything.
    pub fn start(&self) -> Master {
        Master::spawn(self.command().arg("-v"))
    }

    /// Starts a master and waits until the node is ready.
    pub fn ready(&self) -> Master {
        let mut master = self.start();
        master.expect("ready for work");
        master
    }

    /// Runs master to its end; gives status, standard output and standard error.
    pub fn run(&self, words: &[&str]) -> (ExitStatus, String, String) {
        let output = self.command().args(words).output().unwrap();
        (
            output.status,
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    /// Connects to a UNIX socket of the node.
    pub fn connect(&self, socket: &str) -> Client {
        Client::new(UnixStream::connect(self.path("var/socket").join(socket)).unwrap())
    }

    /// Connects and reads the one line that the test programs send.
    pub fn greeting(&self, socket: &str) -> String {
        self.connect(socket).line()
    }
}

impl Master {
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// The next line that contains `text`; lines before it are skipped.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + BOUND;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no line with {text:?} in:\n{}", self.seen.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {text:?}:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// All lines so far and until the log's end.
    pub fn rest(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(BOUND) {
            self.seen.push(line);
        }
        self.seen.join("\n")
    }

    /// How many lines so far contain `text`.
    pub fn count(&self, text: &str) -> usize {
        self.seen.iter().filter(|line| line.contains(text)).count()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "master did not end:\n{}", self.seen.join("\n"));
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Tells it to reload, and waits until that is through: the log of a second reload follows it.
    pub fn reload(&mut self) {
        for _ in 0..2 {
            self.signal(Signal::HUP);
            self.expect("got SIGHUP");
        }
    }

    /// Ends it in order.
    #[track_caller]
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        assert!(self.wait().success());
        self.rest()
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(BOUND)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the other side closes.
    pub fn closed(mut self) {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
    }
}

/// The number at the end of a line: a process id, by the test programs' habit.
#[track_caller]
pub fn last_number(line: &str) -> i32 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Waits until a process is gone.
#[track_caller]
pub fn await_end(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    let deadline = Instant::now() + BOUND;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "{pid:?} lives");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Not a zombie that nobody has reaped yet.
fn is_alive(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    !status.is_empty() && !status.rsplit(')').next().unwrap_or_default().starts_with(" Z")
}

pub fn kill(pid: i32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The name of a user of this system.
pub fn user_of(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let entry = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()))?;
    entry.split(':').next().map(str::to_owned)
}

fn user() -> &'static str {
    if rustix::process::geteuid().is_root() { "root" } else { "cyrus" }
}

const WORDS: [&str; 8] =
    [" -other", " -crash", " -stubborn", " -mute", " -chatter", " -hold", " -fixed", " -busy"];

/// This test's own binary.
fn itself() -> PathBuf {
    std::env::current_exe().unwrap()
}
