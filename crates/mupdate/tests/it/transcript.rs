//! Wire exchanges as text: `C:` lines are sent, `S:` lines must come. `…` at the end of an `S:` line stands for anything.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream},
    time::timeout,
};

pub struct Player<S> {
    stream: BufStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Player<S> {
    pub fn new(stream: S) -> Self {
        Player { stream: BufStream::new(stream) }
    }

    pub async fn play(&mut self, transcript: &str) {
        for (number, line) in transcript.lines().enumerate() {
            let line = line.trim_start();
            if let Some(said) = line.strip_prefix("C: ") {
                self.stream.write_all(format!("{said}\r\n").as_bytes()).await.unwrap();
                self.stream.flush().await.unwrap();
            } else if let Some(expected) = line.strip_prefix("S: ") {
                let got = self.line().await;
                match expected.strip_suffix('…') {
                    Some(start) => {
                        assert!(got.starts_with(start), "line {number}: {got:?}, not {expected:?}")
                    }
                    None => assert_eq!(got, expected.replace("\\t", "\t"), "line {number}"),
                }
            } else if line == "S closes" {
                assert_eq!(self.line().await, "", "line {number}: the end");
            } else {
                assert!(line.is_empty(), "line {number}: {line:?}");
            }
        }
    }

    /// A command that is answered OK at once.
    pub async fn ok(&mut self, command: &str) {
        self.play(&format!("C: X {command}\n S: X OK \"done\"")).await;
    }

    /// The next line without its end; empty at the end of the stream.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        timeout(Duration::from_secs(20), self.stream.read_until(b'\n', &mut line)).await.unwrap().unwrap();
        String::from_utf8(line).unwrap().trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Everything up to the end of the stream.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset ends it as well.
        let _ = timeout(Duration::from_secs(20), self.stream.read_to_end(&mut rest)).await.unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }
}

pub const BANNER: &str = r#"
    S: * AUTH…
    S: * COMPRESS "DEFLATE"
    S: * PARTIAL-UPDATE
    S: * MURDER "RESUME" "EXPECT" "STATUS" "HERE"…
    S: * OK MUPDATE "node.example.org" "Cyrus IMAP" …
"#;
