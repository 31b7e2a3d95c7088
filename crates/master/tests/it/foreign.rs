//! Services that are not ours, by Cyrus's protocol of workers.

use rustix::process::Signal;

use crate::node::{Client, Node, await_end, kill, last_number};

fn node(keys: &str) -> Node {
    Node::new(&format!("SERVICES {{\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\" {keys}\n}}\n"))
}

/// Opens a connection and gives it with the worker's pid.
fn served(node: &Node) -> (Client, i32) {
    let mut client = node.connect("echo");
    let line = client.line();
    assert!(line.starts_with("echo 0 "), "{line}");
    (client, last_number(&line))
}

#[test]
fn a_worker_is_forked_for_a_client_and_used_again_by_the_next() {
    let node = node("prefork=0");
    let mut master = node.ready();
    assert_eq!(master.count("waits"), 0);
    let (client, first) = served(&node);
    drop(client);
    let mut workers = std::collections::BTreeSet::from([first]);
    for _ in 0..20 {
        workers.insert(served(&node).1);
    }
    // A client may come before the worker has said that it is free again; but there is no worker for each client.
    assert!(workers.len() < 10, "{workers:?}");
    master.expect("waits");
    master.stop();
}

#[test]
fn as_many_workers_as_prefork_says_are_kept_waiting() {
    let node = node("prefork=3");
    let mut master = node.start();
    for _ in 0..3 {
        master.expect("waits");
    }
    let _busy = served(&node);
    master.expect("waits");
    master.stop();
}

#[test]
fn no_more_workers_than_maxchild_serve_at_a_time() {
    let node = node("prefork=1 maxchild=2");
    let master = node.ready();
    let (first, one) = served(&node);
    let (_second, two) = served(&node);
    assert_ne!(one, two);
    let mut third = node.connect("echo");
    drop(first);
    assert_eq!(last_number(&third.line()), one);
    master.stop();
}

#[test]
fn the_death_of_a_busy_worker_is_no_failure_of_the_service() {
    let node = node("prefork=1");
    let mut master = node.ready();
    for _ in 0..8 {
        let (mut client, _) = served(&node);
        client.send("die");
        client.closed();
        master.expect("signaled to death by signal 9");
    }
    served(&node);
    master.stop();
}

#[test]
fn a_service_whose_ready_workers_die_is_given_up() {
    let node =
        Node::new("SERVICES {\n echo cmd=\"foreign -crash\" listen=\"@/var/socket/echo\" prefork=1\n}\n");
    let mut master = node.ready();
    master.expect("too many failures for service echo/unix, disabling until next SIGHUP");
    assert_eq!(master.count("exited, status 1"), 5);
    master.stop();
}

#[test]
fn a_service_whose_workers_die_after_a_client_is_not_given_up() {
    let node =
        Node::new("SERVICES {\n echo cmd=\"foreign -once 1\" listen=\"@/var/socket/echo\" prefork=1\n}\n");
    let mut master = node.ready();
    for _ in 0..8 {
        drop(served(&node));
        master.expect("exited, status 1");
    }
    served(&node);
    let log = master.stop();
    assert!(!log.contains("too many failures"), "{log}");
}

#[test]
fn a_lost_worker_is_replaced_and_babysitting_says_so() {
    let node = node("babysit=yes");
    let mut master = node.start();
    master.expect("waits");
    let (_client, pid) = served(&node);
    master.expect("waits");
    kill(pid, Signal::KILL);
    await_end(pid);
    served(&node);
    master.stop();
}

#[test]
fn maxforkrate_holds_a_storm_of_clients_down() {
    let node = node("maxforkrate=4");
    let mut master = node.ready();
    let began = std::time::Instant::now();
    let clients: Vec<_> = (0..12).map(|_| served(&node)).collect();
    assert!(began.elapsed().as_secs_f64() > 1.0, "{:?}", began.elapsed());
    drop(clients);
    master.expect("waits");
    master.stop();
}

#[test]
fn a_reload_lets_a_busy_worker_finish_its_client() {
    let node = node("prefork=1");
    let mut master = node.ready();
    let (mut client, pid) = served(&node);
    master.signal(Signal::HUP);
    master.expect("got SIGHUP");
    // The next one is served by a new worker while the old one still has its client.
    let (_other, new) = served(&node);
    assert_ne!(new, pid);
    client.send("still here");
    drop(client);
    master.expect(&format!("pid:{pid} exited, status 0"));
    master.stop();
}

#[test]
fn a_worker_that_floods_its_status_channel_blocks_itself_and_nobody_else() {
    let node = Node::new(
        "SERVICES {\n flood cmd=\"foreign -flood\" listen=\"@/var/socket/flood\" prefork=1\n \
         imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n",
    );
    let master = node.ready();
    node.greeting("imap");
    master.stop();
}
