//! Which lines LIST shows: the pure part of RFC 3501, RFC 5258, RFC 6154 and RFC 5819 over what a user sees.
//!
//! A pattern that ends in `%` shows parents too that do not exist but have children, as `\Noselect` (or
//! `\NonExistent` to clients that speak RFC 5258). The backend shows the same for the same mailboxes.

use std::collections::{HashMap, HashSet};

use protocol::acl::Rights;
use protocol::imap::command::list::List;
use protocol::name::MailboxName;
use protocol::namespace::Namespace;
use service::aside::{Budget, Spent};

/// A mailbox that the user may see.
#[derive(Debug, Clone)]
pub struct Seen {
    pub name: MailboxName,
    pub external: String,
    pub rights: Rights,
    pub server: String,
}

/// What a user sees of all mailboxes.
#[derive(Debug, Default)]
pub struct Sight {
    /// Own ones first, then other users', then shared ones, each in the order of the list.
    pub mailboxes: Vec<Seen>,
    at: HashMap<String, usize>,
    parents: HashSet<String>,
}

impl Sight {
    pub fn new(mailboxes: Vec<Seen>, separator: char) -> Sight {
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

/// What backends know and the list does not, by the names that the user sees.
#[derive(Debug, Default)]
pub struct Facts {
    pub subscribed: HashSet<String>,
    /// Special-use attributes.
    pub uses: HashMap<String, Vec<String>>,
}

/// One line of the answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Shown {
    pub external: String,
    pub exists: bool,
    subscribed: bool,
    /// A child fulfils the selection (RECURSIVEMATCH).
    child_info: bool,
}

/// The lines of a LIST, as long as the budget lasts: there can be many patterns and many mailboxes.
pub fn shown(
    list: &List,
    sight: &Sight,
    facts: &Facts,
    namespace: &Namespace,
    budget: &Budget,
) -> Result<Vec<Shown>, Spent> {
    let patterns: Vec<_> = list.patterns.iter().map(|p| namespace.pattern(&list.reference, p)).collect();
    let selects = |name: &str| {
        (!list.select.subscribed || facts.subscribed.contains(name))
            && (!list.select.special_use || facts.uses.contains_key(name))
    };
    let mut candidates: Vec<&str> = sight.mailboxes.iter().map(|seen| seen.external.as_str()).collect();
    if list.select.subscribed {
        let unknown = |name: &&str| sight.get(name).is_none();
        let mut elsewhere: Vec<&str> = facts.subscribed.iter().map(String::as_str).filter(unknown).collect();
        elsewhere.sort_unstable();
        candidates.extend(elsewhere);
    }
    let filtered = list.select.subscribed || list.select.special_use;
    let levels = list.patterns.iter().any(|pattern| pattern.ends_with('%'));
    let parents = list.select.recursive_match || (!filtered && levels);
    let mut lines = Lines { sight, facts, shown: Vec::new(), at: HashMap::new() };
    for name in candidates.into_iter().filter(|name| selects(name)) {
        for pattern in &patterns {
            budget.check()?;
            let above = if parents { pattern.matched_ancestors(name) } else { Vec::new() };
            for parent in above {
                if list.select.recursive_match || sight.get(parent).is_none() {
                    lines.line(parent).child_info |= list.select.recursive_match;
                }
            }
            if pattern.matches(name) {
                lines.line(name);
            }
        }
    }
    Ok(lines.shown)
}

/// Lines so far, each name once.
struct Lines<'a> {
    sight: &'a Sight,
    facts: &'a Facts,
    shown: Vec<Shown>,
    at: HashMap<String, usize>,
}

impl Lines<'_> {
    fn line(&mut self, name: &str) -> &mut Shown {
        let index = *self.at.entry(name.to_owned()).or_insert_with(|| {
            self.shown.push(Shown {
                external: name.to_owned(),
                exists: self.sight.get(name).is_some(),
                subscribed: self.facts.subscribed.contains(name),
                child_info: false,
            });
            self.shown.len() - 1
        });
        &mut self.shown[index]
    }
}

impl Shown {
    /// The words between the parentheses.
    pub fn attributes(&self, list: &List, sight: &Sight, facts: &Facts) -> String {
        let mut words = Vec::new();
        if !self.exists {
            words.push(if list.extended { "\\NonExistent" } else { "\\Noselect" });
        }
        if self.subscribed {
            words.push("\\Subscribed");
        }
        words.push(if sight.has_children(&self.external) { "\\HasChildren" } else { "\\HasNoChildren" });
        if self.exists {
            words.extend(facts.uses.get(&self.external).into_iter().flatten().map(String::as_str));
        }
        words.join(" ")
    }

    /// The selection that a mailbox below it fulfils: RFC 5258's CHILDINFO.
    pub fn child_info(&self, list: &List) -> Option<&'static str> {
        let selection = if list.select.subscribed { "SUBSCRIBED" } else { "SPECIAL-USE" };
        self.child_info.then_some(selection)
    }
}

/// Whether a name, or one below or above it, can begin with `prefix`.
pub fn related(external: &str, prefix: &str) -> bool {
    let common = external.len().min(prefix.len());
    match (external.get(..common), prefix.get(..common)) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => true,
    }
}

/// Own mailboxes, others', shared ones: the order in which they are shown.
pub fn rank(name: &MailboxName, inbox: Option<&MailboxName>) -> u8 {
    match inbox {
        Some(inbox) if name == inbox || name.is_below(inbox) => 0,
        _ if name.owner().is_some() => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::imap::{Body, Command, Limits};
    use service::aside::aside;
    use std::sync::Arc;
    use std::time::Duration;

    fn sight(names: &[&str]) -> Arc<Sight> {
        let seen = |name: &&str| Seen {
            name: MailboxName::parse(&format!("user.me.{name}").replace('/', ".")).unwrap(),
            external: (*name).to_owned(),
            rights: Rights::ALL,
            server: "be1".to_owned(),
        };
        Arc::new(Sight::new(names.iter().map(seen).collect(), '/'))
    }

    async fn run(command: &str, sight: &Arc<Sight>, facts: &Arc<Facts>) -> Vec<String> {
        let command = Command::parse(format!("a {command}\r\n").as_bytes(), Limits::default()).unwrap();
        let Body::List(list) = command.body else { panic!("not LIST") };
        let (sight, facts) = (sight.clone(), facts.clone());
        let work = move |budget: &Budget| {
            let line = |line: &Shown| {
                let attributes = line.attributes(&list, &sight, &facts);
                let child_info = line.child_info(&list).map(|selection| format!(" +{selection}"));
                format!("({attributes}) {}{}", line.external, child_info.unwrap_or_default())
            };
            Ok(shown(&list, &sight, &facts, &Namespace::default(), budget)?.iter().map(line).collect())
        };
        aside(Duration::ZERO, work).await.unwrap()
    }

    #[tokio::test]
    async fn levels_show_parents_that_do_not_exist() {
        let sight = sight(&["INBOX", "a/b", "c"]);
        let facts = Arc::new(Facts::default());
        assert_eq!(
            run("LIST \"\" %", &sight, &facts).await,
            ["(\\HasNoChildren) INBOX", "(\\Noselect \\HasChildren) a", "(\\HasNoChildren) c"]
        );
        assert_eq!(run("LIST \"\" *", &sight, &facts).await.len(), 3);
        assert_eq!(run("LIST a/ %", &sight, &facts).await, ["(\\HasNoChildren) a/b"]);
        assert_eq!(run("LIST \"\" inbox", &sight, &facts).await, ["(\\HasNoChildren) INBOX"]);
    }

    #[tokio::test]
    async fn selections_by_what_backends_know() {
        let sight = sight(&["INBOX", "a", "a/b", "Sent"]);
        let facts = Arc::new(Facts {
            subscribed: ["a/b", "gone"].map(str::to_owned).into(),
            uses: [("Sent".to_owned(), vec!["\\Sent".to_owned()])].into(),
        });
        assert_eq!(
            run("LIST (SUBSCRIBED) \"\" *", &sight, &facts).await,
            ["(\\Subscribed \\HasNoChildren) a/b", "(\\NonExistent \\Subscribed \\HasNoChildren) gone"]
        );
        assert_eq!(
            run("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %", &sight, &facts).await,
            ["(\\HasChildren) a +SUBSCRIBED", "(\\NonExistent \\Subscribed \\HasNoChildren) gone"]
        );
        assert_eq!(run("LIST (SPECIAL-USE) \"\" *", &sight, &facts).await, ["(\\HasNoChildren \\Sent) Sent"]);
        assert_eq!(run("LIST \"\" (a Sent)", &sight, &facts).await.len(), 2);
    }
}
