//! LIST, XLIST and RLIST: from this node's own list of mailboxes, whatever the state of the backends; what only they
//! know (subscriptions, special uses, STATUS) is asked of those concerned, and left out where one is down.

use std::collections::{BTreeSet, HashMap};

use listing::{Facts, Seen};
use protocol::acl::Rights;
use protocol::grammar::mailbox;
use protocol::imap::command::acl::print_my_rights;
use protocol::imap::command::list::{Kind, Line, List};
use protocol::imap::command::metadata::GetMetadata;
use protocol::imap::command::status::StatusItem;
use protocol::imap::{Code, Refusal, Reply};
use work::aside::Pace;

use super::Request;
use super::lines::special_uses;
use super::look::look_around;
use super::metadata::{Gathered, gather, may_read};
use crate::grammar::{put_astring, untagged};
use crate::limits::LIST_LINE;
use crate::session::gather::Errand;
use crate::session::owners::Owners;
use crate::session::{Done, Outcome, Session, Stop};

/// `LIST …`, `XLIST …`, `RLIST …`
pub async fn list(s: &mut Session, request: &Request, list: List) -> Outcome {
    s.note_referrals(request.head.verb == "RLIST" || list.select.remote);
    s.hear_selected("").await?;
    if list.patterns.iter().all(String::is_empty) && !list.extended {
        let kind = if list.xlist { Kind::Xlist } else { Kind::List };
        let separator = s.node.namespace.separator();
        s.client.print(|out| Line::of_separator(kind, separator).print(out));
        return Ok(Done::completed());
    }
    if !s.node.directory.list().is_complete() {
        return Err(Refusal::ListUnsure.into());
    }
    let list = list.narrowed(s.listener.imapd().foolstupidclients);
    let facts = facts(s, &list).await?;
    let asked = list.clone();
    let answer = look_around(s, move |viewer, budget| listing::list(asked, facts, viewer, budget)).await?;
    if list.returns.status.contains(&StatusItem::HighestModseq) {
        super::session::imply_condstore(s, "").await?;
    }
    let extras = extras(s, &list, &answer).await?;
    let mut pace = Pace::default();
    for line in &answer.lines {
        let mut out = Vec::new();
        answer.print(line, &mut out);
        if let Some(seen) = answer.seen(line) {
            if let Some(status) = extras.states.get(&seen.external) {
                out.extend_from_slice(status);
            }
            if list.returns.my_rights {
                print_my_rights(&mut out, &seen.external, seen.rights);
            }
            if !extras.get.entries.is_empty() && extras.told_of(seen) && may_read(s, seen.rights).is_ok() {
                extras.metadata.write(&mut out, &extras.get, seen);
            }
        }
        s.client.put(out);
        if !s.client.peer.has_room() {
            s.client.flush().await?;
        }
        pace.step().await;
    }
    Ok(match extras.metadata.longest {
        Some(bytes) => Done::Here(Reply::completed().code(Code::LongEntries(bytes))),
        None => Done::completed(),
    })
}

/// What only backends know of the mailboxes of a LIST.
struct Extras {
    /// STATUS lines, by name.
    states: HashMap<String, Vec<u8>>,
    get: GetMetadata,
    metadata: Gathered,
}

impl Extras {
    fn told_of(&self, seen: &Seen) -> bool {
        !self.metadata.down.contains(&seen.server)
    }
}

async fn extras(s: &mut Session, list: &List, answer: &listing::Answer) -> Result<Extras, Stop> {
    let get = GetMetadata {
        mailboxes: Vec::new(),
        options: list.select.metadata,
        entries: list.returns.metadata.clone(),
    };
    let mut extras = Extras { states: HashMap::new(), get, metadata: Gathered::default() };
    let mut missing = BTreeSet::new();
    let all: Vec<&Seen> = answer.lines.iter().filter_map(|line| answer.seen(line)).collect();
    if !list.returns.status.is_empty() {
        let readable: Vec<&Seen> =
            all.iter().copied().filter(|seen| seen.rights.contains(Rights::READ)).collect();
        let (states, down) = statuses(s, &readable, &list.returns.status).await?;
        (extras.states, missing) = (states, down);
    }
    if !list.returns.metadata.is_empty() {
        let readable: Vec<Seen> =
            all.into_iter().filter(|seen| may_read(s, seen.rights).is_ok()).cloned().collect();
        extras.metadata = gather(s, &extras.get, &readable).await?;
        missing.extend(extras.metadata.down.iter().cloned());
    }
    s.tell_missing(&missing);
    Ok(extras)
}

/// What is to be asked of backends for this LIST.
async fn facts(s: &mut Session, list: &List) -> Result<Facts, Stop> {
    let mut facts = Facts::default();
    if list.returns.subscribed || list.select.subscribed {
        facts.subscribed = super::lsub::subscriptions(s).await?;
    }
    if list.returns.special_use || list.select.special_use || s.listener.imapd().specialusealways {
        facts.uses = special_uses(s).await?;
    }
    Ok(facts)
}

/// The STATUS lines of these mailboxes, by name, and the servers that cannot be had: all backends are asked at once.
async fn statuses(
    s: &mut Session,
    wanted: &[&Seen],
    items: &[StatusItem],
) -> Result<(HashMap<String, Vec<u8>>, BTreeSet<String>), Stop> {
    let items = items.iter().map(|item| item.name()).collect::<Vec<_>>().join(" ");
    let errands = Errand::by_server(wanted.iter().map(|seen| {
        let mut command = b"STATUS ".to_vec();
        put_astring(&mut command, seen.external.as_bytes());
        command.extend_from_slice(format!(" ({items})").as_bytes());
        (seen.server.as_str(), command)
    }));
    let (owners, mut states) = (Owners::of(wanted.iter().copied()), HashMap::new());
    let gathered = s.gather(errands, LIST_LINE, |_, server, line| match status_name(line) {
        Some(name) => {
            if owners.has(server, &name) {
                states.insert(name, line.to_vec());
            }
            true
        }
        None => false,
    });
    // A mailbox of which a backend refuses to tell just has no line (RFC 5819 section 2).
    let missing = gathered.await?.missing().cloned().collect();
    Ok((states, missing))
}

/// The mailbox of `* STATUS mailbox (…)`.
fn status_name(line: &[u8]) -> Option<String> {
    untagged(line, "STATUS")?.read(mailbox).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_of_a_status_line_is_read() {
        assert_eq!(status_name(b"* STATUS INBOX (MESSAGES 1)\r\n").as_deref(), Some("INBOX"));
    }
}
