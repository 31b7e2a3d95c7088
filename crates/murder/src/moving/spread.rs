//! Many moves as one plan: `murder drain SERVER` and `murder rebalance` queue them at their sources, and wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::imapd::Imapd;
use directory::client::Client;
use moves::MoveId;
use moves::order::{Order, Progress};
use moves::wishes::Wishes;
use service::{complain, say};
use upstream::Upstream;

use super::plan::{Server, Step};
use super::{table, talk};
use crate::status::{date, free_and_total};
use crate::who::now;

/// The backends that can take mailboxes, with their room: those that are named, or all that are known, but for cordoned ones and those
/// that do not answer.
pub async fn targets(
    imapd: &Imapd,
    master: &mut Client,
    named: &[String],
    but: Option<&str>,
) -> Result<Vec<Server>, String> {
    let cordons = master.cordons().await.map_err(|error| error.to_string())?;
    let is_cordoned = |server: &str| cordons.keys().any(|cordoned| cordoned.as_str() == server);
    let known = crate::cordon::known(imapd, master).await?;
    if let Some(unknown) = named.iter().find(|name| !known.contains(*name)) {
        return Err(format!("no backend is called {unknown}"));
    }
    if let Some(cordoned) = named.iter().find(|name| is_cordoned(name)) {
        return Err(format!("{cordoned} is cordoned"));
    }
    let upstream = Upstream::new(imapd);
    let mut found = Vec::new();
    for server in if named.is_empty() { known.iter().collect::<Vec<_>>() } else { named.iter().collect() } {
        if Some(server.as_str()) == but || is_cordoned(server) {
            continue;
        }
        match space(&upstream, server).await {
            Ok(Some((free, total))) => found.push(Server { name: server.clone(), free, total }),
            Ok(None) => say!("{server} does not say how much room it has: it gets nothing"),
            Err(why) => say!("{server} does not answer, and gets nothing: {why}"),
        }
    }
    Ok(found)
}

/// Free and all bytes of a backend, as Cyrus's tell them too.
async fn space(upstream: &Upstream, server: &str) -> Result<Option<(u64, u64)>, String> {
    let entry = "GETMETADATA \"\" (/shared/vendor/cmu/cyrus-imapd/freespace/total)".to_owned();
    let answer = upstream.ask_by(server, |_| entry).await.map_err(|error| error.to_string())?;
    let kib = answer.lines.iter().find_map(|line| free_and_total(line));
    Ok(kib.map(|(free, total)| (free.saturating_mul(1024), total.saturating_mul(1024))))
}

/// What a plan comes to, for a reader.
pub fn text(steps: &[Step]) -> String {
    let mut ways = BTreeMap::<(&str, &str), (usize, u64)>::new();
    for step in steps {
        let way = ways.entry((&step.from, &step.to)).or_default();
        *way = (way.0 + 1, way.1.saturating_add(step.size.bytes));
    }
    let lines = ways.into_iter().map(|((from, to), (count, bytes))| {
        format!("{from} -> {to}: {count} users and shared mailboxes, {}\n", table::bytes(bytes))
    });
    lines.collect()
}

/// The name under which its moves are known.
pub fn name(what: &str) -> String {
    format!("{what} {}", date(now()))
}

/// Queues all steps, and waits until nothing of the plan goes on. False: something stays where it was.
pub async fn carry_out(imapd: &Imapd, name: &str, steps: &[Step], wishes: &Wishes) -> Result<bool, String> {
    let upstream = Upstream::new(imapd);
    let (mut refused, mut told) = (0usize, None);
    for step in steps {
        let order = Order::Move {
            id: MoveId::new().map_err(|error| error.to_string())?,
            root: step.size.root.clone(),
            to: step.to.clone(),
            partition: None,
            wishes: Wishes { plan: Some(name.to_owned()), ..wishes.clone() },
            patient: true,
        };
        loop {
            match talk::order(&upstream, &step.from, &order).await {
                Ok(_) => break,
                // It has room for more when some have gone.
                Err(why) if why.contains("too many moves are queued") => {
                    tell(&mut told, &progress(&upstream, name, steps).await?);
                    tokio::time::sleep(LOOK).await;
                }
                Err(why) => {
                    refused += 1;
                    complain!("{} stays on {}: {why}", step.size.root, step.from);
                    break;
                }
            }
        }
    }
    say!("{} moves are queued as \"{name}\"; they go on though this command ends", steps.len() - refused);
    let mut silent = 0;
    let end = loop {
        match progress(&upstream, name, steps).await {
            Ok(now) => {
                silent = 0;
                tell(&mut told, &now);
                if now.queued + now.running == 0 {
                    break now;
                }
            }
            Err(why) if silent >= SILENT => {
                return Err(format!("{why}: murder moves shows what becomes of them"));
            }
            Err(_) => silent += 1,
        }
        tokio::time::sleep(LOOK).await;
    };
    for (root, why) in &end.why {
        complain!("{root} stays: {why}");
    }
    Ok(refused + end.failed + end.stopped == 0)
}

fn tell(told: &mut Option<String>, now: &Progress) {
    let line = format!(
        "{} moved, {} go on, {} queued, {} stopped, {} stay; {} sent",
        now.moved,
        now.running,
        now.queued,
        now.stopped,
        now.failed,
        table::bytes(now.bytes)
    );
    if told.as_ref() != Some(&line) {
        say!("{line}");
        *told = Some(line);
    }
}

/// What became of the plan at all of its sources.
async fn progress(upstream: &Upstream, name: &str, steps: &[Step]) -> Result<Progress, String> {
    let mut all = Progress::default();
    let sources: BTreeSet<&str> = steps.iter().map(|step| step.from.as_str()).collect();
    for server in sources {
        let Some(of) = talk::plans(upstream, server).await?.remove(name) else { continue };
        all.queued += of.queued;
        all.stopped += of.stopped;
        all.running += of.running;
        all.moved += of.moved;
        all.failed += of.failed;
        all.bytes = all.bytes.saturating_add(of.bytes);
        all.why.extend(of.why);
    }
    Ok(all)
}

/// How often it is looked how far a plan is.
const LOOK: Duration = Duration::from_secs(2);
/// How many looks in a row may have no answer.
const SILENT: u32 = 60;
