//! Prometheus metrics of this process. [`crate::desk`] gives them out.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Collects metrics from here on. `None` where something else already does (tests).
pub(crate) fn install(program: &'static str) -> Option<PrometheusHandle> {
    let handle = PrometheusBuilder::new().add_global_label("program", program).install_recorder().ok()?;
    describe();
    Some(handle)
}

fn describe() {
    metrics::describe_counter!("murder_connections_total", "Connections accepted, by listener.");
    metrics::describe_gauge!("murder_connections", "Connections served now, by listener.");
    metrics::describe_counter!(
        "murder_connections_refused_total",
        "Connections refused because the listener's maxchild was reached. Alert when it grows: raise maxchild."
    );
    metrics::describe_counter!(
        "murder_connections_denied_total",
        "Connections refused for their address, by listener."
    );
    metrics::describe_counter!(
        "murder_session_panics_total",
        "Sessions that ended by a defect in this program. Alert on any: the log has the place."
    );
    metrics::describe_counter!(
        "murder_commands_cut_total",
        "Commands that took more than search_maxtime of the processor. Alert when it grows: the log has the users."
    );
    metrics::describe_counter!("murder_login_failures_total", "Failed logins. Alert on a sudden growth.");
    metrics::describe_counter!(
        "murder_tls_handshake_failures_total",
        "TLS handshakes that failed. Alert on a sudden growth: a certificate may have expired."
    );
}
