//! LIST, XLIST and RLIST: from this node's own list of mailboxes, whatever the state of the backends; what only they
//! know (subscriptions, special uses, STATUS) is asked of those concerned, and left out where one is down.

use std::collections::{BTreeSet, HashMap};

use listing::{Facts, Seen, Unseen, Viewer};
use protocol::acl::Rights;
use protocol::grammar::{self, argument, mailbox, nstring};
use protocol::imap::command::acl::print_my_rights;
use protocol::imap::command::list::{Kind, Line, List};
use protocol::imap::command::metadata::GetMetadata;
use protocol::imap::command::status::StatusItem;
use protocol::imap::{Code, Refusal, Reply};
use work::aside::{Budget, Pace, Spent, aside};

use super::Request;
use super::metadata::{Gathered, gather, may_read};
use crate::grammar::{flag, put_astring, untagged};
use crate::limits::{LINES_MAX, LIST_LINE, OWN_MAX, rows};
use crate::session::gather::Errand;
use crate::session::{Done, Outcome, Session, Stop};

/// A backend's LIST or LSUB line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListLine {
    pub attributes: Vec<String>,
    pub name: String,
}

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

/// Looks through the list on a blocking thread, where that holds up nobody, for `search_maxtime`.
pub async fn look_around<T: Send + 'static>(
    s: &Session,
    work: impl FnOnce(&Viewer, &Budget) -> Result<T, Unseen> + Send + 'static,
) -> Result<T, Stop> {
    let viewer = viewer(s)?;
    let limit = s.listener.imapd().search_maxtime;
    let looked = aside(limit, move |budget| match work(&viewer, budget) {
        Ok(seen) => Ok(Ok(seen)),
        Err(Unseen::Unreadable(error)) => Ok(Err(error)),
        Err(Unseen::Spent(spent)) => Err(spent),
    });
    match looked.await {
        Ok(seen) => seen.map_err(crate::node::unreadable),
        Err(Spent) => {
            tracing::warn!(
                user = s.user()?.id(),
                ?limit,
                "a command took too long and was ended (search_maxtime)"
            );
            Err(Refusal::TakesTooLong.into())
        }
    }
}

/// The user, and what he may see.
pub fn viewer(s: &Session) -> Result<Viewer, Stop> {
    let (user, imapd) = (s.user()?, s.listener.imapd());
    Ok(Viewer {
        list: s.node.directory.list().clone(),
        namespace: s.node.namespace.clone(),
        granting: s.granting(),
        userid: user.id().to_owned(),
        groups: user.login.groups.clone(),
        admin: user.is_admin(),
        utf8: user.utf8,
        inbox: user.inbox.clone(),
        hides_users: imapd.disable_user_namespace,
        hides_shared: imapd.disable_shared_namespace,
    })
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

/// Special uses belong to the user's own mailboxes: the backends of those are asked. One that is down is left out.
async fn special_uses(s: &mut Session) -> Result<HashMap<String, Vec<String>>, Stop> {
    special_uses_but(s, None).await
}

/// The same of all backends but one.
async fn special_uses_but(s: &mut Session, but: Option<&str>) -> Result<HashMap<String, Vec<String>>, Stop> {
    let mut uses = HashMap::new();
    let Some(inbox) = s.user()?.inbox.clone() else { return Ok(uses) };
    let servers = look_around(s, move |viewer, _| {
        let page = viewer.list.subtree(&inbox, None, OWN_MAX)?;
        Ok(page.entries.iter().map(|(_, entry)| entry.server().to_owned()).collect::<BTreeSet<String>>())
    });
    let servers = servers.await?.into_iter().filter(|server| Some(server.as_str()) != but);
    let ask = |server: String| Errand::new(&server, vec![b"LIST (SPECIAL-USE) \"\" \"*\"".to_vec()]);
    let errands = servers.map(ask).collect();
    let mut size = 0;
    s.gather(errands, LIST_LINE, |_, _, line| {
        let Some(parsed) = ListLine::parse(line, Kind::List) else { return false };
        let special = |word: &String| !is_plain(word);
        let words: Vec<String> = parsed.attributes.into_iter().filter(special).collect();
        size += line.len();
        if size >= LINES_MAX {
            rows::LINES_MAX.met("special uses of more mailboxes than are held are not shown");
        } else if !words.is_empty() {
            uses.insert(parsed.name, words);
        }
        true
    })
    .await?;
    Ok(uses)
}

/// Asks a backend for LIST or LSUB lines; what else it says goes to the client if it is the selected one.
pub async fn ask_lines(
    s: &mut Session,
    server: &str,
    command: &str,
    kind: Kind,
) -> Result<Vec<ListLine>, Stop> {
    s.link(server).await?;
    let id = s.command(server, command)?;
    let selected = s.selected_server() == Some(server);
    let (mut lines, mut news, mut size) = (Vec::new(), Vec::new(), 0);
    let answer = s
        .collect(server, id, LIST_LINE, |line| match ListLine::parse(line, kind) {
            Some(parsed) => {
                size += line.len();
                match size < LINES_MAX {
                    true => lines.push(parsed),
                    false => rows::LINES_MAX
                        .met(format_args!("{server} lists more than is held: the rest is left out")),
                }
            }
            None if selected => news.extend_from_slice(line),
            None => {}
        })
        .await?;
    s.client.put(news);
    if answer.is_ok() { Ok(lines) } else { Err(Stop::Relayed(answer)) }
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
    let mut states = HashMap::new();
    let gathered = s.gather(errands, LIST_LINE, |_, _, line| match status_name(line) {
        Some(name) => {
            states.insert(name, line.to_vec());
            true
        }
        None => false,
    });
    // A mailbox of which a backend refuses to tell just has no line (RFC 5819 section 2).
    let missing = gathered.await?.missing().cloned().collect();
    Ok((states, missing))
}

/// Special uses are taken by one mailbox of a user's, and that may be on another backend than `server`, which knows its own.
pub async fn check_special_uses(
    s: &mut Session,
    server: &str,
    external: &str,
    uses: &[String],
) -> Result<(), Stop> {
    if uses.is_empty() {
        return Ok(());
    }
    let taken = special_uses_but(s, Some(server)).await?;
    let others = taken.iter().filter(|(name, _)| name.as_str() != external).flat_map(|(_, uses)| uses);
    for used in others {
        if uses.iter().any(|wanted| wanted.eq_ignore_ascii_case(used)) {
            return Err(Refusal::BadUse("Special use is taken by another mailbox".to_owned()).into());
        }
    }
    Ok(())
}

/// The mailbox of `* STATUS mailbox (…)`.
fn status_name(line: &[u8]) -> Option<String> {
    untagged(line, "STATUS")?.read(mailbox).ok()
}

impl ListLine {
    /// `* LIST (attributes) "/" name …`
    pub fn parse(line: &[u8], kind: Kind) -> Option<ListLine> {
        let mut at = untagged(line, kind.name())?;
        let attributes = at.read(grammar::list(64, flag)).ok()?;
        at.read(argument(nstring)).ok()?;
        Some(ListLine { attributes, name: at.read(argument(mailbox)).ok()? })
    }
}

/// Whether an attribute is no special use.
pub fn is_plain(word: &str) -> bool {
    PLAIN.iter().any(|plain| word.eq_ignore_ascii_case(plain))
}

/// Attributes that are no special use.
const PLAIN: [&str; 8] = [
    "\\HasChildren",
    "\\HasNoChildren",
    "\\Noselect",
    "\\NonExistent",
    "\\Noinferiors",
    "\\Subscribed",
    "\\Marked",
    "\\Unmarked",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_lines_are_read() {
        let line =
            ListLine::parse(b"* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n", Kind::List).unwrap();
        assert_eq!((line.name.as_str(), line.attributes.len()), ("Sent Items", 2));
        let line = ListLine::parse(b"* LSUB () NIL {3}\r\na\"b\r\n", Kind::Lsub).unwrap();
        assert_eq!(line.name, "a\"b");
        assert_eq!(ListLine::parse(b"* LIST () \"/\" x\r\n", Kind::Lsub), None);
        assert_eq!(ListLine::parse(b"* 3 EXISTS\r\n", Kind::List), None);
        assert_eq!(status_name(b"* STATUS INBOX (MESSAGES 1)\r\n").as_deref(), Some("INBOX"));
    }
}
