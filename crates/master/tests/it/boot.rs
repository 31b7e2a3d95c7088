//! The command line, START, the pid file, checks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::node::{BOUND, Master, Node, await_end, read};

const IMAP: &str = "SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n";

#[test]
fn start_runs_in_order_before_services_and_only_a_failed_recovery_ends_master() {
    let node = Node::new(&format!(
        "START {{\n recover cmd=\"ctl_cyrusdb -r\"\n push cmd=\"ctl_mboxlist -m -fail\"\n gone cmd=\"mystery\"\n}}\n{IMAP}"
    ));
    let log = node.ready().stop();
    let places: Vec<usize> = ["ctl_cyrusdb -r -C", "ctl_mboxlist -m -fail -C", "serves imap"]
        .map(|text| log.find(text).unwrap())
        .to_vec();
    assert!(places.is_sorted(), "{log}");
    assert!(
        log.contains("start push (ctl_mboxlist -m -fail) exited, status 9: going on without it"),
        "{log}"
    );
    assert!(log.contains("gone: mystery: no such program here"), "{log}");
    node.cyrus_conf(&format!("START {{\n recover cmd=\"ctl_cyrusdb -r -fail\"\n}}\n{IMAP}"));
    let (status, _, log) = node.run(&[]);
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("can't run startup: recover (ctl_cyrusdb -r -fail) exited, status 9"), "{log}");
    assert!(!log.contains("serves imap"));
}

#[test]
fn a_hangup_during_the_start_is_a_reload_after_it() {
    let node = Node::new(&format!("START {{\n early cmd=\"@/bin/early\"\n}}\n{IMAP}"));
    node.program("early", "#!/bin/sh\nkill -HUP $PPID\n");
    let mut master = node.start();
    master.expect("start early");
    master.expect("got SIGHUP");
    node.greeting("imap");
    master.stop();
}

#[test]
fn a_second_master_on_one_pid_file_is_refused() {
    let node = Node::new(IMAP);
    let master = node.ready();
    assert_eq!(read(&node.path("var/master.pid")).trim(), master.pid().as_raw_nonzero().to_string());
    let (status, _, log) = node.run(&[]);
    assert_eq!(status.code(), Some(71));
    assert!(log.contains("(is another master still running?)"), "{log}");
    node.greeting("imap");
    master.stop();
}

#[test]
fn the_check_prints_every_problem_of_both_files_and_starts_nothing() {
    let node = Node::new(
        "SERVICES {\n imap cmd=\"imapd\"\n x cmd=\"mystery\" listen=\"99\"\n imap cmd=\"imapd\" listen=\"143\"\n}\n\
         EVENTS {\n tick cmd=\"say\" cron=\"61 * * * *\"\n}\n",
    );
    node.imapd_conf("allowplaintext: perhaps\nclient_timeout: soon");
    let (status, text, _) = node.run(&["-t"]);
    assert_eq!(status.code(), Some(78));
    for place in
        ["imapd.conf:4:", "imapd.conf:5:", "cyrus.conf:2:", "cyrus.conf:3:", "cyrus.conf:4:", "cyrus.conf:7:"]
    {
        assert!(text.contains(place), "{place} in\n{text}");
    }
    assert!(!node.path("var/master.pid").exists());
    node.imapd_conf("");
    node.cyrus_conf(IMAP);
    let (status, text, _) = node.run(&["-t"]);
    assert!(status.success() && text.contains("no errors"), "{text}");
    fs::remove_file(node.path("cyrus.conf")).unwrap();
    let (status, text, _) = node.run(&["-t"]);
    assert!(status.code() == Some(78) && text.contains("cyrus.conf: cannot read"), "{text}");
}

#[test]
fn a_service_that_believes_everybodys_proxy_header_is_told_by_the_check() {
    let node = Node::new(
        "SERVICES {\n imap cmd=\"imapd -H\" listen=\"127.0.0.1:0\"\n unix cmd=\"imapd -H\" listen=\"@/s\"\n}\n",
    );
    let (status, text, _) = node.run(&["-t"]);
    assert!(status.success() && text.contains("cyrus.conf:2: imap: -H: whoever connects"), "{text}");
    assert_eq!(text.matches("proxy_protocol_addresses").count(), 1, "{text}");
    for option in ["proxy_protocol_addresses", "imap_proxy_protocol_addresses"] {
        node.imapd_conf(&format!("{option}: 192.0.2.0/24"));
        assert!(!node.run(&["-t"]).1.contains("PROXY"), "{option}");
    }
}

#[test]
fn in_the_background_it_is_locked_before_the_caller_returns() {
    let node = Node::new(IMAP);
    let log = node.path("log");
    let (status, _, _) = node.run(&["-d", "-L", log.to_str().unwrap()]);
    assert!(status.success());
    let pid: i32 = read(&node.path("var/master.pid")).trim().parse().unwrap();
    let deadline = Instant::now() + BOUND;
    while !node.path("var/master.ready").exists() {
        assert!(Instant::now() < deadline);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    node.greeting("imap");
    assert_eq!(node.run(&["-d"]).0.code(), Some(71));
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    await_end(pid);
    assert!(read(&log).contains("All children have exited, closing down"));
}

#[test]
fn a_supervisor_above_hears_ready_reloading_and_stopping() {
    let node = Node::new(IMAP);
    let path = node.path("above");
    let above = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    above.set_read_timeout(Some(BOUND)).unwrap();
    let hear = || {
        let mut text = [0u8; 500];
        let length = above.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let master = Master::spawn(node.command().env("NOTIFY_SOCKET", &path));
    assert!(hear().starts_with("READY=1\n"));
    node.greeting("imap");
    master.signal(Signal::HUP);
    assert!(hear().starts_with("RELOADING=1"));
    assert!(hear().starts_with("READY=1"));
    master.signal(Signal::TERM);
    assert!(hear().starts_with("STOPPING=1"));
}

#[test]
fn a_port_in_use_is_named_and_ends_master_only_when_told_to() {
    let port = test_host::port();
    let held = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let node = Node::new(&format!(
        "SERVICES {{\n imap cmd=\"imapd\" listen=\"127.0.0.1:{port}\" prefork=1\n \
         imaps cmd=\"imapd\" listen=\"127.0.0.1:{}\" prefork=1\n}}\n",
        test_host::port()
    ));
    let mut master = node.start();
    master.expect(&format!(
        "unable to bind to imap/ipv4 socket: bind 127.0.0.1:{port}: Address already in use"
    ));
    master.expect("serves imaps with");
    master.expect("ready for work");
    // When the port is free again, a reload takes it.
    drop(held);
    master.signal(Signal::HUP);
    master.expect("now serves imap,imaps");
    master.stop();
    let _held = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    node.imapd_conf("master_bind_errors_fatal: yes");
    let (status, _, log) = node.run(&[]);
    assert_eq!(status.code(), Some(71));
    assert!(log.contains("master_bind_errors_fatal is set"), "{log}");
}

#[test]
fn root_without_a_cyrus_user_is_told_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        test_host::skip("needs root");
        return;
    }
    let node = Node::new(IMAP);
    let (status, _, log) = {
        let output = node.command().env("CYRUS_USER", "nobody-by-this-name").output().unwrap();
        (output.status, (), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(status.code(), Some(1));
    assert!(
        log.contains("no user 'nobody-by-this-name' on this system: create it, or set cyrus_user"),
        "{log}"
    );
}

#[test]
fn a_configdirectory_that_the_cyrus_user_may_not_write_ends_the_start() {
    let Some(user) = crate::node::user_of(NOBODY).filter(|_| rustix::process::geteuid().is_root()) else {
        test_host::skip("needs root");
        return;
    };
    let node = Node::new(IMAP);
    node.give_to(NOBODY);
    // As root leaves it who made it by hand.
    std::os::unix::fs::chown(node.path("var"), Some(0), Some(0)).unwrap();
    fs::set_permissions(node.path("var"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = node.command().env("CYRUS_USER", &user).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(77), "{log}");
    let var = node.path("var");
    let var = var.display();
    assert!(
        log.contains(&format!("{var} is closed to {user}, as whom the node runs: chown -R {user} {var}")),
        "{log}"
    );
    assert!(!log.contains("serves imap"), "{log}");
}

#[test]
fn the_log_goes_to_the_journal_or_to_syslog_with_each_lines_priority() {
    let node = Node::new(IMAP);
    let path = node.path("daemon");
    let daemon = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    daemon.set_read_timeout(Some(BOUND)).unwrap();
    let hear = |words: &str| loop {
        let mut text = [0u8; 4000];
        let length = daemon.recv(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text[..length]).into_owned();
        if text.contains(words) {
            return text;
        }
    };
    for (target, variable, good, bad) in [
        (
            "journald",
            "MURDER_JOURNAL",
            "PRIORITY=6\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=murder/master\n",
            "PRIORITY=3\n",
        ),
        ("syslog", "MURDER_SYSLOG", "<22>murder/master[", "<19>"),
    ] {
        node.cyrus_conf(IMAP);
        node.imapd_conf(&format!("log_target: {target}\nsyslog_prefix: murder"));
        let mut command = node.command();
        let mut master = Master::spawn(command.env(variable, &path));
        let line = hear("ready for work");
        assert!(line.starts_with(good), "{line}");
        node.cyrus_conf("SERVICES {\n imap\n}\n");
        master.signal(Signal::HUP);
        let line = hear("cyrus.conf:2: imap: cmd is missing");
        assert!(line.starts_with(bad), "{line}");
        master.signal(Signal::TERM);
        assert!(master.wait().success());
    }
}

const NOBODY: u32 = 65534;

#[test]
fn files_that_cannot_be_read_are_told_by_the_check_and_keep_the_old_ones_at_a_reload() {
    let node = Node::new(IMAP);
    let mut master = node.ready();
    for name in ["cyrus.conf", "imapd.conf"] {
        let (path, away) = (node.path(name), node.path("away"));
        fs::rename(&path, &away).unwrap();
        fs::create_dir(&path).unwrap();
        let (status, text, _) = node.run(&["-t"]);
        assert_eq!(status.code(), Some(78));
        assert!(text.contains(&format!("{name}: cannot read: Is a directory (os error 21)")), "{text}");
        master.signal(Signal::HUP);
        master.expect(&format!("{name}: cannot read: Is a directory"));
        master.expect("keeping the old one");
        node.greeting("imap");
        fs::remove_dir(&path).unwrap();
        fs::rename(&away, &path).unwrap();
    }
    master.stop();
    if !rustix::process::geteuid().is_root() {
        test_host::skip("needs root");
        return;
    }
    let text = read(&node.path("imapd.conf"));
    let include = format!("{text}@include: {}\n", node.path("secret.conf").display());
    fs::write(node.path("imapd.conf"), include).unwrap();
    fs::write(node.path("secret.conf"), "admins: x\n").unwrap();
    fs::set_permissions(node.path("secret.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    node.give_to(65534);
    let checked = node.command().arg("-t").uid(65534).gid(65534).output().unwrap();
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(78));
    assert!(text.contains("@include: cannot read ") && text.contains("Permission denied"), "{text}");
}

#[test]
fn the_check_knows_the_users_of_this_system_and_tells_doubts_beside_mistakes() {
    if !rustix::process::geteuid().is_root() {
        test_host::skip("needs root");
        return;
    }
    let node = Node::new(&format!("{IMAP}EVENTS {{\n prune cmd=\"tls_prune\" at=0400\n}}\n"));
    let output = node.command().arg("-t").env("CYRUS_USER", "nobody-by-this-name").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(78));
    assert!(text.contains("no user 'nobody-by-this-name' on this system"), "{text}");
    assert!(text.contains("warning: ") && text.contains("prune: tls_prune has no counterpart"), "{text}");
}

#[test]
fn a_prefix_of_the_environment_finds_the_files_of_another_root() {
    let node = Node::new(IMAP);
    fs::create_dir(node.path("etc")).unwrap();
    for name in ["cyrus.conf", "imapd.conf"] {
        fs::rename(node.path(name), node.path("etc").join(name)).unwrap();
    }
    let mut command = std::process::Command::new(node.path("bin/master"));
    command.args(["-M", "/etc/cyrus.conf", "-C", "/etc/imapd.conf"]).env("CYRUS_PREFIX", node.path(""));
    let (text, status) = {
        let output = command.arg("-t").output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status)
    };
    assert!(status.success() && text.contains("no errors"), "{text}");
    fs::write(node.path("etc/cyrus.conf"), "nonsense\n").unwrap();
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("etc/cyrus.conf:1: 'nonsense' stands outside any section"), "{text}");
}

#[test]
fn what_is_wrong_is_said_before_the_caller_of_the_background_returns() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\"\n}\n");
    let (status, _, text) = node.run(&["-d"]);
    assert_eq!(status.code(), Some(78));
    assert!(text.contains("cyrus.conf:2: imap: listen is missing"), "{text}");
    assert!(!node.path("var/master.pid").exists());
}
