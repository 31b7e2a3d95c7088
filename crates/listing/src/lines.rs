//! Which lines LIST and LSUB show: the pure part of RFC 3501, RFC 5258, RFC 6154 and RFC 5819 over what a user sees.
//!
//! A pattern that ends in `%` shows parents too that do not exist but have children, as `\Noselect` (or
//! `\NonExistent` to clients that speak RFC 5258).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use protocol::acl::Rights;
use protocol::imap::command::list::{Kind, Line, List, Lsub};
use protocol::pattern::Pattern;
use work::aside::{Budget, Spent};

use crate::look::{Seen, Sight, Unseen, Viewer};

/// What stores know and the list does not, by the names that the user sees.
#[derive(Debug, Default)]
pub struct Facts {
    pub subscribed: HashSet<String>,
    /// Special-use attributes.
    pub uses: HashMap<String, Vec<String>>,
    /// Those that have others below them at their store, whether or not the list has these yet.
    pub parents: HashSet<String>,
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

/// The answer to a LIST. Blocks.
pub fn list(list: List, facts: Facts, viewer: &Viewer, budget: &Budget) -> Result<Answer, Unseen> {
    let pattern = |pattern: &String| viewer.pattern(&list.reference, pattern);
    let patterns: Vec<Pattern> = list.patterns.iter().map(pattern).collect();
    let prefixes: Vec<&str> = patterns.iter().map(Pattern::fixed_prefix).collect();
    let sight = Sight::of(viewer, &prefixes, budget)?;
    let lines = shown(&list, &patterns, &sight, &facts, budget)?;
    Ok(Answer { lines, separator: viewer.namespace.separator(), list, sight, facts })
}

/// These mailboxes as they are now, whether there are any: what a client is told that did not ask. Blocks.
pub fn states(
    names: impl IntoIterator<Item = String>,
    facts: Facts,
    viewer: &Viewer,
    budget: &Budget,
) -> Result<Answer, Unseen> {
    let names: Vec<String> = names.into_iter().collect();
    let sight = Sight::of(viewer, &names.iter().map(String::as_str).collect::<Vec<_>>(), budget)?;
    let state = |external: String| Shown {
        exists: sight.get(&external).is_some(),
        subscribed: facts.subscribed.contains(&external),
        child_info: false,
        external,
    };
    let lines = names.into_iter().map(state).collect();
    let list = List { extended: true, ..List::default() };
    Ok(Answer { lines, separator: viewer.namespace.separator(), list, sight, facts })
}

/// The lines of an answer, and what they are printed from.
#[derive(Debug)]
pub struct Answer {
    pub lines: Vec<Shown>,
    separator: char,
    list: List,
    sight: Sight,
    facts: Facts,
}

impl Answer {
    /// The mailbox of a line, where there is one.
    pub fn seen(&self, line: &Shown) -> Option<&Seen> {
        self.sight.get(&line.external).filter(|_| line.exists)
    }

    pub fn print(&self, line: &Shown, out: &mut Vec<u8>) {
        self.print_renamed(line, None, out);
    }

    /// The same of a mailbox that had another name before, as the user called it.
    pub fn print_renamed(&self, line: &Shown, old: Option<&str>, out: &mut Vec<u8>) {
        let line = Line {
            kind: if self.list.xlist { Kind::Xlist } else { Kind::List },
            attributes: &line.attributes(&self.list, &self.sight, &self.facts),
            separator: self.separator,
            name: &line.external,
            child_info: line.child_info(&self.list),
        };
        line.print_renamed(old, out);
    }
}

/// The lines of a LIST, as long as the budget lasts: there can be many patterns and many mailboxes.
fn shown(
    list: &List,
    patterns: &[Pattern],
    sight: &Sight,
    facts: &Facts,
    budget: &Budget,
) -> Result<Vec<Shown>, Spent> {
    let selects = |name: &str| {
        (!list.select.subscribed || facts.subscribed.contains(name))
            && (!list.select.special_use || (sight.get(name).is_some() && facts.uses.contains_key(name)))
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
        for pattern in patterns {
            budget.check()?;
            let above = if parents { pattern.matched_ancestors(name) } else { Vec::new() };
            let listed = pattern.matches(name);
            for parent in above {
                // RFC 5258 section 3.5: a parent is not shown for the sake of a child that is shown itself.
                if listed && !selects(&parent) {
                    continue;
                }
                if list.select.recursive_match || sight.get(&parent).is_none() {
                    lines.line(&parent).child_info |= list.select.recursive_match;
                }
            }
            if listed {
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
    fn attributes(&self, list: &List, sight: &Sight, facts: &Facts) -> String {
        let mut words = Vec::new();
        if !self.exists {
            words.push(if list.extended { "\\NonExistent" } else { "\\Noselect" });
        } else if !list.returns.status.is_empty()
            && sight.get(&self.external).is_some_and(|seen| !seen.rights.contains(Rights::READ))
        {
            // RFC 5819 section 2: why no STATUS follows.
            words.push("\\Noselect");
        }
        if self.subscribed {
            words.push("\\Subscribed");
        }
        let parent = sight.has_children(&self.external) || facts.parents.contains(&self.external);
        words.push(if parent { "\\HasChildren" } else { "\\HasNoChildren" });
        if self.exists && sight.is_second_inbox(&self.external) {
            words.push("\\Noinferiors");
        }
        if list.xlist && self.external == "INBOX" {
            words.push("\\Inbox");
        }
        if self.exists {
            words.extend(facts.uses.get(&self.external).into_iter().flatten().map(String::as_str));
        }
        words.join(" ")
    }

    /// The selection that a mailbox below it fulfils: RFC 5258's CHILDINFO.
    fn child_info(&self, list: &List) -> Option<&'static str> {
        let selection = if list.select.subscribed { "SUBSCRIBED" } else { "SPECIAL-USE" };
        self.child_info.then_some(selection)
    }
}

/// The lines of an LSUB, printed; `subscribed`: the names as the user has them. Blocks.
pub fn lsub(
    lsub: &Lsub,
    subscribed: &HashSet<String>,
    viewer: &Viewer,
    budget: &Budget,
) -> Result<Vec<u8>, Unseen> {
    let (separator, hierarchy) = (viewer.namespace.separator(), viewer.hierarchy());
    let pattern = viewer.pattern(&lsub.reference, &lsub.pattern);
    let sight = Sight::of(viewer, &[pattern.fixed_prefix()], budget)?;
    let mut names: Vec<&String> = subscribed.iter().collect();
    names.sort_unstable_by_key(|name| (*name != "INBOX", *name));
    let parents: HashSet<Cow<'_, str>> = names.iter().flat_map(|name| hierarchy.above(name)).collect();
    let (mut told, mut out) = (HashSet::<Cow<'_, str>>::new(), Vec::new());
    let mut line = |attributes: &str, name: &str| {
        Line { kind: Kind::Lsub, attributes, separator, name, child_info: None }.print(&mut out);
    };
    for name in names {
        budget.check()?;
        if lsub.pattern.ends_with('%') {
            // RFC 3501 section 6.3.9: a subscribed name below the level shows its parent, \Noselect.
            for parent in pattern.matched_ancestors(name) {
                if !subscribed.contains(&*parent) && told.insert(parent.clone()) {
                    line("\\Noselect \\HasChildren", &parent);
                }
            }
        }
        if pattern.matches(name) && told.insert(Cow::Borrowed(name)) {
            let attributes = match (sight.get(name).is_some(), parents.contains(name.as_str())) {
                (true, false) => "",
                (true, true) => "\\HasChildren",
                (false, false) => "\\Noselect",
                (false, true) => "\\Noselect \\HasChildren",
            };
            line(attributes, name);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::imap::{Body, Command, Limits};
    use protocol::name::MailboxName;
    use protocol::namespace::{Namespace, View};
    use std::sync::Arc;
    use std::time::Duration;
    use work::aside::aside;

    fn sight(names: &[&str]) -> Arc<Sight> {
        let seen = |name: &&str| Seen {
            name: MailboxName::parse(&format!("user.me.{name}").replace('/', ".")).unwrap(),
            external: (*name).to_owned(),
            rights: Rights::ALL,
            server: "be1".to_owned(),
        };
        let view = View { userid: "me", admin: false, utf8: false };
        Arc::new(Sight::new(names.iter().map(seen).collect(), Namespace::default().hierarchy(&view)))
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
            let namespace = Namespace::default();
            let pattern = |pattern: &String| namespace.pattern(&list.reference, pattern);
            let patterns: Vec<Pattern> = list.patterns.iter().map(pattern).collect();
            Ok(shown(&list, &patterns, &sight, &facts, budget)?.iter().map(line).collect())
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
            ..Facts::default()
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
