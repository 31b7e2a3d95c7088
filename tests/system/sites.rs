//! Configuration files as sites have them, unchanged but for paths and ports: a node comes up from each, serves what it can, and says
//! of each line that it leaves out why.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use system_tests::{Plan, eventually, programs};

/// A node of a site, in a directory of its own.
pub struct Site {
    dir: tempfile::TempDir,
    /// Its ports are on this one.
    address: Ipv4Addr,
    /// Where each entry listens: an address or a path.
    pub listens: BTreeMap<String, String>,
    /// Held until all ports are chosen, so that no two entries get one.
    held: Vec<TcpListener>,
}

/// A running node; its master is killed when it is dropped.
pub struct Running {
    master: Child,
    log: PathBuf,
}

impl Site {
    /// A directory, and the lines of a cyrus.conf with free ports.
    pub fn with(cyrus: &str) -> Site {
        let dir = tempfile::Builder::new().prefix("site").tempdir_in("/tmp").unwrap();
        let mut site =
            Site { dir, address: test_host::address(), listens: BTreeMap::new(), held: Vec::new() };
        let cyrus = site.moved(cyrus);
        let cyrus = cyrus.split_inclusive('\n').map(|line| site.with_free_port(line)).collect::<String>();
        fs::write(site.path("cyrus.conf"), cyrus).unwrap();
        site.held.clear();
        site
    }

    /// Takes the files of a site: absolute paths of data move below a directory, and ports become free ones.
    fn of(name: &str) -> Site {
        let site = Site::with(&text(name, "cyrus.conf"));
        let mut imapd = site.moved(&text(name, "imapd.conf"));
        // Where this test runs: the user, and no mail server of another's name.
        imapd.push_str("cyrus_user: root\nmupdate_address: 127.0.0.1\nmupdate_ports: mupdate=1\n");
        fs::write(site.path("imapd.conf"), imapd).unwrap();
        if let Some(more) = file(name, "more.conf") {
            fs::write(site.path("more.conf"), more).unwrap();
        }
        site.certificates();
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn moved(&self, text: &str) -> String {
        let root = self.dir.path().display().to_string();
        ["/var/", "/run/", "/etc/"].iter().fold(text.to_owned(), |text, top| {
            [" ", "\""].iter().fold(text, |text, before| {
                text.replace(&format!("{before}{top}"), &format!("{before}{root}{top}"))
            })
        })
    }

    fn with_free_port(&mut self, line: &str) -> String {
        let Some((before, after)) = line.split_once("listen=") else { return line.to_owned() };
        if line.trim_start().starts_with('#') {
            return line.to_owned();
        }
        let entry = line.split_whitespace().next().unwrap().to_owned();
        let quoted = after.starts_with('"');
        let value = after.trim_start_matches('"');
        let (value, rest) = value.split_at(value.find(['"', ' ', '\t', '\r', '\n']).unwrap());
        let rest = if quoted { rest.strip_prefix('"').unwrap() } else { rest };
        let place = match value {
            path if path.starts_with('/') => path.to_owned(),
            _ => {
                let held = TcpListener::bind((self.address, 0)).unwrap();
                let place = held.local_addr().unwrap().to_string();
                self.held.push(held);
                place
            }
        };
        self.listens.insert(entry, place.clone());
        format!("{before}listen=\"{place}\"{rest}")
    }

    /// Puts a certificate and a key where the site has them.
    fn certificates(&self) {
        let murder = Plan::nodes(1, 1).prepare();
        let tls = murder.node("backend1").dir.parent().unwrap().join("tls");
        let conf = fs::read_to_string(self.path("imapd.conf")).unwrap_or_default();
        for line in conf.lines() {
            let Some((key, value)) = line.split_once(": ") else { continue };
            let source = match key {
                "tls_server_cert" | "tls_cert_file" => "cert.pem",
                "tls_server_key" | "tls_key_file" => "key.pem",
                "tls_client_ca_file" => "ca.pem",
                "tls_client_ca_dir" | "tls_ca_path" => {
                    fs::create_dir_all(value.trim()).unwrap();
                    continue;
                }
                _ => continue,
            };
            fs::create_dir_all(Path::new(value.trim()).parent().unwrap()).unwrap();
            fs::copy(tls.join(source), value.trim()).unwrap();
        }
    }

    fn master(&self, imapd: &str, cyrus: &str) -> Command {
        let mut command = Command::new(programs().join("master"));
        command.arg("-C").arg(self.path(imapd)).arg("-M").arg(self.path(cyrus));
        command.stdin(Stdio::null());
        command
    }

    /// `master -t`: what is said.
    pub fn check(&self) -> Output {
        self.master("imapd.conf", "cyrus.conf").arg("-t").output().unwrap()
    }

    /// Starts the node, and waits until it is ready.
    pub fn start(&self) -> Running {
        self.start_from("imapd.conf", "cyrus.conf")
    }

    fn start_from(&self, imapd: &str, cyrus: &str) -> Running {
        let log = self.path("log");
        let ready = self.path("ready");
        let file = fs::File::create(&log).unwrap();
        let master = self.master(imapd, cyrus).arg("-r").arg(&ready).stderr(file).spawn().unwrap();
        let running = Running { master, log };
        eventually("the node is ready", || ready.exists().then_some(()));
        running
    }

    /// The first bytes that a client of an entry gets.
    pub fn greeting(&self, entry: &str) -> String {
        let place = &self.listens[entry];
        let patience = Some(Duration::from_secs(30));
        let stream: Box<dyn Read> = if place.starts_with('/') {
            let stream = UnixStream::connect(place).unwrap_or_else(|e| panic!("{entry}: {place}: {e}"));
            stream.set_read_timeout(patience).unwrap();
            Box::new(stream)
        } else {
            let stream = TcpStream::connect(place).unwrap_or_else(|e| panic!("{entry}: {place}: {e}"));
            stream.set_read_timeout(patience).unwrap();
            Box::new(stream)
        };
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }

    fn is_closed(&self, entry: &str) -> bool {
        TcpStream::connect(&self.listens[entry]).is_err()
    }
}

impl Running {
    /// SIGHUP to its master.
    pub fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.master);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.master);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.master.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn file(name: &str, what: &str) -> Option<Vec<u8>> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("system/sites").join(format!("{name}.{what}"))).ok()
}

/// A site's file; Latin-1 becomes UTF-8 here, since the test replaces words in it.
fn text(name: &str, what: &str) -> String {
    let bytes = file(name, what).unwrap_or_else(|| panic!("{name} has a {what}"));
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    }
}

/// Starts a site's node; `serves` are entries and what their greetings begin with, `said` is in the log at start.
fn node(name: &str, serves: &[(&str, &str)], closed: &[&str], said: &[&str]) {
    let site = Site::of(name);
    let check = site.check();
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success(), "{text}");
    for words in said {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    let running = site.start();
    for (entry, words) in serves {
        let greeting = site.greeting(entry);
        assert!(greeting.starts_with(words), "{entry}: {greeting}");
    }
    for entry in closed {
        assert!(site.is_closed(entry), "{entry} is open");
    }
    let log = running.log();
    for words in said {
        assert_eq!(log.matches(words).count(), 1, "{words} in\n{log}");
    }
    assert!(log.contains("start recover") || log.contains("start mboxlist"), "{log}");
    let failed = log.lines().any(|line| line.contains(" master[") && line.contains("] error: "));
    assert!(!failed || name == "backend", "{log}");
}

/// How KPOP greets where there is no key of Kerberos's.
const NO_KEYTAB: &str = "-ERR [SYS/PERM] KPOP is not available";

/// How ManageSieve greets.
const SIEVE: &str = "\"IMPLEMENTATION\" ";

#[test]
fn debians_files_run() {
    node(
        "debian",
        &[("imap", "* OK"), ("pop3", "+OK"), ("lmtpunix", "220 "), ("sieve", SIEVE), ("nntp", "200 ")],
        &["http"],
        &[
            "cyrus.conf:13: tlsprune: tls_prune has no counterpart in this murder: the line is skipped",
            "cyrus.conf:42: tlsprune: tls_prune has no counterpart in this murder: the line is skipped",
            "http: httpd has no counterpart in this murder: the line is skipped",
            "set, and without effect here: mboxname_lockpath",
        ],
    );
}

#[test]
fn debians_files_run_as_toml_too() {
    let site = Site::of("debian");
    for (from, to) in [("imapd.conf", "imapd.toml"), ("cyrus.conf", "cyrus.toml")] {
        let mut convert = Command::new(programs().join("murder"));
        convert.args(["config", "convert"]).arg(site.path(from)).arg("--output").arg(site.path(to));
        let converted = convert.output().unwrap();
        assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
        fs::remove_file(site.path(from)).unwrap();
    }
    let running = site.start_from("imapd.toml", "cyrus.toml");
    assert!(site.greeting("imap").starts_with("* OK"));
    assert!(site.greeting("lmtpunix").starts_with("220 "));
    let log = running.log();
    assert!(log.contains("cyrus.toml:") && log.contains("http: httpd has no counterpart"), "{log}");
}

#[test]
fn what_clients_say_is_logged_where_that_is_wanted_and_passwords_never_are() {
    let site = Site::of("debian");
    let conf = fs::read_to_string(site.path("imapd.conf")).unwrap();
    fs::write(site.path("imapd.conf"), format!("{conf}chatty: yes\nfailedloginpause: 0\n")).unwrap();
    let running = site.start();
    let say = |entry: &str, words: &[u8]| {
        let mut stream = TcpStream::connect(&site.listens[entry]).unwrap();
        stream.write_all(words).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    };
    say("pop3", b"USER fred\r\nPASS geheim\r\nQUIT\r\n");
    say("imap", b"a LOGIN fred geheim\r\nb AUTHENTICATE PLAIN AGZyZWQAZ2VoZWlt\r\nc LOGOUT\r\n");
    let mut lmtp = UnixStream::connect(&site.listens["lmtpunix"]).unwrap();
    lmtp.write_all(b"LHLO mx.example.org\r\nQUIT\r\n").unwrap();
    let _ = lmtp.read_to_end(&mut Vec::new());
    let log = running.log();
    for word in ["command=USER", "command=PASS", "Login(fred)", "Authenticate(PLAIN)", "command=LHLO"] {
        assert!(log.contains(word), "{word} in\n{log}");
    }
    assert!(!log.contains("geheim") && !log.contains("AGZyZWQ"), "{log}");
}

#[test]
fn fedoras_files_run() {
    node(
        "fedora",
        &[("imap", "* OK"), ("pop3", "+OK"), ("lmtpunix", "220 "), ("sieve", SIEVE)],
        &["http", "https"],
        &[
            "idled: idled has no counterpart",
            "http: httpd has no counterpart",
            "set, and without effect here: sievedir",
        ],
    );
}

#[test]
fn the_smallest_example_runs() {
    node(
        "small",
        &[("imap", "* OK"), ("lmtpunix", "220 ")],
        &[],
        &["tlsprune: tls_prune has no counterpart"],
    );
}

#[test]
fn the_example_with_many_workers_runs() {
    node(
        "prefork",
        &[("imap", "* OK"), ("pop3", "+OK"), ("kpop", NO_KEYTAB), ("lmtp", "220 "), ("lmtpunix", "220 ")],
        &[],
        &["tls_cert_file: old name of tls_server_cert", "fud: fud has no counterpart"],
    );
}

#[test]
fn the_manuals_mupdate_master_runs() {
    node(
        "master",
        &[("mupdate", "* AUTH")],
        &[],
        &["sasl_sasldb_path (import it with murder passwd --import)"],
    );
}

#[test]
fn the_manuals_frontend_runs() {
    node(
        "frontend",
        &[
            ("mupdate", "* AUTH"),
            ("imap", "* OK"),
            ("pop3", "+OK"),
            ("kpop", NO_KEYTAB),
            ("lmtp", "220 "),
            ("sieve", SIEVE),
            ("nntp", "200 "),
        ],
        &[],
        &[],
    );
}

#[test]
fn the_manuals_backend_runs() {
    node(
        "backend",
        &[
            ("imap", "* OK"),
            ("pop3", "+OK"),
            ("kpop", NO_KEYTAB),
            ("lmtp", "220 "),
            ("lmtpunix", "220 "),
            ("sieve", SIEVE),
        ],
        &[],
        &["deliver: ctl_deliver has no counterpart", "idled: idled has no counterpart"],
    );
}

#[test]
fn a_master_that_is_also_a_frontend_runs() {
    node("combined", &[("mupdate", "* AUTH"), ("imap", "* OK"), ("pop3", "+OK"), ("lmtp", "220 ")], &[], &[]);
}

#[test]
fn a_universitys_old_files_run() {
    node(
        "university",
        &[
            ("imap", "* OK"),
            ("imapl", "* OK"),
            ("pop3", "+OK"),
            ("lmtp", "220 "),
            ("lmtpunix", "220 "),
            ("sieve", SIEVE),
            ("sieve2", SIEVE),
        ],
        &["sync"],
        &[
            "autocreatequota: old name of autocreate_quota",
            "quotawarnkb: old name of quotawarnsize",
            "sync: sync_server has no counterpart",
            "mail: /usr/local/sbin/report-of-the-night: No such file or directory",
        ],
    );
    // As it was written: the comments are Latin-1.
    assert!(String::from_utf8(file("university", "cyrus.conf").unwrap()).is_err());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cyrus.conf");
    fs::write(&path, file("university", "cyrus.conf").unwrap()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let converted =
        Command::new(programs().join("murder")).args(["config", "convert"]).arg(&path).output().unwrap();
    let toml = String::from_utf8_lossy(&converted.stdout).into_owned();
    assert!(converted.status.success() && toml.contains("[services.imapl]"), "{toml}");
}
