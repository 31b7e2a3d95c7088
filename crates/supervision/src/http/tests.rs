//! The HTTP server of operators, over a socket, by a clock that stands still unless all wait.

use std::path::Path;

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn answer(request: Request) -> Answer {
    match (&request.method, request.path.as_str()) {
        (&Method::POST, "/say") => match request.text(5).await {
            Some(text) => Answer::plain(StatusCode::OK, text),
            None => Answer::plain(StatusCode::BAD_REQUEST, "too long"),
        },
        (_, path) => Answer::plain(StatusCode::OK, format!("this is {path}")),
    }
}

/// A server on a socket in a directory of its own.
fn server() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let listener = files::listen(&dir.path().join("socket"), None).unwrap();
    let listener = UnixListener::from_std(listener).unwrap();
    tokio::spawn(Server::new("test").serve(listener, answer));
    dir
}

async fn open(dir: &Path) -> UnixStream {
    UnixStream::connect(dir.join("socket")).await.unwrap()
}

/// All that the server says to `request` until it closes.
async fn ask(dir: &Path, request: &str) -> String {
    let mut stream = open(dir).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn a_request_is_answered_and_the_connection_is_closed() {
    let dir = server();
    let said = ask(dir.path(), "GET /a/b?query HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    for line in [
        "content-type: text/plain; charset=utf-8",
        "content-length: 12",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "connection: close",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(body, "this is /a/b");
    let said = ask(dir.path(), "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        said.to_ascii_lowercase().contains("content-length: 9\r\n") && said.ends_with("\r\n\r\n"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_no_http_or_too_long_is_refused() {
    let dir = server();
    assert!(ask(dir.path(), "\0\0\0\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD));
    let mut stream = open(dir.path()).await;
    // The server may close before it has taken all of it.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&said));
    let post =
        |text: &str| format!("POST /say HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    assert!(ask(dir.path(), &post("hello")).await.ends_with("\r\n\r\nhello"));
    assert!(ask(dir.path(), &post("hello!")).await.ends_with("\r\n\r\ntoo long"));
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_is_let_go_and_others_wait_for_the_place() {
    let dir = server();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = open(dir.path()).await;
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        idle.push(stream);
    }
    let began = tokio::time::Instant::now();
    assert!(ask(dir.path(), "GET /late HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("this is /late"));
    assert!(began.elapsed() >= PATIENCE, "there was a place all the time");
    for mut stream in idle {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}
