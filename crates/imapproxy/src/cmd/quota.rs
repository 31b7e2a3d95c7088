//! Quotas (RFC 9208): kept by the backends that have the mailboxes below the root, each for itself.

use std::collections::BTreeMap;

use mailboxes::LIST_PAGE;
use protocol::imap::command::quota::{OfRoot, SetQuota, Usage, print_quota, response};
use protocol::imap::{ParseError, Refusal};

use super::Request;
use crate::grammar::{put_astring, untagged};
use crate::limits::LIST_LINE;
use crate::session::gather::{Errand, Gathered};
use crate::session::{Done, Located, Outcome, Session, Stop};

/// `GETQUOTAROOT mailbox`
pub async fn get_root(s: &mut Session, request: &Request) -> Outcome {
    let (mailbox, rest) = request.head.mailbox(&request.raw)?;
    if !rest.trim_ascii().is_empty() {
        return Err(Refusal::malformed(&ParseError::Extra, &request.head.title()).into());
    }
    let located = s.locate(&mailbox).await?;
    Ok(s.forward(located.server(), &request.head.tag, request.text()).await?.into())
}

/// `GETQUOTA root`: of several backends what they use together, with the limit that each of them keeps.
pub async fn get(s: &mut Session, request: &Request, root: &str) -> Outcome {
    if !s.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let servers = servers(s, root, Refusal::NoQuotaRoot).await?;
    if let [server] = &servers[..] {
        return Ok(s.forward(server, &request.head.tag, request.text()).await?.into());
    }
    s.hear_selected("").await?;
    let (of_each, told) = ask(s, &servers, root).await?;
    if let Some(refused) = told.refusal() {
        return Err(refused);
    }
    let together = together(of_each.into_values());
    s.client.print(|out| print_quota(out, root, &shown(&together)));
    Ok(Done::completed())
}

/// `SETQUOTA root (limits)`: on each backend that has mailboxes below the root, or on none.
pub async fn set(s: &mut Session, request: &Request, set: SetQuota) -> Outcome {
    if !s.user()?.is_admin() {
        return Err(Refusal::Denied.into());
    }
    let root = set.root.strip_prefix('+').unwrap_or(&set.root).to_owned();
    let servers = servers(s, &root, Refusal::NoMailbox).await?;
    if let [server] = &servers[..] {
        return Ok(s.forward(server, &request.head.tag, request.text()).await?.into());
    }
    s.hear_selected("").await?;
    let (before, told) = ask(s, &servers, &root).await?;
    // One that has no such root yet says NO.
    if told.missing().next().is_some() {
        return Err(Refusal::ServerDown.into());
    }
    let new = servers.iter().map(|server| limit(server, &root, &set.limits)).collect();
    let was = |server: &String| {
        let kept = before.get(server).cloned().unwrap_or_default();
        let limits: Vec<_> = kept.into_iter().map(|(name, _, limit)| (name, Some(limit))).collect();
        limit(server, &root, &limits)
    };
    let undo = servers.iter().map(was).collect();
    s.set_everywhere(new, undo, LIST_LINE, |line| parse(line).is_some()).await?;
    let (of_each, _) = ask(s, &servers, &root).await?;
    let together = together(of_each.into_values());
    s.client.print(|out| print_quota(out, &root, &shown(&together)));
    Ok(Done::completed())
}

/// What each backend says of a root, by server.
type OfEach = BTreeMap<String, Vec<(String, u64, u64)>>;

async fn ask(s: &mut Session, servers: &[String], root: &str) -> Result<(OfEach, Gathered), Stop> {
    let mut command = b"GETQUOTA ".to_vec();
    put_astring(&mut command, root.as_bytes());
    let errands = servers.iter().map(|server| Errand::new(server, vec![command.clone()])).collect();
    let mut of_each = OfEach::new();
    let told = s.gather(errands, LIST_LINE, |_, server, line| match parse(line) {
        Some((_, resources)) => {
            of_each.insert(server.to_owned(), resources);
            true
        }
        None => false,
    });
    let told = told.await?;
    Ok((of_each, told))
}

/// `SETQUOTA +root (limits)`: the root itself may be on another backend.
fn limit(server: &str, root: &str, limits: &[(String, Option<u64>)]) -> Errand {
    let mut command = b"SETQUOTA ".to_vec();
    put_astring(&mut command, format!("+{root}").as_bytes());
    let limits: Vec<String> = (limits.iter())
        .map(|(name, limit)| format!("{name} {}", limit.map_or("-1".to_owned(), |limit| limit.to_string())))
        .collect();
    command.extend_from_slice(format!(" ({})", limits.join(" ")).as_bytes());
    Errand::new(server, vec![command])
}

fn parse(line: &[u8]) -> Option<OfRoot> {
    untagged(line, "QUOTA")?.read(response).ok()
}

/// Usage added up; limits are each backend's own, and the largest is shown.
fn together(of_each: impl IntoIterator<Item = Vec<(String, u64, u64)>>) -> Vec<(String, u64, u64)> {
    let mut sum: Vec<(String, u64, u64)> = Vec::new();
    for (name, used, limit) in of_each.into_iter().flatten() {
        match sum.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, all, most)) => (*all, *most) = (all.saturating_add(used), limit.max(*most)),
            None => sum.push((name, used, limit)),
        }
    }
    sum
}

fn shown(resources: &[(String, u64, u64)]) -> Vec<Usage<'_>> {
    resources.iter().map(|(name, used, limit)| (name.as_str(), *used, *limit)).collect()
}

/// The backends that have mailboxes of a root's tree, that of the root itself first. `missing`: what it is where there is no such
/// mailbox.
async fn servers(s: &Session, root: &str, missing: Refusal) -> Result<Vec<String>, Stop> {
    let located = match s.locate(root).await {
        Err(Stop::Refused(Refusal::NoMailbox)) => {
            // An administrator of one domain knows of no roots in others.
            let foreign = s.internal(root).is_err();
            return Err(if foreign { Refusal::NoQuotaRoot } else { missing }.into());
        }
        other => other?,
    };
    let mut servers = vec![located.server().to_owned()];
    let list = s.node.directory.list();
    let mut after = None;
    loop {
        let page =
            list.subtree(&located.name, after.as_ref(), LIST_PAGE).map_err(crate::outcome::unreadable)?;
        for (_, entry) in &page.entries {
            if !servers.iter().any(|server| server == entry.server()) {
                servers.push(entry.server().to_owned());
            }
        }
        after = page.entries.last().map(|(name, _)| name.clone());
        if !page.more {
            return Ok(servers);
        }
    }
}

/// Refuses where something below a mailbox is on another backend.
pub fn on_one_server(s: &Session, root: &Located) -> Result<(), Stop> {
    let list = s.node.directory.list();
    let mut after = None;
    loop {
        let page = list.subtree(&root.name, after.as_ref(), LIST_PAGE).map_err(crate::outcome::unreadable)?;
        if page.entries.iter().any(|(_, entry)| entry.server() != root.server()) {
            return Err(Refusal::SplitHierarchy.into());
        }
        after = page.entries.last().map(|(name, _)| name.clone());
        if !page.more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_backends_use_is_added_up() {
        let (_, one) = parse(b"* QUOTA user/fred (STORAGE 10 100 MESSAGE 1 5)\r\n").unwrap();
        let (_, two) = parse(b"* QUOTA \"user/fred\" (STORAGE 7 100)\r\n").unwrap();
        let sum = together([one, two]);
        assert_eq!(shown(&sum), [("STORAGE", 17, 100), ("MESSAGE", 1, 5)]);
        let asked =
            limit("be1", "user/fred", &[("STORAGE".to_owned(), Some(5)), ("MESSAGE".to_owned(), None)]);
        assert_eq!(asked.commands, [b"SETQUOTA +user/fred (STORAGE 5 MESSAGE -1)".to_vec()]);
    }
}
