//! Debian's Cyrus, configured and started by the lab's script.

use std::{
    error::Error,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Node, quiet};

pub struct Cyrus {
    script: PathBuf,
    dir: tempfile::TempDir,
}

impl Cyrus {
    /// `None` where the lab or the packages are not there.
    pub fn start(lab: &Path) -> Result<Option<Cyrus>, Box<dyn Error>> {
        if !lab.is_file() || !Path::new("/usr/lib/cyrus/bin/mupdate").is_file() {
            return Ok(None);
        }
        let dir = tempfile::Builder::new().prefix("mc").tempdir_in("/tmp")?;
        let cyrus = Cyrus { script: lab.to_owned(), dir };
        let up = quiet(&mut cyrus.lab("up")).env("PROFILE", "defaults").status()?;
        Ok(up.success().then_some(cyrus))
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn address(&self, node: Node, service: &str) -> SocketAddr {
        let host = match node {
            Node::Mupdate => 1,
            Node::Frontend => 2,
            Node::Backend => 11,
        };
        let port = match service {
            "imap" => 143,
            "pop3" => 110,
            "mupdate" => 3905,
            _ => 24,
        };
        SocketAddr::from(([127, 0, 1, host], port))
    }

    pub fn stop(&self, node: Node) -> io::Result<()> {
        quiet(self.lab("down").arg(name(node))).status().map(drop)
    }

    /// As the lab's script does it, without waiting for more than the node is asked for.
    pub fn spawn(&self, node: Node) -> io::Result<()> {
        let home = self.dir().join(name(node));
        let mut master = Command::new("/usr/sbin/cyrmaster");
        master.arg("-d").arg("-C").arg(home.join("imapd.conf")).arg("-M").arg(home.join("cyrus.conf"));
        master.arg("-p").arg(home.join("run/master.pid")).arg("-L").arg(home.join("run/out"));
        quiet(&mut master).status().map(drop)
    }

    pub fn forget_slave(&self) -> io::Result<()> {
        fs::remove_file(self.dir().join("fe1/conf/mailboxes.db"))
    }

    /// A tool on the first backend, as the user that Cyrus runs as.
    pub fn tool(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=cyrus", "--regid=mail", "--init-groups"]);
        command.arg(Path::new("/usr/lib/cyrus/bin").join(program));
        command.arg("-C").arg(self.dir().join("be1/imapd.conf"));
        command
    }

    fn lab(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.script);
        command.arg(verb).arg(self.dir());
        command
    }
}

fn name(node: Node) -> &'static str {
    match node {
        Node::Mupdate => "mupdate",
        Node::Frontend => "fe1",
        Node::Backend => "be1",
    }
}

impl Drop for Cyrus {
    fn drop(&mut self) {
        let _ = quiet(&mut self.lab("down")).status();
    }
}
