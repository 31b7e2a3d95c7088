//! `murder status`: what the daemons of a node know of the list of mailboxes, and how the backends are.
//!
//! Each daemon answers on the socket beside its list; the MUPDATE master answers over the node's own login.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use config::imapd::{Imapd, Upstream as Master};
use directory::client::{Client, Error};
use serde_json::{Map, Value};
use upstream::Upstream;

use crate::node::{draining, given_up, other_servers, with_node};
use crate::who::age;

/// Shows the lists of this node's daemons and of its MUPDATE master (positions, ages, conflicts, old reservations), and the backends:
/// whether they answer, their mailboxes and free space.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf.
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Do not ask the backends.
    #[arg(long)]
    here: bool,
    /// Print JSON: an object with a status for each daemon, one for all backends under `nodes`, the services that master has given
    /// up under `given_up`, and `draining_seconds` while the node is drained
    #[arg(long)]
    json: bool,
    /// Let this program's list (mupdate, imapproxy, …) do the deletions that it holds back.
    #[arg(long, value_name = "PROGRAM")]
    accept: Option<String>,
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
            if let Some(seconds) = draining(&imapd) {
                all.insert("draining_seconds".into(), seconds.into());
            }
            service::say!("{}", Value::Object(all));
        } else {
            all.iter().for_each(|(name, status)| service::say_part!("{}", text(name, status)));
            nodes.iter().for_each(|(name, node)| service::say!("{}", node_text(name, node)));
            if let Some(seconds) = draining(&imapd) {
                let ago = age(seconds);
                service::say!(
                    "this node: DRAINING for {ago}: new clients are sent elsewhere until murder drain --end"
                );
            }
            given_up
                .iter()
                .for_each(|name| service::say!("{name}: GIVEN UP by master until the next SIGHUP"));
        }
        if all_empty(&imapd) {
            service::complain!(
                "murder status: no daemon of this node has a list under {}",
                lists(&imapd).display()
            );
        }
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

async fn accept(imapd: &Imapd, program: &str) -> ExitCode {
    let socket = lists(imapd).join(program).join("socket");
    match bounded(async { Client::local(&socket).await?.accept().await }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            service::complain!("murder status: {program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// In UTC, as logs have it.
pub(crate) fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
    let shown = time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
    shown.unwrap_or_else(|| seconds.to_string())
}

/// Where a list can be asked.
pub(crate) enum Source {
    Socket(PathBuf),
    Master(Master),
}

impl Source {
    pub(crate) async fn client(&self, imapd: &Imapd) -> Result<Client, Error> {
        match self {
            Source::Socket(path) => Client::local(path).await,
            Source::Master(master) => Client::connect_to(imapd, master.clone()).await,
        }
    }
}

fn lists(imapd: &Imapd) -> PathBuf {
    Path::new(&imapd.configdirectory).join("murder")
}

/// The lists of this node, by program, and then that of each master.
pub(crate) fn sources(imapd: &Imapd) -> Vec<(String, Source)> {
    let entries = std::fs::read_dir(lists(imapd)).into_iter().flatten().flatten();
    let mut found: Vec<(String, Source)> = entries
        .filter(|entry| entry.path().join("list.sled").is_dir())
        .map(|entry| {
            let program = entry.file_name().to_string_lossy().into_owned();
            (program, Source::Socket(entry.path().join("socket")))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let masters = imapd.mupdate_upstreams();
    let several = masters.len() > 1;
    found.extend(masters.into_iter().map(|master| {
        let name = if several { format!("master {}", master.name) } else { "master".to_owned() };
        (name, Source::Master(master))
    }));
    found
}

fn all_empty(imapd: &Imapd) -> bool {
    sources(imapd).iter().all(|(_, source)| matches!(source, Source::Master(_)))
}

pub(crate) async fn bounded<T>(ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
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
            Err(error) => {
                serde_json::json!({ "error": error.to_string(), "reachable": !error.is_unreachable() })
            }
        };
        nodes.insert(server, node);
    }
    nodes
}

/// `… "free;total")`, in KiB.
pub(crate) fn free_and_total(line: &str) -> Option<(u64, u64)> {
    let (free, total) = line.trim_end_matches([')', '"']).rsplit('"').next()?.split_once(';')?;
    Some((free.parse().ok()?, total.parse().ok()?))
}

fn node_text(name: &str, node: &Value) -> String {
    if let Some(error) = node["error"].as_str() {
        return match node["reachable"] == true {
            true => format!("{name}: answers, and DOES NOT LET US IN: {error}"),
            false => format!("{name}: DOES NOT ANSWER: {error}"),
        };
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
    let upstream = &status["upstream"];
    let fresh = upstream["live"] != false && upstream["behind"].is_null();
    status["complete"] == true && status.get("held").is_none() && fresh
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
        "{name}: {} {} ({}), {}, {complete}",
        shown(&status["role"]),
        shown(&status["server"]),
        shown(&status["version"]),
        counted(status)
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
        let behind = upstream["behind"].as_str().map(|why| format!("; it DOES NOT FOLLOW its master: {why}"));
        let behind = behind.unwrap_or_default();
        let _ = writeln!(out, "  {live} {}, {heard}{trouble}{behind}", shown(&upstream["server"]));
    }
    for master in status["masters"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  {}", master_text(master));
    }
    for (server, partitions) in status["servers"].as_object().into_iter().flatten() {
        for (partition, entries) in partitions.as_object().into_iter().flatten() {
            let _ = writeln!(out, "  {server}!{partition}: {entries}");
        }
    }
    for (server, since) in status["cordoned"].as_object().into_iter().flatten() {
        let since = since.as_u64().map(date).unwrap_or_default();
        let _ = writeln!(out, "  CORDONED {server} since {since}: it gets no new mailboxes");
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

/// One of several masters, as a list that follows one of them has met it.
fn master_text(master: &Value) -> String {
    let name = master["name"].as_str().unwrap_or_default();
    let address = master["address"].as_str().map(|address| format!(" ({address})")).unwrap_or_default();
    let seq = master["position"]["seq"].as_u64().map(|seq| format!(", seq {seq}")).unwrap_or_default();
    let age = master["age"].as_f64().map(|age| format!(", {age:.1} s ago")).unwrap_or_default();
    match master["trouble"].as_str() {
        Some(why) => format!("master {name}{address}: FAILED{seq}{age}: {why}"),
        None if age.is_empty() => format!("master {name}: not asked yet"),
        None => format!("master {name}{address}: let us in{seq}{age}"),
    }
}

/// How many entries. A daemon that only looks names up keeps no tables to count them by.
fn counted(status: &Value) -> String {
    match status["loaded"] == false {
        true => "entries not counted (names are looked up on disk)".to_owned(),
        false => format!("{} entries, {} reserved", status["entries"], status["reserved"]),
    }
}

const PATIENCE: Duration = Duration::from_secs(15);

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   every list is complete and follows its upstream, every backend answers, no service is given up
  1   something of that is not so, or no daemon runs
  78  the configuration is wrong

Examples:
  murder status
  murder status --here --json | jq .mupdate.entries
  murder status --accept mupdate       what its upstream's new list would remove is removed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_metadata_and_anything_else_is_not() {
        let line = r#"* METADATA "" ("/shared/vendor/cmu/cyrus-imapd/freespace/total" "1048576;4194304")"#;
        assert_eq!(free_and_total(line), Some((1_048_576, 4_194_304)));
        for line in ["", "* METADATA \"\" (\"x\" NIL)", "* OK x;y", "* METADATA \"\" (\"x\" \"1;\")"] {
            assert_eq!(free_and_total(line), None, "{line}");
        }
        assert_eq!(node_text("be1", &serde_json::json!({})), "be1: answers");
    }

    #[test]
    fn a_server_that_gets_no_new_mailboxes_is_shown_with_the_time() {
        let status = serde_json::json!({
            "role": "master", "server": "m", "version": "murder-1", "complete": true,
            "cordoned": { "be1.example.org": 1_700_000_000 },
        });
        let shown = text("mupdate", &status);
        let line = "  CORDONED be1.example.org since 2023-11-14T22:13:20Z: it gets no new mailboxes\n";
        assert!(shown.contains(line), "{shown}");
    }

    #[test]
    fn a_list_that_nobody_counts_is_not_said_to_be_empty_and_a_slave_without_its_master_is_told() {
        let status = serde_json::json!({
            "role": "replica", "server": "fe1", "version": "murder-1", "entries": 0, "reserved": 0, "complete": true,
            "loaded": false,
            "upstream": { "server": "the mupdate of this host (/s)", "live": true, "heard_seconds_ago": 0.5,
                "trouble": null, "behind": "m.example.org: connection refused" },
        });
        let shown = text("lmtpproxy", &status);
        assert!(!shown.contains("0 entries"), "{shown}");
        assert!(
            shown.starts_with(
                "lmtpproxy: replica fe1 (murder-1), entries not counted (names are looked up on disk), complete\n"
            ),
            "{shown}"
        );
        assert!(
            shown.contains(
                "  follows the mupdate of this host (/s), heard 0.5 s ago; it DOES NOT FOLLOW its master: \
                 m.example.org: connection refused\n"
            ),
            "{shown}"
        );
        assert!(!is_good(&status));
    }

    #[test]
    fn a_backend_that_refuses_our_password_is_not_said_to_be_out_of_reach() {
        let refused = upstream::Error::WrongPassword {
            server: "be1".into(),
            authname: "frontend".into(),
            text: "authentication failure".into(),
        };
        let node = |error: upstream::Error| serde_json::json!({ "error": error.to_string(), "reachable": !error.is_unreachable() });
        assert_eq!(
            node_text("be1", &node(refused)),
            "be1: answers, and DOES NOT LET US IN: be1: wrong password for our own login as frontend: authentication failure"
        );
        let down = upstream::Error::Down { server: "be1".into(), why: "connection refused".into() };
        assert_eq!(
            node_text("be1", &node(down)),
            "be1: DOES NOT ANSWER: be1: not tried, because: connection refused"
        );
    }
}
