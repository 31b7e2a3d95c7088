//! The HTTP server of whatever an operator asks: the status page of `master`, and the socket beside each daemon.
//!
//! Enough of HTTP/1 for browsers, Prometheus, load balancers and curl: one request for each connection. Who asks may be
//! stuck or a stranger, so everything is bounded: the length of a request ([`HEAD`], [`Request::text`]), the time for a request with its
//! answer ([`PATIENCE`]), and the number of connections ([`CONNECTIONS`]).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
pub use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::limits::{CONNECTIONS, FAILING, HEAD, PATIENCE, rows};

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// Without the query.
    pub path: String,
    body: Incoming,
}

impl Request {
    /// What came with it, if that is no longer than `longest` bytes and came whole.
    pub async fn text(self, longest: usize) -> Option<String> {
        let body = Limited::new(self.body, longest).collect().await.ok()?;
        Some(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }
}

/// What the answer is.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// Its Content-Type.
    pub kind: &'static str,
    /// Not sent to HEAD.
    pub body: String,
}

impl Answer {
    /// A few words, for people.
    pub fn plain(status: StatusCode, body: impl Into<String>) -> Answer {
        Answer { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }

    fn response(self) -> hyper::Response<Full<Bytes>> {
        let mut response = hyper::Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// Where connections come from.
pub trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// The connections of one server, whichever of its listeners they come from. Clones share the bound.
#[derive(Debug, Clone)]
pub struct Server {
    /// For the log.
    name: Arc<str>,
    places: Arc<Semaphore>,
}

impl Server {
    /// With a name for the log.
    pub fn new(name: &str) -> Server {
        Server { name: name.into(), places: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Serves what the listener accepts, until it is dropped. What was accepted by then is still answered.
    pub async fn serve<L, A, F>(self, listener: L, answer: A)
    where
        L: Listener,
        A: Fn(Request) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        loop {
            let place = match self.places.clone().try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    rows::CONNECTIONS.met(format_args!("{}: others wait until a connection ends", self.name));
                    let Ok(place) = self.places.clone().acquire_owned().await else { return };
                    place
                }
            };
            match listener.next().await {
                Ok(stream) => {
                    let (name, answer) = (self.name.clone(), answer.clone());
                    tokio::spawn(async move {
                        if timeout(PATIENCE, converse(stream, answer)).await.is_err() {
                            rows::PATIENCE
                                .met(format_args!("{name}: a request takes too long: it is given up"));
                        }
                        drop(place);
                    });
                }
                // Out of descriptors, most likely: others must end first.
                Err(error) => {
                    rows::FAILING
                        .met(format_args!("{}: a connection cannot be accepted: {error}", self.name));
                    sleep(FAILING).await;
                }
            }
        }
    }
}

/// One request and its answer.
async fn converse<S, A, F>(stream: S, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request) -> F,
    F: Future<Output = Answer>,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let answer = answer(Request { method: head.method, path, body });
        async move { Ok::<_, Infallible>(answer.await.response()) }
    });
    let mut protocol = http1::Builder::new();
    // hyper takes no smaller bound.
    protocol.keep_alive(false).max_buf_size(HEAD);
    // What is no HTTP has been answered so, and whoever has gone needs no answer.
    if let Err(error) = protocol.serve_connection(TokioIo::new(stream), service).await {
        debug!("HTTP: {error}");
    }
}

#[cfg(test)]
mod tests;
