//! What a session does for its NOTIFY: it begins to watch, and tells what it hears.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::pin::pin;
use std::sync::Arc;

use listing::sources::{scope, visible};
use listing::{Facts, Seen, states};
use mailboxes::hub::Scope;
use protocol::imap::command::list::{Kind, Line};
use protocol::imap::command::notify::{Event, Events, Group, Set};
use protocol::imap::{Bye, Code, Refusal, Reply};
use protocol::name::MailboxName;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::inbox::{Listed, News};
use super::link::{Link, State, Wanted};
use super::{Notify, Resting, Watching, commands, goes_by_subscriptions, needs_subscriptions};
use crate::cmd::lines::is_plain;
use crate::cmd::look::look_around;
use crate::cmd::lsub::subscriptions;
use crate::limits::{OWN_NAMES, OWN_NAMES_FOR, SILENCE, WATCHED, rows};
use crate::peer;
use crate::session::relay::client_gone;
use crate::session::{Session, Stop};

/// What the backends are to be asked, as the list is now.
struct Plan {
    scope: Scope,
    commands: BTreeMap<String, Vec<u8>>,
    known: BTreeMap<MailboxName, String>,
    too_many: bool,
}

/// A mailbox that the client is to be told of, as it calls it.
#[derive(Default)]
struct Named {
    name: String,
    /// What it was called before.
    old: Option<String>,
    /// The backend that tells of it.
    server: String,
    said: Option<Said>,
}

/// What the backend says of it.
struct Said {
    exists: bool,
    attributes: String,
}

impl Said {
    /// Whether the backend knows what is still on its way to the list: a mailbox has its new name there before the master has it.
    fn is_newer(&self, server: &str, seen: Option<&Seen>) -> bool {
        match seen {
            None => self.exists,
            Some(seen) => !self.exists && seen.server == server,
        }
    }
}

/// Whether a LIST line says that there is no such mailbox.
fn gone(attributes: &[String]) -> bool {
    let is_none =
        |word: &String| word.eq_ignore_ascii_case("\\NonExistent") || word.eq_ignore_ascii_case("\\Noselect");
    attributes.iter().any(is_none)
}

impl Session {
    /// Begins to watch what a client asks for, and waits until the backends do. What they say at the beginning is in the inbox then.
    /// With the backends that cannot be had. Connections of the client's NOTIFY before this one are used on; if this one is refused, that one holds.
    pub async fn watch(&mut self, set: &Set) -> Result<(Watching, Vec<String>), Stop> {
        let mut watching = self.watching(set).await?;
        let plan = self.plan(&mut watching).await?;
        if plan.too_many {
            rows::WATCHED.met("a NOTIFY of too many mailboxes is refused");
            return Err(Refusal::TooMuchToNotify.into());
        }
        watching.known = plan.known.clone();
        let notify = self.notify.as_mut();
        let (mut before, resting) =
            notify.map_or((None, None), |notify| (notify.watching.take(), notify.resting.take()));
        if let Some(before) = &mut before {
            watching.inherit(before);
        } else if let Some(resting) = resting {
            watching.wake(resting);
        }
        watching.inbox.begin_trial();
        let tried = self.try_plan(&mut watching, plan, set.status).await;
        watching.inbox.end_trial(tried.is_ok());
        match (tried, before) {
            (Ok(missing), _) => Ok((watching, missing)),
            (Err(stop @ (Stop::Refused(_) | Stop::Relayed(_) | Stop::Backend { .. })), Some(mut before)) => {
                before.inherit(&mut watching);
                let again = self.plan_anew(&mut before).await;
                self.watch_on(before, again)?;
                Err(stop)
            }
            (Err(stop), _) => {
                let resting = watching.rest();
                if let Some(notify) = &mut self.notify {
                    notify.resting = Some(resting);
                }
                Err(stop)
            }
        }
    }

    /// Ends what the client hears of mailboxes that it has not selected, but keeps the connections for a while.
    pub fn rest(&mut self) -> Option<Resting> {
        let notify = self.notify.take()?;
        notify.watching.map(|watching| watching.rest()).or(notify.resting)
    }

    /// What a client asks for, while nobody was asked yet.
    async fn watching(&mut self, set: &Set) -> Result<Watching, Stop> {
        if !self.node.directory.list().is_complete() {
            return Err(Refusal::ListUnsure.into());
        }
        let subscribed = match needs_subscriptions(&set.groups) {
            true => subscriptions(self).await?,
            false => HashSet::new(),
        };
        Ok(Watching {
            groups: set.groups.clone(),
            inbox: Arc::default(),
            links: BTreeMap::new(),
            watcher: self.node.hub.watcher(self.user()?.id()),
            scope: Scope::default(),
            known: BTreeMap::new(),
            subscribed,
            home: self.home().await?,
            own: Vec::new(),
        })
    }

    /// Asks the backends, and waits for their answers. With those that cannot be had.
    async fn try_plan(
        &mut self,
        watching: &mut Watching,
        plan: Plan,
        status: bool,
    ) -> Result<Vec<String>, Stop> {
        self.follow_plan(watching, plan, status, true)?;
        self.settle(watching).await?;
        let mut missing = Vec::new();
        for (server, link) in &watching.links {
            match link.state() {
                State::Up(_) => {}
                State::Opening | State::Down => missing.push(server.clone()),
                State::Lacks => return Err(Refusal::LacksNotify.into()),
                State::Refused(answer) => return Err(Stop::Relayed(answer)),
            }
        }
        Ok(missing)
    }

    /// Asks for what the client had asked for before. False: there is more than can be told.
    async fn plan_anew(&mut self, watching: &mut Watching) -> Result<bool, Stop> {
        let plan = self.plan(watching).await?;
        let fits = !plan.too_many;
        if fits {
            // What was not told meanwhile is told by how all mailboxes are.
            self.follow_plan(watching, plan, true, true)?;
        }
        Ok(fits)
    }

    /// What is to be asked of whom. The list is watched for changes of it from here on.
    async fn plan(&self, watching: &mut Watching) -> Result<Plan, Stop> {
        let names = watching.subscribed.iter().filter_map(|external| self.internal(external).ok());
        let names: BTreeSet<MailboxName> = names.collect();
        let (groups, subscribed) = (watching.groups.clone(), watching.subscribed.clone());
        // Of each mailbox that is reached the list must be heard.
        let heard = |group: &Group| !group.events.is_empty();
        let listened: Vec<Group> = (groups.iter().filter(|group| heard(group)))
            .map(|group| Group { events: Events::of(Event::MailboxName), ..group.clone() })
            .collect();
        let (asked, known) = (groups.clone(), subscribed.clone());
        let scopes = look_around(self, move |viewer, budget| {
            let scope = |groups: &[Group]| scope(groups, &names, WATCHED, viewer, budget);
            Ok((scope(&asked)?, scope(&listened)?))
        });
        let (wanted, listened) = scopes.await?;
        // What comes to be from here on is heard of.
        watching.watcher.replace(&listened);
        let asked = groups.clone();
        let found = look_around(self, move |viewer, budget| visible(&asked, known, WATCHED, viewer, budget));
        let found = found.await?;
        let names_wanted = |seen: &&Seen| wanted.events(&seen.name).has(Event::MailboxName);
        let known = found.mailboxes.iter().filter(names_wanted);
        let known = known.map(|seen| (seen.name.clone(), seen.server.clone())).collect();
        let commands = commands(&groups, &found.mailboxes, &subscribed, watching.home.as_deref());
        Ok(Plan { scope: wanted, commands, known, too_many: found.too_many })
    }

    /// Has each backend watched as the plan has it, and no other. `status`: those that are asked first tell how all mailboxes are.
    /// `anew`: the client has just asked for this, and so is each backend, whatever it was asked before.
    fn follow_plan(&self, watching: &mut Watching, plan: Plan, status: bool, anew: bool) -> Result<(), Stop> {
        watching.scope = plan.scope;
        watching.links.retain(|server, _| plan.commands.contains_key(server));
        for (server, command) in plan.commands {
            let subscriptions =
                watching.home.as_ref() == Some(&server) && needs_subscriptions(&watching.groups);
            let wanted = Wanted { enabled: self.enabled, command: Some(command), subscriptions };
            match watching.links.get(&server) {
                Some(link) if anew => link.want_anew(wanted, status),
                Some(link) => link.want(wanted),
                None => {
                    let link = Link::open(self.way(&server)?, wanted, status, watching.inbox.clone());
                    watching.links.insert(server, link);
                }
            }
        }
        Ok(())
    }

    /// Waits until the backends have answered, or cannot be had.
    async fn settle(&mut self, watching: &mut Watching) -> Result<(), Stop> {
        let bound = (self.node.client_timeout() * 2).min(SILENCE);
        let settled = async {
            for link in watching.links.values_mut() {
                link.settled().await;
            }
        };
        let (mut settled, stop) = (pin!(timeout(bound, settled)), self.seat.stop());
        loop {
            tokio::select! {
                biased;
                _ = &mut settled => return Ok(()),
                moved = peer::turn_alone(&mut self.client.peer) => moved.map_err(Stop::Client)?,
                () = stop.cancelled() => return Err(self.stopped()),
            }
            if self.client.peer.ended {
                return Err(client_gone());
            }
        }
    }

    /// Returns when there is something to be told. Cancel-safe.
    pub fn heard(&self) -> impl Future<Output = ()> + use<> {
        let watching = self.notify.as_ref().and_then(|notify| notify.watching.as_ref());
        let heard = watching.map(|watching| (watching.inbox.heard(), watching.watcher.heard()));
        async move {
            match heard {
                Some((inbox, list)) => tokio::select! {
                    () = inbox => {}
                    () = list => {}
                },
                None => std::future::pending().await,
            }
        }
    }

    /// Tells what has happened elsewhere. To be called where a response may stand.
    pub async fn tell_news(&mut self) -> Result<(), Stop> {
        let waiting = |watching: &Watching| !watching.inbox.is_quiet() || !watching.watcher.is_quiet();
        let watching = self.notify.as_mut().and_then(|notify| notify.watching.take_if(|w| waiting(w)));
        let Some(mut watching) = watching else { return Ok(()) };
        let told = Box::pin(self.tell_all(&mut watching)).await;
        self.watch_on(watching, told)
    }

    /// Goes on watching after something was done for it. False: there is more than can be told.
    fn watch_on(&mut self, watching: Box<Watching>, done: Result<bool, Stop>) -> Result<(), Stop> {
        match (done, &mut self.notify) {
            (Ok(true), Some(notify)) => notify.watching = Some(watching),
            (Ok(true), None) => {}
            (Ok(false) | Err(Stop::Refused(_)), _) => self.overflow(),
            (Err(stop), _) => return Err(stop),
        }
        Ok(())
    }

    /// Too much has happened, or a backend is gone for too long: nothing more is told.
    fn overflow(&mut self) {
        debug!("NOTIFY ends: more has happened than can be told");
        self.notify = Some(Notify::none());
        let text = "More has happened than can be told: nothing more is told until the next NOTIFY";
        self.client.put(Reply::ok(text).code(Code::NotificationOverflow).line(None));
    }

    /// False: there is more than can be told.
    async fn tell_all(&mut self, watching: &mut Watching) -> Result<bool, Stop> {
        let list = watching.watcher.take();
        let News { lines, listed, linked, subscribed, overflow, kicked } = watching.inbox.take();
        if let Some(text) = kicked {
            return Err(Stop::Bye(Bye::new(text)));
        }
        if overflow || list.overflow {
            return Ok(false);
        }
        let selected = self.selected.as_ref().map(|selected| selected.name.clone());
        if lines.iter().any(|told| self.is_of_another(&told.server, &told.mailbox)) {
            // It may just have moved.
            self.catch_up().await;
        }
        for told in lines {
            let name = self.internal(&told.mailbox).ok();
            // The selected mailbox tells of itself, and each only by its own backend.
            let is_open = told.counts && name.is_some() && name == selected;
            if !is_open && !self.is_of_another(&told.server, &told.mailbox) {
                self.client.put(told.line);
            }
        }
        let mut replan = list.mailboxes.iter().any(|(name, _)| watching.is_elsewhere(self, name));
        if let Some(all) = subscribed {
            replan |= watching.subscribed != all && goes_by_subscriptions(&watching.groups);
            watching.subscribed = all;
        }
        if !listed.is_empty() {
            replan |= self.tell_listed(watching, listed).await?;
        }
        if !linked.is_empty() {
            self.tell_missed(watching, &linked).await?;
        }
        if replan { self.replan(watching, true).await } else { Ok(true) }
    }

    /// False: there is more than can be told.
    async fn replan(&mut self, watching: &mut Watching, status: bool) -> Result<bool, Stop> {
        let plan = self.plan(watching).await?;
        if plan.too_many {
            rows::WATCHED.met("a NOTIFY that has come to reach too many mailboxes ends");
            return Ok(false);
        }
        self.follow_plan(watching, plan, status, false)?;
        Ok(true)
    }

    /// Tells of names as they are now. True if it is another plan now.
    async fn tell_listed(&mut self, watching: &mut Watching, listed: Vec<Listed>) -> Result<bool, Stop> {
        // What a backend has just done may be on its way to the list.
        self.catch_up().await;
        watching.own.retain(|(_, until)| *until > Instant::now());
        let (mut names, mut facts, mut replan) = (Vec::new(), Facts::default(), false);
        for Listed { server, attributes, name, old } in listed {
            let subscribed = attributes.iter().any(|word| word.eq_ignore_ascii_case("\\Subscribed"));
            let changes = match subscribed {
                true => watching.subscribed.insert(name.clone()),
                false => watching.home.as_deref() == Some(&server) && watching.subscribed.remove(&name),
            };
            replan |= changes;
            if let Some(at) = watching.own.iter().position(|(own, _)| *own == name) {
                watching.own.swap_remove(at);
                continue;
            }
            let Ok(internal) = self.internal(&name) else { continue };
            let known = old.is_none() && watching.known.contains_key(&internal);
            if !watching.wants(&internal, changes && known) {
                continue;
            }
            // Those below may be on their way to the list, one after the other.
            if attributes.iter().any(|word| word.eq_ignore_ascii_case("\\HasChildren")) {
                facts.parents.insert(name.clone());
            }
            let (exists, said) = (!gone(&attributes), attributes.join(" "));
            let special = |word: &String| !is_plain(word);
            let uses: Vec<String> = attributes.into_iter().filter(special).collect();
            if !uses.is_empty() {
                facts.uses.insert(name.clone(), uses);
            }
            if watching.subscribed.contains(&name) {
                facts.subscribed.insert(name.clone());
            }
            names.push(Named { said: Some(Said { exists, attributes: said }), name, old, server });
        }
        self.print_states(watching, names, facts).await?;
        Ok(replan && goes_by_subscriptions(&watching.groups))
    }

    /// Whether the list has a mailbox, and at another backend than the one that speaks of it.
    fn is_of_another(&self, server: &str, mailbox: &str) -> bool {
        let entry =
            self.internal(mailbox).ok().and_then(|name| self.node.directory.list().get(&name).ok()?);
        entry.is_some_and(|entry| entry.is_active() && entry.server() != server)
    }

    /// LIST lines, made of this node's list, with those of mailboxes above on other backends.
    async fn print_states(
        &mut self,
        watching: &mut Watching,
        names: Vec<Named>,
        mut facts: Facts,
    ) -> Result<(), Stop> {
        let (mut told, mut lines) = (BTreeSet::new(), Vec::new());
        for named in names {
            let parent = self.parent_elsewhere(watching, &named.name, &named.server);
            let parent = parent.filter(|_| named.old.is_none());
            if told.insert(named.name.clone()) {
                lines.push(named);
            }
            if let Some(parent) = parent.filter(|parent| told.insert(parent.clone())) {
                if watching.subscribed.contains(&parent) {
                    facts.subscribed.insert(parent.clone());
                }
                lines.push(Named { name: parent, ..Named::default() });
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let shown = lines.iter().map(|named| named.name.clone()).collect::<Vec<_>>();
        let answer = look_around(self, move |viewer, budget| states(shown, facts, viewer, budget)).await?;
        let separator = self.node.namespace.separator();
        for (line, named) in answer.lines.iter().zip(&lines) {
            let seen = answer.seen(line);
            let said = named.said.as_ref().filter(|said| said.is_newer(&named.server, seen));
            let server = match said {
                Some(said) => said.exists.then(|| named.server.clone()),
                None => seen.map(|seen| seen.server.clone()),
            };
            self.note_known(watching, &named.name, server);
            if let Some(old) = &named.old {
                self.note_known(watching, old, None);
            }
            let old = named.old.as_deref();
            self.client.print(|out| match said {
                Some(Said { attributes, .. }) => {
                    let (kind, name) = (Kind::List, named.name.as_str());
                    Line { kind, attributes, separator, name, child_info: None }.print_renamed(old, out);
                }
                None => answer.print_renamed(line, old, out),
            });
        }
        Ok(())
    }

    /// The client knows of a mailbox, or (`server`: none) no longer.
    fn note_known(&self, watching: &mut Watching, external: &str, server: Option<String>) {
        let Ok(name) = self.internal(external) else { return };
        let wanted = watching.scope.events(&name).has(Event::MailboxName);
        match server.filter(|_| wanted) {
            Some(server) => drop(watching.known.insert(name, server)),
            None => drop(watching.known.remove(&name)),
        }
    }

    /// The mailbox above one, if it is on another backend than the one that tells of it.
    fn parent_elsewhere(&self, watching: &Watching, external: &str, server: &str) -> Option<String> {
        let view = self.user.as_ref()?.view();
        let above = self.node.namespace.hierarchy(&view).above(external).next()?.into_owned();
        let name = self.internal(&above).ok()?;
        watching.known.get(&name).filter(|of| of.as_str() != server).map(|_| above)
    }

    /// Backends that are watched (again) have told nothing of what came or went before: what differs is told here.
    async fn tell_missed(&mut self, watching: &mut Watching, servers: &BTreeSet<String>) -> Result<(), Stop> {
        let wanted = |group: &Group| group.events.has(Event::MailboxName);
        if !watching.groups.iter().any(wanted) {
            return Ok(());
        }
        self.catch_up().await;
        let now = self.plan(watching).await?.known;
        let is_of = |server: &String| servers.contains(server);
        let come = now.iter().filter(|(name, server)| is_of(server) && !watching.known.contains_key(name));
        let gone = watching.known.iter().filter(|(name, server)| is_of(server) && !now.contains_key(name));
        let missed: Vec<(MailboxName, String)> =
            come.chain(gone).map(|(name, server)| (name.clone(), server.clone())).collect();
        let view = self.user()?.view();
        let named = |(name, server): (MailboxName, String)| {
            let name = self.node.namespace.named(&name, &view)?;
            Some(Named { name, server, ..Named::default() })
        };
        let names: Vec<_> = missed.into_iter().filter_map(named).collect();
        let subscribed = names.iter().map(|named| named.name.clone());
        let facts = Facts {
            subscribed: subscribed.filter(|name| watching.subscribed.contains(name)).collect(),
            ..Facts::default()
        };
        self.print_states(watching, names, facts).await
    }

    /// The client has changed a mailbox's name, or its subscription, and knows of it.
    pub fn knows_name(&mut self, external: &str) {
        let Some(name) = self.internal(external).ok() else { return };
        let watching = self.notify.as_mut().and_then(|notify| notify.watching.as_mut());
        if let Some(watching) = watching.filter(|watching| watching.wants(&name, false))
            && watching.own.len() < OWN_NAMES
        {
            watching.own.push((external.to_owned(), Instant::now() + OWN_NAMES_FOR));
        }
    }

    /// What ENABLE has turned on changes how names are told.
    pub async fn enable_watched(&mut self) -> Result<(), Stop> {
        let watching = self.notify.as_mut().and_then(|notify| notify.watching.take());
        let Some(mut watching) = watching else { return Ok(()) };
        let planned = self.replan(&mut watching, false).await;
        self.watch_on(watching, planned)
    }
}

impl Watching {
    /// Goes on with the connections of another one, and with what they have told.
    fn inherit(&mut self, before: &mut Watching) {
        self.inbox = before.inbox.clone();
        self.own = std::mem::take(&mut before.own);
        self.links = std::mem::take(&mut before.links);
        self.links.retain(|_, link| link.is_up());
    }

    fn rest(mut self) -> Resting {
        self.links.retain(|_, link| link.is_up());
        self.links.values().for_each(Link::rest);
        Resting { inbox: self.inbox, links: self.links }
    }

    /// Goes on with connections that have rested.
    fn wake(&mut self, resting: Resting) {
        // What was told before they rested was for the client's wish before that.
        drop(resting.inbox.take());
        (self.inbox, self.links) = (resting.inbox, resting.links);
        self.links.retain(|_, link| link.is_up());
    }

    /// Whether a name that has changed is on a backend that is not watched for it.
    fn is_elsewhere(&self, session: &Session, name: &MailboxName) -> bool {
        match session.node.directory.list().get(name) {
            Ok(Some(entry)) => {
                entry.is_active()
                    && (goes_by_subscriptions(&self.groups) || !self.links.contains_key(entry.server()))
            }
            _ => false,
        }
    }
}
