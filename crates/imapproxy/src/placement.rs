//! On which backend a new top-level mailbox is made: `defaultserver`, else a choice among `serverlist` by what the
//! backends say of their free space.
//!
//! Cyrus's arithmetic (lib/util.c there), but for two of its faults: a server that is down is left out instead of
//! turning the choice into a lottery that it takes part in, and `defaultserver` acts as its manual says.

use std::sync::{Mutex, PoisonError};

use config::imapd::SelectMode;
use protocol::grammar::{argument, astring, mailbox, parenthesis};
use tracing::warn;

use crate::grammar::untagged;
use crate::limits::PLACEMENT_LINE;
use crate::session::{Session, Stop};

/// Free space as it was read last, and how many choices it has served.
#[derive(Default)]
pub struct Placement {
    read: Mutex<Option<Read>>,
}

struct Read {
    servers: Vec<Space>,
    choices: u32,
}

/// What one server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub server: String,
    /// KiB.
    pub available: u64,
    pub total: u64,
}

/// The server for a new top-level mailbox; `None` when there is none to choose.
pub async fn choose(s: &mut Session) -> Result<Option<String>, Stop> {
    let imapd = s.listener.imapd();
    if let Some(server) = &imapd.defaultserver {
        return Ok(Some(server.clone()));
    }
    if imapd.serverlist.is_empty() {
        return Ok(None);
    }
    let mode = imapd.serverlist_select_mode;
    let soft = imapd.serverlist_select_soft_usage_limit;
    if mode == SelectMode::Random {
        let up: Vec<Space> = imapd
            .serverlist
            .iter()
            .filter(|server| s.node.upstream.admit(server, upstream::Proto::Imap).is_ok())
            .map(|server| Space { server: server.clone(), available: 0, total: 0 })
            .collect();
        return Ok(select(mode, soft, &up, chance()).map(str::to_owned));
    }
    let known = s.node.placement.known(imapd.serverlist_select_usage_reinit);
    let servers = match known {
        Some(servers) => servers,
        None => {
            let servers = survey(s, &imapd.serverlist, mode).await?;
            s.node.placement.note(&servers);
            servers
        }
    };
    let up: Vec<Space> = servers
        .into_iter()
        .filter(|space| s.node.upstream.admit(&space.server, upstream::Proto::Imap).is_ok())
        .collect();
    Ok(select(mode, soft, &up, chance()).map(str::to_owned))
}

impl Placement {
    /// What was read, while it may be used: for ever with `reinit` 0, as in Cyrus, else for so many choices.
    fn known(&self, reinit: u32) -> Option<Vec<Space>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let held = read.as_mut()?;
        held.choices = held.choices.saturating_add(1);
        if reinit > 0 && held.choices >= reinit {
            *read = None;
            return None;
        }
        Some(held.servers.clone())
    }

    fn note(&self, servers: &[Space]) {
        if !servers.is_empty() {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            *read = Some(Read { servers: servers.to_vec(), choices: 0 });
        }
    }
}

/// Asks each server. One that is down, or does not say, is left out.
async fn survey(s: &mut Session, servers: &[String], mode: SelectMode) -> Result<Vec<Space>, Stop> {
    let what = if mode == SelectMode::FreespaceMost { "total" } else { "percent/most" };
    let mut spaces = Vec::new();
    for server in servers {
        match free_space(s, server, what).await {
            Ok(Some((available, total))) => spaces.push(Space { server: server.clone(), available, total }),
            Ok(None) => warn!("{server} does not say how much space it has"),
            Err(Stop::Backend { server, why }) if s.selected_server() != Some(server.as_str()) => {
                s.links.remove(&server);
                warn!("{server}: {why}");
            }
            Err(stop) => return Err(stop),
        }
    }
    Ok(spaces)
}

async fn free_space(s: &mut Session, server: &str, what: &str) -> Result<Option<(u64, u64)>, Stop> {
    let metadata = s.link(server).await?.capabilities.has("METADATA");
    let entry = format!("/vendor/cmu/cyrus-imapd/freespace/{what}");
    let id = s.command(
        server,
        match metadata {
            true => format!("GETMETADATA \"\" (\"/shared{entry}\")"),
            false => format!("GETANNOTATION \"\" \"{entry}\" (\"value.shared\")"),
        },
    )?;
    let selected = s.selected_server() == Some(server);
    let (mut space, mut news) = (None, Vec::new());
    s.collect(server, id, PLACEMENT_LINE, |line| match parse_space(line) {
        Some(found) => space = Some(found),
        None if selected => news.extend_from_slice(line),
        None => {}
    })
    .await?;
    s.client.put(news);
    Ok(space)
}

/// ```text
/// METADATA SP mailbox SP "(" entry SP value …
/// ANNOTATION SP mailbox SP entry SP "(" attribute SP value …       value = string ; "available;total"
/// ```
fn parse_space(line: &[u8]) -> Option<(u64, u64)> {
    let metadata = untagged(line, "METADATA").map(|at| (at, 0));
    let (mut at, entries) = metadata.or_else(|| Some((untagged(line, "ANNOTATION")?, 1)))?;
    at.read(mailbox).ok()?;
    for _ in 0..entries {
        at.read(argument(astring)).ok()?;
    }
    at.read(argument(parenthesis(b'('))).ok()?;
    let (_, value) = (at.read(astring).ok()?, at.read(argument(astring)).ok()?);
    let (available, total) = std::str::from_utf8(&value).ok()?.split_once(';')?;
    Some((available.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// The choice. `chance` is uniform in [0, 1).
pub fn select(mode: SelectMode, soft_limit: u32, servers: &[Space], chance: f64) -> Option<&str> {
    let percent = |space: &Space| match space.total {
        0 => None,
        total => Some(space.available.saturating_mul(100) / total).filter(|percent| *percent <= 100),
    };
    let percents: Option<Vec<u64>> = servers.iter().map(percent).collect();
    let name = |at: usize| servers.get(at).map(|space| space.server.as_str());
    let anyone = || name((chance * servers.len() as f64) as usize);
    let Some(percents) = percents.filter(|_| mode != SelectMode::Random) else { return anyone() };
    let soft = u64::from(100 - soft_limit.min(100));
    let fits = percents.iter().any(|percent| *percent > soft);
    let least =
        percents.iter().filter(|percent| !fits || **percent > soft).min().copied().unwrap_or(0) as f64;
    let weight = |percent: &u64| match mode {
        _ if fits && *percent <= soft => 0.0,
        SelectMode::FreespacePercentWeightedDelta => (*percent as f64 - least + 0.5).max(0.0),
        _ => *percent as f64,
    };
    let weights: Vec<f64> = percents.iter().map(weight).collect();
    match mode {
        SelectMode::Random => anyone(),
        SelectMode::FreespaceMost => {
            let room = |at: usize| servers.get(at).map_or(0, |space| space.available) as f64;
            name(first_max(&weights, room)?)
        }
        SelectMode::FreespacePercentMost => {
            name(first_max(&weights, |at| weights.get(at).copied().unwrap_or(0.0))?)
        }
        SelectMode::FreespacePercentWeighted | SelectMode::FreespacePercentWeightedDelta => {
            let sum: f64 = weights.iter().sum();
            let mut left = chance * sum;
            let hit = weights.iter().position(|weight| {
                left -= weight;
                *weight > 0.0 && left < 0.0
            });
            name(hit.or_else(|| weights.iter().rposition(|weight| *weight > 0.0))?)
        }
    }
}

/// The first of the largest, among those with a weight.
fn first_max(weights: &[f64], value: impl Fn(usize) -> f64) -> Option<usize> {
    let mut best: Option<usize> = None;
    for at in (0..weights.len()).filter(|&at| weights.get(at).is_some_and(|weight| *weight > 0.0)) {
        if best.is_none_or(|best| value(at) > value(best)) {
            best = Some(at);
        }
    }
    best
}

/// From 0 to below 1; 0 where the system has no randomness.
fn chance() -> f64 {
    let mut bytes = [0; 8];
    let number = getrandom::fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes));
    (number >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use SelectMode::*;

    fn servers(spaces: &[(u64, u64)]) -> Vec<Space> {
        let space = |(at, &(available, total)): (usize, &(u64, u64))| Space {
            server: format!("be{at}"),
            available,
            total,
        };
        spaces.iter().enumerate().map(space).collect()
    }

    #[test]
    fn each_mode_chooses_by_its_own_measure() {
        let all = servers(&[(500, 10_000), (400, 1000), (90, 100)]);
        assert_eq!(select(FreespaceMost, 0, &all, 0.0), Some("be0"));
        assert_eq!(select(FreespacePercentMost, 0, &all, 0.0), Some("be2"));
        // Weights 5, 40, 90.
        assert_eq!(select(FreespacePercentWeighted, 0, &all, 0.03), Some("be0"));
        assert_eq!(select(FreespacePercentWeighted, 0, &all, 0.3), Some("be1"));
        assert_eq!(select(FreespacePercentWeighted, 0, &all, 0.99), Some("be2"));
        // Weights 0.5, 35.5, 85.5.
        assert_eq!(select(FreespacePercentWeightedDelta, 0, &all, 0.003), Some("be0"));
        assert_eq!(select(FreespacePercentWeightedDelta, 0, &all, 0.01), Some("be1"));
        assert_eq!(select(Random, 0, &all, 0.5), Some("be1"));
    }

    #[test]
    fn full_servers_are_skipped_unless_all_are() {
        let all = servers(&[(500, 10_000), (400, 1000), (90, 100)]);
        // Fuller than 50%: less than 50% free.
        assert_eq!(select(FreespaceMost, 50, &all, 0.0), Some("be2"));
        assert_eq!(select(FreespaceMost, 5, &all, 0.0), Some("be0"), "none is below: no limit");
        assert_eq!(select(FreespaceMost, 0, &[], 0.0), None);
        assert_eq!(select(FreespaceMost, 0, &servers(&[(0, 100)]), 0.0), None, "nothing is free");
    }

    #[test]
    fn who_does_not_know_its_space_makes_it_a_lottery() {
        let all = servers(&[(0, 0), (400, 1000)]);
        assert_eq!(select(FreespaceMost, 0, &all, 0.1), Some("be0"));
        assert_eq!(select(FreespaceMost, 0, &all, 0.6), Some("be1"));
    }

    #[test]
    fn space_is_read_from_both_answers() {
        let line = b"* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/total\" \"12;34\")\r\n";
        assert_eq!(parse_space(line), Some((12, 34)));
        let line =
            b"* ANNOTATION \"\" \"/vendor/cmu/cyrus-imapd/freespace/total\" (\"value.shared\" \"5;6\")\r\n";
        assert_eq!(parse_space(line), Some((5, 6)));
        assert_eq!(parse_space(b"* 3 EXISTS\r\n"), None);
    }
}
