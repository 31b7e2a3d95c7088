//! The port of `status_listen`: the status page (`/`), the same as JSON (`/status.json`), metrics of master and of all its
//! processes (`/metrics`), and two probes: `/healthz` fails while something is broken, `/readyz` while clients should go
//! elsewhere, which a drain makes it do first.
//!
//! [`supervision::http`] has the protocol and its bounds.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use config::cyrus::{Listen, Proto};
use supervision::http::{Answer, Method, Request, Server, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, error, info};

use crate::board::Board;
use crate::child::Wake;
use crate::exposition::Exposition;
use crate::limits::{FETCH, METRICS_LIMIT};
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
        let server = Server::new("status page");
        let mut tasks = Vec::new();
        for socket in sockets {
            let Some(fd) = socket.fd() else { continue };
            match listener(fd.try_clone_to_owned()) {
                Ok(listener) => {
                    info!("status page at http://{}/", socket.address);
                    let wake = wake.clone();
                    let served = server.clone().serve(listener, move |request| reply(request, wake.clone()));
                    tasks.push(tokio::spawn(served));
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

async fn reply(request: Request, wake: mpsc::Sender<Wake>) -> Answer {
    match request.method {
        Method::GET | Method::HEAD => answer(&request.path, &wake).await,
        _ => Answer::plain(StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD\n"),
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
        _ => Answer::plain(
            StatusCode::NOT_FOUND,
            "there are /, /status.json, /metrics, /healthz and /readyz\n",
        ),
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

const OK: StatusCode = StatusCode::OK;
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
