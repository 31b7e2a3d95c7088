//! What breaks: killed masters, children that will not end, lost files.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::node::{BOUND, Node, await_end, free_port, last_number, read};

#[test]
fn when_master_is_killed_its_children_end_and_a_new_one_takes_over_within_a_second() {
    let port = free_port();
    let node = Node::new(&format!(
        "SERVICES {{\n imap cmd=\"imapd\" listen=\"127.0.0.1:{port}\" prefork=1\n \
         mupdate cmd=\"mupdate\" listen=\"@/var/socket/mupdate\" prefork=1\n \
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
         mupdate cmd=\"mupdate\" listen=\"@/var/socket/mupdate\" prefork=1\n}\n",
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
