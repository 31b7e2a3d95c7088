//! IMAP in transcripts over a [`Stream`], for the tests of several crates: what is compressed on the way is read here as it was said.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::stream::Stream;

/// Sends a text, and gives the answer up to its tagged line.
pub async fn ask(stream: &mut Stream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    hear(stream, text.split(' ').next().unwrap()).await
}

/// All up to the line that begins with `tag`, or the end.
pub async fn hear(stream: &mut Stream, tag: &str) -> String {
    let (mut heard, mut byte) = (String::new(), [0; 1]);
    loop {
        let read = timeout(PATIENCE, stream.read(&mut byte)).await.expect("an answer in time");
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
pub async fn compressed(address: SocketAddr, password: &str) -> Stream {
    let mut stream = Stream::tcp(TcpStream::connect(address).await.unwrap()).unwrap();
    assert!(hear(&mut stream, "* OK").await.starts_with("* OK [CAPABILITY"));
    compress(&mut stream, "cyrus", password).await;
    stream
}

/// Logs in, and compresses what comes.
pub async fn compress(stream: &mut Stream, user: &str, password: &str) {
    let answer = ask(stream, &format!("a LOGIN {user} {password}\r\n")).await;
    assert!(answer.starts_with("a OK") && answer.contains("COMPRESS=DEFLATE"), "{answer}");
    assert_eq!(ask(stream, "b COMPRESS DEFLATE\r\n").await, "b OK DEFLATE active\r\n");
    stream.compress().unwrap();
}

/// The same connection with UNAUTHENTICATE behind it, in the clear.
pub async fn unauthenticate(stream: &mut Stream) {
    let answer = ask(stream, "d UNAUTHENTICATE\r\n").await;
    assert!(answer.starts_with("d OK [CAPABILITY IMAP4rev1") && !answer.contains("COMPRESS"), "{answer}");
    timeout(PATIENCE, stream.read_flush()).await.expect("a flush").unwrap();
    assert_eq!(&stream.decompress()[..], b"");
}

const PATIENCE: Duration = Duration::from_secs(20);
