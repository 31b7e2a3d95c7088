//! DAEMON and EVENTS.

use rustix::process::Signal;

use crate::node::{Node, kill, last_number};

#[test]
fn a_daemon_is_started_again_whenever_it_dies() {
    let node = Node::new("DAEMON {\n keeper cmd=\"keeper keeper\"\n}\n");
    node.stand_in("keeper", "keeper");
    let mut master = node.start();
    let first = last_number(&master.expect("keeper runs as"));
    kill(first, Signal::KILL);
    let line = master.expect("process type:DAEMON name:keeper");
    assert!(line.contains("signaled to death by signal 9"), "{line}");
    assert_ne!(last_number(&master.expect("keeper runs as")), first);
    let log = master.stop();
    assert!(log.contains("ends"), "{log}");
}

#[test]
fn waiting_daemons_start_before_services_and_end_after_them_in_reverse() {
    let node = Node::new(
        "DAEMON {\n one cmd=\"keeper one wait\" wait=yes\n two cmd=\"keeper two wait\" wait=yes\n}\n\
         SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n",
    );
    node.stand_in("keeper", "keeper");
    let log = node.ready().stop();
    let order = ["one runs", "two runs", "serves imap", "drained", "two", "one"];
    let mut rest = log.as_str();
    for text in order {
        let place = rest.find(text).unwrap_or_else(|| panic!("{text} not in its place in:\n{log}"));
        rest = &rest[place + text.len()..];
    }
}

#[test]
fn a_waiting_daemon_that_does_not_come_up_ends_master() {
    let node = Node::new("DAEMON {\n sad cmd=\"say -fail\" wait=yes\n}\n");
    let (status, _, log) = node.run(&[]);
    assert_eq!(status.code(), Some(78));
    assert!(log.contains("daemon sad: ended, or said something else, where 'ok' was expected"), "{log}");
}

#[test]
fn events_run_at_the_start_when_they_have_a_period_or_no_time() {
    let node = Node::new(
        "EVENTS {\n checkpoint cmd=\"/usr/sbin/cyrus ctl_cyrusdb -c\" period=30\n once cmd=\"nice -n 5 say once\"\n \
         night cmd=\"say never\" at=0400\n weekly cmd=\"say never\" cron=\"0 0 30 2 *\"\n prune cmd=\"tls_prune\" at=0400\n}\n",
    );
    let mut master = node.start();
    let log = {
        master.expect("type:EVENT");
        master.expect("type:EVENT");
        master.stop()
    };
    assert!(log.contains("ctl_cyrusdb -c -C ") && log.contains("say once"), "{log}");
    assert!(!log.contains("say never"), "{log}");
    assert!(log.contains("prune: tls_prune has no counterpart in this murder: the line is skipped"), "{log}");
}

#[test]
fn a_daemon_that_keeps_dying_is_tried_ever_more_rarely_and_stops_nothing() {
    let node = Node::new(
        "DAEMON {\n sad cmd=\"say -fail\"\n}\nSERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n",
    );
    let mut master = node.ready();
    master.expect("too many failures for daemon sad, disabling for 4 seconds");
    assert_eq!(master.count("process type:DAEMON name:sad"), 5);
    node.greeting("imap");
    // It is tried again all the same.
    master.expect("process type:DAEMON name:sad");
    master.stop();
}
