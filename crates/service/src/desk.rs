//! What a daemon tells and does for the operator, on a UNIX socket of its own that only its user and root can open:
//! `curl --unix-socket <configdirectory>/murder/<program>/metrics.sock http://x/metrics`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /metrics` | metrics in Prometheus's format |
//! | `GET /sessions` | who is on, as JSON: an array of [`crate::sessions::Shown`] |
//! | `POST /kick`, a user's or a session's name | the number of sessions that end |

use std::io;
use std::path::Path;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use supervision::http::{Answer, Method, Request, Server, StatusCode};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::limits::{DESK_NAME, UPKEEP};
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
    let metrics = desk.metrics.clone();
    let served = Server::new(SOCKET).serve(listener, move |request| answer(request, desk.clone()));
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = served => {}
            () = upkeep(metrics) => {}
        }
        let _ = files::remove_socket(&path);
    });
    Ok(())
}

/// What the metrics need from time to time, whether or not somebody asks for them.
async fn upkeep(metrics: PrometheusHandle) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        upkeep.tick().await;
        metrics.run_upkeep();
    }
}

async fn answer(request: Request, desk: Desk) -> Answer {
    let (status, kind, body) = match (&request.method, request.path.as_str()) {
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
        (&Method::POST, "/release") => match request.text(DESK_NAME).await {
            Some(user) => {
                desk.sessions.release(user.trim());
                (StatusCode::OK, TEXT, String::new())
            }
            None => (StatusCode::BAD_REQUEST, TEXT, "expected a user\n".to_owned()),
        },
        (&Method::POST, "/kick") => match request.text(DESK_NAME).await {
            Some(text) => {
                let name = text.trim();
                let ended = desk.sessions.kick(name);
                if ended > 0 {
                    info!("kick {name}: {ended} sessions end");
                }
                (StatusCode::OK, TEXT, format!("{ended}\n"))
            }
            None => (StatusCode::BAD_REQUEST, TEXT, "expected a name\n".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
    };
    Answer { status, kind, body }
}

const TEXT: &str = "text/plain; version=0.0.4";
