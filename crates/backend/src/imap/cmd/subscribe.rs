//! SUBSCRIBE, UNSUBSCRIBE and LSUB: RFC 3501. Subscriptions live with the user, not with the mailbox: the list may
//! hold names of other backends.

use std::collections::HashSet;

use protocol::acl::Rights;
use protocol::imap::command::list::Lsub;
use work::aside::Budget;

use super::list::{Eyes, Sight, Unseen, unlisted, write_line};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;
use store::UserState;

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
    let state = session.server.store.user_state(user.id()).await?;
    let lines = session.look(move |eyes, budget| lines(&lsub, &state, eyes, budget)).await?;
    session.conn.write_through(&lines).await?;
    Ok(Reply::completed())
}

/// The untagged lines. Blocks.
fn lines(lsub: &Lsub, state: &UserState, eyes: &Eyes, budget: &Budget) -> Result<Vec<u8>, Unseen> {
    let separator = eyes.namespace().separator();
    let pattern = eyes.namespace().pattern(&lsub.reference, &lsub.pattern);
    let sight = Sight::of(eyes, &[pattern.fixed_prefix()], budget)?;
    let mut names: Vec<String> = state.subscriptions.iter().map(|name| eyes.external(name)).collect();
    names.sort_unstable_by(|a, b| (a != "INBOX", a).cmp(&(b != "INBOX", b)));
    names.dedup();
    let all: HashSet<&str> = names.iter().map(String::as_str).collect();
    let parents: HashSet<&str> = (names.iter())
        .flat_map(|name| name.match_indices(separator).filter_map(|(at, _)| name.get(..at)))
        .collect();
    let (mut told, mut out) = (HashSet::new(), Vec::new());
    for name in &names {
        budget.check()?;
        if lsub.pattern.ends_with('%') {
            // RFC 3501 section 6.3.9: a subscribed name below the level shows its parent, \Noselect.
            for parent in pattern.matched_ancestors(name) {
                if !all.contains(parent) && told.insert(parent) {
                    let attributes = ["\\Noselect".to_owned(), "\\HasChildren".to_owned()];
                    write_line(&mut out, "LSUB", &attributes, separator, parent);
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        if pattern.matches(name) && told.insert(name) {
            let mut attributes = Vec::new();
            if sight.get(name).is_none() {
                attributes.push("\\Noselect".to_owned());
            }
            if parents.contains(name.as_str()) {
                attributes.push("\\HasChildren".to_owned());
            }
            write_line(&mut out, "LSUB", &attributes, separator, name);
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(out)
}
