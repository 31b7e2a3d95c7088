//! LIST with its extensions (RFC 3501, RFC 5258, RFC 5819, RFC 6154, RFC 8440) and NAMESPACE (RFC 2342).
//!
//! What the user may see ([`Sight`]) is gathered from the mailbox list: his own mailboxes and what ACLs grant him,
//! never all there is (an admin sees all). Against that run the patterns. A pattern that ends in `%` shows parents
//! too that do not exist but have children, as `\Noselect` (or `\NonExistent` to clients that speak RFC 5258).

use std::collections::{BTreeMap, HashMap, HashSet};

use mailboxes::Entry;
use protocol::acl::Rights;
use protocol::imap::command::list::List;
use protocol::imap::print;
use protocol::name::MailboxName;

use crate::imap::reply::{Outcome, Reply, Stop};
use crate::imap::session::Session;

/// A mailbox that the user may see.
pub struct Seen {
    pub name: MailboxName,
    pub external: String,
    pub rights: Rights,
}

/// What a user sees of all mailboxes.
pub struct Sight {
    /// Own ones first, then other users', then shared ones, each in the order of the list.
    pub mailboxes: Vec<Seen>,
    at: HashMap<String, usize>,
    parents: HashSet<String>,
}

impl Sight {
    /// Looks around, as far as names that begin with one of `prefixes` are concerned.
    pub fn of(session: &Session, prefixes: &[&str]) -> Result<Sight, Stop> {
        let user = session.user()?;
        let namespace = &session.server.namespace;
        let inbox = namespace.inbox(user.id()).ok();
        let mut mailboxes = Vec::new();
        let mut look = |name: MailboxName, entry: &Entry| {
            let rights = session.server.store.rights(&name, &entry.acl, user.who());
            let visible = user.is_admin()
                || (rights.contains(Rights::LOOKUP) && entry.is_active() && !namespace.is_hidden(&name));
            if !visible || hidden_by_option(session, &name, inbox.as_ref()) {
                return;
            }
            let external = user.external(&name, namespace);
            if prefixes.iter().any(|prefix| related(&external, prefix)) {
                mailboxes.push(Seen { name, external, rights });
            }
        };
        if user.is_admin() {
            let list = session.server.store.list();
            // All names that begin as the pattern does are one run of the list.
            let start = match prefixes {
                [prefix] if !namespace.virtdomains => {
                    let prefix = prefix.trim_end_matches(namespace.separator());
                    namespace.internal(prefix, &user.view()).ok()
                }
                _ => None,
            };
            if let Some(start) = &start
                && let Some(entry) = list.get(start).map_err(unlisted)?
            {
                look(start.clone(), &entry);
            }
            let within = |name: &MailboxName| {
                start.as_ref().is_none_or(|start| name.as_str().starts_with(start.as_str()))
            };
            let mut after = start.clone();
            loop {
                let page = list.scan(after.as_ref(), PAGE).map_err(unlisted)?;
                after = page.entries.last().map(|(name, _)| name.clone());
                let run = page.entries.into_iter().take_while(|(name, _)| within(name));
                run.for_each(|(name, entry)| look(name, &entry));
                if !page.more || after.as_ref().is_some_and(|last| !within(last)) {
                    break;
                }
            }
        } else {
            let list = session.server.store.list();
            let found = list.visible_to(inbox.as_ref(), user.id(), &user.login.groups).map_err(unlisted)?;
            found.into_iter().for_each(|(name, entry)| look(name, &entry));
            mailboxes.sort_by_key(|seen| rank(&seen.name, inbox.as_ref()));
        }
        Ok(Sight::new(mailboxes, namespace.separator()))
    }

    fn new(mailboxes: Vec<Seen>, separator: char) -> Sight {
        let mut parents = HashSet::new();
        for seen in &mailboxes {
            let mut name = seen.external.as_str();
            while let Some((parent, _)) = name.rsplit_once(separator) {
                if !parents.insert(parent.to_owned()) {
                    break;
                }
                name = parent;
            }
        }
        let at = mailboxes.iter().enumerate().map(|(at, seen)| (seen.external.clone(), at)).collect();
        Sight { mailboxes, at, parents }
    }

    pub fn get(&self, external: &str) -> Option<&Seen> {
        self.at.get(external).and_then(|&at| self.mailboxes.get(at))
    }

    pub fn has_children(&self, external: &str) -> bool {
        self.parents.contains(external)
    }
}

/// One line of the answer.
#[derive(Default)]
struct Line {
    exists: bool,
    subscribed: bool,
    /// A child fulfils the selection (RECURSIVEMATCH).
    child_info: bool,
}

pub async fn list(session: &mut Session, list: List) -> Outcome {
    let separator = session.server.namespace.separator();
    let kind = if list.xlist { "XLIST" } else { "LIST" };
    if list.patterns.iter().all(String::is_empty) && !list.extended {
        session.conn.put_line(format!("* {kind} (\\Noselect) \"{separator}\" \"\""));
        return Ok(Reply::completed());
    }
    let list = list.narrowed(session.server.imapd.foolstupidclients);
    let namespace = &session.server.namespace;
    let patterns: Vec<_> = list.patterns.iter().map(|p| namespace.pattern(&list.reference, p)).collect();
    let prefixes: Vec<&str> = patterns.iter().map(|pattern| pattern.fixed_prefix()).collect();
    let sight = Sight::of(session, &prefixes)?;
    let user = session.user()?;
    let subscribed: HashSet<String> = if list.returns.subscribed || list.select.subscribed {
        super::subscribe::names(session, user.id()).await?
    } else {
        HashSet::new()
    };
    let uses = special_uses(session, &list).await?;
    let selects = |name: &str| {
        let special = sight.get(name).is_some_and(|seen| uses.contains_key(&seen.name));
        (!list.select.subscribed || subscribed.contains(name)) && (!list.select.special_use || special)
    };
    let mut candidates: Vec<&str> = sight.mailboxes.iter().map(|seen| seen.external.as_str()).collect();
    if list.select.subscribed {
        let mut elsewhere: Vec<&str> =
            subscribed.iter().map(String::as_str).filter(|name| sight.get(name).is_none()).collect();
        elsewhere.sort_unstable();
        candidates.extend(elsewhere);
    }
    let filtered = list.select.subscribed || list.select.special_use;
    let mut lines: Vec<(String, Line)> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    for name in candidates {
        if !selects(name) {
            continue;
        }
        for pattern in &patterns {
            let parents = list.select.recursive_match || (!filtered && pattern_shows_parents(&list, pattern));
            if parents {
                for parent in pattern.matched_ancestors(name) {
                    if list.select.recursive_match || sight.get(parent).is_none() {
                        let line = line(&mut lines, &mut at, parent);
                        line.exists = sight.get(parent).is_some();
                        line.child_info |= list.select.recursive_match;
                        line.subscribed = subscribed.contains(parent);
                    }
                }
            }
            if pattern.matches(name) {
                let line = line(&mut lines, &mut at, name);
                line.exists = sight.get(name).is_some();
                line.subscribed = subscribed.contains(name);
            }
        }
    }
    for (external, line) in lines {
        let seen = sight.get(&external).filter(|_| line.exists);
        let mut attributes = attributes(&line, &list, sight.has_children(&external));
        if list.xlist && external == "INBOX" {
            attributes.push("\\Inbox".to_owned());
        }
        if let Some(uses) = seen.and_then(|seen| uses.get(&seen.name)) {
            attributes.extend(uses.iter().cloned());
        }
        let out = session.conn.out();
        write_line(out, kind, &attributes, separator, &external);
        if line.child_info && list.select.subscribed {
            out.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
        } else if line.child_info {
            out.extend_from_slice(b" (\"CHILDINFO\" (\"SPECIAL-USE\"))");
        }
        out.extend_from_slice(b"\r\n");
        if let Some(seen) = seen {
            extras(session, &list, seen).await?;
        }
        session.conn.relieve().await?;
    }
    Ok(Reply::completed())
}

/// MYRIGHTS and STATUS lines behind a mailbox's LIST line.
async fn extras(session: &mut Session, list: &List, seen: &Seen) -> Result<(), Stop> {
    if list.returns.my_rights {
        super::acl::write_my_rights(session, &seen.external, seen.rights);
    }
    if !list.returns.status.is_empty() && seen.rights.contains(Rights::READ) {
        // A mailbox that went away meanwhile, or cannot be opened, just has no STATUS line (RFC 5819 section 2).
        let told = super::status::write(session, &seen.name, &seen.external, &list.returns.status).await;
        match told {
            Err(Stop::Reply(_)) => {}
            other => other?,
        }
    }
    Ok(())
}

fn line<'l>(lines: &'l mut Vec<(String, Line)>, at: &mut HashMap<String, usize>, name: &str) -> &'l mut Line {
    let index = *at.entry(name.to_owned()).or_insert_with(|| {
        lines.push((name.to_owned(), Line::default()));
        lines.len() - 1
    });
    &mut lines[index].1
}

fn attributes(line: &Line, list: &List, children: bool) -> Vec<String> {
    let mut attributes = Vec::new();
    let mut add = |word: &str| attributes.push(word.to_owned());
    if !line.exists {
        add(if list.extended { "\\NonExistent" } else { "\\Noselect" });
    }
    if line.subscribed {
        add("\\Subscribed");
    }
    add(if children { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes
}

/// `* LIST (attributes) "/" name`, without the line end.
pub fn write_line(out: &mut Vec<u8>, kind: &str, attributes: &[String], separator: char, name: &str) {
    out.extend_from_slice(format!("* {kind} ({}) \"{separator}\" ", attributes.join(" ")).as_bytes());
    print::astring(out, name.as_bytes());
}

/// Special-use attributes of the user's own mailboxes, where this LIST, or `specialusealways`, asks for them.
async fn special_uses(session: &Session, list: &List) -> Result<BTreeMap<MailboxName, Vec<String>>, Stop> {
    let asked = list.xlist || list.select.special_use || list.returns.special_use;
    if !asked && !session.server.imapd.specialusealways {
        return Ok(BTreeMap::new());
    }
    let user = session.user()?;
    Ok(session.server.store.special_uses(user.id()).await?.into_iter().collect())
}

/// RFC 3501: only where `%` is the last character are levels shown that are no mailboxes.
fn pattern_shows_parents(list: &List, _: &protocol::namespace::Pattern) -> bool {
    list.patterns.iter().any(|pattern| pattern.ends_with('%'))
}

/// Whether a name, or one below or above it, can begin with `prefix`.
fn related(external: &str, prefix: &str) -> bool {
    let common = external.len().min(prefix.len());
    match (external.get(..common), prefix.get(..common)) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => true,
    }
}

fn rank(name: &MailboxName, inbox: Option<&MailboxName>) -> u8 {
    match inbox {
        Some(inbox) if name == inbox || name.is_below(inbox) => 0,
        _ if name.owner().is_some() => 1,
        _ => 2,
    }
}

fn hidden_by_option(session: &Session, name: &MailboxName, inbox: Option<&MailboxName>) -> bool {
    let imapd = &session.server.imapd;
    let admin = session.user.as_ref().is_some_and(|user| user.is_admin());
    !admin
        && match rank(name, inbox) {
            1 => imapd.disable_user_namespace,
            2 => imapd.disable_shared_namespace,
            _ => false,
        }
}

pub async fn namespace(session: &mut Session) -> Outcome {
    let user = session.user()?;
    let (namespace, imapd) = (&session.server.namespace, &session.server.imapd);
    let sep = namespace.separator();
    let inbox = namespace.inbox(user.id()).ok();
    let has_inbox = match &inbox {
        Some(inbox) => session.server.store.list().get(inbox).map_err(unlisted)?.is_some(),
        None => false,
    };
    let alt = namespace.altnamespace && !user.is_admin();
    let admin = user.is_admin();
    let one = |prefix: &str, shown: bool| {
        if shown { format!("((\"{prefix}\" \"{sep}\"))") } else { "NIL".to_owned() }
    };
    let own = if alt { String::new() } else { format!("INBOX{sep}") };
    let others = if alt { format!("{}{sep}", namespace.userprefix) } else { format!("user{sep}") };
    let shared = if alt { format!("{}{sep}", namespace.sharedprefix) } else { String::new() };
    let line = format!(
        "* NAMESPACE {} {} {}",
        one(&own, has_inbox),
        one(&others, admin || !imapd.disable_user_namespace),
        one(&shared, admin || !imapd.disable_shared_namespace)
    );
    session.conn.put_line(line);
    Ok(Reply::completed())
}

/// The list of mailboxes cannot be read.
pub fn unlisted(error: mailboxes::Error) -> Stop {
    tracing::error!(%error, "the mailbox list cannot be read");
    Reply::no("The mailbox list cannot be read").code("UNAVAILABLE").into()
}

/// Entries taken at once from the list.
const PAGE: usize = 1000;
