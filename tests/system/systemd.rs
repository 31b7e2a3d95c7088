//! Nodes under a real systemd: the package installed by apt, each role as its unit, each daemon by its sockets, the journal.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use murder::clients::{Imap, Trust};
use serde_json::Value;
use system_tests::machine::Machine;
use system_tests::{Plan, eventually};

use crate::packaging::{self, package};

/// The names in the files, which the certificate has too.
const NAMES: &str = "127.0.0.1 localhost machine mupdate.demo.test backend1.demo.test backend2.demo.test frontend1.demo.test\n";

/// A machine that never saw a Cyrus, with the package on it. None where there is neither systemd nor dpkg.
fn with_package(install: &[&str]) -> Option<(Machine, Trust)> {
    if !test_host::has(&packaging::TOOLS) {
        return None;
    }
    let machine = Machine::boot()?;
    // Another mail store's user would hide whether ours is made; the manual's index is nobody's concern here.
    machine.run(&["userdel", "cyrus"]);
    machine.shell(
        "sed -i /cyrus/d /var/lib/dpkg/statoverride; rm -rf /var/lib/cyrus /var/spool/cyrus /run/cyrus",
    );
    machine.shell("rm -f /var/lib/man-db/auto-update /etc/imapd.conf /etc/cyrus.conf");
    fs::copy(package(), machine.file("/root/murder.deb")).unwrap();
    machine.must(install);
    machine.write("/etc/hosts", NAMES);
    // The package made certificates for this host; the test's own have the names of its nodes.
    for file in ["cert.pem", "key.pem", "ca.pem"] {
        assert!(machine.file(&format!("/etc/murder/{file}")).is_file(), "{file}");
    }
    assert_eq!(machine.must(&["stat", "-c", "%G %a", "/etc/murder/key.pem"]), "mail 640");
    let certificates = Plan::nodes(1, 1).prepare();
    let tls = certificates.cluster.dir.join("tls");
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        let text = fs::read_to_string(tls.join(name)).unwrap();
        machine.write(&format!("/etc/murder/{name}"), &text);
    }
    be_in_many_groups(&machine);
    start_master_elsewhere(&machine);
    Some((machine, certificates.trust.clone()))
}

/// The cyrus user is in 300 more groups, and only the last of them may read the key.
fn be_in_many_groups(machine: &Machine) {
    machine.shell("for i in $(seq 300); do echo \"many$i:x:$((40000 + i)):cyrus\"; done >>/etc/group");
    machine.shell("chgrp many300 /etc/murder/key.pem && chmod 640 /etc/murder/key.pem");
}

/// What a process of a unit has of root's rights, and what it may touch.
fn is_confined(machine: &Machine, unit: &str) {
    let main = property(machine, unit, "MainPID");
    let children = machine.shell(&format!("cat /proc/{main}/task/*/children"));
    for pid in [main.as_str()].into_iter().chain(children.split_whitespace()) {
        let status = machine.shell(&format!("cat /proc/{pid}/status"));
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches(':').trim().to_owned()
        };
        assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"), "{unit}: {status}");
        let bounds = u64::from_str_radix(&field("CapBnd"), 16).unwrap();
        let held = u64::from_str_radix(&field("CapEff"), 16).unwrap();
        // CAP_CHOWN, CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID, CAP_NET_BIND_SERVICE; and only master keeps the last.
        let (most, keeps) =
            if unit == "murder" { (1 << 0 | 1 << 2 | 1 << 6 | 1 << 7 | 1 << 10, 1 << 10) } else { (0, 0) };
        assert_eq!((bounds & !most, held & !keeps), (0, 0), "{unit}: {status}");
        // The cyrus user's processes have no way to /usr and to homes.
        let inside = |words: &str| {
            let command = [
                "nsenter",
                "-t",
                pid,
                "-m",
                "--",
                "setpriv",
                "--reuid",
                "cyrus",
                "--clear-groups",
                "sh",
                "-c",
                words,
            ];
            machine.run(&command).status.success()
        };
        assert!(inside("test -w /var/lib/murder || test -w /run"), "{unit}: its own directories");
        for hidden in ["test -e /home/anybody", "mount | grep -q ' /usr .*rw'"] {
            assert!(!inside(hidden), "{unit}: {hidden}");
        }
    }
    machine.must(&["systemd-analyze", "security", "--no-pager", "--threshold=30", unit]);
    // Sessions are bounded by descriptors.
    let files = machine.shell(&format!("grep 'open files' /proc/{main}/limits"));
    let wanted = machine.shell("cat /proc/1/limits | grep 'open files' | awk '{print $5}'");
    let hard = files.split_whitespace().nth(4).unwrap_or_default();
    assert!(hard == "1048576" || hard == wanted, "{unit}: {files}");
}

/// Delivery needs no password on a UNIX socket: the mail server's group may, other accounts may not.
fn only_the_mail_group_delivers(machine: &Machine, socket: &str) {
    let may = |groups: &str| {
        let test = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", groups, "test", "-w", socket];
        machine.run(&test).status.success()
    };
    assert!(machine.file(socket).exists(), "{socket}");
    assert!(may("--groups=mail"), "the mail server reaches {socket}");
    assert!(!may("--clear-groups"), "another account does not reach {socket}");
}

/// The files of a role as they are shipped, but for the names of the nodes, with a line more in each.
fn configure(machine: &Machine, role: &str, imapd: &str, cyrus: &str) {
    let elsewhere = if role == "mupdate" { "" } else { ELSEWHERE };
    machine.write("/etc/imapd.conf", &format!("{}{elsewhere}{imapd}\n", shipped(role, "imapd.conf")));
    machine.write("/etc/cyrus.conf", &format!("{}{cyrus}\n", shipped(role, "cyrus.conf")));
}

fn shipped(role: &str, name: &str) -> String {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc");
    let text = fs::read_to_string(etc.join(role).join(name)).unwrap();
    text.replace("mail.example.org", "frontend1.example.org").replace("example.org", "demo.test")
}

/// Where the MUPDATE master of the machine's murder is.
const ELSEWHERE: &str = "mupdate_ports: mupdate=3999\n";

/// A MUPDATE master for the other roles, as if on another machine.
fn start_master_elsewhere(machine: &Machine) {
    let text = shipped("mupdate", "imapd.conf").replace("/var/lib/murder", "/var/lib/elsewhere");
    machine.write("/etc/elsewhere.conf", &format!("{text}cyrus_user: root\n"));
    for node in ["frontend", "backend"] {
        machine.shell(&format!("echo change-me | murder passwd -C /etc/elsewhere.conf {node}"));
    }
    let daemon =
        ["/usr/lib/murder/mupdate", "-m", "-C", "/etc/elsewhere.conf", "--listen", "mupdate=127.0.0.1:3999"];
    machine.must(&[&["systemd-run", "--unit=elsewhere", "-p", "Type=notify"][..], &daemon].concat());
}

fn property(machine: &Machine, unit: &str, name: &str) -> String {
    machine.must(&["systemctl", "show", "--value", "-p", name, unit])
}

fn is_active(machine: &Machine, unit: &str) -> bool {
    property(machine, unit, "ActiveState") == "active"
}

/// The first line that a service says, on a connection that stays open.
fn greeting(machine: &Machine, port: u16) -> (BufReader<TcpStream>, String) {
    let stream = machine.inside(|| TcpStream::connect(("127.0.0.1", port)).unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    (stream, line)
}

/// The lines of the journal that a unit has, oldest first.
fn journal(machine: &Machine, unit: &str) -> Vec<Value> {
    let text = machine.must(&["journalctl", "-o", "json", "-u", unit]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for a line with these words; gives its priority and the name that it stands under.
fn logged(machine: &Machine, unit: &str, words: &str) -> (String, String) {
    let line = eventually(words, || {
        let has = |line: &Value| line["MESSAGE"].as_str().is_some_and(|text| text.contains(words));
        journal(machine, unit).into_iter().find(has)
    });
    let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    (field("PRIORITY"), field("SYSLOG_IDENTIFIER"))
}

/// A unit whose main process is killed comes back as another one.
fn survives_a_kill(machine: &Machine, unit: &str) {
    let before = property(machine, unit, "MainPID");
    machine.must(&["kill", "-9", &before]);
    eventually("systemd starts it again", || {
        (property(machine, unit, "MainPID") != before && is_active(machine, unit)).then_some(())
    });
    assert_eq!(property(machine, unit, "NRestarts"), "1", "{unit}");
}

/// The whole life of a node's unit, from its first start to its stop.
fn lives_as_a_unit(machine: &Machine, role: &str, ports: &[u16]) {
    // A line of START that waits: until it ends the node is not ready, and systemd knows.
    machine.shell("rm -f /run/gate; mkfifo /run/gate");
    configure(machine, role, "", "START {\n gate cmd=\"/bin/cat /run/gate\"\n}");
    machine.must(&["systemctl", "start", "--no-block", "murder"]);
    eventually("START runs", || {
        machine.run(&["pgrep", "-f", "cat /run/gate"]).status.success().then_some(())
    });
    assert_eq!(property(machine, "murder", "ActiveState"), "activating", "{role}");
    machine.shell("echo > /run/gate");
    eventually("the node is ready", || is_active(machine, "murder").then_some(()));
    for port in ports {
        assert!(!greeting(machine, *port).1.is_empty(), "{role}: {port}");
    }
    assert!(property(machine, "murder", "StatusText").starts_with("ready after"));
    // Only the master is root no longer than it must; its programs never are.
    let users = machine.shell("ps -o user= -p $(systemctl show --value -p MainPID murder)");
    assert_eq!(users, "cyrus", "{role}");
    is_confined(machine, "murder");
    if role != "mupdate" {
        only_the_mail_group_delivers(machine, "/var/lib/murder/socket/lmtp");
    }
    // A reload keeps the process, and one with a mistake says so and changes nothing.
    let main = property(machine, "murder", "MainPID");
    configure(machine, role, "serverinfo: min", "");
    machine.must(&["systemctl", "reload", "murder"]);
    logged(machine, "murder", "settings reloaded from");
    configure(machine, role, "serverinfo: perhaps", "");
    machine.must(&["systemctl", "reload", "murder"]);
    assert_eq!(logged(machine, "murder", "serverinfo: 'perhaps'"), ("3".into(), "master".into()));
    configure(machine, role, "", "");
    assert_eq!(property(machine, "murder", "MainPID"), main, "{role}");
    machine.must(&["systemctl", "restart", "murder"]);
    assert!(is_active(machine, "murder") && property(machine, "murder", "MainPID") != main, "{role}");
    survives_a_kill(machine, "murder");
    for port in ports {
        assert!(!greeting(machine, *port).1.is_empty(), "{role}: {port}");
    }
}

/// Nothing of the node is left.
fn is_gone(machine: &Machine) {
    assert_eq!(property(machine, "murder", "ActiveState"), "inactive");
    assert_eq!(property(machine, "murder", "Result"), "success");
    assert!(!machine.run(&["pgrep", "-u", "cyrus"]).status.success(), "{}", machine.must(&["ps", "ax"]));
}

#[test]
fn the_package_is_installed_by_apt_and_each_role_lives_as_its_unit() {
    let install = ["apt-get", "install", "-y", "/root/murder.deb"];
    let Some((machine, trust)) = with_package(&install) else { return };
    // sysusers.d and tmpfiles.d made the user and the directories; nothing runs before there is a configuration.
    assert!(machine.must(&["id", "cyrus"]).contains("(mail)"));
    for directory in ["/var/lib/murder", "/var/spool/murder", "/run/cyrus/socket"] {
        assert_eq!(machine.must(&["stat", "-c", "%U", directory]), "cyrus", "{directory}");
    }
    assert_eq!(property(&machine, "murder", "ActiveState"), "inactive");
    machine.shell("systemd-analyze verify --man=no /lib/systemd/system/murder*.service /lib/systemd/system/murder*.socket");
    machine.must(&["mkdir", "-p", "/home/anybody"]);
    for (role, ports) in
        [("mupdate", &[3905][..]), ("backend", &[143, 110, 24][..]), ("frontend", &[143, 110, 24, 3905][..])]
    {
        lives_as_a_unit(&machine, role, ports);
        if role != "frontend" {
            machine.must(&["systemctl", "stop", "murder"]);
            is_gone(&machine);
            machine.must(&["rm", "-rf", "/var/lib/murder"]);
            machine.must(&["systemd-tmpfiles", "--create", "murder.conf"]);
        }
    }
    // Somebody is on: what he does is in the journal under his service's name, and a stop says goodbye to him.
    machine.shell("echo secret | murder passwd cyrus");
    let address = SocketAddr::from(([127, 0, 0, 1], 993));
    let mut imap = machine.inside(|| Imap::tls(address, &trust).unwrap());
    assert!(imap.login("cyrus", "wrong").is_err());
    imap.login("cyrus", "secret").unwrap();
    assert_eq!(logged(&machine, "murder", "login: [127.0.0.1] cyrus"), ("6".into(), "imaps".into()));
    assert_eq!(logged(&machine, "murder", "badlogin: [127.0.0.1] plaintext cyrus").1, "imaps");
    machine.must(&["systemctl", "stop", "murder"]);
    assert_eq!(imap.line().unwrap(), "* BYE Server shutting down");
    is_gone(&machine);
    // An upgrade takes over where the node runs; removal stops it and leaves what is the site's.
    machine.must(&["systemctl", "start", "murder"]);
    let main = property(&machine, "murder", "MainPID");
    machine.must(&["dpkg", "-i", "/root/murder.deb"]);
    assert!(is_active(&machine, "murder") && property(&machine, "murder", "MainPID") != main);
    machine.must(&["apt-get", "remove", "-y", "murder"]);
    assert!(!machine.run(&["pgrep", "-u", "cyrus"]).status.success());
    for file in ["/var/lib/murder/murder/passwords", "/etc/imapd.conf"] {
        assert!(machine.file(file).exists(), "{file}");
    }
    machine.must(&["id", "cyrus"]);
}

/// A daemon's unit, the role whose imapd.conf it needs, its sockets with their ports and what is said there first.
type Alone = (&'static str, &'static str, &'static [(&'static str, u16, &'static str)]);

const ALONE: &[Alone] = &[
    ("murder-mupdate", "mupdate", &[("murder-mupdate", 3905, "* AUTH ")]),
    (
        "murder-backend",
        "backend",
        &[
            ("murder-backend-imap", 143, "* OK ["),
            ("murder-backend-imaps", 993, ""),
            ("murder-backend-pop3", 110, "+OK "),
            ("murder-backend-pop3s", 995, ""),
            ("murder-backend-lmtp", 24, "220 "),
        ],
    ),
    (
        "murder-imapproxy",
        "frontend",
        &[("murder-imapproxy", 143, "* OK ["), ("murder-imapproxy-tls", 993, "")],
    ),
    ("murder-pop3proxy", "frontend", &[("murder-pop3proxy", 110, "+OK "), ("murder-pop3proxy-tls", 995, "")]),
    ("murder-lmtpproxy", "frontend", &[("murder-lmtpproxy", 24, "220 ")]),
];

/// What docs/SECURITY.md shows for where the directories are known.
fn only_its_directories_are_writable(machine: &Machine, service: &str) {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SECURITY.md")).unwrap();
    let lines =
        page.split_once("```ini\n[Service]\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    assert!(lines.contains("ProtectSystem=strict"), "{lines}");
    machine.must(&["mkdir", "-p", &format!("/etc/systemd/system/{service}.service.d")]);
    machine.write(
        &format!("/etc/systemd/system/{service}.service.d/strict.conf"),
        &format!("[Service]\n{lines}"),
    );
    machine.must(&["systemctl", "daemon-reload"]);
}

#[test]
fn each_daemon_is_started_by_its_sockets_and_lives_without_a_master() {
    let Some((machine, trust)) = with_package(&["dpkg", "-i", "/root/murder.deb"]) else { return };
    machine.must(&["mkdir", "-p", "/home/anybody"]);
    for (service, role, sockets) in ALONE {
        configure(&machine, role, "", "");
        only_its_directories_are_writable(&machine, service);
        for (socket, ..) in *sockets {
            machine.must(&["systemctl", "start", &format!("{socket}.socket")]);
        }
        let unit = format!("{service}.service");
        assert_eq!(property(&machine, &unit, "ActiveState"), "inactive", "{unit}");
        let first = |port: u16, words: &str| {
            let said = match words.is_empty() {
                // The name that systemd gives the socket says that TLS begins at once.
                true => machine.inside(|| Imap::tls(([127, 0, 0, 1], port).into(), &trust).unwrap().greeting),
                false => greeting(&machine, port).1,
            };
            assert!(said.starts_with(words) && !said.is_empty(), "{unit} at {port}: {said}");
        };
        for (_, port, words) in *sockets {
            first(*port, words);
        }
        // A listener answers before systemd has read that the daemon is ready.
        eventually(&unit, || is_active(&machine, &unit).then_some(()));
        is_confined(&machine, &unit);
        if sockets.iter().any(|(socket, ..)| socket.contains("lmtp")) {
            only_the_mail_group_delivers(&machine, "/run/cyrus/socket/lmtp");
        }
        let main = property(&machine, &unit, "MainPID");
        machine.must(&["systemctl", "reload", &unit]);
        logged(&machine, &unit, "settings reloaded from");
        assert_eq!(property(&machine, &unit, "MainPID"), main);
        survives_a_kill(&machine, &unit);
        machine.must(&["systemctl", "stop", &unit]);
        assert_eq!(property(&machine, &unit, "Result"), "success", "{unit}");
        // The sockets stay, and the next client starts it anew.
        let (_, port, words) = sockets[0];
        first(port, words);
        for (socket, ..) in *sockets {
            machine.must(&["systemctl", "stop", &format!("{socket}.socket"), &unit]);
        }
        assert!(!machine.run(&["pgrep", "-u", "cyrus"]).status.success(), "{unit}");
        machine.must(&["rm", "-rf", "/var/lib/murder/murder"]);
    }
}
