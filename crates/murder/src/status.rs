//! `murder status` and `murder explain`: what the daemons of a node know of the list of mailboxes, and where a mailbox is.
//!
//! Each daemon answers on the socket beside its list; the MUPDATE master answers over the node's own login.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use config::imapd::Imapd;
use directory::client::{Client, Error};
use protocol::name::MailboxName;
use serde_json::{Map, Value};
use upstream::Upstream;

use crate::node::{given_up, other_servers, with_node};
use crate::who::age;

/// Shows the lists of this node's daemons and of its MUPDATE master (positions, ages, conflicts, old reservations), and the backends:
/// whether they answer, their mailboxes and free space.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's imapd.conf.
    #[arg(short = 'C', default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Do not ask the backends.
    #[arg(long)]
    here: bool,
    /// Print JSON: an object with a status for each daemon, one for all backends under `nodes`, and the services that master
    /// has given up under `given_up`.
    #[arg(long)]
    json: bool,
    /// Let this program's list (mupdate, imapproxy, …) do the deletions that it holds back.
    #[arg(long, value_name = "PROGRAM")]
    accept: Option<String>,
}

/// Shows where a mailbox lives and since when, by each list that this node can ask, and who has which rights.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The node's imapd.conf.
    #[arg(short = 'C', default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// The mailbox's internal name: user.fred.Sent
    mailbox: String,
}

/// 0 when every list is there and complete, 1 when one is not, 78 for a wrong configuration.
pub fn run(args: &Args) -> ExitCode {
    with_node(&args.config, async |imapd| {
        if let Some(program) = &args.accept {
            return accept(&imapd, program).await;
        }
        let mut all = Map::new();
        for (name, source) in sources(&imapd) {
            let status = bounded(async { source.client(&imapd).await?.status().await }).await;
            let status = status.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }));
            all.insert(name, status);
        }
        let nodes = if args.here { Map::new() } else { nodes(&imapd, &all).await };
        let reached = nodes.values().all(|node| node.get("error").is_none());
        let given_up = given_up(&imapd);
        let good = !all.is_empty() && all.values().all(is_good) && reached && given_up.is_empty();
        if args.json {
            if !nodes.is_empty() {
                all.insert("nodes".into(), Value::Object(nodes));
            }
            if !given_up.is_empty() {
                all.insert("given_up".into(), given_up.into());
            }
            println!("{}", Value::Object(all));
        } else {
            all.iter().for_each(|(name, status)| print!("{}", text(name, status)));
            nodes.iter().for_each(|(name, node)| println!("{}", node_text(name, node)));
            given_up.iter().for_each(|name| println!("{name}: GIVEN UP by master until the next SIGHUP"));
        }
        if all_empty(&imapd) {
            eprintln!("murder status: no daemon of this node has a list under {}", lists(&imapd).display());
        }
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

async fn accept(imapd: &Imapd, program: &str) -> ExitCode {
    let socket = lists(imapd).join(program).join("socket");
    match bounded(async { Client::local(&socket).await?.accept().await }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("murder status: {program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// 0 when a list has the mailbox, 1 when none has.
pub fn explain(args: &ExplainArgs) -> ExitCode {
    let Ok(name) = MailboxName::parse(&args.mailbox) else {
        eprintln!("murder explain: {}: not a mailbox name", args.mailbox);
        return ExitCode::FAILURE;
    };
    with_node(&args.config, async |imapd| {
        let mut known = false;
        for (list, source) in sources(&imapd) {
            match bounded(async { known_of(&mut source.client(&imapd).await?, &name).await }).await {
                Ok(status) => {
                    known |= !status["mailbox"].is_null();
                    print!("{}", explained(&list, &status, SystemTime::now()));
                }
                Err(error) => println!("{list:<12} {error}"),
            }
        }
        if known { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// The status of a list with what it has of a mailbox; of a Cyrus's only the latter is to be had.
async fn known_of(client: &mut Client, name: &MailboxName) -> Result<Value, Error> {
    if client.greeting().has("STATUS") {
        return client.status_with(Some(name)).await;
    }
    let found = client.find(name).await?;
    let mailbox = found.map(|entry| {
        let state = if entry.is_active() { "active" } else { "reserved" };
        serde_json::json!({ "state": state, "location": entry.location.as_str(), "acl": entry.acl.as_ref() })
    });
    Ok(serde_json::json!({ "mailbox": mailbox }))
}

/// What one list says of a mailbox: where, since when it has it so, how old the list is, and who has which rights.
fn explained(list: &str, status: &Value, now: SystemTime) -> String {
    let mailbox = &status["mailbox"];
    let mut out = match (mailbox["state"].as_str(), mailbox["location"].as_str()) {
        (Some(state), Some(location)) => format!("{list:<12} {state} at {location}"),
        _ => format!("{list:<12} does not have it"),
    };
    if let Some(since) = mailbox["since"].as_u64().filter(|since| *since > 0) {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let _ = write!(out, ", since {} ({} ago)", date(since), age(now.saturating_sub(since)));
    }
    out.push('\n');
    if let Some(upstream) = status["upstream"].as_object() {
        let server = upstream["server"].as_str().unwrap_or("its upstream");
        let heard = upstream["heard_seconds_ago"].as_f64();
        let heard = heard.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1} s ago"));
        let _ = writeln!(out, "{:<12} as heard from {server} {heard}", "");
    }
    for (who, rights) in protocol::acl::Acl::parse(mailbox["acl"].as_str().unwrap_or_default()).entries() {
        let _ = writeln!(out, "{:<12} {who} {rights}", "");
    }
    out
}

/// In UTC, as logs have it.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
    let shown = time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
    shown.unwrap_or_else(|| seconds.to_string())
}

/// Where a list can be asked.
enum Source {
    Socket(PathBuf),
    Master,
}

impl Source {
    async fn client(&self, imapd: &Imapd) -> Result<Client, Error> {
        match self {
            Source::Socket(path) => Client::local(path).await,
            Source::Master => Client::connect(imapd).await,
        }
    }
}

fn lists(imapd: &Imapd) -> PathBuf {
    Path::new(&imapd.configdirectory).join("murder")
}

/// The lists of this node, by program, and then the master's.
fn sources(imapd: &Imapd) -> Vec<(String, Source)> {
    let entries = std::fs::read_dir(lists(imapd)).into_iter().flatten().flatten();
    let mut found: Vec<(String, Source)> = entries
        .filter(|entry| entry.path().join("list.sled").is_dir())
        .map(|entry| {
            let program = entry.file_name().to_string_lossy().into_owned();
            (program, Source::Socket(entry.path().join("socket")))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    if imapd.mupdate_server.is_some() {
        found.push(("master".into(), Source::Master));
    }
    found
}

fn all_empty(imapd: &Imapd) -> bool {
    sources(imapd).iter().all(|(_, source)| matches!(source, Source::Master))
}

async fn bounded<T>(ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late =
        || Error::Unavailable { server: "it".into(), why: format!("no answer within {PATIENCE:?}").into() };
    tokio::time::timeout(PATIENCE, ask).await.unwrap_or_else(|_| Err(late()))
}

/// The backends that the lists name, asked as proxies log in to them; without a password for that there is nothing to tell.
async fn nodes(imapd: &Imapd, lists: &Map<String, Value>) -> Map<String, Value> {
    let upstream = Upstream::new(imapd);
    let mut servers = other_servers(imapd).await;
    let named = |list: &Value| {
        list["servers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    servers.extend(lists.values().flat_map(named));
    servers.remove(&imapd.servername);
    servers.retain(|server| imapd.proxy_password.is_some() || imapd.of_host(server, "password").is_some());
    let mut nodes = Map::new();
    for server in servers {
        // What Cyrus's backends tell too.
        let asked =
            upstream.ask(&server, "GETMETADATA \"\" (/shared/vendor/cmu/cyrus-imapd/freespace/total)").await;
        let node = match asked {
            Ok(answer) => match answer.lines.iter().find_map(|line| free_and_total(line)) {
                Some((free, total)) => serde_json::json!({ "free_kib": free, "total_kib": total }),
                None => serde_json::json!({}),
            },
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        nodes.insert(server, node);
    }
    nodes
}

/// `… "free;total")`, in KiB.
fn free_and_total(line: &str) -> Option<(u64, u64)> {
    let (free, total) = line.trim_end_matches([')', '"']).rsplit('"').next()?.split_once(';')?;
    Some((free.parse().ok()?, total.parse().ok()?))
}

fn node_text(name: &str, node: &Value) -> String {
    if let Some(error) = node["error"].as_str() {
        return format!("{name}: DOES NOT ANSWER: {error}");
    }
    match (node["free_kib"].as_u64(), node["total_kib"].as_u64()) {
        (Some(free), Some(total)) if total > 0 => {
            format!("{name}: answers, {} MiB free ({}%)", free / 1024, free.saturating_mul(100) / total)
        }
        _ => format!("{name}: answers"),
    }
}

/// A list that is whole, and fresh where it follows another.
fn is_good(status: &Value) -> bool {
    status["complete"] == true && status.get("held").is_none() && status["upstream"]["live"] != false
}

fn text(name: &str, status: &Value) -> String {
    let mut out = String::new();
    if let Some(error) = status["error"].as_str() {
        let _ = writeln!(out, "{name}: {error}");
        return out;
    }
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let complete = if status["complete"] == true { "complete" } else { "NOT COMPLETE" };
    let position = &status["position"];
    let _ = writeln!(
        out,
        "{name}: {} {} ({}), {} entries, {} reserved, {complete}",
        shown(&status["role"]),
        shown(&status["server"]),
        shown(&status["version"]),
        status["entries"],
        status["reserved"]
    );
    let _ = writeln!(
        out,
        "  position {} term {} seq {}; {} streams, {} connections",
        shown(&position["list"]),
        position["term"],
        position["seq"],
        status["streams"],
        status["connections"]
    );
    if let Some(upstream) = status["upstream"].as_object() {
        let live = if upstream["live"] == true { "follows" } else { "DOES NOT FOLLOW" };
        let heard = upstream["heard_seconds_ago"].as_f64();
        let heard = heard.map_or_else(|| "never heard from".into(), |s| format!("heard {s:.1} s ago"));
        let trouble = upstream["trouble"].as_str().map(|t| format!("; {t}")).unwrap_or_default();
        let _ = writeln!(out, "  {live} {}, {heard}{trouble}", shown(&upstream["server"]));
    }
    for (server, partitions) in status["servers"].as_object().into_iter().flatten() {
        for (partition, entries) in partitions.as_object().into_iter().flatten() {
            let _ = writeln!(out, "  {server}!{partition}: {entries}");
        }
    }
    for old in status["reservations"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  OLD RESERVATION {} at {}", shown(&old["name"]), shown(&old["location"]));
    }
    for conflict in status["conflicts"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "  CONFLICT {}: {} took over from {}, {} times",
            shown(&conflict["name"]),
            shown(&conflict["won"]),
            shown(&conflict["lost"]),
            conflict["times"]
        );
    }
    if let Some(held) = status["held"].as_object() {
        let _ = writeln!(
            out,
            "  HELD: the upstream's list would remove {} of {} entries; accept with `murder status --accept {name}`, or fill it",
            held["removals"], held["entries"]
        );
    }
    out
}

const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_explained_with_its_time_and_the_lists_age() {
        let status = serde_json::json!({
            "mailbox": { "state": "active", "location": "be1!default", "acl": "fred\tlrs\t", "since": 1_700_000_000 },
            "upstream": { "server": "m.example.org", "heard_seconds_ago": 0.25 },
        });
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_120);
        let lines = "imapproxy    active at be1!default, since 2023-11-14T22:13:20Z (2 min ago)\n             \
                     as heard from m.example.org 0.2 s ago\n             fred lrs\n";
        assert_eq!(explained("imapproxy", &status, now), lines);
        // Of a Cyrus master nothing but the entry is known.
        let bare =
            serde_json::json!({ "mailbox": { "state": "reserved", "location": "be1!default", "acl": "" } });
        assert_eq!(explained("master", &bare, now), "master       reserved at be1!default\n");
        let none = serde_json::json!({ "mailbox": null });
        assert_eq!(explained("master", &none, now), "master       does not have it\n");
    }

    #[test]
    fn free_space_is_read_from_metadata_and_anything_else_is_not() {
        let line = r#"* METADATA "" ("/shared/vendor/cmu/cyrus-imapd/freespace/total" "1048576;4194304")"#;
        assert_eq!(free_and_total(line), Some((1_048_576, 4_194_304)));
        for line in ["", "* METADATA \"\" (\"x\" NIL)", "* OK x;y", "* METADATA \"\" (\"x\" \"1;\")"] {
            assert_eq!(free_and_total(line), None, "{line}");
        }
        assert_eq!(node_text("be1", &serde_json::json!({})), "be1: answers");
    }
}
