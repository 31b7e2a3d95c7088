//! SUBSCRIBE, UNSUBSCRIBE and LSUB: RFC 3501. Subscriptions live with the user, not with the mailbox: the list may
//! hold names of other backends.

use listing::Viewer;
use protocol::acl::Rights;
use protocol::imap::command::list::{Kind, Line, Lsub};
use protocol::imap::{Refusal, Reply};
use work::aside::Budget;

use super::list::unlisted;
use crate::imap::reply::Outcome;
use crate::imap::session::Session;

pub async fn subscribe(session: &mut Session, external: &str, on: bool) -> Outcome {
    let user = session.user()?;
    let store = &session.server.store;
    let name = user.internal(external, &session.server.namespace)?;
    if on && !session.server.imapd.allowallsubscribe {
        let entry = store.list().get(&name).map_err(unlisted)?;
        let may = match entry {
            Some(entry) => {
                entry.is_active()
                    && (user.is_admin()
                        || store.rights(&name, &entry.acl, user.who()).contains(Rights::LOOKUP))
            }
            // What is not here may be on another backend: the frontend has looked. In Cyrus that takes `allowallsubscribe`.
            None => user.login.proxy,
        };
        if !may {
            return Err(Refusal::NoMailbox.into());
        }
    }
    store.subscribe(user.id(), &name, on).await?;
    session.knows_subscription(&name, on);
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
    let look = move |viewer: &Viewer, budget: &Budget| {
        let names = state.subscriptions.iter().filter_map(|name| viewer.listed(name)).collect();
        listing::lsub(&lsub, &names, viewer, budget)
    };
    let lines = session.look(look).await?;
    session.conn.write_through(&lines).await?;
    Ok(Reply::completed())
}
