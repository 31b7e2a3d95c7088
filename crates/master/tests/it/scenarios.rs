//! What Cyrus's own tests ask of its master, by idea: services of every kind of address, limits, reloads that change one thing.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::process::Signal;

use crate::node::{BOUND, Node, kill, last_number};

/// The first line that a TCP service sends.
fn greeting(address: &str) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A port for both families, where this host has both.
fn free_in_both() -> Option<u16> {
    TcpListener::bind("[::1]:0").ok().map(|_| test_host::port())
}

#[test]
fn several_foreign_services_prefork_each_their_own() {
    let node = Node::new(
        "SERVICES {\n one cmd=\"foreign\" listen=\"@/var/socket/one\" prefork=2\n \
         two cmd=\"foreign\" listen=\"@/var/socket/two\" prefork=3\n none cmd=\"foreign\" listen=\"@/var/socket/none\"\n}\n",
    );
    let mut master = node.start();
    for _ in 0..5 {
        master.expect("waits");
    }
    assert!(node.greeting("one").starts_with("one 0 "));
    assert!(node.greeting("two").starts_with("two 0 "));
    assert!(node.greeting("none").starts_with("none 0 "));
    master.stop();
}

#[test]
fn a_service_without_a_host_listens_in_both_families_with_workers_for_each() {
    let Some(port) = free_in_both() else {
        test_host::skip("this host has no IPv6");
        return;
    };
    let node = Node::new(&format!(
        "SERVICES {{\n echo cmd=\"foreign\" listen=\"{port}\" prefork=1 maxchild=1\n}}\n"
    ));
    let mut master = node.start();
    master.expect("waits");
    master.expect("waits");
    assert!(greeting(&format!("127.0.0.1:{port}")).starts_with("echo 0 "));
    assert!(greeting(&format!("[::1]:{port}")).starts_with("echo 1 "));
    master.stop();
}

#[test]
fn an_address_in_brackets_and_a_family_choose_where_to_listen() {
    let Some(port) = free_in_both() else {
        test_host::skip("this host has no IPv6");
        return;
    };
    let node = Node::new(&format!(
        "SERVICES {{\n six cmd=\"foreign\" listen=\"[::1]:{port}\" proto=\"tcp6\"\n four cmd=\"foreign\" listen={port} proto=tcp4\n}}\n"
    ));
    let master = node.ready();
    assert!(greeting(&format!("[::1]:{port}")).starts_with("six 0 "));
    assert!(greeting(&format!("127.0.0.1:{port}")).starts_with("four 0 "));
    master.stop();
}

#[test]
fn a_datagram_service_has_one_worker() {
    let port = test_host::port();
    let node = Node::new(&format!(
        "SERVICES {{\n fud cmd=\"foreign -udp\" listen=\"127.0.0.1:{port}\" proto=\"udp\" prefork=5 maxchild=9\n}}\n"
    ));
    let master = node.ready();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    let ask = || {
        socket.send_to(b"?", ("127.0.0.1", port)).unwrap();
        let mut answer = [0u8; 200];
        let length = socket.recv(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    let first = ask();
    assert!(first.starts_with("fud 0 "), "{first}");
    assert!((0..10).all(|_| ask() == first));
    assert_eq!(std::fs::read_dir(node.path("var/proc")).unwrap().count(), 1);
    master.stop();
}

#[test]
fn two_services_on_one_port_are_told_and_the_first_serves() {
    let port = test_host::port();
    let node = Node::new(&format!(
        "SERVICES {{\n one cmd=\"foreign\" listen=\"127.0.0.1:{port}\"\n two cmd=\"foreign\" listen=\"127.0.0.1:{port}\"\n}}\n"
    ));
    let mut master = node.start();
    master.expect("unable to bind to two/ipv4 socket: bind 127.0.0.1:");
    master.expect("service two has no address to listen on: disabled until next SIGHUP");
    master.expect("ready for work");
    assert!(greeting(&format!("127.0.0.1:{port}")).starts_with("one 0 "));
    master.stop();
}

#[test]
fn a_listener_that_cannot_be_resolved_is_told_and_the_others_serve() {
    let node = Node::new(
        "SERVICES {\n lost cmd=\"foreign\" listen=\"no-such-host.invalid:143\"\n odd cmd=\"foreign\" listen=\"no-such-service\"\n \
         echo cmd=\"foreign\" listen=\"@/var/socket/echo\"\n}\n",
    );
    let mut master = node.start();
    master.expect("unable to bind to lost socket: resolve no-such-host.invalid: ");
    master.expect("service lost has no address to listen on: disabled until next SIGHUP");
    master.expect("unable to bind to odd socket: resolve port no-such-service: unknown service name");
    master.expect("ready for work");
    node.greeting("echo");
    master.stop();
}

#[test]
fn a_program_that_nobody_has_is_refused_in_services_and_daemon_only() {
    for section in ["SERVICES {\n x cmd=\"mystery\" listen=\"99\"", "DAEMON {\n x cmd=\"/nowhere/mystery\""] {
        let node = Node::new(&format!("{section}\n}}\n"));
        let (status, _, log) = node.run(&[]);
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains("cyrus.conf:2: x: "), "{log}");
    }
    let node = Node::new("EVENTS {\n x cmd=\"mystery\" period=5\n}\n");
    node.ready().stop();
}

#[test]
fn no_client_at_all_may_come_where_maxchild_is_nothing() {
    let node =
        Node::new("SERVICES {\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\" maxchild=0 prefork=2\n}\n");
    let master = node.ready();
    assert!(UnixStream::connect(node.path("var/socket/echo")).is_err());
    let log = master.stop();
    assert!(!log.contains("waits"), "{log}");
}

#[test]
fn a_worker_that_ends_by_itself_is_replaced_and_is_no_failure() {
    for status in [0, 75] {
        let node = Node::new(&format!(
            "SERVICES {{\n echo cmd=\"foreign -once {status}\" listen=\"@/var/socket/echo\" prefork=1\n}}\n"
        ));
        let mut master = node.ready();
        for _ in 0..7 {
            drop(node.connect("echo").line());
            master.expect(&format!("exited, status {status}"));
        }
        node.greeting("echo");
        let log = master.stop();
        assert!(!log.contains("too many failures"), "{log}");
    }
}

#[test]
fn maxfds_is_the_soft_limit_of_a_foreign_worker() {
    let node = Node::new(
        "SERVICES {\n few cmd=\"foreign -self\" listen=\"@/var/socket/few\" maxfds=77\n \
         many cmd=\"foreign -self\" listen=\"@/var/socket/many\" maxfds=999999999\n}\n",
    );
    let master = node.ready();
    assert!(node.greeting("few").starts_with("few 0 77 "));
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap();
    assert!(node.greeting("many").starts_with(&format!("many 0 {hard} ")));
    master.stop();
}

#[test]
fn a_disabled_service_comes_back_at_a_reload() {
    let node =
        Node::new("SERVICES {\n echo cmd=\"foreign -crash\" listen=\"@/var/socket/echo\" prefork=1\n}\n");
    let mut master = node.ready();
    master.expect("disabling until next SIGHUP");
    // It is said, and then done.
    let deadline = Instant::now() + BOUND;
    while UnixStream::connect(node.path("var/socket/echo")).is_ok() {
        assert!(Instant::now() < deadline, "the listener of a disabled service stays open");
        std::thread::yield_now();
    }
    node.cyrus_conf("SERVICES {\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\" prefork=1\n}\n");
    master.signal(Signal::HUP);
    master.expect("waits");
    node.greeting("echo");
    master.stop();
}

#[test]
fn a_reload_sends_idle_workers_home_and_new_ones_come() {
    let node = Node::new("SERVICES {\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\" prefork=2\n}\n");
    let mut master = node.start();
    let old = [last_number(&master.expect("waits").replace(" waits", "")), {
        last_number(&master.expect("waits").replace(" waits", ""))
    }];
    master.signal(Signal::HUP);
    master.expect("waits");
    master.expect("waits");
    assert!(!old.contains(&last_number(&node.greeting("echo"))));
    master.stop();
}

#[test]
fn a_reload_changes_limits_of_a_foreign_service_in_place() {
    let line = |limits: &str| {
        format!("SERVICES {{\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\" {limits}\n}}\n")
    };
    let node = Node::new(&line("maxchild=1"));
    let mut master = node.ready();
    let mut first = node.connect("echo");
    let one = last_number(&first.line());
    let mut second = node.connect("echo");
    node.cyrus_conf(&line("maxchild=2"));
    master.signal(Signal::HUP);
    assert_ne!(last_number(&second.line()), one);
    // The listener is the same one, so nobody who waited was lost.
    node.cyrus_conf(&line("prefork=1"));
    master.signal(Signal::HUP);
    master.expect("waits");
    node.greeting("echo");
    master.stop();
}

#[test]
fn a_reload_moves_a_service_whose_address_or_family_changed() {
    let (one, two) = (test_host::port(), test_host::port());
    let line = |port, proto| {
        format!("SERVICES {{\n echo cmd=\"foreign\" listen=\"127.0.0.1:{port}\" proto={proto}\n}}\n")
    };
    let node = Node::new(&line(one, "tcp"));
    let mut master = node.ready();
    assert!(greeting(&format!("127.0.0.1:{one}")).starts_with("echo 0 "));
    node.cyrus_conf(&line(two, "tcp4"));
    master.signal(Signal::HUP);
    master.expect("service echo is gone from the configuration");
    assert!(greeting(&format!("127.0.0.1:{two}")).starts_with("echo 0 "));
    assert!(TcpStream::connect(("127.0.0.1", one)).is_err());
    master.stop();
}

#[test]
fn a_babysat_service_that_lost_all_its_workers_gets_new_ones_and_says_so() {
    let node = Node::new("SERVICES {\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\" babysit=1\n}\n");
    let mut master = node.start();
    let pid = last_number(&master.expect("waits").replace(" waits", ""));
    kill(pid, Signal::KILL);
    master.expect("lost all children for service: echo/unix.  Applying babysitter.");
    master.expect("waits");
    node.greeting("echo");
    master.stop();
}

#[test]
fn what_a_reload_cannot_change_is_said_and_debug_messages_come_with_a_signal() {
    let node = Node::new("SERVICES {\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\"\n}\n");
    node.imapd_conf("mboxlist_db: twoskip\nduplicate_db: twoskip\nhttpmodules: caldav\nallowplaintxt: yes");
    let mut master = crate::node::Master::spawn(&mut node.command());
    master.expect("allowplaintxt: there is no such option: is allowplaintext meant?");
    master.expect("set, and without effect here: mboxlist_db, duplicate_db (this project has its own databases); httpmodules");
    master.expect("ready for work");
    node.imapd_conf("altnamespace: no");
    master.signal(Signal::HUP);
    master.expect("altnamespace: 'no' takes effect when the node is restarted; until then yes");
    master.signal(Signal::USR1);
    master.expect("debug messages are on");
    master.signal(Signal::USR1);
    master.expect("debug messages are off");
    node.greeting("echo");
    let log = master.stop();
    assert_eq!(log.matches("without effect").count(), 1, "{log}");
}

#[test]
fn the_table_of_processes_is_where_the_option_says() {
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    node.imapd_conf("proc_path: @/run/proc");
    let master = node.ready();
    let pid = last_number(&node.greeting("imap"));
    let line = crate::node::read(&node.path("run/proc").join(pid.to_string()));
    assert!(line.starts_with("imap\t") && line.contains("bin/backend"), "{line}");
    master.stop();
    assert_eq!(std::fs::read_dir(node.path("run/proc")).unwrap().count(), 0);
}

#[test]
fn lines_that_cannot_work_together_are_refused_with_file_and_line() {
    let node = Node::new(
        "SERVICES {\n mupdate cmd=\"mupdate -m\" listen=\"@/var/socket/m\"\n slave cmd=\"mupdate\" listen=\"@/var/socket/s\"\n}\n",
    );
    node.imapd_conf("mupdate_server: m.example");
    let (status, text, _) = node.run(&["-t"]);
    assert_eq!(status.code(), Some(78));
    assert!(
        text.contains("cyrus.conf:3: slave: a slave on the master's own host: line 2 runs mupdate -m"),
        "{text}"
    );
}

#[test]
fn a_service_whose_workers_die_before_they_serve_is_given_up_at_its_first_client() {
    let node = Node::new("SERVICES {\n echo cmd=\"foreign -crash\" listen=\"@/var/socket/echo\"\n}\n");
    let mut master = node.ready();
    assert_eq!(master.count("exited"), 0);
    let client = node.connect("echo");
    master.expect("too many failures for service echo/unix, disabling until next SIGHUP");
    assert_eq!(master.count("exited, status 1"), 5);
    client.closed();
    master.stop();
}

#[test]
fn of_two_families_one_may_be_given_up_while_the_other_serves() {
    let Some(port) = free_in_both() else {
        test_host::skip("this host has no IPv6");
        return;
    };
    let node = Node::new(&format!("SERVICES {{\n echo cmd=\"foreign -crash0\" listen=\"{port}\"\n}}\n"));
    let mut master = node.ready();
    for _ in 0..2 {
        let refused = TcpStream::connect(("127.0.0.1", port)).unwrap();
        master.expect("too many failures for service echo/ipv4, disabling until next SIGHUP");
        drop(refused);
        assert!(greeting(&format!("[::1]:{port}")).starts_with("echo 1 "));
        // A reload gives the other one its next chance.
        master.signal(Signal::HUP);
        master.expect("got SIGHUP");
        until("the given up family listens again", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
    master.stop();
}

#[test]
fn a_reload_keeps_both_families_of_a_service_until_one_is_taken_away() {
    let Some(port) = free_in_both() else {
        test_host::skip("this host has no IPv6");
        return;
    };
    let line =
        |proto| format!("SERVICES {{\n echo cmd=\"foreign\" listen=\"{port}\" prefork=1 proto={proto}\n}}\n");
    let node = Node::new(&line("tcp"));
    let mut master = node.start();
    master.expect("waits");
    master.expect("waits");
    master.signal(Signal::HUP);
    master.expect("waits");
    master.expect("waits");
    assert!(greeting(&format!("127.0.0.1:{port}")).starts_with("echo 0 "));
    assert!(greeting(&format!("[::1]:{port}")).starts_with("echo 1 "));
    node.cyrus_conf(&line("tcp4"));
    master.signal(Signal::HUP);
    until("nobody listens on IPv6", || TcpStream::connect(("::1", port)).is_err());
    until("IPv4 is served", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(greeting(&format!("127.0.0.1:{port}")).starts_with("echo 0 "));
    master.stop();
}

#[test]
fn a_reload_that_renames_or_narrows_a_service_keeps_its_port() {
    let port = test_host::port();
    let line = |name, host| {
        format!("SERVICES {{\n {name} cmd=\"foreign\" listen=\"{host}{port}\" proto=tcp4 prefork=1\n}}\n")
    };
    let node = Node::new(&line("one", "127.0.0.1:"));
    let mut master = node.start();
    master.expect("waits");
    // Another name has the very socket: there is no moment at which a client is refused.
    node.cyrus_conf(&line("two", "127.0.0.1:"));
    master.signal(Signal::HUP);
    master.expect("service one is gone from the configuration");
    until("the new name answers", || greeting(&format!("127.0.0.1:{port}")).starts_with("two 0 "));
    // What overlaps is closed first, also where a worker still has a client.
    let busy = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for host in ["", "127.0.0.1:"] {
        node.cyrus_conf(&line("two", host));
        master.signal(Signal::HUP);
        master.expect("service two is gone from the configuration");
        assert!(greeting(&format!("127.0.0.1:{port}")).starts_with("two 0 "));
    }
    drop(busy);
    let log = master.stop();
    assert!(!log.contains("unable to bind"), "{log}");
}

#[test]
fn each_of_many_workers_is_reaped_when_it_ends() {
    let node = Node::new("SERVICES {\n echo cmd=\"foreign -once 0\" listen=\"@/var/socket/echo\"\n}\n");
    let mut master = node.ready();
    let clients: Vec<_> = (0..50).map(|_| node.connect("echo")).collect();
    let served = clients.into_iter().map(|mut client| {
        let pid = last_number(&client.line());
        (client, pid)
    });
    for (client, pid) in served.collect::<Vec<_>>() {
        drop(client);
        master.expect(&format!("pid:{pid} exited, status 0"));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
    assert_eq!(std::fs::read_dir(node.path("var/proc")).unwrap().count(), 0);
    master.stop();
}

#[test]
fn a_pid_file_that_is_a_symbolic_link_is_not_followed() {
    let node = Node::new("SERVICES {\n echo cmd=\"foreign\" listen=\"@/var/socket/echo\"\n}\n");
    std::os::unix::fs::symlink(node.path("elsewhere"), node.path("var/master.pid")).unwrap();
    for words in [&[][..], &["-d"]] {
        let (status, _, log) = node.run(words);
        assert_eq!(status.code(), Some(71), "{log}");
        assert!(log.contains("Too many levels of symbolic links"), "{log}");
    }
    assert!(!node.path("elsewhere").exists());
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

#[test]
fn options_that_a_program_does_not_have_are_named_with_their_line_and_the_service_runs() {
    let node =
        Node::new("SERVICES {\n imap cmd=\"imapd -t 600 -q -D\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    let (status, text, _) = node.run(&["-t"]);
    assert!(status.success(), "{text}");
    for words in ["imapd has no option -t: '-t 600' is ignored, as Cyrus does", "-D: no debugger is started"]
    {
        assert!(text.contains(&format!("cyrus.conf:2: imap: {words}")), "{words} in {text}");
    }
    let master = node.ready();
    node.greeting("imap");
    master.stop();
}

#[test]
fn a_mupdate_master_serves_without_its_lines_that_need_a_partition() {
    let node = Node::new(
        "SERVICES {\n mupdate cmd=\"mupdate -m\" listen=\"@/var/socket/mupdate\" prefork=1\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\"\n}\n",
    );
    let conf = node.path("imapd.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    let without: String =
        text.lines().filter(|line| !line.starts_with("partition-")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&conf, without).unwrap();
    let (status, text, _) = node.run(&["-t"]);
    assert!(status.success() && text.contains("cyrus.conf:3: imap: imapd keeps mail on this node"), "{text}");
    let master = node.ready();
    node.greeting("mupdate");
    assert!(!node.path("var/socket/imap").exists());
    master.stop();
}

#[test]
fn a_file_that_a_line_names_and_a_port_that_nobody_knows_are_told_with_the_line() {
    let node = Node::new(
        "SERVICES {\n imap cmd=\"imapd -C @/none.conf\" listen=\"@/var/socket/imap\"\n x cmd=\"imapd\" listen=\"127.0.0.1:nosuchport\"\n y cmd=\"tls_prune\" listen=\"1\"\n z cmd=\"tls_prune\" listen=\"2\"\n}\n",
    );
    node.imapd_conf("sevrername: x");
    let (status, text, _) = node.run(&["-t"]);
    assert_eq!(status.code(), Some(78));
    for words in [
        "cyrus.conf:2: imap: -C ",
        "none.conf: cannot read",
        "cyrus.conf:3: x: listen: no port is known for 'nosuchport'",
        "cyrus.conf:4: y: tls_prune",
        "cyrus.conf:5: z: tls_prune",
        "sevrername: there is no such option: is servername meant?",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}
