//! What Sieve scripts need of a backend: a way out for redirects, vacation answers and refusals.

use std::path::Path;
use std::time::Duration;

use config::imapd::{Imapd, Role};
use tokio::time::timeout;
use transport::resolve::Server;

use super::report::place;
use super::{Node, Report};
use crate::runner::Runner;

/// `elsewhere`: whether other hosts may be connected to.
pub(super) async fn check(node: &Node, elsewhere: bool, report: &mut Report) {
    let imapd = &node.imapd;
    // Scripts run where mail is.
    if imapd.role() == Role::Frontend || imapd.partitions().is_empty() {
        return;
    }
    match imapd.smtp_backend.as_str() {
        "host" if elsewhere => host(imapd, report).await,
        "host" => {}
        _ => program(imapd, report),
    }
}

fn program(imapd: &Imapd, report: &mut Report) {
    let path = Path::new(&imapd.sendmail);
    let why = match path.is_file() {
        false => Err("there is no such program".to_owned()),
        true => Runner::of(imapd).map_or(Ok(()), |runner| runner.may(path, 1)),
    };
    match why {
        Ok(()) => report.pass(format!("scripts send mail by {}", imapd.sendmail)),
        Err(why) => {
            unsent(report, &imapd.sendmail, &why, &[place(imapd, "sendmail"), place(imapd, "smtp_backend")])
        }
    }
}

async fn host(imapd: &Imapd, report: &mut Report) {
    let connected = timeout(PATIENCE, Server::parse(&imapd.smtp_host).connect(imapd, "submission")).await;
    match connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(_) => report.pass(format!("scripts send mail by {}", imapd.smtp_host)),
        Err(why) => unsent(report, &imapd.smtp_host, &why.to_string(), &[place(imapd, "smtp_host")]),
    }
}

fn unsent(report: &mut Report, about: &str, why: &str, change: &[String]) {
    let message = format!(
        "{why}: Sieve scripts can send nothing: what they redirect, answer or report stays in the INBOX with $SieveFailed"
    );
    report.warn("scripts", about.to_owned(), message, change.join("\n"));
}

/// How long the mail server may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn said(lines: &str, elsewhere: bool) -> String {
        let text = format!("configdirectory: /nowhere\npartition-default: /nowhere/spool\n{lines}");
        let imapd = Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "murder").unwrap();
        let mut report = Report::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(&Node { imapd, cyrus: None }, elsewhere, &mut report));
        report.text()
    }

    #[test]
    fn a_mail_program_that_is_missing_is_named_with_its_option() {
        let told = said("sendmail: /nowhere/sendmail\n", true);
        assert!(told.contains("/nowhere/sendmail") && told.contains("there is no such program"), "{told}");
        assert!(told.contains("/nowhere/imapd.conf:3: sendmail"), "{told}");
        assert!(said("sendmail: /bin/sh\n", true).contains("scripts send mail by /bin/sh"));
    }

    #[test]
    fn a_mail_server_that_does_not_answer_is_named_and_none_is_asked_where_that_is_not_wanted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lines = format!("smtp_backend: host\nsmtp_host: {}\n", listener.local_addr().unwrap());
        assert!(said(&lines, true).contains("scripts send mail by 127.0.0.1:"));
        drop(listener);
        let told = said(&lines, true);
        assert!(told.contains("scripts can send nothing") && told.contains("smtp_host"), "{told}");
        assert!(!said(&lines, false).contains("scripts"), "no other host is asked");
    }
}
