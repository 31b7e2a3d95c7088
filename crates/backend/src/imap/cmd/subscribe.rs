//! SUBSCRIBE, UNSUBSCRIBE and LSUB: RFC 3501. Subscriptions live with the user, not with the mailbox: the list may
//! hold names of other backends.

use std::collections::HashSet;

use protocol::acl::Rights;
use protocol::imap::command::list::{Kind, Line, Lsub};
use protocol::imap::{Refusal, Reply};
use service::aside::Budget;

use super::list::{Eyes, Sight, Unseen, unlisted};
use crate::imap::reply::Outcome;
use crate::imap::session::Session;
use crate::store::UserState;

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
            return Err(Refusal::NoMailbox.into());
        }
    }
    store.subscribe(user.id(), &name, on).await?;
    Ok(Reply::completed())
}

pub async fn lsub(session: &mut Session, lsub: Lsub) -> Outcome {
    let user = session.user()?;
    let separator = session.server.namespace.separator();
    if lsub.pattern.is_empty() {
        Line::of_separator(Kind::Lsub, separator).print(session.conn.out());
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
    let line = |attributes, name| Line { kind: Kind::Lsub, attributes, separator, name, child_info: None };
    for name in &names {
        budget.check()?;
        if lsub.pattern.ends_with('%') {
            // RFC 3501 section 6.3.9: a subscribed name below the level shows its parent, \Noselect.
            for parent in pattern.matched_ancestors(name) {
                if !all.contains(parent) && told.insert(parent) {
                    line("\\Noselect \\HasChildren", parent).print(&mut out);
                }
            }
        }
        if pattern.matches(name) && told.insert(name) {
            let attributes = match (sight.get(name).is_some(), parents.contains(name.as_str())) {
                (true, false) => "",
                (true, true) => "\\HasChildren",
                (false, false) => "\\Noselect",
                (false, true) => "\\Noselect \\HasChildren",
            };
            line(attributes, name).print(&mut out);
        }
    }
    Ok(out)
}
