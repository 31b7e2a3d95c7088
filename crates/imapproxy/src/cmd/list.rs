//! LIST, XLIST and RLIST: from this node's own list of mailboxes, whatever the state of the backends; what only they
//! know (subscriptions, special uses, STATUS) is asked of those concerned, and left out where one is down.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use protocol::acl::Rights;
use protocol::imap::command::list::List;
use protocol::imap::command::status::StatusItem;
use protocol::imap::{Cursor, Limits, ParseError, print};
use protocol::name::MailboxName;
use work::aside::{Budget, Pace, Spent, aside};

use super::Request;
use super::acl::rights_of;
use crate::grammar::put_astring;
pub use crate::listing::Sight;
use crate::listing::{self, Facts, Seen};
use crate::node::{Listener, Node};
use crate::session::{Session, Stop, User};

/// A backend's LIST or LSUB line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListLine {
    pub attributes: Vec<String>,
    pub name: String,
}

/// `LIST …`, `XLIST …`, `RLIST …`
pub async fn list(s: &mut Session, request: &Request, list: List) -> Result<(), Stop> {
    s.note_referrals(request.head.verb == "RLIST" || list.select.remote);
    s.hear_selected("").await?;
    let tag = &request.head.tag;
    let kind = if list.xlist { "XLIST" } else { "LIST" };
    let separator = s.node.namespace.separator();
    if list.patterns.iter().all(String::is_empty) && !list.extended {
        s.client.put(format!("* {kind} (\\Noselect) \"{separator}\" \"\"\r\n{tag} OK Completed\r\n"));
        return Ok(());
    }
    if !s.node.directory.list().is_complete() {
        return Err(Stop::no(crate::session::UNSURE));
    }
    let list = list.narrowed(s.listener.imapd().foolstupidclients);
    let facts = facts(s, &list).await?;
    let asked = list.clone();
    let look = move |eyes: &Eyes, budget: &Budget| {
        let namespace = &eyes.node.namespace;
        let patterns: Vec<_> =
            asked.patterns.iter().map(|p| namespace.pattern(&asked.reference, p)).collect();
        let prefixes: Vec<&str> = patterns.iter().map(|pattern| pattern.fixed_prefix()).collect();
        let sight = Sight::of(eyes, &prefixes, budget)?;
        let lines = listing::shown(&asked, &sight, &facts, namespace, budget)?;
        Ok((lines, sight, facts))
    };
    let (lines, sight, facts) = look_around(s, look).await?;
    let mut states = HashMap::new();
    if !list.returns.status.is_empty() {
        let readable = |seen: &&Seen| seen.rights.contains(Rights::READ);
        let wanted: Vec<Seen> =
            lines.iter().filter_map(|line| sight.get(&line.external)).filter(readable).cloned().collect();
        states = statuses(s, &wanted, &list.returns.status).await?;
    }
    let mut pace = Pace::default();
    for line in lines {
        let mut out = Vec::new();
        let mut attributes = line.attributes(&list, &sight, &facts);
        if list.xlist && line.external == "INBOX" {
            attributes.push_str(" \\Inbox");
        }
        ListLine::put_parts(&mut out, kind, &attributes, separator, &line.external);
        let extension = line.extension(&list);
        if !extension.is_empty() {
            out.truncate(out.len() - 2);
            out.extend_from_slice(extension.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(seen) = sight.get(&line.external).filter(|_| line.exists) {
            if list.returns.my_rights {
                super::acl::put_my_rights(&mut out, &seen.external, seen.rights);
            }
            if let Some(status) = states.get(&seen.external) {
                out.extend_from_slice(status);
            }
        }
        s.client.put(out);
        if !s.client.peer.has_room() {
            s.client.flush().await?;
        }
        pace.step().await;
    }
    s.client.put(format!("{tag} OK Completed\r\n"));
    Ok(())
}

/// Who looks around, for work on another thread.
pub struct Eyes {
    pub node: Arc<Node>,
    listener: Arc<Listener>,
    user: User,
}

/// Why looking around did not come to its end.
pub enum Unseen {
    Spent(Spent),
    Unreadable(mailboxes::Error),
}

impl From<Spent> for Unseen {
    fn from(spent: Spent) -> Unseen {
        Unseen::Spent(spent)
    }
}

impl From<mailboxes::Error> for Unseen {
    fn from(error: mailboxes::Error) -> Unseen {
        Unseen::Unreadable(error)
    }
}

/// Looks through the list on a blocking thread, where that holds up nobody, for `search_maxtime`.
pub async fn look_around<T: Send + 'static>(
    s: &Session,
    work: impl FnOnce(&Eyes, &Budget) -> Result<T, Unseen> + Send + 'static,
) -> Result<T, Stop> {
    let eyes = Eyes { node: s.node.clone(), listener: s.listener.clone(), user: s.user()?.clone() };
    let limit = s.listener.imapd().search_maxtime;
    let looked = aside(limit, move |budget| match work(&eyes, budget) {
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
            Err(Stop::no("[LIMIT] This takes too long"))
        }
    }
}

impl Eyes {
    /// The entry as the user sees it, if that may be, and its name begins (or ends above) as one of the prefixes does.
    fn see(&self, name: MailboxName, entry: &mailboxes::Entry, prefixes: &[&str]) -> Option<Seen> {
        let (namespace, imapd, user) = (&self.node.namespace, self.listener.imapd(), &self.user);
        let rights = rights_of(user, &name, &entry.acl, &imapd.implicit_owner_rights);
        let rank = listing::rank(&name, user.inbox.as_ref());
        let hidden = namespace.is_hidden(&name)
            || (rank == 1 && imapd.disable_user_namespace)
            || (rank == 2 && imapd.disable_shared_namespace);
        if !user.is_admin() && (!rights.contains(Rights::LOOKUP) || !entry.is_active() || hidden) {
            return None;
        }
        let external = namespace.external(&name, &user.view());
        let wanted = prefixes.iter().any(|prefix| listing::related(&external, prefix));
        wanted.then(|| Seen { name, external, rights, server: entry.server().to_owned() })
    }
}

impl Sight {
    /// Looks around, as far as names that begin with one of `prefixes` are concerned. Blocks.
    pub fn of(eyes: &Eyes, prefixes: &[&str], budget: &Budget) -> Result<Sight, Unseen> {
        let mut prefixes = prefixes.to_vec();
        prefixes.sort_unstable();
        prefixes.dedup();
        let (user, namespace) = (&eyes.user, &eyes.node.namespace);
        let (list, inbox) = (eyes.node.directory.list(), user.inbox.as_ref());
        let mut mailboxes = Vec::new();
        if user.is_admin() {
            // All names that begin as the pattern does are one run of the list.
            let start = match prefixes.as_slice() {
                [prefix] if !namespace.virtdomains => {
                    namespace.internal(prefix.trim_end_matches(namespace.separator()), &user.view()).ok()
                }
                _ => None,
            };
            all_from(list, start, |name, entry| {
                mailboxes.extend(eyes.see(name, entry, &prefixes));
                budget.check()
            })?;
        } else {
            for (name, entry) in list.visible_to(inbox, user.id(), &user.login.groups)? {
                budget.check()?;
                mailboxes.extend(eyes.see(name, &entry, &prefixes));
            }
            mailboxes.sort_by_key(|seen: &Seen| listing::rank(&seen.name, inbox));
        }
        Ok(Sight::new(mailboxes, namespace.separator()))
    }
}

/// Gives `look` every entry whose name begins with `start`; every one there is without it.
fn all_from(
    list: &mailboxes::List,
    start: Option<MailboxName>,
    mut look: impl FnMut(MailboxName, &mailboxes::Entry) -> Result<(), Spent>,
) -> Result<(), Unseen> {
    if let Some(start) = &start
        && let Some(entry) = list.get(start)?
    {
        look(start.clone(), &entry)?;
    }
    let within =
        |name: &MailboxName| start.as_ref().is_none_or(|start| name.as_str().starts_with(start.as_str()));
    let mut after = start.clone();
    loop {
        let page = list.scan(after.as_ref(), PAGE)?;
        after = page.entries.last().map(|(name, _)| name.clone());
        for (name, entry) in page.entries.into_iter().take_while(|(name, _)| within(name)) {
            look(name, &entry)?;
        }
        if !page.more || after.as_ref().is_some_and(|last| !within(last)) {
            return Ok(());
        }
    }
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
    let mut uses = HashMap::new();
    let Some(inbox) = s.user()?.inbox.clone() else { return Ok(uses) };
    let servers = look_around(s, move |eyes, _| {
        let page = eyes.node.directory.list().subtree(&inbox, None, OWN_MAX)?;
        Ok(page.entries.iter().map(|(_, entry)| entry.server().to_owned()).collect::<BTreeSet<String>>())
    });
    let servers = servers.await?;
    for server in servers {
        let lines = match ask_lines(s, &server, "LIST (SPECIAL-USE) \"\" \"*\"", "LIST").await {
            Ok(lines) => lines,
            Err(Stop::Backend { server, .. }) if s.selected_server() != Some(server.as_str()) => {
                s.links.remove(&server);
                continue;
            }
            Err(Stop::Answer(_)) => continue,
            Err(stop) => return Err(stop),
        };
        for line in lines {
            let special = |word: &String| !PLAIN.iter().any(|plain| word.eq_ignore_ascii_case(plain));
            let words: Vec<String> = line.attributes.into_iter().filter(special).collect();
            if !words.is_empty() {
                uses.insert(line.name, words);
            }
        }
    }
    Ok(uses)
}

/// Asks a backend for LIST or LSUB lines; what else it says goes to the client if it is the selected one.
pub async fn ask_lines(
    s: &mut Session,
    server: &str,
    command: &str,
    kind: &str,
) -> Result<Vec<ListLine>, Stop> {
    s.link(server).await?;
    let id = s.command(server, command)?;
    let selected = s.selected_server() == Some(server);
    let (mut lines, mut news, mut size) = (Vec::new(), Vec::new(), 0);
    let answer = s
        .collect(server, id, LINE_MAX, |line| match ListLine::parse(line, kind) {
            Some(parsed) => {
                size += line.len();
                if size < LINES_MAX {
                    lines.push(parsed);
                }
            }
            None if selected => news.extend_from_slice(line),
            None => {}
        })
        .await?;
    s.client.put(news);
    if answer.is_ok() { Ok(lines) } else { Err(Stop::Answer(answer.text())) }
}

/// The STATUS lines of these mailboxes, by name: each backend is asked for all of its own at once.
async fn statuses(
    s: &mut Session,
    wanted: &[Seen],
    items: &[StatusItem],
) -> Result<HashMap<String, Vec<u8>>, Stop> {
    let items = items.iter().map(|item| item.name()).collect::<Vec<_>>().join(" ");
    let servers: BTreeSet<&str> = wanted.iter().map(|seen| seen.server.as_str()).collect();
    let mut states = HashMap::new();
    for server in servers {
        let here: Vec<&Seen> = wanted.iter().filter(|seen| seen.server == server).collect();
        for some in here.chunks(AT_ONCE) {
            match status_of(s, server, some, &items, &mut states).await {
                Ok(()) => {}
                Err(Stop::Backend { server, .. }) if s.selected_server() != Some(server.as_str()) => {
                    s.links.remove(&server);
                    break;
                }
                Err(stop) => return Err(stop),
            }
        }
    }
    Ok(states)
}

async fn status_of(
    s: &mut Session,
    server: &str,
    some: &[&Seen],
    items: &str,
    states: &mut HashMap<String, Vec<u8>>,
) -> Result<(), Stop> {
    s.link(server).await?;
    let mut last = None;
    for seen in some {
        let mut command = b"STATUS ".to_vec();
        put_astring(&mut command, seen.external.as_bytes());
        command.extend_from_slice(format!(" ({items})").as_bytes());
        last = Some(s.command(server, command)?);
    }
    let Some(last) = last else { return Ok(()) };
    let selected = s.selected_server() == Some(server);
    let mut news = Vec::new();
    s.collect(server, last, LINE_MAX, |line| match status_name(line) {
        Some(name) => {
            states.insert(name, line.to_vec());
        }
        None if selected => news.extend_from_slice(line),
        None => {}
    })
    .await?;
    s.client.put(news);
    Ok(())
}

/// The mailbox of `* STATUS mailbox (…)`.
fn status_name(line: &[u8]) -> Option<String> {
    let mut at = after_kind(line, "STATUS")?;
    at.mailbox().ok()
}

fn after_kind<'a>(line: &'a [u8], kind: &str) -> Option<Cursor<'a>> {
    let mut at = Cursor::new(protocol::frame::trim_line(line), Limits::default());
    (at.eat(b'*') && at.space().is_ok() && at.eat_word(kind) && at.space().is_ok()).then_some(at)
}

impl ListLine {
    /// `* LIST (attributes) "/" name …`
    pub fn parse(line: &[u8], kind: &str) -> Option<ListLine> {
        let mut at = after_kind(line, kind)?;
        let attributes = at.list(64, |word| {
            let backslash = if word.eat(b'\\') { "\\" } else { "" };
            Ok::<_, ParseError>(format!("{backslash}{}", word.atom()?))
        });
        let attributes = attributes.ok()?;
        at.space().ok()?;
        at.nstring().ok()?;
        at.space().ok()?;
        Some(ListLine { attributes, name: at.mailbox().ok()? })
    }

    /// Writes such a line.
    pub fn put_parts(out: &mut Vec<u8>, kind: &str, attributes: &str, separator: char, name: &str) {
        out.extend_from_slice(format!("* {kind} ({attributes}) \"{separator}\" ").as_bytes());
        print::astring(out, name.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
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
/// Entries taken at once from the list.
const PAGE: usize = 1000;
/// More own mailboxes than anyone has.
const OWN_MAX: usize = 20_000;
/// STATUS commands on their way at once.
const AT_ONCE: usize = 64;
const LINE_MAX: usize = 64 * 1024;
/// Bytes of all lines of one answer.
const LINES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_lines_are_read() {
        let line =
            ListLine::parse(b"* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n", "LIST").unwrap();
        assert_eq!((line.name.as_str(), line.attributes.len()), ("Sent Items", 2));
        let line = ListLine::parse(b"* LSUB () NIL {3}\r\na\"b\r\n", "LSUB").unwrap();
        assert_eq!(line.name, "a\"b");
        assert_eq!(ListLine::parse(b"* LIST () \"/\" x\r\n", "LSUB"), None);
        assert_eq!(ListLine::parse(b"* 3 EXISTS\r\n", "LIST"), None);
        assert_eq!(status_name(b"* STATUS INBOX (MESSAGES 1)\r\n").as_deref(), Some("INBOX"));
    }
}
