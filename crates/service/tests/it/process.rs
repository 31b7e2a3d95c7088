//! A daemon as a process of its own (`examples/echo.rs`): inherited sockets, readiness, signals, exit codes.

use std::fs;
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn echo() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let echo = tests.parent().and_then(Path::parent).unwrap().join("examples/echo");
    assert!(
        echo.is_file(),
        "cargo test -p service builds it; with --test, cargo build -p service --examples does"
    );
    echo
}

fn configure(dir: &Path, conf: &str) -> PathBuf {
    let file = dir.join("imapd.conf");
    // Another daemon on the directory may be reading it.
    if file.exists() {
        return file;
    }
    fs::write(&file, format!("configdirectory: {}\nservername: here\n{conf}", dir.display())).unwrap();
    file
}

/// A daemon, and where it tells its news.
pub struct Daemon {
    child: Child,
    news: UnixDatagram,
    address: SocketAddr,
    pub dir: Arc<TempDir>,
}

/// How the sockets get to it. The shell moves them to the numbers that the convention has.
pub const SYSTEMD: &str = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$ECHO" -C "$CONF" 3<&"$SOCKET""#;
const CYRUS: &str = r#"exec "$ECHO" -C "$CONF" 4<&"$SOCKET" 3>&1"#;

impl Daemon {
    pub fn start(script: &str, conf: &str, environment: &[(&str, &str)]) -> Daemon {
        Daemon::start_in(Arc::new(tempfile::tempdir().unwrap()), script, conf, environment)
    }

    fn start_in(dir: Arc<TempDir>, script: &str, conf: &str, environment: &[(&str, &str)]) -> Daemon {
        let notify = dir.path().join("notify");
        let _ = fs::remove_file(&notify);
        let news = UnixDatagram::bind(&notify).unwrap();
        news.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).unwrap();
        let child = Command::new("bash")
            .args(["-c", script])
            .env("ECHO", echo())
            .env("CONF", configure(dir.path(), conf))
            .env("SOCKET", socket.as_raw_fd().to_string())
            .env("NOTIFY_SOCKET", &notify)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Daemon { child, news, address: socket.local_addr().unwrap(), dir }
    }

    /// Waits until it says this.
    pub fn hear(&self, wanted: &str) {
        let mut buffer = [0; 512];
        loop {
            let length = self.news.recv(&mut buffer).expect("it says nothing");
            if &buffer[..length] == wanted.as_bytes() {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        BufReader::new(stream)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

const ENTRIES: &str =
    r#"[{"name":"mail","program":"imapd","args":[],"maxchild":1,"address":"127.0.0.1:143"}]"#;

#[test]
fn our_master_passes_sockets_with_their_entries() {
    let mut daemon = Daemon::start(SYSTEMD, "mail_servername: there\n", &[("MURDER_LISTENERS", ENTRIES)]);
    daemon.hear("READY=1");
    let mut client = daemon.connect();
    assert_eq!(line(&mut client), "mail at there");
    daemon.hear("X_CLIENTS=1");
    assert!(line(&mut daemon.connect()).starts_with("* BYE "));
    client.get_mut().write_all(b"hello\r\n").unwrap();
    assert_eq!(line(&mut client), "hello");
    daemon.signal(Signal::TERM);
    daemon.hear("STOPPING=1");
    assert_eq!(line(&mut client), "bye");
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_daemon_that_root_starts_works_as_the_owner_of_its_directory() {
    if !rustix::process::geteuid().is_root() {
        test_host::skip("only root can become somebody else");
        return;
    }
    let nobody = 65534;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    std::os::unix::fs::chown(dir.path(), Some(nobody), Some(nobody)).unwrap();
    let daemon = Daemon::start_in(dir.clone(), SYSTEMD, "", &[("LISTEN_FDNAMES", "pop3")]);
    assert_eq!(line(&mut daemon.connect()), "pop3 at here");
    // Each of its threads, in all four ways to be somebody.
    for task in fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap().flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        for kind in ["Uid", "Gid"] {
            assert!(status.contains(&format!("{kind}:\t65534\t65534\t65534\t65534")), "{status}");
        }
        assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
    }
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(dir.path().join("murder")).unwrap()),
        nobody
    );
}

#[test]
fn systemd_passes_names_only() {
    let daemon = Daemon::start(SYSTEMD, "", &[("LISTEN_FDNAMES", "pop3")]);
    daemon.hear("READY=1");
    assert_eq!(line(&mut daemon.connect()), "pop3 at here");
}

#[test]
fn a_cyrus_master_passes_one_socket_and_counts_connections() {
    let mut daemon = Daemon::start(CYRUS, "", &[("CYRUS_SERVICE", "imap")]);
    daemon.hear("READY=1");
    assert_eq!(line(&mut daemon.connect()), "imap at here");
    let mut message = [0; 8];
    daemon.child.stdout.as_mut().unwrap().read_exact(&mut message).unwrap();
    assert_eq!(message[..4], 4i32.to_ne_bytes());
    assert_eq!(message[4..], i32::try_from(daemon.child.id()).unwrap().to_ne_bytes());
}

#[test]
fn copies_that_a_cyrus_master_starts_are_served_by_the_first() {
    let mut first = Daemon::start(CYRUS, "", &[("CYRUS_SERVICE", "imap")]);
    first.hear("READY=1");
    let copy = |name| Daemon::start_in(first.dir.clone(), CYRUS, "", &[("CYRUS_SERVICE", name)]);
    let (mut second, third) = (copy("imaps"), copy("imap6"));
    let mut client = second.connect();
    assert_eq!(line(&mut client), "imaps at here");
    let mut other = third.connect();
    assert_eq!(line(&mut other), "imap6 at here");
    // Its master ends one of them: the others' clients, and its own, notice nothing.
    third.signal(Signal::TERM);
    other.get_mut().write_all(b"still here\r\n").unwrap();
    assert_eq!(line(&mut other), "still here");
    assert_eq!(line(&mut first.connect()), "imap at here");
    // Without the first they end, to be started anew.
    first.child.kill().unwrap();
    assert_eq!(line(&mut client), "");
    assert_eq!(second.child.wait().unwrap().code(), Some(75));
}

#[test]
fn sighup_takes_new_settings_and_refuses_wrong_ones() {
    let daemon = Daemon::start(SYSTEMD, "", &[("LISTEN_FDNAMES", "imap")]);
    daemon.hear("READY=1");
    let mut old = daemon.connect();
    assert_eq!(line(&mut old), "imap at here");
    let conf = daemon.dir.path().join("imapd.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, text.replace("servername: here", "servername: new")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.hear("RELOADING=1");
    daemon.hear("READY=1");
    assert_eq!(line(&mut daemon.connect()), "imap at new");
    fs::write(&conf, "servername: broken\nallowplaintext: perhaps\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.hear("RELOADING=1");
    daemon.hear("READY=1");
    assert_eq!(line(&mut daemon.connect()), "imap at new");
    old.get_mut().write_all(b"still here\r\n").unwrap();
    assert_eq!(line(&mut old), "still here");
}

#[test]
fn the_end_of_the_master_ends_the_daemon() {
    let script =
        r#"export LISTEN_PID=$$ LISTEN_FDS=1 MURDER_LIFELINE=9; exec "$ECHO" -C "$CONF" 3<&"$SOCKET" 9<&0"#;
    let mut daemon = Daemon::start(script, "", &[("LISTEN_FDNAMES", "imap")]);
    daemon.hear("READY=1");
    let mut client = daemon.connect();
    assert_eq!(line(&mut client), "imap at here");
    drop(daemon.child.stdin.take());
    assert_eq!(line(&mut client), "bye");
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn metrics_are_on_a_local_socket() {
    let daemon = Daemon::start(SYSTEMD, "", &[("LISTEN_FDNAMES", "imap")]);
    daemon.hear("READY=1");
    let mut client = daemon.connect();
    assert_eq!(line(&mut client), "imap at here");
    let mut socket = UnixStream::connect(daemon.dir.path().join("murder/echo/metrics.sock")).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.contains(r#"murder_connections_total{program="echo",listener="imap"} 1"#), "{text}");
}

#[test]
fn a_second_instance_and_a_wrong_file_are_told_apart() {
    let daemon = Daemon::start(SYSTEMD, "", &[("LISTEN_FDNAMES", "imap")]);
    daemon.hear("READY=1");
    let conf = daemon.dir.path().join("imapd.conf");
    let second = Command::new(echo()).arg("-C").arg(&conf).output().unwrap();
    assert_eq!(second.status.code(), Some(75));
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another instance is running (pid "), "{told}");
    let dir = tempfile::tempdir().unwrap();
    let wrong = configure(dir.path(), "allowplaintext: perhaps\nfailedloginpause: soon\n");
    let refused = Command::new(echo()).arg("-C").arg(&wrong).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("imapd.conf:3: allowplaintext") && told.contains("imapd.conf:4: failed"), "{told}");
}

#[test]
fn listeners_come_and_go_while_clients_stay() {
    let (control, other) = UnixDatagram::pair().unwrap();
    rustix::io::fcntl_setfd(&other, rustix::io::FdFlags::empty()).unwrap();
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$ECHO" -C "$CONF" 3<&"$SOCKET" 4<&"$CONTROL""#;
    let number = other.as_raw_fd().to_string();
    let environment = [("MURDER_LISTENERS", ENTRIES), ("CONTROL", &number), ("MURDER_CONTROL", "4")];
    let daemon = Daemon::start(script, "", &environment);
    daemon.hear("READY=1\nX_CONTROL=1");
    let mut client = daemon.connect();
    assert_eq!(line(&mut client), "mail at here");
    // A second listener comes with its socket, the first one is kept.
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let mail = ENTRIES.trim_matches(['[', ']', '}']);
    let list = format!(r#"[{mail},"kept":true}},{{"name":"more","program":"imapd","kept":false}}]"#);
    tell(&control, &list, &[second.as_fd()]);
    let mut other_client = BufReader::new(TcpStream::connect(second.local_addr().unwrap()).unwrap());
    assert_eq!(line(&mut other_client), "more at here");
    assert!(line(&mut daemon.connect()).starts_with("* BYE "), "maxchild still holds for the first");
    // Nonsense is survived; then the first goes, and its client stays.
    tell(&control, "nonsense", &[]);
    tell(&control, r#"[{"name":"more","program":"imapd","kept":true}]"#, &[]);
    daemon.signal(Signal::HUP);
    daemon.hear("READY=1");
    client.get_mut().write_all(b"hello\r\n").unwrap();
    assert_eq!(line(&mut client), "hello");
    let mut third = BufReader::new(TcpStream::connect(second.local_addr().unwrap()).unwrap());
    assert_eq!(line(&mut third), "more at here");
}

#[test]
fn of_five_thousand_clients_ten_are_served_and_the_others_told_so() {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: files.maximum, maximum: files.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let crowd = files.maximum.map_or(5000, |most| (most / 3).min(5000));
    let entries = ENTRIES.replace("\"maxchild\":1", "\"maxchild\":10");
    let mut daemon = Daemon::start(SYSTEMD, "", &[("MURDER_LISTENERS", &entries)]);
    daemon.hear("READY=1");
    let log = daemon.child.stderr.take().unwrap();
    let log =
        std::thread::spawn(move || BufReader::new(log).lines().map_while(Result::ok).collect::<Vec<_>>());
    let mut clients: Vec<BufReader<TcpStream>> = (0..crowd).map(|_| daemon.connect()).collect();
    let said: Vec<String> = clients.iter_mut().map(line).collect();
    assert_eq!(said.iter().filter(|line| *line == "mail at here").count(), 10);
    let refused = said.iter().filter(|line| *line == "* BYE Too many connections, try again later").count();
    assert_eq!(refused as u64, crowd - 10);
    // Who is served notices nothing, and whoever leaves makes room.
    let served = said.iter().position(|line| line == "mail at here").unwrap();
    clients[served].get_mut().write_all(b"hello\r\n").unwrap();
    assert_eq!(line(&mut clients[served]), "hello");
    drop(clients);
    let again = (0..1000).map(|_| line(&mut daemon.connect())).find(|line| line == "mail at here");
    assert!(again.is_some());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    let log = log.join().unwrap();
    assert!(log.iter().any(|line| line.contains("as many clients as maxchild allows")), "{log:?}");
    assert!(log.len() < 1000, "{} lines", log.len());
}

#[test]
fn debug_messages_come_and_go_with_a_signal() {
    let mut daemon = Daemon::start(SYSTEMD, "", &[("LISTEN_FDNAMES", "imap")]);
    daemon.hear("READY=1");
    let mut log = BufReader::new(daemon.child.stderr.take().unwrap()).lines().map_while(Result::ok);
    daemon.signal(Signal::USR1);
    assert!(log.any(|line| line.contains("SIGUSR1: debug messages are on")));
    daemon.signal(Signal::USR1);
    assert!(log.any(|line| line.contains("SIGUSR1: debug messages are off")));
    assert_eq!(line(&mut daemon.connect()), "imap at here");
}

fn tell(control: &UnixDatagram, list: &str, sockets: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(sockets));
    }
    rustix::net::sendmsg(control, &[IoSlice::new(list.as_bytes())], &mut ancillary, SendFlags::empty())
        .unwrap();
}
