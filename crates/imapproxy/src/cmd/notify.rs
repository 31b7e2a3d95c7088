//! NOTIFY (RFC 5465): the selected mailbox tells of itself on the session's own connections; what happens to others is
//! [`crate::watch`]'s.

use protocol::imap::Refusal;
use protocol::imap::command::notify::{self, Set};

use crate::session::relay::To;
use crate::session::{Done, Outcome, Session, Stop};
use crate::watch::Notify;

/// `NOTIFY NONE`, `NOTIFY SET [STATUS] (filter events) …`
pub async fn notify(s: &mut Session, notify: notify::Notify) -> Outcome {
    if s.node.capabilities.all_have("NOTIFY") != Some(true) {
        return Err(Refusal::Unrecognized.into());
    }
    s.tell_news().await?;
    let notify::Notify::Set(set) = notify else {
        let resting = s.rest();
        s.notify = Some(Notify { resting, ..Notify::none() });
        tell_links(s).await?;
        return Ok(Done::completed());
    };
    if let Some(refusal) = set.refusal() {
        return Err(refusal.into());
    }
    let nothing = set.groups.iter().all(|group| group.events.is_empty());
    let (watching, resting, missing) = match nothing {
        true => (None, s.rest(), Vec::new()),
        false => {
            let (watching, missing) = s.watch(&set).await?;
            (Some(Box::new(watching)), None, missing)
        }
    };
    s.notify = Some(Notify { own: own(set), is_due: true, watching, resting });
    tell_links(s).await?;
    s.tell_news().await?;
    s.tell_missing(&missing);
    Ok(Done::completed())
}

/// What a connection of the session's own is told.
fn own(set: Set) -> Vec<u8> {
    match set.selected {
        Some(selected) => {
            let mut command = Vec::new();
            Set { selected: Some(selected), ..Set::default() }.print(&mut command);
            command
        }
        None => b"NOTIFY NONE".to_vec(),
    }
}

/// Tells the session's connections what of the selected mailbox is wanted, where they have not heard it yet.
pub async fn tell_links(s: &mut Session) -> Result<(), Stop> {
    let Some(notify) = s.notify.as_mut().filter(|notify| notify.is_due) else { return Ok(()) };
    notify.is_due = false;
    let command = notify.own.clone();
    for server in s.links.servers() {
        if !s.links.get_mut(&server).is_some_and(|link| link.capabilities.has("NOTIFY")) {
            continue;
        }
        let selected = s.selected_server() == Some(server.as_str());
        match s.ask(&server, &command, if selected { To::Client } else { To::Nobody }).await {
            // It learns with the next connection.
            Err(Stop::Backend { server, .. }) if !selected => s.links.remove(&server),
            other => drop(other?),
        }
    }
    Ok(())
}
