//! What a client hears without asking, since its NOTIFY (RFC 5465): of the selected mailbox as far as its event group goes, of others
//! what the store's hub has for it.
//!
//! 1. The hub says that something has happened to a mailbox, and no more ([`mailboxes::hub`]).
//! 2. Between two commands, or in IDLE, [`tell`] looks what there is to be told: the rights on each mailbox are those of
//!    this moment, and so is what is told of it.
//! 3. What the session has done itself it knows already: names and subscriptions by what is noted here ([`Others`]), messages by
//!    `Session::begin_own`.

mod tell;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use listing::{Facts, Unseen, Viewer, states};
use mailboxes::hub::{OwnChange, Scope, Watcher};
use protocol::imap::command::multisearch::Source;
use protocol::imap::command::notify::{Event, Events, Group, Selected as Wish};
use protocol::imap::command::status::StatusItem;
use protocol::name::MailboxName;
use work::aside::Budget;

use super::limits::MOVED;
use super::selected::Selected;

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
