//! What cannot be understood is answered in the protocol's own words, and everything goes on.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use system_tests::{Murder, Plan};

/// Sends bytes as they are; gives what came back until the server paused or closed.
fn exchange(murder: &Murder, node: &str, service: &str, input: &[u8]) -> String {
    exchange_at(murder.address(node, service), input)
}

/// The same with what listens there.
pub fn exchange_at(address: SocketAddr, input: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(1500))).expect("a time-out");
    let mut writer = stream.try_clone().expect("a second handle");
    let owned = input.to_vec();
    // the server may close before it has read all
    let sender = std::thread::spawn(move || {
        let _ = writer.write_all(&owned);
    });
    let (mut said, mut run) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut run) {
        said.extend_from_slice(&run[..count]);
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    let _ = sender.join();
    String::from_utf8_lossy(&said).into_owned()
}

/// Inputs that no server should fall over, and a piece of the reply for each.
#[test]
fn hostile_input_is_answered_and_others_go_on() {
    let murder = Plan::nodes(1, 1).user("alice", "backend1").start();
    let parentheses = |prefix: &str| [prefix.as_bytes(), &vec![b'('; 10_000], b"\r\n"].concat();
    let endless = vec![b'x'; 40 * 1024 * 1024];
    for node in ["frontend1", "backend1"] {
        let imap: &[(Vec<u8>, &str)] = &[
            (b"a1 NONSENSE\r\n".to_vec(), "a1 BAD"),
            (b"\r\n".to_vec(), "* BAD"),
            (b"a1 NOOP\n".to_vec(), "a1 OK"),
            (b"a1 LOG\0IN x y\r\na2 NOOP\r\n".to_vec(), "a2 OK"),
            (parentheses("a1 ID "), "a1 BAD"),
            (b"a1 LOGIN {99999999999}\r\na2 NOOP\r\n".to_vec(), "a2 OK"),
            (b"a1 LOGIN {18446744073709551616+}\r\n".to_vec(), "BAD"),
            (endless.clone(), "* B"),
        ];
        for (input, want) in imap {
            let said = exchange(&murder, node, "imap", input);
            let shown: String = String::from_utf8_lossy(&input[..input.len().min(40)]).into_owned();
            assert!(said.contains(want), "{node} IMAP {shown:?}: {said}");
        }
        let pop3: &[(Vec<u8>, &str)] = &[
            (b"NONSENSE\r\n".to_vec(), "-ERR"),
            (b"CAPA\n".to_vec(), "+OK"),
            (b"USER \0\r\nCAPA\r\n".to_vec(), "-ERR"),
            (parentheses("USER "), "-ERR"),
            (endless.clone(), "-ERR"),
        ];
        for (input, want) in pop3 {
            let said = exchange(&murder, node, "pop3", input);
            assert!(said.contains(want), "{node} POP3, {want} wanted: {said}");
        }
        let sieve: &[(Vec<u8>, &str)] = &[
            (b"NONSENSE\r\n".to_vec(), "NO \"Expected a command"),
            (b"NOOP\n".to_vec(), "OK \"Done\""),
            (b"NOOP \"\0\"\r\nNOOP\r\n".to_vec(), "OK \"Done\""),
            (b"CHECKSCRIPT {8+}\r\nLOGOUT\r\n\r\nNOOP\r\n".to_vec(), "OK \"Done\""),
            (b"PUTSCRIPT \"a\" {99999999999+}\r\n".to_vec(), "BYE (QUOTA/MAXSIZE)"),
            (b"AUTHENTICATE \"PLAIN\" {18446744073709551616+}\r\n".to_vec(), "NO"),
            (parentheses("NOOP "), "NO"),
            (endless.clone(), "BYE"),
        ];
        for (input, want) in sieve {
            let said = exchange(&murder, node, "sieve", input);
            assert!(said.contains(want), "{node} ManageSieve, {want} wanted: {said}");
        }
        let lmtp: &[(Vec<u8>, &str)] = &[
            (b"NONSENSE\r\n".to_vec(), "500 5.5.2"),
            (b"LHLO x\n".to_vec(), "250"),
            (b"LHLO x\r\nMAIL FROM:<a\0b>\r\n".to_vec(), "\r\n500 5.5.2"),
            (parentheses("LHLO x\r\nMAIL FROM:<"), "\r\n50"),
            (endless.clone(), "500"),
        ];
        if node == "frontend1" {
            for (input, want) in lmtp {
                let said = exchange(&murder, node, "lmtp", input);
                assert!(said.contains(want), "{node} LMTP, {want} wanted: {said}");
            }
        }
    }
    for (node, service) in [("mupdate", "mupdate"), ("frontend1", "mupdate")] {
        let mupdate: &[(Vec<u8>, &str)] = &[
            (b"X0 NONSENSE\r\n".to_vec(), "X0 BAD \"Unrecognized command\""),
            (b"X0\r\n".to_vec(), "BAD \"Need command\""),
            (b"X0 NOOP\n".to_vec(), "X0 BAD \"Please login first\""),
            (b"X0 FIND {99999999999+}\r\n".to_vec(), "BYE"),
            (parentheses("X0 FIND "), "X0 BAD"),
            (endless.clone(), "* BYE"),
        ];
        for (input, want) in mupdate {
            let said = exchange(&murder, node, service, input);
            assert!(said.contains(want), "{node} MUPDATE, {want} wanted: {said}");
        }
    }
    murder.login("frontend1", "alice").must("SELECT INBOX").unwrap();
    assert!(murder.deliver("frontend1", &["alice"], "still")[0].starts_with("250"));
}

#[test]
fn a_message_beyond_the_limit_is_refused_when_it_is_announced_and_when_it_has_come() {
    let murder = Plan::nodes(1, 1).option("*", "maxmessagesize", "100000").user("alice", "backend1").start();
    let big = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnop\r\n".repeat(3000);
    let announced = exchange(&murder, "frontend1", "lmtp", b"LHLO x\r\nMAIL FROM:<a@b> SIZE=200000\r\n");
    assert!(announced.contains("\r\n552 5.2.3"), "{announced}");
    let message = format!("{}{big}", system_tests::message("big"));
    let replies = murder.lmtp("frontend1").deliver("a@b", &["alice", "alice"], &message).unwrap();
    assert!(replies.len() == 2 && replies.iter().all(|r| r.starts_with("552 5.2.3")), "{replies:?}");
    for node in ["frontend1", "backend1"] {
        let mut alice = murder.login(node, "alice");
        let size = big.len();
        let refused = alice.command(&format!("APPEND INBOX {{{size}+}}\r\n{big}")).unwrap().result;
        assert!(refused.starts_with("NO [TOOBIG]"), "{node}: {refused}");
        assert!(alice.must("SELECT INBOX").unwrap().lines.contains(&"* 0 EXISTS".to_owned()));
    }
    assert!(murder.deliver("frontend1", &["alice"], "small")[0].starts_with("250"));
}
