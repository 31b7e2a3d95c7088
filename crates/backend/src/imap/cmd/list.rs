//! LIST with its extensions (RFC 3501, RFC 5258, RFC 5819, RFC 6154, RFC 8440) and NAMESPACE (RFC 2342).
//!
//! What the user may see ([`Sight`]) is gathered from the mailbox list: his own mailboxes and what ACLs grant him,
//! never all there is (an admin sees all). Against that run the patterns, all on a blocking thread. A pattern that ends in `%` shows parents
//! too that do not exist but have children, as `\Noselect` (or `\NonExistent` to clients that speak RFC 5258).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use mailboxes::Entry;
use protocol::acl::Rights;
use protocol::imap::command::acl::print_my_rights;
use protocol::imap::command::list::{Kind, Line, List, print_namespace};
use protocol::imap::command::status::StatusItem;
use protocol::imap::{Refusal, Reply};
use protocol::name::MailboxName;
use protocol::namespace::Namespace;
use protocol::pattern::Pattern;
use service::aside::{Budget, Pace, Spent};

use crate::imap::reply::{Outcome, Stop};
use crate::imap::server::Server;
use crate::imap::session::Session;
use crate::imap::user::User;

/// A mailbox that the user may see.
#[derive(Clone)]
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

/// Who looks, for work on another thread.
pub struct Eyes {
    server: Arc<Server>,
    user: User,
    inbox: Option<MailboxName>,
}

/// Why looking did not come to its end.
pub enum Unseen {
    Spent(Spent),
    Unlisted(mailboxes::Error),
}

impl From<Spent> for Unseen {
    fn from(spent: Spent) -> Unseen {
        Unseen::Spent(spent)
    }
}

impl From<mailboxes::Error> for Unseen {
    fn from(error: mailboxes::Error) -> Unseen {
        Unseen::Unlisted(error)
    }
}

impl Session {
    /// Looks through the list on a blocking thread.
    pub async fn look<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Eyes, &Budget) -> Result<T, Unseen> + Send + 'static,
    ) -> Result<T, Stop> {
        let user = self.user()?.clone();
        let inbox = self.server.namespace.inbox(user.id()).ok();
        let eyes = Eyes { server: self.server.clone(), user, inbox };
        let looked = self.aside(move |budget| match work(&eyes, budget) {
            Ok(seen) => Ok(Ok(seen)),
            Err(Unseen::Unlisted(error)) => Ok(Err(error)),
            Err(Unseen::Spent(spent)) => Err(spent),
        });
        looked.await?.map_err(unlisted)
    }
}

impl Eyes {
    pub fn namespace(&self) -> &Namespace {
        &self.server.namespace
    }

    /// What the user calls a mailbox.
    pub fn external(&self, name: &MailboxName) -> String {
        self.user.external(name, self.namespace())
    }

    /// The entry as the user sees it, if that may be, and its name begins (or ends above) as one of the prefixes does.
    fn see(&self, name: MailboxName, entry: &Entry, prefixes: &[&str]) -> Option<Seen> {
        let rights = self.server.store.rights(&name, &entry.acl, self.user.who());
        let visible = self.user.is_admin()
            || (rights.contains(Rights::LOOKUP) && entry.is_active() && !self.namespace().is_hidden(&name));
        if !visible || self.hidden_by_option(&name) {
            return None;
        }
        let external = self.external(&name);
        let wanted = prefixes.iter().any(|prefix| related(&external, prefix));
        wanted.then_some(Seen { name, external, rights })
    }

    fn hidden_by_option(&self, name: &MailboxName) -> bool {
        let imapd = &self.server.imapd;
        !self.user.is_admin()
            && match rank(name, self.inbox.as_ref()) {
                1 => imapd.disable_user_namespace,
                2 => imapd.disable_shared_namespace,
                _ => false,
            }
    }
}

impl Sight {
    /// Looks around, as far as names that begin with one of `prefixes` are concerned. Blocks.
    pub fn of(eyes: &Eyes, prefixes: &[&str], budget: &Budget) -> Result<Sight, Unseen> {
        let mut prefixes = prefixes.to_vec();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut mailboxes = Vec::new();
        if eyes.user.is_admin() {
            Sight::all(eyes, &prefixes, budget, &mut mailboxes)?;
        } else {
            let (list, user) = (eyes.server.store.list(), &eyes.user);
            for (name, entry) in list.visible_to(eyes.inbox.as_ref(), user.id(), &user.login.groups)? {
                budget.check()?;
                mailboxes.extend(eyes.see(name, &entry, &prefixes));
            }
            mailboxes.sort_by_key(|seen| rank(&seen.name, eyes.inbox.as_ref()));
        }
        Ok(Sight::new(mailboxes, eyes.namespace().separator()))
    }

    /// What an admin sees: everything, or all that begins as the one pattern does, which is one run of the list.
    fn all(eyes: &Eyes, prefixes: &[&str], budget: &Budget, seen: &mut Vec<Seen>) -> Result<(), Unseen> {
        let (list, namespace) = (eyes.server.store.list(), eyes.namespace());
        let start = match prefixes {
            [prefix] if !namespace.virtdomains => {
                let prefix = prefix.trim_end_matches(namespace.separator());
                namespace.internal(prefix, &eyes.user.view()).ok()
            }
            _ => None,
        };
        if let Some(start) = &start
            && let Some(entry) = list.get(start)?
        {
            seen.extend(eyes.see(start.clone(), &entry, prefixes));
        }
        let within =
            |name: &MailboxName| start.as_ref().is_none_or(|start| name.as_str().starts_with(start.as_str()));
        let mut after = start.clone();
        loop {
            let page = list.scan(after.as_ref(), PAGE)?;
            after = page.entries.last().map(|(name, _)| name.clone());
            for (name, entry) in page.entries.into_iter().take_while(|(name, _)| within(name)) {
                budget.check()?;
                seen.extend(eyes.see(name, &entry, prefixes));
            }
            if !page.more || after.as_ref().is_some_and(|last| !within(last)) {
                return Ok(());
            }
        }
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

/// A name that is chosen.
#[derive(Default)]
struct Chosen {
    exists: bool,
    subscribed: bool,
    /// A child fulfils the selection (RECURSIVEMATCH).
    child_info: bool,
}

pub async fn list(session: &mut Session, list: List) -> Outcome {
    let separator = session.server.namespace.separator();
    let kind = if list.xlist { Kind::Xlist } else { Kind::List };
    if list.patterns.iter().all(String::is_empty) && !list.extended {
        Line::of_separator(kind, separator).print(session.conn.out());
        return Ok(Reply::completed());
    }
    let list = list.narrowed(session.server.imapd.foolstupidclients);
    if list.returns.status.contains(&StatusItem::HighestModseq) {
        session.enable_condstore();
    }
    let state = match list.returns.subscribed || list.select.subscribed {
        true => Some(session.server.store.user_state(session.user()?.id()).await?),
        false => None,
    };
    let uses = special_uses(session, &list).await?;
    let asked = list.clone();
    let look = move |eyes: &Eyes, budget: &Budget| {
        let list = asked;
        let patterns: Vec<_> =
            list.patterns.iter().map(|p| eyes.namespace().pattern(&list.reference, p)).collect();
        let prefixes: Vec<&str> = patterns.iter().map(|pattern| pattern.fixed_prefix()).collect();
        let sight = Sight::of(eyes, &prefixes, budget)?;
        let names = state.iter().flat_map(|state| &state.subscriptions);
        let subscribed: HashSet<String> = names.map(|name| eyes.external(name)).collect();
        let choice = Choice { list: &list, sight: &sight, subscribed: &subscribed, uses: &uses };
        let lines = choice.lines(&patterns, budget)?;
        let shown = |(name, line)| Shown::new(name, line, &list, &sight, &uses);
        Ok(lines.into_iter().map(shown).collect::<Vec<Shown>>())
    };
    let mut pace = Pace::default();
    for shown in session.look(look).await? {
        let selection = if list.select.subscribed { "SUBSCRIBED" } else { "SPECIAL-USE" };
        let line = Line {
            kind,
            attributes: &shown.attributes.join(" "),
            separator,
            name: &shown.external,
            child_info: shown.child_info.then_some(selection),
        };
        line.print(session.conn.out());
        if let Some(seen) = &shown.seen {
            extras(session, &list, seen).await?;
        }
        session.conn.relieve().await?;
        pace.step().await;
    }
    Ok(Reply::completed())
}

/// A line that is to be written.
struct Shown {
    external: String,
    attributes: Vec<String>,
    child_info: bool,
    /// The mailbox, where there is one.
    seen: Option<Seen>,
}

impl Shown {
    fn new(
        external: String,
        line: Chosen,
        list: &List,
        sight: &Sight,
        uses: &BTreeMap<MailboxName, Vec<String>>,
    ) -> Shown {
        let seen = sight.get(&external).filter(|_| line.exists).cloned();
        let mut attributes = attributes(&line, list, sight.has_children(&external));
        if list.xlist && external == "INBOX" {
            attributes.push("\\Inbox".to_owned());
        }
        if let Some(uses) = seen.as_ref().and_then(|seen| uses.get(&seen.name)) {
            attributes.extend(uses.iter().cloned());
        }
        Shown { external, attributes, child_info: line.child_info, seen }
    }
}

/// What names are chosen by.
struct Choice<'c> {
    list: &'c List,
    sight: &'c Sight,
    subscribed: &'c HashSet<String>,
    uses: &'c BTreeMap<MailboxName, Vec<String>>,
}

impl Choice<'_> {
    /// The names that the selection and the patterns choose, in their order.
    fn lines(&self, patterns: &[Pattern], budget: &Budget) -> Result<Vec<(String, Chosen)>, Spent> {
        let list = self.list;
        let mut candidates: Vec<&str> =
            self.sight.mailboxes.iter().map(|seen| seen.external.as_str()).collect();
        if list.select.subscribed {
            let unknown = |name: &&str| self.sight.get(name).is_none();
            let mut elsewhere: Vec<&str> =
                self.subscribed.iter().map(String::as_str).filter(unknown).collect();
            elsewhere.sort_unstable();
            candidates.extend(elsewhere);
        }
        let filtered = list.select.subscribed || list.select.special_use;
        let parents = list.select.recursive_match || (!filtered && pattern_shows_parents(list));
        let mut lines: Vec<(String, Chosen)> = Vec::new();
        let mut at: HashMap<String, usize> = HashMap::new();
        for name in candidates.into_iter().filter(|name| self.selects(name)) {
            for pattern in patterns {
                budget.check()?;
                let above = if parents { pattern.matched_ancestors(name) } else { Vec::new() };
                for parent in above {
                    if list.select.recursive_match || self.sight.get(parent).is_none() {
                        let line = line(&mut lines, &mut at, parent);
                        line.exists = self.sight.get(parent).is_some();
                        line.child_info |= list.select.recursive_match;
                        line.subscribed = self.subscribed.contains(parent);
                    }
                }
                if pattern.matches(name) {
                    let line = line(&mut lines, &mut at, name);
                    line.exists = self.sight.get(name).is_some();
                    line.subscribed = self.subscribed.contains(name);
                }
            }
        }
        Ok(lines)
    }

    fn selects(&self, name: &str) -> bool {
        let select = &self.list.select;
        let special = || self.sight.get(name).is_some_and(|seen| self.uses.contains_key(&seen.name));
        (!select.subscribed || self.subscribed.contains(name)) && (!select.special_use || special())
    }
}

/// MYRIGHTS and STATUS lines behind a mailbox's LIST line.
async fn extras(session: &mut Session, list: &List, seen: &Seen) -> Result<(), Stop> {
    if list.returns.my_rights {
        print_my_rights(session.conn.out(), &seen.external, seen.rights);
    }
    if !list.returns.status.is_empty() && seen.rights.contains(Rights::READ) {
        // A mailbox that went away meanwhile, or cannot be opened, just has no STATUS line (RFC 5819 section 2).
        let told = super::status::write(session, &seen.name, &seen.external, &list.returns.status).await;
        match told {
            Err(Stop::Refused(_)) => {}
            other => other?,
        }
    }
    Ok(())
}

fn line<'l>(
    lines: &'l mut Vec<(String, Chosen)>,
    at: &mut HashMap<String, usize>,
    name: &str,
) -> &'l mut Chosen {
    let index = *at.entry(name.to_owned()).or_insert_with(|| {
        lines.push((name.to_owned(), Chosen::default()));
        lines.len() - 1
    });
    &mut lines[index].1
}

fn attributes(line: &Chosen, list: &List, children: bool) -> Vec<String> {
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
fn pattern_shows_parents(list: &List) -> bool {
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
    let own = if alt { String::new() } else { format!("INBOX{sep}") };
    let others = if alt { format!("{}{sep}", namespace.userprefix) } else { format!("user{sep}") };
    let shared = if alt { format!("{}{sep}", namespace.sharedprefix) } else { String::new() };
    let prefixes = [
        has_inbox.then_some(own.as_str()),
        (admin || !imapd.disable_user_namespace).then_some(others.as_str()),
        (admin || !imapd.disable_shared_namespace).then_some(shared.as_str()),
    ];
    print_namespace(session.conn.out(), sep, prefixes);
    Ok(Reply::completed())
}

/// The list of mailboxes cannot be read.
pub fn unlisted(error: mailboxes::Error) -> Stop {
    tracing::error!(%error, "the mailbox list cannot be read");
    Refusal::ListUnreadable.into()
}

/// Entries taken at once from the list.
const PAGE: usize = 1000;
