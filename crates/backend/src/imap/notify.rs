//! What a client hears without asking, since its NOTIFY (RFC 5465): of the selected mailbox as far as its event group goes, of others
//! what the store's hub has for it.
//!
//! 1. The hub says that something has happened to a mailbox, and no more ([`mailboxes::hub`]).
//! 2. Between two commands, or in IDLE, [`Session::tell_news`] looks what there is to be told: the rights on each mailbox are those of
//!    this moment, and so is what is told of it.
//! 3. What the session has done itself it knows already: names and subscriptions by what is noted here ([`Others`]), messages by
//!    [`Session::begin_own`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use listing::sources::{scope, visible};
use listing::{Facts, Unseen, Viewer, states};
use mailboxes::hub::{News, OwnChange, Scope, Watcher};
use protocol::acl::Rights;
use protocol::imap::command::multisearch::Source;
use protocol::imap::command::notify::{Event, Events, Group, Selected as Wish, print_annotated};
use protocol::imap::command::status::StatusItem;
use protocol::imap::{Code, Reply};
use protocol::name::MailboxName;
use store::Mailbox;
use work::aside::{Budget, Pace};

use super::cmd::{fetch, status};
use super::conn::Gone;
use super::limits::{MOVED, NOTIFIED};
use super::metadata;
use super::reply::Stop;
use super::selected::{Announce, Selected};
use super::session::Session;

/// What a client is told since its NOTIFY. By default, nothing.
#[derive(Default)]
pub struct Notify {
    /// Of the selected mailbox.
    pub selected: Option<Wish>,
    pub others: Option<Box<Others>>,
}

/// What it is told of other mailboxes.
pub struct Others {
    watcher: Watcher,
    groups: Vec<Group>,
    names: Names,
    /// What the user is subscribed to, as far as the client knows.
    subscribed: BTreeSet<MailboxName>,
}

/// The mailboxes whose names the client wants to hear of.
#[derive(Default)]
struct Names {
    scope: Scope,
    /// Those that the client can know of, each with its unique id.
    known: BTreeMap<MailboxName, String>,
    /// Names that it was told of lately, and what they are now: what lies below moves with them.
    moved: VecDeque<(MailboxName, MailboxName)>,
}

/// What NOTIFY's groups are at one moment.
pub struct Found {
    pub others: Others,
    /// Of which the user may know, with the events that are wanted of each.
    pub seen: Vec<(listing::Seen, Events)>,
    pub too_many: bool,
}

/// Where a mailbox stood before the session's own command.
pub struct Before {
    modseq: u64,
    change: OwnChange,
}

/// Returns when there is something to be told. Cancel-safe.
pub async fn due(notify: Option<&Notify>, selected: Option<&Selected>) {
    let Some(notify) = notify else { return std::future::pending().await };
    let wanted = notify.selected.as_ref().is_some_and(|wish| wish.events.intersects(Events::COUNTS));
    let own = async {
        match selected.filter(|_| wanted) {
            Some(selected) => selected.changes().await,
            None => std::future::pending().await,
        }
    };
    let others = async {
        match &notify.others {
            Some(others) => others.watcher.heard().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = own => {}
        () = others => {}
    }
}

impl Session {
    /// Whether NOTIFY has turned off what IDLE would tell of the selected mailbox.
    pub fn waits_for_nothing(&self) -> bool {
        let wanted = |notify: &Notify| {
            notify.selected.as_ref().is_some_and(|wish| wish.events.intersects(Events::COUNTS))
        };
        self.notify.as_ref().is_some_and(|notify| !wanted(notify))
    }

    /// Looks at what groups name now, and watches it from here on.
    pub async fn watch(&mut self, groups: Vec<Group>) -> Result<Found, Stop> {
        let store = self.server.store.clone();
        let user = self.user()?.id().to_owned();
        let subscribed = store.user_state(&user).await?.subscriptions.clone();
        let mut watcher = store.hub().watcher(&user);
        if let Some(session) = self.frontends_session() {
            watcher.of_session(&session);
        }
        let look = move |viewer: &Viewer, budget: &Budget| {
            let scope = scope(&groups, &subscribed, viewer);
            // First of all, so that nothing falls between.
            watcher.replace(&scope);
            let external = subscribed.iter().filter_map(|name| viewer.named(name));
            let found = visible(&groups, external, NOTIFIED, viewer, budget)?;
            let mut names = Names { scope, ..Names::default() };
            let mut seen = Vec::with_capacity(found.mailboxes.len());
            for mailbox in found.mailboxes {
                names.learn(&mailbox.name, viewer)?;
                let events = names.scope.events(&mailbox.name);
                seen.push((mailbox, events));
            }
            let others = Others { watcher, groups, names, subscribed };
            Ok(Found { others, seen, too_many: found.too_many })
        };
        self.look(look).await
    }

    /// Tells what changed in the selected mailbox, as far as it is wanted. `idling`: the client waits for it.
    pub async fn tell_selected(&mut self, idling: bool) -> Result<(), Gone> {
        let Some(wish) = self.notify.as_ref().and_then(|notify| notify.selected.as_ref()) else {
            return Ok(());
        };
        if !wish.events.intersects(Events::COUNTS) {
            return Ok(());
        }
        let announce = if wish.delayed && !idling { Announce::WithoutExpunge } else { Announce::All };
        let changes = wish.events.intersects(Events::CHANGES);
        self.announce_some(announce, changes).await
    }

    /// The messages that others have brought, as the client wants to see them.
    pub async fn tell_new(&mut self, mut new: Vec<u32>) -> Result<(), Gone> {
        let Some(selected) = &mut self.selected else { return Ok(()) };
        let own = selected.take_own();
        let wish = self.notify.as_ref().and_then(|notify| notify.selected.as_ref());
        let Some(wish) = wish.filter(|wish| !wish.fetch.is_empty()) else { return Ok(()) };
        new.retain(|uid| own.binary_search(uid).is_err());
        if new.is_empty() {
            return Ok(());
        }
        let items = wish.fetch.clone();
        // Boxed: FETCH can come to tell of changes itself.
        match Box::pin(fetch::tell(self, &new, items)).await {
            Err(Stop::Gone(gone)) => Err(gone),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Tells what has come from the hub.
    pub async fn tell_news(&mut self) -> Result<(), Gone> {
        let Some(others) = self.others().filter(|others| !others.watcher.is_quiet()) else { return Ok(()) };
        let news = others.watcher.take();
        if news.overflow {
            return self.overflow().await;
        }
        match self.tell_all(news).await {
            Ok(()) => Ok(()),
            Err(Stop::Gone(gone)) => Err(gone),
            // The list cannot be looked through: what was to be told is lost.
            Err(Stop::Refused(_) | Stop::Answered) => self.overflow().await,
        }
    }

    async fn overflow(&mut self) -> Result<(), Gone> {
        self.notify = Some(Notify::default());
        let text = "Too much has happened: nothing more is told until the next NOTIFY";
        Reply::ok(text).code(Code::NotificationOverflow).write(None, self.conn.out());
        self.conn.relieve().await
    }

    async fn tell_all(&mut self, news: News) -> Result<(), Stop> {
        let News { mailboxes, subscriptions, annotations, .. } = news;
        self.tell_names(&mailboxes, subscriptions).await?;
        let mut pace = Pace::default();
        for (name, events) in mailboxes {
            let Some(others) = self.others() else { return Ok(()) };
            let wanted = events.common(others.names.scope.events(&name)).common(Events::MESSAGES);
            if !wanted.is_empty() {
                self.tell_status(&name, wanted).await?;
            }
            pace.steps(4).await;
        }
        for (name, entries) in annotations {
            self.tell_annotations(name, entries).await?;
        }
        Ok(())
    }

    /// STATUS of a mailbox in which something has happened: the selected one is told of otherwise.
    async fn tell_status(&mut self, name: &MailboxName, events: Events) -> Result<(), Stop> {
        if self.selected.as_ref().is_some_and(|selected| selected.name == *name) {
            return Ok(());
        }
        let Some((seen, _)) = self.viewer()?.look_up(name).map_err(super::cmd::list::unlisted)? else {
            return Ok(());
        };
        let items: &[StatusItem] = match (events.intersects(Events::COUNTS), self.condstore()) {
            (true, false) => COUNTED,
            (true, true) => CHANGED,
            (false, true) => &[StatusItem::UidValidity, StatusItem::HighestModseq],
            (false, false) if events.has(Event::FlagChange) => &[StatusItem::Unseen],
            (false, false) => return Ok(()),
        };
        self.tell_state(&seen, items).await
    }

    /// One STATUS line, where the user may know of the mailbox and read it.
    pub async fn tell_state(&mut self, seen: &listing::Seen, items: &[StatusItem]) -> Result<(), Stop> {
        if !seen.rights.contains(Rights::LOOKUP | Rights::READ) {
            return Ok(());
        }
        match status::write(self, &seen.name, &seen.external, items).await {
            // It went away meanwhile, or cannot be opened.
            Ok(()) | Err(Stop::Refused(_)) => Ok(self.conn.relieve().await?),
            Err(stop) => Err(stop),
        }
    }

    /// Names of annotations that were set, where the user may read them.
    async fn tell_annotations(
        &mut self,
        name: Option<MailboxName>,
        entries: BTreeSet<(String, bool)>,
    ) -> Result<(), Stop> {
        let Some(others) = self.others() else { return Ok(()) };
        let external = match &name {
            None => {
                let wanted = |group: &Group| group.events.has(Event::ServerMetadataChange);
                others.groups.iter().any(wanted).then(String::new)
            }
            Some(name) => {
                let seen = self.viewer()?.look_up(name).map_err(super::cmd::list::unlisted)?;
                let may = |seen: &listing::Seen| metadata::mailbox::may_read(self, seen.rights).is_ok();
                seen.map(|(seen, _)| seen).filter(may).map(|seen| seen.external)
            }
        };
        let Some(external) = external else { return Ok(()) };
        let told: Vec<String> = (entries.iter())
            .map(|(entry, private)| format!("/{}{entry}", if *private { "private" } else { "shared" }))
            .collect();
        print_annotated(self.conn.out(), &external, told.iter().map(String::as_str));
        Ok(self.conn.relieve().await?)
    }

    /// LIST lines of mailboxes that came, went, or have another name, and of subscriptions.
    async fn tell_names(
        &mut self,
        mailboxes: &[(MailboxName, Events)],
        subscriptions: BTreeSet<MailboxName>,
    ) -> Result<(), Stop> {
        let named = mailboxes.iter().filter(|(_, events)| events.has(Event::MailboxName));
        let named: Vec<MailboxName> = named.map(|(name, _)| name.clone()).collect();
        if named.is_empty() && subscriptions.is_empty() {
            return Ok(());
        }
        let (store, user) = (self.server.store.clone(), self.user()?.id().to_owned());
        let now = store.user_state(&user).await?.subscriptions.clone();
        let uses = store.special_uses(&user).await?;
        let Some(others) = self.others_mut() else { return Ok(()) };
        let before = std::mem::replace(&mut others.subscribed, now.clone());
        let changed = subscriptions.into_iter().filter(|name| before.contains(name) != now.contains(name));
        let changed: Vec<MailboxName> = changed.collect();
        let rescope =
            !changed.is_empty() && others.groups.iter().any(|group| group.source == Source::Subscribed);
        let groups = others.groups.clone();
        let mut names = std::mem::take(&mut others.names);
        let look = move |viewer: &Viewer, budget: &Budget| {
            let new = rescope.then(|| scope(&groups, &now, viewer));
            let mut lines = Lines::default();
            names.changed(named, viewer, &mut lines)?;
            if let Some(scope) = new {
                names.scope = scope;
                names.known.retain(|name, _| names.scope.events(name).has(Event::MailboxName));
                changed.iter().try_for_each(|name| names.learn(name, viewer))?;
            }
            let wanted = |name: &&MailboxName| wants_subscription(&groups, &names.scope, name);
            changed.iter().filter(wanted).for_each(|name| lines.add(name.clone(), None));
            let facts = Facts {
                subscribed: now.iter().filter_map(|name| viewer.listed(name)).collect(),
                uses: uses
                    .iter()
                    .filter_map(|(name, uses)| Some((viewer.named(name)?, uses.clone())))
                    .collect(),
            };
            Ok((names, lines.print(facts, viewer, budget)?))
        };
        let (names, out) = self.look(look).await?;
        if let Some(others) = self.others_mut() {
            others.names = names;
            if rescope {
                others.watcher.replace(&others.names.scope);
            }
        }
        self.conn.put(out);
        Ok(self.conn.relieve().await?)
    }

    fn others(&self) -> Option<&Others> {
        self.notify.as_ref()?.others.as_deref()
    }

    fn others_mut(&mut self) -> Option<&mut Others> {
        self.notify.as_mut()?.others.as_deref_mut()
    }

    /// Takes over what was watched before; its news are told by the new one.
    pub fn watch_on(&mut self, selected: Option<Wish>, others: Option<Others>) {
        if let (Some(before), Some(now)) = (self.others(), &others) {
            now.watcher.give(before.watcher.take());
        }
        self.notify = Some(Notify { selected, others: others.map(Box::new) });
    }

    /// The number of the session's watcher, to keep its own changes from it.
    pub fn watcher(&self) -> Option<u64> {
        self.others().map(|others| others.watcher.number())
    }

    /// The client has changed these names itself, and knows of it.
    pub fn knows_names(&mut self, names: &[MailboxName]) -> Result<(), Stop> {
        if self.others().is_none() {
            return Ok(());
        }
        let viewer = self.viewer()?;
        let Some(others) = self.others_mut() else { return Ok(()) };
        for name in names {
            others.names.known.remove(name);
            others.names.learn(name, &viewer).map_err(super::cmd::list::unlisted)?;
        }
        Ok(())
    }

    /// The same of a subscription.
    pub fn knows_subscription(&mut self, name: &MailboxName, on: bool) {
        if let Some(others) = self.others_mut() {
            if on {
                others.subscribed.insert(name.clone());
            } else {
                others.subscribed.remove(name);
            }
        }
    }

    /// To be asked before the session itself brings messages into a mailbox; [`Session::end_own`] afterwards. A frontend's session has
    /// its watcher on another connection.
    pub fn begin_own(&self, mailbox: &Mailbox) -> Option<Before> {
        let hub = self.server.store.hub();
        if !hub.is_watched() {
            return None;
        }
        let (user, name) = (self.user.as_ref()?.id(), mailbox.name().ok()?);
        let own = self.others().map(|others| &others.watcher);
        let change = hub.begin_own(user, own, self.frontends_session().as_deref(), &name);
        Some(Before { modseq: mailbox.view().modseq(), change })
    }

    /// The session's own change is not told, unless somebody else has changed the mailbox too.
    pub fn end_own(&self, mailbox: &Mailbox, before: Option<Before>) {
        if let Some(Before { modseq, change }) = before
            && mailbox.view().modseq() == modseq + 1
        {
            change.is_known();
        }
    }

    /// The session of a frontend of which this one is a part.
    fn frontends_session(&self) -> Option<String> {
        let origin = self.server.seat.origin().filter(|origin| !origin.session.is_empty())?;
        Some(format!("{} {}", origin.node, origin.session))
    }
}

impl Session {
    /// The session has brought messages into a mailbox itself: where it is the selected one, its client knows of them.
    pub fn brought(&mut self, mailbox: &Mailbox, uids: impl IntoIterator<Item = u32>) {
        let fetches = |wish: &Wish| !wish.fetch.is_empty();
        let wanted = self.notify.as_ref().is_some_and(|notify| notify.selected.as_ref().is_some_and(fetches));
        let selected =
            self.selected.as_mut().filter(|selected| selected.mailbox.uniqueid() == mailbox.uniqueid());
        if let Some(selected) = selected.filter(|_| wanted) {
            selected.brought(uids);
        }
    }
}

/// Whether a change of a subscription is to be told: to those who watch what is subscribed to, of any mailbox.
fn wants_subscription(groups: &[Group], scope: &Scope, name: &MailboxName) -> bool {
    let any =
        |group: &Group| group.source == Source::Subscribed && group.events.has(Event::SubscriptionChange);
    groups.iter().any(any) || scope.events(name).has(Event::SubscriptionChange)
}

impl Names {
    /// Notes a mailbox of which the client can know, and whose name it wants to hear of.
    fn learn(&mut self, name: &MailboxName, viewer: &Viewer) -> Result<(), mailboxes::Error> {
        if !self.scope.events(name).has(Event::MailboxName) {
            return Ok(());
        }
        if let Some((_, entry)) = viewer.look_up(name)? {
            self.known.insert(name.clone(), id_of(&entry));
        }
        Ok(())
    }

    /// What became of names of which the list says that something has happened to them.
    fn changed(
        &mut self,
        named: Vec<MailboxName>,
        viewer: &Viewer,
        lines: &mut Lines,
    ) -> Result<(), mailboxes::Error> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for name in named.into_iter().filter(|name| self.scope.events(name).has(Event::MailboxName)) {
            match (self.known.get(&name).cloned(), viewer.look_up(&name)?) {
                (Some(id), None) => gone.push((name, id)),
                (None, Some((_, entry))) => come.push((name, id_of(&entry))),
                (Some(before), Some((_, entry))) if before != id_of(&entry) => {
                    come.push((name, id_of(&entry)));
                }
                // The client knows, or must not.
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        // What lies above comes first, so that what lies below is known to move with it.
        come.sort();
        for (name, id) in come {
            let was = gone.iter().position(|(_, of)| *of == id && !id.is_empty());
            let old = was.map(|at| gone.swap_remove(at).0);
            if let Some(old) = &old {
                self.known.remove(old);
            }
            self.known.insert(name.clone(), id);
            let Some(old) = old else {
                lines.add_with_parent(name, self, viewer);
                continue;
            };
            if self.moves_along(&old, &name, viewer)? {
                // The one above may have been told of while nothing was below it yet.
                let parent = parent_of(&name, viewer).filter(|parent| self.known.contains_key(parent));
                parent.into_iter().for_each(|parent| lines.add(parent, None));
            } else {
                self.moved.push_back((old.clone(), name.clone()));
                if self.moved.len() > MOVED {
                    self.moved.pop_front();
                }
                lines.add(name, viewer.named(&old));
            }
        }
        for (name, _) in gone {
            self.known.remove(&name);
            lines.add_with_parent(name, self, viewer);
        }
        Ok(())
    }

    /// Whether a mailbox has another name because one above it has: RFC 5465 section 5.4 tells of that one alone.
    fn moves_along(
        &self,
        old: &MailboxName,
        new: &MailboxName,
        viewer: &Viewer,
    ) -> Result<bool, mailboxes::Error> {
        for (from, to) in &self.moved {
            if old != from && old.moved(from, to).as_ref() == Some(new) && viewer.list.get(from)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is to be told of names, each once.
#[derive(Default)]
struct Lines {
    names: Vec<(MailboxName, Option<String>)>,
    told: BTreeSet<MailboxName>,
}

impl Lines {
    fn add(&mut self, name: MailboxName, old: Option<String>) {
        if self.told.insert(name.clone()) {
            self.names.push((name, old));
        }
    }

    /// A mailbox that came or went may be the first or the last one below another.
    fn add_with_parent(&mut self, name: MailboxName, names: &Names, viewer: &Viewer) {
        let parent = parent_of(&name, viewer).filter(|parent| names.known.contains_key(parent));
        self.add(name, None);
        parent.into_iter().for_each(|parent| self.add(parent, None));
    }

    fn print(self, facts: Facts, viewer: &Viewer, budget: &Budget) -> Result<Vec<u8>, Unseen> {
        let named = |(name, old): (MailboxName, Option<String>)| Some((viewer.named(&name)?, old));
        let (names, old): (Vec<String>, Vec<Option<String>>) =
            self.names.into_iter().filter_map(named).unzip();
        let mut out = Vec::new();
        if names.is_empty() {
            return Ok(out);
        }
        let answer = states(names, facts, viewer, budget)?;
        for (line, old) in answer.lines.iter().zip(&old) {
            answer.print_renamed(line, old.as_deref(), &mut out);
        }
        Ok(out)
    }
}

/// What lies above a mailbox as the user sees it: not his INBOX, where its folders stand beside it.
fn parent_of(name: &MailboxName, viewer: &Viewer) -> Option<MailboxName> {
    let (parent, external) = (name.parent()?, viewer.named(name)?);
    let above = viewer.hierarchy().above(&external).next()?.into_owned();
    (viewer.named(&parent)? == above).then_some(parent)
}

fn id_of(entry: &mailboxes::Entry) -> String {
    entry.local.as_ref().map(|local| local.uniqueid.clone()).unwrap_or_default()
}

/// What is told of a mailbox in which messages came or went.
pub const COUNTED: &[StatusItem] = &[StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
/// The same with how far its changes are.
pub const CHANGED: &[StatusItem] =
    &[StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::HighestModseq];
