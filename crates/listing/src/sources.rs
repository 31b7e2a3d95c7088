//! The mailboxes that an ESEARCH (RFC 7377) names, and NOTIFY's sources with it (RFC 5465 section 6): of one user, who may read
//! them.

use std::collections::{BTreeSet, HashMap};

use mailboxes::hub::{Depth as Reach, Scope};
use mailboxes::{Entry, LIST_PAGE};
use protocol::acl::Rights;
use protocol::imap::command::multisearch::Source;
use protocol::imap::command::notify::Group;
use protocol::name::MailboxName;
use work::aside::Budget;

use super::look::{Seen, Unseen, Viewer};

/// Mailboxes in the order of their names, each once.
#[derive(Debug, Default)]
pub struct Named {
    pub mailboxes: Vec<Seen>,
    /// There are more than may be named.
    pub too_many: bool,
}

/// The mailboxes of NOTIFY's groups of which the user may know, whether or not their messages may be read: see [`named`].
pub fn visible(
    groups: &[Group],
    subscribed: impl IntoIterator<Item = String>,
    most: usize,
    viewer: &Viewer,
    budget: &Budget,
) -> Result<Named, Unseen> {
    let wanted = groups.iter().filter(|group| !group.events.is_empty());
    let sources: Vec<Source> = wanted.map(|group| group.source.clone()).collect();
    find(&sources, None, subscribed, most, viewer, budget, Need::Lookup)
}

/// What NOTIFY's groups reach, whether it is there or not; `subscribed`: as the list calls them. Of what lies below `Other Users` and
/// the like, at most `most` that are there now. Blocks.
pub fn scope(
    groups: &[Group],
    subscribed: &BTreeSet<MailboxName>,
    most: usize,
    viewer: &Viewer,
    budget: &Budget,
) -> Result<Scope, Unseen> {
    let (mut scope, mut tops) = (Scope::default(), Tops::default());
    for Group { source, events } in groups {
        let mut add = |name: Option<MailboxName>, reach: Reach| {
            if let Some(name) = name {
                scope.add(name, reach, *events);
            }
        };
        match source {
            Source::Selected => {}
            Source::Inboxes | Source::Personal => add(viewer.inbox.clone(), Reach::All),
            Source::Subscribed => subscribed.iter().for_each(|name| add(Some(name.clone()), Reach::Itself)),
            Source::Mailboxes(names) => {
                names.iter().for_each(|name| add(viewer.internal(name), Reach::Itself))
            }
            Source::Subtree(names) | Source::SubtreeOne(names) => {
                let reach = reach_of(source);
                for name in names {
                    match viewer.top(name) {
                        Some(top) => tops.add(top, reach, *events),
                        None => add(viewer.internal(name), reach),
                    }
                }
            }
        }
    }
    let mut left = most;
    tops.each_below(viewer, budget, |name, _, wanted| {
        for (_, events) in wanted {
            scope.add(name.clone(), Reach::Itself, *events);
        }
        left = left.saturating_sub(1);
        left > 0
    })?;
    Ok(scope)
}

/// What the sources name, at most `most`. `selected`: the mailbox that is selected; `subscribed`: as the user calls them. What may
/// not be read is passed over, and so is what may not be known of where the user has not named it. Blocks.
pub fn named(
    sources: &[Source],
    selected: Option<&MailboxName>,
    subscribed: impl IntoIterator<Item = String>,
    most: usize,
    viewer: &Viewer,
    budget: &Budget,
) -> Result<Named, Unseen> {
    find(sources, selected, subscribed, most, viewer, budget, Need::Read)
}

/// What the user must be allowed to do with a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Read,
    Lookup,
}

fn find(
    sources: &[Source],
    selected: Option<&MailboxName>,
    subscribed: impl IntoIterator<Item = String>,
    most: usize,
    viewer: &Viewer,
    budget: &Budget,
    need: Need,
) -> Result<Named, Unseen> {
    let mut search = Search { viewer, budget, most, need, seen: BTreeSet::new(), named: Named::default() };
    let (mut subscribed, mut tops) = (Some(subscribed), Tops::default());
    for source in sources {
        match source {
            Source::Selected => search.one(selected.cloned(), By::Name)?,
            Source::Inboxes | Source::Personal => search.tree(viewer.inbox.clone(), Reach::All)?,
            Source::Subscribed => {
                for external in subscribed.take().into_iter().flatten() {
                    search.one(viewer.internal(&external), By::Kind)?;
                }
            }
            Source::Mailboxes(names) => {
                for external in names {
                    search.one(viewer.internal(external), By::Name)?;
                }
            }
            Source::Subtree(names) | Source::SubtreeOne(names) => {
                let reach = reach_of(source);
                for external in names {
                    match viewer.top(external) {
                        Some(top) => tops.add(top, reach, ()),
                        None => search.tree(viewer.internal(external), reach)?,
                    }
                }
            }
        }
    }
    tops.each_below(viewer, budget, |name, entry, _| {
        let seen = search.see(name, &entry, By::Kind);
        search.add(seen);
        !search.named.too_many
    })?;
    let mut named = search.named;
    named.mailboxes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(named)
}

fn reach_of(source: &Source) -> Reach {
    match source {
        Source::SubtreeOne(_) => Reach::Children,
        _ => Reach::All,
    }
}

/// Names above many mailboxes that are no mailbox's own (`Other Users`), each with what is wanted below it.
struct Tops<T>(HashMap<String, Vec<(Reach, T)>>);

impl<T> Default for Tops<T> {
    fn default() -> Tops<T> {
        Tops(HashMap::new())
    }
}

impl<T> Tops<T> {
    fn add(&mut self, top: String, reach: Reach, wanted: T) {
        self.0.entry(top).or_default().push((reach, wanted));
    }

    /// Calls `each` for the mailboxes below them that the user may see, with what reaches each, until it returns false. One pass over
    /// what the user sees. Blocks.
    fn each_below(
        &self,
        viewer: &Viewer,
        budget: &Budget,
        mut each: impl FnMut(MailboxName, Entry, &[&(Reach, T)]) -> bool,
    ) -> Result<(), Unseen> {
        if self.0.is_empty() {
            return Ok(());
        }
        let hierarchy = viewer.hierarchy();
        for (name, entry) in viewer.list.visible_to(viewer.inbox.as_ref(), &viewer.userid, &viewer.groups)? {
            budget.check()?;
            let Some(external) = viewer.listed(&name) else { continue };
            let above = hierarchy.above(&external).enumerate();
            let wanted: Vec<&(Reach, T)> = above
                .flat_map(|(at, above)| {
                    self.0.get(&*above).into_iter().flatten().map(move |one| (at + 1, one))
                })
                .filter_map(|(levels, one)| one.0.reaches(levels).then_some(one))
                .collect();
            if !wanted.is_empty() && !each(name, entry, &wanted) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// How a mailbox came to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Name,
    /// As one of those that are subscribed to, or below another: it must be visible, too.
    Kind,
}

struct Search<'v> {
    viewer: &'v Viewer,
    budget: &'v Budget,
    most: usize,
    need: Need,
    seen: BTreeSet<MailboxName>,
    named: Named,
}

impl Search<'_> {
    fn one(&mut self, name: Option<MailboxName>, by: By) -> Result<(), Unseen> {
        self.budget.check()?;
        let Some(name) = name else { return Ok(()) };
        if let Some(entry) = self.viewer.list.get(&name)? {
            let seen = self.see(name, &entry, by);
            self.add(seen);
        }
        Ok(())
    }

    fn tree(&mut self, root: Option<MailboxName>, reach: Reach) -> Result<(), Unseen> {
        let Some(root) = root else { return Ok(()) };
        let mut after = None;
        loop {
            let page = self.viewer.list.subtree(&root, after.as_ref(), LIST_PAGE)?;
            after = page.entries.last().map(|(name, _)| name.clone());
            for (name, entry) in page.entries {
                self.budget.check()?;
                let below = name.as_str().strip_prefix(root.as_str()).unwrap_or_default();
                if reach.reaches(below.matches('.').count()) {
                    let seen = self.see(name, &entry, By::Kind);
                    self.add(seen);
                }
            }
            if !page.more || self.named.too_many {
                return Ok(());
            }
        }
    }

    fn see(&self, name: MailboxName, entry: &Entry, by: By) -> Option<Seen> {
        match self.need {
            Need::Read => self.viewer.readable(name, entry, by),
            Need::Lookup => self.viewer.visible(name, entry),
        }
    }

    fn add(&mut self, seen: Option<Seen>) {
        let Some(seen) = seen else { return };
        if self.seen.contains(&seen.name) {
            return;
        }
        if self.seen.len() >= self.most {
            self.named.too_many = true;
            return;
        }
        self.seen.insert(seen.name.clone());
        self.named.mailboxes.push(seen);
    }
}

impl Viewer {
    /// A mailbox that the user may search in.
    fn readable(&self, name: MailboxName, entry: &Entry, by: By) -> Option<Seen> {
        let seen = self.known(name, entry)?;
        let needed = if by == By::Kind { Rights::READ | Rights::LOOKUP } else { Rights::READ };
        seen.rights.contains(needed).then_some(seen)
    }

    /// A mailbox as the user sees it, if there is one of which the user may know.
    pub fn look_up(&self, name: &MailboxName) -> Result<Option<(Seen, Entry)>, mailboxes::Error> {
        let Some(entry) = self.list.get(name)? else { return Ok(None) };
        Ok(self.visible(name.clone(), &entry).map(|seen| (seen, entry)))
    }

    fn visible(&self, name: MailboxName, entry: &Entry) -> Option<Seen> {
        let seen = self.known(name, entry)?;
        (self.admin || seen.rights.contains(Rights::LOOKUP)).then_some(seen)
    }

    /// The name as the user's mailboxes have it above them, if it is one that many have and that is none itself.
    fn top(&self, external: &str) -> Option<String> {
        self.namespace.top(external, &self.view())
    }

    fn internal(&self, external: &str) -> Option<MailboxName> {
        self.namespace.internal(external, &self.view()).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mailboxes::{Change, List};
    use protocol::acl::Granting;
    use protocol::imap::command::notify::Events;
    use protocol::location::Location;
    use protocol::namespace::Namespace;
    use work::aside::aside;

    use super::*;

    async fn viewer() -> Viewer {
        let list = List::memory();
        for (name, acl) in [
            ("user.fred", "fred\tlr\t"),
            ("user.fred.a", "fred\tlr\t"),
            ("user.fred.a.b", "fred\tlr\t"),
            ("user.fred.a.b.c", "fred\tlr\t"),
            ("user.fred.ab", "fred\tlr\t"),
            ("user.wilma", "fred\tl\t"),
            ("user.jane", "fred\tlr\t"),
            ("user.jane.a", "anyone\tlr\t"),
            ("shared", "fred\tr\t"),
            ("shared.x", "anyone\tlr\t"),
        ] {
            let entry = Entry::active(Location::parse("be1!p").unwrap(), acl);
            list.commit(vec![Change::put(MailboxName::parse(name).unwrap(), entry)]).await.unwrap();
        }
        let namespace = Namespace::default();
        let inbox = namespace.inbox("fred").ok();
        let granting = Granting::new("", "c");
        Viewer {
            list,
            namespace,
            granting,
            userid: "fred".to_owned(),
            groups: Vec::new(),
            admin: false,
            utf8: false,
            inbox,
            hides_users: false,
            hides_shared: false,
        }
    }

    async fn names(sources: Vec<Source>, most: usize) -> (String, bool) {
        let viewer = viewer().await;
        let external = |name: &str| match viewer.top(name) {
            Some(top) => top,
            None => viewer.named(&MailboxName::parse(name).unwrap()).unwrap(),
        };
        let subscribed = ["user.fred.ab", "shared", "user.gone"].map(external);
        let sources: Vec<Source> = sources
            .into_iter()
            .map(|source| {
                let all = |names: Vec<String>| names.iter().map(|name| external(name)).collect();
                match source {
                    Source::Mailboxes(names) => Source::Mailboxes(all(names)),
                    Source::Subtree(names) => Source::Subtree(all(names)),
                    Source::SubtreeOne(names) => Source::SubtreeOne(all(names)),
                    other => other,
                }
            })
            .collect();
        let selected = MailboxName::parse("user.fred.a").unwrap();
        let work = move |budget: &Budget| {
            named(&sources, Some(&selected), subscribed, most, &viewer, budget)
                .map_err(|_| work::aside::Spent)
        };
        let named = aside(Duration::ZERO, work).await.unwrap();
        let names: Vec<&str> = named.mailboxes.iter().map(|seen| seen.name.as_str()).collect();
        (names.join(" "), named.too_many)
    }

    #[tokio::test]
    async fn a_source_names_what_the_user_may_read() {
        let some = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        for (source, expected) in [
            (Source::Selected, "user.fred.a"),
            (Source::Personal, "user.fred user.fred.a user.fred.a.b user.fred.a.b.c user.fred.ab"),
            (Source::Inboxes, "user.fred user.fred.a user.fred.a.b user.fred.a.b.c user.fred.ab"),
            (Source::Subscribed, "user.fred.ab"),
            (Source::Mailboxes(some(&["shared", "user.wilma", "user.gone"])), "shared"),
            (
                Source::Subtree(some(&["shared", "user.fred.a"])),
                "shared.x user.fred.a user.fred.a.b user.fred.a.b.c",
            ),
            (Source::SubtreeOne(some(&["user.fred.a"])), "user.fred.a user.fred.a.b"),
            (Source::Subtree(some(&["Other Users/"])), "user.jane user.jane.a"),
            (Source::SubtreeOne(some(&["Other Users"])), "user.jane"),
            (
                Source::Subtree(some(&["Shared Folders", "Other Users", "user.fred.ab"])),
                "shared.x user.fred.ab user.jane user.jane.a",
            ),
        ] {
            assert_eq!(names(vec![source.clone()], 10).await, (expected.to_owned(), false), "{source:?}");
        }
        let twice = vec![Source::Selected, Source::Mailboxes(some(&["user.fred.a"]))];
        assert_eq!(names(twice, 1).await, ("user.fred.a".to_owned(), false));
        assert!(names(vec![Source::Personal], 2).await.1);
        assert!(names(vec![Source::Subtree(some(&["Other Users"]))], 1).await.1);
    }

    #[tokio::test]
    async fn notify_reaches_what_is_below_the_top_of_other_peoples_mailboxes() {
        let viewer = viewer().await;
        let events = Events::COUNTS;
        let groups = [Group { source: Source::SubtreeOne(vec!["Other Users".to_owned()]), events }];
        let work = move |budget: &Budget| {
            scope(&groups, &BTreeSet::new(), 10, &viewer, budget).map_err(|_| work::aside::Spent)
        };
        let scope = aside(Duration::ZERO, work).await.unwrap();
        let wanted = |name: &str| scope.events(&MailboxName::parse(name).unwrap());
        assert_eq!((wanted("user.jane"), wanted("user.wilma")), (events, events));
        assert!(wanted("user.jane.a").is_empty() && wanted("user.fred").is_empty());
    }
}
