//! `murder who` and `murder kick`: the sessions of this node, and of the backends that it knows.
//!
//! Each daemon of this node tells its sessions on its own socket. Backends are asked over IMAP, as `proxy_authname`. A session
//! at a frontend that goes on at backends is shown with its parts there: this node's own are found by the session ids that the
//! backends gave them; of those at another frontend the backends know the client and the session's name there (XCLIENT), so that
//! any node sees, and ends, sessions of all. A connection that a frontend keeps for its user's next session is nobody's session:
//! it stands below the others, is not counted with them, and ends with them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use config::imapd::Imapd;
use serde::Serialize;
use service::sessions::Shown;
use upstream::Upstream;

use crate::node;

/// Shows who is on: user, service, client, since when, mailbox, session
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Do not ask other nodes
    #[arg(long)]
    here: bool,
    /// Print JSON: an array of sessions, each with its parts at backends
    #[arg(long)]
    json: bool,
    /// Only sessions of this user
    user: Option<String>,
}

/// Ends sessions, on this node and by way of the backends on all others
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_KICK)]
pub struct KickArgs {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Do not ask other nodes
    #[arg(long)]
    here: bool,
    /// A user, or a session as murder who shows it
    name: String,
}

/// A session with its place, and its parts elsewhere.
#[derive(Debug, Clone, Serialize)]
struct Row {
    node: String,
    program: String,
    #[serde(flatten)]
    shown: Shown,
    parts: Vec<Row>,
}

/// 0, or 1 when a node could not be asked.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        let mut rows = here(&imapd);
        let mut complete = true;
        if !args.here {
            complete = join_backends(&imapd, &mut rows).await;
        }
        let mut rows = at_frontends(rows);
        if let Some(user) = &args.user {
            rows.retain(|row| row.shown.user.as_ref() == Some(user));
        }
        match args.json {
            true => {
                rows.retain(|row| !row.shown.is_parked());
                service::say!("{}", serde_json::to_string_pretty(&rows).unwrap_or_default());
            }
            false => service::say_part!("{}", table(&rows, now())),
        }
        if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// 0 when at least one session ends, 1 when there is none.
pub fn kick(args: &KickArgs) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        let ended = end_sessions(&imapd, &args.name, args.here).await;
        service::say!("{ended} sessions end");
        if ended > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// Ends the sessions of a user, or one, and says how many: those of this node at once, and unless it is all about these, then
/// those of others by way of the backends that they go on at.
pub async fn end_sessions(imapd: &Imapd, name: &str, only_here: bool) -> usize {
    let rows = here(imapd);
    let own = at_frontends(rows.clone());
    let ended: BTreeSet<&str> = end_rows(imapd, name, own.iter().filter(|row| row.answers_to(name))).await;
    if only_here {
        return ended.len();
    }
    let mut rows = rows;
    join_backends(imapd, &mut rows).await;
    let all = at_frontends(rows);
    let others = |row: &&Row| row.answers_to(name) && !ended.contains(row.shown.session.as_str());
    let elsewhere = end_rows(imapd, name, all.iter().filter(others)).await;
    ended.len() + elsewhere.len()
}

/// Ends these, each at the nodes that have it. Gives the names of those that somebody used.
async fn end_rows<'r>(imapd: &Imapd, name: &str, rows: impl Iterator<Item = &'r Row>) -> BTreeSet<&'r str> {
    let (mut ended, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        if !row.shown.is_parked() {
            ended.insert(row.shown.session.as_str());
        }
        targets.extend(row.where_to_end(name, imapd));
    }
    for (server, name) in targets {
        if server == imapd.servername {
            node::ask_daemons(imapd, "POST", "/kick", name);
        } else {
            end_at(imapd, server, name).await;
        }
    }
    ended
}

async fn end_at(imapd: &Imapd, server: &str, name: &str) {
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    let told = match Upstream::new(imapd).ask(server, &format!("XKICK \"{quoted}\"")).await {
        Ok(answer) if answer.result.starts_with("OK ") => return,
        Ok(answer) => answer.result,
        Err(error) => error.to_string(),
    };
    service::complain!("murder kick: {server}: {told}");
}

impl Row {
    /// Whether it is the session, or one of the user's sessions, that is meant.
    fn answers_to(&self, name: &str) -> bool {
        self.shown.user.as_deref() == Some(name)
            || self.shown.session == name
            || self.parts.iter().any(|part| part.shown.session == name)
    }

    /// The nodes that have to end it, and by what name: this one where it is ours, else those of its parts.
    fn where_to_end<'r>(&'r self, name: &'r str, imapd: &Imapd) -> Vec<(&'r str, &'r str)> {
        let by = if self.shown.user.as_deref() == Some(name) { name } else { self.shown.session.as_str() };
        match self.parts.is_empty() || self.node == imapd.servername {
            true => vec![(&self.node, by)],
            false => self.parts.iter().map(|part| (part.node.as_str(), by)).collect(),
        }
    }
}

/// The backends that can be asked.
async fn servers(imapd: &Imapd) -> Vec<String> {
    let mut servers = Vec::new();
    for server in node::other_servers(imapd).await {
        if imapd.proxy_password.is_some() || imapd.of_host(&server, "password").is_some() {
            servers.push(server);
        } else {
            service::complain!("murder: {server} is not asked: there is no proxy_password here");
        }
    }
    servers
}

/// The sessions of this node's daemons.
fn here(imapd: &Imapd) -> Vec<Row> {
    let mut rows = Vec::new();
    for (program, answer) in node::ask_daemons(imapd, "GET", "/sessions", "") {
        match serde_json::from_str::<Vec<Shown>>(&answer) {
            Ok(sessions) => rows.extend(place(sessions, &imapd.servername, &program)),
            Err(error) => service::complain!("murder who: {program}: {error}"),
        }
    }
    rows
}

/// The services of a user's sessions on this node, one for each session.
pub fn services_of(imapd: &Imapd, user: &str) -> Vec<String> {
    let of_user = |row: &Row| row.shown.user.as_deref() == Some(user) && !row.shown.is_parked();
    here(imapd).into_iter().filter(of_user).map(|row| row.shown.service).collect()
}

/// The number of client sessions on this node.
pub fn clients(imapd: &Imapd) -> usize {
    here(imapd).iter().filter(|row| row.shown.protocol != "mupdate" && !row.shown.is_parked()).count()
}

fn place(sessions: Vec<Shown>, node: &str, program: &str) -> impl Iterator<Item = Row> {
    let (node, program) = (node.to_owned(), program.to_owned());
    sessions.into_iter().map(move |shown| Row {
        node: node.clone(),
        program: program.clone(),
        shown,
        parts: Vec::new(),
    })
}

/// Adds what the backends tell. False when one could not be asked.
async fn join_backends(imapd: &Imapd, rows: &mut Vec<Row>) -> bool {
    let upstream = Upstream::new(imapd);
    let mut complete = true;
    for server in servers(imapd).await {
        let told = match upstream.server_entry(&server, "/shared/vendor/murder/sessions").await {
            Ok(Some(told)) => serde_json::from_str::<Vec<Shown>>(&told).map_err(|error| error.to_string()),
            Ok(None) => {
                Err("it does not tell: it is not of this project, or does not trust our proxy_authname"
                    .to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        match told {
            Ok(sessions) => attach(rows, place(sessions, &server, "backend")),
            Err(why) => {
                complete = false;
                service::complain!("murder who: {server}: {why}");
            }
        }
    }
    complete
}

/// Each session of a backend goes to the one of this node that it is a part of, or stands by itself.
fn attach(rows: &mut Vec<Row>, sessions: impl Iterator<Item = Row>) {
    for row in sessions {
        let whole = rows.iter_mut().find(|whole| {
            let linked = whole.shown.backends.get(&row.node);
            linked.is_some_and(|session| *session == row.shown.session)
                || is_origin(&whole.shown.session, &row)
        });
        match whole {
            Some(whole) => whole.parts.push(row),
            None => rows.push(row),
        }
    }
}

fn is_origin(session: &str, part: &Row) -> bool {
    part.shown.origin.as_ref().is_some_and(|origin| origin.session == session && !origin.parked)
}

/// Puts parts at backends together to the session at a frontend that they have told of.
fn at_frontends(rows: Vec<Row>) -> Vec<Row> {
    let mut wholes: Vec<Row> = Vec::new();
    for row in rows {
        let Some(origin) = row.shown.origin.clone().filter(|origin| !origin.parked) else {
            wholes.push(row);
            continue;
        };
        match wholes.iter_mut().find(|whole| is_origin(&whole.shown.session, &row)) {
            Some(whole) => {
                whole.shown.mailbox = whole.shown.mailbox.take().or_else(|| row.shown.mailbox.clone());
                whole.parts.push(row);
            }
            None => wholes.push(Row {
                node: origin.node,
                program: String::new(),
                shown: Shown {
                    session: origin.session,
                    service: origin.service,
                    client: origin.client,
                    since: origin.since,
                    tls: origin.tls,
                    protocol: row.shown.protocol.clone(),
                    user: row.shown.user.clone(),
                    mailbox: row.shown.mailbox.clone(),
                    ..Shown::default()
                },
                parts: vec![row],
            }),
        }
    }
    wholes
}

fn table(rows: &[Row], now: u64) -> String {
    let mut out = String::from(
        "USER                 SERVICE    CLIENT             SINCE     MAILBOX                  NODE, SESSION\n",
    );
    let (kept, used): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.shown.is_parked());
    for row in &used {
        line(&mut out, row, "", now);
        row.parts.iter().for_each(|part| line(&mut out, part, "  at ", now));
    }
    kept.iter().for_each(|row| line(&mut out, row, "kept for ", now));
    let _ = match kept.len() {
        0 => writeln!(out, "{} sessions", used.len()),
        kept => writeln!(out, "{} sessions, and {kept} connections kept for the next", used.len()),
    };
    out
}

fn line(out: &mut String, row: &Row, indent: &str, now: u64) {
    let Shown { user, service, client, mailbox, session, authenticated, .. } = &row.shown;
    let user = match (user, authenticated) {
        (Some(user), Some(by)) => format!("{user} (by {by})"),
        (Some(user), None) => user.clone(),
        (None, _) => "-".to_owned(),
    };
    let _ = writeln!(
        out,
        "{:<20} {service:<10} {client:<18} {:<9} {:<24} {}, {session}",
        format!("{indent}{user}"),
        age(now.saturating_sub(row.shown.since)),
        mailbox.as_deref().unwrap_or("-"),
        row.node,
    );
}

/// How long ago, in the largest unit that fits.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Epoch seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// What `--help` and the manual page end with.
const AFTER_KICK: &str = "\
Exit status:
  0   at least one session ends
  1   there is none of that name
  78  the configuration is wrong

Examples:
  murder kick fred
  murder kick imapproxy-4711-66f3a1b2-12";
const AFTER_HELP: &str = "\
Exit status:
  0   all nodes told who is on
  1   a node could not be asked; what the others told is shown
  78  the configuration is wrong

Examples:
  murder who
  murder who fred
  murder who --json | jq -r '.[].client' | sort | uniq -c";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_part_stands_below_the_session_that_it_belongs_to() {
        let shown = |session: &str, user: &str| Shown {
            session: session.into(),
            service: "imap".into(),
            user: Some(user.into()),
            since: 1000,
            ..Shown::default()
        };
        let mut front = shown("imapproxy-1", "fred");
        front.backends.insert("be1".into(), "backend-7".into());
        let mut rows: Vec<Row> = place(vec![front], "fe", "imapproxy").collect();
        let mut part = shown("backend-7", "fred");
        (part.authenticated, part.mailbox) = (Some("proxy".into()), Some("user.fred".into()));
        attach(&mut rows, place(vec![part, shown("backend-8", "jane")], "be1", "backend"));
        let text = table(&rows, 1090);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("fred ") && lines[1].contains("1 min"), "{text}");
        assert!(
            lines[2].starts_with("  at fred (by proxy)") && lines[2].ends_with("be1, backend-7"),
            "{text}"
        );
        assert!(lines[3].starts_with("jane ") && lines[4] == "2 sessions", "{text}");
    }

    #[test]
    fn the_parts_of_a_session_at_another_frontend_are_one_session_there() {
        let origin = protocol::origin::Origin {
            client: "192.0.2.7".into(),
            session: "imapproxy-5".into(),
            service: "imaps".into(),
            node: "fe2".into(),
            since: 1000,
            tls: true,
            parked: false,
            adopts: false,
        };
        let part = |session: &str, mailbox: Option<&str>| Shown {
            session: session.into(),
            user: Some("fred".into()),
            authenticated: Some("proxy".into()),
            mailbox: mailbox.map(str::to_owned),
            origin: Some(origin.clone()),
            ..Shown::default()
        };
        let mut rows = Vec::new();
        attach(&mut rows, place(vec![part("backend-1", None)], "be1", "backend"));
        attach(&mut rows, place(vec![part("backend-9", Some("shared.news"))], "be2", "backend"));
        let text = table(&at_frontends(rows), 1090);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("fred ") && lines[1].contains("192.0.2.7"), "{text}");
        assert!(lines[1].contains("shared.news") && lines[1].ends_with("fe2, imapproxy-5"), "{text}");
        assert!(lines[2].ends_with("be1, backend-1") && lines[3].ends_with("be2, backend-9"), "{text}");
        assert_eq!(lines[4], "1 sessions");
    }

    #[test]
    fn a_connection_that_a_frontend_keeps_is_nobodys_session() {
        let origin = protocol::origin::Origin {
            client: "192.0.2.7".into(),
            session: "imapproxy-5".into(),
            node: "fe2".into(),
            parked: true,
            adopts: false,
            ..protocol::origin::Origin::default()
        };
        let kept = Shown {
            session: "backend-1".into(),
            user: Some("fred".into()),
            client: "192.0.2.99".into(),
            origin: Some(origin),
            ..Shown::default()
        };
        let mut rows = Vec::new();
        attach(&mut rows, place(vec![kept], "be1", "backend"));
        let rows = at_frontends(rows);
        let text = table(&rows, 60);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("kept for fred ") && lines[1].ends_with("be1, backend-1"), "{text}");
        assert!(!text.contains("192.0.2.7 "), "no client's: {text}");
        assert_eq!(lines[2], "0 sessions, and 1 connections kept for the next");
        let imapd = Imapd::parse("i".as_ref(), "configdirectory: /v\nservername: fe1\n", "murder").unwrap();
        assert!(rows[0].answers_to("fred"));
        assert_eq!(rows[0].where_to_end("fred", &imapd), [("be1", "fred")]);
    }
}
