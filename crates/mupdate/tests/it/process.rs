//! A `mupdate` in a process of its own, which can be killed and stopped.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

#[cfg(feature = "etcd")]
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::world::imapd;

pub struct Process {
    child: Child,
}

impl Process {
    pub fn start(dir: &TempDir, conf: &str, port: u16, arguments: &[&str]) -> Process {
        let imapd = imapd(dir, conf);
        let log = File::options().create(true).append(true).open(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mupdate"))
            .arg("-C")
            .arg(imapd.path())
            .args(arguments)
            .arg("--listen")
            .arg(format!("mupdate=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Process { child }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(feature = "etcd")]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a node that runs in this directory answers its own host.
pub fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("murder/mupdate/socket")
}
