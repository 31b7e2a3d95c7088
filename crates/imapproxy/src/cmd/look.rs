//! Looking through this node's list of mailboxes with a user's eyes.

use listing::{Unseen, Viewer};
use protocol::imap::Refusal;
use work::aside::{Budget, Spent, aside};

use crate::outcome::unreadable;
use crate::session::{Located, Session, Stop};

/// Looks through the list on a blocking thread, where that holds up nobody, for `search_maxtime`.
pub async fn look_around<T: Send + 'static>(
    s: &Session,
    work: impl FnOnce(&Viewer, &Budget) -> Result<T, Unseen> + Send + 'static,
) -> Result<T, Stop> {
    let viewer = viewer(s)?;
    let limit = s.listener.imapd().search_maxtime;
    let looked = aside(limit, move |budget| match work(&viewer, budget) {
        Ok(seen) => Ok(Ok(seen)),
        Err(Unseen::Unreadable(error)) => Ok(Err(error)),
        Err(Unseen::Spent(spent)) => Err(spent),
    });
    match looked.await {
        Ok(seen) => seen.map_err(unreadable),
        Err(Spent) => {
            tracing::warn!(
                user = s.user()?.id(),
                ?limit,
                "a command took too long and was ended (search_maxtime)"
            );
            Err(Refusal::TakesTooLong.into())
        }
    }
}

/// Which backend has a mailbox that messages are to go into.
pub async fn locate_target(s: &Session, external: &str) -> Result<Located, Stop> {
    let name = s.internal(external)?;
    match s.locate_name(name.clone()).await {
        Err(Stop::Refused(Refusal::NoMailbox)) => {
            let may = viewer(s)?.may_create(&name).map_err(unreadable)?;
            Err(Refusal::of_missing_target(may).into())
        }
        other => other,
    }
}

/// The user, and what he may see.
fn viewer(s: &Session) -> Result<Viewer, Stop> {
    let (user, imapd) = (s.user()?, s.listener.imapd());
    Ok(Viewer {
        list: s.node.directory.list().clone(),
        namespace: s.node.namespace.clone(),
        granting: s.granting(),
        userid: user.id().to_owned(),
        groups: user.login.groups.clone(),
        admin: user.is_admin(),
        utf8: user.utf8,
        inbox: user.inbox.clone(),
        hides_users: imapd.disable_user_namespace,
        hides_shared: imapd.disable_shared_namespace,
    })
}
