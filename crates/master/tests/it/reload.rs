//! SIGHUP.

use rustix::process::Signal;

use crate::node::{Node, last_number};

const IMAP: &str = "imap cmd=\"imapd -hold\" listen=\"@/var/socket/imap\" prefork=1\n";
const MUPDATE: &str = "mupdate cmd=\"mupdate -m\" listen=\"@/var/socket/mupdate\" prefork=1\n";

#[test]
fn what_is_unchanged_keeps_its_process_and_its_clients() {
    let node = Node::new(&format!("SERVICES {{\n{IMAP}{MUPDATE}}}\n"));
    let mut master = node.ready();
    let mut client = node.connect("imap");
    let pid = last_number(&client.line());
    node.cyrus_conf(&format!("SERVICES {{\n{IMAP}}}\n"));
    master.signal(Signal::HUP);
    master.expect("service mupdate is gone");
    // Its process drains and the other rereads, in whatever order.
    while master.count("name:mupdate") == 0 || master.count(&format!("{pid} reloaded")) == 0 {
        master.expect("");
    }
    assert_eq!(last_number(&node.greeting("imap")), pid);
    assert!(std::os::unix::net::UnixStream::connect(node.path("var/socket/mupdate")).is_err());
    node.cyrus_conf(&format!("SERVICES {{\n{IMAP}{MUPDATE}}}\n"));
    master.signal(Signal::HUP);
    master.expect("serves mupdate");
    node.greeting("mupdate");
    assert_eq!(last_number(&node.greeting("imap")), pid);
    master.stop();
}

#[test]
fn a_bad_file_changes_nothing_and_is_reported() {
    let node = Node::new(&format!("SERVICES {{\n{IMAP}}}\n"));
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    for bad in [
        "SERVICES {\n imap cmd=\"imapd\"\n}\n",
        "SERVICES {\n im-ap x\n",
        "SERVICES {\n x cmd=\"mystery\" listen=\"99\"\n}\n",
    ] {
        node.cyrus_conf(bad);
        master.signal(Signal::HUP);
        let line = master.expect("cyrus.conf:");
        assert!(line.contains("] error: "), "{line}");
        master.expect("keeping the old one");
        assert_eq!(last_number(&node.greeting("imap")), pid);
    }
    node.cyrus_conf(&format!("SERVICES {{\n{IMAP}}}\n"));
    node.imapd_conf("allowplaintext: perhaps");
    master.signal(Signal::HUP);
    master.expect("imapd.conf:");
    master.expect("keeping the old one");
    assert_eq!(last_number(&node.greeting("imap")), pid);
    master.stop();
}

#[test]
fn lines_come_and_go_for_a_running_program_without_a_word_to_its_clients() {
    let node = Node::new(&format!("SERVICES {{\n{IMAP}}}\n"));
    let mut master = node.ready();
    let mut client = node.connect("imap");
    let pid = last_number(&client.line());
    let imaps = "imaps cmd=\"imapd -s -hold\" listen=\"@/var/socket/imaps\" maxchild=5\n";
    node.cyrus_conf(&format!("SERVICES {{\n{imaps}{IMAP}}}\n"));
    master.signal(Signal::HUP);
    master.expect(&format!("{pid} now serves imaps,imap"));
    assert_eq!(last_number(&node.greeting("imaps")), pid);
    assert_eq!(last_number(&node.greeting("imap")), pid);
    // Another limit is told with the socket again; and what is gone refuses.
    node.cyrus_conf(&format!("SERVICES {{\n{}}}\n", imaps.replace("=5", "=6")));
    master.signal(Signal::HUP);
    master.expect(&format!("{pid} now serves imaps"));
    assert_eq!(last_number(&node.greeting("imaps")), pid);
    assert!(std::os::unix::net::UnixStream::connect(node.path("var/socket/imap")).is_err());
    let log = master.stop();
    assert_eq!(log.matches("type:SERVICE").count(), 1, "{log}");
    client.closed();
}

#[test]
fn a_program_that_takes_no_changes_is_replaced() {
    let fixed = "imap cmd=\"imapd -fixed\" listen=\"@/var/socket/imap\" prefork=1\n";
    let node = Node::new(&format!("SERVICES {{\n{fixed}}}\n"));
    let mut master = node.ready();
    node.greeting("imap");
    node.cyrus_conf(&format!(
        "SERVICES {{\n{fixed} imaps cmd=\"imapd -s\" listen=\"@/var/socket/imaps\"\n}}\n"
    ));
    master.signal(Signal::HUP);
    master.expect("serves imap,imaps");
    assert!(node.greeting("imaps").starts_with("imaps "));
    assert!(node.greeting("imap").starts_with("imap "));
    master.stop();
}

#[test]
fn a_storm_of_hangups_leaves_the_node_as_it_was() {
    let node = Node::new(&format!("SERVICES {{\n{IMAP}}}\n"));
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    for _ in 0..500 {
        master.signal(Signal::HUP);
    }
    master.expect("got SIGHUP");
    assert_eq!(last_number(&node.greeting("imap")), pid);
    let log = master.stop();
    assert_eq!(log.matches("serves imap").count(), 1);
}

#[test]
fn a_replaced_command_of_a_service_replaces_its_process() {
    let node = Node::new(&format!("SERVICES {{\n{IMAP}}}\n"));
    let mut master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    node.cyrus_conf("SERVICES {\nimap cmd=\"imapd -other\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    master.signal(Signal::HUP);
    master.expect("with --listen -other");
    assert_ne!(last_number(&node.greeting("imap")), pid);
    master.stop();
}

#[test]
fn events_that_did_not_change_do_not_run_again() {
    let node = Node::new("EVENTS {\n one cmd=\"say one\" period=60\n}\n");
    let mut master = node.start();
    master.expect("say one");
    node.cyrus_conf("EVENTS {\n one cmd=\"say one\" period=60\n two cmd=\"say two\" period=60\n}\n");
    master.signal(Signal::HUP);
    master.expect("say two");
    let log = master.stop();
    assert_eq!(log.matches("say one").count(), 1, "{log}");
}
