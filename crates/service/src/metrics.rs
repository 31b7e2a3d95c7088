//! Prometheus metrics of this process, on its own local socket: `curl --unix-socket …/metrics.sock http://x/metrics`.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Collects metrics from here on. `None` where something else already does (tests).
pub(crate) fn install(program: &'static str) -> Option<PrometheusHandle> {
    let handle = PrometheusBuilder::new().add_global_label("program", program).install_recorder().ok()?;
    describe();
    Some(handle)
}

/// Serves them until the token is cancelled.
pub(crate) fn serve(path: &Path, handle: PrometheusHandle, stop: CancellationToken) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let path = path.to_owned();
    tokio::spawn(async move {
        stop.run_until_cancelled(accept(listener, handle)).await;
        let _ = std::fs::remove_file(path);
    });
    Ok(())
}

async fn accept(listener: UnixListener, handle: PrometheusHandle) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = upkeep.tick() => {
                handle.run_upkeep();
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                let handle = handle.clone();
                let service = hyper::service::service_fn(move |request| answer(request, handle.clone()));
                let connection = hyper::server::conn::http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // Whoever asks sits on this host and may as well be stuck: bounded.
                tokio::spawn(async move { tokio::time::timeout(PATIENCE, connection).await });
            }
            Err(error) => {
                warn!("metrics socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    handle: PrometheusHandle,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let found = matches!(request.uri().path(), "/metrics" | "/");
    let body = if found { handle.render() } else { "not found\n".to_owned() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    if !found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain; version=0.0.4"));
    Ok(response)
}

fn describe() {
    metrics::describe_counter!("murder_connections_total", "Connections accepted, by listener.");
    metrics::describe_gauge!("murder_connections", "Connections served now, by listener.");
    metrics::describe_counter!(
        "murder_connections_refused_total",
        "Connections refused because the listener's maxchild was reached. Alert when it grows: raise maxchild."
    );
    metrics::describe_counter!(
        "murder_session_panics_total",
        "Sessions that ended by a defect in this program. Alert on any: the log has the place."
    );
    metrics::describe_counter!("murder_login_failures_total", "Failed logins. Alert on a sudden growth.");
    metrics::describe_counter!(
        "murder_tls_handshake_failures_total",
        "TLS handshakes that failed. Alert on a sudden growth: a certificate may have expired."
    );
}

const PATIENCE: Duration = Duration::from_secs(10);
const UPKEEP: Duration = Duration::from_secs(30);
