//! Moves: whether other backends take part in those from here, and which servers get no mailboxes.

use config::imapd::Imapd;
use serde_json::Value;
use upstream::Upstream;

use super::Report;
use super::report::place;
use crate::status::date;

/// Whether a backend lets this one bring mailboxes.
pub(super) async fn check(imapd: &Imapd, server: &str, report: &mut Report) {
    let upstream = Upstream::new(&imapd.for_moves());
    let own = upstream.imapd().proxy_authname.clone();
    // What whoever may not is told does not exist.
    let asked = upstream.ask(server, "SYNCGET MAILBOXES ()").await;
    match asked.map(|answer| answer.result) {
        Ok(result) if result.starts_with("BAD") => report.warn(
            "moves",
            server,
            format!("it does not take {own} as an admin: no mailbox can be moved there from here"),
            format!(
                "on {server}, in imapd.conf: admins: … {own}\nor, where it is one of ours, a name for moves alone: move_servers: … NAME\nhere: {}",
                place(imapd, "move_authname")
            ),
        ),
        Ok(_) => report.pass(format!("{server} takes mailboxes that {own} brings")),
        Err(error) => report.warn(
            "moves",
            server,
            format!("it does not let {own} in: no mailbox can be moved there from here: {error}"),
            format!("{}\n{}", place(imapd, "move_authname"), place(imapd, "move_password")),
        ),
    }
}

/// Which servers the master says get no mailboxes.
pub(super) fn cordons(status: &Value, report: &mut Report) {
    for (server, since) in status["cordoned"].as_object().into_iter().flatten() {
        let since = since.as_u64().map(date).unwrap_or_default();
        report.warn(
            "moves",
            server,
            format!("is cordoned since {since}: it gets no new mailboxes and no moves; frontends of Cyrus do not know that"),
            format!("murder uncordon {server}\nor take it out of serverlist on Cyrus's frontends"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_cordoned_is_told_of() {
        let mut report = Report::default();
        cordons(&serde_json::json!({ "cordoned": { "be1": 1_700_000_000 } }), &mut report);
        let text = report.text();
        assert!(
            text.contains("is cordoned since 2023-11-14T22:13:20Z") && text.contains("murder uncordon be1"),
            "{text}"
        );
    }
}
