//! UNAUTHENTICATE: a connection that is compressed goes on in the clear, for somebody else.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::stream::Stream;

use crate::node::Node;

/// Sends a text, and gives the answer up to its tagged line.
async fn ask(stream: &mut Stream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    hear(stream, text.split(' ').next().unwrap()).await
}

/// All up to the line that begins with `tag`, or the end.
async fn hear(stream: &mut Stream, tag: &str) -> String {
    let (mut heard, mut byte) = (String::new(), [0; 1]);
    loop {
        let read = timeout(Duration::from_secs(20), stream.read(&mut byte)).await.expect("an answer in time");
        if !read.is_ok_and(|read| read > 0) {
            return heard;
        }
        heard.push(byte[0].into());
        let last = heard.trim_end().rsplit('\n').next().unwrap_or_default();
        if heard.ends_with('\n') && (last.starts_with(tag) || last.starts_with("* BYE")) {
            return heard;
        }
    }
}

/// An administrator's connection, compressed.
async fn compressed(node: &Node) -> Stream {
    let mut stream = Stream::tcp(TcpStream::connect(node.address("imap")).await.unwrap()).unwrap();
    assert!(hear(&mut stream, "* OK").await.starts_with("* OK [CAPABILITY"));
    assert!(ask(&mut stream, "a LOGIN cyrus secret\r\n").await.contains("COMPRESS=DEFLATE"));
    assert_eq!(ask(&mut stream, "b COMPRESS DEFLATE\r\n").await, "b OK DEFLATE active\r\n");
    stream.compress().unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compressed_is_not_after_unauthenticate_and_can_be_again() {
    let node = Node::start().await;
    let mut stream = compressed(&node).await;
    for round in 0..2 {
        let capability = ask(&mut stream, "c CAPABILITY\r\n").await;
        assert!(!capability.contains("COMPRESS"), "{capability}");
        let answer = ask(&mut stream, "d UNAUTHENTICATE\r\n").await;
        assert!(answer.starts_with("d OK [CAPABILITY IMAP4rev1") && !answer.contains("COMPRESS"), "{answer}");
        timeout(Duration::from_secs(20), stream.read_flush()).await.expect("a flush").unwrap();
        assert_eq!(&stream.decompress()[..], b"");
        let answer = ask(&mut stream, "e CAPABILITY\r\n").await;
        assert!(
            answer.starts_with("* CAPABILITY IMAP4rev1") && answer.ends_with("e OK Completed\r\n"),
            "{answer}"
        );
        let user = ["cyrus", "fred"][round];
        let answer = ask(&mut stream, &format!("f LOGIN {user} secret\r\n")).await;
        assert!(answer.starts_with("f OK") && answer.contains("COMPRESS=DEFLATE"), "{answer}");
        assert_eq!(ask(&mut stream, "g COMPRESS DEFLATE\r\n").await, "g OK DEFLATE active\r\n");
        stream.compress().unwrap();
    }
    // Whom it is not announced to goes on as he was.
    assert_eq!(ask(&mut stream, "h UNAUTHENTICATE\r\n").await, "h BAD Unrecognized command\r\n");
    assert!(ask(&mut stream, "i SELECT INBOX\r\n").await.contains("i OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_compressed_behind_unauthenticate_ends_the_session_and_is_not_done() {
    let node = Node::start().await;
    let mut stream = compressed(&node).await;
    let answer = ask(&mut stream, "c UNAUTHENTICATE\r\nd LOGIN fred secret\r\n").await;
    assert_eq!(answer, "* BYE The compression ends with UNAUTHENTICATE: wait for its answer\r\n");
}
