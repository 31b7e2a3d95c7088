//! The pipe between a terminal (or a file) and the server.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::mpsc,
};
use transport::stream::Stream;

/// Copies until the server closes. At the end of our input, and on SIGINT, LOGOUT is sent.
pub(super) async fn run((stream, ahead): (Stream, BytesMut), file: Option<&Path>) -> Result<(), String> {
    let (mut from_server, mut to_server) = split(stream);
    show(&ahead)?;
    let mut lines = match file {
        Some(path) => read_lines(File::open(path).map_err(|e| format!("{}: {e}", path.display()))?),
        None => read_lines(std::io::stdin()),
    };
    let (mut buffer, mut typing) = (BytesMut::new(), true);
    loop {
        tokio::select! {
            read = from_server.read_buf(&mut buffer) => {
                if read.unwrap_or(0) == 0 {
                    service::say!("Connection closed.");
                    return Ok(());
                }
                show(&buffer)?;
                buffer.clear();
            }
            line = lines.recv(), if typing => match line {
                Some(line) => send(&mut to_server, &line).await?,
                None => {
                    typing = false;
                    log_out(&mut to_server).await?;
                }
            },
            _ = tokio::signal::ctrl_c(), if typing => {
                typing = false;
                log_out(&mut to_server).await?;
            }
        }
    }
}

/// Lines with CRLF, read by a thread of their own: a terminal blocks.
fn read_lines(input: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, lines) = mpsc::channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(input).split(b'\n') {
            let Ok(mut line) = line else { return };
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            line.extend_from_slice(b"\r\n");
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn log_out(to_server: &mut (impl AsyncWrite + Unpin)) -> Result<(), String> {
    service::say!("C: Q01 LOGOUT");
    send(to_server, b"Q01 LOGOUT\r\n").await
}

async fn send(to_server: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), String> {
    let sent = to_server.write_all(bytes).await;
    sent.and(to_server.flush().await).map_err(|e| e.to_string())
}

fn show(bytes: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| e.to_string())
}
