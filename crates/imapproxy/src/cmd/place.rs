//! Where a new top-level mailbox goes: the backends are asked for their free space, where nothing else decides.

use config::imapd::SelectMode;
use protocol::grammar::{argument, astring, mailbox, parenthesis};
use tracing::warn;

use crate::grammar::untagged;
use crate::limits::PLACEMENT_LINE;
use crate::placement::{Space, chance, select};
use crate::session::{Session, Stop};

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

#[cfg(test)]
mod tests {
    use super::*;

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
