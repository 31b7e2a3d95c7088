//! SUBSCRIBE, UNSUBSCRIBE and LSUB: RFC 3501. Subscriptions live with the user, not with the mailbox: the list may
//! hold names of other backends.

use std::collections::HashSet;

use protocol::acl::Rights;
use protocol::imap::command::list::Lsub;

use super::list::{Sight, unlisted, write_line};
use crate::imap::reply::{Outcome, Reply, Stop};
use crate::imap::session::Session;

pub async fn subscribe(session: &mut Session, external: &str, on: bool) -> Outcome {
    let user = session.user()?;
    let store = &session.server.store;
    let name = user.internal(external, &session.server.namespace)?;
    if on && !session.server.imapd.allowallsubscribe {
        let entry = store.list().get(&name).map_err(unlisted)?;
        let may = entry.is_some_and(|entry| {
            entry.is_active()
                && (user.is_admin() || store.rights(&name, &entry.acl, user.who()).contains(Rights::LOOKUP))
        });
        if !may {
            return Ok(Reply::no("Mailbox does not exist").code("NONEXISTENT"));
        }
    }
    store.subscribe(user.id(), &name, on).await?;
    Ok(Reply::completed())
}

pub async fn lsub(session: &mut Session, lsub: Lsub) -> Outcome {
    let user = session.user()?;
    let separator = session.server.namespace.separator();
    if lsub.pattern.is_empty() {
        session.conn.put_line(format!("* LSUB (\\Noselect) \"{separator}\" \"\""));
        return Ok(Reply::completed());
    }
    let pattern = session.server.namespace.pattern(&lsub.reference, &lsub.pattern);
    let sight = Sight::of(session, &[pattern.fixed_prefix()])?;
    let mut names: Vec<String> = names(session, user.id()).await?.into_iter().collect();
    names.sort_unstable_by_key(|name| (name != "INBOX", name.clone()));
    let all: HashSet<String> = names.iter().cloned().collect();
    let parents: HashSet<&str> = (names.iter())
        .flat_map(|name| name.match_indices(separator).filter_map(|(at, _)| name.get(..at)))
        .collect();
    let mut told = HashSet::new();
    for name in &names {
        if lsub.pattern.ends_with('%') {
            // RFC 3501 section 6.3.9: a subscribed name below the level shows its parent, \Noselect.
            for parent in pattern.matched_ancestors(name) {
                if !all.contains(parent) && told.insert(parent.to_owned()) {
                    let out = session.conn.out();
                    let attributes = ["\\Noselect".to_owned(), "\\HasChildren".to_owned()];
                    write_line(out, "LSUB", &attributes, separator, parent);
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        if pattern.matches(name) && told.insert(name.clone()) {
            let mut attributes = Vec::new();
            if sight.get(name).is_none() {
                attributes.push("\\Noselect".to_owned());
            }
            if parents.contains(name.as_str()) {
                attributes.push("\\HasChildren".to_owned());
            }
            let out = session.conn.out();
            write_line(out, "LSUB", &attributes, separator, name);
            out.extend_from_slice(b"\r\n");
            session.conn.relieve().await?;
        }
    }
    Ok(Reply::completed())
}

/// What a user is subscribed to, as he calls it.
pub async fn names(session: &Session, userid: &str) -> Result<HashSet<String>, Stop> {
    let user = session.user()?;
    let subscribed = session.server.store.subscriptions(userid).await?;
    Ok(subscribed.iter().map(|name| user.external(name, &session.server.namespace)).collect())
}
