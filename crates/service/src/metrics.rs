//! Prometheus metrics of this process. [`crate::desk`] gives them out.

use std::time::Instant;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Collects metrics from here on. `None` where something else already does (tests).
pub(crate) fn install(program: &'static str) -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new().add_global_label("program", program);
    let latency = Matcher::Full("murder_command_seconds".to_owned());
    let handle = builder.set_buckets_for_metric(latency, SECONDS).ok()?.install_recorder().ok()?;
    describe();
    Some(handle)
}

/// A command of this protocol, begun then, is done.
pub fn command_took(protocol: &'static str, began: Instant) {
    metrics::histogram!("murder_command_seconds", "protocol" => protocol)
        .record(began.elapsed().as_secs_f64());
}

fn describe() {
    metrics::describe_counter!(
        "murder_limits_met_total",
        "Times that a limit of docs/LIMITS.md was met, by limit. Alert when it grows and users complain: the log says who met \
         it, once a minute."
    );
    metrics::describe_counter!("murder_connections_total", "Connections accepted, by listener.");
    metrics::describe_gauge!(
        "murder_moves",
        "Moves of mailboxes that are not over, by state: queued, copying, switching, finishing, kept (the copy that stays), incoming. \
         Alert when switching is above 0 for a minute: changes to a mailbox wait."
    );
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
        "murder_sessions_refused_total",
        "Logins refused by maxlogins_per_user or maxlogins_per_host, by listener. Alert when it grows: raise the limit, or find \
         the client that opens so many."
    );
    metrics::describe_counter!(
        "murder_user_limits_total",
        "Changes refused because one user would have too much: mailboxes or subscriptions (maxmailboxes_per_user), or an \
         access control list that is too long. Alert when it grows and users complain."
    );
    metrics::describe_counter!(
        "murder_accept_pauses_total",
        "Times that no client was accepted because the process had hardly any file descriptors left, by listener. Alert on \
         any: raise LimitNOFILE, or bound sessions by maxchild and maxlogins_per_host."
    );
    metrics::describe_counter!(
        "murder_session_panics_total",
        "Sessions that ended by a defect in this program. Alert on any: the log has the place."
    );
    work();
    rules();
    logins();
    process();
}

fn rules() {
    metrics::describe_counter!(
        "murder_sieve_actions_total",
        "What users' scripts have done with messages, by action; error: a script failed, and the message was kept. Alert when \
         error grows suddenly."
    );
    metrics::describe_counter!(
        "murder_sieve_mails_total",
        "Mails that scripts send, by outcome: sent, failed. Alert when failed grows: the mail server of smtp_host or sendmail \
         does not take them."
    );
}

fn work() {
    metrics::describe_counter!(
        "murder_commands_cut_total",
        "Commands that took more than search_maxtime of the processor. Alert when it grows: the log has the users."
    );
    metrics::describe_histogram!(
        "murder_command_seconds",
        "How long commands took, by protocol: of IMAP all but IDLE, of LMTP from a message's end to its answers. Alert when the \
         99th percentile stays above 5."
    );
    metrics::describe_counter!(
        "murder_deliveries_total",
        "Recipients of messages that came by LMTP, by outcome: delivered, deferred (4xx), refused (5xx). Alert when deferred \
         grows for minutes, or refused suddenly."
    );
    metrics::describe_counter!(
        "murder_articles_total",
        "Articles that came by NNTP, by outcome: taken, had (it is in all of its groups already), deferred, refused. Alert when \
         deferred grows for minutes: the log says what does not work."
    );
    metrics::describe_gauge!(
        "murder_backend_reachable",
        "1 when the last attempt to reach a backend succeeded, 0 when it failed, by server and protocol. Alert when 0 for a \
         minute: its users wait."
    );
    metrics::describe_gauge!(
        "murder_links_parked",
        "Connections to backends that wait for their user's next session, of imapproxy."
    );
    metrics::describe_counter!(
        "murder_links_reused_total",
        "Connections to backends that went on from one session to the same user's next, of imapproxy."
    );
    metrics::describe_gauge!(
        "murder_certificate_days_left",
        "Days until a certificate that this process uses ends, by file. Alert below 14: renew it, and reload."
    );
}

fn logins() {
    metrics::describe_counter!("murder_login_failures_total", "Failed logins. Alert on a sudden growth.");
    metrics::describe_counter!(
        "murder_logins_delayed_total",
        "Logins that waited for their turn because others failed before. Alert on a sudden growth: somebody guesses passwords."
    );
    metrics::describe_counter!(
        "murder_logins_unchecked_total",
        "Logins refused without a look at the password, because too many waited. Alert when it grows where users complain: \
         put a webmail server's address into failedlogin_shared_addresses."
    );
    metrics::describe_counter!(
        "murder_kerberos_fallbacks_total",
        "Logins of ours at other nodes for which a Kerberos ticket was not to be had, or was refused. Alert when it grows: the log has the \
         reason."
    );
    metrics::describe_counter!(
        "murder_tls_handshake_failures_total",
        "TLS handshakes that failed. Alert on a sudden growth: a certificate may have expired."
    );
}

fn process() {
    metrics::describe_gauge!(
        "process_resident_memory_bytes",
        "Memory of the process. Alert when it only grows for days."
    );
    metrics::describe_gauge!("process_threads", "Threads of the process.");
    metrics::describe_counter!("process_cpu_seconds_total", "Time that the process had a processor.");
    metrics::describe_gauge!(
        "process_open_fds",
        "File descriptors of the process. Alert above nine tenths of process_max_fds: raise LimitNOFILE."
    );
    metrics::describe_gauge!("process_max_fds", "File descriptors that the process may have.");
}

/// Upper bounds of the buckets of a command's time.
const SECONDS: &[f64] = &[0.002, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0];
