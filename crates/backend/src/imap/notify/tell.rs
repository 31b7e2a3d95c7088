//! What a session does for its NOTIFY: it begins to watch, and tells what it hears.

use std::collections::BTreeSet;

use listing::sources::{scope, visible};
use listing::{Facts, Viewer};
use mailboxes::hub::News;
use protocol::acl::Rights;
use protocol::imap::command::multisearch::Source;
use protocol::imap::command::notify::{Event, Events, Group, Selected as Wish, print_annotated};
use protocol::imap::command::status::StatusItem;
use protocol::imap::{Code, Reply};
use protocol::name::MailboxName;
use store::Mailbox;
use work::aside::{Budget, Pace};

use super::{Before, CHANGED, COUNTED, Found, Lines, Names, Notify, Others, wants_subscription};
use crate::imap::cmd::{fetch, status};
use crate::imap::conn::Gone;
use crate::imap::limits::NOTIFIED;
use crate::imap::metadata;
use crate::imap::reply::Stop;
use crate::imap::selected::Announce;
use crate::imap::session::Session;

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
        // With what waits for the end of a change that another connection of the session makes just now.
        let mut watcher = match self.others() {
            Some(others) => others.watcher.successor(),
            None => store.hub().watcher(&user),
        };
        if let Some(session) = self.frontends_session() {
            watcher.of_session(&session);
        }
        let look = move |viewer: &Viewer, budget: &Budget| {
            let scope = scope(&groups, &subscribed, NOTIFIED, viewer, budget)?;
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
        let Some((seen, _)) = self.viewer()?.look_up(name).map_err(crate::imap::cmd::list::unlisted)? else {
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
                let seen = self.viewer()?.look_up(name).map_err(crate::imap::cmd::list::unlisted)?;
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
            let new = match rescope {
                true => Some(scope(&groups, &now, NOTIFIED, viewer, budget)?),
                false => None,
            };
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
                ..Facts::default()
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
            others.names.learn(name, &viewer).map_err(crate::imap::cmd::list::unlisted)?;
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
