//! What a list's owner tells of it in its metrics: size, completeness, and how far behind its master it is.

use std::sync::atomic::Ordering;

use metrics::{describe_counter, describe_gauge, gauge};
use service::Context;

use super::Server;
use crate::serve::limits::GAUGES_EVERY;

/// Keeps the gauges until the daemon ends.
pub(super) fn keep(context: &Context, server: Server) {
    describe();
    let stop = context.shutdown();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(GAUGES_EVERY);
        let mut servers: Vec<String> = Vec::new();
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            set(&server, &mut servers);
        }
    });
}

fn set(server: &Server, known: &mut Vec<String>) {
    let summary = server.list().summary();
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for (location, entries) in &summary.locations {
        let name = location.split('!').next().unwrap_or_default();
        *counts.entry(name.to_owned()).or_default() += entries;
    }
    // A server that has none left is told as such once more.
    for gone in known.iter().filter(|name| !counts.contains_key(*name)) {
        gauge!("murder_list_mailboxes", "server" => gone.clone()).set(0.0);
        gauge!("murder_list_cordoned", "server" => gone.clone()).set(0.0);
    }
    *known = counts.keys().cloned().collect();
    let cordons = server.list().cordons();
    for (name, entries) in counts {
        let cordoned = cordons.keys().any(|server| server.as_str() == name);
        gauge!("murder_list_cordoned", "server" => name.clone()).set(f64::from(u8::from(cordoned)));
        gauge!("murder_list_mailboxes", "server" => name).set(f64::from(entries));
    }
    gauge!("murder_list_complete").set(f64::from(u8::from(summary.complete)));
    gauge!("murder_list_reserved").set(summary.reserved as f64);
    gauge!("murder_list_conflicts").set(server.list().conflicts().len() as f64);
    gauge!("murder_list_streams").set(server.shared.streams.load(Ordering::Relaxed) as f64);
    if let Some(replica) = server.upstream() {
        let fresh = replica.freshness();
        gauge!("murder_replica_live").set(f64::from(u8::from(fresh.live)));
        // Never heard from: as old as can be told.
        let lag = fresh.heard.map_or(f64::INFINITY, |heard| heard.as_secs_f64());
        gauge!("murder_replica_lag_seconds").set(lag);
        let held = fresh.held.map_or(0, |plan| plan.removals.len());
        gauge!("murder_replica_held_removals").set(held as f64);
    }
}

fn describe() {
    describe_gauge!("murder_list_mailboxes", "Mailboxes in this list, by server.");
    describe_gauge!(
        "murder_list_cordoned",
        "1 for a server that gets no new mailboxes (murder cordon). Alert when 1 for a month: somebody forgot it."
    );
    describe_gauge!(
        "murder_list_complete",
        "1 when the list is complete. Alert when 0 for minutes: look-ups answer 'try later'."
    );
    describe_gauge!("murder_list_reserved", "Reservations in this list. Alert when it only grows.");
    describe_gauge!(
        "murder_list_conflicts",
        "Mailboxes that two servers claimed. Alert on any: see murder status."
    );
    describe_counter!(
        "murder_lists_refused_total",
        "Lists of the master that were not taken over, because they are beyond measure. Alert on any: see mupdate_entries_max."
    );
    describe_gauge!("murder_list_streams", "Others that follow this list.");
    describe_gauge!("murder_replica_live", "1 while the list follows its master. Alert when 0 for minutes.");
    describe_gauge!(
        "murder_replica_lag_seconds",
        "Seconds since the master was heard, which it is at least every keepalive. Alert above a minute."
    );
    describe_gauge!(
        "murder_replica_held_removals",
        "Removals that the guard against mass deletion holds back. Alert on any: see murder status."
    );
}
