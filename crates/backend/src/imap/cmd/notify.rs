//! NOTIFY: RFC 5465. What is told afterwards is told by [`crate::imap::notify`].

use protocol::acl::Rights;
use protocol::imap::command::list::{Kind, Line};
use protocol::imap::command::multisearch::Source;
use protocol::imap::command::notify::{Events, Group, Notify, Set};
use protocol::imap::{Refusal, Reply};
use work::aside::Pace;

use crate::imap::limits::rows;
use crate::imap::notify::{CHANGED, COUNTED};
use crate::imap::reply::{Outcome, Stop};
use crate::imap::selected::Announce;
use crate::imap::session::Session;

pub async fn run(session: &mut Session, notify: Notify) -> Outcome {
    match notify {
        Notify::None => session.watch_on(None, None),
        Notify::Set(set) => replace(session, set).await?,
    }
    Ok(Reply::completed())
}

/// Everything, or nothing: what was asked for before goes on where this cannot be done.
async fn replace(session: &mut Session, set: Set) -> Result<(), Stop> {
    if let Some(refusal) = set.refusal() {
        return Err(refusal.into());
    }
    session.announce(Announce::All).await?;
    let Set { status, selected, groups, .. } = set;
    if groups.iter().all(|group| group.events.is_empty()) {
        session.watch_on(selected, None);
        return Ok(());
    }
    let asked = groups.clone();
    let found = session.watch(groups).await?;
    if found.too_many {
        rows::NOTIFIED.met("a NOTIFY of too many mailboxes is refused");
        return Err(Refusal::TooMuchToNotify.into());
    }
    session.watch_on(selected, Some(found.others));
    let open = session.selected.as_ref().map(|selected| selected.name.clone());
    let mut pace = Pace::default();
    for (seen, events) in found.seen.into_iter().filter(|(seen, _)| Some(&seen.name) != open.as_ref()) {
        if !events.intersects(Events::MESSAGES) {
            continue;
        }
        if !seen.rights.contains(Rights::READ) {
            if is_named(&asked, &seen.external) {
                no_access(session, &seen.external);
            }
        } else if status {
            let items = if events.intersects(Events::CHANGES) { CHANGED } else { COUNTED };
            session.tell_state(&seen, items).await?;
        }
        session.conn.relieve().await?;
        pace.steps(4).await;
    }
    Ok(())
}

/// Whether the client has named a mailbox, whose messages it wants to hear of.
fn is_named(groups: &[Group], external: &str) -> bool {
    groups.iter().filter(|group| group.events.intersects(Events::MESSAGES)).any(|group| match &group.source {
        Source::Mailboxes(names) | Source::Subtree(names) | Source::SubtreeOne(names) => {
            names.iter().any(|name| name == external)
        }
        Source::Selected | Source::Inboxes | Source::Personal | Source::Subscribed => false,
    })
}

/// RFC 5465 section 3.1: a mailbox that the user sees, and whose messages are not for him.
fn no_access(session: &mut Session, external: &str) {
    let separator = session.server.namespace.separator();
    let line =
        Line { kind: Kind::List, attributes: "\\NoAccess", separator, name: external, child_info: None };
    line.print(session.conn.out());
}
