//! Clients that want to do harm, or are broken: each gets the protocol's own answer, and nobody else notices.

use std::net::SocketAddr;

use tokio::net::{TcpStream, UnixStream};

use crate::{
    transcript::Player,
    wire::{CYRUS, local, network},
    world::{Node, eventually},
};

/// Somebody who works while others misbehave.
async fn works(client: &mut Player<UnixStream>) {
    client.play("C: W0 NOOP\n S: W0 OK \"Noop done\"").await;
}

#[tokio::test]
async fn a_line_without_end_costs_its_sender_the_connection() {
    let master = Node::master("").await;
    let mut other = local(&master).await;
    let mut client = local(&master).await;
    client.say(&[b'x'; 140_000]).await;
    client.say(b"\r\n").await;
    let answer = client.line().await;
    assert!(answer.starts_with("* BYE"), "{answer}");
    client.play("S closes").await;
    works(&mut other).await;
}

#[tokio::test]
async fn a_literal_that_is_too_long_is_refused_before_it_is_sent() {
    let master = Node::master("").await;
    let mut other = local(&master).await;
    for size in ["131073", "4294967296", "18446744073709551615"] {
        let mut client = local(&master).await;
        client.play(&format!("C: X0 FIND {{{size}}}")).await;
        let answer = client.line().await;
        assert!(answer.starts_with("* BYE") || answer.starts_with("X0 BAD"), "{size}: {answer}");
    }
    // As long as may be is taken.
    let mut client = local(&master).await;
    client.play("C: X0 FIND {131072+}").await;
    client.say(&[b'x'; 131_072]).await;
    client.play("C: \n S: X0 OK …").await;
    works(&mut other).await;
}

#[tokio::test]
async fn many_literals_in_one_command_are_bounded_together() {
    let master = Node::master("").await;
    let mut other = local(&master).await;
    let mut client = local(&master).await;
    client.say(b"U01 UPDATE").await;
    for _ in 0..4 {
        client.say(b" {100000+}\r\n").await;
        client.say(&[b'x'; 100_000]).await;
    }
    client.say(b"\r\n").await;
    let answer = client.line().await;
    assert!(answer.starts_with("* BYE"), "{answer}");
    works(&mut other).await;
}

#[tokio::test]
async fn bytes_of_any_kind_are_answered_and_forgotten() {
    let master = Node::master("").await;
    let mut other = local(&master).await;
    let mut client = local(&master).await;
    client
        .say(b"\x00\xff\xfe \x01\r\nX1 FIND \"\xff\xfe\"\r\nX2 RESERVE \"a\" \"!\"\r\n\r\nX3 NOOP\r\n")
        .await;
    for _ in 0..5 {
        let line = client.line().await;
        assert!(!line.is_empty());
        if line == "X3 OK \"Noop done\"" {
            break;
        }
    }
    works(&mut client).await;
    works(&mut other).await;
}

#[tokio::test]
async fn who_asks_much_and_reads_nothing_keeps_only_itself_waiting() {
    let master = Node::master("").await;
    let mut other = local(&master).await;
    let acl = "x".repeat(100_000);
    other.play(&format!("C: X0 ACTIVATE \"user.a\" \"be1!p\" \"{acl}\"\n S: X0 OK \"done\"")).await;
    let mut client = local(&master).await;
    // Ten thousand answers of 100,000 bytes each.
    client.say("F FIND \"user.a\"\r\n".repeat(10_000).as_bytes()).await;
    for _ in 0..50 {
        works(&mut other).await;
    }
    for _ in 0..20 {
        assert_eq!(client.line().await, "F MAILBOX \"user.a\" \"be1!p\" {100000+}");
        assert_eq!(client.line().await, acl);
        assert_eq!(client.line().await, "F OK \"Search completed\"");
    }
}

#[tokio::test]
async fn a_stranger_gets_fifty_commands() {
    let master = Node::master("").await;
    let mut stranger = network(&master).await;
    stranger.say("X FIND \"a\"\r\n".repeat(51).as_bytes()).await;
    for _ in 0..50 {
        assert_eq!(stranger.line().await, "X BAD \"Please login first\"");
    }
    stranger.play("S: * BYE \"too many commands before login\"\n S closes").await;
    network(&master).await.play(&format!("C: A01 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\n S: A01 OK …")).await;
}

#[tokio::test]
async fn a_stranger_gets_no_compression_and_no_long_command() {
    let master = Node::master("").await;
    let mut stranger = network(&master).await;
    stranger.play("C: Z01 COMPRESS \"DEFLATE\"\n S: Z01 BAD \"Please login first\"").await;
    // A line of SASL is as long as may be; more is not read.
    let longest = "x".repeat(21_848);
    stranger.say(format!("A01 AUTHENTICATE \"NO-SUCH\" {{21848+}}\r\n{longest}\r\n").as_bytes()).await;
    stranger.play("S: A01 NO \"no mechanism available\"").await;
    let mut stranger = network(&master).await;
    stranger.play("C: A01 AUTHENTICATE \"PLAIN\" {30000}").await;
    let answer = stranger.line().await;
    assert!(answer.starts_with("* BYE") || answer.starts_with("A01 BAD"), "{answer}");
    let mut stranger = network(&master).await;
    stranger.say(&[b'x'; 60_000]).await;
    stranger.play("C: \n S: * BYE …\n S closes").await;
    // After the login both may be had.
    let mut slave = network(&master).await;
    slave.play(&format!("C: A01 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\n S: A01 OK …")).await;
    slave.play("C: X0 FIND {100000+}").await;
    slave.say(&[b'x'; 100_000]).await;
    slave.play("C: \n S: X0 OK …\n C: Z01 COMPRESS \"DEFLATE\"\n S: Z01 OK \"DEFLATE active\"").await;
}

#[tokio::test]
async fn strangers_that_never_read_and_never_leave_are_bounded() {
    let master = Node::master("mupdate_connections_max: 1000\n").await;
    let mut slave = network(&master).await;
    slave.play(&format!("C: A01 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\n S: A01 OK …")).await;
    let mut strangers = Vec::new();
    for _ in 0..200 {
        let stranger = TcpStream::connect(master.address).await.unwrap();
        // More than is ever answered: it asks, and never reads.
        let _ = stranger.try_write("X FIND \"a\"\r\n".repeat(49).as_bytes());
        strangers.push(stranger);
    }
    eventually(async || {
        let connections = master.status().await["connections"].as_u64().unwrap();
        (connections <= 1 + 32).then_some(())
    })
    .await;
    slave.play("C: X0 NOOP\n S: X0 OK \"Noop done\"").await;
    network(&master).await.play(&format!("C: A01 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\n S: A01 OK …")).await;
}

#[tokio::test]
async fn strangers_do_not_keep_out_who_can_log_in() {
    let master = Node::master("mupdate_connections_max: 3\n").await;
    let mut slave = network(&master).await;
    slave.play(&format!("C: A01 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\n S: A01 OK …")).await;
    let (mut first, mut second) = (network(&master).await, network(&master).await);
    // One waits with a login half done.
    first.play("C: A01 AUTHENTICATE \"PLAIN\"\n S: ").await;
    let mut backend = network(&master).await;
    backend.play(&format!("C: A01 AUTHENTICATE \"PLAIN\" \"{CYRUS}\"\n S: A01 OK …")).await;
    first.play("S: * BYE \"too many connections wait for a login\"\n S closes").await;
    let third = network(&master).await;
    second.play("S: * BYE \"too many connections wait for a login\"\n S closes").await;
    for client in [&mut slave, &mut backend] {
        client.play("C: X0 NOOP\n S: X0 OK \"Noop done\"").await;
    }
    drop(third);
}

#[tokio::test]
async fn a_hundred_streams_hear_of_one_change() {
    let master = Node::master("").await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = local(&master).await;
        stream.play("C: U01 UPDATE\n S: U01 OK \"streaming starts\"").await;
        streams.push(stream);
    }
    local(&master).await.play("C: X0 ACTIVATE \"user.a\" \"be1!p\" \"\"\n S: X0 OK \"done\"").await;
    for stream in &mut streams {
        stream.play("S: U01 MAILBOX \"user.a\" \"be1!p\" \"\"").await;
    }
}

/// Whether the kernel probes the server's side of a connection: the timer of its row in /proc/net/tcp.
fn is_probed(server: SocketAddr, client: SocketAddr) -> bool {
    let hex = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = format!(" {} {} ", hex(server), hex(client));
    let row = table.lines().find(|row| row.contains(&ends)).expect("the connection is there");
    row.split_whitespace().nth(5).is_some_and(|timer| timer.starts_with("02:"))
}

#[tokio::test]
async fn a_peer_behind_a_cut_cable_does_not_keep_its_place_for_hours() {
    let master = Node::master("").await;
    let client = TcpStream::connect(master.address).await.unwrap();
    let mut banner = [0; 1];
    client.readable().await.unwrap();
    client.try_read(&mut banner).unwrap();
    eventually(async || is_probed(master.address, client.local_addr().unwrap()).then_some(())).await;
}
