//! NOTIFY (RFC 5465) across backends.
//!
//! ```text
//!   client ◄── session ──── the session's own connections: NOTIFY of the selected mailbox
//!                 ▲  tell
//!               inbox ◄──── a task and a connection for each backend that has watched mailboxes ([`link`]): NOTIFY of the others
//!                 ▲
//!      list of mailboxes ── names that come or go to another backend: it is watched too
//! ```
//!
//! 1. The plan ([`tell`]): which backends have mailboxes that the client's groups reach, and what each of them is asked. A backend knows the
//!    user's own tree, but not what he is subscribed to: that is asked by name.
//! 2. Each task keeps its connection, and opens it anew where it is lost; then the backend tells how all mailboxes are. What it says
//!    goes into one bounded [`inbox`], in which a newer STATUS of a mailbox takes the place of an older one.
//! 3. Between two commands, or in IDLE, the session takes what is there (`tell_news`). Rights are the backend's to judge,
//!    which does it at the moment when it speaks; LIST lines are made here, since only the list knows all of a mailbox's children.
//!
//! The connections are of this session alone, and end with it. They are never parked. A NOTIFY SET after another one uses those that are
//! there: they are asked anew. If a backend refuses that, what was asked before is asked once more. With NOTIFY NONE they rest: a client
//! that says both in turn logs in once. They end by themselves when they have rested for `limits::WATCH_RESTS`.

mod inbox;
mod line;
mod link;
mod tell;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use listing::Seen;
use mailboxes::hub::{Scope, Watcher};
use protocol::imap::command::multisearch::Source;
use protocol::imap::command::notify::{Event, Events, Group, Set};
use protocol::name::MailboxName;
use tokio::time::Instant;

use inbox::Inbox;
use link::Link;

/// What a client's NOTIFY has left in its session.
pub struct Notify {
    /// What the session's own connections are told: what of the selected mailbox is wanted.
    pub own: Vec<u8>,
    /// They have not heard it yet.
    pub is_due: bool,
    pub watching: Option<Box<Watching>>,
    /// Connections of what the client wanted to hear of before; never beside `watching`.
    pub resting: Option<Resting>,
}

/// Connections that tell of nothing, until the client wants to hear of something again.
pub struct Resting {
    inbox: Arc<Inbox>,
    links: BTreeMap<String, Link>,
}

/// What is watched on behalf of a client.
pub struct Watching {
    groups: Vec<Group>,
    inbox: Arc<Inbox>,
    links: BTreeMap<String, Link>,
    /// Hears of names in the list.
    watcher: Watcher,
    scope: Scope,
    /// Mailboxes that the client can know of, and whose names it wants to hear of, with their backends.
    known: BTreeMap<MailboxName, String>,
    /// As the client calls them.
    subscribed: HashSet<String>,
    home: Option<String>,
    /// What the session has changed itself, and until when that is remembered: as the client calls it.
    own: Vec<(String, Instant)>,
}

impl Notify {
    /// A client that wants to hear of nothing.
    pub fn none() -> Notify {
        Notify { own: b"NOTIFY NONE".to_vec(), is_due: true, watching: None, resting: None }
    }
}

impl Watching {
    /// Whether the client wants to hear of a mailbox's name, or of its subscription; `subscription`: of that alone.
    fn wants(&self, name: &MailboxName, subscription: bool) -> bool {
        let of_all =
            |group: &Group| group.source == Source::Subscribed && group.events.has(Event::SubscriptionChange);
        let wanted = self.scope.events(name);
        self.groups.iter().any(of_all)
            || wanted.has(Event::SubscriptionChange)
            || (!subscription && wanted.has(Event::MailboxName))
    }
}

/// Whether it depends on the user's subscriptions which mailboxes are watched.
fn goes_by_subscriptions(groups: &[Group]) -> bool {
    groups.iter().any(|group| group.source == Source::Subscribed && !group.events.is_empty())
}

/// The same, or what is told of them: LIST lines say whether a mailbox is subscribed to.
fn needs_subscriptions(groups: &[Group]) -> bool {
    let lines = Events::of(Event::MailboxName).with(Events::of(Event::SubscriptionChange));
    goes_by_subscriptions(groups) || groups.iter().any(|group| group.events.intersects(lines))
}

/// What each backend is asked.
fn commands(
    groups: &[Group],
    mailboxes: &[Seen],
    subscribed: &HashSet<String>,
    home: Option<&str>,
) -> BTreeMap<String, Vec<u8>> {
    let of_user = Events::of(Event::SubscriptionChange).with(Events::of(Event::ServerMetadataChange));
    let mut servers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for seen in mailboxes {
        let names = servers.entry(&seen.server).or_default();
        if subscribed.contains(&seen.external) {
            names.push(&seen.external);
        }
    }
    let asks_home =
        needs_subscriptions(groups) || groups.iter().any(|group| group.events.intersects(of_user));
    if let Some(home) = home.filter(|_| asks_home) {
        servers.entry(home).or_default();
    }
    let ask = |(server, names): (&str, Vec<&str>)| {
        let at_home = home == Some(server);
        let mut set = Set::default();
        if at_home && needs_subscriptions(groups) {
            let by_subscription = groups.iter().filter(|group| group.source == Source::Subscribed);
            let subscribed = Events::of(Event::SubscriptionChange);
            let events =
                by_subscription.fold(subscribed, |all, group| all.with(group.events.common(of_user)));
            set.groups.push(Group { source: Source::Subscribed, events });
        }
        for group in groups {
            let events = if at_home { group.events } else { group.events.without(of_user) };
            let source = match &group.source {
                Source::Subscribed => {
                    Source::Mailboxes(names.iter().map(|name| (*name).to_owned()).collect())
                }
                other => other.clone(),
            };
            let is_of_none = source == Source::Mailboxes(Vec::new()) || events.is_empty();
            if !is_of_none {
                set.groups.push(Group { source, events });
            }
        }
        let mut command = Vec::new();
        set.print(&mut command);
        (!set.groups.is_empty()).then(|| (server.to_owned(), command))
    };
    servers.into_iter().filter_map(ask).collect()
}

#[cfg(test)]
mod tests {
    use protocol::acl::Rights;

    use super::*;

    #[test]
    fn each_backend_is_asked_for_what_it_can_know() {
        let seen = |external: &str, server: &str| Seen {
            name: MailboxName::parse(&format!("user.fred.{external}")).unwrap(),
            external: external.to_owned(),
            rights: Rights::ALL,
            server: server.to_owned(),
        };
        let mailboxes = [seen("a", "be1"), seen("b", "be2"), seen("c", "be2")];
        let subscribed = ["b".to_owned(), "gone".to_owned()].into();
        let all = Events::COUNTS.with(Events::of(Event::SubscriptionChange));
        let asked = |groups: &[Group], home: &str| -> Vec<String> {
            let commands = commands(groups, &mailboxes, &subscribed, Some(home));
            let told = |(server, command): (String, Vec<u8>)| {
                format!("{server} {}", String::from_utf8(command).unwrap())
            };
            commands.into_iter().map(told).collect()
        };
        let personal = [Group { source: Source::Personal, events: all }];
        assert_eq!(
            asked(&personal, "be1"),
            [
                "be1 NOTIFY SET (SUBSCRIBED (SubscriptionChange)) (PERSONAL (MessageNew MessageExpunge SubscriptionChange))",
                "be2 NOTIFY SET (PERSONAL (MessageNew MessageExpunge))"
            ]
        );
        let group = [Group { source: Source::Subscribed, events: Events::COUNTS }];
        assert_eq!(
            asked(&group, "be3"),
            [
                "be2 NOTIFY SET (MAILBOXES (b) (MessageNew MessageExpunge))",
                "be3 NOTIFY SET (SUBSCRIBED (SubscriptionChange))"
            ]
        );
    }
}
