//! GETMETADATA and GETANNOTATION, as far as frontends and `cyradm` need them: how much room this backend has, and on
//! which server and partition a mailbox is. All other entries are absent.

use std::time::{SystemTime, UNIX_EPOCH};

use listing::Viewer;
use protocol::acl::Rights;
use protocol::imap::Reply;
use protocol::imap::command::metadata::{Form, GetAnnotation, GetMetadata, print_annotation, print_metadata};
use protocol::imap::refusal::require;
use work::aside::{Budget, Pace};

use super::list::unlisted;
use crate::imap::reply::{Outcome, Stop};
use crate::imap::server::VERSION;
use crate::imap::session::Session;

pub async fn metadata(session: &mut Session, get: GetMetadata) -> Outcome {
    let mut pace = Pace::default();
    for (mailbox, entry, value) in values(session, &get.mailbox, &get.entries, "/shared").await? {
        let form = if entry.contains(OURS) { Form::Literal } else { Form::String };
        print_metadata(session.conn.out(), &mailbox, &entry, value.as_bytes(), form);
        session.conn.relieve().await?;
        pace.step().await;
    }
    Ok(Reply::completed())
}

pub async fn annotation(session: &mut Session, get: GetAnnotation) -> Outcome {
    let wanted = |attribute: &str| attribute == "*" || attribute == "value" || attribute.starts_with("value");
    if !get.attributes.iter().any(|attribute| wanted(attribute)) {
        return Ok(Reply::completed());
    }
    let mut pace = Pace::default();
    for (mailbox, entry, value) in values(session, &get.mailbox, &get.entries, "").await? {
        print_annotation(session.conn.out(), &mailbox, &entry, value.as_bytes());
        session.conn.relieve().await?;
        pace.step().await;
    }
    Ok(Reply::completed())
}

/// Mailbox, entry as asked for, value.
type Values = Vec<(String, String, String)>;

async fn values(
    session: &mut Session,
    mailbox: &str,
    entries: &[String],
    prefix: &str,
) -> Result<Values, Stop> {
    if mailbox.is_empty() {
        return server(session, entries, prefix);
    }
    if mailbox.contains(['*', '%']) {
        let pattern = session.server.namespace.pattern("", mailbox);
        let look = move |viewer: &Viewer, budget: &Budget| viewer.fitting(&pattern, budget);
        let (mut all, mut pace) = (Vec::new(), Pace::default());
        for seen in session.look(look).await? {
            all.extend(one(session, &seen.external, entries, prefix)?);
            // Two look-ups and a handful of names.
            pace.steps(16).await;
        }
        return Ok(all);
    }
    one(session, mailbox, entries, prefix)
}

fn one(session: &Session, mailbox: &str, entries: &[String], prefix: &str) -> Result<Values, Stop> {
    let (name, _, rights) = session.find(mailbox)?;
    require(rights, Rights::LOOKUP)?;
    let Some(entry) = session.server.store.list().get(&name).map_err(unlisted)? else {
        return Ok(Vec::new());
    };
    let known = [
        (format!("{prefix}{VENDOR}/server"), entry.location.server().to_owned()),
        (format!("{prefix}{VENDOR}/partition"), entry.location.partition().unwrap_or_default().to_owned()),
        (
            format!("{prefix}{VENDOR}/uniqueid"),
            entry.local.as_ref().map(|local| local.uniqueid.to_string()).unwrap_or_default(),
        ),
    ];
    Ok(pick(mailbox, entries, known))
}

/// What one node of a murder tells another: what its options say, and who is on. For admins and proxies only.
fn of_murder(session: &Session, entries: &[String], prefix: &str) -> Option<(String, String)> {
    let user = session.user.as_ref()?;
    let imapd = &session.server.imapd;
    let trusted = user.is_node_admin(&session.server.namespace) || super::node::is_proxy(session);
    let asked = |name: &str| {
        let entry = format!("{prefix}{OURS}/{name}");
        entries.iter().any(|asked| asked.eq_ignore_ascii_case(&entry)).then_some(entry)
    };
    if !trusted {
        return None;
    }
    if let Some(entry) = asked("options") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let told = serde_json::json!({ "options": imapd.shared_options(), "time": now, "version": VERSION });
        return Some((entry, told.to_string()));
    }
    let mut sessions = session.server.context.sessions().list();
    // Who asks is only here to ask.
    sessions.retain(|shown| shown.session != session.server.name);
    asked("sessions").zip(serde_json::to_string(&sessions).ok())
}

fn server(session: &Session, entries: &[String], prefix: &str) -> Result<Values, Stop> {
    if let Some((entry, value)) = of_murder(session, entries, prefix) {
        return Ok(vec![(String::new(), entry, value)]);
    }
    let base = format!("{prefix}{VENDOR}/freespace");
    if !entries.iter().any(|entry| entry.to_ascii_lowercase().starts_with(&base) || entry.contains('*')) {
        return Ok(Vec::new());
    }
    // Partitions of one filesystem have one free space.
    let mut spaces: Vec<(u64, u64)> =
        session.server.store.free_space().into_iter().map(|(_, free, total)| (free, total)).collect();
    spaces.sort_unstable();
    spaces.dedup();
    let free: u64 = spaces.iter().map(|(free, _)| free).sum();
    let total: u64 = spaces.iter().map(|(_, total)| total).sum();
    let most = spaces.iter().copied().max_by_key(|(free, total)| free.saturating_mul(1000) / (*total).max(1));
    let (most_free, most_total) = most.unwrap_or_default();
    let known = [
        (base.clone(), free.to_string()),
        (format!("{base}/total"), format!("{free};{total}")),
        (format!("{base}/percent/most"), format!("{most_free};{most_total}")),
    ];
    Ok(pick("", entries, known))
}

fn pick<const N: usize>(mailbox: &str, entries: &[String], known: [(String, String); N]) -> Values {
    let wanted = |entry: &str| {
        entries.iter().any(|asked| match asked.strip_suffix('*') {
            Some(start) => entry.starts_with(&start.to_ascii_lowercase()),
            None => asked.eq_ignore_ascii_case(entry),
        })
    };
    (known.into_iter())
        .filter(|(entry, _)| wanted(entry))
        .map(|(entry, value)| (mailbox.to_owned(), entry, value))
        .collect()
}

const VENDOR: &str = "/vendor/cmu/cyrus-imapd";
const OURS: &str = "/vendor/murder";
