//! Who waits for news of which mailboxes: NOTIFY's watchers (RFC 5465), found by the names that they watch.
//!
//! ```text
//!   a delivery, a flag, …  ── tell ──▶ the name and those above it ──▶ the watchers of these ──▶ each one's inbox
//!   the list's changes     ── follow ─▶                                                             │
//!   a user's subscriptions ── tell_subscribed ─▶ the user's watchers ────────────────────────────▶  │
//!                                                                            heard, take: a session, in its own time
//! ```
//!
//! Whoever tells pays for those who are concerned, and for nobody else: while nobody watches at all, one look at a number. An inbox
//! holds each mailbox once, whatever happens to it, and so many at most; then it says only that there was too much.
//!
//! A name in an inbox is a hint and no more: who reads it asks the list what the user may know of it at that moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use protocol::imap::command::notify::{Event, Events};
use protocol::mupdate::position::Position;
use protocol::name::MailboxName;
use tokio::sync::Notify;

use crate::limits::{NEWS, NEWS_AT_ONCE, rows};
use crate::list::List;
use crate::signal::Watch;

/// All watchers of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Hub {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    watchers: AtomicUsize,
    numbers: AtomicU64,
    index: RwLock<Index>,
}

/// Watchers by what they watch, each by its number.
#[derive(Default)]
struct Index {
    roots: HashMap<MailboxName, BTreeMap<u64, Interest>>,
    users: HashMap<String, BTreeMap<u64, Arc<Inbox>>>,
    /// Those of a session that has several connections, by [`Watcher::of_session`].
    sessions: HashMap<String, BTreeMap<u64, Arc<Inbox>>>,
}

/// What one watcher wants of a root.
struct Interest {
    inbox: Arc<Inbox>,
    wishes: Vec<(Depth, Events)>,
}

/// How far below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Itself,
    /// And what is directly below it.
    Children,
    All,
}

impl Depth {
    pub fn reaches(self, levels: usize) -> bool {
        match self {
            Depth::Itself => levels == 0,
            Depth::Children => levels <= 1,
            Depth::All => true,
        }
    }
}

/// What is wanted of which mailboxes. Where several wishes reach one, their events add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    roots: BTreeMap<MailboxName, Vec<(Depth, Events)>>,
}

impl Scope {
    pub fn add(&mut self, root: MailboxName, depth: Depth, events: Events) {
        if events.is_empty() {
            return;
        }
        let wishes = self.roots.entry(root).or_default();
        match wishes.iter_mut().find(|(of, _)| *of == depth) {
            Some((_, wanted)) => *wanted = wanted.with(events),
            None => wishes.push((depth, events)),
        }
    }

    /// What is wanted of one mailbox.
    pub fn events(&self, name: &MailboxName) -> Events {
        let (mut root, mut levels, mut all) = (Some(name.clone()), 0, Events::NONE);
        while let Some(at) = root {
            all = all.with(self.roots.get(&at).map_or(Events::NONE, |wishes| reaching(wishes, levels)));
            (root, levels) = (at.parent(), levels + 1);
        }
        all
    }
}

/// The events of those wishes that reach so far down.
fn reaching(wishes: &[(Depth, Events)], levels: usize) -> Events {
    let reaching = wishes.iter().filter(|(depth, _)| depth.reaches(levels));
    reaching.fold(Events::NONE, |all, (_, events)| all.with(*events))
}

/// One who watches, until it is dropped.
pub struct Watcher {
    hub: Hub,
    number: u64,
    roots: BTreeSet<MailboxName>,
    inbox: Arc<Inbox>,
    session: Option<String>,
}

/// A change that a session makes itself, from before it until after it: what is told of the mailbox meanwhile waits. Dropped, it is
/// told as other people's changes are.
pub struct OwnChange {
    name: MailboxName,
    /// Whether news of the mailbox were there before.
    inboxes: Vec<(Arc<Inbox>, bool)>,
}

/// What has happened since the last time.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct News {
    /// In the order in which they were heard of first.
    pub mailboxes: Vec<(MailboxName, Events)>,
    /// What the user has subscribed to or no longer.
    pub subscriptions: BTreeSet<MailboxName>,
    /// Annotations, by mailbox (none: the server); each with whether it is private.
    pub annotations: BTreeMap<Option<MailboxName>, BTreeSet<(String, bool)>>,
    /// There was more than is kept: what there is here is not all.
    pub overflow: bool,
}

impl News {
    pub fn is_empty(&self) -> bool {
        *self == News::default()
    }
}

#[derive(Default)]
struct Inbox {
    user: String,
    news: Mutex<Held>,
    came: Notify,
}

/// One who hears of something, and what.
type Told = (Arc<Inbox>, Vec<(MailboxName, Events)>);

#[derive(Default)]
struct Held {
    news: News,
    /// Where a mailbox stands in the news.
    at: HashMap<MailboxName, usize>,
    /// Things kept.
    count: usize,
    /// Mailboxes that the watcher's own session is changing: how often, and what is told of them meanwhile.
    own: HashMap<MailboxName, (usize, Events)>,
}

impl Hub {
    /// A watcher of a user's, who watches nothing yet.
    pub fn watcher(&self, user: &str) -> Watcher {
        self.watcher_with(Arc::new(Inbox { user: user.to_owned(), ..Inbox::default() }))
    }

    fn watcher_with(&self, inbox: Arc<Inbox>) -> Watcher {
        let (number, user) = (self.inner.numbers.fetch_add(1, Ordering::Relaxed), inbox.user.clone());
        self.inner.watchers.fetch_add(1, Ordering::SeqCst);
        let mut index = self.inner.index.write().unwrap_or_else(PoisonError::into_inner);
        index.users.entry(user).or_default().insert(number, inbox.clone());
        drop(index);
        Watcher { hub: self.clone(), number, roots: BTreeSet::new(), inbox, session: None }
    }

    /// A user's session is about to change a mailbox: `own` is its watcher, `session` names it where it has others
    /// ([`Watcher::of_session`]).
    pub fn begin_own(
        &self,
        user: &str,
        own: Option<&Watcher>,
        session: Option<&str>,
        name: &MailboxName,
    ) -> OwnChange {
        let mut inboxes: Vec<Arc<Inbox>> = own.map(|own| own.inbox.clone()).into_iter().collect();
        if let Some(session) = session {
            let index = self.inner.index.read().unwrap_or_else(PoisonError::into_inner);
            let others = index.sessions.get(session).into_iter().flat_map(BTreeMap::iter);
            let others = others.filter(|(number, _)| own.is_none_or(|own| own.number != **number));
            // Whatever a proxy calls it: a session is one user's.
            inboxes.extend(others.map(|(_, inbox)| inbox.clone()).filter(|inbox| inbox.user == user));
        }
        let begin = |inbox: Arc<Inbox>| {
            let waits = inbox.held().begin_own(name);
            (inbox, waits)
        };
        OwnChange { name: name.clone(), inboxes: inboxes.into_iter().map(begin).collect() }
    }

    /// Whether anybody watches anything.
    pub fn is_watched(&self) -> bool {
        self.inner.watchers.load(Ordering::SeqCst) > 0
    }

    /// Something has happened to a mailbox.
    pub fn tell(&self, name: &MailboxName, events: Events) {
        if self.is_watched() && !events.is_empty() {
            self.tell_all(std::slice::from_ref(name), events);
        }
    }

    /// The same of several. Whoever hears of one of them hears of all at once.
    pub fn tell_all(&self, names: &[MailboxName], events: Events) {
        let mut concerned: BTreeMap<u64, Told> = BTreeMap::new();
        let index = self.inner.index.read().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            index.each_above(name, |number, interest, levels| {
                let wanted = interest.wanted(levels).common(events);
                if !wanted.is_empty() {
                    let told = concerned.entry(number);
                    told.or_insert_with(|| (interest.inbox.clone(), Vec::new()))
                        .1
                        .push((name.clone(), wanted));
                }
            });
        }
        drop(index);
        for (inbox, told) in concerned.into_values() {
            inbox.put(|held| told.into_iter().for_each(|(name, events)| held.mailbox(name, events)));
        }
    }

    /// A user has subscribed to these, or does no longer.
    pub fn tell_subscribed(&self, user: &str, names: &[MailboxName]) {
        if !self.is_watched() {
            return;
        }
        let index = self.inner.index.read().unwrap_or_else(PoisonError::into_inner);
        let inboxes: Vec<Arc<Inbox>> =
            index.users.get(user).into_iter().flat_map(|of| of.values().cloned()).collect();
        drop(index);
        for inbox in inboxes {
            inbox.put(|held| names.iter().for_each(|name| held.subscription(name.clone())));
        }
    }

    /// Annotations were set, of a mailbox or (none) of the server: each with its user, which is empty for shared ones. `but`: who
    /// set them.
    pub fn tell_annotated(&self, name: Option<&MailboxName>, entries: &[(String, String)], but: Option<u64>) {
        if !self.is_watched() {
            return;
        }
        let index = self.inner.index.read().unwrap_or_else(PoisonError::into_inner);
        let mut concerned: BTreeMap<u64, Arc<Inbox>> = BTreeMap::new();
        match name {
            None => {
                let shared = entries.iter().any(|(_, user)| user.is_empty());
                let whose = |user: &str| shared || entries.iter().any(|(_, of)| of == user);
                let inboxes = index.users.iter().filter(|(user, _)| whose(user)).flat_map(|(_, of)| of);
                concerned.extend(inboxes.map(|(number, inbox)| (*number, inbox.clone())));
            }
            Some(name) => index.each_above(name, |number, interest, levels| {
                if interest.wanted(levels).has(Event::MailboxMetadataChange) {
                    concerned.insert(number, interest.inbox.clone());
                }
            }),
        }
        drop(index);
        for (_, inbox) in concerned.into_iter().filter(|(number, _)| Some(*number) != but) {
            // A user's private annotations are nobody else's business.
            let visible = entries.iter().filter(|(_, of)| of.is_empty() || *of == inbox.user);
            let visible: Vec<_> = visible.map(|(entry, of)| (entry.clone(), !of.is_empty())).collect();
            if !visible.is_empty() {
                inbox.put(|held| visible.into_iter().for_each(|one| held.annotation(name.cloned(), one)));
            }
        }
    }

    /// Passes on the changes of a list, for as long as it is there: each name that has changed is a [`Event::MailboxName`].
    pub async fn follow(self, mut position: Watch<Position>, list: impl Fn() -> Option<List>) {
        let mut at = position.get();
        while position.changed().await.is_ok() {
            let now = position.get();
            // In this order: who begins to watch later has read a list that is no older.
            if !self.is_watched() {
                at = now;
                continue;
            }
            let Some(list) = list() else { return };
            if now.list != at.list || now.seq < at.seq {
                // It is another list.
                self.overflow();
                at = now;
            }
            while at.seq < now.seq {
                match list.changes_after(at.seq, NEWS_AT_ONCE).await {
                    Ok(changes) if changes.upto > at.seq => {
                        self.tell_all(&changes.names, Events::of(Event::MailboxName));
                        at.seq = changes.upto;
                    }
                    Ok(_) => break,
                    Err(_) => {
                        self.overflow();
                        at = now;
                    }
                }
            }
        }
    }

    /// Nobody knows what everybody has missed.
    fn overflow(&self) {
        let index = self.inner.index.read().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Arc<Inbox>> = index.users.values().flat_map(|of| of.values().cloned()).collect();
        drop(index);
        all.into_iter().for_each(|inbox| inbox.put(Held::overflow));
    }
}

impl Index {
    /// Calls `each` for the watchers of a name and of those above it, with their numbers and the levels between.
    fn each_above(&self, name: &MailboxName, mut each: impl FnMut(u64, &Interest, usize)) {
        let (mut root, mut levels) = (Some(name.clone()), 0);
        while let Some(at) = root {
            for (number, interest) in self.roots.get(&at).into_iter().flatten() {
                each(*number, interest, levels);
            }
            (root, levels) = (at.parent(), levels + 1);
        }
    }

    fn forget(&mut self, number: u64, roots: &BTreeSet<MailboxName>) {
        for root in roots {
            if let Some(interests) = self.roots.get_mut(root) {
                interests.remove(&number);
                if interests.is_empty() {
                    self.roots.remove(root);
                }
            }
        }
    }
}

impl Index {
    fn leave_session(&mut self, number: u64, session: Option<&str>) {
        let Some(session) = session else { return };
        if let Some(of_session) = self.sessions.get_mut(session) {
            of_session.remove(&number);
            if of_session.is_empty() {
                self.sessions.remove(session);
            }
        }
    }
}

impl Interest {
    fn wanted(&self, levels: usize) -> Events {
        reaching(&self.wishes, levels)
    }
}

impl OwnChange {
    /// The session has brought messages, and nobody else has changed the mailbox meanwhile: that is not told, unless something was to
    /// be told before.
    pub fn is_known(mut self) {
        for (inbox, waited) in std::mem::take(&mut self.inboxes) {
            inbox.end_own(&self.name, !waited);
        }
    }
}

impl Drop for OwnChange {
    fn drop(&mut self) {
        for (inbox, _) in std::mem::take(&mut self.inboxes) {
            inbox.end_own(&self.name, false);
        }
    }
}

impl Watcher {
    /// One that takes this one's place, and watches nothing yet. What comes for either of them is theirs together, until one is dropped: what
    /// waits for the end of the session's own change ([`OwnChange`]) waits on.
    pub fn successor(&self) -> Watcher {
        self.hub.watcher_with(self.inbox.clone())
    }

    /// It belongs to the user's session of this name, which changes mailboxes on other connections too.
    pub fn of_session(&mut self, session: &str) {
        let mut index = self.hub.inner.index.write().unwrap_or_else(PoisonError::into_inner);
        index.leave_session(self.number, self.session.as_deref());
        index.sessions.entry(session.to_owned()).or_default().insert(self.number, self.inbox.clone());
        self.session = Some(session.to_owned());
    }

    /// What its changes are told with, so that it does not hear of them: see [`Hub::tell_annotated`].
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Watches these from now on, and nothing else. News that have come stay.
    pub fn replace(&mut self, scope: &Scope) {
        let mut index = self.hub.inner.index.write().unwrap_or_else(PoisonError::into_inner);
        index.forget(self.number, &self.roots);
        self.roots.clear();
        for (root, wishes) in &scope.roots {
            let interest = Interest { inbox: self.inbox.clone(), wishes: wishes.clone() };
            index.roots.entry(root.clone()).or_default().insert(self.number, interest);
            self.roots.insert(root.clone());
        }
    }

    /// Puts news back, or takes over those of another.
    pub fn give(&self, news: News) {
        self.inbox.put(|held| {
            news.mailboxes.into_iter().for_each(|(name, events)| held.mailbox(name, events));
            news.subscriptions.into_iter().for_each(|name| held.subscription(name));
            for (name, entries) in news.annotations {
                entries.into_iter().for_each(|entry| held.annotation(name.clone(), entry));
            }
            if news.overflow {
                held.overflow();
            }
        });
    }

    /// Returns when something has happened. Cancel-safe.
    pub fn heard(&self) -> impl Future<Output = ()> + Send + use<> {
        let inbox = self.inbox.clone();
        async move {
            while inbox.is_quiet() {
                inbox.came.notified().await;
            }
        }
    }

    pub fn is_quiet(&self) -> bool {
        self.inbox.is_quiet()
    }

    /// Takes what has happened.
    pub fn take(&self) -> News {
        self.inbox.held().take().news
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut index = self.hub.inner.index.write().unwrap_or_else(PoisonError::into_inner);
        index.forget(self.number, &self.roots);
        if let Some(of_user) = index.users.get_mut(&self.inbox.user) {
            of_user.remove(&self.number);
            if of_user.is_empty() {
                index.users.remove(&self.inbox.user);
            }
        }
        index.leave_session(self.number, self.session.as_deref());
        drop(index);
        self.hub.inner.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Inbox {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_quiet(&self) -> bool {
        let held = self.held();
        held.count == 0 && !held.news.overflow
    }

    fn put(&self, put: impl FnOnce(&mut Held)) {
        put(&mut self.held());
        self.came.notify_one();
    }

    /// What was told meanwhile is told now, less the messages that its own session has brought (`known`).
    fn end_own(&self, name: &MailboxName, known: bool) {
        if self.held().end_own(name, known) {
            self.came.notify_one();
        }
    }
}

impl Held {
    /// Takes everything but what waits for the end of the session's own change.
    fn take(&mut self) -> Held {
        let own = std::mem::take(&mut self.own);
        std::mem::replace(self, Held { own, ..Held::default() })
    }

    /// Whether there are news of the mailbox already.
    fn begin_own(&mut self, name: &MailboxName) -> bool {
        self.own.entry(name.clone()).or_default().0 += 1;
        self.at.contains_key(name) || self.news.overflow
    }

    /// Whether there are news now.
    fn end_own(&mut self, name: &MailboxName, known: bool) -> bool {
        let Some((changes, events)) = self.own.get_mut(name) else { return false };
        *changes -= 1;
        if known {
            *events = events.without(Events::MESSAGES);
        }
        if *changes > 0 {
            return false;
        }
        let left = self.own.remove(name).map_or(Events::NONE, |(_, events)| events);
        if !left.is_empty() {
            self.mailbox(name.clone(), left);
        }
        !left.is_empty()
    }

    fn mailbox(&mut self, name: MailboxName, events: Events) {
        if let Some((_, waiting)) = self.own.get_mut(&name) {
            *waiting = waiting.with(events);
        } else if let Some((_, told)) = self.at.get(&name).and_then(|at| self.news.mailboxes.get_mut(*at)) {
            *told = told.with(events);
        } else if self.has_room() {
            self.at.insert(name.clone(), self.news.mailboxes.len());
            self.news.mailboxes.push((name, events));
        }
    }

    fn subscription(&mut self, name: MailboxName) {
        if !self.news.subscriptions.contains(&name) && self.has_room() {
            self.news.subscriptions.insert(name);
        }
    }

    fn annotation(&mut self, name: Option<MailboxName>, entry: (String, bool)) {
        let told = self.news.annotations.get(&name);
        if told.is_none_or(|told| !told.contains(&entry)) && self.has_room() {
            self.news.annotations.entry(name).or_default().insert(entry);
        }
    }

    /// Counts one more thing; one too many leaves nothing but that.
    fn has_room(&mut self) -> bool {
        if self.news.overflow {
            return false;
        }
        self.count += 1;
        if self.count > NEWS {
            rows::NEWS.met("a client of NOTIFY that does not take its news gets no more of them");
            self.overflow();
        }
        !self.news.overflow
    }

    fn overflow(&mut self) {
        self.take();
        self.news.overflow = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Entry};
    use protocol::location::Location;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    fn scope<const N: usize>(wishes: [(&str, Depth, Events); N]) -> Scope {
        let mut scope = Scope::default();
        wishes.into_iter().for_each(|(root, depth, events)| scope.add(name(root), depth, events));
        scope
    }

    fn told(watcher: &Watcher) -> String {
        let names = watcher.take().mailboxes.into_iter();
        names.map(|(name, events)| format!("{name} {events}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn news_reach_those_who_watch_the_mailbox_or_one_above_it_and_nobody_else() {
        let hub = Hub::default();
        assert!(!hub.is_watched());
        let (mut fred, mut wilma) = (hub.watcher("fred"), hub.watcher("wilma"));
        fred.replace(&scope([("user.fred", Depth::All, Events::MESSAGES)]));
        let wanted = scope([
            ("user.fred", Depth::Children, Events::COUNTS),
            ("user.fred.a", Depth::Itself, Events::of(Event::FlagChange)),
        ]);
        wilma.replace(&wanted);
        assert_eq!(wanted.events(&name("user.fred.a")), Events::COUNTS.with(Events::of(Event::FlagChange)));
        assert!(wanted.events(&name("user.fred.a.b")).is_empty());
        hub.tell(&name("user.fred.a.b"), Events::of(Event::MessageNew));
        assert_eq!(told(&fred), "user.fred.a.b (MessageNew)");
        assert!(wilma.is_quiet());
        hub.tell(&name("user.fred.a"), Events::MESSAGES);
        assert_eq!(told(&wilma), "user.fred.a (MessageNew MessageExpunge FlagChange)");
        hub.tell(&name("user.barney"), Events::MESSAGES);
        fred.take();
        assert!(fred.is_quiet() && wilma.is_quiet());
        wilma.replace(&Scope::default());
        hub.tell(&name("user.fred.a"), Events::MESSAGES);
        assert!(wilma.is_quiet() && !fred.is_quiet());
        drop((fred, wilma));
        assert!(!hub.is_watched());
        let index = hub.inner.index.read().unwrap();
        assert!(index.roots.is_empty() && index.users.is_empty());
    }

    #[test]
    fn a_watch_that_is_replaced_amid_the_sessions_own_append_tells_what_others_did_and_nothing_else() {
        let hub = Hub::default();
        let all = scope([("user.fred", Depth::All, Events::MESSAGES)]);
        for others_too in [false, true] {
            let mut before = hub.watcher("fred");
            before.of_session("fe 1");
            before.replace(&all);
            let own = hub.begin_own("fred", None, Some("fe 1"), &name("user.fred.a"));
            let mut now = before.successor();
            now.of_session("fe 1");
            now.replace(&all);
            now.give(before.take());
            drop(before);
            hub.tell(&name("user.fred.a"), Events::of(Event::MessageNew));
            match others_too {
                true => drop(own),
                false => own.is_known(),
            }
            let expected = if others_too { "user.fred.a (MessageNew)" } else { "" };
            assert_eq!(told(&now), expected);
            // Nobody's change is under way any more.
            hub.tell(&name("user.fred.a"), Events::of(Event::MessageNew));
            assert_eq!(told(&now), "user.fred.a (MessageNew)");
        }
        assert!(!hub.is_watched());
    }

    #[test]
    fn three_thousand_who_watch_other_mailboxes_cost_nothing() {
        let hub = Hub::default();
        let watch = |number: usize| {
            let mut watcher = hub.watcher(&format!("u{number}"));
            watcher.replace(&scope([(&format!("user.u{number}"), Depth::All, Events::MESSAGES)]));
            watcher
        };
        let watchers: Vec<Watcher> = (0..3000).map(watch).collect();
        let asked = |mailbox: &str| {
            let mut asked = 0;
            hub.inner.index.read().unwrap().each_above(&name(mailbox), |_, _, _| asked += 1);
            asked
        };
        assert_eq!((asked("user.u7.a.b"), asked("user.u3000"), asked("shared")), (1, 0, 0));
        hub.tell(&name("user.u7.a"), Events::MESSAGES);
        assert_eq!(watchers.iter().filter(|watcher| !watcher.is_quiet()).count(), 1);
    }

    #[test]
    fn a_watcher_that_takes_nothing_holds_each_mailbox_once_and_a_bounded_number_of_them() {
        let hub = Hub::default();
        let mut fred = hub.watcher("fred");
        fred.replace(&scope([("user.fred", Depth::All, Events::MESSAGES)]));
        for _ in 0..NEWS * 3 {
            hub.tell(&name("user.fred"), Events::of(Event::MessageNew));
            hub.tell(&name("user.fred"), Events::of(Event::FlagChange));
        }
        assert_eq!(told(&fred), "user.fred (MessageNew FlagChange)");
        for number in 0..NEWS * 3 {
            hub.tell(&name(&format!("user.fred.{number}")), Events::of(Event::MessageNew));
        }
        let news = fred.take();
        assert!(news.overflow && news.mailboxes.is_empty());
    }

    #[test]
    fn a_private_annotation_is_told_to_its_user_alone_and_not_to_who_set_it() {
        let hub = Hub::default();
        let metadata = Events::of(Event::MailboxMetadataChange);
        let mut watchers: Vec<Watcher> = ["fred", "fred", "wilma"].map(|user| hub.watcher(user)).into();
        for watcher in &mut watchers {
            watcher.replace(&scope([("shared", Depth::Itself, metadata)]));
        }
        let entry = |entry: &str, user: &str| (entry.to_owned(), user.to_owned());
        let entries = [entry("/comment", ""), entry("/x", "fred")];
        hub.tell_annotated(Some(&name("shared")), &entries, Some(watchers[0].number()));
        let of = |watcher: &Watcher| watcher.take().annotations.into_values().flatten().collect::<Vec<_>>();
        assert_eq!(of(&watchers[0]), []);
        assert_eq!(of(&watchers[1]), [("/comment".to_owned(), false), ("/x".to_owned(), true)]);
        assert_eq!(of(&watchers[2]), [("/comment".to_owned(), false)]);
        hub.tell_annotated(None, &[entry("/x", "fred")], None);
        assert!(!watchers[1].is_quiet() && watchers[2].is_quiet());
        hub.tell_subscribed("wilma", &[name("shared")]);
        assert_eq!(watchers[2].take().subscriptions.len(), 1);
    }

    #[test]
    fn what_a_session_does_itself_is_told_to_none_of_its_watchers_and_to_those_of_others() {
        let hub = Hub::default();
        let (inbox, new) = (name("user.fred"), Events::of(Event::MessageNew));
        let watch = |user: &str, session: Option<&str>| {
            let mut watcher = hub.watcher(user);
            watcher.replace(&scope([("user.fred", Depth::All, Events::MESSAGES)]));
            session.into_iter().for_each(|session| watcher.of_session(session));
            watcher
        };
        let (own, kin) = (watch("fred", None), watch("fred", Some("fe1 a")));
        let (other, wilma) = (watch("fred", Some("fe1 b")), watch("wilma", Some("fe1 a")));
        let own_change = || hub.begin_own("fred", Some(&own), Some("fe1 a"), &inbox);
        let change = own_change();
        hub.tell(&inbox, new);
        assert!(own.is_quiet() && kin.is_quiet() && kin.take().is_empty());
        change.is_known();
        assert!(own.is_quiet() && kin.is_quiet());
        assert_eq!(
            (told(&other), told(&wilma)),
            ("user.fred (MessageNew)".into(), "user.fred (MessageNew)".into())
        );
        // Somebody else has changed it too, or had before.
        let change = own_change();
        hub.tell(&inbox, new);
        drop(change);
        assert_eq!(
            (told(&own), told(&kin)),
            ("user.fred (MessageNew)".into(), "user.fred (MessageNew)".into())
        );
        hub.tell(&inbox, Events::of(Event::FlagChange));
        let change = own_change();
        hub.tell(&inbox, new);
        change.is_known();
        assert_eq!(told(&kin), "user.fred (MessageNew FlagChange)");
        drop((own, kin, other, wilma));
        let index = hub.inner.index.read().unwrap();
        assert!(index.sessions.is_empty() && index.users.is_empty());
    }

    #[tokio::test]
    async fn changes_of_the_list_are_passed_on_by_name_those_of_one_commit_together() {
        let (hub, list) = (Hub::default(), List::memory());
        let followed = list.clone();
        tokio::spawn(hub.clone().follow(list.watch(), move || Some(followed.clone())));
        let mut fred = hub.watcher("fred");
        fred.replace(&scope([("user.fred", Depth::All, Events::of(Event::MailboxName))]));
        let put = |text: &str| Change::put(name(text), Entry::active(Location::parse("be1!p").unwrap(), ""));
        list.commit(vec![put("user.fred.a"), put("user.wilma.a"), put("user.fred.b")]).await.unwrap();
        fred.heard().await;
        assert_eq!(told(&fred), "user.fred.a (MailboxName) user.fred.b (MailboxName)");
        list.commit(vec![Change::delete(name("user.fred.a"))]).await.unwrap();
        fred.heard().await;
        assert_eq!(told(&fred), "user.fred.a (MailboxName)");
    }
}
