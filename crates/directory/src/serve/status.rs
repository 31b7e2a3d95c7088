//! STATUS: what a list's owner knows, as JSON, for `murder status` and the tools.
//!
//! ```text
//! { role, server, version, time, options: { NAME: VALUE }, position: { list, term, seq }, complete, loaded, entries, reserved, streams, connections,
//!   servers: { NAME: { PARTITION: entries } }, memory, disk,
//!   reservations: [ { name, location, since } ],           older than 10 minutes, at most 100
//!   conflicts: [ { name, lost, won, first, last, times } ],
//!   cordoned: { NAME: time },                              servers that take no new mailboxes, and since when
//!   writes?: boolean,                                      of a master: whether it takes changes
//!   shared?: { live },                                     of one of several masters: whether their database answers
//!   seen?: { NAME: time }, watching?: seconds,             of a master: when backends were last heard of, and how long it has listened
//!   upstream?: { server, live, since, heard_seconds_ago, trouble, behind },
//!   masters?: [ { name, address?, position?, age?, trouble? } ],   of a replica with a choice of masters: each, as it was met last
//!   mailbox?: { state, location, acl, since, seq? },      of the name that was asked for; null where there is none
//!   held?: { entries, removals, names: [ … ] } }           held deletions, at most 100 names
//! ```

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use mailboxes::Entry;
use protocol::mupdate::session::Access;
use serde_json::{Value, json};

use super::{Kind, Server, VERSION};
use crate::client::masters::Met;
use crate::replica::Replica;
use crate::serve::limits::{OLD, STATUS_SHOWN};

pub(super) fn of(server: &Server) -> Value {
    let summary = server.list().summary();
    let mut servers: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
    for (location, entries) in &summary.locations {
        let (name, partition) = location.split_once('!').unwrap_or((location, ""));
        *servers.entry(name).or_default().entry(partition).or_default() += entries;
    }
    let position = summary.position;
    let mut status = json!({
        "role": match server.shared.kind {
            Kind::Master { .. } => "master",
            Kind::Replica(_) => "replica",
            Kind::Backend => "backend",
        },
        "server": server.settings().servername,
        "version": VERSION,
        "time": epoch(SystemTime::now()),
        "options": server.settings().options,
        "position": { "list": position.list.to_string(), "term": position.term, "seq": position.seq },
        "complete": summary.complete,
        "loaded": summary.loaded,
        "entries": summary.entries,
        "reserved": summary.reserved,
        "streams": server.shared.streams.load(Ordering::Relaxed),
        "connections": server.connections(),
        "servers": servers,
        "memory": summary.memory,
        "disk": summary.disk,
        "reservations": reservations(server),
        "conflicts": conflicts(server),
        "cordoned": cordoned(server),
    });
    if server.is_master() {
        status["writes"] = json!(server.best_access() == Access::Write);
        status["seen"] = json!(server.shared.seen.all());
        status["watching"] = json!(server.shared.seen.watching().as_secs());
    }
    if let Some(live) = server.list().live() {
        status["shared"] = json!({ "live": live.get() });
    }
    if let (Some(replica), Some(map)) = (server.upstream(), status.as_object_mut()) {
        upstream(replica, map);
    }
    status
}

fn upstream(replica: &Replica, map: &mut serde_json::Map<String, Value>) {
    let fresh = replica.freshness();
    let upstream = json!({
        "server": fresh.upstream,
        "live": fresh.live,
        "since": epoch(fresh.since),
        "heard_seconds_ago": fresh.heard.map(|heard| heard.as_secs_f64()),
        "trouble": fresh.trouble,
        "behind": fresh.behind,
    });
    map.insert("upstream".into(), upstream);
    if !fresh.masters.is_empty() {
        map.insert("masters".into(), fresh.masters.iter().map(master).collect());
    }
    if let Some(plan) = fresh.held {
        let names: Vec<&str> = plan.removals.iter().take(STATUS_SHOWN).map(|name| name.as_str()).collect();
        let held = json!({ "entries": plan.held, "removals": plan.removals.len(), "names": names });
        map.insert("held".into(), held);
    }
}

/// A master as it was met last; `age` in seconds.
fn master((name, met): &(String, Met)) -> Value {
    let mut told = json!({ "name": name });
    if let Some(address) = met.address {
        told["address"] = address.to_string().into();
    }
    if let Some(at) = met.position {
        told["position"] = json!({ "list": at.list.to_string(), "term": at.term, "seq": at.seq });
    }
    if let Some(age) = met.age {
        told["age"] = age.as_secs_f64().into();
    }
    if let Some(trouble) = &met.trouble {
        told["trouble"] = trouble.as_str().into();
    }
    told
}

/// One mailbox. `since` is when this list got the entry as it is, 0 where it was never told; `seq` the number of its last
/// change, of a master's.
pub(super) fn entry(server: &Server, entry: &Entry) -> Value {
    let state = if entry.is_active() { "active" } else { "reserved" };
    let mut told = json!({ "state": state, "location": entry.location.as_str(), "acl": entry.acl.as_ref(), "since": entry.mtime });
    if server.is_master() {
        told["seq"] = entry.seq.into();
    }
    told
}

fn reservations(server: &Server) -> Vec<Value> {
    let old = epoch(SystemTime::now()).saturating_sub(OLD);
    let all = server.list().reservations().into_iter();
    all.filter(|(_, entry)| entry.mtime < old)
        .take(STATUS_SHOWN)
        .map(|(name, entry)| {
            json!({ "name": name.as_str(), "location": entry.location.as_str(), "since": entry.mtime })
        })
        .collect()
}

fn conflicts(server: &Server) -> Vec<Value> {
    let all = server.list().conflicts().into_iter();
    all.map(|c| {
        json!({
            "name": c.name.as_str(), "lost": c.lost.as_str(), "won": c.won.as_str(),
            "first": c.first, "last": c.last, "times": c.times,
        })
    })
    .collect()
}

fn cordoned(server: &Server) -> BTreeMap<String, u64> {
    let all = server.list().cordons();
    all.iter().map(|(name, since)| (name.as_str().to_owned(), *since)).collect()
}

fn epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
