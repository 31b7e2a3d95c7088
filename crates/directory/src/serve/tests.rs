//! Clients that take their time, on a clock that does not.

use std::{sync::Arc, time::Duration};

use mailboxes::{Change, List, Options, store::Memory};
use protocol::{location::Location, mupdate::session::Access, name::MailboxName};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use transport::{peer::Peer, stream::Stream};

use super::{Conversation, Server};

fn server() -> Server {
    let text = "configdirectory: /nonexistent\nservername: node.example.org\n";
    let imapd = config::imapd::Imapd::parse("imapd.conf".as_ref(), text, "mupdate").unwrap();
    // A list on threads of its own would not be waited for by a clock that leaps.
    let spawn = |_, task| {
        tokio::spawn(task);
        Ok(())
    };
    let options = Options { spawn, ..Options::owner() };
    Server::master(List::with_store(Arc::new(Memory::new()), options).unwrap(), &imapd)
}

/// A client's end of a conversation, begun by who may do so much.
fn client(server: &Server, access: Access) -> BufReader<DuplexStream> {
    let (near, far) = duplex(4096);
    let stream = Stream::memory(far, Peer::Unix { uid: 0, gid: 0, pid: None });
    let mut conversation = Conversation::trusted(server.clone(), stream);
    conversation.session.access = access;
    conversation.session.local = false;
    tokio::spawn(conversation.run(CancellationToken::new()));
    BufReader::new(near)
}

async fn last_line(client: &mut BufReader<DuplexStream>) -> String {
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    all.lines().last().unwrap_or_default().to_owned()
}

async fn activate(server: &Server, name: &str, acl: &str) {
    let (name, at) = (MailboxName::parse(name).unwrap(), Location::parse("be1!p").unwrap());
    server.list().commit(vec![Change::activate(name, at, acl)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_is_logged_in_may_be_silent_for_three_hours() {
    let server = server();
    let began = Instant::now();
    let mut client = client(&server, Access::Read);
    assert_eq!(last_line(&mut client).await, "* BYE \"idle for too long\"");
    assert_eq!(began.elapsed().as_secs(), 10_800);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stops_reading_is_dropped_and_others_go_on() {
    let server = server();
    let (mut stalled, mut healthy) = (client(&server, Access::Read), client(&server, Access::Read));
    for stream in [&mut stalled, &mut healthy] {
        stream.get_mut().write_all(b"U01 UPDATE\r\n").await.unwrap();
    }
    let mut lines = healthy.lines();
    while !lines.next_line().await.unwrap().unwrap().starts_with("U01 OK") {}
    let began = Instant::now();
    // Much more than fits into the pipe.
    for n in 0..200 {
        activate(&server, &format!("user.u{n}"), &"x".repeat(400)).await;
        let line = timeout(Duration::from_secs(1), lines.next_line()).await.unwrap().unwrap().unwrap();
        assert!(line.starts_with(&format!("U01 MAILBOX \"user.u{n}\"")), "{line}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "the healthy one did not wait for the stalled one");
    let streams = || server.shared.streams.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(streams(), 2);
    let mut pace = interval(Duration::from_secs(1));
    while streams() == 2 {
        pace.tick().await;
    }
    let took = began.elapsed().as_secs();
    assert!((60..=70).contains(&took), "dropped after {took} s");
    // What it had not read yet ends in the middle: nobody takes that for a whole list.
    let mut rest = String::new();
    stalled.read_to_string(&mut rest).await.unwrap();
    assert!(!rest.contains("BYE") && !rest.contains("user.u199"));
}
