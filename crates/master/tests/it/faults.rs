//! What breaks: killed masters, children that will not end, lost files.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::node::{BOUND, Master, Node, await_end, last_number, read};

#[test]
fn when_master_is_killed_its_children_end_and_a_new_one_takes_over_within_a_second() {
    let port = test_host::port();
    let node = Node::new(&format!(
        "SERVICES {{\n imap cmd=\"imapd\" listen=\"127.0.0.1:{port}\" prefork=1\n \
         mupdate cmd=\"mupdate -m\" listen=\"@/var/socket/mupdate\" prefork=1\n \
         echo cmd=\"foreign\" listen=\"@/var/socket/echo\" prefork=2\n}}\n"
    ));
    let mut first = node.ready();
    let old = [last_number(&node.greeting("mupdate")), last_number(&node.greeting("echo"))];
    first.signal(Signal::KILL);
    first.wait();
    let began = Instant::now();
    let mut second = node.start();
    second.expect("ready for work");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    for pid in old {
        await_end(pid);
    }
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(!old.contains(&last_number(&node.greeting("mupdate"))));
    node.greeting("echo");
    assert!(first.rest().contains("master died"));
    second.stop();
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_and_named() {
    let node =
        Node::new("SERVICES {\n imap cmd=\"imapd -stubborn\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    node.imapd_conf("drain_timeout: 0s");
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    master.signal(Signal::TERM);
    master.expect("attempting clean shutdown");
    // A second signal cuts the waiting short.
    master.signal(Signal::TERM);
    master.expect(&format!("SERVICE imap (pid {pid}) did not end within"));
    assert!(master.wait().success());
    await_end(pid);
}

#[test]
fn a_process_that_never_says_ready_holds_the_node_up_but_serves() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd -mute\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let mut master = node.start();
    master.expect("serves imap");
    node.greeting("imap");
    assert!(!node.path("var/master.ready").exists());
    master.stop();
}

#[test]
fn a_full_or_missing_place_for_the_process_table_stops_nothing() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/imap\" prefork=1\n}\n");
    // Files where directories should be fail as a full disk does, also for root.
    fs::write(node.path("var/proc"), "").unwrap();
    fs::write(node.path("var/murder"), "").unwrap();
    let mut master = node.ready();
    assert!(std::os::unix::net::UnixStream::connect(node.path("imap")).is_ok());
    master.signal(Signal::TERM);
    assert!(master.wait().success());
}

#[test]
fn a_program_replaced_on_disk_is_used_at_the_next_start() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    let text = read(&node.path("bin/backend")).replace("ours: ", "newer: ");
    fs::remove_file(node.path("bin/backend")).unwrap();
    node.program("backend", &text);
    fs::remove_file(node.path("bin/master")).unwrap();
    assert_eq!(last_number(&node.greeting("imap")), pid);
    crate::node::kill(pid, Signal::KILL);
    master.expect("newer: ");
    master.signal(Signal::HUP);
    master.expect("reloaded");
    master.stop();
}

#[test]
fn a_program_that_vanished_is_tried_again_until_it_is_back() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    fs::rename(node.path("bin/backend"), node.path("bin/away")).unwrap();
    crate::node::kill(pid, Signal::KILL);
    master.expect("cannot start imap");
    fs::rename(node.path("bin/away"), node.path("bin/backend")).unwrap();
    master.expect("serves imap");
    master.stop();
}

#[test]
fn a_crowd_at_a_slow_service_does_not_disturb_the_others() {
    let node = Node::new(
        "SERVICES {\n imap cmd=\"imapd -hold\" listen=\"@/var/socket/imap\" prefork=1 maxchild=10\n \
         mupdate cmd=\"mupdate -m\" listen=\"@/var/socket/mupdate\" prefork=1\n}\n",
    );
    let master = node.ready();
    let clients: Vec<_> = (0..5000)
        .filter_map(|_| std::os::unix::net::UnixStream::connect(node.path("var/socket/imap")).ok())
        .collect();
    assert!(clients.len() > 100);
    let began = Instant::now();
    node.greeting("mupdate");
    assert!(began.elapsed() < BOUND);
    master.stop();
}

#[test]
fn a_process_that_a_reload_ends_and_that_will_not_is_killed_too() {
    let stubborn = "imap cmd=\"imapd -stubborn\" listen=\"@/var/socket/imap\" prefork=1\n";
    let node = Node::new(&format!("SERVICES {{\n{stubborn}}}\n"));
    node.imapd_conf("drain_timeout: 0s");
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    node.cyrus_conf("SERVICES {\n imap cmd=\"imapd -other\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    master.signal(Signal::HUP);
    master.expect(&format!("SERVICE imap (pid {pid}) did not end within 5 s of SIGTERM: killed"));
    await_end(pid);
    master.expect("with --listen -other");
    assert_ne!(last_number(&node.greeting("imap")), pid);
    master.stop();
}

#[test]
fn a_process_that_never_stops_talking_drowns_nobody() {
    let node = Node::new(
        "SERVICES {\n imap cmd=\"imapd -chatter\" listen=\"@/var/socket/imap\" prefork=1\n \
         echo cmd=\"foreign\" listen=\"@/var/socket/echo\" prefork=0 maxchild=1\n}\n",
    );
    let master = node.ready();
    // Each needs a wake-up of its own: a client at an idle socket, then a worker that is free again.
    for _ in 0..20 {
        node.greeting("echo");
        node.greeting("imap");
    }
    master.stop();
}

/// A node whose files belong to a user without privileges, and a master that runs as that user.
fn unprivileged(cyrus_conf: &str) -> (Node, Master) {
    let node = Node::new(cyrus_conf);
    let mut command = node.command();
    if rustix::process::geteuid().is_root() {
        node.give_to(NOBODY);
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut master = Master::spawn(command.arg("-v"));
    master.expect("ready for work");
    (node, master)
}

#[test]
fn when_no_process_can_be_made_clients_wait_until_one_can() {
    let (node, mut master) = unprivileged(
        "SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\"\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\"\n}\n",
    );
    // The soft limit alone, which the same user may change.
    let pid = master.pid();
    let limit = |soft: &str| {
        let mut command = Command::new("prlimit");
        command.arg("--pid").arg(pid.as_raw_nonzero().to_string()).arg(format!("--nproc={soft}:"));
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        assert!(command.status().unwrap().success());
    };
    limit("1");
    let (mut imap, mut echo) = (node.connect("imap"), node.connect("echo"));
    let said = [master.expect("cannot start"), master.expect("cannot start")].concat();
    assert!(said.contains("cannot start imap (") && said.contains("cannot start echo/unix ("), "{said}");
    assert!(said.contains("Resource temporarily unavailable (os error 11); trying again"), "{said}");
    limit("1000");
    assert!(imap.line().starts_with("imap ") && echo.line().starts_with("echo "));
    master.stop();
}

#[test]
fn a_lost_pid_file_is_written_again_and_still_locked() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\"\n}\n");
    let mut master = node.ready();
    fs::remove_file(node.path("var/master.pid")).unwrap();
    master.signal(Signal::HUP);
    master.expect("the pid file was gone: written again");
    assert_eq!(read(&node.path("var/master.pid")).trim(), master.pid().as_raw_nonzero().to_string());
    assert_eq!(node.run(&[]).0.code(), Some(71));
    master.stop();
}

#[test]
fn a_pid_file_that_another_kind_of_master_holds_is_respected() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\"\n}\n");
    // As Cyrus's master locks it: fcntl, held by another process.
    node.stand_in("holder", "holder");
    let mut holder = Command::new(node.path("bin/holder"))
        .arg(node.path("var/master.pid"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = String::new();
    BufReader::new(holder.stderr.take().unwrap()).read_line(&mut held).unwrap();
    assert_eq!(held, "holder: held\n");
    let (status, _, log) = node.run(&[]);
    assert_eq!(status.code(), Some(71));
    assert!(log.contains("(is another master still running?)"), "{log}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    node.ready().stop();
}

/// A small file system on a directory, for as long as it lives.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn on(path: &'a Path) -> Option<SmallDisk<'a>> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "murder-test"])
            .arg(path)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(SmallDisk(path))
    }

    fn fill(&self) {
        let _ = fs::write(self.0.join("filler"), vec![0u8; 1 << 20]);
        assert!(fs::write(self.0.join("more"), "x").is_err());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_under_configdirectory_stops_nothing_that_runs() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/imap\" prefork=1\n}\n");
    let var = node.path("var");
    let Some(disk) = SmallDisk::on(&var) else {
        test_host::skip("no small file system can be mounted here");
        return;
    };
    let connect = || std::os::unix::net::UnixStream::connect(node.path("imap")).unwrap();
    let mut master = node.ready();
    disk.fill();
    let mut line = String::new();
    BufReader::new(connect()).read_line(&mut line).unwrap();
    let pid = last_number(line.trim_end());
    crate::node::kill(pid, Signal::KILL);
    master.expect("serves imap");
    master.reload();
    master.stop();
    // A start on the full disk says what is wrong, or comes up; it does not hang.
    let (status, _, log) = {
        fs::remove_file(node.path("var/master.pid")).unwrap();
        disk.fill();
        node.run(&[])
    };
    assert_eq!(status.code(), Some(71), "{log}");
    assert!(log.contains("No space left on device"), "{log}");
}

#[test]
fn root_gives_up_its_rights_but_can_still_open_low_ports_at_a_reload() {
    if !rustix::process::geteuid().is_root() || crate::node::user_of(NOBODY).is_none() {
        test_host::skip("needs root");
        return;
    }
    let (Some(one), Some(two)) = (test_host::low_port(), test_host::low_port()) else {
        test_host::skip("no low port may be bound here");
        return;
    };
    let line = |port| format!("echo{port} cmd=\"foreign -self\" listen=\"127.0.0.1:{port}\"\n");
    let node = Node::new(&format!("SERVICES {{\n{}}}\n", line(one)));
    node.give_to(NOBODY);
    let user = crate::node::user_of(NOBODY).unwrap();
    let mut command = node.command();
    let mut master = Master::spawn(command.env("CYRUS_USER", user));
    master.expect("ready for work");
    node.cyrus_conf(&format!("SERVICES {{\n{}{}}}\n", line(one), line(two)));
    master.signal(Signal::HUP);
    master.expect("got SIGHUP");
    for port in [one, two] {
        let mut greeting = String::new();
        let mut left = 1000;
        // The second port is open as soon as the reload is through.
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => {
                    assert!(left > 0, "{port}: {error}");
                    left -= 1;
                    std::thread::park_timeout(Duration::from_millis(10));
                }
            }
        };
        BufReader::new(stream).read_line(&mut greeting).unwrap();
        let words: Vec<&str> = greeting.split(' ').collect();
        assert_eq!((words[3], words[4]), (NOBODY.to_string().as_str(), "0000000000000000"), "{greeting}");
    }
    master.stop();
}

const NOBODY: u32 = 65534;

#[test]
fn services_run_in_the_group_that_is_configured() {
    let Some(user) = crate::node::user_of(NOBODY).filter(|_| rustix::process::geteuid().is_root()) else {
        test_host::skip("needs root");
        return;
    };
    let groups = fs::read_to_string("/etc/group").unwrap();
    let mail = groups.lines().find_map(|line| line.strip_prefix("mail:")?.split(':').nth(1)).unwrap();
    for (option, expected) in [("", NOBODY.to_string()), ("cyrus_group: mail", mail.to_owned())] {
        let node = Node::new("SERVICES {\n echo cmd=\"foreign -self\" listen=\"@/var/socket/echo\"\n}\n");
        node.imapd_conf(option);
        node.give_to(NOBODY);
        let mut command = node.command();
        let mut master = Master::spawn(command.env("CYRUS_USER", &user));
        master.expect("ready for work");
        let greeting = node.greeting("echo");
        let words: Vec<&str> = greeting.split(' ').collect();
        assert_eq!((words[3], words[5]), (NOBODY.to_string().as_str(), expected.as_str()), "{greeting}");
        master.stop();
    }
}
