//! Clients that keep a session waiting: who does not read, who never logs in.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::world::{Backend, World};

#[tokio::test]
async fn who_does_not_read_is_not_answered_without_end() {
    let (_world, mut client) = World::piped(&[], &[], 64 * 1024).await;
    client.read_u8().await.unwrap();
    tokio::time::pause();
    // Some 500 bytes each come back.
    let asked = 40_000;
    let pipeline = "t CAPABILITY\r\n".repeat(asked);
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut sending = std::pin::pin!(writer.write_all(pipeline.as_bytes()));
    assert!(timeout(Duration::from_secs(60), &mut sending).await.is_err(), "all was taken, nothing was read");
    tokio::time::resume();
    // Once it reads, all is answered.
    let read = async {
        let (mut answers, mut held, mut some) = (0, Vec::new(), [0; 16 * 1024]);
        while answers < asked {
            let read = reader.read(&mut some).await.unwrap();
            assert!(read > 0, "closed after {answers} answers");
            held.extend_from_slice(&some[..read]);
            answers += held.windows(8).filter(|run| run == b"\r\nt OK C").count();
            held.drain(..held.len().saturating_sub(7));
        }
    };
    let (sent, ()) = tokio::join!(sending, read);
    sent.unwrap();
}

#[tokio::test]
async fn who_types_slowly_within_one_command_has_three_minutes_to_log_in_and_is_told() {
    for begun in ["t LOGIN {4000+}\r\n", "t ID (", "t AUTHENTICATE PLAIN\r\n", "t BOGUS {9999999+}\r\n"] {
        let (_world, mut client) = World::piped(&[], &[], 64 * 1024).await;
        client.read_u8().await.unwrap();
        tokio::time::pause();
        let began = Instant::now();
        client.write_all(begun.as_bytes()).await.unwrap();
        let mut pace = tokio::time::interval(Duration::from_secs(10));
        while began.elapsed() < Duration::from_secs(1800) && client.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
        let lasted = began.elapsed().as_secs();
        assert!((170..=200).contains(&lasted), "{begun:?} lasted {lasted} s");
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert!(said.ends_with("* BYE [UNAVAILABLE] Idle for too long\r\n"), "{begun:?}: {said}");
        tokio::time::resume();
    }
}

fn large(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".to_owned(),
        "FETCH" => format!("* 1 FETCH (BODY[] {{2000000}}\r\n{})\r\n$ OK done\r\n", "x".repeat(2_000_000)),
        _ => "$ OK Completed\r\n".to_owned(),
    }
}

#[tokio::test]
async fn a_backend_is_not_asked_whether_it_lives_because_a_client_does_not_read() {
    let backend = Backend::start(large).await;
    let (_world, mut client) = World::piped(&[&backend], &[("user.fred", 0)], 4096).await;
    client.write_all(b"a LOGIN fred pw\r\nb SELECT INBOX\r\n").await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"b OK [READ-WRITE] Completed\r\n") {
        heard.push(client.read_u8().await.unwrap());
    }
    let before = backend.connections.load(Ordering::Relaxed);
    tokio::time::pause();
    client.write_all(b"c FETCH 1 BODY[]\r\n").await.unwrap();
    let nothing = timeout(Duration::from_secs(300), std::future::pending::<()>());
    assert!(nothing.await.is_err());
    assert_eq!(backend.connections.load(Ordering::Relaxed), before);
}

/// A backend that begins an answer and does not end it.
fn endless(command: &str) -> String {
    match command.split(' ').next().unwrap_or_default() {
        "SELECT" => "* 1 EXISTS\r\n$ OK [READ-WRITE] Completed\r\n".to_owned(),
        "FETCH" => "* 1 FETCH (FLAGS ())\r\n".to_owned(),
        "STATUS" => String::new(),
        _ => "$ OK Completed\r\n".to_owned(),
    }
}

/// fred's end of a pipe, with his INBOX open.
async fn selected(backend: &Backend, bytes: usize) -> (World, tokio::io::DuplexStream) {
    let (world, mut client) = World::piped(&[backend], &[("user.fred", 0)], bytes).await;
    client.write_all(b"a LOGIN fred pw\r\nb SELECT INBOX\r\n").await.unwrap();
    read_to(&mut client, "b OK [READ-WRITE] Completed\r\n").await;
    (world, client)
}

async fn read_to(client: &mut tokio::io::DuplexStream, end: &str) {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        heard.push(client.read_u8().await.unwrap());
    }
}

/// Waits until nobody has a session any longer.
async fn until_nobody_is_on(world: &World) {
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let over = async {
        while !world.context.sessions().list().is_empty() {
            pace.tick().await;
        }
    };
    timeout(Duration::from_secs(60), over).await.expect("the session ends long before `timeout`");
}

#[tokio::test]
async fn a_client_that_is_gone_does_not_keep_a_backend_that_never_finishes() {
    let backend = Backend::start(endless).await;
    let (world, mut client) = selected(&backend, 4096).await;
    client.write_all(b"c FETCH 1 FLAGS\r\n").await.unwrap();
    read_to(&mut client, "* 1 FETCH (FLAGS ())\r\n").await;
    tokio::time::pause();
    client.shutdown().await.unwrap();
    until_nobody_is_on(&world).await;
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn a_command_that_goes_on_does_not_keep_a_user_who_is_denied() {
    let backend = Backend::start(endless).await;
    let (world, mut client) = selected(&backend, 4096).await;
    client.write_all(b"c FETCH 1 FLAGS\r\n").await.unwrap();
    read_to(&mut client, "* 1 FETCH (FLAGS ())\r\n").await;
    tokio::time::pause();
    assert_eq!(world.context.sessions().kick("fred"), 1);
    let mut rest = String::new();
    let end = timeout(Duration::from_secs(60), client.read_to_string(&mut rest));
    end.await.expect("the session ends").unwrap();
    assert_eq!(rest, "* BYE Session ended by an administrator\r\n");
}
