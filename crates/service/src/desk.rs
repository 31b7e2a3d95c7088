//! What a daemon tells and does for the operator, on a UNIX socket of its own that only its user and root can open:
//! `curl --unix-socket <configdirectory>/murder/<program>/metrics.sock http://x/metrics`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /metrics` | metrics in Prometheus's format |
//! | `GET /sessions` | who is on, as JSON: an array of [`crate::sessions::Shown`] |
//! | `POST /kick`, a user's or a session's name | the number of sessions that end |

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::limits::{DESK, DESK_FAILING, DESK_NAME, UPKEEP};
use crate::sessions::Sessions;
use crate::vitals::Vitals;

/// What is asked for here.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) metrics: PrometheusHandle,
    pub(crate) sessions: Sessions,
    pub(crate) vitals: Arc<Vitals>,
}

/// Its name in the daemon's directory.
pub(crate) const SOCKET: &str = "metrics.sock";

/// Serves until the token is cancelled.
pub(crate) fn serve(path: &Path, desk: Desk, stop: CancellationToken) -> io::Result<()> {
    let listener = UnixListener::from_std(files::listen(path, Some(0o600))?)?;
    let path = path.to_owned();
    tokio::spawn(async move {
        stop.run_until_cancelled(accept(listener, desk)).await;
        let _ = files::remove_socket(&path);
    });
    Ok(())
}

async fn accept(listener: UnixListener, desk: Desk) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = upkeep.tick() => {
                desk.metrics.run_upkeep();
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                let desk = desk.clone();
                let service = hyper::service::service_fn(move |request| answer(request, desk.clone()));
                let connection = hyper::server::conn::http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // Whoever asks sits on this host and may as well be stuck: bounded.
                tokio::spawn(async move { tokio::time::timeout(DESK, connection).await });
            }
            Err(error) => {
                warn!("{SOCKET}: {error}");
                tokio::time::sleep(DESK_FAILING).await;
            }
        }
    }
}

async fn answer(request: Request<Incoming>, desk: Desk) -> Result<Response<Full<Bytes>>, Infallible> {
    const TEXT: &str = "text/plain; version=0.0.4";
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (status, kind, body) = match (&method, path.as_str()) {
        (&Method::GET, "/metrics" | "/") => {
            let vitals = desk.vitals.clone();
            // It reads files; what cannot be read is as it was.
            let _ = tokio::task::spawn_blocking(move || vitals.refresh()).await;
            (StatusCode::OK, TEXT, desk.metrics.render())
        }
        (&Method::GET, "/sessions") => {
            let list = serde_json::to_string(&desk.sessions.list()).unwrap_or_default();
            (StatusCode::OK, "application/json", list)
        }
        (&Method::POST, "/kick") => match Limited::new(request.into_body(), DESK_NAME).collect().await {
            Ok(name) => {
                let name = String::from_utf8_lossy(&name.to_bytes()).trim().to_owned();
                let ended = desk.sessions.kick(&name);
                if ended > 0 {
                    info!("kick {name}: {ended} sessions end");
                }
                (StatusCode::OK, TEXT, format!("{ended}\n"))
            }
            Err(_) => (StatusCode::BAD_REQUEST, TEXT, "expected a name\n".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
