//! The port of `status_listen`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rustix::process::Signal;

use crate::node::{BOUND, Node};

/// The status line and body of an answer.
fn get(port: u16, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn the_page_shows_the_node_and_the_probes_tell_when_it_is_well() {
    let port = test_host::port();
    let node = Node::new(
        "SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1 maxchild=7\n \
         echo cmd=\"foreign\" listen=\"@/var/socket/echo\" prefork=2\n}\nEVENTS {\n tick cmd=\"say tick\" period=60\n}\n",
    );
    node.imapd_conf(&format!("status_listen: 127.0.0.1:{port}"));
    let mut master = node.ready();
    assert_eq!(get(port, "/readyz"), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    assert_eq!(get(port, "/healthz").1, "ok\n");
    let page = get(port, "/").1;
    for text in ["imap", "echo/unix", "tick", "var/socket/imap"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let metrics = get(port, "/metrics").1;
    assert!(metrics.contains("murder_process_ready{kind=\"service\",service=\"imap\"} 1\n"), "{metrics}");
    assert!(
        metrics.contains("cyrus_master_ready_workers{service=\"echo\",family=\"unix\"} 2\n"),
        "{metrics}"
    );
    let board: serde_json::Value = serde_json::from_str(&get(port, "/status.json").1).unwrap();
    assert_eq!(board["listeners"][0]["maxchild"], 7);
    assert!(get(port, "/nothing").0.contains("404"));
    // What is broken makes the probes fail, and says what it is.
    node.cyrus_conf("SERVICES {\n imap cmd=\"imapd -crash\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    master.signal(Signal::HUP);
    master.expect("too many failures for service imap");
    let (status, text) = get(port, "/healthz");
    assert!(status.contains("503") && text == "SERVICE imap is disabled\n", "{status} {text}");
    assert!(get(port, "/readyz").0.contains("503"));
    // Without the option the page is gone.
    node.imapd_conf("");
    master.reload();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    master.stop();
}

#[test]
fn a_program_that_takes_no_clients_for_now_keeps_a_node_from_being_ready_and_is_not_broken() {
    let (port, served) = (test_host::port(), test_host::port());
    let node = Node::new(&format!(
        "SERVICES {{\n mupdate cmd=\"mupdate -m -busy\" listen=\"127.0.0.1:{served}\"\n}}\n"
    ));
    node.imapd_conf(&format!("status_listen: 127.0.0.1:{port}"));
    let master = node.ready();
    assert!(get(port, "/readyz").0.contains("200"));
    let answer = || {
        let mut text = String::new();
        TcpStream::connect(("127.0.0.1", served)).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert!(answer().starts_with("mupdate"));
    let until = Instant::now() + BOUND;
    let becomes = |status: &str| {
        while !get(port, "/readyz").0.contains(status) {
            assert!(
                Instant::now() < until,
                "/readyz does not become {status}: {}",
                get(port, "/status.json").1
            );
        }
    };
    becomes("503");
    assert_eq!(get(port, "/healthz").1, "ok\n");
    let board: serde_json::Value = serde_json::from_str(&get(port, "/status.json").1).unwrap();
    let of_mupdate =
        |one: &&serde_json::Value| one["name"].as_str().is_some_and(|name| name.contains("mupdate"));
    let process = board["processes"].as_array().unwrap().iter().find(of_mupdate).unwrap();
    assert_eq!((&process["state"], &process["status"]), (&"busy".into(), &"etcd does not answer".into()));
    master.signal(Signal::HUP);
    becomes("200");
    master.stop();
}

#[test]
fn nonsense_at_the_page_harms_nothing() {
    let port = test_host::port();
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    node.imapd_conf(&format!("status_listen: {port}"));
    let master = node.ready();
    let mut idle: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    for (stream, text) in
        idle.iter_mut().zip(["\0\0\0\r\n\r\n", "GET\r\n\r\n", "POST / HTTP/1.1\r\n\r\n", "é\r\n\r\n"])
    {
        stream.write_all(text.as_bytes()).unwrap();
    }
    let _ = idle[5].write_all("x".repeat(100_000).as_bytes());
    assert!(get(port, "/healthz").0.contains("200"));
    node.greeting("imap");
    master.stop();
}

#[test]
fn a_drain_and_a_stop_fail_the_readiness_endpoint_first() {
    let port = test_host::port();
    let node = Node::new("SERVICES {\n imap cmd=\"imapd\" listen=\"@/var/socket/imap\" prefork=1\n}\n");
    node.imapd_conf(&format!("status_listen: 127.0.0.1:{port}\nshutdown_delay: 1d\n"));
    let mut master = node.ready();
    std::fs::create_dir_all(node.path("var/msg")).unwrap();
    std::fs::write(node.path("var/msg/drain"), "").unwrap();
    let readiness = || get(port, "/readyz");
    assert_eq!(readiness(), ("HTTP/1.1 503 Service Unavailable".to_owned(), "draining\n".to_owned()));
    assert_eq!(get(port, "/healthz").1, "ok\n");
    node.greeting("imap");
    std::fs::remove_file(node.path("var/msg/drain")).unwrap();
    assert_eq!(readiness().1, "ready\n");
    master.signal(Signal::TERM);
    master.expect("attempting clean shutdown");
    assert_eq!(readiness().1, "stopping\n");
    node.greeting("imap");
    // A second signal means it.
    master.signal(Signal::TERM);
    assert!(master.wait().success());
}
