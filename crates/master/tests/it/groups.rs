//! Our programs: one process for all lines of one.

use std::time::Instant;

use rustix::process::Signal;

use crate::node::{Node, await_end, kill, last_number, read};

#[test]
fn all_lines_of_one_program_are_one_process_that_knows_them_apart() {
    let node = Node::new(
        r#"SERVICES {
            imap cmd="imapd" listen="@/var/socket/imap" prefork=5
            imaps cmd="/usr/lib/cyrus/bin/imapd -s" listen="@/var/socket/imaps" prefork=1
            lmtpunix cmd="/usr/sbin/cyrus lmtpd -a" listen="@/var/socket/lmtp" prefork=0
            mupdate cmd="mupdate -m" listen="@/var/socket/mupdate" prefork=1
        }"#,
    );
    let mut master = node.start();
    master.expect("ready for work");
    let greetings: Vec<String> =
        ["imap", "imaps", "lmtp", "mupdate"].map(|socket| node.greeting(socket)).to_vec();
    let names: Vec<&str> = greetings.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["imap", "imaps", "lmtpunix", "mupdate"]);
    let pids: Vec<i32> = greetings.iter().map(|line| last_number(line)).collect();
    assert!(pids[0] == pids[1] && pids[1] == pids[2] && pids[2] != pids[3]);
    assert!(node.path("var/master.ready").exists());
    assert_eq!(read(&node.path(&format!("var/proc/{}", pids[3]))).split('\t').next(), Some("mupdate"));
    let log = master.stop();
    assert_eq!(log.matches("drained").count(), 2, "{log}");
    assert!(log.contains("All children have exited, closing down"));
    assert!(!node.path("var/master.ready").exists());
    assert_eq!(std::fs::read_dir(node.path("var/proc")).unwrap().count(), 0);
}

#[test]
fn a_process_without_prefork_starts_at_the_first_connection() {
    let node = Node::new(
        r#"SERVICES { 
        imap cmd="imapd" listen="@/var/socket/imap"
    }"#,
    );
    let mut master = node.ready();
    assert_eq!(master.count("serves"), 0);
    let first = last_number(&node.greeting("imap"));
    assert_eq!(last_number(&node.greeting("imap")), first);
    master.expect("serves imap");
    // After its death the next client starts another one.
    kill(first, Signal::KILL);
    master.expect("signaled to death by signal 9");
    assert_ne!(last_number(&node.greeting("imap")), first);
    master.stop();
}

#[test]
fn a_killed_process_is_started_again_at_once_and_clients_only_wait() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let mut master = node.ready();
    let first = last_number(&node.greeting("imap"));
    kill(first, Signal::KILL);
    await_end(first);
    let began = Instant::now();
    assert_ne!(last_number(&node.greeting("imap")), first);
    assert!(began.elapsed().as_secs() < 5);
    let line = master.expect("process type:SERVICE name:imap path:");
    assert!(line.contains("signaled to death by signal 9"), "{line}");
    master.stop();
}

#[test]
fn a_process_that_keeps_dying_is_given_up_until_a_reload() {
    let node =
        Node::new("SERVICES {\n imap cmd=\"imapd -crash\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let mut master = node.start();
    master.expect("too many failures for service imap, disabling until next SIGHUP");
    assert_eq!(master.count("exited, status 1"), 5);
    // The node is as ready as it will be, and clients are refused instead of waiting.
    master.expect("ready for work");
    assert!(std::os::unix::net::UnixStream::connect(node.path("var/socket/imap")).is_err());
    node.cyrus_conf("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    master.signal(Signal::HUP);
    master.expect("serves imap");
    node.greeting("imap");
    master.stop();
}

#[test]
fn a_process_that_clients_make_crash_is_started_again_for_ever_and_clients_only_wait() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let mut master = node.ready();
    let mut pid = last_number(&node.greeting("imap"));
    // Twice as often as what never was ready may die.
    for _ in 0..10 {
        kill(pid, Signal::KILL);
        await_end(pid);
        master.expect("signaled to death by signal 9");
        let next = last_number(&node.greeting("imap"));
        assert_ne!(next, pid);
        pid = next;
    }
    let log = master.stop();
    assert!(!log.contains("too many failures"), "{log}");
}

#[test]
fn a_process_that_was_ready_is_not_given_up_when_it_cannot_start_for_a_while() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    // What it needs is gone, and it ends with an error as soon as it is started.
    let works = std::fs::read(node.path("bin/backend")).unwrap();
    node.program("backend", "#!/bin/sh\nexit 1\n");
    kill(pid, Signal::KILL);
    for _ in 0..7 {
        master.expect("exited, status 1");
    }
    let mut waiting = node.connect("imap");
    node.program("backend", std::str::from_utf8(&works).unwrap());
    assert_ne!(last_number(&waiting.line()), pid, "the client only waited");
    let log = master.stop();
    assert!(!log.contains("too many failures"), "{log}");
}

#[test]
fn babysitting_rests_instead_of_giving_up() {
    let node =
        Node::new("SERVICES {\n imap cmd=\"imapd -crash\" listen=\"@/var/socket/imap\" babysit=yes\n}\n");
    let mut master = node.start();
    master.expect("too many failures for service imap, disabling for 10 seconds");
    std::os::unix::net::UnixStream::connect(node.path("var/socket/imap")).unwrap();
    // Rested, it is tried again.
    master.expect("crashing");
    master.stop();
}

#[test]
fn tcp_listeners_of_each_family_are_passed_under_one_name() {
    let port = test_host::port();
    let node = Node::new(&format!(
        "SERVICES {{\n imap cmd=\"imapd\" listen=\"localhost:{port}\" proto=tcp4 prefork=1\n}}\n"
    ));
    let mut master = node.ready();
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stream), &mut line).unwrap();
    assert!(line.starts_with("imap "));
    master.signal(Signal::INT);
    master.expect("attempting clean shutdown on signal 2");
    assert!(master.wait().success());
}
