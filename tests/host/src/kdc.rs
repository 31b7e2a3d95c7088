//! A Kerberos realm of a test's own: MIT's KDC on a port of its own, without anything of the host's configuration.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A realm that lives as long as this. Its users have their names as passwords.
#[derive(Debug)]
pub struct Kdc {
    dir: PathBuf,
    /// Another process has started it, and ends it.
    borrowed: bool,
}

impl Kdc {
    /// Starts the realm MURDER.TEST below a directory; the names below `murder.test` are its hosts. None, said aloud: this machine
    /// has no KDC, or not the script that starts one.
    pub fn start(dir: &Path) -> Option<Kdc> {
        Kdc::realm(dir, &["MURDER.TEST"])
    }

    /// The same with another realm, and the domains that belong to it.
    pub fn realm(dir: &Path, realm_and_domains: &[&str]) -> Option<Kdc> {
        let server = Path::new("/usr/sbin/krb5kdc");
        if !script().is_file() || !server.is_file() {
            crate::skip(
                "it needs a KDC: Debian's krb5-kdc, krb5-admin-server and krb5-user, and ../shared/lab/kdc",
            );
            return None;
        }
        if !crate::has(&["kinit"]) {
            return None;
        }
        // What the loader says to a program without its libraries.
        let usage = Command::new(server).arg("-?").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if usage.is_ok_and(|status| status.code() == Some(127)) {
            crate::skip("it needs a KDC, and the one that is installed has not got its libraries");
            return None;
        }
        let kdc = Kdc { dir: dir.to_owned(), borrowed: false };
        let port = crate::port().to_string();
        let arguments: Vec<&str> =
            [port.as_str()].into_iter().chain(realm_and_domains.iter().copied()).collect();
        kdc.call("start", &arguments);
        // Each user has a cache of its own there, and none of the host's.
        let config = std::fs::read_to_string(kdc.config()).expect("krb5.conf");
        let caches =
            format!("[libdefaults]\n  default_ccache_name = FILE:{}/cache-%{{uid}}\n", dir.display());
        std::fs::write(kdc.config(), config.replacen("[libdefaults]\n", &caches, 1)).expect("krb5.conf");
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).expect("the directory is ours");
        Some(kdc)
    }

    /// The realm that the parent of this process has started there.
    pub fn of_parent(dir: &Path) -> Kdc {
        Kdc { dir: dir.to_owned(), borrowed: true }
    }

    /// Adds somebody.
    pub fn user(&self, name: &str) {
        self.call("user", &[name, name]);
    }

    /// Adds services, with their keys in a file.
    pub fn keytab(&self, file: &Path, services: &[&str]) {
        let file = file.display().to_string();
        self.call("keytab", &[&[file.as_str()], services].concat());
    }

    /// Puts a user's key in a file.
    pub fn client_keytab(&self, file: &Path, name: &str) {
        self.call("clientkeytab", &[&file.display().to_string(), name]);
    }

    /// Gets a ticket for a user.
    pub fn ticket(&self, name: &str, cache: &Path) {
        self.call("ticket", &[name, name, &cache.display().to_string()]);
    }

    /// Has each of two realms take the other's users.
    pub fn trust(&self, other: &Kdc) {
        self.call("trust", &[&other.dir.display().to_string(), "trust"]);
    }

    /// What a program of this realm has in `KRB5_CONFIG`.
    pub fn config(&self) -> PathBuf {
        self.dir.join("krb5.conf")
    }

    fn call(&self, verb: &str, arguments: &[&str]) {
        let log = self.dir.with_extension("log");
        let open = || std::fs::File::options().create(true).append(true).open(&log).expect("a log");
        let mut command = Command::new(script());
        command.arg(verb).arg(&self.dir).args(arguments).stdin(Stdio::null()).stdout(open()).stderr(open());
        let status = command.status().expect("the script runs");
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(status.success(), "kdc {verb} {arguments:?}: {}", said());
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        if self.borrowed {
            return;
        }
        // a test that fails is told its own reason
        let _ = Command::new(script()).arg("stop").arg(&self.dir).stderr(Stdio::null()).status();
    }
}

/// The directory that [`run_inside`] was given, in the process that it has made.
pub fn inside() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// Runs the test of this name once more, in a process of its own with these variables: what a library reads from the environment
/// cannot be set in a process with threads.
pub fn run_inside(test: &str, dir: &Path, variables: &[(&str, &Path)]) {
    let mut command = Command::new(std::env::current_exe().expect("the tests' program"));
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, dir);
    command.envs(variables.iter().map(|(name, path)| (name, path)));
    let output = command.output().expect("the tests' program runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

const INSIDE: &str = "MURDER_TEST_REALM";

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/lab/kdc")
}
