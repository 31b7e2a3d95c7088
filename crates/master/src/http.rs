//! The port of `status_listen`: the status page (`/`), the same as JSON (`/status.json`), metrics of master and of all its
//! processes (`/metrics`), and two probes: `/healthz` fails while something is broken, `/readyz` while clients should go
//! elsewhere, which a drain makes it do first.
//!
//! Enough of HTTP for browsers, Prometheus and load balancers: one GET or HEAD for each connection. Everything is bounded: the
//! request's length, the time for it, the number of connections.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::cyrus::{Listen, Proto};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, error, info};

use crate::board::Board;
use crate::child::Wake;
use crate::exposition::Exposition;
use crate::limits::{CONNECTIONS, FAILING, FETCH, METRICS_LIMIT, PATIENCE, REQUEST_LIMIT};
use crate::listen::{self, Opening};
use crate::page;

/// The listening page. Dropped: closed.
#[derive(Debug)]
pub struct Page {
    address: String,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Page {
    /// Opens `status_listen`; a bare port means the loopback address. What cannot be opened is logged: a node without its page
    /// still serves mail. To be called inside a tokio runtime.
    pub fn open(address: &str, opening: Opening, wake: &mpsc::Sender<Wake>) -> Option<Self> {
        let listen = match Listen::parse(address) {
            Ok(Listen::Inet { host, port }) => {
                Listen::Inet { host: host.or_else(|| Some("localhost".to_owned())), port }
            }
            Ok(Listen::Unix(_)) => {
                error!("status_listen: expected host:port, not {address}");
                return None;
            }
            Err(why) => {
                error!("status_listen: {why}");
                return None;
            }
        };
        let (sockets, errors) = listen::open(&listen, Proto::Tcp, opening);
        errors.iter().for_each(|cause| error!("status_listen: {cause}"));
        let limit = Arc::new(Semaphore::new(CONNECTIONS));
        let mut tasks = Vec::new();
        for socket in sockets {
            let Some(fd) = socket.fd() else { continue };
            match listener(fd.try_clone_to_owned()) {
                Ok(listener) => {
                    info!("status page at http://{}/", socket.address);
                    tasks.push(tokio::spawn(accept(listener, wake.clone(), limit.clone())));
                }
                Err(cause) => error!("status_listen: {cause}"),
            }
        }
        (!tasks.is_empty()).then(|| Self { address: address.to_owned(), tasks })
    }

    /// The value of `status_listen` that it was opened with.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn listener(socket: io::Result<OwnedFd>) -> io::Result<TcpListener> {
    let listener = StdTcpListener::from(socket?);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn accept(listener: TcpListener, wake: mpsc::Sender<Wake>, limit: Arc<Semaphore>) {
    loop {
        let Ok(permit) = limit.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let wake = wake.clone();
                tokio::spawn(async move {
                    if timeout(PATIENCE, serve(stream, wake)).await.is_err() {
                        debug!("status page: {peer} took too long");
                    }
                    drop(permit);
                });
            }
            // Out of descriptors, most likely: others must end first.
            Err(_) => tokio::time::sleep(FAILING).await,
        }
    }
}

async fn serve(mut stream: TcpStream, wake: mpsc::Sender<Wake>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut bytes = [0u8; 1024];
        let length = stream.read(&mut bytes).await?;
        if length == 0 || request.len() > REQUEST_LIMIT {
            return Ok(());
        }
        request.extend_from_slice(bytes.get(..length).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&request);
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let answer = match method {
        "GET" | "HEAD" => answer(path, &wake).await,
        _ => Answer::plain("405 Method Not Allowed", "expected GET or HEAD\n"),
    };
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if method != "HEAD" {
        stream.write_all(answer.body.as_bytes()).await?;
    }
    stream.shutdown().await
}

struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn plain(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }
}

async fn answer(path: &str, wake: &mpsc::Sender<Wake>) -> Answer {
    let Some(board) = ask(wake).await else { return Answer::plain(UNAVAILABLE, "master is busy\n") };
    match path {
        "/" => {
            let body = page::render(&board, &gather(&board).await.figures());
            Answer { status: OK, kind: "text/html; charset=utf-8", body }
        }
        "/status.json" => {
            let body = serde_json::to_string_pretty(&board).unwrap_or_default() + "\n";
            Answer { status: OK, kind: "application/json", body }
        }
        "/metrics" => {
            Answer { status: OK, kind: "text/plain; version=0.0.4", body: gather(&board).await.render() }
        }
        "/healthz" => match board.complaints() {
            none if none.is_empty() => Answer::plain(OK, "ok\n"),
            complaints => Answer::plain(UNAVAILABLE, complaints.join("\n") + "\n"),
        },
        "/readyz" if board.takes_clients() => Answer::plain(OK, "ready\n"),
        "/readyz" => Answer::plain(UNAVAILABLE, format!("{}\n", board.word())),
        _ => Answer::plain("404 Not Found", "there are /, /status.json, /metrics, /healthz and /readyz\n"),
    }
}

async fn ask(wake: &mpsc::Sender<Wake>) -> Option<Board> {
    let (sender, receiver) = oneshot::channel();
    wake.send(Wake::Ask(sender)).await.ok()?;
    receiver.await.ok()
}

/// Master's own metrics and those of every process that answers in time.
async fn gather(board: &Board) -> Exposition {
    let mut exposition = Exposition::default();
    exposition.add_board(board);
    let asked: Vec<_> =
        board.metrics.iter().cloned().map(|path| (path.clone(), tokio::spawn(fetch(path)))).collect();
    for (path, asked) in asked {
        match asked.await {
            Ok(Ok(page)) => exposition.merge(&page),
            Ok(Err(cause)) => debug!("metrics of {}: {cause}", path.display()),
            Err(_) => {}
        }
    }
    exposition
}

async fn fetch(path: PathBuf) -> io::Result<String> {
    timeout(FETCH, read_page(&path)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn read_page(path: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(METRICS_LIMIT).read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let (_, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    Ok(body.to_owned())
}

const OK: &str = "200 OK";
const UNAVAILABLE: &str = "503 Service Unavailable";
